"""Three planes and three dimensions: the volumes that are sent, the page, and what NiiVue draws in a real browser."""

from __future__ import annotations

import io
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from sqlalchemy import select

import browser as browsers
from hepacalc.server import pages_space
from hepacalc.server.audit import SEEN_S, Seen
from hepacalc.server.database import reading
from hepacalc.server.pages_space import has_niivue
from hepacalc.server.tables import assessments, audit, users
from hepacalc.server.work.output import view_of, write_arrays
from hepacalc.server.work.storing import LABELS, SCAN, scan_name
from report_example import make_example
from server_help import Running, add_result, add_study

ORANGE = ("the chosen focus", lambda r, g, b: (r > 90) & (r > 1.3 * g) & (g > 1.5 * b))
BLUE = ("the liver", lambda r, g, b: (b > 60) & (b > 1.5 * r))
SOFTWARE_GL = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")


@pytest.fixture(scope="module")
def stored():
    return make_example()


@pytest.fixture
def shown(house: Running, result: Path, stored, tmp_path: Path) -> str:
    """An assessment of team A whose arrays are ready to be looked at."""
    study = add_study(house.site, "A")
    made = add_result(house.site, study, result)
    (folder,) = house.site.settings.data.rglob(made)
    (folder / "view.json").write_text(json.dumps(view_of(stored.volume)))
    write_arrays(stored.volume, stored.liver_mask, stored.labels, tmp_path)
    for name, target in ((SCAN, scan_name(study, "")), (LABELS, made)):
        place = house.site.store.cache(target)
        place.parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).replace(place)
    return made


def test_volumes_lie_where_the_scan_lies_and_hold_liver_foci_and_what_is_around_them(house, shown, stored):
    reader = house.client("reader")
    answers = {name: reader.get(f"/api/assessments/{shown}/volumes/{name}.nii") for name in ("scan", "liver", "foci")}
    images = {name: nib.Nifti1Image.from_bytes(answer.content) for name, answer in answers.items()}
    scan, liver, foci = (np.asarray(images[name].dataobj).transpose(2, 1, 0) for name in answers)
    assert scan.shape == liver.shape == foci.shape
    assert (int(liver.sum()), scan.dtype) == (int(stored.liver_mask.mask.sum()), np.dtype("<i2"))
    assert set(np.unique(foci)) == {0, *(focus.id for focus in stored.foci)}
    # the brightest voxel of a focus, found by its place in mm alone
    focus = stored.foci[0]
    lps = stored.geometry.to_world(focus.peak_index)
    ras = np.append(lps * (-1, -1, 1), 1.0)
    for name, there in (("scan", stored.volume.hu[focus.peak_index]), ("foci", focus.id)):
        x, y, z, _ = np.rint(np.linalg.inv(images[name].affine) @ ras).astype(int)
        assert np.asarray(images[name].dataobj)[x, y, z] == there
    # three centimetres, or the scan's end
    inside = np.argwhere((liver > 0) | (foci > 0))
    spacing = np.array(stored.geometry.canonical().geometry.spacing_mm)
    near = inside.min(axis=0) * spacing
    assert (near <= 30 + spacing / 2).all()


def test_slices_and_volumes_leave_one_line_for_each_user_in_the_audit_log(house, shown):
    with reading(house.site.engine) as connection:
        study = connection.execute(select(assessments.c.study_id).where(assessments.c.id == shown)).scalar()
    for name in ("reader", "anna"):
        client = house.client(name)
        for k in range(3):
            for kind in ("scan", "labels"):
                assert client.get(f"/api/assessments/{shown}/{kind}/axial/{k}").status_code == 200
        for kind in ("liver", "foci"):
            assert client.get(f"/api/assessments/{shown}/volumes/{kind}.nii").status_code == 200
        ask = {"facts": {"schema_version": "1.0"}, "assessment_id": shown}
        for _ in range(2):
            assert client.post("/api/differential", json=ask).status_code == 200
    with reading(house.site.engine) as connection:
        noted = connection.execute(
            select(audit.c.action, users.c.name).join(users, users.c.id == audit.c.user_id)
            .where(audit.c.object_id == study, audit.c.action.in_(("scan.view", "scan.volume", "differential")))
        ).all()  # fmt: skip
    wanted = [(action, name) for name in ("reader", "anna") for action in ("scan.view", "scan.volume", "differential")]
    assert sorted(noted) == sorted(wanted)


def test_who_looks_on_is_noted_again_after_a_while():
    moment = [0.0]
    seen = Seen(lambda: moment[0])
    assert [seen.is_new("anna", "1"), seen.is_new("anna", "1"), seen.is_new("bert", "1"), seen.is_new("anna", "2")] == [
        True, False, True, True,
    ]  # fmt: skip
    moment[0] = SEEN_S
    assert seen.is_new("anna", "1")


def test_volumes_are_for_the_own_team_and_wait_for_the_scan(house, shown):
    address = f"/api/assessments/{shown}/volumes/scan.nii"
    assert house.client("bert").get(address).status_code == 404
    assert house.client().get(address).status_code == 401
    assert house.client("reader").get(address.replace("scan", "other")).status_code == 422
    house.site.store.cache(shown).unlink()
    assert house.client("reader").get(address).status_code == 503


def test_without_niivue_the_study_shows_its_own_viewer_alone(house, shown, monkeypatch):
    reader = house.client("reader", headers={"accept": "text/html"})
    monkeypatch.setattr(pages_space, "NIIVUE", "niivue/absent.js")
    study = next(one["id"] for one in reader.get("/api/studies").json()["studies"] if one["assessment_id"] == shown)
    assert f"{shown}/space" not in reader.get(f"/studies/{study}").text
    assert reader.get(f"/assessments/{shown}/space").status_code == 404


@pytest.mark.slow
@pytest.mark.skipif(not has_niivue(), reason="NiiVue is not here: python scripts/niivue.py")
def test_niivue_draws_and_follows_the_table_and_the_keys(house, shown, tmp_path):
    path = browsers.find_browser()
    if path is None:
        pytest.skip("needs Chromium")
    reader = house.client("reader")
    address = f"{house.base}/assessments/{shown}/space"
    policy = reader.get(address).headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    where = "document.getElementById('space-where').textContent"
    with browsers.Browser(path, tmp_path / "profile", size=(1010, 480), more=SOFTWARE_GL) as b:
        b.call("Network.setCookie", name="hepacalc", value=reader.cookies["hepacalc"], url=house.base)
        b.go(address)
        b.wait("document.getElementById('space').dataset.ready === 'yes'", 60)
        b.run("document.querySelector('button[data-layout=volume]').click()")
        assert seen(b, BLUE) > 500
        first = b.run(where)
        assert first.endswith("HU · 1")
        b.run("document.getElementById('space-volume').focus()")
        b.key("l", 76, "l")
        assert seen(b, BLUE) == 0
        assert seen(b, ORANGE) > 20
        b.key("n", 78, "n")
        b.wait(f"{where}.endsWith('HU · 2')", 10)
        b.run("document.querySelector('[data-jump=\"1\"]').click()")
        b.wait(f"{where} === {first!r}", 10)
        assert b.faults() == []
        asked = {
            event["params"]["request"]["url"] for event in b.events if event["method"] == "Network.requestWillBeSent"
        }
        assert all(url.startswith((house.base, "data:image/")) for url in asked)


def seen(page: browsers.Browser, colour) -> int:
    """How many pixels of the volume's picture have a colour."""
    from PIL import Image

    page.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    box = page.run("(() => { const b = document.getElementById('space').getBoundingClientRect();"
                   " return [b.left + 4, b.top + 4, b.right - 4, b.bottom - 4]; })()")  # fmt: skip
    picture = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB").crop(box), int)
    return int(colour[1](*np.moveaxis(picture, -1, 0)).sum())
