"""Pairs of exams with known changes: digital patients seen twice, and real scans bent by a known smooth map.

Shared by ``benchmarks/followup.py`` and its plots. Nothing is read from a cache: every pair is made anew from its seed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hepacalc.geometry import Geometry
from hepacalc.liver import get_segmenter
from hepacalc.phantom import FocusSpec, FocusTruth, Scene, build_shape, draw_scene, insert_foci, scan
from hepacalc.phantom.exam import draw_movement, moved
from hepacalc.phantom.foci import PlacedFocus
from hepacalc.phantom.habit import Habit
from hepacalc.phantom.patient import scanner_slope
from hepacalc.phantom.placement import Place, Placer
from hepacalc.phantom.shapes import sample
from hepacalc.records import Volume
from hepacalc.study import open_study
from hepacalc.study.nifti import read_nifti_labels
from matching import SHARED

Change = Literal["stable", "grew", "shrank", "new", "gone", "merged", "split"]
Points = NDArray[np.float64]
PATTERNS = ("nodular solid", "nodular solid", "rim complete", "comma", "central stellate", "curvilinear", "amorphous")
SCANS = {"acrin001": "ct/acrin-flt-001", "ts": "ct/totalsegmentator/example_ct.nii.gz", "cptac": "ct/cptac-c3l-00189",
         "acrin013": "liver-train/acrin013/ct.nii.gz"}  # fmt: skip


@dataclass(frozen=True)
class TrueLesion:
    """A lesion that is there at one exam or at both.

    Args:
        change: what happened to it.
        prior: its foci at the first exam; empty when there were none.
        current: likewise at the second; ``centroid_mm`` as LPS of that exam.
    """

    change: Change
    prior: tuple[FocusTruth, ...]
    current: tuple[FocusTruth, ...]

    @property
    def growth(self) -> float:
        """Change of the mass as a fraction of the first."""
        before, after = (sum(f.mass_mg for f in foci) for foci in (self.prior, self.current))
        return after / before - 1


@dataclass(frozen=True)
class Pair:
    """Two exams of one patient.

    Args:
        name: of the pair.
        prior: first scan.
        current: second scan.
        lesions: what is true of them.
        forth: from LPS points ``(n, 3)`` of the first exam to the second.
        same_scanner: whether the calibration error is shared.
    """

    name: str
    prior: Volume
    current: Volume
    lesions: tuple[TrueLesion, ...]
    forth: Callable[[Points], Points]
    same_scanner: bool


@dataclass(frozen=True)
class _Wish:
    """Foci of one lesion at places of the first exam, before and after."""

    change: Change
    before: tuple[PlacedFocus, ...]
    after: tuple[PlacedFocus, ...]


def phantom_pair(seed: int, *, changed: bool = True) -> Pair:
    """Return a digital patient seen twice; the same seed gives the same pair.

    Args:
        seed: draws everything.
        changed: whether foci changed; False: all as they were.
    """
    rng = np.random.default_rng([seed, 77])
    phases = (("non-contrast", "non-contrast"),) * 6 + (
        ("non-contrast", "portal"), ("portal", "non-contrast"), ("portal", "portal"), ("portal", "portal"),
    )  # fmt: skip
    phase = phases[seed % len(phases)]
    same = bool(rng.random() < 0.5)
    volts = rng.choice([100.0, 120.0, 120.0, 140.0], 2)
    kvp = (float(volts[0]), float(volts[0] if same else volts[1]))
    fat = float(rng.uniform(8, 20))
    fats = (fat, float(np.clip(fat + rng.uniform(-6, 6), 4, 26)))
    scenes = [
        draw_scene(seed, phase=p, kvp=k, foci=(), habit=Habit(fat_mm=f))
        for p, k, f in zip(phase, kvp, fats, strict=True)
    ]
    slopes = [scanner_slope(seed, k) for k in kvp]
    if not same:
        slopes[1] = scanner_slope(seed + 5000, kvp[1])
    scenes = [replace(s, slope=slope) for s, slope in zip(scenes, slopes, strict=True)]
    wishes = _wishes(scenes[0], rng, changed=changed)
    # grain of the tissue is mostly noise: the second exam has its own, so that it cannot help the registration
    grain = [replace(t, values=np.ascontiguousarray(t.values[::-1, ::-1, ::-1])) for t in scenes[1].anatomy.textures]
    scenes[1] = replace(scenes[1], anatomy=replace(scenes[1].anatomy, textures=(grain[0], grain[1])))
    movement = draw_movement(rng)
    first = replace(scenes[0], foci=tuple(f for w in wishes for f in w.before))
    second = moved(scenes[1], movement, foci=[f for w in wishes for f in w.after])
    cut = float(rng.uniform(20, 45)) if seed % 6 == 5 else 0.0
    exams = [_exam(s, rng, cut_mm=cut if k else 0.0) for k, s in enumerate((first, second))]
    known = [list(e[1]) for e in exams]
    lesions = []
    for wish in wishes:
        before, after = (
            [side.pop(0) for _ in foci] for side, foci in zip(known, (wish.before, wish.after), strict=True)
        )
        lesions.append(TrueLesion(wish.change, tuple(before), tuple(after)))
    model = ("digital phantom", "digital phantom" if same else "another digital phantom")
    volumes = [_named(e[0], m, f"{2000 + k}0101") for k, (e, m) in enumerate(zip(exams, model, strict=True))]

    def forth(points: Points) -> Points:
        return np.asarray(movement.forth(np.asarray(points, float)[:, ::-1])[:, ::-1])

    return Pair(f"phantom {seed}", volumes[0], volumes[1], tuple(lesions), forth, same)


def _named(volume: Volume, model: str, date: str) -> Volume:
    told = replace(volume.acquisition, manufacturer_model_name=model, study_date=date)
    uid = f"{told.study_instance_uid}.{date[:4]}"
    return replace(volume, acquisition=replace(told, study_instance_uid=uid, frame_of_reference_uid=f"{uid}.1"))


def _exam(scene: Scene, rng: np.random.Generator, *, cut_mm: float) -> tuple[Volume, tuple[FocusTruth, ...]]:
    """Scan a scene as a site would: thickness, noise and field of view vary."""
    liver = scene.anatomy.liver
    inside = np.flatnonzero((liver.values < 0).any(axis=(1, 2)))
    low, high = (liver.origin_mm[0] + liver.step_mm * int(k) for k in inside[[0, -1]])
    slice_mm = float(rng.choice([1.5, 2.0, 2.5, 3.0, 5.0], p=[0.15, 0.25, 0.25, 0.2, 0.15]))
    middle = np.mean([low, high])
    made = scan(
        scene, spacing_mm=(slice_mm, 1.0, 1.0), noise_hu=float(rng.uniform(8, 15)),
        z_range_mm=(float(middle - 130), float(min(middle + 130, high - cut_mm) if cut_mm else middle + 130)),
    )  # fmt: skip
    return made.volume, made.truth.foci


def _wishes(scene: Scene, rng: np.random.Generator, *, changed: bool) -> list[_Wish]:
    """Place lesions and say what becomes of each."""
    placer = Placer(scene.anatomy.liver, rng, margin_mm=5.0, gap_mm=9.0)
    changes: list[Change] = ["stable"] * 7
    if changed:
        changes = ["grew", "grew", "shrank", "new", "gone", "stable", "stable", "stable"]
    out = []
    if changed and rng.random() < 0.7:
        out.append(_joined(scene, placer, rng, "merged" if rng.random() < 0.5 else "split"))
    for change in changes:
        pattern = str(rng.choice(PATTERNS))
        lowest = {"rim complete": 8.0, "curvilinear": 9.0, "amorphous": 9.0, "central stellate": 8.0}.get(pattern, 4.0)
        size = float(np.exp(rng.uniform(np.log(lowest), np.log(18.0))))
        contrast = float(np.exp(rng.uniform(np.log(250), np.log(900))))
        growth = 1.0
        if change == "grew":
            growth = float(np.exp(rng.uniform(np.log(1.2), np.log(3.0))))
        elif change == "shrank":
            growth = 1 / float(np.exp(rng.uniform(np.log(1.25), np.log(3.0))))
        largest = size * max(growth, 1.0) ** (1 / 3)
        place = placer.place(pattern, 0.6 * largest)
        dice = int(rng.integers(2**31))
        concentration = contrast * scene.slope
        sizes = (size, size * growth ** (1 / 3))
        both = [_focus(pattern, s, concentration, place, dice) for s in sizes]
        out.append(_Wish(change, () if change == "new" else (both[0],), () if change == "gone" else (both[1],)))
    return out


def _joined(scene: Scene, placer: Placer, rng: np.random.Generator, change: Change) -> _Wish:
    """Two nodules 7 mm apart, and the same with a bridge."""
    centre = placer.place("nodular solid", 14.0)
    way = rng.normal(size=3) * (0.2, 1, 1)
    way /= np.linalg.norm(way)
    concentration = float(rng.uniform(350, 700)) * scene.slope
    apart = [
        _focus("nodular solid", 6.0, concentration, Place(centre.centre_zyx + s * 6.5 * way, centre.rotation), 1 + k)
        for k, s in enumerate((-1, 1))
    ]
    bridge = [
        _focus("nodular solid", 5.5, concentration, Place(centre.centre_zyx + s * way, centre.rotation), 7)
        for s in (-3.4, 0.0, 3.4)
    ]
    two, one = tuple(apart), (*apart, *bridge)
    return _Wish(change, two if change == "merged" else one, one if change == "merged" else two)


def _focus(pattern: str, size: float, concentration: float, place: Place, dice: int) -> PlacedFocus:
    shape = build_shape(pattern, size, np.random.default_rng(dice))
    spec = FocusSpec(pattern, size, concentration_mg_ml=concentration)
    return PlacedFocus(spec, shape, place, sample(shape, place.rotation), "parenchyma", None)


# ------------------------------------------------------------------ real scans


def real_pair(name: str, seed: int, *, changed: bool = True) -> Pair:
    """Return a real scan with inserted foci, and the same scan bent by a known map with its foci changed.

    The labels that lie beside the scan say where its liver is; the contours that are compared are the program's own.
    """
    rng = np.random.default_rng([seed, len(name), 78])
    volume = _standard(open_study(SHARED / SCANS[name])[0])
    labels, grid = read_nifti_labels(SHARED / f"liver-train/{name}/labels.nii.gz")
    liver = np.ascontiguousarray(grid.canonical().apply(labels)) == 1
    bend = _Bend(volume, liver, rng)
    bent, liver_after = bend.apply(volume, liver, rng)
    specs = [
        FocusSpec(str(rng.choice(PATTERNS[:2] + PATTERNS[3:4])), float(np.exp(rng.uniform(np.log(5), np.log(14)))),
                  float(np.exp(rng.uniform(np.log(300), np.log(900)))))
        for _ in range(9)
    ]  # fmt: skip
    both = insert_foci(volume, liver & bend.kept(liver.shape), specs, rng)
    changes: list[Change] = ["stable"] * len(specs)
    if changed:
        changes[:5] = ["grew", "grew", "shrank", "new", "gone"]
    before, after = [], []
    for change, spec, truth in zip(changes, specs, both.truth.foci, strict=True):
        growth = 1.0
        if change == "grew":
            growth = float(np.exp(rng.uniform(np.log(1.2), np.log(3.0))))
        elif change == "shrank":
            growth = 1 / float(np.exp(rng.uniform(np.log(1.25), np.log(3.0))))
        there = tuple(float(v) for v in bend.forth(np.array([truth.centroid_mm]))[0])
        if change != "new":
            before.append(replace(spec, centre_mm=truth.centroid_mm))
        if change != "gone":
            size = spec.diameter_mm * growth ** (1 / 3)
            after.append(replace(spec, diameter_mm=size, centre_mm=(there[0], there[1], there[2])))
    # the same draws of shape for a focus that stays as it is
    first = insert_foci(volume, liver, before, np.random.default_rng([seed, 1]))
    second = insert_foci(bent, liver_after, after, np.random.default_rng([seed, 1]))
    known = [list(first.truth.foci), list(second.truth.foci)]
    lesions = [
        TrueLesion(c, () if c == "new" else (known[0].pop(0),), () if c == "gone" else (known[1].pop(0),))
        for c in changes
    ]
    dated = [
        replace(v, acquisition=replace(v.acquisition, study_date=d, study_instance_uid=f"2.25.{seed}{d}"))
        for v, d in ((first.volume, "20200101"), (second.volume, "20210101"))
    ]
    return Pair(f"{name}, seed {seed}", dated[0], dated[1], tuple(lesions), bend.forth, True)


def _standard(volume: Volume) -> Volume:
    turn = volume.geometry.canonical()
    hu = np.ascontiguousarray(turn.apply(volume.hu))
    return replace(volume, hu=hu, geometry=turn.geometry, slice_axis=0, sop_instance_uids=())


class _Bend:
    """A smooth map of a whole scan onto itself: shift along the body, turn about it and bending, in mm."""

    COARSE_MM = 12.0

    def __init__(self, volume: Volume, liver: NDArray[np.bool_], rng: np.random.Generator) -> None:
        self.geometry: Geometry = volume.geometry
        self.spacing = np.array(volume.geometry.spacing_mm)
        shape = [int(n * d // self.COARSE_MM) + 2 for n, d in zip(liver.shape, self.spacing, strict=True)]
        self.by = np.zeros((3, *shape), np.float32)
        for axis in range(3):
            for wide, size in ((55.0, 4.0), (26.0, 1.5)):
                noise = ndimage.gaussian_filter(rng.standard_normal(shape), wide / self.COARSE_MM)
                self.by[axis] += (size * noise / noise.std()).astype(np.float32)
        middle = np.argwhere(liver[::3, ::3, ::3]).mean(0) * 3 * self.spacing
        lines = [np.arange(n) * self.COARSE_MM - m for n, m in zip(shape, middle, strict=True)]
        mesh = np.stack(np.meshgrid(*lines, indexing="ij"))
        angle = float(np.deg2rad(rng.uniform(-4, 4)))
        self.by[1] += (np.cos(angle) - 1) * mesh[1] - np.sin(angle) * mesh[2]
        self.by[2] += np.sin(angle) * mesh[1] + (np.cos(angle) - 1) * mesh[2]
        self.by[0] += float(rng.uniform(-12, 12))
        self.by[1] += float(rng.uniform(-8, 8))

    def _at(self, mm: Points) -> Points:
        index = (mm / self.COARSE_MM).T
        return np.stack([ndimage.map_coordinates(b, index, order=1, mode="nearest") for b in self.by], axis=1)

    def apply(
        self, volume: Volume, liver: NDArray[np.bool_], rng: np.random.Generator
    ) -> tuple[Volume, NDArray[np.bool_]]:
        hu = np.empty(liver.shape, np.int16)
        out = np.empty(liver.shape, bool)
        rows, columns = (np.arange(n) * d for n, d in zip(liver.shape[1:], self.spacing[1:], strict=True))
        plane = np.stack(np.meshgrid(rows, columns, indexing="ij"), -1).reshape(-1, 2)
        # the noise of the first exam is smoothed away and drawn anew, so that it cannot help the registration
        deep = ndimage.binary_erosion(liver, iterations=3)
        steps = np.diff(volume.hu, axis=2)[deep[:, :, 1:]]
        noise = float(1.4826 * np.median(np.abs(steps)) / np.sqrt(2))
        smooth = ndimage.gaussian_filter(volume.hu.astype(np.float32), (0, 0.8, 0.8))
        for k in range(liver.shape[0]):
            mm = np.concatenate([np.full((len(plane), 1), k * self.spacing[0]), plane], axis=1)
            index = ((mm + self._at(mm)) / self.spacing).T
            values = ndimage.map_coordinates(smooth, index, np.float32, order=1, mode="nearest").reshape(
                liver.shape[1:]
            )
            fresh = ndimage.gaussian_filter(rng.standard_normal(values.shape, np.float32), 0.6)
            hu[k] = np.rint(values + noise * fresh / fresh.std())
            out[k] = (ndimage.map_coordinates(liver, index, np.uint8, order=0) > 0).reshape(liver.shape[1:])
        return replace(volume, hu=hu), out

    def forth(self, points: Points) -> Points:
        """Return where LPS points of the first scan lie in the second."""
        want = self.geometry.to_index(points) * self.spacing
        found = want.copy()
        for _ in range(80):
            found = found - (found + self._at(found) - want)
        return self.geometry.to_world(found / self.spacing)

    def kept(self, shape: Sequence[int]) -> NDArray[np.bool_]:
        """Return what stays at least 20 mm inside the scan."""
        out = np.zeros(shape, bool)
        out[tuple(slice(int(30 // d) + 1, n - int(30 // d) - 1) for n, d in zip(shape, self.spacing, strict=True))] = (
            True
        )
        return out


def program_liver(volume: Volume) -> NDArray[np.bool_]:
    """Return the program's own contour."""
    return get_segmenter("embedded").segment(volume).mask
