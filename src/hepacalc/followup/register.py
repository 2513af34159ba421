"""Lay the liver of one exam on that of another: rigid, then deformable, on contours and what the liver shows inside.

Both livers are brought onto grids of 4 mm along the axes of the patient. What drives the fit is the distance to the
liver's surface, cut off at 12 mm, and inside the liver the CT numbers of its vessels. Beyond the edge of a scan nothing
is compared: the surface is carried on as if the liver went on, and the image there pulls at nothing.

References: Rueckert and others 1999, IEEE Trans Med Imaging 18:712 (bending by B-splines); Lowekamp and others 2013,
Front Neuroinform 7:45 (SimpleITK).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK
from numpy.typing import NDArray
from scipy import ndimage

from hepacalc.errors import NoOverlap
from hepacalc.followup.coarse import REACH_MM, STEP_MM, Coarse
from hepacalc.followup.records import LiverView
from hepacalc.geometry import Geometry

__all__ = ["Registration", "identity", "register_livers"]

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
COARSER = 2
LEAST_ML = 30.0
LEAST_DICE = 0.6
DOUBTFUL_DICE = 0.8
CLEARER = 0.1
LEAST_AGREEMENT, FULL_AGREEMENT = 0.06, 0.6
MESH_MM = 90.0
"""Between the knots of the bending: with more freedom, or more steps, the inside of the liver follows noise."""
NEAR_MM = 20.0
FIRST_STEPS, STEPS = 4, 8


@dataclass(frozen=True, eq=False, slots=True)
class Registration:
    """Where points of the first exam lie in the second, LPS mm.

    Args:
        turn: ``(3, 3)`` rotation, world ``(x, y, z)``.
        shift_mm: ``(3,)``: a point goes to ``turn @ (point + bend) + shift_mm``.
        bend_mm: displacement ``(z, y, x, 3)`` as ``(x, y, z)`` on ``grid``, before the turn.
        grid: of ``bend_mm``.
        dice: overlap of the livers in the common field of view, 0-1.
        surface_mm: mean distance of their surfaces there.
        method: in words.
    """

    turn: F64
    shift_mm: F64
    bend_mm: F32
    grid: Geometry
    dice: float
    surface_mm: float
    method: str

    @property
    def is_doubtful(self) -> bool:
        """Whether the livers fit so badly that places cannot be trusted."""
        return self.dice < DOUBTFUL_DICE

    def carry(self, points_mm: F64) -> F64:
        """Return where points ``(n, 3)`` of the first exam lie in the second."""
        points = np.asarray(points_mm, float).reshape(-1, 3)
        out: F64 = (points + self._bend(points)) @ self.turn.T + self.shift_mm
        return out

    def carry_back(self, points_mm: F64) -> F64:
        """Return where points ``(n, 3)`` of the second exam lay in the first."""
        points = np.asarray(points_mm, float).reshape(-1, 3)
        stiff: F64 = (points - self.shift_mm) @ self.turn
        found = stiff.copy()
        for _ in range(40):
            found = stiff - self._bend(found)
        return found

    def affine_back(self, points_mm: F64) -> F64:
        """Return the ``(3, 4)`` affine nearest to :meth:`carry_back` over points ``(n, 3)``, not all in one plane."""
        points = np.asarray(points_mm, float).reshape(-1, 3)
        padded = np.column_stack([points, np.ones(len(points))])
        out: F64 = np.linalg.lstsq(padded, self.carry_back(points), rcond=None)[0].T
        return out

    def _bend(self, points: F64) -> F64:
        index = self.grid.to_index(points).T
        parts = [ndimage.map_coordinates(self.bend_mm[..., k], index, order=1, mode="nearest") for k in range(3)]
        return np.stack(parts, axis=1).astype(float)


def identity(grid: Geometry, method: str) -> Registration:
    """Return the registration of two exams that share their coordinates."""
    return Registration(
        np.eye(3), np.zeros(3), np.zeros((*_ONE, 3), np.float32), Geometry(_ONE, grid.affine), 1.0, 0.0, method
    )


_ONE = (1, 1, 1)


def register_livers(first: LiverView, second: LiverView) -> Registration:
    """Return where each point of one exam's liver lies in another's.

    Args:
        first: the earlier exam.
        second: the later exam.

    Returns:
        A rigid motion with a smooth displacement on top, good inside and near the liver.

    Raises:
        NoOverlap: the livers cannot be laid on each other: nothing in common, mirrored, or of different shapes.
    """
    a, b = Coarse.of(first), Coarse.of(second)
    rigid, dice = _rigid(a, b)
    if dice < DOUBTFUL_DICE:
        _refuse(a, b, dice)
    moving = b.through(a, *_matrix(rigid))
    bend = _deform(a, moving)
    there = moving.bent(bend)
    turn, shift = _matrix(rigid)
    common = a.inside & there.inside
    return Registration(
        turn, shift, bend, a.grid, _dice(a, there), _surface_gap(a.distance[common], there.distance[common]),
        "rigid and deformable registration of the livers",
    )  # fmt: skip


# ---------------------------------------------------------------- rigid


def _image(values: F32, grid: Geometry, every: int = 1) -> SimpleITK.Image:
    """Return an array on an upright grid as an image, every n-th voxel of it."""
    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(values[::every, ::every, ::every]))
    image.SetOrigin([float(v) for v in grid.affine[:3, 3]])
    image.SetSpacing([STEP_MM * every] * 3)
    return image


def _rigid(a: Coarse, b: Coarse) -> tuple[SimpleITK.Transform, float]:
    """Return the best rigid motion from several starts, and the overlap it leaves."""
    found: list[tuple[float, SimpleITK.Transform]] = []
    for shift in _starts(a, b):
        start = SimpleITK.Euler3DTransform()
        start.SetCenter([float(v) for v in _middle(a)])
        start.SetTranslation([float(v) for v in shift])
        value, end = _descend(a, b, start, COARSER, 60)
        found.append((value, end))
    found.sort(key=lambda one: one[0])
    _, best = _descend(a, b, found[0][1], 1, 40)
    return best, _dice(a, b.through(a, *_matrix(best)))


def _starts(a: Coarse, b: Coarse) -> list[F64]:
    """Return shifts to start from: middle on middle; where a scan cuts the liver also top on top, bottom on bottom."""
    (low_a, high_a), (low_b, high_b) = _ends(a), _ends(b)
    middle = _middle(b) - _middle(a)
    starts = [middle]
    if not (a.inside.all() and b.inside.all()):
        starts += [np.array([middle[0], middle[1], high_b - high_a]), np.array([middle[0], middle[1], low_b - low_a])]
    return starts


def _middle(one: Coarse) -> F64:
    """Return the middle of the liver in view, LPS mm."""
    out: F64 = one.grid.to_world(np.argwhere((one.share > 0.5) & one.inside).mean(axis=0))
    return out


def _ends(one: Coarse) -> tuple[float, float]:
    """Return the lowest and highest z of the liver in view."""
    planes = np.flatnonzero(((one.share > 0.5) & one.inside).any(axis=(1, 2)))
    low, high = (float(one.grid.to_world([k, 0, 0])[2]) for k in planes[[0, -1]])
    return low, high


def _descend(
    a: Coarse, b: Coarse, start: SimpleITK.Transform, every: int, steps: int
) -> tuple[float, SimpleITK.Transform]:
    """Improve a rigid motion by the squared difference of distances to the surface."""
    method = SimpleITK.ImageRegistrationMethod()
    method.SetMetricAsMeanSquares()
    method.SetMetricSamplingStrategy(method.NONE)
    method.SetInterpolator(SimpleITK.sitkLinear)
    near = (np.abs(a.distance) < 2 * REACH_MM) & a.inside
    method.SetMetricFixedMask(SimpleITK.Cast(_image(near.astype(np.float32), a.grid, every) > 0.5, SimpleITK.sitkUInt8))
    method.SetMetricMovingMask(SimpleITK.Cast(_image(b.inside.astype(np.float32), b.grid) > 0.5, SimpleITK.sitkUInt8))
    method.SetOptimizerAsRegularStepGradientDescent(4.0, 0.02, steps, 0.6, 1e-6)
    method.SetOptimizerScalesFromPhysicalShift()
    transform = SimpleITK.Euler3DTransform(start)
    method.SetInitialTransform(transform, inPlace=True)
    clipped = [np.clip(one.distance / (2 * REACH_MM), -1, 1).astype(np.float32) for one in (a, b)]
    try:
        method.Execute(_image(clipped[0], a.grid, every), _image(clipped[1], b.grid))
    except RuntimeError:
        # no voxel of one scan meets the other from this start
        return float("inf"), SimpleITK.Euler3DTransform(start)
    return float(method.GetMetricValue()), transform


def _matrix(rigid: SimpleITK.Transform) -> tuple[F64, F64]:
    """Return rotation and shift of ``turn @ point + shift``."""
    turn = np.array(rigid.GetMatrix()).reshape(3, 3)
    centre, translation = np.array(rigid.GetCenter()), np.array(rigid.GetTranslation())
    return turn, centre + translation - turn @ centre


def _dice(a: Coarse, b: Coarse) -> float:
    common = a.inside & b.inside
    first, second = (a.share > 0.5) & common, (b.share > 0.5) & common
    total = int(first.sum()) + int(second.sum())
    if min(first.sum(), second.sum()) * STEP_MM**3 / 1000 < LEAST_ML:
        return 0.0
    return 2.0 * float((first & second).sum()) / total


def _surface_gap(first: F32, second: F32) -> float:
    """Return the mean distance from one surface to the other in mm."""
    near = np.abs(first) < STEP_MM
    return float(np.abs(first - second)[near].mean()) if near.any() else float("inf")


def _refuse(a: Coarse, b: Coarse, dice: float) -> None:
    """Say why two livers cannot be laid on each other, where they cannot."""
    turned = (slice(None), slice(None), slice(None, None, -1))
    flipped = Coarse(b.grid, b.inside[turned], b.share[turned], b.distance[turned], b.vessels[turned])
    _, mirrored = _rigid(a, flipped)
    if mirrored > max(LEAST_DICE, dice + CLEARER):
        raise NoOverlap(
            f"the liver of one exam looks like the other's in a mirror (overlap {mirrored:.2f}, else {dice:.2f}).",
            hint="One of the scans has left and right exchanged: read it from its DICOM files.",
        )
    if dice >= LEAST_DICE:
        return
    raise NoOverlap(
        f"the livers of the two exams cannot be laid on each other (overlap {dice:.2f}, wanted {LEAST_DICE:g}).",
        hint="Give two exams of one patient that both show most of the liver, or correct the liver with --liver-mask.",
    )


# ---------------------------------------------------------------- deformable


def _deform(a: Coarse, b: Coarse) -> F32:
    """Return the displacement ``(z, y, x, 3)`` in mm, as ``(x, y, z)``, that lays b (on a's grid) on a."""
    common = a.inside & b.inside
    whole = _image(a.surface, a.grid)
    transform = SimpleITK.BSplineTransformInitializer(
        whole, [max(round(n * STEP_MM / MESH_MM), 1) for n in a.grid.shape[::-1]], 3
    )
    _bent(a, b, transform, common, 0.0, FIRST_STEPS)
    there = b.bent(_field(transform, whole))
    agreed = _agreement(a.vessels[common], there.vessels[common])
    if agreed:
        _bent(a, b, transform, common, agreed, STEPS)
    return _field(transform, whole)


def _bent(
    a: Coarse, b: Coarse, transform: SimpleITK.Transform, common: NDArray[np.bool_], agreed: float, steps: int
) -> None:
    """Improve a bending in place by the squared difference of surfaces, and of vessels as far as they agree."""
    fixed, moving = (
        (one.surface + way * one.vessels).astype(np.float32) for one, way in ((a, abs(agreed)), (b, agreed))
    )
    near = common & (a.distance > -NEAR_MM)
    method = SimpleITK.ImageRegistrationMethod()
    method.SetMetricAsMeanSquares()
    method.SetMetricSamplingStrategy(method.NONE)
    method.SetInterpolator(SimpleITK.sitkLinear)
    mask = _image(near.astype(np.float32), a.grid, COARSER) > 0.5
    method.SetMetricFixedMask(SimpleITK.Cast(mask, SimpleITK.sitkUInt8))
    method.SetOptimizerAsLBFGS2(numberOfIterations=steps, solutionAccuracy=1e-6)
    method.SetInitialTransform(transform, inPlace=True)
    method.Execute(_image(fixed, a.grid, COARSER), _image(moving, a.grid))


def _field(transform: SimpleITK.Transform, like: SimpleITK.Image) -> F32:
    """Return the displacement of a transform on the grid of an image."""
    grid = like.GetSize(), like.GetOrigin(), like.GetSpacing(), like.GetDirection()
    return _array(SimpleITK.TransformToDisplacementField(transform, SimpleITK.sitkVectorFloat64, *grid))


def _array(field: SimpleITK.Image) -> F32:
    out: F32 = SimpleITK.GetArrayFromImage(field).astype(np.float32)
    return out


def _agreement(first: F32, second: F32) -> float:
    """Return how far vessels agree, -1 to 1; below 0 where they are bright in one exam and dark in the other."""
    both = (first != 0) & (second != 0)
    if both.sum() < 500:
        return 0.0
    agreed = float(np.corrcoef(first[both], second[both])[0, 1])
    return 0.0 if abs(agreed) < LEAST_AGREEMENT else float(np.clip(agreed / FULL_AGREEMENT, -1, 1))
