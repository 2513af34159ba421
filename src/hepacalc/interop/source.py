"""What our DICOM objects take from the scan: whose it is, which study, and where each slice lies.

Only what is needed is taken over, and only where it is valid. Nothing about spacing is: it is computed from
ImagePositionPatient (a stale SpacingBetweenSlices makes a segmentation unreadable as a volume, and no validator
notices).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence

from hepacalc.errors import GridMismatch, OtherStudy, UsageError
from hepacalc.geometry import Geometry
from hepacalc.interop.identity import derived_uid
from hepacalc.records import Assessment
from hepacalc.study.slices import shown_uid

__all__ = ["Frame", "Source", "source_of"]

_DATE, _TIME = re.compile(r"\d{8}"), re.compile(r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?")
_AGE = re.compile(r"\d{3}[DWMY]")


@dataclass(frozen=True, eq=False, slots=True)
class Frame:
    """One slice of the scan: its header, and its frame number from 1 in a multi-frame image (else None)."""

    header: Dataset
    number: int | None
    position: tuple[float, float, float]


@dataclass(frozen=True, eq=False, slots=True)
class Source:
    """The scan's headers, cleaned, one frame for each slice of ``geometry``.

    Args:
        frames: in the order of array axis 0 of ``geometry``.
        geometry: grid of the files (sheared where the gantry was tilted).
        thickness_mm: SliceThickness, or else the distance of the slices.
        step_mm: distance of the slice planes along their normal.
    """

    frames: tuple[Frame, ...]
    geometry: Geometry
    thickness_mm: float
    step_mm: float

    @property
    def header(self) -> Dataset:
        """Header of the first slice: patient, study, frame of reference."""
        return self.frames[0].header

    @property
    def is_multiframe(self) -> bool:
        """Whether the scan is one multi-frame image."""
        return self.frames[0].number is not None


def source_of(assessment: Assessment, datasets: Sequence[Dataset]) -> Source:
    """Match the headers of a scan with the grid that was assessed.

    Args:
        assessment: read from these images, or from a stored assessment of them.
        datasets: headers of the images (pixel data is not needed), in any order; images that were not assessed may be
            among them.

    Raises:
        UsageError: the assessed scan was no DICOM.
        OtherStudy: the images are of another study or series.
        GridMismatch: a slice is missing, or lies elsewhere.
    """
    known = assessment.acquisition
    if not datasets:
        raise UsageError(
            "DICOM objects need the DICOM images that were assessed, and there are none.",
            hint="Give the study with --study; a NIfTI file has no DICOM headers.",
        )
    # several stacks of one series carry its UID with a mark
    series = (known.series_instance_uid or "").split("#")[0]
    for what, wanted in (("StudyInstanceUID", known.study_instance_uid), ("SeriesInstanceUID", series)):
        found = {str(d.get(what, "")) for d in datasets}
        if wanted and wanted not in found:
            shown = ", ".join(sorted(shown_uid(uid) for uid in found)[:3])
            raise OtherStudy(
                f"the assessment is of {what} {wanted}, the images are of {shown}.",
                hint="Give the study that was assessed.",
            )
    own = [d for d in datasets if not series or str(d.get("SeriesInstanceUID", "")) == series]
    geometry = assessment.volume.source_geometry or assessment.geometry
    frames = _matched(own, geometry)
    normal = np.cross(geometry.affine[:3, 2], geometry.affine[:3, 1])
    step = abs(float(geometry.affine[:3, 0] @ normal)) / float(np.linalg.norm(normal))
    thickness = known.slice_thickness_mm or step
    return Source(_cleaned(frames, thickness), geometry, thickness, step)


def _matched(datasets: Sequence[Dataset], geometry: Geometry) -> tuple[Frame, ...]:
    """Return one frame for each slice of the grid."""
    places: dict[int, Frame] = {}
    count = geometry.shape[0]
    for dataset in datasets:
        for number, position in _positions(dataset):
            k = float(geometry.to_index(position)[0])
            near = round(k)
            if 0 <= near < count and near not in places and abs(k - near) < 0.3:
                places[near] = Frame(dataset, number, position)
    missing = [k for k in range(count) if k not in places]
    if missing:
        raise GridMismatch(
            f"the assessment has {count} slices, of which the images given lack {len(missing)} (first: slice "
            f"{missing[0] + 1} at {_shown(geometry, missing[0])} mm).",
            hint="Give all images of the series that was assessed.",
        )
    return tuple(places[k] for k in range(count))


def _shown(geometry: Geometry, k: int) -> str:
    return ", ".join(f"{v:.1f}" for v in geometry.to_world((k, 0, 0)))


def _positions(dataset: Dataset) -> list[tuple[int | None, tuple[float, float, float]]]:
    """Return frame number and ImagePositionPatient of each frame of an image."""
    groups = dataset.get("PerFrameFunctionalGroupsSequence")
    if groups is None:
        return [(None, _point(dataset))]
    shared = dataset.get("SharedFunctionalGroupsSequence") or [Dataset()]
    found: list[tuple[int | None, tuple[float, float, float]]] = []
    for number, group in enumerate(groups, 1):
        found.append((number, _point(_macro(group, shared[0], "PlanePositionSequence"))))
    return found


def _point(item: Dataset) -> tuple[float, float, float]:
    x, y, z = (float(v) for v in item.ImagePositionPatient)
    return x, y, z


def _cleaned(frames: Sequence[Frame], thickness_mm: float) -> tuple[Frame, ...]:
    """Return the frames with headers of what our objects take over; of every slice but the first only its place."""
    common = _common(frames[0].header, thickness_mm)
    if frames[0].number is not None:
        _place_frames(frames, thickness_mm, common)
        _name(frames[0].header, common)
        return tuple(Frame(common, f.number, f.position) for f in frames)
    out = []
    for frame in frames:
        header = Dataset()
        header.update(common)
        _name(frame.header, header)
        header.ImagePositionPatient = list(frame.position)
        out.append(Frame(header, None, frame.position))
    return tuple(out)


def _name(dataset: Dataset, out: Dataset) -> None:
    out.SOPClassUID = str(dataset.get("SOPClassUID", ""))
    out.SOPInstanceUID = str(dataset.get("SOPInstanceUID", ""))


def _common(dataset: Dataset, thickness_mm: float) -> Dataset:
    """Return the part of a header that all slices share, as far as it is valid."""
    out = Dataset()
    out.SpecificCharacterSet = "ISO_IR 192"
    for name in ("StudyInstanceUID", "SeriesInstanceUID"):
        setattr(out, name, str(dataset.get(name, "")))
    # a scan without a frame of reference is one of its own
    frame = str(dataset.get("FrameOfReferenceUID") or "")
    out.FrameOfReferenceUID = frame or derived_uid("frame of reference", out.SeriesInstanceUID)
    out.PositionReferenceIndicator = str(dataset.get("PositionReferenceIndicator") or "")
    for name in ("PatientID", "AccessionNumber", "StudyID", "StudyDescription"):
        setattr(out, name, str(dataset.get(name) or "").strip()[: 16 if name in ("AccessionNumber", "StudyID") else 64])
    for name in ("PatientName", "ReferringPhysicianName"):
        setattr(out, name, str(dataset.get(name) or ""))
    for name, form in (("PatientBirthDate", _DATE), ("StudyDate", _DATE), ("StudyTime", _TIME), ("PatientAge", _AGE)):
        value = str(dataset.get(name) or "").strip()
        if form.fullmatch(value) or name != "PatientAge":
            setattr(out, name, value if form.fullmatch(value) else "")
    sex = str(dataset.get("PatientSex") or "").strip().upper()
    out.PatientSex = sex if sex in ("M", "F", "O") else ""
    if str(dataset.get("PatientIdentityRemoved") or "").strip().upper() == "YES":
        out.PatientIdentityRemoved = "YES"
        out.DeidentificationMethod = dataset.get("DeidentificationMethod") or "not stated in the source images"
    out.Modality = "CT"
    out.Rows, out.Columns = int(dataset.Rows), int(dataset.Columns)
    if "PerFrameFunctionalGroupsSequence" not in dataset:
        out.ImageOrientationPatient = [float(v) for v in dataset.ImageOrientationPatient]
        out.PixelSpacing = [float(v) for v in dataset.PixelSpacing]
        out.SliceThickness = float(thickness_mm)
    return out


def _place_frames(frames: Sequence[Frame], thickness_mm: float, out: Dataset) -> None:
    """Take over where the frames of a multi-frame image lie, without any statement about the distance of slices."""
    dataset = frames[0].header
    groups = dataset.PerFrameFunctionalGroupsSequence
    used = groups[(frames[0].number or 1) - 1]
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
    out.NumberOfFrames = len(groups)
    measures, orientation, common = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing = [float(v) for v in _macro(used, shared, "PixelMeasuresSequence").PixelSpacing]
    measures.SliceThickness = float(thickness_mm)
    plane = _macro(used, shared, "PlaneOrientationSequence")
    orientation.ImageOrientationPatient = [float(v) for v in plane.ImageOrientationPatient]
    common.PixelMeasuresSequence = DicomSequence([measures])
    common.PlaneOrientationSequence = DicomSequence([orientation])
    out.SharedFunctionalGroupsSequence = DicomSequence([common])
    places = []
    for group in groups:
        position, place = Dataset(), Dataset()
        position.ImagePositionPatient = list(_point(_macro(group, shared, "PlanePositionSequence")))
        place.PlanePositionSequence = DicomSequence([position])
        places.append(place)
    out.PerFrameFunctionalGroupsSequence = DicomSequence(places)


def _macro(group: Dataset, shared: Dataset, name: str) -> Dataset:
    """Return the first item of a functional group macro, per frame or shared."""
    first: Dataset = (group.get(name) or shared.get(name))[0]
    return first
