"""A liver mask that somebody else drew: NIfTI or DICOM SEG, brought onto the scan's grid."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepacalc.errors import DamagedFile, GridMismatch, HepacalcError, InvalidLiverMask, StudyNotFound
from hepacalc.geometry import Geometry
from hepacalc.liver.place import Placed, describe_grid, place_exactly, resample_nearest
from hepacalc.liver.seg_file import SegMask, is_segmentation, read_seg
from hepacalc.records import LiverMask, Volume
from hepacalc.study.nifti import read_nifti_labels

__all__ = ["place_seg", "read_liver_mask"]

_PLAUSIBLE_ML = (250.0, 6000.0)
_PLAUSIBLE_HU = (-30.0, 250.0)


def read_liver_mask(
    path: Path | str, volume: Volume, *, label: int | str | None = None, allow_resample: bool = False
) -> LiverMask:
    """Return the liver mask in ``path`` on ``volume.geometry``.

    A mask on the same grid is copied, also with axes in another order or direction, on a part of the
    slices, or on a sparse set of them. Nothing is interpolated unless ``allow_resample`` says so, or the
    scan itself was resampled on the way in (gantry tilt) and the mask lies on the grid of the file.

    Args:
        path: a NIfTI label file or a DICOM SEG (BINARY, FRACTIONAL or LABELMAP).
        volume: the scan.
        label: which label: a number (5 is the liver of TotalSegmentator), or for SEG a SegmentLabel too. None
            takes the only label, or the segment coded as liver (SNOMED CT 10200004, SRT T-62000).
        allow_resample: take a mask on another grid by nearest neighbour.

    Raises:
        StudyNotFound: the path is not a file.
        DamagedFile: it cannot be decoded.
        InvalidLiverMask: empty, continuous values, of another study, or several labels and none chosen.
        GridMismatch: on another grid or in another frame of reference.
    """
    path = Path(path)
    if not path.is_file():
        raise StudyNotFound(f"the liver mask {path.name!r} is not a file.", hint="Check the path of --liver-mask.")
    with _named(path):
        if is_segmentation(path):
            seg = read_seg(path, volume.acquisition, label=label)
            placed, warnings = place_seg(seg, volume, allow_resample)
            version, warnings = seg.version, (*seg.warnings, *warnings)
        else:
            values, grid = _read_labels(path)
            placed, warnings = _place(_one_label(values, label), grid, volume, allow_resample)
            version = "NIfTI"
    if not placed.mask.any():
        raise InvalidLiverMask(
            f"the liver mask {path.name!r} has no voxel inside the scan ({placed.outside} outside).",
            hint="Check that the mask was made on this series and is not empty.",
        )
    if placed.outside:
        warnings = (*warnings, f"{placed.outside} voxels of the mask lie outside the scan and were left out")
    warnings = (*warnings, *_doubts(placed.mask, volume))
    return LiverMask(placed.mask, volume.geometry, "file", version, 1.0, warnings)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Say of every error that it is the mask which is at fault, not the scan."""
    try:
        yield
    except HepacalcError as error:
        raise type(error)(f"The liver mask {path.name!r} cannot be used: {error.message}", hint=error.hint) from error


def _read_labels(path: Path) -> tuple[NDArray[np.uint8] | NDArray[np.uint16], Geometry]:
    """Return the labels of a NIfTI file; what is not even called one is no mask."""
    try:
        return read_nifti_labels(path)
    except DamagedFile as error:
        if path.name.lower().endswith((".nii", ".nii.gz")):
            raise
        raise InvalidLiverMask(
            "it is neither NIfTI (.nii, .nii.gz) nor a DICOM segmentation object.",
            hint="Give the mask as NIfTI or DICOM SEG.",
        ) from error


def _one_label(values: NDArray[Any], label: int | str | None) -> NDArray[np.bool_]:
    found = [int(v) for v in np.unique(values) if v != 0]
    if not found:
        raise InvalidLiverMask("the mask is empty: every voxel is 0.", hint="Check the segmentation.")
    if label is None:
        if len(found) > 1:
            shown = ", ".join(map(str, found[:20])) + (" ..." if len(found) > 20 else "")
            raise InvalidLiverMask(
                f"the mask holds {len(found)} labels ({shown}) and none was chosen.",
                hint="Choose the label of the liver (5 in a TotalSegmentator file).",
            )
        label = found[0]
    if not isinstance(label, int) and not str(label).isdigit():
        raise InvalidLiverMask(
            f"label {label!r} is a name, but a NIfTI file has numbers only.", hint="Give the number of the liver label."
        )
    if int(label) not in found:
        raise InvalidLiverMask(
            f"wanted label {label}, the mask holds {', '.join(map(str, found[:20]))}.", hint="Choose one of these."
        )
    return np.asarray(values == int(label))


def _place(
    mask: NDArray[np.bool_], grid: Geometry, volume: Volume, allow_resample: bool
) -> tuple[Placed, tuple[str, ...]]:
    placed = place_exactly(mask, grid, volume.geometry)
    if placed is not None:
        return placed, ()
    on_file = volume.source_geometry and place_exactly(mask, grid, volume.source_geometry)
    if volume.source_geometry is not None and on_file:
        moved = resample_nearest(on_file.mask, volume.source_geometry, volume.geometry)
        return Placed(moved, on_file.outside), ("the mask was resampled with the scan (gantry tilt)",)
    if allow_resample:
        moved = resample_nearest(mask, grid, volume.geometry)
        kept = float(moved.sum()) * volume.geometry.voxel_mm3
        drawn = float(mask.sum()) * grid.voxel_mm3
        outside = round(max(drawn - kept, 0) / grid.voxel_mm3) if kept < 0.9 * drawn else 0
        return Placed(moved, outside), (
            f"the mask lay on another grid ({describe_grid(grid)}) and was resampled by nearest neighbour",
        )
    raise GridMismatch(
        f"the mask lies on {describe_grid(grid)}, the scan on {describe_grid(volume.geometry)}.",
        hint="Give the mask made on this series; a mask of another series of the same frame must be resampled first.",
    )


def place_seg(seg: SegMask, volume: Volume, allow_resample: bool) -> tuple[Placed, tuple[str, ...]]:
    """Return a segment on the grid of a scan, and what is to be said of it.

    Raises:
        GridMismatch: it lies on another grid, and ``allow_resample`` is False.
    """
    for grid in (volume.geometry, volume.source_geometry):
        if grid is None:
            continue
        out = np.zeros(grid.shape, dtype=bool)
        steps = _slice_steps(seg, grid)
        if _is_thicker(seg, grid, steps):
            continue
        parts = [place_exactly(f.mask, f.geometry, grid, onto=out) for f in seg.frames]
        if all(p is not None for p in parts):
            outside = sum(p.outside for p in parts if p is not None)
            skipped = int((steps - 1).sum())
            warnings = (f"the mask skips {skipped} slices between its first and its last",) if skipped else ()
            if grid is volume.geometry:
                return Placed(out, outside), warnings
            moved = resample_nearest(out, grid, volume.geometry)
            return Placed(moved, outside), (*warnings, "the mask was resampled with the scan (gantry tilt)")
    mask, grid = _stack(seg)
    return _place(mask, grid, volume, allow_resample)


def _slice_steps(seg: SegMask, grid: Geometry) -> NDArray[np.int_]:
    """Return by how many slices of ``grid`` each plane of the mask lies from the next, without repeats."""
    if not seg.frames:
        return np.zeros(0, int)
    places = np.rint(grid.to_index([f.geometry.affine[:3, 3] for f in seg.frames])).astype(int)
    places = np.unique(places[:, int(np.argmax(np.ptp(places, axis=0)))])
    return np.asarray(places[1:] - places[:-1])


def _is_thicker(seg: SegMask, grid: Geometry, steps: NDArray[np.int_]) -> bool:
    """Whether the mask was drawn on thicker slices than the scan's, which must not be strewn between its slices.

    The planes then never touch, and the file states a wider spacing; without a statement even steps tell it.
    """
    if not len(steps) or steps.min() < 2:
        return False
    stated = seg.frames[0].slice_mm
    if stated is None:
        return len(steps) > 1 and steps.min() == steps.max()
    normal = seg.frames[0].geometry.affine[:3, 0]
    along = float(np.abs(normal @ grid.affine[:3, :3]).max())
    return stated > 1.5 * along


def _stack(seg: SegMask) -> tuple[NDArray[np.bool_], Geometry]:
    """Return the frames as one block, ordered along their normal."""
    normal = seg.frames[0].geometry.affine[:3, 0]
    frames = sorted(seg.frames, key=lambda f: float(normal @ f.geometry.affine[:3, 3]))
    affine = frames[0].geometry.affine.copy()
    if len(frames) > 1:
        offsets = np.array([normal @ f.geometry.affine[:3, 3] for f in frames])
        gaps = np.diff(offsets)
        if gaps.min() < 1e-3 or np.ptp(gaps) > 0.01 * gaps.mean() + 0.01:
            raise GridMismatch(
                f"the {len(frames)} planes of the segmentation fit neither the scan's slices nor one regular block "
                f"(gaps {gaps.min():.2f}-{gaps.max():.2f} mm).",
                hint="Give the segmentation made on this series.",
            )
        affine[:3, 0] = (frames[-1].geometry.affine[:3, 3] - affine[:3, 3]) / (len(frames) - 1)
    mask = np.concatenate([f.mask for f in frames])
    return mask, Geometry((mask.shape[0], mask.shape[1], mask.shape[2]), affine)


def _doubts(mask: NDArray[np.bool_], volume: Volume) -> tuple[str, ...]:
    """Return what makes a placed mask look unlike a liver."""
    doubts = []
    volume_ml = float(mask.sum()) * volume.geometry.voxel_mm3 / 1000
    if not _PLAUSIBLE_ML[0] <= volume_ml <= _PLAUSIBLE_ML[1]:
        doubts.append(f"the mask holds {volume_ml:.0f} mL, unusual for a whole liver")
    median_hu = float(np.median(volume.hu[mask]))
    if not _PLAUSIBLE_HU[0] <= median_hu <= _PLAUSIBLE_HU[1]:
        doubts.append(
            f"the median under the mask is {median_hu:.0f} HU, not that of a liver: check that it belongs here"
        )
    return tuple(doubts)
