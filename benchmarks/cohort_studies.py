"""Small studies for the benchmark and the tests of cohorts: a few phantoms of a child's size, varied cheaply; and ten
ways of being broken, each with the code of the error that must come of it.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
from pydicom.dataset import Dataset

from hepacalc.geometry import Geometry
from hepacalc.phantom import make_patient
from hepacalc.phantom.patient import Phantom
from hepacalc.phantom.write import write_dicom_series

SCALE = 0.62
"""A body of this size: a fifth of the voxels, and still a liver that the network finds."""
SPACING_MM = (6.0, 5.0, 5.0)
VARIANTS_NOISE_HU = 3.0


@cache
def base(seed: int) -> Phantom:
    """A small patient, some 28 slices of 80 x 80 pixels."""
    made = make_patient(seed, spacing_mm=SPACING_MM, mimics=(), z_range_mm=(-170.0, 0.0), table=False)
    affine = made.volume.geometry.affine.copy()
    affine[:3] *= SCALE
    volume = replace(
        made.volume,
        geometry=Geometry(made.volume.geometry.shape, affine),
        acquisition=replace(made.volume.acquisition, slice_thickness_mm=SPACING_MM[0] * SCALE),
    )
    return replace(made, volume=volume)


def slices(seed: int, folder: Path) -> list[Dataset]:
    """The images of a small patient, written once to ``folder``."""
    place = folder / f"base-{seed}"
    if not place.is_dir():
        write_dicom_series(base(seed), place)
    return [pydicom.dcmread(file) for file in sorted(place.iterdir())]


def varied(images: list[Dataset], number: int) -> Iterator[Dataset]:
    """The same patient on another day: other noise, UIDs, date, age and sex."""
    rng = np.random.default_rng([7, number])
    for k, image in enumerate(images):
        pixels = image.pixel_array + np.rint(rng.normal(0, VARIANTS_NOISE_HU, image.pixel_array.shape))
        image.PixelData = pixels.clip(0, 4095).astype(image.pixel_array.dtype).tobytes()
        image.StudyInstanceUID, image.SeriesInstanceUID = f"2.25.{number + 1}", f"2.25.{number + 1}.1"
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = f"2.25.{number + 1}.1.{k + 1}"
        image.StudyDate = f"{2015 + number % 8}0101"
        image.SliceThickness = SPACING_MM[0] * SCALE
        image.PatientAge, image.PatientSex = f"{20 + number % 70:03d}Y", "FM"[number % 2]
        yield image


def write(images: Iterator[Dataset] | list[Dataset], folder: Path) -> Path:
    """Write images to a folder."""
    folder.mkdir(parents=True)
    for k, image in enumerate(images):
        image.save_as(folder / f"{k:03d}.dcm", enforce_file_format=True)
    return folder


def _nothing(folder: Path, _images: list[Dataset]) -> None:
    folder.mkdir()


def _garbage(folder: Path, _images: list[Dataset]) -> None:
    folder.mkdir()
    (folder / "0.dcm").write_bytes(np.random.default_rng(list(folder.name.encode())).bytes(5000))


def _magnetic(folder: Path, images: list[Dataset]) -> None:
    for image in images:
        image.Modality = "MR"
        image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
    write(images, folder)


def _cut_off(folder: Path, images: list[Dataset]) -> None:
    write(images, folder)
    for file in folder.iterdir():
        data = file.read_bytes()
        file.write_bytes(data[: len(data) // 2])


def _gap(folder: Path, images: list[Dataset]) -> None:
    write([*images[:9], *images[12:]], folder)


def _two(folder: Path, images: list[Dataset]) -> None:
    write(images[:2], folder)


def _scout(folder: Path, images: list[Dataset]) -> None:
    images[0].ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    write(images[:1], folder)


def _zip_cut_off(folder: Path, images: list[Dataset]) -> None:
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for k, image in enumerate(images):
            archive.writestr(f"{k}", image.PixelData)
    path.write_bytes(path.read_bytes()[:-200])


def _not_finite(folder: Path, images: list[Dataset]) -> None:
    hu = np.zeros((20, 20, 20), np.float32)
    hu[3] = np.nan
    hu[0, 0, 0] = float(str(images[0].StudyInstanceUID).rpartition(".")[2])
    nib.save(nib.Nifti1Image(hu, np.diag([2.0, 2, 2, 1])), folder.with_suffix(".nii.gz"))


def _no_liver(folder: Path, images: list[Dataset]) -> None:
    """All soft tissue turned into fat."""
    for image in images:
        hu = image.pixel_array.astype(int) + int(image.RescaleIntercept)
        hu[(hu > -20) & (hu < 250)] = -100
        image.PixelData = (hu - int(image.RescaleIntercept)).astype(image.pixel_array.dtype).tobytes()
    write(images, folder)


BROKEN: tuple[tuple[str, str, Callable[[Path, list[Dataset]], None]], ...] = (
    ("empty folder", "IN-02", _nothing),
    ("no DICOM", "IN-02", _garbage),
    ("MR", "IN-03", _magnetic),
    ("files cut off", "IN-06", _cut_off),
    ("slices missing", "GEO-03", _gap),
    ("two slices", "GEO-01", _two),
    ("scout only", "IN-02", _scout),
    ("zip cut off", "IN-06", _zip_cut_off),
    ("NaN", "IN-08", _not_finite),
    ("no liver", "LIV-01", _no_liver),
)
"""Ways of being broken: name, code of the error, what makes it."""


def make_cohort(root: Path, studies: int, *, patients: int = 20, broken: int | None = None) -> dict[str, str]:
    """Write a cohort under ``root`` and return the code that each broken study must end with, by its path.

    Args:
        root: new folder.
        studies: how many, broken ones included.
        patients: different bodies behind them.
        broken: how many are broken; None: one in twenty.
    """
    bad = studies // 20 if broken is None else broken
    bases = root.with_name(root.name + "-bases")
    expected = {}
    root.mkdir(parents=True)
    for number in range(studies):
        images = list(varied(slices(1 + number % patients, bases), number))
        if number < studies - bad:
            write(images, root / f"site-{number % 4}" / f"study-{number:05d}")
            continue
        _, code, make = BROKEN[number % len(BROKEN)]
        make(root / f"bad-{number:05d}", images)
        made = next(path for path in root.iterdir() if path.name.startswith(f"bad-{number:05d}"))
        expected[made.name] = code
    return expected
