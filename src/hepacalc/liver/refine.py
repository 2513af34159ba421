"""Sharpen a coarse liver mask against the scan: a random walker with priors at 2 mm.

The network says about where the liver is; the scan's own grey values say where its edge is. Bright voxels that
the network called liver are never given away, and dense things that liver surrounds are taken in even where the network
left a hole for them (calcified foci and rims stay inside). The network's own mask is kept where refinement would
change the volume too much.

Reference: Grady 2005, Multilabel random walker image segmentation using prior models, CVPR.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import expit

from hepacalc.foci.blocks import distance_within
from hepacalc.foci.median import median_filter
from hepacalc.liver.walker import random_walker
from hepacalc.threads import thread_pool

__all__ = ["Refined", "largest_component", "likeness", "main_part", "refine", "robust_mean_sd"]

F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]

BIN_HU = 4.0
RANGE_HU = (-200.0, 300.0)
SURROUNDED = 0.6
SURROUNDED_SMALL = 0.35
SURROUNDED_PIECE = 0.5
SMALL_MM3 = 8000.0
DENSER_HU = (0.0, 80.0, 180.0)
BRIGHT_AROUND = 0.25
LEAST_FLUID_ML = 5.0
LARGE_FLUID_ML = 30.0
LAYER_MM = 20.0
GAP_MM = 24.0
FAR_MM = 28.0
DEEP_MM = 30.0
"""Distances outside and inside of the network's mask are told up to these; nothing asks for more."""


@dataclass(frozen=True, eq=False, slots=True)
class Refined:
    """A refined mask and what happened.

    Args:
        mask: bool ``(z, y, x)``.
        fell_back: whether the network's mask was kept because refinement changed it too much.
        volume_ratio: refined volume over the network's.
        contrast: Bhattacharyya distance between the grey values of liver and surroundings; small means
            that the scan itself shows no edge.
        field: probability of liver that the random walker gave, ``(z, y, x)``, 0 in fluid that was left out; None
            where it was not used.
    """

    mask: Mask
    fell_back: bool
    volume_ratio: float
    contrast: float
    field: F32 | None = None


def refine(hu: F32, probability: F32, step_mm: float, *, largest_change: float = 0.15) -> Refined:
    """Refine a liver probability map against grey values on the same isotropic grid.

    Args:
        hu: CT numbers ``(z, y, x)``, isotropic, the liver and at least 20 mm around it.
        probability: of liver, ``(z, y, x)``.
        step_mm: voxel spacing.
        largest_change: relative change of volume beyond which the network's mask is kept.

    Returns:
        The refined mask. Deterministic.
    """
    start = main_part(probability > 0.5, step_mm)
    if not start.any():
        return Refined(start, True, 1.0, 0.0)
    dense, alone = _embedded_dense(hu, start, step_mm)
    start = _filled(start | dense)
    with thread_pool(1) as pool:
        # SciPy lets go of the interpreter: the second core smooths while the first measures distances
        smoothed = pool.submit(median_filter, np.clip(hu, *RANGE_HU).astype(np.int16), (3, 3, 3))
        inside = _depth_inside(start, DEEP_MM / step_mm)
        smooth = smoothed.result().astype(np.float32)
    fluid = _layer_of_fluid(smooth, start, inside * step_mm, step_mm)
    if fluid.any():
        start = main_part(start & ~fluid, step_mm)
        inside = _depth_inside(start, DEEP_MM / step_mm)
    depth = _signed_mm(start, inside, step_mm)
    del inside

    core = depth > 8
    if core.sum() < 500:
        core = depth > min(4.0, float(depth.max()) / 2)
    mean, sd = robust_mean_sd(smooth[core])
    sd = max(sd, 6.0)
    ratio, contrast = _log_ratio(smooth, depth, core, mean, sd)
    ratio[start] = np.maximum(ratio[start], -1.0)
    fat = smooth < min(mean - 90.0, 0.0)
    fat |= smooth < -30.0
    prior = _prior(ratio, depth, probability)
    del ratio
    prior[fat | ((probability < 0.02) & (depth < -6))] = 0.002
    bone = _bone(hu, depth, mean, step_mm) & ~dense
    bright = alone | _bright_parts((hu > mean + max(4 * sd, 50.0)) & ~bone, depth, step_mm)
    prior[bright] = 0.998
    prior[bone] = 0.002

    free = (depth > -12) & (depth < 10)
    field = random_walker(smooth, prior, free, (depth >= 10).astype(np.float32), sigma=max(8.0, sd))
    mask = ~bone & _tidy((field > 0.5) & ~bone, fat | bone, start & (bright | ~fat) & ~bone, bright, step_mm)
    change = float(mask.sum()) / float(start.sum())
    if abs(change - 1) > largest_change:
        kept = _filled((start & ~fat & ~bone) | bright)
        return Refined(main_part(kept, step_mm), True, change, contrast)
    field[fluid & ~mask] = 0
    return Refined(mask, False, change, contrast, field)


def likeness(refined: Refined) -> F32:
    """Return how much each voxel is liver, 0-1 ``(z, y, x)``, above a half in the mask and below a half outside.

    Cut at a half between voxels it gives an edge finer than the grid: where the random walker's probability passes a
    half, and not the middle between a voxel of the mask and its neighbour. What was taken in or left out afterwards
    lies as far on the other side. Without the walker the mask is smoothed a little.
    """
    if refined.field is None:
        return np.asarray(ndimage.gaussian_filter(refined.mask.astype(np.float32), 0.6))
    other = 1 - refined.field
    return np.asarray(np.where(refined.mask, np.maximum(refined.field, other), np.minimum(refined.field, other)))


def _signed_mm(start: Mask, inside: F32, step_mm: float) -> F32:
    """Return the distance from the edge of a mask in mm, positive inside, from the depth inside in voxels."""
    depth = distance_within(start, (1.0, 1.0, 1.0), FAR_MM / step_mm)
    np.negative(depth, out=depth)
    depth += np.float32(0.5)
    depth[start] = inside[start] - np.float32(0.5)
    depth *= np.float32(step_mm)
    return depth


def _prior(ratio: F32, depth: F32, probability: F32) -> F32:
    """Return how likely liver is by grey value, place and network together."""
    sure = np.clip(probability, 1e-3, 1 - 1e-3)
    total = sure / (1 - sure)
    np.log(total, out=total)
    total *= np.float32(0.6)
    total += ratio
    total += depth / np.float32(5.0)
    return np.asarray(expit(total, out=total))


def _depth_inside(mask: Mask, reach: float) -> F32:
    """Return the distance to the nearest voxel outside in voxels, at most ``reach``.

    Beyond the array nothing is known to be outside.
    """
    out = np.zeros(mask.shape, np.float32)
    box = tuple(
        slice(max(s.start - 1, 0), min(s.stop + 1, n))
        for s, n in zip(ndimage.find_objects(mask.view(np.int8))[0], mask.shape, strict=True)
    )
    np.minimum(distance_within(~mask[box], (1.0, 1.0, 1.0), reach), np.float32(reach), out=out[box])
    return out


def largest_component(mask: Mask) -> Mask:
    """Return the largest face-connected part of a mask (empty stays empty)."""
    labels, n = ndimage.label(mask)
    if n == 0:
        return mask
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray(labels == int(np.argmax(sizes)))


def main_part(mask: Mask, step_mm: float) -> Mask:
    """Return the largest face-connected part of a liver, with what the end of the scan alone cuts off from it.

    Two lobes may meet above the last plane ``z`` of a scan: parts that come within :data:`GAP_MM` in the first or last
    plane are taken as one.
    """
    ends = [_closed_plane(mask[end], GAP_MM / 2 / step_mm) for end in (0, -1)]
    joined = np.concatenate([ends[0][None], mask, ends[1][None]])
    return largest_component(joined)[1:-1] & mask


def _closed_plane(plane: Mask, radius: float) -> Mask:
    """Return a plane closed by a disc of ``radius`` voxels."""
    if not plane.any():
        return plane
    n = int(radius) + 1
    wide = np.pad(plane, n)[None]
    grown = np.isfinite(distance_within(wide, (1.0, 1.0, 1.0), radius))
    return np.asarray(~np.isfinite(distance_within(~grown, (1.0, 1.0, 1.0), radius)))[0, n:-n, n:-n]


def robust_mean_sd(values: NDArray[np.floating]) -> tuple[float, float]:
    """Return mean and standard deviation of the bulk of some values (median and MAD, then trimmed at 2.5 sd)."""
    middle = float(np.median(values))
    spread = 1.4826 * float(np.median(np.abs(values - middle))) + 1e-3
    bulk = values[np.abs(values - middle) < 2.5 * spread]
    return float(bulk.mean()), float(bulk.std() / 0.955)


def _layer_of_fluid(smooth: F32, start: Mask, depth_mm: F32, step_mm: float) -> Mask:
    """Return fluid in the network's mask that lies along its surface: ascites, or stomach and bowel beside the liver.

    Fluid is -12 to 26 HU and much darker than the deep part of this liver; where that is as dark itself (fat) nothing
    is taken. A layer lies nowhere deep in the mask; cysts and the dead cores of tumours do, and stay.
    """
    deep = depth_mm > min(16.0, 0.6 * float(depth_mm.max()))
    mean, sd = robust_mean_sd(smooth[deep])
    top = min(26.0, mean - max(2.0 * sd, 20.0))
    if top <= 0:
        return np.zeros_like(start)
    labels, n = ndimage.label(ndimage.binary_opening((smooth > -12) & (smooth < top)))
    if n == 0:
        return np.zeros_like(start)
    voxel_ml = step_mm**3 / 1000
    size, mine, deep_ml = (
        np.bincount(labels[m], minlength=n + 1) * voxel_ml for m in (labels > 0, start, depth_mm > LAYER_MM)
    )
    foreign = (deep_ml < 0.1 * mine) & (mine > 0) & ((size - mine > LEAST_FLUID_ML) | (size > LARGE_FLUID_ML))
    foreign[0] = False
    return np.asarray(foreign[labels])


def _embedded_dense(hu: F32, start: Mask, step_mm: float) -> tuple[Mask, Mask]:
    """Return dense things that liver surrounds, and those of them that stand alone.

    The network often leaves a hole for a large calcification. Counted is how much of the 4 mm around a thing is liver:
    nearly all around a focus, about half along a plaque of the capsule, little around a rib, which the abdominal wall
    keeps away. A plaque may touch spine or kidney: what is no part of the liver is looked at again at higher CT
    numbers, where it falls apart. A thing stands alone when little around it is bright, as much is around bone.
    """
    mean, _ = robust_mean_sd(hu[start])
    least = max(mean + 110.0, 180.0)
    dense = hu > least
    near = ndimage.binary_dilation(start, iterations=2)
    out, alone = np.zeros((2, *start.shape), bool)
    reach = max(round(4.0 / step_mm), 1)
    for more in DENSER_HU:
        labels, _ = ndimage.label((hu > least + more) & ~out, np.ones((3, 3, 3)))
        touching = np.unique(labels[near])
        boxes = ndimage.find_objects(labels)
        for k in touching[touching > 0]:
            box = tuple(slice(max(s.start - reach - 1, 0), s.stop + reach + 1) for s in boxes[k - 1])
            thing = labels[box] == k
            small = thing.sum() * step_mm**3 < SMALL_MM3
            if more:
                # with the rim that is less dense, which averaging makes
                thing = ndimage.binary_dilation(thing) & dense[box]
            shell = ndimage.binary_dilation(thing, iterations=reach) & ~thing
            around = shell & ~dense[box]
            enough = SURROUNDED if not small else SURROUNDED_PIECE if more else SURROUNDED_SMALL
            if not around.any() or float(start[box][around].mean()) <= enough:
                continue
            is_alone = float((hu[box][shell] > mean + 50.0).mean()) < BRIGHT_AROUND
            if is_alone or not more:
                out[box] |= thing
            if is_alone:
                alone[box] |= thing
    return out, alone


def _bone(hu: F32, depth: F32, mean: float, step_mm: float) -> Mask:
    """Return bone beside the liver, marrow included.

    A rib that the network's mask touches is one large dense structure, its two cortices joined by closing; only its
    near side lies in the mask, never deep. A calcified focus lies in the mask as a whole, or reaches deep into it.
    """
    dense = hu > max(mean + 110.0, 200.0)
    labels, n = ndimage.label(_erode_dilate(dense, max(round(4.0 / step_mm), 1), opening=False) | dense)
    if n == 0:
        return dense
    size = np.bincount(labels.ravel(), minlength=n + 1) * step_mm**3
    share = np.bincount(labels[depth > 0], minlength=n + 1) * step_mm**3 / np.maximum(size, 1e-6)
    deepest = _deepest(depth, labels, n)
    foreign = (share < 0.8) & (deepest < 12.0) & (size > 1500.0)
    foreign[0] = False
    return np.asarray(foreign[labels])


def _bright_parts(bright: Mask, depth: F32, step_mm: float) -> Mask:
    """Return bright voxels of things that lie in the liver: within the mask as a whole, or reaching deep into it."""
    labels, n = ndimage.label(bright)
    if n == 0:
        return bright
    start = depth > 0
    size = np.bincount(labels.ravel(), minlength=n + 1)
    share = np.bincount(labels[start], minlength=n + 1) / np.maximum(size, 1)
    deepest = _deepest(depth, labels, n)
    own = (share > 0.9) | ((deepest > 10.0) & (share > 0.6))
    own[0] = False
    return np.asarray(start & own[labels])


def _deepest(depth: F32, labels: NDArray[np.int32], n: int) -> F32:
    """Return how deep each of ``n`` labelled parts reaches, ``(n + 1,)``; nothing is said of the rest, label 0."""
    at = np.flatnonzero(labels)
    out = np.full(n + 1, -np.inf, np.float32)
    np.maximum.at(out, labels.ravel()[at], depth.ravel()[at])
    return out


def _log_ratio(smooth: F32, depth: F32, core: Mask, mean: float, sd: float) -> tuple[F32, float]:
    """Return the log-likelihood ratio liver : surroundings of each voxel, and how far apart the two are."""
    edges = np.arange(RANGE_HU[0], RANGE_HU[1] + BIN_HU, BIN_HU)
    centres = (edges[:-1] + edges[1:]) / 2
    gauss = np.exp(-(((centres - mean) / sd) ** 2) / 2)
    wide = np.histogram(smooth[(depth > 4) | core], edges)[0].astype(float)
    around = np.histogram(smooth[(depth < -6) & (depth > -26)], edges)[0].astype(float)
    wide, around = (ndimage.gaussian_filter1d(h, 1.0) for h in (wide, around))
    liver = 0.5 * gauss / gauss.sum() + 0.5 * wide / max(wide.sum(), 1) + 1e-5
    other = around / max(around.sum(), 1) + 1e-4
    liver, other = liver / liver.sum(), other / other.sum()
    contrast = -float(np.log(np.sqrt(liver * other).sum()))
    table = np.clip(np.log(liver / other), -4.0, 2.5)
    index = np.clip(((smooth - RANGE_HU[0]) / BIN_HU).astype(np.int32), 0, len(table) - 1)
    return table[index].astype(np.float32), contrast


def _tidy(mask: Mask, fat: Mask, regain: Mask, bright: Mask, step_mm: float) -> Mask:
    """Cut thin bridges, keep the largest part, close around bright voxels, fill holes."""
    radius = max(round(4.0 / step_mm), 1)
    opened = main_part(_erode_dilate(mask, radius, opening=True), step_mm)
    if not opened.any():
        opened = main_part(mask, step_mm)
    cross = ndimage.generate_binary_structure(3, 1)
    grown = ndimage.binary_dilation(opened, cross, iterations=2, mask=mask | regain & _dilated(bright, radius))
    near_bright = bright & _dilated(grown, radius)
    grown |= near_bright
    closed = _erode_dilate(grown, radius, opening=False)
    grown |= closed & ~fat
    return _filled(_filled(grown, planes=True))


def _erode_dilate(mask: Mask, radius: int, *, opening: bool) -> Mask:
    """Open or close with a ball of ``radius`` voxels; the border counts as background."""
    found = ndimage.find_objects(mask.view(np.int8))
    if not found:
        return mask.copy()
    # neither reaches beyond the box of the mask, so the distances need not either
    padded = np.pad(mask[found[0]], radius + 1)
    if opening:
        result = _dilated(~_dilated(~padded, radius), radius)
    else:
        result = ~_dilated(~_dilated(padded, radius), radius)
    out = np.zeros(mask.shape, bool)
    out[found[0]] = result[tuple(slice(radius + 1, -radius - 1) for _ in range(3))]
    return out


def _dilated(mask: Mask, radius: int) -> Mask:
    """Return a mask grown by a ball of ``radius`` voxels."""
    return np.isfinite(distance_within(mask, (1.0, 1.0, 1.0), radius))


def _filled(mask: Mask, *, planes: bool = False) -> Mask:
    """Return a mask without its holes: of the whole, or of each plane ``(y, x)`` by itself."""
    cross = ndimage.generate_binary_structure(3, 1)
    if planes:
        cross[0] = cross[2] = False
    outside, _ = ndimage.label(np.pad(~mask, 1, constant_values=True), cross)
    return np.asarray((outside != outside[:, :1, :1])[1:-1, 1:-1, 1:-1])
