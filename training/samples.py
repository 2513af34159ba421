"""Samples: a source, deformed, redrawn, made ill and scanned badly. Sample ``n`` of a seed is always the same."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.artefacts import add_artefacts, cut_off
from training.disease import (
    Scene,
    add_calcium,
    add_effusion,
    add_fluid_rim,
    add_large_tumour,
    add_lesions,
    take_lobe_out,
)  # fmt: skip
from training.geometry import Anchors, anchors_of, draw_positions, take
from training.negatives import draw_negative
from training.prepare import Source
from training.tissue import redraw_tissue

__all__ = ["CHUNK", "Generator", "Sample", "chunk_path", "read_chunk", "write_chunk"]

CHUNK = 16
NEGATIVE = 0.025
NOBODY = "negative"
DIGITAL = "digital"


@dataclass(frozen=True, eq=False, slots=True)
class Sample:
    """One crop of 96 x 80 x 48 voxels at 4 mm.

    Args:
        x: float16 ``(x, y, z)``, the network's input, air 0.
        labels: uint8.
        liver: uint8, share of liver times 255.
        case: which patient it is of.
        missing: indices of organs that may hide in the label ``other``.
    """

    x: NDArray[np.float16]
    labels: NDArray[np.uint8]
    liver: NDArray[np.uint8]
    case: str
    missing: tuple[int, ...]


class Generator:
    """Draws samples from sources.

    Args:
        sources: the patients.
        seed: of the whole series of samples.
    """

    def __init__(self, sources: Sequence[Source], seed: int) -> None:
        self.sources = sorted(sources, key=lambda s: s.name)
        self.anchors: list[Anchors] = [anchors_of(s) for s in self.sources]
        weights = np.array([s.weight for s in self.sources], float)
        self.odds = weights / weights.sum()
        self.seed = seed

    def draw(self, number: int) -> Sample:
        """Return sample ``number``, the same each time."""
        rng = np.random.default_rng([self.seed, number])
        case = NOBODY
        missing: tuple[int, ...] = ()
        if rng.random() < NEGATIVE:
            scene = draw_negative(rng)
        else:
            chosen = int(rng.choice(len(self.sources), p=self.odds))
            source = self.sources[chosen]
            case, missing = source.name, source.missing
            scene = self._patient(rng, source, self.anchors[chosen])
        scene.hu = add_artefacts(rng, scene.hu)
        cut_off(rng, scene)
        x = (np.clip(scene.hu, -200, 300) + 200) / 250
        liver = np.rint(np.clip(scene.liver, 0, 1) * 255).astype(np.uint8)
        return Sample(x.astype(np.float16), scene.labels, liver, case, missing)

    def _patient(self, rng: np.random.Generator, source: Source, anchors: Anchors) -> Scene:
        cirrhosis = rng.random() < 0.06
        hu, labels, liver = take(source, draw_positions(rng, anchors, cirrhosis=cirrhosis))
        scene = Scene(redraw_tissue(rng, hu, labels), labels, liver)
        odds = rng.random(6)
        if odds[0] < 0.04:
            take_lobe_out(rng, scene)
        if odds[1] < 0.35:
            add_lesions(rng, scene)
        if odds[2] < 0.07:
            add_large_tumour(rng, scene)
        if odds[3] < (0.5 if cirrhosis else 0.07):
            add_fluid_rim(rng, scene)
        if odds[4] < 0.06:
            add_effusion(rng, scene)
        if odds[5] < 0.28:
            add_calcium(rng, scene)
        return scene


def chunk_path(folder: Path, number: int) -> Path:
    """Return the file of chunk ``number``, which holds samples ``16 number`` to ``16 number + 15``."""
    return folder / f"samples-{number:05d}.npz"


def write_chunk(generator: Generator, number: int, folder: Path) -> Path:
    """Draw a chunk and write it; a chunk that is there is left alone."""
    path = chunk_path(folder, number)
    if path.exists():
        return path
    drawn = [generator.draw(number * CHUNK + k) for k in range(CHUNK)]
    missing = np.zeros((CHUNK, 32), bool)
    for k, sample in enumerate(drawn):
        missing[k, list(sample.missing)] = True
    partial = path.with_suffix(".part")
    with partial.open("wb") as file:
        np.savez(
            file, x=np.stack([s.x for s in drawn]), labels=np.stack([s.labels for s in drawn]),
            liver=np.stack([s.liver for s in drawn]), case=np.array([s.case for s in drawn]), missing=missing,
        )  # fmt: skip
    partial.replace(path)
    return path


def read_chunk(folder: Path, number: int, *, wait_s: float = 0.0) -> list[Sample]:
    """Read a chunk.

    Args:
        folder: where the samples are.
        number: which chunk.
        wait_s: how long to wait for it, while another process draws.

    Raises:
        FileNotFoundError: it did not come.
    """
    path = chunk_path(folder, number)
    end = time.monotonic() + wait_s
    while not path.exists():
        if time.monotonic() > end:
            raise FileNotFoundError(f"{path} did not come in {wait_s:.0f} s; run `python -m training samples` beside")
        time.sleep(0.5)
    with np.load(path) as kept:
        x, labels, liver, cases, missing = (kept[n] for n in ("x", "labels", "liver", "case", "missing"))
    return [
        Sample(x[k], labels[k], liver[k], str(cases[k]), tuple(int(i) for i in np.flatnonzero(missing[k])))
        for k in range(len(x))
    ]
