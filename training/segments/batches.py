"""Samples for a step: a drawn liver turned, stretched and warped, then laid on the network's grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from hepacalc.liver.landmarks import STEP_MM
from hepacalc.liver.reader import GRID_MM, SHAPE, USUAL
from training.segments.draw import SAID_STEP, Drawn

__all__ = ["Sample", "laid"]

_TURN_DEGREES, _STRETCH, _SIZE, _SHIFT_MM, _WARP_MM = 6.0, 0.06, 0.05, 4.0, 5.0
_UNFORESEEN = 0.02


@dataclass(frozen=True, eq=False, slots=True)
class Sample:
    """What one step needs of a liver.

    Args:
        fine: ``(8, z, y, x)``.
        coarse: shares of the anatomies on wide cells ``(9, z/2, y/2, x/2)``.
        base: logarithm of these shares ``(9, z, y, x)``.
        label: ``(z, y, x)``, -1 where none.
        own: the true liver ``(z, y, x)``.
    """

    fine: Tensor
    coarse: Tensor
    base: Tensor
    label: Tensor
    own: Tensor


def laid(drawn: Drawn, rng: np.random.Generator | None = None) -> Sample:
    """Return a drawn liver on the network's grid, turned and warped by ``rng``; as it is when None."""
    at = torch.from_numpy(_cells(drawn, rng))
    fine = _sampled(torch.from_numpy(drawn.fine.astype(np.float32)), at)
    if rng is not None:
        # noise may be judged otherwise, and the liver's own HU be a little off
        fine[1] *= float(rng.uniform(0.5, 1.3)) if rng.random() < 0.5 else 1.0
        fine[0] += float(rng.normal(0, 0.1))
    said = _sampled(torch.from_numpy(drawn.said.astype(np.float32) / 255), (at - 1) / SAID_STEP)
    total = said.sum(0, keepdim=True)
    usual = torch.from_numpy(USUAL.astype(np.float32))[:, None, None, None].expand_as(said)
    shares = torch.where(total > 0.2, said / total.clamp(min=0.2), usual)
    label = _sampled(torch.from_numpy(drawn.label.astype(np.float32))[None], at, "nearest")[0].round().long()
    beyond = (at < 0) | (at > torch.tensor(drawn.label.shape) - 1)
    label[beyond.any(-1)] = -1
    own = _sampled(torch.from_numpy(drawn.own.astype(np.float32))[None], at, "nearest", "zeros")[0] > 0.5
    base = torch.log((1 - _UNFORESEEN) * shares + _UNFORESEEN * usual)
    return Sample(fine, F.avg_pool3d(shares[None], 2)[0], base, label, own)


def _cells(drawn: Drawn, rng: np.random.Generator | None) -> np.ndarray:
    """Return where each cell of the grid lies in the drawn liver, in voxels ``(z, y, x, 3)``."""
    lines = [(np.arange(n) + 0.5 - n / 2) * GRID_MM for n in SHAPE]
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
        wave = rng.standard_normal((1, 3, 6, 6, 6), np.float32) * np.float32(rng.uniform(0, _WARP_MM))
        wide = F.interpolate(torch.from_numpy(wave), SHAPE, mode="trilinear", align_corners=True)
        place = place + wide[0].permute(1, 2, 3, 0).numpy()
    return np.asarray(place / STEP_MM + drawn.middle, np.float32)


def _sampled(array: Tensor, at: Tensor, mode: str = "bilinear", beyond: str = "border") -> Tensor:
    """Return values of ``(C, z, y, x)`` at voxels ``(..., 3)`` as ``(C, ...)``."""
    size = torch.tensor(array.shape[1:], dtype=torch.float32)
    unit = (2 * (at + 0.5) / size - 1)[..., [2, 1, 0]][None]
    return F.grid_sample(array[None], unit, mode=mode, padding_mode=beyond, align_corners=False)[0]
