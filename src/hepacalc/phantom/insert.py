"""Calcified foci of known mass put into a real scan, as its own scanner would have shown them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hepacalc.errors import GridMismatch, InvalidLiverMask, UnsupportedGeometry
from hepacalc.foci.calibration import calibration_for
from hepacalc.foci.skin_edges import estimate_psf
from hepacalc.phantom.fields import Field
from hepacalc.phantom.foci import HOST_HU, PlacedFocus, focus_truth, place_foci, random_specs, sampled_share
from hepacalc.phantom.placement import Placer
from hepacalc.phantom.scanner import slice_softness
from hepacalc.phantom.shapes import Occupancy, deposit
from hepacalc.phantom.truth import FocusSpec, Truth
from hepacalc.records import Volume

__all__ = ["Insertion", "insert_foci"]

GRID_MM = 2.0
BRIGHT_HU = 150.0


class Insertion(NamedTuple):
    """A scan with foci put in.

    Args:
        volume: the scan; same grid and type as before.
        labels: uint16 ``(z, y, x)``, ``id`` of the focus where it fills at least half of its own maximum.
        truth: what was put in.
    """

    volume: Volume
    labels: NDArray[np.uint16]
    truth: Truth


def insert_foci(
    volume: Volume,
    liver_mask: NDArray[np.bool_],
    specs: Sequence[FocusSpec] | int,
    rng: np.random.Generator,
    *,
    sigma_mm: float | None = None,
    thickness_mm: float | None = None,
    slope: float | None = None,
    margin_mm: float = 4.0,
    gap_mm: float = 8.0,
    hu_range: tuple[float, float] | None = None,
    hosts: bool = False,
) -> Insertion:
    """Put foci of known mass into a scan.

    Each focus is blurred by the in-plane resolution and the slice profile of the scan and added to the HU that are
    there; the noise stays as it is. Whole numbers are rounded up or down at random, so that faint edges are not lost.
    Foci keep away from each other, from the edge of the mask, from the ends of the scan and from what is more than
    150 HU (and six times the noise) brighter than the liver. What the scan's largest CT number cuts off is lost, as
    in life; such foci are marked ``clipped``.

    Args:
        volume: the scan, any axis order; left unchanged.
        liver_mask: bool ``(z, y, x)`` on its grid.
        specs: what to put in, or how many of :func:`hepacalc.phantom.random_specs`.
        rng: the only source of randomness.
        sigma_mm: in-plane standard deviation of the point spread; None: :func:`estimate_psf`.
        thickness_mm: slice thickness; None: the header's, else the slice spacing.
        slope: mg/mL per HU of this scanner; None: the table's for its tube voltage.
        margin_mm: least depth under the edge of the mask.
        gap_mm: least distance between foci, and from bright things.
        hu_range: smallest and largest CT number; None: as the scan shows.
        hosts: whether cyst fluid and masses are put in too (they shift the HU that are there).

    Raises:
        GridMismatch: the mask has another shape.
        InvalidLiverMask: the mask is empty.
        UnsupportedGeometry: the grid is sheared.
        UsageError: no room, or an unknown pattern.
    """
    geometry = volume.geometry
    mask = np.asarray(liver_mask, bool)
    if mask.shape != volume.hu.shape:
        raise GridMismatch(
            f"wanted a liver mask on the grid of the scan, {volume.hu.shape}, found {mask.shape}.",
            hint="Resample the mask to the scan first.",
        )
    if not mask.any():
        raise InvalidLiverMask("wanted a liver mask, found an empty one.", hint="Check the label value of the liver.")
    if geometry.is_sheared:
        raise UnsupportedGeometry(
            "wanted an upright grid, found a sheared one (gantry tilt).", hint="Resample the scan first."
        )
    spacing = geometry.spacing_mm
    thickness = float(thickness_mm or volume.slice_thickness_mm)
    sigma = float(estimate_psf(volume).sigma_mm if sigma_mm is None else sigma_mm)
    line = calibration_for(volume.acquisition.kvp).mg_per_ml_per_hu if slope is None else float(slope)
    low, high = _hu_range(volume) if hu_range is None else hu_range
    liver_hu, noise = _parenchyma(volume, mask)
    wanted = random_specs(rng, specs) if isinstance(specs, int) else [_to_grid(s, volume) for s in specs]
    depth, blocked = _fields(volume, mask, liver_hu + max(BRIGHT_HU, 6 * noise))
    placer = Placer(depth, rng, margin_mm=margin_mm, gap_mm=gap_mm, blocked=blocked)
    placed = place_foci(wanted, placer, rng, hosts=hosts)
    hu = volume.hu.copy()
    labels = np.zeros(hu.shape, np.uint16)
    truths = []
    for number, focus in enumerate(placed, 1):
        centroid = geometry.to_world((focus.place.centre_zyx + focus.occupancy.centroid_mm) / spacing)
        truth = focus_truth(focus, number, line, centroid_lps=centroid)
        if focus.cavity is not None:
            shift = HOST_HU["fluid"] - liver_hu if focus.host == "fluid" else HOST_HU[focus.host]
            _add(hu, focus.cavity, focus, volume, thickness, sigma, shift, (low, high), rng)
        box, share, cut = _add(hu, focus.occupancy, focus, volume, thickness, sigma, truth.delta_hu, (low, high), rng)
        if share.size and share.max() > 0:
            labels[box][share >= 0.5 * share.max()] = number
        truths.append(replace(truth, clipped=cut, sampled=sampled_share(share, geometry, focus.occupancy)))
    inside = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != volume.slice_axis)))
    complete = bool(inside[0] > 0 and inside[-1] < mask.shape[volume.slice_axis] - 1)
    truth_all = Truth(
        "1", "inserted", None, None, volume.acquisition.kvp, line, sigma, thickness, None,
        None, float(mask.sum()) * geometry.voxel_mm3 / 1000, liver_hu, complete, tuple(truths),
    )  # fmt: skip
    return Insertion(replace(volume, hu=hu), labels, truth_all)


def _add(
    hu: NDArray[np.int16] | NDArray[np.float32],
    occupancy: Occupancy,
    focus: PlacedFocus,
    volume: Volume,
    thickness: float,
    sigma: float,
    delta: float,
    limits: tuple[float, float],
    rng: np.random.Generator,
) -> tuple[tuple[slice, slice, slice], NDArray[np.float32], bool]:
    """Add one shape in place; return its box, its share of each voxel, and whether the largest HU cut it."""
    spacing = volume.geometry.spacing_mm
    widths, sigmas = list(spacing), [float(np.sqrt(max(sigma**2 - d * d / 12, 0.01))) for d in spacing]
    widths[volume.slice_axis] = thickness
    sigmas[volume.slice_axis] = slice_softness(thickness)
    result = deposit(
        occupancy, focus.place.centre_zyx, shape=volume.geometry.shape, spacing_mm=spacing,
        width_mm=(widths[0], widths[1], widths[2]), sigma_mm=(sigmas[0], sigmas[1], sigmas[2]),
    )  # fmt: skip
    if result.share.size == 0:
        return result.box, result.share, False
    before = hu[result.box].astype(np.float32)
    after = before + np.float32(delta) * result.share
    cut = bool((after > limits[1]).any())
    touched = result.share > 0
    after = np.where(touched, np.clip(after, *limits), before)
    if np.issubdtype(hu.dtype, np.integer):
        # up or down at random: plain rounding would lose every tail below half a HU
        after = np.floor(after + rng.random(after.shape, np.float32))
    hu[result.box] = after.astype(hu.dtype)
    return result.box, result.share, cut


def _hu_range(volume: Volume) -> tuple[float, float]:
    """Return the smallest and largest CT number this scan can hold: its own limit where many voxels share it."""
    top = float(volume.hu.max())
    saturated = int((volume.hu == volume.hu.max()).sum()) >= 8
    return min(-1024.0, float(volume.hu.min())), top if saturated and top >= 500 else max(3071.0, top)


def _parenchyma(volume: Volume, mask: NDArray[np.bool_]) -> tuple[float, float]:
    values = np.asarray(volume.hu[mask], np.float32)
    middle = float(np.median(values))
    return middle, float(1.4826 * np.median(np.abs(values - middle)))


def _to_grid(spec: FocusSpec, volume: Volume) -> FocusSpec:
    """Turn the LPS centre of a wish into mm along the array axes (kept as ``(x, y, z)``)."""
    if spec.centre_mm is None:
        return spec
    z, y, x = volume.geometry.to_index(spec.centre_mm) * volume.geometry.spacing_mm
    return replace(spec, centre_mm=(float(x), float(y), float(z)))


def _fields(volume: Volume, mask: NDArray[np.bool_], bright_hu: float) -> tuple[Field, Field | None]:
    """Return distances, in mm along the array axes, to the edge of the mask and to what is very bright."""
    spacing = volume.geometry.spacing_mm
    spans = [np.flatnonzero(mask.any(axis=tuple(b for b in range(3) if b != a))) for a in range(3)]
    box = tuple(slice(int(s[0]), int(s[-1]) + 1) for s in spans)
    pad = 12.0
    lines = [np.arange(s.start * d - pad, (s.stop - 1) * d + pad, GRID_MM) for s, d in zip(box, spacing, strict=True)]
    index = [np.round(t / d).astype(int) for t, d in zip(lines, spacing, strict=True)]
    valid = [(i >= 0) & (i < n) for i, n in zip(index, mask.shape, strict=True)]
    held = [np.clip(i, 0, n - 1) for i, n in zip(index, mask.shape, strict=True)]
    inside = mask[np.ix_(*held)]
    for axis, ok in enumerate(valid):
        inside &= ok.reshape([-1 if a == axis else 1 for a in range(3)])
    origin = (float(lines[0][0]), float(lines[1][0]), float(lines[2][0]))
    depth = ndimage.distance_transform_edt(inside) * GRID_MM
    away = ndimage.distance_transform_edt(~inside) * GRID_MM
    field = Field((away - depth).astype(np.float32), origin, GRID_MM)
    bright = np.argwhere(volume.hu[box] > bright_hu)
    if bright.size == 0:
        return field, None
    at = (bright + [s.start for s in box]) * np.array(spacing) - origin
    cell = np.clip(np.round(at / GRID_MM).astype(int), 0, np.array(inside.shape) - 1)
    free = np.ones(inside.shape, bool)
    free[tuple(cell.T)] = False
    # single bright voxels of noise in a scan with a sharp kernel do not count
    free |= ~ndimage.binary_opening(~free, structure=np.ones((2, 2, 2), bool))
    if free.all():
        return field, None
    return field, Field((ndimage.distance_transform_edt(free) * GRID_MM).astype(np.float32), origin, GRID_MM)
