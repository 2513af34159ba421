"""Which pattern of calcification a focus or a lesion shows: a probability for each, with the reasons in words.

Features with a plain meaning (:mod:`hepacalc.foci._shape_features`) go into a multinomial logistic model. Its
coefficients (:mod:`hepacalc.foci._pattern_model`) were fitted on digital foci, blurred, sliced and noisy as scans are.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hepacalc.errors import MeasurementError
from hepacalc.foci._pattern_model import COEFFICIENTS, LARGEST_Z, MEANS, SPREADS
from hepacalc.foci._shape_features import FEATURES, Features, shape_features
from hepacalc.foci._shape_words import reasons_for
from hepacalc.foci.shape import Body, Shape, describe_shape, resample
from hepacalc.records import PATTERNS, Pattern

__all__ = ["classify_pattern", "on_body"]

F32 = NDArray[np.float32]

SMALLEST_MM = 3.0
FEWEST_SLICES = 1.5
TALL_MM = 2.2


def classify_pattern(
    body: Body,
    *,
    depth_mm: F32 | None,
    thickness_mm: float,
    region_parts: int = 1,
    shape: Shape | None = None,
) -> Pattern:
    """Return a probability for each pattern, with reasons.

    Args:
        body: one focus, or the foci of a lesion together.
        depth_mm: distance below the liver capsule in mm ``(z, y, x)`` on the body's grid (see :func:`on_body`), or None
            when it is not known.
        thickness_mm: slice thickness.
        region_parts: number of foci of which the body consists.
        shape: of the body, where it is known already.

    Raises:
        MeasurementError: ``depth_mm`` is on another grid.
    """
    if depth_mm is not None and depth_mm.shape != body.mask.shape:
        raise MeasurementError(
            f"a depth below the capsule was wanted on the grid of the body {body.mask.shape}, found {depth_mm.shape}.",
            hint="Resample it with hepacalc.foci.pattern.on_body.",
        )
    known = describe_shape(body) if shape is None else shape
    features = shape_features(body, depth_mm=depth_mm, thickness_mm=thickness_mm, shape=known)
    chances = _chances(features)
    small = _smallness(known, thickness_mm)
    if small > 0:
        # below the resolution nothing but "small" can be said: the rest of the belief is flattened
        flat = np.full(len(PATTERNS), 0.25 / len(PATTERNS))
        flat[PATTERNS.index("punctate")] += 0.55
        flat[PATTERNS.index("nodular solid")] += 0.2
        chances = (1 - small) * chances + small * flat
    order = np.argsort(-chances, kind="stable")
    chances = chances / chances.sum()
    ranked = tuple((PATTERNS[k], float(chances[k])) for k in order)
    return Pattern(ranked, reasons_for(ranked, features, known, small=small, parts=max(region_parts, known.parts)))


def on_body(field: F32, body: Body, spacing_mm: tuple[float, float, float]) -> F32:
    """Return a field of the window (such as the depth below the capsule) on the body's grid.

    Args:
        field: ``(z, y, x)`` on the grid the body was made from.
        body: the body.
        spacing_mm: ``(z, y, x)`` of that grid.
    """
    return resample(field, body.origin_mm, body.mask.shape, body.step_mm, spacing_mm)


def _chances(features: Features) -> NDArray[np.float64]:
    """Multinomial logistic model on standardised features."""
    values = np.array([features[name] for name in FEATURES])
    unit = np.clip((values - MEANS) / SPREADS, -LARGEST_Z, LARGEST_Z)
    score = np.append(unit, 1.0) @ COEFFICIENTS
    chances = np.exp(score - score.max())
    return np.asarray(chances / chances.sum())


def _smallness(shape: Shape, thickness_mm: float) -> float:
    """Return 0-1: how far the focus is below what the scan resolves."""
    # a ball of 3 mm, a little smaller at half height, and taller on thick slices (it often lies in two of them)
    limit = 0.75 * np.pi / 6 * SMALLEST_MM**3 * max(thickness_mm / TALL_MM, 1.0)
    if shape.diameter_mm > max(SMALLEST_MM, FEWEST_SLICES * thickness_mm) + 3:
        return 0.0
    return float(np.clip(2 * (1.4 - shape.volume_mm3 / limit), 0, 1))
