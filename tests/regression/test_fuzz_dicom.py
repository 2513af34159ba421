"""No bytes make the reader do worse than raise one of our errors, and nothing is warned, printed or logged.

``HEPACALC_FUZZ_EXAMPLES`` raises the number of examples.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import tempfile
import warnings
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.encaps import encapsulate

from hepacalc.errors import HepacalcError
from hepacalc.records import Volume
from hepacalc.study import open_study, read_nifti_labels
from study_files import ct_slice, enhanced, save, volume_of, write_nifti, write_series

EXAMPLES = int(os.environ.get("HEPACALC_FUZZ_EXAMPLES", "50"))
SEEDED = "HEPACALC_FUZZ_EXAMPLES" not in os.environ
KINDS = ["explicit", "implicit", "deflated", "enhanced", "nifti", "nifti.gz", "zip", "rle", "no meta"]

mutation = st.tuples(
    st.sampled_from(["flip", "set", "cut", "insert", "copy", "truncate", "zero"]),
    st.floats(0, 1),
    st.integers(0, 255),
    st.integers(1, 40),
)


@cache
def _study(kind: str) -> tuple[tuple[str, bytes], ...]:
    """Return the files of one small good study."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if kind == "enhanced":
            save(enhanced(4), folder / "e.dcm")
        elif kind.startswith("nifti"):
            write_nifti(folder / f"a.{kind.replace('nifti', 'nii')}", volume_of(4))
        elif kind == "rle":
            for k in range(4):
                dataset = ct_slice(k, syntax="1.2.840.10008.1.2.5")
                stored = np.frombuffer(dataset.PixelData, "<u2")
                dataset.PixelData = encapsulate([_rle(stored)])
                dataset["PixelData"].is_undefined_length = True
                save(dataset, folder / f"{k}.dcm")
        elif kind == "zip":
            packed = io.BytesIO()
            write_series(folder / "in", 4)
            with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
                for file in sorted((folder / "in").iterdir()):
                    archive.write(file, f"x/{file.name}")
            shutil.rmtree(folder / "in")
            (folder / "s.zip").write_bytes(packed.getvalue())
        else:
            syntax = {"implicit": "1.2.840.10008.1.2", "deflated": "1.2.840.10008.1.2.1.99"}
            write_series(folder, 4, syntax=syntax.get(kind, "1.2.840.10008.1.2.1"))
        files = [(f.name, f.read_bytes()) for f in sorted(folder.iterdir())]
    if kind == "no meta":
        files = [(n, d[132 + 12 + int.from_bytes(d[140:144], "little") :]) for n, d in files]
    return tuple(files)


def _rle(stored: np.ndarray) -> bytes:
    """Encode without compression: literal runs of one byte plane after the other."""
    planes = []
    for plane in ((stored >> 8).astype(np.uint8).tobytes(), (stored & 255).astype(np.uint8).tobytes()):
        runs = [plane[i : i + 128] for i in range(0, len(plane), 128)]
        planes.append(b"".join(bytes([len(run) - 1]) + run for run in runs))
    offsets = [2, 64, 64 + len(planes[0])] + [0] * 13
    return np.array(offsets, "<u4").tobytes() + planes[0] + planes[1]


def _mutate(data: bytes, changes: list[tuple[str, float, int, int]]) -> bytes:
    out = bytearray(data)
    for what, where, value, length in changes:
        at = int(where * max(len(out) - 1, 0))
        if what == "truncate":
            del out[at:]
        elif what == "cut":
            del out[at : at + length]
        elif what == "insert":
            out[at:at] = bytes([value]) * length
        elif what == "copy":
            out[at:at] = out[at : at + length]
        elif what == "zero":
            out[at : at + length] = bytes(len(out[at : at + length]))
        elif out:
            out[at] = out[at] ^ (1 << value % 8) if what == "flip" else value
    return bytes(out)


def _open(path: Path, allow_gaps: bool) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        problem: HepacalcError | None = None
        try:
            volume, choice = open_study(path, allow_gaps=allow_gaps)
        except HepacalcError as error:
            problem = error
    if problem is not None:
        assert "Nobody" not in str(problem)
        assert "SECRET" not in str(problem)
        assert problem.hint
        return
    assert isinstance(volume, Volume)
    assert volume.hu.shape == volume.geometry.shape
    assert volume.hu.dtype in (np.int16, np.float32)
    assert np.isfinite(volume.hu).all()
    assert np.isfinite(volume.geometry.affine).all()
    assert choice.chosen.instances >= 3


@pytest.mark.parametrize("kind", KINDS)
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=SEEDED,
)
@given(which=st.integers(0, 3), changes=st.lists(mutation, min_size=1, max_size=4), allow_gaps=st.booleans())
def test_mutated_bytes(
    kind: str,
    capfd: pytest.CaptureFixture[str],
    which: int,
    changes: list[tuple[str, float, int, int]],
    allow_gaps: bool,
) -> None:
    files = _study(kind)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number, (base, data) in enumerate(files):
            (folder / base).write_bytes(_mutate(data, changes) if number == which % len(files) else data)
        _open(folder / files[0][0] if len(files) == 1 else folder, allow_gaps)
        if kind.startswith("nifti"):
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                with contextlib.suppress(HepacalcError):
                    read_nifti_labels(folder / files[0][0])
    assert capfd.readouterr() == ("", "")


@settings(max_examples=EXAMPLES, deadline=None, derandomize=SEEDED)
@given(data=st.binary(max_size=400), start=st.sampled_from([b"", b"\0" * 128 + b"DICM", b"PK\x03\x04", b"\x1f\x8b"]))
def test_random_bytes(data: bytes, start: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        for suffix in ("", ".nii", ".nii.gz", ".zip"):
            path = Path(name, f"f{suffix}")
            path.write_bytes(start + data)
            with pytest.raises(HepacalcError):
                open_study(path)
