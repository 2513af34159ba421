"""A small network that looks again: by how much the scan speaks for another segment than the drawn anatomies do.

It sees the liver on a grid of 5 mm (HU about that of the liver, tubes, depth) and what the anatomies of
:mod:`hepacalc.liver.population` say there, and answers with numbers to add to the logarithm of their shares. It has
learnt from digital livers alone; see ``docs/concepts/model-card-segments.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hepacalc.liver.landmarks import STEP_MM, Landmarks
from hepacalc.liver.population import Population

__all__ = ["GRID_MM", "SHAPE", "USUAL", "Reading", "channels", "middle", "read"]

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

GRID_MM = 5.0
SHAPE = (48, 40, 48)
"""Cells ``(z, y, x)`` of the network's grid; what the anatomies say is given on cells twice as wide."""
_NEAR_MM, _EVERY = 16.0, 3
# shares of volume of the segments (Abdalla et al. 2004, Surgery 135:404)
USUAL = np.array([0.03, 0.08, 0.09, 0.08, 0.08, 0.14, 0.11, 0.15, 0.24])
USUAL = USUAL / USUAL.sum()


@dataclass(frozen=True, eq=False, slots=True)
class Reading:
    """What the network says.

    Args:
        add: to be added to the logarithm of the shares of the anatomies ``(9, z, y, x)``.
        start_mm: LPS ``(x, y, z)`` of the middle of its first cell.
    """

    add: F32
    start_mm: F64

    def read_again(self, shares: F64, points_mm: F64) -> F64:
        """Return shares ``(n, 9)``, all above 0, as the network would have them at LPS points ``(n, 3)``."""
        cell = ((points_mm - self.start_mm) / GRID_MM)[:, ::-1].T
        more = np.stack([ndimage.map_coordinates(part, cell, order=1, mode="nearest") for part in self.add], axis=1)
        raised = shares * np.exp(more)
        return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def channels(hu: F32, depth_mm: F32, tube: F32, liver_hu: float, middle: F64) -> F32:
    """Return what the network sees, on the grid of the landmarks ``(8, z, y, x)``.

    Args:
        hu: CT numbers ``(z, y, x)`` at 3 mm.
        depth_mm: distance to the outline, positive inside.
        tube: of :class:`~hepacalc.liver.landmarks.Landmarks` ``(2, z, y, x)``.
        liver_hu: median of the liver.
        middle: of the liver, in voxels ``(z, y, x)``.
    """
    smooth = ndimage.gaussian_filter(np.clip(hu, liver_hu - 60, liver_hu + 120), 0.7) - liver_hu
    inner = depth_mm > 6
    spread = max(1.4826 * float(np.median(np.abs(smooth[inner]))) if inner.any() else 0.0, 1.5)
    out = np.empty((8, *hu.shape), np.float32)
    out[0] = np.clip((hu - liver_hu) / 60, -2, 2)
    out[1] = np.clip(smooth / (4 * spread), -2, 2)
    out[2] = np.clip(depth_mm / 20, -1.5, 2)
    out[3:5] = 0.8 * tube
    for axis, n in enumerate(hu.shape):
        line = (np.arange(n) - middle[axis]) * STEP_MM / 80
        out[5 + axis] = line.reshape([-1 if a == axis else 1 for a in range(3)])
    return out


def middle(depth_mm: F32) -> F64:
    """Return the middle of the liver in voxels ``(z, y, x)``."""
    return np.asarray(np.argwhere(depth_mm > 0).mean(axis=0))


def read(marks: Landmarks, population: Population) -> Reading | None:
    """Return what the network says of a liver; None when only its outline is known."""
    if marks.hu is None or marks.liver_hu is None:
        return None
    at = middle(marks.depth_mm)
    fine = channels(marks.hu, marks.depth_mm, marks.tube, marks.liver_hu, at)
    step = GRID_MM / STEP_MM
    for axis, n in enumerate(SHAPE):
        fine = _sampled(fine, at[axis] + (np.arange(n) + 0.5 - n / 2) * step, axis + 1)
    start = marks.geometry.to_world(at + (0.5 - np.array(SHAPE) / 2) * step)
    coarse = _said(marks, population, start)
    add = _session().run(None, {"fine": fine[None], "coarse": coarse[None]})[0][0]
    return Reading(add, start)


def _said(marks: Landmarks, population: Population, start_mm: F64) -> F32:
    """Return what some of the anatomies say on the wide cells ``(9, z, y, x)``."""
    half = tuple(n // 2 for n in SHAPE)
    index = np.indices(half).reshape(3, -1).T
    place = start_mm + GRID_MM * (2 * index[:, ::-1] + 0.5)
    near = marks.lookup(marks.depth_mm, place, -1e3) > -_NEAR_MM
    out = np.repeat(USUAL[None], len(index), axis=0)
    out[near] = population.thinned(_EVERY).shares(place[near])
    return np.asarray(out.T.reshape(-1, *half), np.float32)


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
