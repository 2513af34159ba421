"""The liver segmenter that comes with hepacalc: a small network at 4 mm, then a refinement at 2 mm.

Offline, deterministic, on the CPU. The weights are data: ``weights/liver.onnx`` (input ``[1, 1, X, Y, Z]`` in RAS
at 4 mm, ``(clip(HU, -200, 300) + 200) / 250``; output one logit per voxel).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import expit

from hepacalc.errors import NoUsableLiver
from hepacalc.geometry import Geometry
from hepacalc.liver.calm import without_dense
from hepacalc.liver.refine import Refined, largest_component, likeness, main_part, refine, robust_mean_sd
from hepacalc.liver.resample import IsoGrid, iso_grid, shrink, spread
from hepacalc.liver.trust import (
    LARGER,
    STEADY,
    Witness,
    other_parts_ml,
    resized,
    same_when_larger,
    trust,
    voxel_probability,
)
from hepacalc.records import LiverMask, LiverProbability, Volume
from hepacalc.threads import thread_count, thread_pool

__all__ = ["EmbeddedSegmenter"]

F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]
COARSE_MM = 4.0
FINE_MM = 2.0
MARGIN_MM = 26.0
SMALLEST_ML = 60.0
LARGEST_ML = 6000.0
LEAST_OF_A_PART_ML, STEADY_OF_A_PART = 600.0, 0.75
LARGEST_SHARE, LARGEST_SHARE_OF_PART = 0.55, 0.75
CLOSED_RING = 0.93
LEAST_TRUNK_ML = 1.0
LEAST_MIRRORED_ML = 200.0
CUT_CM2 = 60.0
"""A side of the scan with more than this of the body in its last plane cuts it."""
BEYOND = 16
ABOVE = 4
"""How many planes the first and last of the scan are repeated, so that the network sees tissue go on there."""
NOT_CUT = ((0, 0), (0, 0))
THIN_MM, THICKEST_MM, LOWER_PER_MM = 3.0, 8.0, 0.02


@dataclass(frozen=True, slots=True)
class EmbeddedSegmenter:
    """Finds the liver with the network that is part of the package.

    Args:
        threads: threads for the network; see :mod:`hepacalc.threads`.
        weights: another network with the same input and output, as ``training/`` makes them; None: the package's own.
    """

    threads: int = field(default_factory=thread_count)
    weights: Path | None = None
    name: str = "embedded"
    version: str = "2"

    def segment(self, volume: Volume, *, progress: Callable[[str, float], None] | None = None) -> LiverMask:
        """Return the liver of a scan.

        Args:
            volume: CT in HU, any orientation; the grid must be orthogonal.
            progress: called with a word and a fraction 0-1.

        Raises:
            NoUsableLiver: no liver in view, or nothing that can be trusted to be one.
        """
        tell = progress or (lambda _word, _part: None)
        turn = volume.geometry.canonical()
        hu = turn.apply(volume.hu)
        spacing = turn.geometry.spacing_mm
        tell("looking for the liver", 0.0)
        coarse_grid = iso_grid(turn.geometry.shape, spacing, COARSE_MM)
        coarse = shrink(hu, coarse_grid)
        seen = without_dense(coarse)
        probability = _probability(seen, self.threads, self.weights)
        start = main_part(probability > 0.5, COARSE_MM)
        tell("drawing its contour", 0.5)
        with thread_pool(1) as pool:
            # the contour is drawn while the network looks a second time; a liver on the left is drawn anew
            witness = pool.submit(self._witness, seen, probability, start)
            drawn = _drawn(hu, spacing, coarse_grid, start, probability) if _is_sized_like_one(start) else None
            said = witness.result()
        found = self._mirrored(seen, coarse, probability, start, said)
        if found is not None:
            probability, start, said = found
            drawn = _drawn(hu, spacing, coarse_grid, start, probability)
        elif start.any() and _lies_left(start, coarse):
            said = replace(said, is_mirrored=True)
        _check(start, probability, coarse, said)
        assert drawn is not None
        grid, fine_hu, fine_p, refined = drawn
        mask = spread(likeness(refined), grid, _cut_at(spacing[0]))
        if not mask.any():
            raise NoUsableLiver(
                "a liver was wanted, but what looked like one vanished when its contour was drawn.",
                hint="Give a mask with --liver-mask, or send a scan that shows the upper abdomen.",
            )
        confidence, warnings = trust(refined, fine_hu, fine_p, said)
        likely = LiverProbability(voxel_probability(refined, fine_p), _geometry(grid, turn.geometry))
        tell("liver found", 1.0)
        native = np.ascontiguousarray(turn.undo(mask))
        return LiverMask(native, volume.geometry, self.name, self.version, confidence, warnings, likely)

    def _mirrored(
        self, seen: F32, coarse: F32, probability: F32, start: Mask, said: Witness
    ) -> tuple[F32, Mask, Witness] | None:
        """Return what the network says of the scan with left and right exchanged, brought back; None: not better.

        That is asked where the first look found no clear liver on the right, and taken when it shows more liver, and
        surer (situs inversus, or a scan written the wrong way round).
        """
        if not _is_doubtful(start, probability, coarse, said):
            return None
        turned = np.ascontiguousarray(seen[:, :, ::-1])
        other = _probability(turned, self.threads, self.weights)
        if _sure_voxels(other) <= max(1.5 * _sure_voxels(probability), LEAST_MIRRORED_ML / COARSE_MM**3 * 1000):
            return None
        found = main_part(other > 0.5, COARSE_MM)
        witness = self._witness(turned, other, found)
        # spleen and stomach of a chest may pass for a liver once; not twice the same
        if witness.steady <= STEADY:
            return None
        back = np.asarray(other[:, :, ::-1], np.float32, order="C"), np.asarray(found[:, :, ::-1], bool, order="C")
        return *back, replace(witness, is_mirrored=True)

    def _witness(self, seen: F32, probability: F32, start: Mask) -> Witness:
        """Return what the network says of the scan made a tenth larger, beside what it said of the scan as it is."""
        larger = _probability(resized(seen, LARGER), self.threads, self.weights)
        steady = same_when_larger(start, larger) if start.any() else 0.0
        ml = COARSE_MM**3 / 1000
        return Witness(steady, other_parts_ml(probability, start, ml), float(start.sum()) * ml)


def _cut_at(slice_mm: float) -> float:
    """Return the likeness of liver at which a scan is cut: lower where its slices are thick.

    There the edge of the liver shares a voxel with fat or lung and looks like neither; cut in the middle, the liver
    of a scan averaged to slices of 5-8 mm comes out about 5 % too small.
    """
    return 0.5 - LOWER_PER_MM * min(max(slice_mm - THIN_MM, 0.0), THICKEST_MM - THIN_MM)


def _is_sized_like_one(start: Mask) -> bool:
    return SMALLEST_ML <= float(start.sum()) * COARSE_MM**3 / 1000 <= LARGEST_ML


def _sure_voxels(probability: F32) -> int:
    """Return how much of the largest part the network was sure about."""
    return int(np.count_nonzero(probability[main_part(probability > 0.5, COARSE_MM)] > 0.8))


def _is_doubtful(start: NDArray[np.bool_], probability: F32, coarse: F32, witness: Witness) -> bool:
    """Whether a mask is small, unsure, unsteady, one of several, or lies left of the middle of the body."""
    if witness.start_ml < 2 * SMALLEST_ML or witness.other_ml > 0.1 * witness.start_ml or witness.steady < 0.95:
        return True
    if float(probability[start].mean()) < 0.88:
        return True
    return _lies_left(start, coarse)


_CUT_SHARE = 0.1
"""Of a column at the edge of the image: more body than this, and the body goes on beyond."""


def _lies_left(start: NDArray[np.bool_], coarse: F32) -> bool:
    """Whether the middle of a mask lies left of the middle of the body; not told of a body that is cut at a side."""
    planes = start.any((1, 2))
    columns = (coarse[planes] > -300).mean((0, 1))
    if max(columns[0], columns[-1]) > _CUT_SHARE:
        return False
    body = np.flatnonzero(columns)
    return float(np.nonzero(start)[2].mean()) > float(body[0] + body[-1]) / 2


def _geometry(grid: IsoGrid, source: Geometry) -> Geometry:
    """Return where an isotropic grid laid over ``source`` lies in space."""
    spacing = np.array(grid.source_spacing_mm)
    affine = source.affine.copy()
    affine[:3, :3] *= grid.step_mm / spacing
    affine[:3, 3] = source.to_world(np.array(grid.start_mm) / spacing - 0.5)
    return Geometry(grid.shape, affine)


@lru_cache(maxsize=2)
def _session(threads: int, weights: Path | None) -> Any:
    """Load a network once a process."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 3
    data = (weights or files("hepacalc.liver").joinpath("weights/liver.onnx")).read_bytes()
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def _probability(coarse: F32, threads: int, weights: Path | None = None) -> F32:
    """Return the probability of liver on the 4 mm grid ``(z, y, x)`` (z up, y back, x left)."""
    body = _body(coarse)
    out = np.zeros(coarse.shape, np.float32)
    if not body.any():
        return out
    box = ndimage.find_objects(body.astype(np.int8))[0]
    ys, xs = (slice(max(s.start - 2, 0), s.stop + 2) for s in box[1:])
    part = coarse[:, ys, xs]
    beyond = _cut_sides(body)
    part = np.pad(part, ((ABOVE, ABOVE), *beyond), mode="edge")
    # the network wants (x to the right, y to the front, z up)
    ras = np.transpose(part[:, ::-1, ::-1], (2, 1, 0))
    scaled = (np.clip(ras, -200, 300) + 200) / 250
    pad = [(0, -n % 16) for n in scaled.shape]
    wide = np.pad(scaled, pad).astype(np.float32)[None, None]
    logit = _session(threads, weights).run(None, {"x": wide})[0][0, 0]
    nx, ny, nz = scaled.shape
    found = np.transpose(expit(logit[:nx, :ny, ABOVE : nz - ABOVE]), (2, 1, 0))[:, ::-1, ::-1]
    (front, back), (right, left) = beyond
    out[:, ys, xs] = found[:, front : found.shape[1] - back, right : found.shape[2] - left]
    return out


def _body(coarse: F32) -> NDArray[np.bool_]:
    """Return the body on the 4 mm grid."""
    return largest_component(ndimage.binary_opening(coarse > -300, iterations=1))


def _cut_sides(body: NDArray[np.bool_]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return by how many voxels a body goes on beyond the scan at ``((front, back), (right, left))``.

    To the network a side of the scan that cuts the body looks like skin, and liver is not expected there; with the
    last plane repeated it sees tissue.
    """
    least = CUT_CM2 * 100 / COARSE_MM**2
    front, back, right, left = (
        BEYOND if np.count_nonzero(np.take(body, end, axis)) > least else 0 for axis in (1, 2) for end in (0, -1)
    )
    return (front, back), (right, left)


def _check(start: Mask, probability: F32, coarse: F32, said: Witness) -> None:
    """Refuse what cannot be a liver.

    Raises:
        NoUsableLiver: too small, too large, not of liver density, or a doubtful piece in half a body.
    """
    volume_ml = float(start.sum()) * COARSE_MM**3 / 1000
    hint = "Send a scan that shows the upper abdomen, or give the liver with --liver-mask."
    if volume_ml < SMALLEST_ML:
        found = "nothing that looks like a liver" if volume_ml < 1 else f"only {volume_ml:.0f} mL that looks like one"
        raise NoUsableLiver(
            f"a liver was wanted; the scan shows {found} (at least {SMALLEST_ML:.0f} mL needed).", hint=hint
        )
    if volume_ml > LARGEST_ML:
        raise NoUsableLiver(
            f"a liver was wanted; what looks like one measures {volume_ml:.0f} mL, more than {LARGEST_ML:.0f} mL.",
            hint=hint,
        )
    share, ring = _context(start, coarse)
    is_part = _cut_sides(_body(coarse)) != NOT_CUT
    if is_part and volume_ml < LEAST_OF_A_PART_ML and said.steady < STEADY_OF_A_PART:
        raise NoUsableLiver(
            f"a liver was wanted; the scan shows a part of the body, and the {volume_ml:.0f} mL in it that look like "
            f"liver do not when looked at again (overlap {said.steady:.0%}).",
            hint=hint,
        )
    # of a body that the scan cuts at a side, the liver fills more
    largest = LARGEST_SHARE_OF_PART if is_part else LARGEST_SHARE
    if share > largest or ring > CLOSED_RING:
        raise NoUsableLiver(
            f"a liver was wanted; what looks most like one fills {share:.0%} of the body's cross-section, with bone "
            f"around it in {ring:.0%} of all directions, as in no trunk.",
            hint=hint,
        )
    gas_ml, bone_ml = _trunk(start, coarse)
    if gas_ml < LEAST_TRUNK_ML or bone_ml < LEAST_TRUNK_ML:
        raise NoUsableLiver(
            f"a liver was wanted; about what looks most like one lie {gas_ml:.1f} mL of gas (lung, bowel) and "
            f"{bone_ml:.1f} mL of bone, at least {LEAST_TRUNK_ML:g} mL of either in any trunk.",
            hint=hint,
        )
    mean, spread_hu = robust_mean_sd(coarse[start])
    surest = float(np.quantile(probability[start], 0.9))
    if not -30 <= mean <= 260 or spread_hu > 70 or surest < 0.8:
        raise NoUsableLiver(
            f"a liver was wanted; what looks most like one has {mean:.0f} +- {spread_hu:.0f} HU at a confidence of "
            f"{surest:.2f}, which is no liver that can be used.",
            hint=hint,
        )


def _trunk(start: NDArray[np.bool_], coarse: F32) -> tuple[float, float]:
    """Return the mL of gas within the body and of bone in the planes of a mask and 60 mm above and below."""
    levels = np.flatnonzero(start.any((1, 2)))
    more = round(60 / COARSE_MM)
    slab = coarse[max(levels[0] - more, 0) : levels[-1] + 1 + more]
    gas = sum(int(np.count_nonzero(ndimage.binary_fill_holes(p > -300) & (p < -400))) for p in slab)
    return gas * COARSE_MM**3 / 1000, float(np.count_nonzero(slab > 180)) * COARSE_MM**3 / 1000


def _context(start: NDArray[np.bool_], coarse: F32) -> tuple[float, float]:
    """Return the share of the body's cross-section that a mask fills, and how closed the ring of bone about it is.

    The ring is the share of 36 directions from the middle of the body in which bone is met, the median over the
    planes with much of the mask: nearly 1 in a head, far less in a trunk.
    """
    body = _body(coarse)
    planes = np.flatnonzero(start.sum((1, 2)) > 0.5 * start.sum((1, 2)).max())
    shares, rings = [], []
    for k in planes:
        filled = ndimage.binary_fill_holes(body[k])
        if not filled.any():
            continue
        shares.append(float(start[k].sum() / filled.sum()))
        middle = np.argwhere(filled).mean(0)
        y, x = (np.argwhere((coarse[k] > 200) & filled) - middle).T
        sectors = np.unique(((np.arctan2(y, x) + np.pi) / (2 * np.pi) * 36).astype(int) % 36)
        rings.append(len(sectors) / 36)
    return (float(np.median(shares)), float(np.median(rings))) if shares else (1.0, 1.0)


def _drawn(
    hu: NDArray[Any], spacing: tuple[float, float, float], coarse_grid: IsoGrid, start: Mask, probability: F32
) -> tuple[IsoGrid, F32, F32, Refined]:
    """Return the 2 mm grid around the coarse liver, HU and probability on it, and the contour."""
    grid, fine_hu, fine_p = _around(hu, spacing, coarse_grid, start, probability)
    return grid, fine_hu, fine_p, refine(fine_hu, fine_p, FINE_MM)


def _around(
    hu: NDArray[Any],
    spacing: tuple[float, float, float],
    coarse_grid: IsoGrid,
    start: NDArray[np.bool_],
    probability: F32,
) -> tuple[IsoGrid, F32, F32]:
    """Return the 2 mm grid around the coarse liver, with HU and probability on it."""
    found = ndimage.find_objects(start.astype(np.int8))[0]
    box = tuple((s.start * COARSE_MM - MARGIN_MM, s.stop * COARSE_MM + MARGIN_MM) for s in found)
    grid = iso_grid(coarse_grid.source_shape, spacing, FINE_MM, box)
    fine_hu = shrink(hu, grid)
    positions = [
        np.asarray((grid.start_mm[a] + np.arange(grid.shape[a]) * FINE_MM - coarse_grid.start_mm[a]) / COARSE_MM, float)
        for a in range(3)
    ]
    lows = [int(max(np.floor(p[0]), 0)) for p in positions]
    highs = [int(min(np.ceil(p[-1]) + 1, n)) for p, n in zip(positions, coarse_grid.shape, strict=True)]
    part = probability[tuple(slice(a, b) for a, b in zip(lows, highs, strict=True))]
    for axis, (position, low) in enumerate(zip(positions, lows, strict=True)):
        part = _interpolate(part, position - low, axis)
    return grid, fine_hu, np.ascontiguousarray(part)


def _interpolate(array: F32, position: NDArray[np.float64], axis: int) -> F32:
    """Interpolate linearly along one axis, held constant beyond the ends."""
    n = array.shape[axis]
    position = np.clip(position, 0, n - 1)
    low = np.minimum(np.floor(position).astype(int), max(n - 2, 0))
    high = np.minimum(low + 1, n - 1)
    part = (position - low).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
    return np.asarray(np.take(array, low, axis) * (1 - part) + np.take(array, high, axis) * part, np.float32)
