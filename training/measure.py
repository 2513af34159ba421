"""Measure weights with the package's own pipeline: Dice on the labelled scans and on digital patients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepacalc.errors import NoUsableLiver
from hepacalc.liver.embedded import EmbeddedSegmenter
from hepacalc.liver.place import place_exactly
from hepacalc.phantom import make_patient, random_specs
from hepacalc.records import Volume
from hepacalc.study import open_study, read_nifti_labels
from training.cases import CASES
from training.geometry import CROP_MM
from training.samples import Sample

__all__ = ["Result", "dice", "measure", "on_samples", "patients", "scans"]

DIGITAL_MM = (3.0, 1.6, 1.6)


@dataclass(frozen=True, slots=True)
class Result:
    """How one scan came out.

    Args:
        name: of the scan.
        dice: of the final mask on the scan's grid; 0 when no liver was found.
        volume_ratio: found over true volume.
        confidence: as the segmenter states it.
        refused: what was said instead of a mask.
    """

    name: str
    dice: float
    volume_ratio: float
    confidence: float
    refused: str


def dice(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Return twice the common part over the sum."""
    return float(2 * int((a & b).sum()) / max(int(a.sum()) + int(b.sum()), 1))


def scans(shared: Path, names: Sequence[str]) -> Iterator[tuple[str, Volume, NDArray[np.bool_]]]:
    """Yield labelled scans: name, CT, liver.

    Args:
        shared: folder of the shared data.
        names: of cases.

    Raises:
        ValueError: the labels do not lie on the scan's grid.
    """
    for case in CASES:
        if case.name in names:
            volume = open_study(shared / case.scan)[0]
            values, grid = read_nifti_labels(shared / case.labels)
            placed = place_exactly(values == 1, grid, volume.geometry)
            if placed is None:
                raise ValueError(f"{case.name}: the labels are not on the grid of the scan")
            yield case.name, volume, placed.mask


def patients(seeds: Sequence[int]) -> Iterator[tuple[str, Volume, NDArray[np.bool_]]]:
    """Yield digital patients that the training has not seen, in turn portal venous and non-contrast, with foci."""
    for seed in seeds:
        rng = np.random.default_rng(seed)
        phase = ("portal venous", "non-contrast")[seed % 2]
        kind: Any = ("normal", "fatty", "iron", "normal")[seed // 2 % 4]
        foci = random_specs(rng, 4, diameter_mm=(3.0, 40.0))
        made = make_patient(seed, phase=phase, liver=kind, foci=foci, spacing_mm=DIGITAL_MM)
        yield f"digital {seed} {phase} {kind}", made.volume, made.liver


def measure(segmenter: EmbeddedSegmenter, livers: Iterator[tuple[str, Volume, NDArray[np.bool_]]]) -> Iterator[Result]:
    """Segment each scan and compare with what is known.

    Args:
        segmenter: with the weights to measure.
        livers: from :func:`scans` or :func:`patients`.
    """
    for name, volume, truth in livers:
        try:
            found = segmenter.segment(volume)
        except NoUsableLiver as refused:
            yield Result(name, 0.0, 0.0, 0.0, refused.message)
            continue
        ratio = float(found.mask.sum() / max(truth.sum(), 1))
        yield Result(name, dice(found.mask, truth), ratio, found.confidence, "")


def on_samples(weights: Path, samples: Sequence[Sample]) -> Iterator[tuple[Sample, float, float]]:
    """Yield for each sample the Dice of p > .5 at 4 mm (1 where rightly nothing is found) and what is wrong in mL.

    Args:
        weights: ONNX.
        samples: from :func:`training.samples.read_chunk`; they should be ones that the network has not learnt from.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(weights.read_bytes(), options, providers=["CPUExecutionProvider"])
    for sample in samples:
        logit = session.run(["logit"], {"x": sample.x.astype(np.float32)[None, None]})[0][0, 0]
        found, truth = logit > 0, sample.liver > 127
        wrong_ml = float((found != truth).sum()) * CROP_MM**3 / 1000
        yield sample, dice(found, truth) if found.any() or truth.any() else 1.0, wrong_ml
