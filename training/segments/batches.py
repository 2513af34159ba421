"""Samples for a step: a drawn liver turned and warped, its veins and noise painted anew, its mask disturbed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from hepacalc.liver.landmarks import STEP_MM
from hepacalc.liver.reader import GRID_MM, SHAPE, channels, places
from training.segments.draw import Drawn

__all__ = ["Sample", "laid"]

F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]

_TURN_DEGREES, _STRETCH, _SIZE, _SHIFT_MM = 7.0, 0.08, 0.06, 4.0
# the liver is bent by waves of so many knots across the grid, by up to so many millimetres
_WARPS = ((6, 7.0), (12, 2.5))
_UNSEEN, _REPAINTED, _DISTURBED, _CUT = 0.06, 0.25, 0.5, 0.06
_POINTS, _BESIDE_MM, _BESIDE = 12000, 8.0, 0.2


@dataclass(frozen=True, eq=False, slots=True)
class Sample:
    """What one step needs of a liver.

    Args:
        seen: ``(CHANNELS, z, y, x)``.
        place: ``(PLACES, z/2, y/2, x/2)``.
        at: places that are asked for, in units of the network's answer for ``grid_sample`` ``(n, 3)`` as ``(x, y, z)``.
        label: true segment there ``(n,)``.
        weight: how much it counts ``(n,)``.
    """

    seen: Tensor
    place: Tensor
    at: Tensor
    label: Tensor
    weight: Tensor


def laid(drawn: Drawn, rng: np.random.Generator, *, warped: bool = True) -> Sample:
    """Return a drawn liver on the network's grid, with what ``rng`` makes of it.

    Args:
        drawn: the liver.
        rng: the only source of randomness.
        warped: whether the liver is turned and bent as well.
    """
    cell = _cells(drawn, rng if warped else None)
    at = torch.from_numpy(cell)
    outline = drawn.outline_mm.astype(np.float32)
    stack = np.stack([drawn.hu.astype(np.float32), drawn.hepatic.astype(np.float32) / 255,
                      drawn.portal.astype(np.float32) / 255, outline])  # fmt: skip
    hu, hepatic, portal, outline = (part.numpy() for part in _sampled(torch.from_numpy(stack), at))
    size = np.array(drawn.label.shape)
    index = np.rint(cell).astype(int)
    beyond = ((index < 0) | (index >= size)).any(-1)
    label = drawn.label[tuple(np.clip(index, 0, size - 1).reshape(-1, 3).T)].reshape(beyond.shape)
    label = np.where(beyond, -1, label)
    contrast = _contrast(drawn, rng)
    hu = hu + np.float32(contrast[0]) * hepatic + np.float32(contrast[1]) * portal * (1 - hepatic)
    hu = _noisy(hu, rng)
    mask = outline < 0
    if rng.random() < _DISTURBED:
        mask = _disturbed(outline, rng)
    if rng.random() < _CUT:
        line = _cut(mask, rng)
        hu, mask, shown = hu[line], mask[line], np.diff(line, prepend=line[0] - 1) > 0
        label = np.where(shown[:, None, None], label, -1)
    depth = _depth(mask)
    inner = depth > 6
    liver_hu = float(np.median(hu[inner] if inner.sum() > 100 else hu[mask]))
    seen = channels(hu, depth, liver_hu)
    candidates = np.flatnonzero((label >= 0) & (outline < _BESIDE_MM))
    picked = rng.choice(candidates, _POINTS, replace=len(candidates) < _POINTS)
    where = np.stack(np.unravel_index(picked, SHAPE), axis=1)
    unit = ((2 * (where + 0.5)) / np.array(SHAPE) - 1)[:, ::-1].astype(np.float32)
    weight = np.where(outline.ravel()[picked] < 0, 1.0, _BESIDE).astype(np.float32)
    return Sample(
        torch.from_numpy(seen), torch.from_numpy(places(depth)), torch.from_numpy(unit.copy()),
        torch.from_numpy(label.ravel()[picked].astype(np.int64)), torch.from_numpy(weight),
    )  # fmt: skip


def _cells(drawn: Drawn, rng: np.random.Generator | None) -> F32:
    """Return where each cell of the grid lies in the drawn liver, in voxels ``(z, y, x, 3)``."""
    lines = [(np.arange(n) - (n - 1) / 2) * GRID_MM for n in SHAPE]
    place = np.stack(np.meshgrid(*lines, indexing="ij"), axis=-1).astype(np.float32)
    if rng is not None:
        turn = np.eye(3)
        for (i, j), angle in zip(((1, 2), (0, 2), (0, 1)), np.deg2rad(rng.normal(0, _TURN_DEGREES, 3)), strict=True):
            one = np.eye(3)
            one[i, i] = one[j, j] = np.cos(angle)
            one[i, j], one[j, i] = -np.sin(angle), np.sin(angle)
            turn = turn @ one
        size = np.diag(np.exp(rng.normal(0, _STRETCH, 3) + rng.normal(0, _SIZE)))
        place = place @ (turn @ size).astype(np.float32).T + rng.normal(0, _SHIFT_MM, 3).astype(np.float32)
        for knots, most in _WARPS:
            wave = rng.standard_normal((1, 3, knots, knots, knots), np.float32) * np.float32(rng.uniform(0, most))
            wide = F.interpolate(torch.from_numpy(wave), SHAPE, mode="trilinear", align_corners=True)
            place = place + wide[0].permute(1, 2, 3, 0).numpy()
    centre = np.argwhere(drawn.outline_mm < 0).mean(axis=0)
    return np.asarray(place / STEP_MM + centre, np.float32)


def _sampled(array: Tensor, at: Tensor) -> Tensor:
    """Return values of ``(C, z, y, x)`` at voxels ``(..., 3)`` as ``(C, ...)``."""
    size = torch.tensor(array.shape[1:], dtype=torch.float32)
    unit = (2 * (at + 0.5) / size - 1)[..., [2, 1, 0]][None]
    return F.grid_sample(array[None], unit, mode="bilinear", padding_mode="border", align_corners=False)[0]


def _contrast(drawn: Drawn, rng: np.random.Generator) -> tuple[float, float]:
    """Return by how many HU hepatic and portal veins are brighter than liver: about as drawn, or quite otherwise."""
    if rng.random() < _UNSEEN:
        return 0.0, 0.0
    if rng.random() > _REPAINTED:
        hepatic, portal = drawn.contrast * np.exp(rng.normal(0, 0.25)) + rng.normal(0, 3)
        return float(hepatic), float(portal + rng.normal(0, 3))
    kind = rng.integers(4)
    if kind == 0:
        both = float(rng.choice([-14, -14, -14, 20, 8]) + rng.normal(0, 4))
        return both, both + float(rng.normal(0, 1))
    if kind == 1:
        return float(rng.normal(-12, 8)), float(rng.normal(25, 14))
    if kind == 2:
        both = float(rng.normal(20, 7))
        return both, both + float(rng.normal(0, 2))
    strength = float(rng.uniform(0.3, 1.2))
    return 55 * strength + float(rng.normal(0, 5)), 66 * strength + float(rng.normal(0, 5))


def _noisy(hu: F32, rng: np.random.Generator) -> F32:
    """Return a scan of thicker slices, noisy as 4 mm voxels of usual scans are."""
    hu = ndimage.gaussian_filter1d(hu, float(rng.choice([0.05, 0.3, 0.5])), axis=0)
    noise = rng.standard_normal(hu.shape, np.float32)
    noise = ndimage.gaussian_filter(noise, (float(rng.choice([0.2, 0.5, 0.7])), 0.3, 0.3), truncate=3)
    return np.asarray(hu + noise * np.float32(np.exp(rng.uniform(np.log(1.0), np.log(7.0))) / noise.std()), np.float32)


def _disturbed(outline: F32, rng: np.random.Generator) -> Mask:
    """Return a mask whose outline is off by some millimetres here and there, its largest part."""
    coarse = rng.standard_normal((1, 1, *(n // 5 for n in SHAPE)), np.float32)
    rough = F.interpolate(torch.from_numpy(coarse), SHAPE, mode="trilinear", align_corners=True)[0, 0].numpy()
    rough = rough * np.float32(rng.uniform(1, 4)) + np.float32(rng.normal(0, 1.2))
    parts, count = ndimage.label(outline < rough)
    return np.asarray(parts == 1 + np.argmax(np.bincount(parts.ravel())[1:]) if count else outline < 0)


def _cut(mask: Mask, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return the slices that are shown: those beyond the top or bottom of the scan are its last one."""
    levels = np.flatnonzero(mask.any(axis=(1, 2)))
    share = float(rng.uniform(0.05, 0.25)) * len(levels)
    low, high = 0, len(mask) - 1
    if rng.random() < 0.5:
        low = int(levels[0] + share)
    else:
        high = int(levels[-1] - share)
    return np.clip(np.arange(len(mask)), low, high)


def _depth(mask: Mask) -> F32:
    """Return the signed distance to the outline, on every other voxel as the package does."""
    z, y, x = (n // 2 for n in mask.shape)
    half = mask.reshape(z, 2, y, 2, x, 2).mean(axis=(1, 3, 5)) > 0.5
    inside, outside = (ndimage.distance_transform_edt(part, sampling=2 * GRID_MM) for part in (half, ~half))
    wide = torch.from_numpy((inside - outside).astype(np.float32))[None, None]
    return F.interpolate(wide, mask.shape, mode="trilinear", align_corners=False)[0, 0].numpy()
