"""How deep below the liver's surface a focus lies, voxel by voxel: a plaque of the capsule lies along it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hepacalc.foci.blocks import block_mean, distance_within
from hepacalc.foci.pattern import on_body
from hepacalc.foci.scene import Scene
from hepacalc.foci.shape import Body

__all__ = ["REACH_MM", "depth_on_body"]

F32 = NDArray[np.float32]

REACH_MM = 20.0
"""Depths are told up to this; what lies deeper is given it."""
STEP_MM = 1.2


def depth_on_body(scene: Scene, body: Body, start: tuple[int, int, int]) -> F32:
    """Return the depth below the liver's surface in mm ``(z, y, x)`` on the body's grid, at most :data:`REACH_MM`.

    Worked out in a box around the body only. Outside the liver it is 0. Where the scan ends there is no surface: the
    liver is taken to go on.

    Args:
        scene: the liver.
        body: the focus, or the foci of a lesion together.
        start: index in the scene of voxel ``(0, 0, 0)`` of the array the body was made from.
    """
    spacing = scene.spacing_mm
    first = [o + s * d for o, s, d in zip(body.origin_mm, start, spacing, strict=True)]
    last = [f + body.step_mm * (n - 1) for f, n in zip(first, body.mask.shape, strict=True)]
    factor = tuple(max(round(STEP_MM / d), 1) for d in spacing)
    box = tuple(
        slice(max(int((a - REACH_MM) / d) - f, 0), min(int((b + REACH_MM) / d) + f + 2, n))
        for a, b, d, f, n in zip(first, last, spacing, factor, scene.liver.shape, strict=True)
    )
    liver = block_mean(scene.liver[box], factor) >= 0.5
    step = [d * f for d, f in zip(spacing, factor, strict=True)]
    if liver.all():
        return np.full(body.mask.shape, REACH_MM, np.float32)
    # from the centre of a voxel to the surface it is half a voxel less than to the next centre
    depth = distance_within(~liver, step, REACH_MM + min(step)) - np.float32(min(step) / 2)
    field = np.clip(depth, 0, REACH_MM)
    centre = [(b.start + (f - 1) / 2) * d for b, f, d in zip(box, factor, spacing, strict=True)]
    low = tuple(a - c for a, c in zip(first, centre, strict=True))
    there = Body(body.mask, body.step_mm, (low[0], low[1], low[2]), body.relative, body.faint)
    return on_body(field, there, (step[0], step[1], step[2]))
