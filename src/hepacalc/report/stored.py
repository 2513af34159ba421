"""A stored assessment back into records: what ``assessment.json``, ``liver.nii.gz`` and ``foci.nii.gz`` say.

:func:`hepacalc.report.schema.document` of what is read is the document on disk, to the last digit.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hepacalc.errors import GeometryError, InputError, InvalidAssessment, LiverError, OtherStudy, UsageError
from hepacalc.followup.records import Comparison, StoredComparisons
from hepacalc.geometry import Geometry
from hepacalc.interop.uids import is_without_identity, mapped_uid
from hepacalc.reason.reasoning import Reasoning
from hepacalc.records import Acquisition, Assessment, Liver, LiverMask, NotMeasured, Run, Volume
from hepacalc.report.schema import SCHEMA_VERSION, document, load_schema
from hepacalc.study.nifti import guess_slice_axis, read_nifti_labels
from hepacalc.study.slices import shown_uid
from hepacalc.study.tilt import labels_from_source

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

__all__ = [
    "UnreadVolume", "assessment_of", "comparisons_from", "read_document", "read_stored", "reasoning_from",
    "record_from", "with_scan",
]  # fmt: skip

LARGEST_DOCUMENT = 256 * 2**20
_AGAIN = "Assess the study again."
_GRID_MM = 0.05
_LARGEST = 1e15
_LEAST_MM3 = 1e-9
_ARRAYS = ("volume", "liver_mask", "labels", "reasoning", "followup")


class UnreadVolume(Volume):
    """Grid and headers of a scan whose voxels were not read; asking for them is an error."""

    __slots__ = ()

    def __init__(self, geometry: Geometry, acquisition: Acquisition, source: Geometry | None, slice_axis: int) -> None:
        values = {"geometry": geometry, "acquisition": acquisition, "source_geometry": source, "slice_axis": slice_axis}
        for name, value in (values | {"sop_instance_uids": (), "transforms": ()}).items():
            object.__setattr__(self, name, value)

    @property
    def hu(self) -> NDArray[np.int16]:
        """No voxels are there.

        Raises:
            UsageError: always.
        """
        raise UsageError("the voxels of the scan are wanted, but only a stored assessment was read.",
                         hint="Give the scan with --study STUDY.")  # fmt: skip


def read_stored(folder: str | os.PathLike[str]) -> Assessment:
    """Read the folder that ``hepacalc assess`` wrote.

    Args:
        folder: with ``assessment.json``, ``liver.nii.gz`` and ``foci.nii.gz``.

    Returns:
        The assessment; its volume has no voxels (:class:`UnreadVolume`).

    Raises:
        InvalidAssessment: a file is missing, damaged or of another version, or the masks do not fit the document.
    """
    folder = Path(folder)
    doc = read_document(folder / "assessment.json")
    liver, liver_grid = _read_mask(folder / "liver.nii.gz")
    labels, labels_grid = _read_mask(folder / "foci.nii.gz")
    if not liver_grid.same_grid(labels_grid):
        raise _unfit("foci.nii.gz lies on another grid than liver.nii.gz")
    return assessment_of(doc, liver, labels, liver_grid)


def read_document(path: Path) -> dict[str, Any]:
    """Read ``assessment.json`` and check it by its schema.

    Raises:
        InvalidAssessment: it cannot be read, has another version, or breaks the schema.
    """
    try:
        size = path.stat().st_size
        text = path.read_text("utf-8") if size <= LARGEST_DOCUMENT else ""
    except OSError as fault:
        raise InvalidAssessment(
            f"{path.name} of a stored assessment cannot be read: {os.strerror(fault.errno or 0)}.",
            hint="Give the folder that `hepacalc assess -o` wrote.",
        ) from fault
    except UnicodeDecodeError as fault:
        raise InvalidAssessment(f"{path.name} is not UTF-8 text.", hint=_AGAIN) from fault
    if size > LARGEST_DOCUMENT:
        raise InvalidAssessment(f"{path.name} has {size} bytes; at most {LARGEST_DOCUMENT} are read.", hint=_AGAIN)
    try:
        doc = json.loads(text, parse_float=_finite, parse_constant=_finite, parse_int=_whole)
    except (ValueError, RecursionError) as fault:
        raise InvalidAssessment(f"{path.name} is no JSON document of finite numbers.", hint=_AGAIN) from fault
    version = doc.get("schema_version") if isinstance(doc, dict) else None
    if version != SCHEMA_VERSION:
        found = f"version {version[:20]!r}" if isinstance(version, str) else "no version"
        raise InvalidAssessment(
            f"{path.name} of version {SCHEMA_VERSION!r} is wanted, but it has {found}.", hint=_AGAIN
        )
    fault_ = next(_validator().iter_errors(doc), None)
    if fault_ is not None:
        place = "/".join(str(part) for part in fault_.absolute_path)
        rule = "/".join(str(part) for part in list(fault_.absolute_schema_path)[-2:])
        raise InvalidAssessment(f"{path.name} does not follow its schema at /{place} ({rule}).", hint=_AGAIN)
    checked: dict[str, Any] = doc
    return checked


def assessment_of(doc: dict[str, Any], liver: NDArray[Any], labels: NDArray[Any], grid: Geometry) -> Assessment:
    """Return the assessment that a document and its masks are of.

    Args:
        doc: as :func:`hepacalc.report.schema.document` makes it; follows the schema.
        liver: 0 and 1, ``(z, y, x)``.
        labels: focus ids, ``(z, y, x)``.
        grid: of both: that of the scan's files.

    Raises:
        InvalidAssessment: the masks do not fit the document, or parts of it contradict each other.
    """
    hints = get_type_hints(Assessment)
    parts = {name: _decode(hints[name], doc[name]) for name in hints if name not in _ARRAYS}
    geometry, acquisition = parts["geometry"], parts["acquisition"]
    if abs(np.linalg.det(geometry.affine[:3, :3])) < _LEAST_MM3:
        raise _unfit("its grid has no volume")
    axis = 0 if acquisition.modality else guess_slice_axis(grid)
    tilted = grid.is_sheared and not geometry.same_grid(grid, tolerance_mm=_GRID_MM)
    try:
        if tilted:
            liver, labels = (labels_from_source(one, grid, geometry, axis) for one in (liver, labels))
    except GeometryError as fault:
        raise _unfit(f"its masks cannot be laid on the scan's grid: {fault.message}") from fault
    if liver.shape != geometry.shape or not (tilted or geometry.same_grid(grid, tolerance_mm=_GRID_MM)):
        raise _unfit(f"its masks lie on a grid of {_size(grid)}, the document speaks of {_size(geometry)} elsewhere")
    if liver.max() > 1:
        raise _unfit(f"liver.nii.gz holds label {int(liver.max())} beside 0 and 1")
    _check(parts, labels, grown=int(tilted))
    assessment = Assessment(
        **parts,
        volume=UnreadVolume(geometry, acquisition, grid if tilted else None, axis),
        liver_mask=_liver_mask(liver.astype(np.bool_), geometry, parts["liver"], parts["run"]),
        labels=labels.astype(np.uint16),
        reasoning=_decode(Reasoning, doc["reasoning"]) if "reasoning" in doc else None,
    )
    if document(assessment) != doc:
        raise _unfit("assessment.json was not written by this version of hepacalc: it does not read back as it stands")
    return assessment


def record_from(doc: dict[str, Any]) -> Assessment:
    """Return the assessment of a document without its masks: they are empty, on the scan's grid.

    Args:
        doc: from :func:`read_document`.
    """
    hints = get_type_hints(Assessment)
    parts = {name: _decode(hints[name], doc[name]) for name in hints if name not in _ARRAYS}
    geometry = parts["geometry"]
    return Assessment(
        **parts,
        volume=UnreadVolume(geometry, parts["acquisition"], None, 0),
        liver_mask=_liver_mask(np.broadcast_to(np.False_, geometry.shape), geometry, parts["liver"], parts["run"]),
        labels=np.broadcast_to(np.uint16(0), geometry.shape),
        reasoning=reasoning_from(doc["reasoning"]) if "reasoning" in doc else None,
    )


def reasoning_from(plain: dict[str, Any]) -> Reasoning:
    """Return the reasoning that plain JSON values, which follow the schema, are of."""
    found: Reasoning = _decode(Reasoning, plain)
    return found


def comparisons_from(doc: dict[str, Any]) -> StoredComparisons:
    """Return the comparisons of a ``comparison.json`` that this version wrote."""
    found, tracking = [], []
    for one in doc["comparisons"]:
        pairs = [pair for change in one["lesions"] for pair in change["foci"]]
        tracking.append({pair["prior"]: pair["tracking_uid"] for pair in pairs if pair["tracking_uid"]})
        lesions = [
            {**change, "foci": [[pair["prior"], pair["current"]] for pair in change["foci"]]}
            for change in one["lesions"]
        ]
        found.append(_decode(Comparison, {**one, "current": doc["current"], "lesions": lesions}))
    return StoredComparisons(tuple(found), tuple(tracking))


def with_scan(assessment: Assessment, volume: Volume, key: bytes | None = None) -> Assessment:
    """Return a stored assessment with its scan read again.

    Args:
        assessment: from :func:`read_stored`.
        volume: the scan.
        key: by which an assessment without identity was made.

    Raises:
        OtherStudy: it is another scan: another study, series or grid.
        UsageError: the assessment is without identity, and no key was given.
    """
    stored, found = assessment.acquisition, volume.acquisition
    hidden = is_without_identity(assessment)
    if hidden and key is None:
        raise UsageError(
            "the assessment is without identity, so nothing shows that the scan is the one that was assessed.",
            hint="Give the key that it was made with (--deidentify-key), or write all formats when assessing.",
        )

    def shown(uid: str) -> str:
        return mapped_uid(uid, key) if hidden and key is not None else uid

    for name, ours, theirs in (
        ("StudyInstanceUID", stored.study_instance_uid, found.study_instance_uid),
        ("SeriesInstanceUID", stored.series_instance_uid, found.series_instance_uid),
    ):
        if ours != (theirs and shown(theirs)):
            raise OtherStudy(
                f"The assessment is of {name} {shown_uid(ours)}, the scan has {shown_uid(theirs)}.",
                hint="Give the study that was assessed.",
            )
    if not assessment.geometry.same_grid(volume.geometry, tolerance_mm=_GRID_MM):
        raise OtherStudy(
            f"The assessment is of a grid of {_size(assessment.geometry)}, the scan has {_size(volume.geometry)}.",
            hint="Give the study that was assessed, with all its slices.",
        )
    return replace(assessment, volume=volume)


def _liver_mask(mask: NDArray[np.bool_], geometry: Geometry, liver: Liver, run: Run) -> LiverMask:
    """Return the liver mask with method and version apart, as they stand in ``run``."""
    method = dict(run.settings).get("segmenter", liver.method)
    return LiverMask(mask, geometry, method, dict(run.versions).get(method, ""), liver.confidence, liver.warnings)


def _check(parts: dict[str, Any], labels: NDArray[Any], *, grown: int) -> None:
    """Make sure that foci, lesions and the label map speak of the same things."""
    foci = {focus.id: focus for focus in parts["foci"]}
    lesions = {lesion.id for lesion in parts["lesions"]}
    if len(foci) != len(parts["foci"]) or len(lesions) != len(parts["lesions"]):
        raise _unfit("two of its foci or lesions have the same id")
    told = {(k, lesion.id) for lesion in parts["lesions"] for k in lesion.focus_ids}
    if told != {(focus.id, focus.lesion) for focus in foci.values() if focus.lesion is not None}:
        raise _unfit("its lesions and foci do not name each other")
    boxes = ndimage.find_objects(labels)
    drawn = {k for k, box in enumerate(boxes, 1) if box is not None}
    if drawn != set(foci):
        strange = sorted(drawn ^ set(foci))
        raise _unfit(
            f"foci.nii.gz holds {len(drawn)} foci, the document {len(foci)} (first that differs: {strange[0]})"
        )
    for k in drawn:
        edges = zip(boxes[k - 1], foci[k].box, strict=True)
        if any(s.start < low - grown or s.stop > high + grown for s, (low, high) in edges):
            raise _unfit(f"focus {k} lies elsewhere in foci.nii.gz than in the document")


def _read_mask(path: Path) -> tuple[NDArray[np.uint8] | NDArray[np.uint16], Geometry]:
    try:
        return read_nifti_labels(path)
    except (InputError, GeometryError, LiverError) as fault:
        raise _unfit(f"{path.name} cannot be used: {fault.message}") from fault


def _unfit(reason: str) -> InvalidAssessment:
    return InvalidAssessment(f"The stored assessment does not hold together: {reason}.", hint=_AGAIN)


def _size(grid: Geometry) -> str:
    corner = ", ".join(f"{v:.1f}" for v in grid.affine[:3, 3])
    spacing = " x ".join(f"{s:.3g}" for s in grid.spacing_mm)
    return f"{' x '.join(map(str, grid.shape))} voxels of {spacing} mm from ({corner})"


def _finite(text: str) -> float:
    value = float(text)
    if abs(value) > _LARGEST or math.isnan(value):
        raise ValueError(text)
    return value


def _whole(text: str) -> int:
    value = int(text)
    if abs(value) > _LARGEST:
        raise ValueError(text)
    return value


@cache
def _validator() -> Draft202012Validator:
    # half of the start of a process that reads no stored assessment would be this import
    from jsonschema import Draft202012Validator

    return Draft202012Validator(load_schema(), format_checker=Draft202012Validator.FORMAT_CHECKER)


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _decode(kind: Any, value: Any) -> Any:
    """Return plain JSON values as the records that ``kind`` names; they follow the schema."""
    if kind is Geometry:
        return Geometry(tuple(value["shape_zyx"]), np.array(value["affine_zyx_to_lps_mm"], float))
    if get_origin(kind) in (Union, UnionType):
        return _decode(_chosen(get_args(kind), value), value)
    if hasattr(kind, "__dataclass_fields__"):
        # a field that the schema does not require is left at its default
        return kind(**{name: _decode(hint, value[name]) for name, hint in _hints(kind).items() if name in value})
    if get_origin(kind) is dict:
        return {name: _decode(get_args(kind)[1], one) for name, one in value.items()}
    if get_origin(kind) is tuple:
        return tuple(_entries(get_args(kind), value))
    return value


def _chosen(kinds: tuple[Any, ...], value: Any) -> Any:
    """Return the one of several types that a value has."""
    if value is None:
        return NoneType
    if NotMeasured in kinds and set(value) == {"reason"}:
        return NotMeasured
    return next(kind for kind in kinds if kind not in (NotMeasured, NoneType))


def _entries(kinds: tuple[Any, ...], value: Any) -> Iterable[Any]:
    if kinds[-1:] != (Ellipsis,):
        return (_decode(kind, one) for kind, one in zip(kinds, value, strict=True))
    if isinstance(value, dict):
        # pairs of (name, value) are an object
        return ((name, _decode(get_args(kinds[0])[1], one)) for name, one in value.items())
    return (_decode(kinds[0], one) for one in value)
