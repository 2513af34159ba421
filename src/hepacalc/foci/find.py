"""The foci room on one page: detect, tell from mimics, measure, classify, group."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hepacalc.foci.aperture import measure_signal
from hepacalc.foci.burden import count_burden, name_doubts
from hepacalc.foci.depth import depth_on_body
from hepacalc.foci.detect import Candidate, detect
from hepacalc.foci.distinct import distinct
from hepacalc.foci.drawn import DrawnFoci, as_stated, drawn_candidates
from hepacalc.foci.join import LESION_KINDS, Draft, join_foci
from hepacalc.foci.measure import measure_focus, measure_roughly, measure_surroundings
from hepacalc.foci.mimics import Verdict, is_beside, judge, judge_vessel
from hepacalc.foci.pattern import classify_pattern
from hepacalc.foci.scene import Mask, Scene, look_at
from hepacalc.foci.signs import Signs, look
from hepacalc.foci.vessels import Blood, brightest_long, brightest_tree, vessel_reason
from hepacalc.foci.window import Window, open_window, share_out
from hepacalc.records import (
    MEASUREMENTS,
    Burden,
    Calibration,
    Focus,
    Kind,
    Lesion,
    LiverMask,
    Measured,
    Measurement,
    NotMeasured,
    Pattern,
    Phase,
    Segment,
    Surroundings,
    Volume,
)
from hepacalc.threads import thread_pool

__all__ = ["FociResult", "find_foci"]

Locate = Callable[[NDArray[np.float64]], list[Segment | NotMeasured]]
ORDER: tuple[Kind, ...] = ("calcification", "indeterminate", "stone-like", "metal", "vessel", "outside-liver", "noise")
MASS_KINDS = (*LESION_KINDS, "stone-like")
MOST_OF_A_MIMIC = 20
VEINS_OVER_AORTA = 1.3
"""How much brighter than the known blood other veins are taken to be at most."""
LEAST_INSIDE = 0.02
METAL_CORE_HU = 1000.0


@dataclass(frozen=True, eq=False, slots=True)
class FociResult:
    """What the foci room found.

    Args:
        foci: every candidate, mimics included, calcifications first; ids are their order from 1.
        lesions: foci that belong together, largest mass first.
        burden: the whole liver in a line.
        labels: uint16 ``(z, y, x)`` on the volume's grid, focus ids.
        parenchyma_hu: robust mean of the liver.
        noise_hu: noise of one voxel in the liver.
        notes: what a reader should know about the search.
        is_capped: whether the liver holds more bright places than are looked at.
    """

    foci: tuple[Focus, ...]
    lesions: tuple[Lesion, ...]
    burden: Burden
    labels: NDArray[np.uint16]
    parenchyma_hu: Measurement
    noise_hu: Measurement
    notes: tuple[str, ...]
    is_capped: bool = False


@dataclass(frozen=True, eq=False, slots=True)
class _Found:
    """A candidate on its way to a focus."""

    candidate: Candidate
    window: Window | None
    verdict: Verdict


def find_foci(
    volume: Volume,
    liver: LiverMask,
    *,
    phase: Phase,
    calibration: Calibration,
    liver_vessel_hu: Measurement,
    smallest_trusted_mm: Callable[[float, float], Measurement],
    locate: Locate | None = None,
    hilum_mm: tuple[float, float, float] | None = None,
    agatston: bool = False,
    drawn: DrawnFoci | None = None,
    scene: Scene | None = None,
) -> FociResult:
    """Find and measure bright foci in the liver.

    Args:
        volume: CT in HU ``(z, y, x)``.
        liver: mask on the same grid.
        phase: contrast phase; decides what contrast medium can look like.
        calibration: HU to mg.
        liver_vessel_hu: HU of vessels inside the liver, or why not known.
        smallest_trusted_mm: from (noise in HU, in-plane FWHM in mm) to the smallest focus that would show.
        locate: from LPS points ``(n, 3)`` to Couinaud segments.
        hilum_mm: LPS position of the hilum, when known.
        agatston: whether the Agatston-like score is wanted.
        drawn: contours that a person drew or corrected: these are measured, and nothing is searched for.
        scene: what :func:`look_at` said of this scan and liver, where it was asked already.

    Raises:
        MeasurementError: the liver mask is empty, or a drawn contour lies away from the liver.
    """
    # NumPy and SciPy let go of the interpreter: two cores, two threads
    is_capped = False
    with thread_pool(2) as pool:
        scene = look_at(volume, liver) if scene is None else scene
        blood = _blood(scene, phase, liver_vessel_hu)
        if drawn is None:
            candidates, is_capped = detect(scene, floor_hu=_floor(scene, blood), vessel_hu=blood.brightest_hu)
            # what does not touch the liver is not a candidate of the liver; metal beside it is told all the same
            candidates = tuple(c for c in candidates if c.inside > LEAST_INSIDE or c.peak_hu > 1500)
            blood = _raised(scene, blood, candidates)
            candidates = distinct(
                candidates,
                vessel_hu=blood.brightest_hu if blood.is_contrast else None,
                is_vessel=lambda candidate: vessel_reason(scene, candidate, blood) is not None,
            )
            found, dropped = _keep(_judge_all(scene, candidates, blood, pool))
        else:
            found, dropped = _judge_all(scene, drawn_candidates(scene, drawn), blood, pool, drawn), {}
        found = _shared_out(scene, found)
        points = np.array([_centroid(scene, f.candidate) for f in found], float).reshape(-1, 3)
        places = None if locate is None else pool.submit(locate, points)
        drafts = list(pool.map(lambda item: _measure(scene, item, calibration, blood, hilum_mm, agatston), found))
        if places is not None:
            drafts = [
                replace(d, focus=replace(d.focus, segment=s)) for d, s in zip(drafts, places.result(), strict=True)
            ]
    foci, lesions, order = join_foci(scene, drafts, calibration)
    labels = _labels(scene, volume, [found[k].candidate for k in order])
    in_plane = max(s for axis, s in enumerate(scene.sigma_mm) if axis != scene.slice_axis)
    smallest = smallest_trusted_mm(scene.noise_hu, 2.355 * in_plane)
    notes = [*name_doubts(lesions, is_contrast=blood.is_contrast)]
    notes += [f"{n} fainter candidates of kind {kind} are not listed" for kind, n in dropped.items()]
    return FociResult(
        tuple(foci),
        tuple(lesions),
        count_burden(lesions, foci, smallest, calibration.relative_sd),
        labels,
        Measured(
            scene.parenchyma_hu,
            "HU",
            scene.parenchyma_hu - 2.0,
            scene.parenchyma_hu + 2.0,
            "robust mean of the parenchyma",
        ),
        Measured(
            scene.noise_hu, "HU", 0.95 * scene.noise_hu, 1.05 * scene.noise_hu, "one voxel against its neighbours"
        ),
        tuple(notes),
        is_capped,
    )


def _blood(scene: Scene, phase: Phase, liver_vessel_hu: Measurement) -> Blood:
    """Return how bright vessels can be: the brightest of the aorta and the vessels in the liver."""
    if not phase.is_contrast:
        return Blood(False, None, phase.name)
    known = [m.value for m in (phase.vessel_hu, liver_vessel_hu) if isinstance(m, Measured)]
    top = max(known) if known else None
    # veins can outshine the aorta, but not without limit: beyond that it is no blood
    limit = scene.parenchyma_hu + 150.0 if top is None else VEINS_OVER_AORTA * top
    tree = brightest_tree(scene, limit)
    if tree is not None:
        top = tree if top is None else max(top, tree)
    return Blood(True, top, phase.name, limit)


def _raised(scene: Scene, blood: Blood, candidates: tuple[Candidate, ...]) -> Blood:
    """Return the reference with long structures in the liver counted as vessels, up to the limit of blood."""
    long = brightest_long(scene, candidates) if blood.is_contrast else None
    if long is None or blood.brightest_hu is None or blood.limit_hu is None:
        return blood
    return replace(blood, brightest_hu=max(blood.brightest_hu, min(long, blood.limit_hu)))


def _floor(scene: Scene, blood: Blood) -> float:
    """Return the contrast below which nothing is looked at.

    On an enhanced scan every vessel is brighter than the liver. What is much fainter than the vessels, and fainter than
    a 3 mm focus of 250 HU split between two slices of this scan, is passed over.
    """
    if not blood.is_contrast:
        return 0.0
    in_plane = max(s for axis, s in enumerate(scene.sigma_mm) if axis != scene.slice_axis)
    share = (1 - np.exp(-9.0 / (8.0 * in_plane**2))) * min(1.0, 0.8 * 3.0 / scene.slice_thickness_mm)
    vessels = (blood.brightest_hu or 200.0) - scene.parenchyma_hu
    return float(max(min(0.75 * vessels, 0.6 * 250.0 * share), 0.0))


def _judge_all(
    scene: Scene, candidates: tuple[Candidate, ...], blood: Blood, pool: Executor, drawn: DrawnFoci | None = None
) -> list[_Found]:
    """Judge every candidate, brightest first, so that metal is known before what lies beside it."""
    others = np.zeros(scene.hu.shape, bool)
    for c in candidates:
        others[c.box] |= c.region

    def view(c: Candidate) -> Verdict | tuple[Window, Signs]:
        plain = judge_vessel(scene, c, blood) if drawn is None else None
        if plain is not None:
            return plain
        window = open_window(scene, c.box, c.region, others, c.peak_hu, vessel_hu=blood.brightest_hu)
        return window, look(scene, c, window, blood)

    metal: Mask | None = None
    out: list[_Found] = []
    for c, seen in zip(candidates, pool.map(view, candidates), strict=True):
        if isinstance(seen, Verdict):
            out.append(_Found(c, None, seen))
            continue
        window, signs = seen
        verdict = judge(signs, blood, near_metal=metal is not None and is_beside(metal, c, scene))
        if drawn is not None:
            verdict = as_stated(verdict, scene, c, drawn)
        if verdict.kind == "metal" and c.peak_hu >= METAL_CORE_HU:
            metal = np.zeros(scene.hu.shape, bool) if metal is None else metal
            metal[c.box] |= c.region
        out.append(_Found(c, window, verdict))
    return out


def _keep(found: list[_Found]) -> tuple[list[_Found], dict[str, int]]:
    """Keep everything that may be calcium, metal or stone, and the brightest of the other mimics."""
    kept: list[_Found] = []
    dropped: dict[str, int] = {}
    for kind in ORDER:
        group = [f for f in found if f.verdict.kind == kind]
        group.sort(key=lambda f: -f.candidate.peak_hu)
        most = len(group) if kind in MASS_KINDS or kind == "metal" else MOST_OF_A_MIMIC
        kept += group[:most]
        if len(group) > most:
            dropped[kind] = len(group) - most
    return kept, dropped


def _shared_out(scene: Scene, found: list[_Found]) -> list[_Found]:
    """Return candidates whose windows reach only what no other calcification is nearer to."""
    calcium = np.zeros(scene.hu.shape, bool)
    for f in found:
        if f.verdict.kind in MASS_KINDS:
            calcium[f.candidate.box] |= f.candidate.region
    return [f if f.window is None else replace(f, window=share_out(scene, f.window, calcium)) for f in found]


def _measure(
    scene: Scene,
    item: _Found,
    calibration: Calibration,
    blood: Blood,
    hilum_mm: tuple[float, float, float] | None,
    agatston: bool,
) -> Draft:
    """Measure one candidate; what is not taken for calcium gets its size and HU only."""
    candidate, window, verdict = item.candidate, item.window, item.verdict
    taken_for = NotMeasured(f"taken for {verdict.kind}, not for calcium")
    body = shape = None
    pattern: Pattern | NotMeasured = taken_for
    surroundings: Surroundings | NotMeasured = taken_for
    if window is not None and verdict.kind in MASS_KINDS:
        signal = measure_signal(scene, window)
        measurements, body, shape = measure_focus(
            scene, candidate, window, signal, calibration, is_contrast=blood.is_contrast, agatston=agatston
        )
        start = (window.box[0].start, window.box[1].start, window.box[2].start)
        depth = depth_on_body(scene, body, start)
        pattern = classify_pattern(
            body, depth_mm=depth, thickness_mm=scene.slice_thickness_mm, region_parts=1, shape=shape
        )
        surroundings = measure_surroundings(scene, window)
    else:
        measurements = measure_roughly(scene, candidate, taken_for)
    centroid = _centroid(scene, candidate)
    measurements["hilum_distance_mm"] = _distance(centroid, hilum_mm)
    measurements["vessel_distance_mm"] = NotMeasured("vessels are not outlined in this version")
    focus = Focus(
        id=0,
        lesion=None,
        kind=verdict.kind,
        certainty=verdict.certainty,
        score=verdict.score,
        mimic=verdict.mimic,
        reasons=verdict.reasons,
        centroid_mm=centroid,
        peak_index=_source_index(scene, candidate.peak),
        box=_source_box(scene, candidate),
        measurements={name: measurements[name] for name in MEASUREMENTS},
        pattern=pattern,
        segment=NotMeasured("no segment method was given"),
        surroundings=surroundings,
    )
    return Draft(focus, window, body, shape)


def _centroid(scene: Scene, candidate: Candidate) -> tuple[float, float, float]:
    """Return the LPS centroid of a focus, weighted by HU above background."""
    index = np.argwhere(candidate.region)
    weight = np.clip(scene.hu[candidate.box][candidate.region] - candidate.background_hu, 1e-3, None)
    middle = (index * weight[:, None]).sum(0) / weight.sum() + [b.start for b in candidate.box]
    x, y, z = scene.geometry.to_world(middle)
    return float(x), float(y), float(z)


def _distance(centroid: tuple[float, float, float], hilum_mm: tuple[float, float, float] | None) -> Measurement:
    """Return the distance from the hilum."""
    if hilum_mm is None:
        return NotMeasured("the hilum was not found")
    value = float(np.linalg.norm(np.subtract(centroid, hilum_mm)))
    return Measured(value, "mm", max(value - 25.0, 0.0), value + 25.0, "hilum estimated from the liver's shape")


def _source_index(scene: Scene, index: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return the index on the volume's grid of a voxel of the scene."""
    turned = [i + s for i, s in zip(index, scene.start, strict=True)]
    out = [0, 0, 0]
    for new, (old, flip) in enumerate(zip(scene.turn.axes, scene.turn.flips, strict=True)):
        out[old] = scene.turn.source.shape[old] - 1 - turned[new] if flip else turned[new]
    return out[0], out[1], out[2]


def _source_box(scene: Scene, candidate: Candidate) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    """Return half-open index ranges of a candidate on the volume's grid."""
    first = tuple(b.start for b in candidate.box)
    last = tuple(b.stop - 1 for b in candidate.box)
    a = _source_index(scene, (first[0], first[1], first[2]))
    b = _source_index(scene, (last[0], last[1], last[2]))
    low, high = np.minimum(a, b), np.maximum(a, b) + 1
    return (int(low[0]), int(high[0])), (int(low[1]), int(high[1])), (int(low[2]), int(high[2]))


def _labels(scene: Scene, volume: Volume, found: list[Candidate]) -> NDArray[np.uint16]:
    """Return focus ids on the volume's grid."""
    labels = np.zeros(volume.hu.shape, np.uint16)
    turned = scene.turn.apply(labels)
    crop = turned[tuple(slice(s, s + n) for s, n in zip(scene.start, scene.hu.shape, strict=True))]
    for number, item in reversed(list(enumerate(found, start=1))):
        crop[item.box][item.region] = number
    return labels
