"""Runs of the liver segmenter on test bodies: what it found, how near the truth, and whether it warned.

``all_bodies`` is the list that ``scripts/bench segmentation`` measures; two run at a time, in processes of their own.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hepacalc.errors import NoUsableLiver
from hepacalc.liver import liver_volume
from hepacalc.liver.embedded import EmbeddedSegmenter
from hepacalc.phantom import BODIES, make_body
from hepacalc.records import LiverMask, Volume
from matching import SHARED
from warped import WARPS, WHOLE, warped

CHECK = "check the contour"
POOR = 0.85
HARD = ("right hepatectomy", "left hepatectomy", "Riedel lobe")
HARD_SEEDS = (5, 6)


@dataclass(frozen=True)
class Run:
    """What the segmenter made of one body.

    Args:
        source: ``phantom`` or the scan that was bent.
        body: what was done.
        seed: of the body.
        dice: with the truth; 0 when it found no liver.
        confidence: its own; 0 when it found no liver.
        warnings: its own; the error when it found no liver.
        volume_ratio: found over true.
        interval: of the volume over the true volume, when it gives one.
    """

    source: str
    body: str
    seed: int
    dice: float
    confidence: float
    warnings: tuple[str, ...]
    volume_ratio: float
    interval: tuple[float, float] | None = None

    @property
    def is_flagged(self) -> bool:
        """Whether a reader is told to check the contour, or that there is no usable liver."""
        return self.dice == 0 or any(CHECK in w for w in self.warnings)


def dice(a: np.ndarray, b: np.ndarray) -> float:
    """Return the Dice coefficient of two masks."""
    return float(2 * np.count_nonzero(a & b) / max(np.count_nonzero(a) + np.count_nonzero(b), 1))


def segmented(volume: Volume, threads: int = 2, weights: Path | None = None) -> LiverMask | NoUsableLiver:
    """Return the liver, or the refusal; by other weights when given."""
    try:
        return EmbeddedSegmenter(threads, weights).segment(volume)
    except NoUsableLiver as refusal:
        return refusal


def judged(source: str, body: str, seed: int, volume: Volume, liver: np.ndarray, threads: int = 2) -> Run:
    """Segment a body and compare."""
    found = segmented(volume, threads)
    if isinstance(found, NoUsableLiver):
        return Run(source, body, seed, 0.0, 0.0, (found.message,), 0.0)
    true = max(np.count_nonzero(liver), 1)
    return Run(
        source, body, seed, dice(found.mask, liver), found.confidence, found.warnings,
        np.count_nonzero(found.mask) / true, _interval(found, true),
    )  # fmt: skip


def _interval(found: LiverMask, true_voxels: int) -> tuple[float, float]:
    """Return the ends of the interval of the volume over the true volume."""
    ml = true_voxels * found.geometry.voxel_mm3 / 1000
    volume = liver_volume(found)
    return volume.low / ml, volume.high / ml


def one(job: tuple[str, str, int]) -> Run:
    """Make one body and segment it; on one thread."""
    source, body, seed = job
    if source == "phantom":
        made = make_body(body, seed)
        return judged(source, body, seed, made.volume, made.liver, 1)
    case = warped(source, body, seed)
    return judged(source, body, seed, case.volume, case.liver, 1)


def all_bodies(phantom_seeds: Sequence[int], warp_seeds: Sequence[int]) -> list[tuple[str, str, int]]:
    """Return every test body for some seeds; bent real scans only where the folder with scans is there.

    The bodies on which most masks were poor are drawn more often, so that there is something to warn of. Each thing
    that is done to real scans is done to one of the three scans a seed.
    """
    jobs = [("phantom", body, seed) for seed in phantom_seeds for body in BODIES]
    jobs += [("phantom", body, seed) for seed in HARD_SEEDS for body in HARD]
    if SHARED.is_dir():
        for seed in warp_seeds:
            for k, body in enumerate(WARPS):
                jobs.append((WHOLE[(k + seed) % 3], body, seed))
    return jobs


def run_all(jobs: Iterable[tuple[str, str, int]], workers: int = 2) -> list[Run]:
    """Run bodies, two at a time."""
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        return list(pool.map(one, jobs))
