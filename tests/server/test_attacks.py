"""An attack list: each is refused, told with a code, and noted where it matters."""

from __future__ import annotations

import errno
import io
import re
import socket
import struct
import zipfile
import zlib
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian
from sqlalchemy import select

from hepacalc.server.database import reading
from hepacalc.server.tables import audit, studies, uploads
from server_help import Running, add_result, add_study, dicom_bytes, zip_bytes

SCRIPT = "<script>alert(1)</script>"


def send(client, body: bytes, kind: str = "application/zip", **params):
    return client.post("/api/uploads", content=body, headers={"content-type": kind}, params=params)


def became(house: Running, client, answer) -> dict:
    assert answer.status_code == 202, answer.text
    house.do_jobs("intake")
    return client.get(f"/api/uploads/{answer.json()['id']}").json()


# ---------------------------------------------------------------- what is sent in


@pytest.mark.parametrize("name", ["../../evil.dcm", "/etc/evil.dcm", "..\\..\\evil.dcm", "C:/evil.dcm"])
def test_a_zip_that_leaves_its_folder(house: Running, name: str):
    client = house.client("anna")
    found = became(house, client, send(client, zip_bytes({name: dicom_bytes()})))
    assert (found["state"], found["error_code"]) == ("failed", "IN-07")
    assert not list(house.site.settings.data.parent.rglob("evil*"))


def test_a_zip_bomb(house: Running):
    client = house.client("anna")
    bomb = zip_bytes({"a.dcm": b"\0" * 80_000_000})
    found = became(house, client, send(client, bomb))
    assert (found["state"], found["error_code"]) == ("failed", "SRV-04")


def test_a_zip_that_lies_about_its_size(house: Running):
    client = house.client("anna")
    honest = zip_bytes({"a.dcm": dicom_bytes() + b"\0" * 7_000_000})
    with zipfile.ZipFile(io.BytesIO(honest)) as archive:
        size = archive.infolist()[0].file_size
    lying = honest.replace(struct.pack("<I", size), struct.pack("<I", 100))
    found = became(house, client, send(client, lying))
    assert found["state"] == "failed"
    assert found["error_code"].startswith("IN-")


def test_a_zip_within_a_zip_and_a_link(house: Running):
    client = house.client("anna")
    found = became(house, client, send(client, zip_bytes({"inner.zip": zip_bytes({"a": b"b"})})))
    assert found["error_code"] == "IN-07"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        link = zipfile.ZipInfo("link.dcm")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    assert became(house, client, send(client, out.getvalue()))["error_code"] == "IN-07"


def test_a_deflate_bomb(house: Running, monkeypatch: pytest.MonkeyPatch):
    from hepacalc.errors import TooLarge
    from hepacalc.server import headers

    monkeypatch.setattr(headers, "MOST_INFLATED", 2**20)
    plain = dicom_bytes()
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    meta_end = 132 + 12 + struct.unpack_from("<I", plain, 140)[0]
    swapped = dicom_bytes(StudyDescription="x")[:meta_end]
    old = b"1.2.840.10008.1.2.1\0"
    assert old in swapped
    # the same length keeps the group length right
    longer = DeflatedExplicitVRLittleEndian.encode()
    head = swapped.replace(struct.pack("<H", len(old)) + old, struct.pack("<H", 22) + longer)
    head = head[:140] + struct.pack("<I", struct.unpack_from("<I", head, 140)[0] + 2) + head[144:]
    path = house.site.settings.data / "bomb.dcm"
    path.write_bytes(head + squeeze.compress(b"\0" * 30_000_000) + squeeze.flush())
    with pytest.raises(TooLarge, match="expands without end"):
        headers.read_header(path, most_pixels=10**9, fallback="x")


def test_a_pixel_bomb(house: Running):
    client = house.client("anna")
    found = became(house, client, send(client, dicom_bytes(Rows=60000, Columns=60000), "application/dicom"))
    assert (found["state"], found["error_code"]) == ("failed", "SRV-04")
    nifti = bytearray(352)
    nifti[:4] = b"\x5c\x01\x00\x00"
    struct.pack_into("<8h", nifti, 40, 3, 20000, 20000, 20000, 1, 1, 1, 1)
    found = became(house, client, send(client, bytes(nifti), "application/octet-stream", name="scan.nii"))
    assert found["error_code"] == "SRV-04"


def test_too_many_bytes_and_too_many_files(house: Running):
    client = house.client("anna")
    assert send(client, b"\0" * 4_000_001).status_code == 413
    assert send(client, b"\0" * 9_000_000).status_code == 413
    many = [("files", (f"{k}.dcm", b"x", "application/dicom")) for k in range(41)]
    assert client.post("/api/uploads", files=many).status_code == 413
    with reading(house.site.engine) as connection:
        assert not connection.execute(select(uploads.c.id).where(uploads.c.state == "open")).all()
    left = {p.name for p in (house.site.settings.data / "incoming").iterdir()}
    with reading(house.site.engine) as connection:
        known = set(connection.execute(select(uploads.c.id)).scalars())
    assert left <= known, "what was refused is gone from the disk"


def test_uids_that_are_paths_never_become_paths(house: Running):
    client = house.client("anna")
    data = dicom_bytes(study="1.2.3", sop="1.2.9")
    bad = data.replace(b"1.2.3\0", b"../../")
    found = became(house, client, send(client, bad, "application/dicom"))
    assert found["state"] == "filed"
    root = house.site.settings.data
    for path in root.rglob("*"):
        assert re.fullmatch(r"[0-9a-f]{2,40}(-[0-9a-f]{12})?(\.npy)?|\d{6}(\.zip|\.nii)?|[a-z.-]+", path.name), path
    with reading(house.site.engine) as connection:
        assert all(".." not in uid for uid in connection.execute(select(studies.c.uid)).scalars())


def test_garbage_is_set_aside_with_its_reason(house: Running):
    client = house.client("anna")
    found = became(house, client, send(client, b"PK\x03\x04 no zip at all"))
    assert found["error_code"] == "IN-06"
    found = became(house, client, send(client, b"nothing of the kind", "application/dicom"))
    assert found["error_code"] == "IN-02"
    assert "not DICOM" in found["error"]
    assert send(client, b"").status_code in (202, 422)
    form = {"content-type": "multipart/form-data; boundary=x"}
    assert client.post("/api/uploads", content=b"no form", headers=form).status_code == 422
    half = b'--x\r\nContent-Disposition: form-data; name="a"; filename="a"\r\n\r\nabc'
    assert client.post("/api/uploads", content=half, headers=form).status_code == 422
    huge = b"--x\r\nX-A: " + b"a" * 20_000 + b"\r\n\r\nabc\r\n--x--\r\n"
    assert client.post("/api/uploads", content=huge, headers=form).status_code == 422


# ---------------------------------------------------------------- what is shown


class Look(HTMLParser):
    """Finds what a strict page must not hold: scripts and styles of its own, handlers, addresses of elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        held = dict(attrs)
        if tag == "script" and not str(held.get("src", "")).startswith("/static/"):
            self.faults.append("script")
        if tag in ("style", "iframe", "object", "embed", "base"):
            self.faults.append(tag)
        for name, value in attrs:
            if name.startswith("on") or name == "style":
                self.faults.append(f"{tag} {name}")
            if name in ("src", "href", "action") and (urlsplit(value or "").netloc or urlsplit(value or "").scheme):
                self.faults.append(f"{tag} {value}")


def test_no_text_from_outside_becomes_markup(house: Running, result: Path):
    evil = f"{SCRIPT}^'\"><img src=x onerror=alert(1)>"
    columns = dict.fromkeys(("patient_id", "description", "accession", "referrer"), evil[:60])
    study = add_study(house.site, name=evil, **columns)
    add_result(house.site, study, result)
    client = house.client("anna")
    facts = {"schema_version": "1.0", "note": SCRIPT, "region": SCRIPT}
    assert client.put(f"/api/studies/{study}/facts", json=facts).status_code == 202
    form = client.post("/api/studies", json={"name": evil, "number": SCRIPT, "description": SCRIPT, "facts": facts})
    assert form.status_code == 201
    for path in (
        "/",
        f"/studies/{study}",
        f"/studies/{form.json()['id']}",
        f"/?search={SCRIPT}",
        f"/sign-in?to={SCRIPT}",
    ):
        page = client.get(path, headers={"accept": "text/html"})
        assert page.status_code in (200, 303)
        assert "<script>" not in page.text
        assert "<img" not in page.text
        assert "onerror=alert(1)>" not in page.text.replace("&gt;", "")
    for answer in (client.get("/api/studies"), client.get(f"/api/studies/{study}")):
        assert answer.headers["content-type"].startswith("application/json")


def test_pages_allow_nothing_inline_and_nothing_from_elsewhere(house: Running, result: Path):
    study = add_study(house.site)
    made = add_result(house.site, study, result)
    client = house.client("anna")
    pages = [client.get(p) for p in ("/", f"/studies/{study}", "/form", "/knowledge", "/account")]
    for page in pages:
        policy = page.headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert page.headers["x-content-type-options"] == "nosniff"
        assert page.headers["cache-control"] == "no-store"
        look = Look()
        look.feed(page.text)
        assert not look.faults
    report = client.get(f"/api/assessments/{made}/files/report.html")
    assert "sandbox" in report.headers["content-security-policy"]


# ---------------------------------------------------------------- who may what


def test_a_form_of_another_site_is_refused(house: Running):
    client = house.client("anna")
    facts = {"facts": {"schema_version": "1.0"}}
    without = {"x-csrf-token": ""}
    assert client.post("/api/studies", json=facts, headers=without).status_code == 403
    assert client.post("/api/studies", json=facts, headers={"x-csrf-token": "x" * 43}).status_code == 403
    assert client.post("/api/studies", json=facts, headers={"origin": "https://evil.example"}).status_code == 403
    assert client.post("/sign-in", data={"name": "a", "password": "b"}, headers={"origin": "null"}).status_code == 403
    other = house.client("bert")
    assert (
        client.post("/api/studies", json=facts, headers={"x-csrf-token": other.headers["x-csrf-token"]}).status_code
        == 403
    )
    with reading(house.site.engine) as connection:
        told = connection.execute(select(audit.c.action).where(audit.c.outcome == "refused")).scalars().all()
    assert told.count("csrf") >= 4
    assert client.post("/api/studies", json=facts).status_code == 201


def test_what_is_another_teams_is_not_there(house: Running, result: Path):
    study = add_study(house.site, team="A")
    made = add_result(house.site, study, result)
    anna, bert, boss = house.client("anna"), house.client("bert"), house.client("boss")
    sent = send(anna, dicom_bytes(study="1.2.77"), "application/dicom").json()
    token = anna.post("/api/tokens", json={"name": "mine", "scopes": ["read"]}).json()["id"]
    reads = [
        f"/api/studies/{study}", f"/api/studies/{study}/facts", f"/api/assessments/{made}",
        f"/api/assessments/{made}/files", f"/api/assessments/{made}/files/foci.csv", f"/api/assessments/{made}/view",
        f"/api/assessments/{made}/scan/axial/0", f"/api/uploads/{sent['id']}", f"/api/jobs/{sent['job_id']}",
        f"/api/jobs/{sent['job_id']}/events", f"/studies/{study}",
    ]  # fmt: skip
    for path in reads:
        assert bert.get(path).status_code == 404, path
    facts = {"schema_version": "1.0"}
    assert bert.put(f"/api/studies/{study}/facts", json=facts).status_code == 404
    assert bert.delete(f"/api/studies/{study}").status_code == 404
    assert bert.post(f"/api/studies/{study}/assess", json={}).status_code == 404
    edits = {"edits": [{"op": "delete", "focus": 1}]}
    assert bert.post(f"/api/assessments/{made}/foci", json=edits).status_code == 404
    decided = {"item": "x", "verdict": "accepted"}
    assert bert.post(f"/api/studies/{study}/decisions", json=decided).status_code == 404
    assert bert.post("/api/differential", json={"facts": facts, "assessment_id": made}).status_code == 404
    assert bert.delete(f"/api/tokens/{token}").status_code == 404
    assert study not in bert.get("/api/studies?limit=200").text
    assert study not in bert.get("/").text
    for path in reads[:5]:
        assert anna.get(path).status_code == 200, path
        assert boss.get(path).status_code == 200, path


@pytest.mark.parametrize("attack", ["' OR 1=1 --", "'; DROP TABLE studies; --", "%", "_", "\\", "\x00", "a" * 199])
def test_sql_in_every_text(house: Running, attack: str):
    client = house.client("bert")
    for name in ("search", "state", "after", "due_by"):
        answer = client.get("/api/studies", params={name: attack})
        assert answer.status_code in (200, 422), (name, answer.text)
        if answer.status_code == 200 and name == "search":
            assert answer.json()["studies"] == []
    assert client.get(f"/api/studies/{'x' + attack.replace(chr(0), '')}").status_code == 404
    assert house.client().post("/sign-in", data={"name": attack[:80], "password": "x"}).status_code in (401, 429, 422)
    with reading(house.site.engine) as connection:
        connection.execute(select(studies.c.id)).first()


def test_files_of_an_assessment_are_those_of_a_list(house: Running, result: Path):
    study = add_study(house.site)
    made = add_result(house.site, study, result)
    client = house.client("anna")
    for name in ("..%2f..%2f..%2fhepacalc.sqlite", "view.json", "exports.json", "%2e%2e", "report.html%00.pdf"):
        assert client.get(f"/api/assessments/{made}/files/{name}").status_code == 404, name
    assert client.get("/static/..%2fapp.py").status_code == 404
    assert client.get("/static/../app.py").status_code == 404
    assert client.get("/static/report.html.j2").status_code == 404


@pytest.mark.parametrize(
    "to", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "/\n"]
)
def test_sign_in_leads_nowhere_else(house: Running, to: str):
    answer = house.client("anna").get("/sign-in", params={"to": to})
    assert answer.headers["location"] == "/"


# ---------------------------------------------------------------- the wire


def raw(house: Running, request: bytes) -> bytes:
    place = urlsplit(house.base)
    with socket.create_connection((place.hostname, place.port), timeout=10) as line:
        out = b""
        try:
            line.sendall(request)
            line.shutdown(socket.SHUT_WR)
            while part := line.recv(65536):
                out += part
        except OSError as fault:
            # it hung up on us, perhaps before all was sent
            if fault.errno not in (errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN):
                raise
    return out


def test_oversized_headers_and_requests(house: Running):
    line = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    assert b" 413 " in raw(house, line + b"X-A: " + b"a" * 20_000 + b"\r\n\r\n").split(b"\r\n")[0]
    answer = raw(house, line + b"X-A: " + b"a" * 200_000 + b"\r\n\r\n")
    assert b" 400 " in answer.split(b"\r\n")[0] or answer == b"", "uvicorn refuses it, or hangs up"
    client = house.client("anna")
    big = {"facts": {"schema_version": "1.0", "note": "x" * 200_000}}
    assert client.post("/api/studies", json=big).status_code == 413
    assert client.post("/api/studies", content=iter([b"[" * 60_000] * 3)).status_code == 413, "no length was told"
    deep = b'{"facts":' + b"[" * 40_000 + b"]" * 40_000 + b"}"
    assert client.post("/api/studies", content=deep, headers={"content-type": "application/json"}).status_code in (
        400,
        422,
    )


def test_another_name_for_this_machine_is_refused(house: Running):
    """DNS rebinding: a page of elsewhere whose name leads here."""
    assert house.client("anna").get("/api/studies", headers={"host": "evil.example"}).status_code == 422


def test_errors_tell_no_more_than_they_must(house: Running):
    client = house.client("anna")
    answer = client.post("/api/studies", json={"facts": {"schema_version": "1.0", "age": "Jane Doe"}})
    assert answer.status_code == 422
    assert "Jane" not in answer.text
    answer = client.post("/api/studies", json={"name": ["Jane Doe"], "facts": {}})
    assert "Jane" not in answer.text
    assert answer.json()["code"] == "SRV-09"
    assert "Traceback" not in client.get("/api/studies/nope").text
