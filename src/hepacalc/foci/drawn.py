"""Foci whose contours a person drew or corrected: measured as they are, never searched for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hepacalc.errors import MeasurementError
from hepacalc.foci.blocks import block_mean
from hepacalc.foci.detect import Candidate, slow_background
from hepacalc.foci.mimics import Verdict
from hepacalc.foci.scene import Scene
from hepacalc.records import Kind

__all__ = ["DrawnFoci", "as_stated", "drawn_candidates"]

BLOCK_MM = 2.0
LESION_KINDS = ("calcification", "indeterminate")


@dataclass(frozen=True, eq=False, slots=True)
class DrawnFoci:
    """Contours that were given.

    Args:
        labels: uint16 ``(z, y, x)`` on the volume's grid, one label a focus.
        stated: label -> what the person says it is; labels that are missing here were left to this program.
        are_foci: whether every label is held to be a focus by who drew it (else mimics may be among them).
    """

    labels: NDArray[np.uint16]
    stated: Mapping[int, Kind] = field(default_factory=dict)
    are_foci: bool = True


def drawn_candidates(scene: Scene, drawn: DrawnFoci) -> tuple[Candidate, ...]:
    """Return one candidate for each label, brightest first.

    Args:
        scene: the liver and what surrounds it.
        drawn: contours on the grid of the whole scan.

    Raises:
        MeasurementError: a contour lies away from the liver, or partly so.
    """
    turned = scene.turn.apply(drawn.labels)
    crop = tuple(slice(s, s + n) for s, n in zip(scene.start, scene.hu.shape, strict=True))
    labels = np.ascontiguousarray(turned[crop])
    whole = np.bincount(drawn.labels.ravel())
    inner = np.bincount(labels.ravel(), minlength=len(whole))
    for label in range(1, len(whole)):
        if inner[label] < whole[label]:
            raise MeasurementError(
                f"{whole[label] - inner[label]} of {whole[label]} voxels of focus {label} of the mask lie far from the "
                "liver.",
                hint="Remove it from the mask, or give a liver mask that covers it.",
            )
    ground = _Ground(scene)
    found = [
        _candidate(scene, labels, label, (box[0], box[1], box[2]), ground)
        for label, box in enumerate(ndimage.find_objects(labels), start=1)
        if box is not None
    ]
    return tuple(sorted(found, key=lambda c: -c.peak_hu))


class _Ground:
    """Slow background and depth below the liver's surface, on blocks of about two millimetres."""

    def __init__(self, scene: Scene) -> None:
        self._factor = tuple(max(round(BLOCK_MM / d), 1) for d in scene.spacing_mm)
        step = tuple(d * f for d, f in zip(scene.spacing_mm, self._factor, strict=True))
        mean = block_mean(scene.hu, self._factor)
        liver = block_mean(scene.liver, self._factor) >= 0.5
        self._slow = slow_background(mean, liver, step, scene.parenchyma_hu, scene.spread_hu)
        padded = np.pad(liver, 1, mode="edge")
        depth = ndimage.distance_transform_edt(padded, sampling=step)[1:-1, 1:-1, 1:-1]
        self._depth = np.clip(depth - min(step) / 2, 0, None)

    def at(self, index: NDArray[np.intp]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Return background in HU and depth in mm at voxels ``(n, 3)``."""
        z, y, x = (index // self._factor).T
        return self._slow[z, y, x], self._depth[z, y, x]


def _own(
    labels: NDArray[np.uint16], label: int, box: tuple[slice, slice, slice], region: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Return where the brightness of a contour is its own: beside another contour that one's blur is in it."""
    wide = tuple(slice(max(b.start - 2, 0), b.stop + 2) for b in box)
    inner = tuple(slice(b.start - w.start, b.stop - w.start) for b, w in zip(box, wide, strict=True))
    other = (labels[wide] > 0) & (labels[wide] != label)
    own = region & ~ndimage.binary_dilation(other, np.ones((3, 3, 3)), iterations=2)[inner]
    return own if own.any() else region


def _candidate(
    scene: Scene, labels: NDArray[np.uint16], label: int, box: tuple[slice, slice, slice], ground: _Ground
) -> Candidate:
    region = np.ascontiguousarray(labels[box] == label)
    index = np.argwhere(region) + [b.start for b in box]
    slow, depth = ground.at(index)
    hu = np.where(_own(labels, label, box, region), scene.hu[box], -np.inf)
    at = np.unravel_index(int(np.argmax(hu)), hu.shape)
    peak = (int(at[0]) + box[0].start, int(at[1]) + box[1].start, int(at[2]) + box[2].start)
    background = float(np.median(slow))
    height = float(scene.hu[peak])
    mean = float(scene.hu[box][region].mean())
    noise = scene.curve.at(float(region.sum()) * scene.voxel_mm3)
    edges = [(s + b.start, s + b.stop, n) for s, b, n in zip(scene.start, box, scene.scan_shape, strict=True)]
    return Candidate(
        peak=peak,
        peak_hu=height,
        background_hu=background,
        # the more cautious of the whole contour and its brightest voxel
        significance=min((mean - background) / max(noise, 1e-3), (height - background) / max(scene.noise_hu, 1e-3)),
        box=box,
        region=region,
        inside=float(scene.liver[box][region].mean()),
        depth_mm=float(depth.max()),
        capsule_mm=float(ground.at(np.array([peak]))[1][0]),
        is_cut=False,
        at_scan_edge=any(first <= 0 or last >= count for first, last, count in edges),
    )


def as_stated(verdict: Verdict, scene: Scene, candidate: Candidate, drawn: DrawnFoci) -> Verdict:
    """Return the verdict on a drawn focus: what the person says goes before what this program would have said.

    A focus that a person drew is never dropped as noise or as a mimic that the person did not name.

    Args:
        verdict: of this program.
        scene: the liver and what surrounds it.
        candidate: made of a contour of ``drawn``.
        drawn: the mask.
    """
    label = int(scene.turn.apply(drawn.labels)[tuple(p + s for p, s in zip(candidate.peak, scene.start, strict=True))])
    contour = f"contour {label} of the mask that was given"
    stated = drawn.stated.get(label)
    if stated == verdict.kind or (stated is None and (not drawn.are_foci or verdict.kind in LESION_KINDS)):
        return replace(verdict, reasons=(*verdict.reasons, contour))
    reasons = (*verdict.reasons, contour, f"by itself this program would have said {verdict.kind}")
    if stated is None:
        return replace(verdict, kind="indeterminate", certainty="possible", score=0.3, reasons=reasons)
    score = {"calcification": 0.8, "indeterminate": 0.4}.get(stated, 0.1)
    return Verdict(stated, "probable", score, verdict.mimic, (*reasons, f"{stated} as stated in the mask"))
