"""How far a found contour can be trusted: a confidence, warnings in words, and an interval of the volume.

Three witnesses: how sure the network was, whether it says the same of the scan made a tenth larger, and whether the
scan's own grey values show an edge where the contour runs. The thresholds were set on bodies of
:mod:`hepacalc.phantom.bodies` and bent scans with other seeds than those that are measured.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hepacalc.liver.refine import Refined, robust_mean_sd
from hepacalc.records import LiverMask, Measured

__all__ = ["Witness", "liver_volume", "other_parts_ml", "same_when_larger", "trust", "voxel_probability"]

F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]

STEADY = 0.92
"""Dice of the network's mask with that of the scan made larger, below which the contour is to be checked."""
LARGER = 1.1
OTHER_SHARE = 0.12
LOW, HIGH = 0.14, 0.76
LEAST_SHARE = 0.03


@dataclass(frozen=True, slots=True)
class Witness:
    """What the network said besides its mask.

    Args:
        steady: Dice of its mask with the one it gives of the scan made a tenth larger.
        other_ml: volume of the largest other part that it took for liver.
        start_ml: volume of its mask.
        is_mirrored: whether it lies on the left, or was only found with left and right exchanged.
    """

    steady: float
    other_ml: float
    start_ml: float
    is_mirrored: bool = False


def resized(array: F32, factor: float) -> F32:
    """Return an array scaled about its middle, of the same shape; held constant beyond the ends."""
    middle = (np.array(array.shape) - 1) / 2
    return np.asarray(
        ndimage.affine_transform(
            array, np.full(3, 1 / factor), middle - middle / factor, output=np.float32, order=1, mode="nearest"
        )
    )


def same_when_larger(start: Mask, larger: F32) -> float:
    """Return the Dice of a mask with what the network said of the scan made larger, brought back.

    Args:
        start: the network's mask.
        larger: probability on the same grid, of ``resized(scan, LARGER)``.
    """
    other = resized(larger, 1 / LARGER) > 0.5
    # only what touches the mask: other parts are told of by themselves
    labels, _ = ndimage.label(other)
    touching = np.unique(labels[start & other])
    kept = np.isin(labels, touching[touching > 0])
    # what enlarging pushed out of view says nothing
    lost = [int(np.ceil(n * (1 - 1 / LARGER) / 2)) for n in start.shape]
    seen = tuple(slice(k, n - k) for k, n in zip(lost, start.shape, strict=True))
    kept, start = kept[seen], start[seen]
    either = int(kept.sum()) + int(start.sum())
    return 2 * int((kept & start).sum()) / max(either, 1)


def other_parts_ml(probability: F32, start: Mask, voxel_ml: float) -> float:
    """Return the volume of the largest part, apart from the mask, that the network took for liver."""
    labels, count = ndimage.label((probability > 0.5) & ~start)
    return float(np.bincount(labels.ravel())[1:].max()) * voxel_ml if count else 0.0


def trust(refined: Refined, hu: F32, probability: F32, witness: Witness) -> tuple[float, tuple[str, ...]]:
    """Return a confidence 0-1 and warnings from what the network, the edge and the grey values say.

    Args:
        refined: the contour at 2 mm.
        hu: CT numbers there.
        probability: the network's, there.
        witness: what else the network said.
    """
    warnings: list[str] = []
    inside = probability[refined.mask]
    unsure = float(((inside > 0.2) & (inside < 0.8)).mean())
    mean, sd = robust_mean_sd(hu[refined.mask])
    confidence = 0.97 - 1.2 * max(unsure - 0.12, 0.0)
    if witness.is_mirrored:
        confidence -= 0.1
        warnings.append(
            "the liver lies on the left: situs inversus, or left and right are exchanged in the scan; check the contour"
        )
    if witness.steady < STEADY:
        confidence -= 0.25
        warnings.append(
            f"unusual liver, check the contour: of the same scan made a tenth larger the network says something else "
            f"(overlap {witness.steady:.0%})"
        )
    if witness.other_ml > OTHER_SHARE * witness.start_ml:
        confidence -= 0.2
        warnings.append(
            f"unusual liver, check the contour: another part of {witness.other_ml:.0f} mL that looks like liver was "
            "left out"
        )
    if refined.fell_back:
        confidence -= 0.2
        warnings.append(
            f"the liver's edge is hard to see: drawn sharply its volume would change by "
            f"{refined.volume_ratio - 1:+.0%}, so the network's own contour is used; check the contour"
        )
    if refined.contrast < 0.10:
        confidence -= 0.15
        warnings.append("liver and surroundings have nearly the same HU; check the contour")
    if not -10 <= mean <= 200:
        confidence -= 0.15
        warnings.append(f"unusual liver density ({mean:.0f} HU); check the contour")
    if sd > 45:
        confidence -= 0.15
        warnings.append(f"very inhomogeneous liver (sd {sd:.0f} HU at 2 mm); check the contour")
    if unsure > 0.3:
        warnings.append(f"the network was unsure about {unsure:.0%} of the liver; check the contour")
    return float(np.clip(confidence, 0.05, 0.99)), tuple(warnings)


def voxel_probability(refined: Refined, probability: F32) -> NDArray[np.uint8]:
    """Return the probability of liver at 2 mm in 255ths: of network and edge together, on the mask's side of a half.

    Far from the edge, and in fluid that was left out, there is none outside of the mask.
    """
    edge = probability if refined.field is None else refined.field
    mixed = 0.5 * (edge + probability)
    mixed = np.where(refined.mask, np.maximum(mixed, 0.51), np.where(edge > 0, np.minimum(mixed, 0.49), 0.0))
    return np.asarray(np.rint(255 * mixed), np.uint8)


def liver_volume(liver: LiverMask) -> Measured:
    """Return the volume of the liver in view, in mL.

    The 90 % interval runs from what is liver with a probability of more than 0.76 to what is with more than 0.14, and
    is never narrower than 3 % to either side. These held nine of ten test bodies and left-out scans, other ones than
    are measured. Without probabilities (a mask from a file, another segmenter) it is 5 %, and wider where the
    confidence is low.
    """
    ml = float(np.count_nonzero(liver.mask)) * liver.geometry.voxel_mm3 / 1000
    method = "voxels of the mask; part in view"
    if liver.probability is None:
        share = 0.05 + 0.15 * (1 - liver.confidence)
        return Measured(ml, "mL", ml * (1 - share), ml * (1 + share), method)
    values = liver.probability.values
    sure, middle, perhaps = (int(np.count_nonzero(values > 255 * p)) for p in (HIGH, 0.5, LOW))
    low, high = (min(sure / middle, 1 - LEAST_SHARE), max(perhaps / middle, 1 + LEAST_SHARE)) if middle else (0.0, 2.0)
    return Measured(ml, "mL", ml * low, ml * high, method)
