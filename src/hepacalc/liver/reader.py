"""A small network that reads the Couinaud segments from the scan itself, beside the drawn anatomies.

It sees the liver on a grid of 4 mm (HU about that of the liver, tubes, depth) and answers with probabilities on cells
twice as wide. It has learnt from digital livers alone; see ``docs/concepts/model-card-segments.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hepacalc.liver.landmarks import STEP_MM, Landmarks, middle_eigenvalue

__all__ = ["CHANNELS", "GRID_MM", "PLACES", "SHAPE", "Reading", "channels", "middle", "places", "read"]

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

GRID_MM = 4.0
SHAPE = (64, 48, 64)
"""Cells ``(z, y, x)`` of the network's grid; its answer is given on cells twice as wide."""
CHANNELS, PLACES = 6, 6
_NEAR_MM, _INNER_MM = 20.0, 6.0
_FINE, _WIDE = 0.9, 1.8
_STRONG = 0.96


@dataclass(frozen=True, eq=False, slots=True)
class Reading:
    """What the network says.

    Args:
        log: logarithm of the share of each segment, but for a constant ``(9, z/2, y/2, x/2)``.
        start_mm: LPS ``(x, y, z)`` of the middle of its first wide cell.
    """

    log: F32
    start_mm: F64

    def log_shares(self, points_mm: F64) -> F64:
        """Return logarithms of the share of each segment at LPS points ``(n, 3)``, as ``(n, 9)``."""
        cell = ((points_mm - self.start_mm) / (2 * GRID_MM))[:, ::-1].T
        log = np.stack(
            [ndimage.map_coordinates(part, cell, float, order=1, mode="nearest") for part in self.log], axis=1
        )
        return np.asarray(log - np.logaddexp.reduce(log, axis=1, keepdims=True))


def channels(hu: F32, depth_mm: F32, liver_hu: float) -> F32:
    """Return what the network sees ``(CHANNELS, z, y, x)``.

    Args:
        hu: CT numbers on its grid ``(z, y, x)``.
        depth_mm: distance to the outline, positive inside.
        liver_hu: median of the liver.
    """
    inner, near = depth_mm > _INNER_MM, depth_mm > -_NEAR_MM
    calm = np.where(near & (hu > liver_hu - 90) & (hu < liver_hu + 180), hu - np.float32(liver_hu), 0)
    calm = np.clip(calm, -45, 110).astype(np.float32)
    smooth = ndimage.gaussian_filter(calm, 0.6, truncate=3)
    spread = max(1.4826 * float(np.median(np.abs(smooth[inner]))) if inner.any() else 0.0, 1.5)
    out = np.empty((CHANNELS, *hu.shape), np.float32)
    out[0] = np.clip((hu - liver_hu) / 60, -2, 2)
    out[1] = np.clip(calm / (4 * spread), -2, 2)
    out[2] = np.clip(smooth / (3 * spread), -2, 2)
    out[3] = np.clip(depth_mm / 25, -1.5, 2.5)
    out[4], out[5] = (_tubes(calm, sigma, inner, near) for sigma in (_FINE, _WIDE))
    return out


def _tubes(calm: F32, sigma: float, inner: NDArray[np.bool_], near: NDArray[np.bool_]) -> F32:
    """Return minus the middle eigenvalue of the Hessian, 1 where it stands out as the strongest few per cent do."""
    middle = middle_eigenvalue(calm, sigma, near)
    deep = np.abs(middle[inner[near]])
    strong = float(np.quantile(deep, _STRONG)) if len(deep) > 100 else 1.0
    out = np.zeros(calm.shape, np.float32)
    out[near] = np.clip(-middle / max(strong, 1e-3), -2, 2)
    return out


def places(depth_mm: F32) -> F32:
    """Return where each wide cell lies ``(6, z/2, y/2, x/2)``: about the middle, and within the liver's own box."""
    out = np.empty((PLACES, *(n // 2 for n in SHAPE)), np.float32)
    inside = depth_mm > 0
    for axis, n in enumerate(SHAPE):
        line = (2 * np.arange(n // 2) + 0.5 - (n - 1) / 2) * GRID_MM
        filled = np.cumsum(inside.sum(axis=tuple({0, 1, 2} - {axis})))
        low, high = (np.searchsorted(filled, share * filled[-1]) for share in (0.03, 0.97))
        own = (2 * np.arange(n // 2) + 0.5 - low) / max(high - low, 1) * 2 - 1
        shape = [-1 if a == axis else 1 for a in range(3)]
        out[axis], out[3 + axis] = (line / 80).reshape(shape), np.clip(own, -2, 2).reshape(shape)
    return out


def middle(depth_mm: F32) -> F64:
    """Return the middle of the liver in voxels ``(z, y, x)``."""
    return np.asarray(np.argwhere(depth_mm > 0).mean(axis=0))


def read(marks: Landmarks) -> Reading | None:
    """Return what the network says of a liver; None when only its outline is known."""
    if marks.hu is None or marks.liver_hu is None:
        return None
    at = middle(marks.depth_mm)
    step = GRID_MM / STEP_MM
    hu, depth = marks.hu, marks.depth_mm
    for axis, n in enumerate(SHAPE):
        line = at[axis] + (np.arange(n) - (n - 1) / 2) * step
        hu, depth = _sampled(hu, line, axis), _sampled(depth, line, axis)
    seen = {"seen": channels(hu, depth, marks.liver_hu)[None], "place": places(depth)[None]}
    start = marks.geometry.to_world(at + (0.5 - (np.array(SHAPE) - 1) / 2) * step)
    return Reading(_session().run(None, seen)[0][0], start)


def _sampled(array: F32, at: F64, axis: int) -> F32:
    """Interpolate linearly along one axis, held constant beyond the ends."""
    n = array.shape[axis]
    at = np.clip(at, 0, n - 1)
    low = np.minimum(at.astype(int), max(n - 2, 0))
    high = np.minimum(low + 1, n - 1)
    part = (at - low).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(array.ndim)])
    return np.asarray(np.take(array, low, axis) * (1 - part) + np.take(array, high, axis) * part)


@lru_cache(maxsize=1)
def _session() -> Any:
    """Load the network once a process."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 3
    data = files("hepacalc.liver").joinpath("weights/segments.onnx").read_bytes()
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
