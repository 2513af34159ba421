"""Couinaud segment of a point, from the outer shape of the liver alone.

No vessel is looked at. The planes between the segments are laid through the liver so that they part it into
the usual shares of volume, and every plane is a soft one, as wide as the planes of real livers scatter about
their usual place. So no segment gets more than 0.8. See ``docs/reference/measurements/segment.md``.

Reference: Couinaud 1957, Le foie; Abdalla et al. 2004, Surgery 135:404 (shares of volume).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from scipy.special import ndtr

from hepacalc.foci.blocks import tight_box
from hepacalc.geometry import Geometry
from hepacalc.liver.coverage import liver_coverage
from hepacalc.records import LiverMask, NotMeasured, Segment

__all__ = ["SEGMENTS", "Landmark", "hilum_mm", "lobe_of", "segment_of"]

SEGMENTS = ("I", "II", "III", "IVa", "IVb", "V", "VI", "VII", "VIII")
METHOD = "planes by shares of volume, shape only"

_USUAL = dict(zip(SEGMENTS, (0.03, 0.08, 0.09, 0.08, 0.08, 0.14, 0.11, 0.15, 0.24), strict=True))
_CERTAIN = 0.72
_LEFT_SHARE, _LATERAL_SHARE, _POSTERIOR_SHARE = 0.36, 0.17, 0.42
_LOWER_RIGHT, _LOWER_LEFT, _LOWER_MEDIAL = 0.38, 0.52, 0.50
# unit vectors (x, y, z) in LPS along which the parts follow each other
_TO_LEFT = np.array([0.88, -0.47, 0.0]) / np.hypot(0.88, 0.47)
_TO_LATERAL = np.array([0.99, -0.14, 0.0]) / np.hypot(0.99, 0.14)
_TO_POSTERIOR = np.array([-0.60, 0.80, 0.0])
_TO_UPPER_LEFT = np.array([0.0, 0.55, 0.83]) / np.hypot(0.55, 0.83)
_SD_MM = {"left": 14.0, "lateral": 13.0, "posterior": 16.0, "level": 15.0}
_LOBES = {"caudate": ("I",), "left": ("II", "III", "IVa", "IVb"), "right": ("V", "VI", "VII", "VIII")}
_MOST_MISSING, _SMALLEST_ML, _OUTSIDE_MM = 0.30, 300.0, 12.0


@dataclass(frozen=True, slots=True)
class Landmark:
    """An estimated place.

    Args:
        position_mm: LPS.
        sd_mm: standard deviation of the estimate along each axis.
        method: a few words.
    """

    position_mm: tuple[float, float, float]
    sd_mm: float
    method: str


@dataclass(frozen=True, eq=False, slots=True)
class _Planes:
    """Offsets in mm of the planes along their unit vectors, and how wide they are."""

    left: float
    lateral: float
    posterior: float
    right_level: float
    left_level: float
    medial_level: float
    caudate: NDArray[np.float64]
    widen: float
    level_widen: float


def segment_of(points_mm: ArrayLike, liver_mask: LiverMask) -> list[Segment | NotMeasured]:
    """Return the segment of each point with its doubt.

    Args:
        points_mm: LPS ``(n, 3)``.
        liver_mask: the liver, any axis order; where it is cut the answer gets wider, and with more than
            30 % missing there is none.

    Returns:
        One entry a point; :class:`NotMeasured` too for points more than 12 mm outside the liver.
    """
    points = np.asarray(points_mm, float).reshape(-1, 3)
    planes = _lay_planes(liver_mask)
    if isinstance(planes, NotMeasured):
        return [planes] * len(points)
    shares = _shares(points, planes)
    outside = _is_outside(points, liver_mask)
    found: list[Segment | NotMeasured] = []
    for share, is_out in zip(shares, outside, strict=True):
        if is_out:
            found.append(NotMeasured(f"the point lies more than {_OUTSIDE_MM:.0f} mm outside the liver"))
            continue
        order = np.argsort(-share, kind="stable")
        found.append(Segment(tuple((SEGMENTS[i], float(share[i])) for i in order), METHOD))
    return found


def lobe_of(segment: Segment) -> Segment:
    """Return the probabilities of ``right``, ``left`` and ``caudate`` lobe, in falling order."""
    share = dict(segment.probabilities)
    lobes = [(lobe, sum(share.get(s, 0.0) for s in parts)) for lobe, parts in _LOBES.items()]
    return Segment(tuple(sorted(lobes, key=lambda item: -item[1])), segment.method)


def hilum_mm(liver_mask: LiverMask) -> Landmark | NotMeasured:
    """Return the estimated place of the hilum (portal bifurcation): the hollow of the visceral side.

    Args:
        liver_mask: the liver, any axis order.
    """
    planes = _lay_planes(liver_mask)
    if isinstance(planes, NotMeasured):
        return planes
    mask, grid = _coarse(liver_mask, 4.0)
    closed = ndimage.binary_closing(np.pad(mask, 8), iterations=7)[8:-8, 8:-8, 8:-8]
    hollow = np.argwhere(closed & ~mask)
    if len(hollow) * grid.voxel_mm3 < 4e3:
        return NotMeasured("the visceral side of the liver shows no hollow")
    place = grid.to_world(hollow)
    level = (planes.right_level + planes.medial_level) / 2
    middle = (planes.left, planes.lateral)
    towards_left = place @ _TO_LEFT - (middle[0] + 0.1 * (middle[1] - middle[0]))
    centre_y = np.median(grid.to_world(np.argwhere(mask))[:, 1])
    odd = (towards_left / 22) ** 2 + ((place[:, 2] - level) / 20) ** 2 + ((place[:, 1] - centre_y - 10) / 28) ** 2
    weight = np.exp(-0.5 * odd)
    if weight.sum() * grid.voxel_mm3 < 1e3:
        return NotMeasured("no hollow of the visceral side lies where a hilum would be")
    x, y, z = (weight[:, None] * place).sum(0) / weight.sum()
    return Landmark((float(x), float(y), float(z)), 15.0 * planes.widen, "hollow of the visceral side, shape only")


def _lay_planes(liver_mask: LiverMask) -> _Planes | NotMeasured:
    coverage = liver_coverage(liver_mask)
    if coverage.seen_ml < _SMALLEST_ML:
        return NotMeasured(f"only {coverage.seen_ml:.0f} mL of liver are in view, too little to tell its segments")
    if coverage.missing_share > _MOST_MISSING:
        return NotMeasured(f"about {100 * coverage.missing_share:.0f} % of the liver is not in view")
    is_slab = any(cut.is_at_least and cut.side in {"top", "bottom"} for cut in coverage.cuts)
    if is_slab:
        return NotMeasured("the liver is cut through its thickest part, so its segments cannot be told from its shape")
    cells, grid = _coarse(liver_mask, 5.0)
    place = grid.to_world(np.argwhere(cells))
    to_left = place @ _TO_LEFT
    left = float(np.quantile(to_left, 1 - _LEFT_SHARE))
    is_left = to_left > left
    to_lateral = place @ _TO_LATERAL
    lateral = float(np.quantile(to_lateral[is_left], 1 - _LATERAL_SHARE / _LEFT_SHARE))
    is_lateral = is_left & (to_lateral > lateral)
    is_medial = is_left & ~is_lateral
    right = place[~is_left]
    medial = place[is_medial] if is_medial.sum() > 20 else place
    outer = place[is_lateral] if is_lateral.sum() > 20 else place
    lost = {c.side: c.missing_ml / (coverage.seen_ml + sum(k.missing_ml for k in coverage.cuts)) for c in coverage.cuts}

    def in_view(share: float) -> float:
        """Return the quantile of the part in view that is this quantile of the whole, from below."""
        below, above = lost.get("bottom", 0.0), lost.get("top", 0.0)
        return float(np.clip((share - below) / (1 - below - above), 0.02, 0.98))

    right_level = float(np.quantile(right[:, 2], in_view(_LOWER_RIGHT)))
    medial_level = float(np.quantile(medial[:, 2], in_view(_LOWER_MEDIAL)))
    caudate_level = medial_level + 10
    slab = medial[np.abs(medial[:, 2] - caudate_level) < 12]
    slab = slab if len(slab) > 20 else medial
    back = float(np.quantile(slab[:, 1], 0.98))
    near = slab[slab[:, 1] > back - 20]
    caudate = np.array([float(np.quantile(near[:, 0], 0.7)), back - 8, caudate_level])
    cut = {c.side for c in coverage.cuts}
    widen = 1.0 + 2.0 * coverage.missing_share
    return _Planes(
        left,
        lateral,
        float(np.quantile(right @ _TO_POSTERIOR, 1 - _POSTERIOR_SHARE)),
        right_level,
        float(np.quantile(outer @ _TO_UPPER_LEFT, in_view(_LOWER_LEFT))),
        medial_level,
        caudate,
        widen,
        widen * (1.4 if cut & {"top", "bottom"} else 1.0),
    )


def _shares(points: NDArray[np.float64], planes: _Planes) -> NDArray[np.float64]:
    """Return probabilities ``(n, 9)`` in the order of :data:`SEGMENTS`."""
    wide, level = planes.widen, planes.level_widen * _SD_MM["level"]
    left = ndtr((points @ _TO_LEFT - planes.left) / (_SD_MM["left"] * wide))
    lateral = ndtr((points @ _TO_LATERAL - planes.lateral) / (_SD_MM["lateral"] * wide))
    posterior = ndtr((points @ _TO_POSTERIOR - planes.posterior) / (_SD_MM["posterior"] * wide))
    upper_right = ndtr((points[:, 2] - planes.right_level) / level)
    upper_left = ndtr((points @ _TO_UPPER_LEFT - planes.left_level) / level)
    upper_medial = ndtr((points[:, 2] - planes.medial_level) / level)
    offset = (points - planes.caudate) / (np.array([16.0, 13.0, 20.0]) * wide)
    caudate = 0.55 * np.exp(-0.5 * (offset**2).sum(axis=1))
    medial, right = left * (1 - lateral), 1 - left
    side = left * lateral
    rest = 1 - caudate
    parts = np.stack(
        [
            caudate,
            rest * side * upper_left,
            rest * side * (1 - upper_left),
            rest * medial * upper_medial,
            rest * medial * (1 - upper_medial),
            rest * right * (1 - posterior) * (1 - upper_right),
            rest * right * posterior * (1 - upper_right),
            rest * right * posterior * upper_right,
            rest * right * (1 - posterior) * upper_right,
        ],
        axis=1,
    )
    certain = _CERTAIN / wide
    blended = certain * parts + (1 - certain) * np.array([_USUAL[s] for s in SEGMENTS])
    return np.asarray(blended / blended.sum(axis=1, keepdims=True))


def _is_outside(points: NDArray[np.float64], liver_mask: LiverMask) -> NDArray[np.bool_]:
    mask, grid = _coarse(liver_mask, 4.0)
    margin = int(np.ceil(_OUTSIDE_MM / min(grid.spacing_mm))) + 1
    padded = np.pad(mask, margin)
    distance = ndimage.distance_transform_edt(~padded, sampling=grid.spacing_mm)
    index = np.rint(grid.to_index(points)).astype(int) + margin
    inside = ((index >= 0) & (index < padded.shape)).all(axis=1)
    out = np.ones(len(points), dtype=bool)
    out[inside] = distance[tuple(index[inside].T)] > _OUTSIDE_MM
    return out


def _coarse(liver_mask: LiverMask, step_mm: float) -> tuple[NDArray[np.bool_], Geometry]:
    """Return every n-th voxel of the liver's box, in the standard orientation, and its grid."""
    turn = liver_mask.geometry.canonical()
    mask = turn.apply(liver_mask.mask)
    steps = [max(int(step_mm / s), 1) for s in turn.geometry.spacing_mm]
    box = tight_box(mask)
    starts = [b.start for b in box]
    cells = mask[tuple(slice(b.start, b.stop, n) for b, n in zip(box, steps, strict=True))]
    affine = turn.geometry.affine.copy()
    affine[:3, 3] = turn.geometry.to_world(starts)
    affine[:3, :3] = affine[:3, :3] * np.array(steps)
    return cells, Geometry((cells.shape[0], cells.shape[1], cells.shape[2]), affine)
