"""The form of a focus in pure numbers, each with its doubt.

Sphericity and hollowness are of the body at half height as sharp as the scan shows it in the plane: detail finer than
that has no end (the finer one looks, the more surface there is), and is not in them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import ndimage

from hepacalc.foci.diameters import Z90, Diameters
from hepacalc.foci.scene import Scene
from hepacalc.foci.shape import Body, Shape, describe_shape
from hepacalc.records import Measured

__all__ = ["measure_form"]

LOWER = 0.35
"""Share of the height down to which the surface may lie with two chances in three."""
SLICES_SHARE = 0.15
"""What part of the blur along the slices, over the least diameter, moves a form (estimate)."""
GRID_SD = 0.01


def measure_form(scene: Scene, body: Body, shape: Shape, diameters: Diameters) -> dict[str, Measured]:
    """Return sphericity, elongation, hollowness and parts of a focus.

    Args:
        scene: gives point spread and slice thickness.
        body: at half height.
        shape: of that.
        diameters: with the blur taken off.
    """
    lower = _grown(body, LOWER)
    plane = min(s for axis, s in enumerate(scene.sigma_mm) if axis != scene.slice_axis)
    more = float(np.sqrt(max(scene.sigma_mm[scene.slice_axis] ** 2 - plane**2, 0.0)))
    slices = SLICES_SHARE * more / shape.diameter_3_mm

    def doubt(here: float, there: float) -> float:
        return float(np.sqrt((here - there) ** 2 + slices**2 + GRID_SD**2))

    elongation, elongation_sd = diameters.elongation()
    method = "shape at half maximum"
    return {
        "sphericity": _share(shape.sphericity, doubt(shape.sphericity, lower.sphericity), method),
        "elongation": _share(elongation, elongation_sd, "1 - second diameter / diameter"),
        "hollowness": _share(shape.hollowness, doubt(shape.hollowness, lower.hollowness), method),
        "parts": Measured(float(shape.parts), "1", float(shape.parts), float(shape.parts), "connected parts"),
    }


def _share(value: float, sd: float, method: str) -> Measured:
    """Return a number between 0 and 1 with its 90 % interval."""
    return Measured(value, "1", max(value - Z90 * sd, 0.0), min(value + Z90 * sd, 1.0), method)


def _grown(body: Body, level: float) -> Shape:
    """Return the shape of a body with its surface at a lower share of the height nearby."""
    labels, _ = ndimage.label(body.mask | (body.relative > level), np.ones((3, 3, 3)))
    keep = np.zeros(int(labels.max()) + 1, bool)
    keep[np.unique(labels[body.mask])] = True
    keep[0] = False
    return describe_shape(replace(body, mask=keep[labels]))
