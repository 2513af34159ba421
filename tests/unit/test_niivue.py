"""The one file that a wheel takes from npm: the pinned one, or none, and never a build that fails."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

import niivue  # noqa: E402

BUNDLE = b"export const drawn = true;"


def packed(bundle: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        told = tarfile.TarInfo(niivue.MEMBER)
        told.size = len(bundle)
        archive.addfile(told, io.BytesIO(bundle))
    return out.getvalue()


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A program that answers ``npm pack`` with given bytes, or does not end."""

    def answering(data: bytes | None) -> None:
        def run(command: list[str], *, cwd: str, timeout: float, **_: object) -> None:
            assert command[1:3] == ["pack", f"@niivue/niivue@{niivue.VERSION}"]
            if data is None:
                raise subprocess.TimeoutExpired(command, timeout)
            Path(cwd, "niivue.tgz").write_bytes(data)

        monkeypatch.setattr(niivue.shutil, "which", lambda _name: "npm")
        monkeypatch.setattr(niivue.subprocess, "run", run)

    return answering


def test_the_pinned_bundle_is_taken_with_its_licences_and_kept(tmp_path: Path, npm, monkeypatch: pytest.MonkeyPatch):
    data = packed(BUNDLE)
    monkeypatch.setattr(niivue, "PACKAGE_SHA512", niivue.base64.b64encode(hashlib.sha512(data).digest()).decode())
    monkeypatch.setattr(niivue, "SHA256", hashlib.sha256(BUNDLE).hexdigest())
    npm(data)
    first, second = tmp_path / "first", tmp_path / "second"
    assert niivue.put_into(first, own=second) == f"NiiVue {niivue.VERSION} is in first/"
    assert (first / niivue.NAME).read_bytes() == BUNDLE
    assert "BSD" in (first / niivue.LICENCES).read_text("utf-8")
    npm(None)
    assert niivue.put_into(second, own=first).startswith("NiiVue")
    monkeypatch.setattr(niivue, "SHA256", hashlib.sha256(b"of a newer version").hexdigest())
    assert niivue.put_into(second, own=first).startswith("built without NiiVue")
    assert not second.exists()


@pytest.mark.parametrize("data", [None, b"", packed(BUNDLE)], ids=["no answer in time", "nothing", "another package"])
def test_anything_else_is_left_out_in_one_line(data, tmp_path: Path, npm):
    npm(data)
    told = niivue.put_into(tmp_path / "here", own=tmp_path / "absent")
    assert told.startswith("built without NiiVue (")
    assert "\n" not in told
    assert not (tmp_path / "here").exists()


def test_no_npm_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(niivue.shutil, "which", lambda _name: None)
    told = niivue.put_into(tmp_path / "here", own=tmp_path / "absent")
    assert told == "built without NiiVue (npm is not here); the server shows its own viewer"
