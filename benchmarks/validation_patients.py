"""Digital patients as a user's scans: assessed without any help, every number set against the truth.

Each has a phase, a slice thickness, a tube voltage, a liver divided by a plan of its own, mimics and twelve foci.
What is true of what the scan itself shows (HU) is read off the same scan without noise, with and without calcium.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from accuracy import by_lesion
from hepacalc.foci.shape import Body, Shape, describe_shape, fine_body
from hepacalc.phantom import FocusTruth, Phantom, Scene, draw_scene, random_specs, scan
from hepacalc.phantom.fields import Grid
from hepacalc.phantom.segments import SegmentTruth
from hepacalc.phantom.shapes import Occupancy, deposit
from hepacalc.phantom.vessels import to_patient
from hepacalc.records import Assessment, Focus, Measured, Measurement, NotMeasured, Pattern, Segment, Surroundings
from matching import Match, match, walk

FIRST_SEED = 9101
FOCI = 12
KINDS = (
    ("non-contrast", "normal", 120), ("portal venous", "normal", 100), ("non-contrast", "fatty", 120),
    ("arterial", "normal", 100), ("non-contrast", "normal", 100), ("portal venous", "fatty", 120),
    ("delayed", "normal", 120), ("non-contrast", "normal", 140),
)  # fmt: skip
SLICES_MM = (1.25, 2.5, 5.0)
MIMICS = (
    ("gallstone", "costal cartilage", "enhanced vessel"), ("surgical clip", "costal cartilage"),
    ("biliary stent", "pneumobilia", "enhanced vessel"), ("bowel contrast", "gallstone"), ("lipiodol",),
)  # fmt: skip
SHELL = {"parenchyma": "parenchyma", "fluid": "fluid", "soft-tissue mass": "soft_tissue_mass"}
NOT_LISTED = "not listed"
ALL_CALCIUM = "burden total_mass_mg, against all calcium"
AS_DRAWN = ", as drawn"
FINE_MM = 0.5


@dataclass(frozen=True)
class Number:
    """A number that was given and the true one; ``reason`` when none was given."""

    quantity: str
    setting: str
    truth: float
    value: float | None
    low: float | None = None
    high: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class Word:
    """A class that was named, how probable it was said to be (None: no probability), and the true one."""

    quantity: str
    truth: str
    said: str
    probability: float | None = None


@dataclass(frozen=True)
class Seen:
    """One digital patient and what was made of him."""

    scene: Scene
    made: Phantom
    found: Assessment


def patient(number: int) -> Seen:
    """Draw, scan and assess one patient; the same number gives the same."""
    phase, kind, kvp = KINDS[number % len(KINDS)]
    slice_mm = SLICES_MM[number % len(SLICES_MM)]
    seed = FIRST_SEED + number
    rng = np.random.default_rng([seed, FOCI])
    specs = random_specs(rng, FOCI, diameter_mm=(3.0, 20.0), delta_hu=(250.0, 1100.0))
    scene = draw_scene(
        seed, phase=phase, liver=kind, kvp=kvp, foci=specs, mimics=MIMICS[number % len(MIMICS)], varied=True
    )
    made = scan(scene, spacing_mm=_spacing(slice_mm))
    return Seen(scene, made, walk(made.volume))


def _spacing(slice_mm: float) -> tuple[float, float, float]:
    return slice_mm, 0.85, 0.85


def matched(seen: Seen, number: int) -> tuple[list[Match], list[Focus]]:
    """Match a patient's lesions with the truth; the second are calcifications where none is."""
    truth = seen.made.truth
    return match(
        truth.foci, by_lesion(seen.found), scan=f"patient, seed {FIRST_SEED + number}", phase=str(truth.phase),
        thickness_mm=truth.slice_thickness_mm, source="patient",
    )  # fmt: skip


# ------------------------------------------------------------------ numbers


def number_of(quantity: str, setting: str, truth: float, given: Measurement) -> Number:
    """Return a measurement beside the truth."""
    if isinstance(given, NotMeasured):
        return Number(quantity, setting, truth, None, reason=given.reason)
    return Number(quantity, setting, truth, given.value, given.low, given.high)


def focus_numbers(m: Match, setting: str) -> list[Number]:
    """Mass, volume and largest diameter of a focus that was found, in any scan whose foci are known."""
    if m.found is None or m.truth.clipped:
        return []
    given = m.found.measurements
    wanted = {"mass_mg": m.truth.mass_mg, "volume_mm3": m.truth.volume_mm3, "diameter_mm": m.truth.diameter_mm}
    return [number_of(name, setting, truth, given[name]) for name, truth in wanted.items()]


def patient_numbers(seen: Seen, matches: Sequence[Match], setting: str) -> list[Number]:
    """Every number that was given for one patient."""
    out = [n for m in matches for n in focus_numbers(m, setting)]
    found, truth = seen.found, seen.made.truth
    calcium = [f.mass_mg for f in truth.foci]
    summed = [f.mass_mg for f in truth.foci if _is_summed(f, found)]
    for name, true, given in (
        ("liver volume_ml", truth.liver_volume_ml, found.liver.volume_ml),
        ("liver parenchyma_hu", truth.liver_hu, found.liver.parenchyma_hu),
        ("liver noise_hu", float(truth.noise_hu or 0), found.liver.noise_hu),
        ("burden total_mass_mg", float(np.sum(summed)), found.burden.total_mass_mg),
        (ALL_CALCIUM, float(np.sum(calcium)), found.burden.total_mass_mg),
        ("burden calcifications", len(calcium), _plain(found.burden.calcifications)),
    ):
        out.append(number_of(name, setting, true, given))
    single = {lesion.focus_ids[0] for lesion in found.lesions if len(lesion.focus_ids) == 1}
    by_id = {f.id: f for f in found.foci}
    alone = [(m.truth, by_id[m.found.id]) for m in matches if m.found and m.found.id in single and not m.truth.clipped]
    shown, bare = _without_noise(seen)
    inside = _depth_mm(seen.made)
    lines = _large_vessels(seen.scene)
    fork = np.array(_segments(seen.scene).fork_mm)
    for true, focus in alone:
        # what is true of the place that was measured, so that a shift of the centre does not count twice
        at = np.array(focus.centroid_mm)
        region = seen.made.labels == true.id
        wanted = {
            "max_hu": float(shown[region].max()) if region.any() else None,
            "mean_hu": float(shown[region].mean()) if region.any() else None,
            "background_hu": float(np.median(bare[region])) if region.any() else None,
            "total_hu_mm3": true.delta_hu * true.volume_mm3,
            "capsule_distance_mm": float(inside[focus.peak_index]),
            "hilum_distance_mm": float(np.linalg.norm(at - fork)),
            "vessel_distance_mm": float(np.linalg.norm(lines - at, axis=1).min()),
        } | _shape_numbers(seen.scene, true, truth.in_plane_sigma_mm)
        out += [
            number_of(name, setting, t, focus.measurements[name.removesuffix(AS_DRAWN)])
            for name, t in wanted.items()
            if t is not None
        ]
    return out


def _plain(count: int) -> Measured:
    return Measured(float(count), "1", float("-inf"), float("inf"), "counted")


def _is_summed(true: FocusTruth, found: Assessment) -> bool:
    """Whether a lesion called calcification lies at the place of a true focus."""
    reach = max(4.0, true.diameter_mm / 2 + 2.0)
    return any(
        lesion.kind == "calcification" and np.linalg.norm(np.subtract(lesion.centroid_mm, true.centroid_mm)) <= reach
        for lesion in found.lesions
    )


def _shape_numbers(scene: Scene, true: FocusTruth, sigma_mm: float) -> dict[str, float | None]:
    """Return the shape of the focus by the same definitions.

    Extents are those of the focus as it was drawn. Sphericity and hollowness have no limit as detail gets finer: they
    are those of the drawn focus as sharp as this scan is in the plane, in all directions and without noise, and beside
    them those of the focus as drawn.
    """
    drawn = scene.foci[true.id - 1].occupancy
    mask = drawn.values >= 0.5
    if not mask.any():
        return {}
    shape = describe_shape(Body(mask, drawn.step_mm, drawn.origin_mm, drawn.values, mask))
    seen = _as_sharp_as(drawn, sigma_mm)
    return {
        "diameter_2_mm": shape.diameter_2_mm,
        "diameter_3_mm": shape.diameter_3_mm,
        "elongation": shape.elongation,
        "sphericity": seen.sphericity,
        "hollowness": seen.hollowness,
        f"sphericity{AS_DRAWN}": shape.sphericity,
        f"hollowness{AS_DRAWN}": shape.hollowness,
        "parts": float(shape.parts),
    }


def _as_sharp_as(drawn: Occupancy, sigma_mm: float) -> Shape:
    """Return the shape at half height of a drawn focus under an even point spread."""
    size = [n * drawn.step_mm for n in drawn.values.shape]
    step = max(FINE_MM, max(size) / 90)
    margin = 4 * sigma_mm + 2.0
    z, y, x = (int((s + 2 * margin) / step) + 1 for s in size)
    even = (step, step, step)
    found = deposit(
        drawn, margin - np.asarray(drawn.origin_mm), shape=(z, y, x), spacing_mm=even, width_mm=even,
        sigma_mm=(sigma_mm, sigma_mm, sigma_mm),
    )  # fmt: skip
    hu = np.zeros((z, y, x), np.float32)
    hu[found.box] = 1000 * found.share
    return describe_shape(fine_body(hu, hu > 0.5 * hu.max(), even))


def _without_noise(seen: Seen) -> tuple[np.ndarray, np.ndarray]:
    """Return the scan without noise, and the same without calcium."""
    spacing = _spacing(seen.made.truth.slice_thickness_mm)
    shown = scan(seen.scene, spacing_mm=spacing, noise_hu=0)
    bare = scan(seen.scene, spacing_mm=spacing, noise_hu=0, calcium=False)
    return shown.volume.hu, bare.volume.hu


def _depth_mm(made: Phantom) -> np.ndarray:
    """Return the distance of each voxel of the true liver to its surface; 0 outside of it."""
    box = tuple(slice(max(int(i.min()) - 1, 0), int(i.max()) + 2) for i in np.nonzero(made.liver))
    out = np.zeros(made.liver.shape, np.float32)
    out[box] = ndimage.distance_transform_edt(made.liver[box], sampling=made.volume.geometry.spacing_mm)
    return out


def _segments(scene: Scene) -> SegmentTruth:
    truth = scene.anatomy.segments
    assert truth is not None, "drawn with varied=True"
    return truth


def _large_vessels(scene: Scene) -> np.ndarray:
    """Return LPS points, half a millimetre apart, on the three hepatic veins and the portal trunk and branches."""
    truth = _segments(scene)
    z, y, x = truth.coordinates
    grid = Grid(z.values, y.values, x.values, z.origin_mm, z.step_mm)
    points = []
    for line in (*truth.plan.veins, *truth.plan.portal):
        corners = np.array([to_patient(grid, p) for p in line])
        gone = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(corners, axis=0), axis=1))])
        along = np.arange(0, float(gone[-1]), 0.5)
        points.append(np.stack([np.interp(along, gone, corners[:, axis]) for axis in (2, 1, 0)], axis=1))
    return np.concatenate(points)


# ------------------------------------------------------------------ words


def patient_words(seen: Seen, matches: Sequence[Match]) -> list[Word]:
    """Every class that was named for one patient: pattern, segment, surroundings, kinds, phase, whether complete."""
    truth = _segments(seen.scene)
    out = [
        Word("phase", str(seen.made.truth.phase), seen.found.phase.name, seen.found.phase.probability),
        Word("liver is complete", *(str(c) for c in (seen.made.truth.liver_is_complete, seen.found.liver.is_complete))),
    ]
    for m in matches:
        out += pattern_words(m)
        out.append(Word("kind of a calcification", "calcification", m.found.kind if m.found else NOT_LISTED))
        if m.found is None:
            continue
        at = np.array([m.found.centroid_mm])
        if isinstance(m.found.segment, Segment):
            name, p = m.found.segment.probabilities[0]
            out.append(Word("segment", truth.at(at)[0], name, p))
        if isinstance(m.found.surroundings, Surroundings):
            shares = {name: float(getattr(m.found.surroundings, name)) for name in SHELL.values()}
            said = max(shares, key=lambda name: shares[name])
            out.append(Word("surroundings", SHELL[m.truth.host], said, shares[said]))
    return out + _mimic_words(seen)


def pattern_words(m: Match) -> list[Word]:
    """The pattern of a focus of 5 mm or more that was found."""
    if m.found is None or m.truth.diameter_mm < 5 or not isinstance(m.found.pattern, Pattern):
        return []
    p = m.found.pattern.probabilities[0][1]
    return [Word("pattern", m.truth.pattern, m.found.pattern.dominant, float(p))]


def _mimic_words(seen: Seen) -> list[Word]:
    """What each mimic was called: the kind of the nearest listed focus at its place."""
    out = []
    for mimic in seen.made.truth.mimics:
        if mimic.kind is None:
            continue
        gaps = [(float(np.linalg.norm(np.subtract(f.centroid_mm, mimic.centroid_mm))), f.kind) for f in seen.found.foci]
        near = min((g for g in gaps if g[0] <= mimic.extent_mm / 2 + 4), default=(0.0, NOT_LISTED))
        out.append(Word("kind of a mimic", mimic.kind, near[1]))
    return out
