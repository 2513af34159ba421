"""A phantom on disk: DICOM series or NIfTI, the truth as JSON, the true liver and foci as masks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from hepacalc.errors import OutputError, UsageError
from hepacalc.folders import filled_aside
from hepacalc.phantom.foci import random_specs
from hepacalc.phantom.mimics import MIMICS
from hepacalc.phantom.patient import DEFAULT_MIMICS, Phantom, make_patient
from hepacalc.phantom.scanner import KernelName
from hepacalc.phantom.truth import Truth
from hepacalc.records import Volume
from hepacalc.study import write_mask_nifti

__all__ = ["generate", "write_dicom_series", "write_nifti", "write_truth"]

IMPLEMENTATION_UID = "2.25.208115720735137415018212811230411214893"
Format = Literal["dicom", "nifti"]


def write_dicom_series(phantom: Phantom, folder: Path | str) -> list[Path]:
    """Write a phantom as a CT Image Storage series, explicit VR little endian, one file a slice.

    The identity is plainly that of a phantom; all UIDs come from the seed and the arguments, dates are fixed, so the
    same phantom gives the same bytes (of one pydicom version).

    Args:
        phantom: what to write; rounded to int16.
        folder: made when it does not exist.

    Returns:
        The files, lowest slice first.

    Raises:
        OutputError: the folder cannot be written.
    """
    folder = Path(folder)
    volume = phantom.volume
    out = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for k, uid in enumerate(volume.sop_instance_uids):
            path = folder / f"slice-{k + 1:04d}.dcm"
            _slice(phantom, k, uid).save_as(path, enforce_file_format=True)
            out.append(path)
    except OSError as cause:
        raise _unwritable(cause) from cause
    return out


def write_nifti(phantom: Phantom, path: Path | str) -> None:
    """Write the scan of a phantom as NIfTI (``.nii`` or ``.nii.gz``), int16 HU.

    Raises:
        OutputError: the file cannot be written.
    """
    import nibabel as nib

    volume = phantom.volume
    ras = np.diag([-1.0, -1.0, 1.0, 1.0]) @ volume.geometry.affine[:, [2, 1, 0, 3]]
    image = nib.Nifti1Image(np.ascontiguousarray(volume.hu.transpose(2, 1, 0)), ras)
    image.set_qform(ras, code=1)
    image.set_sform(ras, code=1)
    image.header.set_xyzt_units("mm")
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        nib.save(image, path)
    except OSError as cause:
        raise _unwritable(cause) from cause


def write_truth(truth: Phantom | Truth, path: Path | str) -> None:
    """Write ``truth.json`` (see docs/reference/truth-json.md).

    Raises:
        OutputError: the file cannot be written.
    """
    content = truth.truth if isinstance(truth, Phantom) else truth
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(json.dumps(content.to_dict(), indent=1) + "\n", encoding="utf-8")
    except OSError as cause:
        raise _unwritable(cause) from cause


def generate(
    out_dir: Path | str,
    *,
    seed: int = 1,
    phase: str = "non-contrast",
    kvp: float = 120,
    slice_mm: float = 2.5,
    thickness_mm: float | None = None,
    pixel_mm: float = 0.8,
    matrix: int | None = None,
    noise_hu: float = 12.0,
    kernel: KernelName = "soft",
    foci: int | None = None,
    mimics: str = "usual",
    liver: str = "normal",
    format: Format = "dicom",
) -> Phantom:
    """Make a digital patient and write him to a folder.

    Writes ``dicom/slice-0001.dcm ...`` or ``scan.nii.gz``, ``truth.json``, ``truth-liver.nii.gz`` and
    ``truth-foci.nii.gz`` (labels = ``id``): all of them, or nothing.

    Args:
        out_dir: made when it does not exist; holds none of these yet.
        seed: draws everything that is random.
        phase: ``non-contrast``, ``arterial``, ``portal venous`` (or ``portal``) or ``delayed``.
        kvp: tube voltage in kV.
        slice_mm: slice spacing.
        thickness_mm: slice thickness; None: as the spacing.
        pixel_mm: pixel size.
        matrix: pixels a side; None: enough for 400 mm, at most 512.
        noise_hu: standard deviation of one voxel of liver.
        kernel: ``soft`` or ``sharp``.
        foci: how many random foci; None: a mixed set of ten.
        mimics: ``usual``, ``none``, ``all``, or names from :data:`hepacalc.phantom.MIMICS` with commas.
        liver: ``normal``, ``fatty``, ``iron`` or ``amiodarone``.
        format: ``dicom`` or ``nifti``.

    Raises:
        UsageError: arguments the phantom does not know, or no room for so many foci.
        OutputError: the folder cannot be written, or holds a phantom already.
    """
    if not 0.3 <= slice_mm <= 20 or not 0.2 <= pixel_mm <= 5 or not 0 <= noise_hu <= 300 or not 50 <= kvp <= 160:
        raise UsageError(
            f"wanted slices of 0.3-20 mm, pixels of 0.2-5 mm, noise of 0-300 HU and 50-160 kV, found {slice_mm} mm, "
            f"{pixel_mm} mm, {noise_hu} HU and {kvp} kV.",
            hint="Give values a scanner could have.",
        )
    if format not in ("dicom", "nifti") or kernel not in ("soft", "sharp"):
        raise UsageError(
            f"wanted format dicom or nifti and kernel soft or sharp, found {format!r} and {kernel!r}.",
            hint="Choose one of these.",
        )
    named = {"usual": DEFAULT_MIMICS, "none": (), "all": MIMICS}
    names = named.get(mimics) or tuple(part.strip() for part in mimics.split(",") if mimics != "none" and part.strip())
    specs = None if foci is None else random_specs(np.random.default_rng([seed, 7]), foci)
    with filled_aside(Path(out_dir)) as folder:
        phantom = make_patient(
            seed, phase=phase, kvp=kvp, spacing_mm=(slice_mm, pixel_mm, pixel_mm), slice_thickness_mm=thickness_mm,
            noise_hu=noise_hu, kernel=kernel, foci=specs, mimics=names, liver=liver, matrix=matrix,
        )  # fmt: skip
        if format == "dicom":
            write_dicom_series(phantom, folder / "dicom")
        else:
            write_nifti(phantom, folder / "scan.nii.gz")
        write_truth(phantom, folder / "truth.json")
        write_mask_nifti(phantom.liver, phantom.volume, folder / "truth-liver.nii.gz")
        write_mask_nifti(phantom.labels, phantom.volume, folder / "truth-foci.nii.gz")
    return phantom


def _unwritable(cause: OSError) -> OutputError:
    return OutputError(
        f"wanted to write a phantom, the system said: {cause.strerror or type(cause).__name__}.",
        hint="Check that the folder exists, may be written and has room.",
    )


def _slice(phantom: Phantom, k: int, uid: str) -> FileDataset:
    volume: Volume = phantom.volume
    known, truth = volume.acquisition, phantom.truth
    _, dy, dx = volume.geometry.spacing_mm
    x, y, z = (float(v) for v in volume.geometry.to_world((k, 0, 0)))
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = uid
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = IMPLEMENTATION_UID
    ds = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.SOPClassUID = CTImageStorage
    ds.SOPInstanceUID = uid
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = known.study_date or "20000101"
    ds.StudyTime = ds.SeriesTime = ds.AcquisitionTime = ds.ContentTime = "120000"
    ds.AccessionNumber = ""
    ds.Modality = "CT"
    ds.Manufacturer = "hepacalc"
    ds.ManufacturerModelName = "digital phantom"
    ds.ReferringPhysicianName = ""
    ds.StudyDescription = "SYNTHETIC PHANTOM, NOT A PATIENT"
    ds.SeriesDescription = known.series_description
    ds.PatientName = "PHANTOM^HEPACALC"
    ds.PatientID = f"PHANTOM-{truth.seed}"
    ds.PatientBirthDate = ""
    ds.PatientSex = "O"
    ds.PatientIdentityRemoved = "YES"
    ds.DeidentificationMethod = "synthetic image, no person"
    if known.contrast_bolus_agent:
        ds.ContrastBolusAgent = known.contrast_bolus_agent
    ds.BodyPartExamined = "ABDOMEN"
    ds.ScanOptions = "HELICAL MODE"
    ds.SliceThickness = _ds(truth.slice_thickness_mm)
    ds.KVP = _ds(truth.kvp or 120.0)
    ds.DataCollectionDiameter = 500
    ds.ReconstructionDiameter = _ds(dx * volume.hu.shape[2])
    ds.GantryDetectorTilt = 0
    ds.TableHeight = 150
    ds.RotationDirection = "CW"
    ds.ConvolutionKernel = known.convolution_kernel
    ds.PatientPosition = "HFS"
    ds.StudyInstanceUID = known.study_instance_uid
    ds.SeriesInstanceUID = known.series_instance_uid
    ds.StudyID = str(truth.seed)
    ds.SeriesNumber = 2
    ds.AcquisitionNumber = 1
    ds.InstanceNumber = k + 1
    ds.ImagePositionPatient = [_ds(x), _ds(y), _ds(z)]
    ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    ds.FrameOfReferenceUID = known.frame_of_reference_uid
    ds.PositionReferenceIndicator = ""
    ds.SliceLocation = _ds(z)
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Rows, ds.Columns = (int(n) for n in volume.hu.shape[1:])
    ds.PixelSpacing = [_ds(dy), _ds(dx)]
    ds.BitsAllocated = 16
    ds.BitsStored = 12
    ds.HighBit = 11
    ds.PixelRepresentation = 0
    ds.WindowCenter, ds.WindowWidth = 50, 350
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = -1024, 1, "HU"
    ds.PixelData = (volume.hu[k].astype(np.int32) + 1024).astype("<u2").tobytes()
    return ds


def _ds(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".")
