"""How often the Couinaud segment is right, and whether its probability is, on digital livers with known segments.

Every body is drawn by a plan of its own (planes turned, tilted and shifted, lobes of other sizes, fossa and fissure a
little off), so that neither the outline nor a template gives the answer away. Random places in the liver are asked for.
The seeds are used by nothing else: the priors and weights of the method were chosen on seeds below 100.
"""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from benchmarks.matching import row

from hepacalc.geometry import Geometry
from hepacalc.liver import detect_phase, get_segmenter
from hepacalc.liver.couinaud import LiverAnatomy, liver_anatomy, lobe_of
from hepacalc.phantom.patient import Phantom, draw_scene, scan
from hepacalc.phantom.segments import SEGMENTS, SegmentTruth
from hepacalc.records import LiverMask, Measured, NotMeasured, Segment, Volume

FIRST_SEED, PLACES, FAR_MM = 7001, 300, 10.0
# phase, kind of liver, (slices, pixels) in mm
_KINDS = (
    "portal venous", "non-contrast", "portal venous", "arterial", "non-contrast", "portal venous", "non-contrast fatty",
    "delayed", "non-contrast", "portal venous", "arterial", "portal venous fatty", "non-contrast", "portal venous",
)  # fmt: skip
_SLICES_MM = (5.0, 3.0, 2.5)
BODIES = tuple(
    (kind.removesuffix(" fatty"), "fatty" if kind.endswith("fatty") else "normal", (_SLICES_MM[k % 3], 1.1))
    for k, kind in enumerate(_KINDS)
)
EMBEDDED_EVERY = 2
BINS = (0.0, 0.5, 0.7, 0.85, 0.95, 1.01)


@dataclass(frozen=True)
class Asked:
    """One place: where it is, what was said."""

    how: str
    phase: str
    truth: str
    margin_mm: float
    said: Segment


def ask(how: str, phase: str, anatomy: LiverAnatomy, truth: SegmentTruth, places: np.ndarray) -> list[Asked]:
    """Ask for the segments of places; those that are not answered (outside of a wrong mask) do not count."""
    names, margins = truth.at(places), truth.margin_mm(places, most=FAR_MM + 2)
    return [
        Asked(how, phase, name, float(margin), said)
        for name, margin, said in zip(names, margins, anatomy.segments(places), strict=True)
        if isinstance(said, Segment)
    ]


def body(number: int) -> tuple[list[Asked], list[tuple[float, bool]], Phantom]:
    """Return the answers for one body, the errors of its hilum, and its scan."""
    phase, kind, (thick, pixel) = BODIES[number]
    scene = draw_scene(FIRST_SEED + number, phase=phase, liver=kind, foci=[], mimics=(), varied=True)
    made = scan(scene, spacing_mm=(thick, pixel, pixel))
    truth = scene.anatomy.segments
    assert truth is not None
    rng = np.random.default_rng(FIRST_SEED + number)
    cells = np.argwhere(made.liver)
    places = made.volume.geometry.to_world(cells[rng.choice(len(cells), PLACES, replace=False)])
    masks = {"true": LiverMask(made.liver, made.volume.geometry, "truth", "1", 1.0)}
    if number % EMBEDDED_EVERY == 0:
        masks["embedded"] = get_segmenter("embedded").segment(made.volume)
    asked: list[Asked] = []
    hilum: list[tuple[float, bool]] = []
    for how, mask in masks.items():
        anatomy = liver_anatomy(mask, made.volume, detect_phase(made.volume, mask))
        if isinstance(anatomy, NotMeasured):
            continue
        asked += ask(how, phase, anatomy, truth, places)
        if how == "true":
            true_mm = np.linalg.norm(places - np.array(truth.fork_mm), axis=1)
            for found, true in zip(anatomy.hilum_distances(places), true_mm, strict=True):
                assert isinstance(found, Measured)
                hilum.append((abs(found.value - float(true)), found.low <= true <= found.high))
    outline = liver_anatomy(masks["true"])
    if not isinstance(outline, NotMeasured):
        asked += ask("outline", phase, outline, truth, places)
    return asked, hilum, made


def right(asked: list[Asked], *, far: bool = False) -> float | None:
    """Return the share of right segments; of places far from a border when ``far``."""
    of = [a for a in asked if not far or a.margin_mm >= FAR_MM]
    return sum(a.said.dominant == a.truth for a in of) / len(of) if of else None


def worst_gap(asked: list[Asked]) -> float:
    """Return the largest gap in points between stated and observed probability, over bins of at least 100 places."""
    stated = np.array([a.said.probabilities[0][1] for a in asked])
    hit = np.array([a.said.dominant == a.truth for a in asked])
    gaps = [0.0]
    for low, high in itertools.pairwise(BINS):
        inside = (stated >= low) & (stated < high)
        if inside.sum() >= 100:
            gaps.append(100 * abs(float(stated[inside].mean() - hit[inside].mean())))
    return max(gaps)


def lobes_right(asked: list[Asked]) -> float:
    """Return the share of right lobes."""
    truth = [lobe_of(Segment(((a.truth, 1.0),), "")).dominant for a in asked]
    return sum(lobe_of(a.said).dominant == t for a, t in zip(asked, truth, strict=True)) / len(asked)


def seconds(made: Phantom) -> float:
    """Return CPU seconds for the anatomy of a scan of 300 slices of 512 x 512."""
    repeat = -(-300 // made.volume.hu.shape[0])
    z = np.repeat(np.arange(made.volume.hu.shape[0]), repeat)[:300]
    affine = made.volume.geometry.affine.copy()
    affine[:3, 0] /= repeat
    pads = [((512 - n) // 2, 512 - n - (512 - n) // 2) for n in made.volume.hu.shape[1:]]
    affine[:3, 3] -= affine[:3, 1] * pads[0][0] + affine[:3, 2] * pads[1][0]
    hu = np.pad(made.volume.hu[z], ((0, 0), *pads), constant_values=-1000)
    mask = np.pad(made.liver[z], ((0, 0), *pads))
    geometry = Geometry((len(z), 512, 512), affine)
    volume: Volume = replace(made.volume, hu=hu, geometry=geometry)
    liver = LiverMask(mask, geometry, "truth", "1", 1.0)
    phase = detect_phase(volume, liver)
    start = time.process_time()
    liver_anatomy(liver, volume, phase)
    return time.process_time() - start


def percent(share: float | None) -> float | None:
    """Return a share in per cent."""
    return None if share is None else 100 * share


def rows() -> list[dict[str, Any]]:
    """Return the rows of the segmentation bench that are about Couinaud segments."""
    asked: list[Asked] = []
    hilum: list[tuple[float, bool]] = []
    cost = 0.0
    for number in range(len(BODIES)):
        answers, errors, made = body(number)
        asked += answers
        hilum += errors
        if number == 2:
            cost = seconds(made)
    scanned = [a for a in asked if a.how != "outline"]
    true_mask = [a for a in asked if a.how == "true"]
    groups = {
        "true mask": true_mask,
        "embedded mask": [a for a in asked if a.how == "embedded"],
        "portal venous and delayed": [a for a in true_mask if a.phase in ("portal venous", "delayed")],
        "non-contrast": [a for a in true_mask if a.phase == "non-contrast"],
        "arterial": [a for a in true_mask if a.phase == "arterial"],
        "outline only, no scan": [a for a in asked if a.how == "outline"],
    }
    far, every, gap = percent(right(scanned, far=True)), percent(right(scanned)), worst_gap(scanned)
    assert far is not None
    assert every is not None
    out = [
        row("Couinaud: segment right, places >= 10 mm from a border", far, "%", ">= 95", far >= 95),
        row("Couinaud: segment right, all places", every, "%", ">= 85", every >= 85),
        row("Couinaud: largest gap of stated probability", gap, "points", "<= 10", gap <= 10),
        row("Couinaud: lobe right, all places", 100 * lobes_right(scanned), "%", "", None),
        row("Couinaud: places asked", len(scanned), "1", "", None),
        row("Couinaud: bodies", len(BODIES), "1", "", None),
    ]
    for name, group in groups.items():
        out.append(row(f"Couinaud, {name}: >= 10 mm from a border", percent(right(group, far=True)), "%", "", None))
        out.append(row(f"Couinaud, {name}: all places", percent(right(group)), "%", "", None))
        out.append(row(f"Couinaud, {name}: largest gap of stated probability", worst_gap(group), "points", "", None))
    for name in SEGMENTS:
        own = [a for a in scanned if a.truth == name]
        out.append(row(f"Couinaud: right in {name}", percent(right(own)), "%", "", None))
    out.append(row("Hilum distance: median error", float(np.median([e for e, _ in hilum])), "mm", "", None))
    out.append(row("Hilum distance: 90 % interval holds", 100 * float(np.mean([h for _, h in hilum])), "%", "", None))
    out.append(row("Couinaud: CPU time, 512 x 512 x 300", cost, "s", "<= 0.5", cost <= 0.5))
    return out
