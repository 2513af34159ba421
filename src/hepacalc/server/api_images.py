"""REST: what viewers show of an assessment: its grid, single slices, and the surroundings of the liver as NIfTI."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Depends, Request
from numpy.typing import NDArray
from starlette.responses import JSONResponse, Response, StreamingResponse

from hepacalc.errors import NotThere, Unavailable
from hepacalc.geometry import Geometry
from hepacalc.server.access import assessment_of, need, note, note_look, site_of
from hepacalc.server.accounts import Identity
from hepacalc.server.database import now, writing
from hepacalc.server.jobs import Work, enqueue
from hepacalc.server.stored import read_json
from hepacalc.server.work.storing import LIVER_BIT, scan_name

__all__ = ["router"]

router = APIRouter(prefix="/api", tags=["assessments"])
Reader = Annotated[Identity, Depends(need("read"))]
Plane = Literal["axial", "coronal", "sagittal"]
VolumeName = Literal["scan.nii", "liver.nii", "foci.nii"]
MARGIN_MM = 30.0
"""So much around liver and foci is in the volumes."""
Box = tuple[slice, slice, slice]


@router.get("/assessments/{assessment_id}/view")
def get_view(request: Request, who: Reader, assessment_id: str) -> Response:
    """Grid of the viewer's arrays; 202 with a job while they are being made ready."""
    row, folder = assessment_of(request, who, assessment_id)
    if row["study_kind"] == "form":
        raise NotThere("there is no scan to look at.", hint="Read the answer.")
    if not all(path.is_file() for path in _arrays(request, row)):
        with writing(site_of(request).engine) as connection:
            work = Work("view", f"view:{assessment_id}:{int(now() // 60)}", study_id=row["study_id"], priority=20,
                        user_id=who.user_id, payload={"parent": assessment_id})  # fmt: skip
            job = enqueue(connection, work)
        return JSONResponse({"job_id": job}, 202)
    note(request, "scan.view", row["study_id"])
    return JSONResponse(read_json(folder / "view.json"))


@router.get("/assessments/{assessment_id}/scan/{plane}/{index}", response_class=Response)
def get_scan(request: Request, who: Reader, assessment_id: str, plane: Plane, index: int) -> Response:
    """One slice in HU: int16, little endian, rows from head or front, columns from the patient's right."""
    row, _ = assessment_of(request, who, assessment_id)
    note_look(request, "scan.view", row["study_id"])
    return _slice(_arrays(request, row)[0], plane, index)


@router.get("/assessments/{assessment_id}/labels/{plane}/{index}", response_class=Response)
def get_labels(request: Request, who: Reader, assessment_id: str, plane: Plane, index: int) -> Response:
    """One slice of masks: uint16, little endian; bit 15 is liver, the other bits are the id of a focus."""
    row, _ = assessment_of(request, who, assessment_id)
    note_look(request, "scan.view", row["study_id"])
    return _slice(_arrays(request, row)[1], plane, index)


@router.get("/assessments/{assessment_id}/volumes/{name}", response_class=StreamingResponse)
def get_volume(request: Request, who: Reader, assessment_id: str, name: VolumeName) -> Response:
    """Liver, foci and 3 cm around them as NIfTI, all three on one grid: HU, mask of the liver, ids of the foci."""
    row, folder = assessment_of(request, who, assessment_id)
    note_look(request, "scan.volume", row["study_id"])
    scan, labels = map(_array, _arrays(request, row))
    told = read_json(folder / "view.json")
    box = _box(_arrays(request, row)[1], tuple(told["spacing_mm"]))
    grid = Geometry(tuple(told["shape"]), np.array(told["affine"])).crop(box)
    cuts: dict[str, tuple[NDArray[Any], Callable[[NDArray[Any]], NDArray[Any]]]] = {
        "scan.nii": (scan, lambda plane: plane),
        "liver.nii": (labels, lambda plane: (plane & LIVER_BIT != 0).astype(np.uint8)),
        "foci.nii": (labels, lambda plane: plane & ~np.uint16(LIVER_BIT)),
    }
    return _nifti(cuts[name][0][box], grid, cuts[name][1])


def _nifti(array: NDArray[Any], grid: Geometry, value: Callable[[NDArray[Any]], NDArray[Any]]) -> Response:
    """Return a volume that is read, turned into what is shown, and sent slice by slice."""
    from hepacalc.study.nifti import nifti_head

    dtype = value(array[:1]).dtype
    head = nifti_head(grid, dtype)

    def parts() -> Iterator[bytes]:
        yield head
        for plane in array:
            yield np.ascontiguousarray(value(plane)).tobytes()

    length = len(head) + array.size * dtype.itemsize
    headers = {"content-length": str(length), "cache-control": "private, max-age=3600"}
    return StreamingResponse(parts(), media_type="application/octet-stream", headers=headers)


def _arrays(request: Request, row: Any) -> tuple[Path, Path]:
    store = site_of(request).store
    return store.cache(scan_name(row["study_id"], row["series_uid"])), store.cache(row["id"])


def _array(path: Path) -> NDArray[Any]:
    try:
        return _opened(path, path.stat().st_ino)
    except FileNotFoundError:
        raise Unavailable("the scan is not ready for viewing.", hint="Ask for its view first.") from None


@lru_cache(maxsize=32)
def _opened(path: Path, _inode: int) -> NDArray[Any]:
    array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return array


@lru_cache(maxsize=32)
def _box(labels: Path, spacing_mm: tuple[float, float, float]) -> Box:
    """Return what of an assessment's grid is in its volumes; all of it when neither liver nor focus was found."""
    array = _array(labels)
    seen = [np.zeros(count, np.bool_) for count in array.shape]
    for k, plane in enumerate(array):
        there = plane != 0
        seen[0][k] = there.any()
        seen[1] |= there.any(axis=1)
        seen[2] |= there.any(axis=0)
    if not seen[0].any():
        return slice(None), slice(None), slice(None)
    box = []
    for along, step in zip(seen, spacing_mm, strict=True):
        inside, reach = np.flatnonzero(along), round(MARGIN_MM / step)
        box.append(slice(max(int(inside[0]) - reach, 0), min(int(inside[-1]) + reach + 1, len(along))))
    return box[0], box[1], box[2]


def _slice(path: Path, plane: Plane, index: int) -> Response:
    array = _array(path)
    axis = {"axial": 0, "coronal": 1, "sagittal": 2}[plane]
    if not 0 <= index < array.shape[axis]:
        raise NotThere("there is no such slice.", hint=f"Ask for 0 to {array.shape[axis] - 1}.")
    cut = np.take(array, index, axis=axis)
    # the array runs from feet to head, a picture from head to feet
    cut = cut if plane == "axial" else cut[::-1]
    return Response(
        np.ascontiguousarray(cut).tobytes(),
        media_type="application/octet-stream",
        headers={"cache-control": "private, max-age=3600", "x-shape": f"{cut.shape[0]} {cut.shape[1]}"},
    )
