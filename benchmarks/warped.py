"""Real scans made unusual: the CT and its label map are bent together, and organs are given other CT numbers.

The truth is the bent label map. Three scans with a whole liver are there (``../shared/data/liver-train``); no expert
drew their labels, and the network that ships was trained on them, so what is measured is how it stands what was done
to them, not how good it is. Pixels are averaged two by two to save time (the network works at 4, the contour at 2 mm).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hepacalc.geometry import Geometry
from hepacalc.phantom.bodies import arm_streaks
from hepacalc.records import Volume
from hepacalc.study import open_study
from hepacalc.study.nifti import read_nifti_labels
from matching import SHARED

F32 = NDArray[np.float32]
SCANS = {
    "acrin001": "ct/acrin-flt-001",
    "cptac": "ct/cptac-c3l-00189",
    "ts": "ct/totalsegmentator/example_ct.nii.gz",
    "ts_slab": "ct/totalsegmentator/example_ct_dicom",
    "acrin013": "liver-train/acrin013/ct.nii.gz",
    "cmb": "liver-train/cmb/ct.nii.gz",
}
WHOLE = ("acrin001", "cptac", "ts")
ENHANCED = ("cptac", "ts_slab", "cmb")
LIVER, SPLEEN, STOMACH, LUNG, BONE, FAT, SOFT = 1, 2, 5, 10, 11, 12, 13
COARSE_MM = 12.0


@dataclass(frozen=True)
class Case:
    """A scan in standard orientation (z up, y back, x left) and its labels."""

    name: str
    volume: Volume
    labels: NDArray[np.uint8]

    @property
    def liver(self) -> NDArray[np.bool_]:
        """The true liver, bool ``(z, y, x)``."""
        return self.labels == LIVER


def labelled_scan(name: str) -> Case:
    """Read a scan of ``liver-train`` and its label map."""
    volume = open_study(SHARED / SCANS[name])[0]
    labels, geometry = read_nifti_labels(SHARED / f"liver-train/{name}/labels.nii.gz")
    turn = volume.geometry.canonical()
    hu = np.ascontiguousarray(turn.apply(volume.hu))
    standard = replace(volume, hu=hu, geometry=turn.geometry, slice_axis=0, sop_instance_uids=())
    return Case(name, standard, np.ascontiguousarray(geometry.canonical().apply(labels)).astype(np.uint8))


@lru_cache(maxsize=3)
def _small(name: str) -> Case:
    """Return a labelled scan with pixels of at least 1.5 mm."""
    case = labelled_scan(name)
    hu, labels, affine = case.volume.hu, case.labels, case.volume.geometry.affine.copy()
    if case.volume.geometry.spacing_mm[1] < 1.5:
        ny, nx = (n // 2 * 2 for n in hu.shape[1:])
        parts = hu[:, :ny, :nx].reshape(len(hu), ny // 2, 2, nx // 2, 2)
        hu = parts.mean(axis=(2, 4), dtype=np.float32).round().astype(np.int16)
        labels = np.ascontiguousarray(labels[:, :ny:2, :nx:2])
        affine[:3, 3] += (affine[:3, 1] + affine[:3, 2]) / 2
        affine[:3, 1:3] *= 2
    return Case(name, replace(case.volume, hu=hu, geometry=Geometry(hu.shape, affine)), labels)


class Mould:
    """A displacement of every point of a scan: where on the old scan each point of the new one comes from, in mm.

    Coordinates are mm from the middle of the liver, ``(z, y, x)``; the unit of the shapes is the size of this liver.
    """

    def __init__(self, case: Case, rng: np.random.Generator) -> None:
        self.rng = rng
        self.spacing = np.array(case.volume.geometry.spacing_mm)
        self.shape = case.labels.shape
        at = np.argwhere(case.liver) * self.spacing
        self.low, self.high, self.middle = at.min(0), at.max(0), at.mean(0)
        counts = [int(n * d // COARSE_MM) + 2 for n, d in zip(self.shape, self.spacing, strict=True)]
        lines = [np.arange(n) * COARSE_MM - m for n, m in zip(counts, self.middle, strict=True)]
        self.mesh = np.stack(np.meshgrid(*lines, indexing="ij")).astype(np.float32)
        self.by = np.zeros_like(self.mesh)

    def elastic(self, wave_mm: float, size_mm: float) -> None:
        """Bend everything smoothly at random."""
        for axis in range(3):
            noise = ndimage.gaussian_filter(self.rng.standard_normal(self.mesh.shape[1:]), wave_mm / COARSE_MM)
            self.by[axis] += (size_mm * noise / noise.std()).astype(np.float32)

    def grow(self, centre: tuple[float, float, float], reach_mm: float, factor: float) -> None:
        """Enlarge (factor > 0) or shrink what lies about a point, softly, by up to this share."""
        away = self.mesh - np.array(centre, np.float32)[:, None, None, None]
        weight = np.exp(-(away**2).sum(0) / (2 * reach_mm**2))
        self.by -= away * (factor / (1 + factor)) * weight

    def lengthen(self, mm: float, x_mm: float, wide_mm: float) -> None:
        """Draw the lower edge of the right lobe down."""
        z, y, x = self.mesh
        start = (self.low[0] - self.middle[0]) * 0.45
        weight = np.exp(-((x - x_mm) ** 2) / (2 * wide_mm**2)) * np.exp(-(y**2) / (2 * 55.0**2))
        length = start - (self.low[0] - self.middle[0])
        part = np.clip((start - z) / (length + mm), 0, 1)
        fade = np.clip((z - (self.low[0] - self.middle[0] - mm - 90)) / 90, 0, 1)
        self.by[0] += (mm * part * weight * fade).astype(np.float32)

    def apply(self, case: Case) -> Case:
        """Return the bent scan; labels by the nearest voxel, the liver by interpolation."""
        hu = np.empty(self.shape, np.int16)
        labels = np.empty(self.shape, np.uint8)
        liver = ndimage.gaussian_filter(case.liver.astype(np.float32), 0.5)
        y, x = (np.arange(n, dtype=np.float32) for n in self.shape[1:])
        for k in range(self.shape[0]):
            where = [np.full(self.shape[1:], k * self.spacing[0] / COARSE_MM, np.float32)]
            where += list(np.meshgrid(y * self.spacing[1] / COARSE_MM, x * self.spacing[2] / COARSE_MM, indexing="ij"))
            shift = [ndimage.map_coordinates(b, where, order=1, mode="nearest") for b in self.by]
            base = (np.float32(k), y[:, None], x[None])
            at = np.stack([b + s / d for b, s, d in zip(base, shift, self.spacing, strict=True)])
            hu[k] = np.rint(ndimage.map_coordinates(case.volume.hu, at, np.float32, order=1, mode="nearest"))
            labels[k] = ndimage.map_coordinates(case.labels, at, np.uint8, order=0, mode="nearest")
            inside = ndimage.map_coordinates(liver, at, np.float32, order=1, mode="nearest") > 0.5
            labels[k][(labels[k] == LIVER) & ~inside] = FAT
            labels[k][inside] = LIVER
        return Case(case.name, replace(case.volume, hu=hu), labels)


# ------------------------------------------------------------------ what is done to a scan


def _bent(case: Case, rng: np.random.Generator) -> Case:
    mould = Mould(case, rng)
    mould.elastic(55, 6.0)
    mould.elastic(26, 2.2)
    return mould.apply(case)


def _shift_liver(case: Case, hu: float) -> Case:
    """Give the liver this mean, softly across its edge; vessels and texture move along."""
    usual = float(np.median(case.volume.hu[case.liver]))
    spacing = np.array(case.volume.geometry.spacing_mm)
    share = ndimage.gaussian_filter(case.liver.astype(np.float32), 0.7 / spacing * np.minimum(spacing, 1.0))
    new = case.volume.hu + (hu - usual) * share
    return replace(case, volume=replace(case.volume, hu=np.rint(new).astype(np.int16)))


def _fatty(case: Case, rng: np.random.Generator) -> Case:
    low, high = (30, 65) if case.name in ENHANCED else (0, 30)
    return _shift_liver(_bent(case, rng), float(rng.uniform(low, high)))


def _iron(case: Case, rng: np.random.Generator) -> Case:
    low, high = (140, 180) if case.name in ENHANCED else (90, 140)
    return _shift_liver(_bent(case, rng), float(rng.uniform(low, high)))


def _cirrhotic(case: Case, rng: np.random.Generator) -> Case:
    mould = Mould(case, rng)
    mould.elastic(55, 4.0)
    half = (mould.high - mould.low) / 2
    mould.grow((-0.2 * half[0], 0, -0.45 * half[2]), 45, -0.28)
    mould.grow((0.2 * half[0], -0.3 * half[1], 0.6 * half[2]), 38, 0.38)
    mould.grow((0.1 * half[0], 0.25 * half[1], 0.25 * half[2]), 20, 0.35)
    smooth = mould.apply(case)
    # knobs of 10-15 mm on the surface: along x and y only, finer than the coarse grid can hold
    spacing = np.array(smooth.volume.geometry.spacing_mm)
    near = ndimage.gaussian_filter(smooth.liver.astype(np.float32), 8 / spacing)
    weight = 4 * near * (1 - near)
    at = np.indices(smooth.labels.shape, np.float32)
    for axis in (1, 2):
        noise = ndimage.gaussian_filter(rng.standard_normal(smooth.labels.shape, np.float32), 4.5 / spacing)
        at[axis] += 2.6 / spacing[axis] * weight * noise / noise.std()
    hu = ndimage.map_coordinates(smooth.volume.hu, at, np.float32, order=1, mode="nearest")
    labels = ndimage.map_coordinates(smooth.labels, at, np.uint8, order=0, mode="nearest")
    return Case(case.name, replace(smooth.volume, hu=np.rint(hu).astype(np.int16)), labels)


def _hepatectomy(case: Case, rng: np.random.Generator) -> Case:
    """Take the right or the left third to half of the liver out and put fat in its place."""
    bent = _bent(case, rng)
    spacing = bent.volume.geometry.spacing_mm
    z, y, x = (np.arange(n, dtype=np.float32) * d for n, d in zip(bent.labels.shape, spacing, strict=True))
    at = np.argwhere(bent.liver)
    tilt = float(rng.uniform(0.2, 0.45))
    side = x[None, None] + tilt * y[None, :, None] + 0 * z[:, None, None]
    values = side[tuple(at.T)]
    right = rng.random() < 0.5
    # the right lobe is the patient's right: small x
    level = np.quantile(values, rng.uniform(0.45, 0.6) if right else rng.uniform(0.55, 0.7))
    gone = bent.liver & ((side < level) if right else (side > level))
    grain = ndimage.gaussian_filter(rng.standard_normal(bent.labels.shape, np.float32), 6 / np.array(spacing))
    noise = rng.standard_normal(bent.labels.shape, np.float32)
    fat = -98 + 9 * grain / grain.std() + 14 * noise
    share = ndimage.gaussian_filter(gone.astype(np.float32), 0.8 / np.array(spacing))
    hu = np.rint(bent.volume.hu * (1 - share) + fat * share).astype(np.int16)
    labels = bent.labels.copy()
    labels[gone] = FAT
    return Case(case.name, replace(bent.volume, hu=hu), labels)


def _riedel(case: Case, rng: np.random.Generator) -> Case:
    mould = Mould(case, rng)
    mould.elastic(55, 4.0)
    mould.lengthen(float(rng.uniform(45, 70)), -0.55 * (mould.high[2] - mould.low[2]) / 2, 45)
    return mould.apply(case)


def _ascites(case: Case, rng: np.random.Generator) -> Case:
    """Turn the fat beside liver, spleen and stomach, under the wall, into fluid."""
    bent = _bent(case, rng)
    spacing = np.array(bent.volume.geometry.spacing_mm)
    body = ndimage.binary_fill_holes(ndimage.binary_opening(bent.volume.hu > -300, iterations=2))
    deep = ndimage.distance_transform_edt(np.pad(body, 1), spacing)[1:-1, 1:-1, 1:-1] > 18
    organs = np.isin(bent.labels, (LIVER, SPLEEN, STOMACH))
    near = ndimage.distance_transform_edt(~organs, spacing) < float(rng.uniform(12, 20))
    wet = near & deep & (bent.labels == FAT) & (bent.volume.hu < -20) & (bent.volume.hu > -200)
    wet = ndimage.binary_opening(wet)
    # fluid lifts the liver off the wall: its outer layer there becomes fluid too
    wall = np.isin(bent.labels, (0, LUNG, BONE, SOFT))
    wave = ndimage.gaussian_filter(rng.standard_normal(wet.shape, np.float32), 20 / spacing)
    lifted = bent.liver & (ndimage.distance_transform_edt(~wall, spacing) < 10 + 3 * wave / wave.std())
    share = ndimage.gaussian_filter((wet | lifted).astype(np.float32), 0.7)
    noise = rng.normal(0, 12, wet.shape).astype(np.float32)
    hu = np.rint(bent.volume.hu * (1 - share) + (9 + noise) * share).astype(np.int16)
    labels = bent.labels.copy()
    labels[lifted] = FAT
    return Case(case.name, replace(bent.volume, hu=hu), labels)


def _tumour(case: Case, rng: np.random.Generator) -> Case:
    bent = _bent(case, rng)
    spacing = np.array(bent.volume.geometry.spacing_mm)
    depth = ndimage.distance_transform_edt(bent.liver, spacing)
    places = np.argwhere(depth > 0.8 * depth.max())
    centre = places[rng.integers(len(places))]
    away = (np.indices(bent.labels.shape).transpose(1, 2, 3, 0) - centre) * spacing
    way = rng.normal(size=3) * 0.2 + 1
    radius = float(rng.uniform(42, 58))
    wave = ndimage.gaussian_filter(rng.standard_normal(bent.labels.shape, np.float32), 12 / spacing)
    gap = np.sqrt(((away / way) ** 2).sum(-1)) - radius + 5 * wave / wave.std()
    liver_hu = float(np.median(bent.volume.hu[bent.liver]))
    share = np.clip(0.5 - gap / 3, 0, 1) * ndimage.gaussian_filter(bent.liver.astype(np.float32), 0.7)
    core = np.clip(0.5 - (gap + 0.45 * radius) / 6, 0, 1)
    dark = -32 - core * max(min(liver_hu - 32 - 14, 45), 0)
    hu = np.rint(bent.volume.hu + share * dark).astype(np.int16)
    return replace(bent, volume=replace(bent.volume, hu=hu))


def _mirrored(case: Case, rng: np.random.Generator) -> Case:
    bent = _bent(case, rng)
    hu, labels = (np.ascontiguousarray(a[:, :, ::-1]) for a in (bent.volume.hu, bent.labels))
    return Case(case.name, replace(bent.volume, hu=hu), labels)


def _arms(case: Case, rng: np.random.Generator) -> Case:
    bent = _bent(case, rng)
    # the middle of this body takes the place of the phantom's
    hu = bent.volume.hu
    shift = round(float(np.argwhere(hu[len(hu) // 2] > -300)[:, 0].mean()) - hu.shape[1] / 2)
    level = replace(bent.volume, hu=np.roll(hu, -shift, axis=1))
    return replace(bent, volume=replace(bent.volume, hu=np.roll(arm_streaks(level, 18.0, rng), shift, axis=1)))


def noisy(volume: Volume, sd_hu: float, rng: np.random.Generator) -> Volume:
    """Return a scan with added noise of this standard deviation, correlated over about a pixel in the plane."""
    hu = np.empty(volume.hu.shape, np.int16)
    for k, plane in enumerate(volume.hu):
        noise = ndimage.gaussian_filter(rng.standard_normal(plane.shape, np.float32), 0.6)
        hu[k] = np.clip(np.rint(plane + sd_hu * noise / noise.std()), -1024, 3071)
    return replace(volume, hu=hu)


def _low_dose(case: Case, rng: np.random.Generator) -> Case:
    bent = _bent(case, rng)
    return replace(bent, volume=noisy(bent.volume, float(rng.uniform(28, 38)), rng))


def thicker(case: Case, slice_mm: float) -> Case:
    """Return a case averaged over slices of about this thickness (a whole number of its own); labels by majority."""
    count = max(round(slice_mm / case.volume.geometry.spacing_mm[0]), 1)
    n = len(case.labels) // count
    hu = case.volume.hu[: n * count].reshape(n, count, *case.volume.hu.shape[1:]).mean(1, dtype=np.float32)
    inside = case.liver[: n * count].reshape(n, count, *case.labels.shape[1:]).mean(1) >= 0.5
    labels = case.labels[count // 2 : n * count : count].copy()
    labels[labels == LIVER] = FAT
    labels[inside] = LIVER
    affine = case.volume.geometry.affine.copy()
    affine[:3, 3] += affine[:3, 0] * (count - 1) / 2
    affine[:3, 0] *= count
    grid = Geometry((n, *hu.shape[1:]), affine)
    stated = replace(case.volume.acquisition, slice_thickness_mm=float(grid.spacing_mm[0]))
    return Case(case.name, Volume(np.rint(hu).astype(np.int16), grid, stated), labels)


def _thick(case: Case, rng: np.random.Generator) -> Case:
    return thicker(_bent(case, rng), 8.0)


def _child(case: Case, rng: np.random.Generator) -> Case:
    bent = _bent(case, rng)
    affine = bent.volume.geometry.affine.copy()
    affine[:3] *= float(rng.uniform(0.55, 0.75))
    return replace(bent, volume=replace(bent.volume, geometry=Geometry(bent.labels.shape, affine)))


WARPS: dict[str, Callable[[Case, np.random.Generator], Case]] = {
    "bent": _bent, "fatty": _fatty, "iron": _iron, "cirrhotic": _cirrhotic, "hepatectomy": _hepatectomy,
    "Riedel lobe": _riedel, "ascites": _ascites, "large tumour": _tumour, "situs inversus": _mirrored,
    "arms down": _arms, "low dose": _low_dose, "slices 8 mm": _thick, "child": _child,
}  # fmt: skip
"""What can be done to a scan, by name."""


def warped(name: str, warp: str, seed: int) -> Case:
    """Return a scan with one of :data:`WARPS` done to it; the same arguments give the same bytes."""
    rng = np.random.default_rng([seed, sorted(WARPS).index(warp), sorted(SCANS).index(name)])
    return WARPS[warp](_small(name), rng)
