"""The three diameters of a focus, each with its doubt.

Half height shows a focus as the scan has blurred it: what is small looks as wide as the point spread and as tall as a
slice, ends that taper fade away. Models of the focus before the blur (an ellipsoid where it is small, bodies of several
levels where it is not) say how long it was; what they cannot know is the doubt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepacalc.foci.bodies import BlurredBody
from hepacalc.foci.scene import Scene
from hepacalc.foci.shape import Body, Shape, extents
from hepacalc.foci.solid import Solid
from hepacalc.records import Measured

__all__ = ["Diameters", "ModelExtents", "measure_diameters", "model_extents"]

F64 = NDArray[np.float64]

Z90 = 1.645
FWHM = 2.355
LEAST_WEIGHT = 0.02
"""Models that fit worse than this are not looked at."""
ENDS_IN_PLANE = 0.5 * 2**0.5
"""How surely two ends are seen across the point spread, in its standard deviations: each to a half."""
ENDS_IN_SLICES = (2 / 12) ** 0.5
"""The same along the slices, in slices: each end lies anywhere in the slice that shows it."""
DEPARTURE = 0.3
"""What part of the way from the half-height body to the models is doubt."""
FADE = 1.0
"""What part of the way to what is seen above a quarter of the height is doubt: ends that taper fade."""
BUMPS, BUMPS_DOWN, BUMPS_UP = 0.05, 0.06, 0.1
"""By how much the ends of a nodule stick out of its ellipsoid, and how far less and more they may (estimates)."""
MISFIT_SHARE = 0.8
COMMON = 2 / 3


@dataclass(frozen=True, eq=False, slots=True)
class ModelExtents:
    """Three diameters in mm ``(3,)`` of a focus before the scan blurred it, and how far its models differ in them."""

    mm: F64
    sd_mm: F64


@dataclass(frozen=True, eq=False, slots=True)
class Diameters:
    """Three diameters ``(3,)`` in mm, largest first, and their standard deviations downwards and upwards."""

    mm: F64
    down_mm: F64
    up_mm: F64

    def measured(self) -> tuple[Measured, Measured, Measured]:
        """Return them with their 90 % intervals."""
        first, second, third = (
            Measured(float(v), "mm", max(float(v - Z90 * d), 0.0), float(v + Z90 * u), "extent, blur taken off")
            for v, d, u in zip(self.mm, self.down_mm, self.up_mm, strict=True)
        )
        return first, second, third

    def elongation(self) -> tuple[float, float]:
        """Return ``1 - second / first`` and its standard deviation.

        Height, blur and background move both the same way: two thirds of their errors are taken to be common.
        """
        first, second = self.mm[:2]
        a, b = (self.down_mm[:2] + self.up_mm[:2]) / 2 / self.mm[:2]
        ratio = float(second / first)
        return 1 - ratio, ratio * float(np.sqrt(a**2 + b**2 - 2 * COMMON * a * b))


def model_extents(bodies: Sequence[BlurredBody], weights: F64) -> ModelExtents:
    """Return the mean extents of models before blurring, and how far they differ.

    Args:
        bodies: the models.
        weights: how well each fits, 1 together.
    """
    likely = weights >= min(LEAST_WEIGHT, float(weights.max()))
    each = np.array([extents(b.body, b.step_mm)[0] for b, w in zip(bodies, likely, strict=True) if w])
    share = weights[likely] / weights[likely].sum()
    mean = share @ each
    return ModelExtents(mean, np.sqrt(share @ (each - mean) ** 2))


def measure_diameters(
    scene: Scene, body: Body, shape: Shape, models: ModelExtents | None = None, solid: Solid | None = None
) -> Diameters:
    """Return the diameters of a focus.

    Args:
        scene: gives point spread and slice thickness.
        body: at half height.
        shape: of that.
        models: extents of the models of its signal; None: the half-height body stands for them.
        solid: the ellipsoid that fits it; None where it is too large for one.
    """
    step = (body.step_mm, body.step_mm, body.step_mm)
    seen, axes = extents(body.mask, step)
    faint = seen if body.faint is body.mask else extents(body.faint, step)[0]
    if models is None:
        models = ModelExtents(seen, np.zeros(3))
    along = axes[:, scene.slice_axis] ** 2
    sigma = min(s for axis, s in enumerate(scene.sigma_mm) if axis != scene.slice_axis)
    ends = along * (ENDS_IN_SLICES * scene.slice_thickness_mm) ** 2 + (1 - along) * (ENDS_IN_PLANE * sigma) ** 2
    doubt = models.sd_mm**2 + ends + (DEPARTURE * (models.mm - seen)) ** 2
    fade = (FADE * np.clip(faint - models.mm, 0, None)) ** 2
    # half height shows thin walls as thick as the point spread
    width = along * scene.slice_thickness_mm**2 + (1 - along) * (FWHM * sigma) ** 2
    walls = shape.hollowness**2 * width
    mm, down, up = models.mm, np.sqrt(doubt + walls), np.sqrt(doubt + fade)
    if solid is not None:
        own_mm = (1 + BUMPS) * solid.axes_mm
        own_down, own_up = (
            np.hypot(solid.axes_sd_mm, np.hypot(MISFIT_SHARE * solid.misfit, bumps) * own_mm)
            for bumps in (BUMPS_DOWN, BUMPS_UP)
        )
        part = doubt / (doubt + own_down**2)
        mm = part * own_mm + (1 - part) * mm
        # both stand on the same voxels: their errors add up
        down, up = part * own_down + (1 - part) * down, part * own_up + (1 - part) * up
    return Diameters(np.minimum.accumulate(mm), down, up)
