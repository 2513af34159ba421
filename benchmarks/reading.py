"""DICOM folder to HU volume: our reader against SimpleITK's series reader, by transfer syntax.

``rows()`` gives one row a syntax: our time over SimpleITK's, the median of paired runs on the same folder in the
same process. SimpleITK's time includes ``GetGDCMSeriesFileNames``, as ours includes the scan of the folder.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import gdcm
import numpy as np
import pydicom
import SimpleITK as sitk  # noqa: N813 - its customary name
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from scipy import ndimage

from hepacalc.study import open_study

SYNTAXES = {
    "explicit little endian": "1.2.840.10008.1.2.1",
    "implicit little endian": "1.2.840.10008.1.2",
    "deflated": "1.2.840.10008.1.2.1.99",
    "RLE": "1.2.840.10008.1.2.5",
    "JPEG lossless": "1.2.840.10008.1.2.4.70",
    "JPEG-LS": "1.2.840.10008.1.2.4.80",
    "JPEG 2000": "1.2.840.10008.1.2.4.90",
}
_COMPRESSED = ("RLE", "JPEG lossless", "JPEG-LS", "JPEG 2000")
_DISTINCT = 6


def rows(slices: int = 100, runs: int = 3) -> list[dict[str, Any]]:
    """Return one row a transfer syntax: the ratio of our time to SimpleITK's, at most 1 wanted."""
    found = []
    for name, uid in SYNTAXES.items():
        with tempfile.TemporaryDirectory() as folder:
            write_series(Path(folder), name, uid, slices)
            ours, theirs, same = _pairs(folder, runs)
        row: dict[str, Any] = {
            "name": f"folder to HU volume, {name}, {slices} slices: time over SimpleITK",
            "value": None if theirs is None else round(ours / theirs, 3),
            "unit": "1",
            "target": "<= 1.0",
            "ok": theirs is None or (same and ours <= theirs),
            "seconds": round(ours, 3),
            "seconds_simpleitk": None if theirs is None else round(theirs, 3),
        }
        if theirs is None:
            row["note"] = "SimpleITK cannot read this syntax"
        elif not same:
            row["note"] = "the voxels differ"
        found.append(row)
    return found


def write_series(folder: Path, name: str, uid: str, slices: int) -> None:
    """Write a series of smooth tissue with noise; ``_DISTINCT`` different slices, over and over."""
    rng = np.random.default_rng(7)
    pixels = []
    for _ in range(_DISTINCT):
        smooth = ndimage.gaussian_filter(rng.normal(0, 1, (512, 512)), 12) * 1500
        noise = ndimage.gaussian_filter(rng.normal(0, 1, (512, 512)), 0.7) * 30
        pixels.append(np.clip(smooth + noise + 1064, 0, 4095).astype(np.uint16))
    values = [_compressed(p, uid) if name in _COMPRESSED else p.tobytes() for p in pixels]
    series = pydicom.uid.generate_uid(entropy_srcs=["hepacalc benchmark", name])
    for k in range(slices):
        dataset = _slice(k, series, values[k % _DISTINCT], uid)
        dataset["PixelData"].is_undefined_length = name in _COMPRESSED
        dataset.save_as(folder / f"{k:04d}.dcm", enforce_file_format=True)


def _slice(k: int, series: str, data: bytes, uid: str) -> Dataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    meta.MediaStorageSOPInstanceUID = f"{series}.{k}"[:64]
    meta.TransferSyntaxUID = uid
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID = meta.MediaStorageSOPClassUID
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.Modality = "CT"
    dataset.StudyInstanceUID = f"{series[:50]}.1"
    dataset.SeriesInstanceUID = f"{series[:50]}.2"
    dataset.InstanceNumber = k + 1
    dataset.ImagePositionPatient = [-180.0, -180.0, 1.0 * k]
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.PixelSpacing = [0.7, 0.7]
    dataset.SliceThickness = 1.0
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows = dataset.Columns = 512
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, -1024
    # as many private elements as a scanner writes
    dataset.private_block(0x0009, "HEPACALC BENCH", create=True)
    for element in range(100):
        dataset.private_block(0x0009, "HEPACALC BENCH").add_new(element, "LO", f"value {element}")
    dataset.PixelData = data
    dataset["PixelData"].VR = "OW"
    return dataset


def _compressed(pixels: np.ndarray[Any, Any], uid: str) -> bytes:
    """Return encapsulated pixel data, encoded by GDCM."""
    with tempfile.TemporaryDirectory() as folder:
        plain, packed = Path(folder, "plain.dcm"), Path(folder, "packed.dcm")
        _slice(0, "1.2.3", pixels.tobytes(), "1.2.840.10008.1.2.1").save_as(plain, enforce_file_format=True)
        reader = gdcm.ImageReader()
        reader.SetFileName(str(plain))
        assert reader.Read()
        change = gdcm.ImageChangeTransferSyntax()
        change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(uid)))
        change.SetInput(reader.GetImage())
        assert change.Change()
        writer = gdcm.ImageWriter()
        writer.SetFileName(str(packed))
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        assert writer.Write()
        return bytes(pydicom.dcmread(packed).PixelData)


def _pairs(folder: str, runs: int) -> tuple[float, float | None, bool]:
    """Return the median of our seconds and of SimpleITK's, and whether the voxels agree."""
    ours, theirs = [], []
    same = True
    for run in range(runs + 1):
        start = time.perf_counter()
        volume, _ = open_study(folder)
        middle = time.perf_counter()
        other = _simpleitk(folder)
        end = time.perf_counter()
        if other is None:
            return middle - start, None, True
        if run:  # the first run fills the file cache
            ours.append(middle - start)
            theirs.append(end - middle)
        same = same and bool(np.array_equal(volume.hu, sitk.GetArrayFromImage(other)))
    return statistics.median(ours), statistics.median(theirs), same


def _simpleitk(folder: str) -> sitk.Image | None:
    reader = sitk.ImageSeriesReader()
    names = reader.GetGDCMSeriesFileNames(folder)
    reader.SetFileNames(names)
    try:
        return reader.Execute()
    except RuntimeError:
        return None


def main() -> int:
    """Print the rows, one JSON object a line."""
    status = 0
    for row in rows():
        print(json.dumps(row))
        status |= not row["ok"]
    return status


if __name__ == "__main__":
    sys.exit(main())
