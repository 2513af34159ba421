"""Small DICOM and NIfTI studies for tests, written to a temporary folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import UID

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
EXPLICIT = "1.2.840.10008.1.2.1"
ROWS, COLUMNS = 16, 20


def picture(k: int, rows: int = ROWS, columns: int = COLUMNS) -> np.ndarray:
    """HU of slice ``k``: no two slices, rows or columns alike."""
    y, x = np.mgrid[:rows, :columns]
    return (-900 + 90 * k + 7 * y + 3 * x).astype(np.int16)


def ct_slice(k: int, **changes: Any) -> Dataset:
    """Slice ``k`` of an axial series with 2.5 mm steps; ``changes`` sets or (with None) removes elements."""
    hu = changes.pop("hu", None)
    hu = picture(k) if hu is None else hu
    syntax = changes.pop("syntax", EXPLICIT)
    signed = changes.get("PixelRepresentation", 0)
    slope, intercept = changes.get("RescaleSlope", 1), changes.get("RescaleIntercept", -1024)
    stored = np.rint((hu - (intercept or 0)) / (slope or 1)).astype("<i2" if signed else "<u2")
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CT_IMAGE
    meta.TransferSyntaxUID = UID(syntax)
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID = CT_IMAGE
    dataset.SOPInstanceUID = f"1.2.3.4.{k + 1}"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3", "1.2.3.4"
    dataset.FrameOfReferenceUID = "1.2.3.9"
    dataset.Modality = "CT"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.PatientName, dataset.PatientID = "Nobody^Secret", "SECRET-ID"
    dataset.KVP, dataset.SliceThickness, dataset.ConvolutionKernel = 120, 2.5, "B30f"
    dataset.InstanceNumber, dataset.AcquisitionNumber = k + 1, 1
    dataset.ImagePositionPatient = [-100.0, -80.0, 40.0 + 2.5 * k]
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.PixelSpacing = [0.8, 0.7]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = hu.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16 if signed else 12, 15 if signed else 11
    dataset.PixelRepresentation = signed
    dataset.RescaleSlope, dataset.RescaleIntercept = slope, intercept
    dataset.PixelData = stored.tobytes()
    for name, value in changes.items():
        if value is None:
            delattr(dataset, name)
        else:
            setattr(dataset, name, value)
    dataset["PixelData"].VR = "OW"
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return dataset


def save(dataset: Dataset, path: Path) -> Path:
    dataset.save_as(path, enforce_file_format=True)
    return path


def write_series(
    folder: Path,
    count: int = 6,
    *,
    name: str = "s",
    each: Callable[[int], dict[str, Any]] | None = None,
    **changes: Any,
) -> Path:
    """Write a series; ``each(k)`` gives the changes of slice ``k`` on top of ``changes``."""
    folder.mkdir(parents=True, exist_ok=True)
    for k in range(count):
        save(ct_slice(k, **(changes | (each(k) if each else {}))), folder / f"{name}{k:03d}.dcm")
    return folder


def enhanced(count: int = 5, **changes: Any) -> Dataset:
    """An enhanced multi-frame CT of the same slices."""
    dataset = ct_slice(0, PixelSpacing=None, ImagePositionPatient=None, ImageOrientationPatient=None, **changes)
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = ENHANCED_CT
    dataset.NumberOfFrames = count
    shared, measures, plane, scale = Dataset(), Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [0.8, 0.7], 2.5
    plane.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    scale.RescaleSlope, scale.RescaleIntercept, scale.RescaleType = 1, -1024, "HU"
    shared.PixelMeasuresSequence = DicomSequence([measures])
    shared.PlaneOrientationSequence = DicomSequence([plane])
    shared.PixelValueTransformationSequence = DicomSequence([scale])
    dataset.SharedFunctionalGroupsSequence = DicomSequence([shared])
    frames = []
    for k in range(count):
        frame, position = Dataset(), Dataset()
        position.ImagePositionPatient = [-100.0, -80.0, 40.0 + 2.5 * k]
        frame.PlanePositionSequence = DicomSequence([position])
        frames.append(frame)
    dataset.PerFrameFunctionalGroupsSequence = DicomSequence(frames)
    dataset.PixelData = b"".join((picture(k) + 1024).astype("<u2").tobytes() for k in range(count))
    dataset["PixelData"].VR = "OW"
    return dataset


def volume_of(count: int = 6) -> np.ndarray:
    """The HU that :func:`write_series` writes, ``(z, y, x)``."""
    return np.stack([picture(k) for k in range(count)])


def write_nifti(path: Path, zyx: np.ndarray, ras: np.ndarray | None = None, **header: Any) -> Path:
    """Write ``(z, y, x)`` as NIfTI with a RAS affine for ``(x, y, z)``."""
    affine = np.diag([-0.7, -0.8, 2.5, 1.0]) if ras is None else ras
    image = nib.Nifti1Image(zyx.transpose(2, 1, 0), affine)
    for key, value in header.items():
        image.header[key] = value
    nib.save(image, path)
    return path


def positions(count: int, step: Sequence[float]) -> list[list[float]]:
    """Positions of slices a constant step apart."""
    return [[-100.0 + k * step[0], -80.0 + k * step[1], 40.0 + k * step[2]] for k in range(count)]
