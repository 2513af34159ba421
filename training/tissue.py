"""Random CT numbers: another phase, a fatty or an iron-laden liver, organs that look like each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from training.cases import LABELS

__all__ = ["redraw_tissue"]

F32 = NDArray[np.float32]
Range = tuple[float, float]

_ID = {name: k for k, name in enumerate(LABELS)}
PHASES = ("native", "arterial", "portal", "free")
PHASE_ODDS = (0.25, 0.15, 0.45, 0.15)
TABLE: dict[str, tuple[Range, Range, Range, Range]] = {
    "liver": ((25, 72), (55, 95), (75, 150), (0, 100)),
    "spleen": ((38, 58), (80, 160), (95, 160), (20, 160)),
    "kidney": ((25, 40), (90, 190), (130, 230), (20, 220)),
    "pancreas": ((20, 50), (60, 130), (70, 120), (10, 130)),
    "heart": ((30, 52), (100, 300), (100, 190), (20, 250)),
    "vessels": ((30, 48), (120, 350), (110, 190), (20, 350)),
    "gallbladder": ((-5, 25), (-5, 25), (-5, 25), (-5, 60)),
    "stomach": ((0, 60), (0, 60), (0, 60), (0, 250)),
    "bowel": ((0, 60), (0, 70), (10, 90), (0, 250)),
}
"""HU in the four phases; ``free`` is no phase but teaches not to trust HU."""
FATTY: Range = (-5.0, 40.0)
DENSE: Range = (90.0, 140.0)
LOOKALIKES = ("heart", "spleen", "stomach", "bowel", "pancreas", "kidney")


def _targets(rng: np.random.Generator) -> dict[str, float]:
    """Draw a HU for each organ."""
    phase = int(rng.choice(len(PHASES), p=PHASE_ODDS))
    out = {name: float(rng.uniform(*ranges[phase])) for name, ranges in TABLE.items()}
    for name in ("stomach", "bowel"):
        if rng.random() < 0.25:
            out[name] = float(rng.uniform(60, 250))
    odds = rng.random()
    if odds < 0.12:
        out["liver"] = float(rng.uniform(*FATTY))
    elif odds < 0.22:
        out["liver"] = float(rng.uniform(*DENSE))
    for name in LOOKALIKES:
        if rng.random() < 0.12:
            out[name] = out["liver"] + float(rng.normal(0, 4))
    return out


def _curve(rng: np.random.Generator, hu: F32) -> F32:
    """Send soft tissue and fat through a random rising curve; air and bone keep their HU."""
    knots = np.array([-200.0, -110.0, -60.0, 0.0, 50.0, 110.0, 200.0])
    gains = rng.uniform(0.6, 1.4, len(knots) - 1)
    values = -200 + np.concatenate([[0.0], np.cumsum(np.diff(knots) * gains)])
    values = np.maximum.accumulate(values + rng.normal(0, 6) - (np.interp(0.0, knots, values) - rng.normal(0, 8)))
    values[0], values[-1] = -200, 200
    values = np.maximum.accumulate(np.minimum(values, 200))
    return np.where((hu > -200) & (hu < 200), np.interp(hu, knots, values), hu).astype(np.float32)


def _medians(hu: F32, labels: NDArray[np.uint8]) -> dict[int, float]:
    """Return the median HU of each label that is there."""
    flat, values = labels.ravel(), hu.ravel()
    order = np.argsort(flat, kind="stable")
    present, starts = np.unique(flat[order], return_index=True)
    parts = np.split(values[order], starts[1:])
    return {
        int(v): float(np.median(part[:: max(len(part) // 4000, 1)])) for v, part in zip(present, parts, strict=True)
    }


def redraw_tissue(rng: np.random.Generator, hu: F32, labels: NDArray[np.uint8]) -> F32:
    """Return HU of the same anatomy in another patient, phase and scanner.

    40 % keep the real HU but for gain and offset, 35 % move each organ to a random phase, 25 % get one HU a label with
    a random share of the real texture.

    Args:
        rng: randomness.
        hu: ``(x, y, z)``.
        labels: uint8 on the same grid.
    """
    kind = rng.choice(3, p=(0.40, 0.35, 0.25))
    if kind == 0:
        out = (hu - 40) * np.float32(rng.uniform(0.88, 1.15)) + np.float32(40 + rng.normal(0, 12))
        return np.where(hu > -400, out, hu).astype(np.float32)
    targets = _targets(rng)
    medians = _medians(hu, labels)
    if kind == 1:
        shift = np.zeros(256, np.float32)
        for name, target in targets.items():
            if _ID[name] in medians:
                shift[_ID[name]] = target - medians[_ID[name]]
        moved = np.isin(labels, [_ID[name] for name in targets])
        base = np.where(moved, hu, _curve(rng, hu))
        return np.asarray(base + ndimage.gaussian_filter(shift[labels], 0.4), np.float32)
    general = {
        "outside": -1000.0, "lung": float(rng.uniform(-900, -650)), "bone": float(rng.uniform(120, 450)),
        "fat": float(rng.uniform(-125, -70)), "other": float(rng.uniform(10, 75)),
        "gas": float(rng.uniform(-1000, -500)),
    }  # fmt: skip
    level, usual = np.zeros(256, np.float32), np.zeros(256, np.float32)
    for value, median in medians.items():
        name = LABELS[value]
        level[value] = targets.get(name, general.get(name, 0.0))
        usual[value] = median
    texture = (hu - usual[labels]) * np.float32(rng.uniform(0, 1))
    out = ndimage.gaussian_filter(level[labels], float(rng.uniform(0.2, 0.6))) + texture
    return np.asarray(out, np.float32)
