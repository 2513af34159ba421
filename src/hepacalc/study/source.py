"""The headers of the images that a volume was made of, for objects that must refer to them."""

from __future__ import annotations

from pathlib import Path
from uuid import NAMESPACE_OID, uuid5

import pydicom
from pydicom.uid import CTImageStorage

from hepacalc.errors import DamagedFile, OtherStudy
from hepacalc.records import Volume
from hepacalc.study.archive import opened
from hepacalc.study.guard import parsing
from hepacalc.study.scan import scan_files
from hepacalc.study.slices import Slice, shown_uid

__all__ = ["read_headers"]

_SAME_VOXEL = 0.3


def read_headers(path: Path | str, volume: Volume) -> tuple[pydicom.Dataset, ...]:
    """Return the headers of a volume's source images, without pixel data.

    Args:
        path: the study, as for :func:`hepacalc.study.open_study`.
        volume: what was read from it.

    Returns:
        One data set for each file in slice order; none for NIfTI. They hold the identity of the patient. Where a file
        lacks UIDs (some archives empty them), it gets those of its file meta information, or made-up ones that are the
        same every time.

    Raises:
        OtherStudy: an image of the volume is not there any more.
        DamagedFile: a header cannot be read.
    """
    wanted = tuple(dict.fromkeys(volume.sop_instance_uids))
    if not wanted:
        return ()
    with opened(path) as folder:
        series = volume.acquisition.series_instance_uid
        slices = [one for one in scan_files(folder).slices if (one.head.series_uid or None) == series]
        keys: tuple[str | int, ...] = wanted
        found: dict[str | int, Path] = {}
        if "" in wanted:
            keys, found = tuple(range(len(volume.sop_instance_uids))), _by_place(slices, volume)
        for one in slices:
            found.setdefault(one.head.sop_uid, one.head.path)
        missing = [key for key in keys if key not in found]
        if missing:
            what = missing[0] if isinstance(missing[0], int) else shown_uid(missing[0])
            raise OtherStudy(
                f"Image {what} of series {shown_uid(series)} was measured, but is not there.",
                hint="Give the study as it was when it was assessed.",
            )
        files = dict.fromkeys(found[key] for key in keys)
        damaged = DamagedFile(f"A header of series {shown_uid(series)} cannot be read.", hint="Copy the files again.")
        with parsing(damaged):
            return tuple(_named(pydicom.dcmread(file, stop_before_pixels=True, force=True)) for file in files)


def _by_place(slices: list[Slice], volume: Volume) -> dict[str | int, Path]:
    """Return the files of a scan without UIDs by the number of their slice."""
    geometry = volume.source_geometry or volume.geometry
    found: dict[str | int, Path] = {}
    for one in slices:
        k, y, x = (float(v) for v in geometry.to_index(one.position))
        if max(abs(k - round(k)), abs(y), abs(x)) < _SAME_VOXEL and 0 <= round(k) < geometry.shape[0]:
            found.setdefault(round(k), one.head.path)
    return found


def _named(dataset: pydicom.Dataset) -> pydicom.Dataset:
    """Give a header the UIDs that it lacks."""
    meta = dataset.file_meta
    if not dataset.get("SOPClassUID"):
        dataset.SOPClassUID = str(meta.get("MediaStorageSOPClassUID") or CTImageStorage)
    if not dataset.get("SOPInstanceUID"):
        place = str(dataset.get("ImagePositionPatient"))
        dataset.SOPInstanceUID = str(meta.get("MediaStorageSOPInstanceUID") or "") or _made_up("image", dataset, place)
    for name in ("StudyInstanceUID", "SeriesInstanceUID"):
        if not dataset.get(name):
            setattr(dataset, name, _made_up(name, dataset))
    return dataset


def _made_up(kind: str, dataset: pydicom.Dataset, *more: str) -> str:
    """Return a UID from what tells one scan from another where no UID does."""
    names = ("FrameOfReferenceUID", "StudyDate", "StudyTime", "PatientID", "SeriesTime", "SeriesDescription")
    words = "\0".join([kind, *(str(dataset.get(name) or "") for name in names), *more])
    return f"2.25.{uuid5(NAMESPACE_OID, words).int}"
