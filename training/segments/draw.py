"""Digital livers to learn from: drawn coarse, their veins repainted, their mask disturbed, and read by the package.

What is kept of each is what the network sees at run time before it is laid on its grid, and the true segments.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hepacalc.geometry import Geometry
from hepacalc.liver.coverage import liver_coverage
from hepacalc.liver.landmarks import STEP_MM, find_landmarks
from hepacalc.liver.population import draw_population
from hepacalc.liver.reader import channels, middle
from hepacalc.phantom.habit import Habit
from hepacalc.phantom.organs import Layer
from hepacalc.phantom.patient import Scene, draw_scene, scan
from hepacalc.phantom.scanner import Scanner, render_anatomy
from hepacalc.phantom.tissue import Tissue
from hepacalc.phantom.truth import PhaseName
from hepacalc.records import LiverMask, NotMeasured, Phase, Volume

__all__ = ["FIRST_SEED", "SAID_STEP", "Drawn", "draw"]

F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]

FIRST_SEED = 960_000
"""Seeds from here on are for training; tests and benches of the package use small ones."""
SAID_STEP = 3
"""What the anatomies say is kept on every third voxel, from the second on."""
_KINDS = ("normal", "normal", "normal", "fatty", "fatty", "iron")
_PHASES: tuple[PhaseName, ...] = (
    "portal venous", "portal venous", "portal venous", "non-contrast", "non-contrast", "non-contrast", "arterial",
    "delayed",
)  # fmt: skip
_THICKNESS_MM, _LABELLED_MM, _NEAR_MM = 2.0, -9.0, -16.0
_UNSEEN, _REPAINTED, _DISTURBED, _PHASE_UNKNOWN = 0.06, 0.3, 0.5, 0.1


@dataclass(frozen=True, eq=False, slots=True)
class Drawn:
    """One liver on the 3 mm grid of the package.

    Args:
        fine: what the network sees ``(8, z, y, x)``.
        said: shares of the anatomies on every third voxel ``(9, z/3, y/3, x/3)``, 0 far from the liver.
        label: true segment ``(z, y, x)``, -1 far from the liver.
        own: the true liver ``(z, y, x)``.
        middle: of the liver in view, in voxels ``(z, y, x)``.
    """

    fine: NDArray[np.float16]
    said: NDArray[np.uint8]
    label: NDArray[np.int8]
    own: Mask
    middle: NDArray[np.float64]

    def save(self, path: Path) -> None:
        """Write the sample; never half of one under its name."""
        part = path.with_name(f"{path.stem}.part.npz")
        np.savez(part, **{name: getattr(self, name) for name in self.__slots__})
        part.replace(path)

    @classmethod
    def load(cls, path: Path) -> Drawn:
        """Read a sample."""
        with np.load(path) as kept:
            return cls(**{name: kept[name] for name in cls.__slots__})


def draw(number: int, variants: int = 2) -> list[Drawn]:
    """Return some variants of digital liver ``number`` of the training set: other veins, noise and mask, one anatomy.

    Args:
        number: of the liver; its seed is :data:`FIRST_SEED` and this.
        variants: how many.
    """
    seed = FIRST_SEED + number
    rng = np.random.default_rng(seed)
    phase = _PHASES[rng.integers(len(_PHASES))]
    kind = _KINDS[rng.integers(len(_KINDS))]
    scene = draw_scene(
        seed, phase=phase, liver=kind, foci=[], mimics=(), varied=True, gallbladder=bool(rng.random() < 0.88),
        habit=_habit(rng),
    )  # fmt: skip
    field = scene.anatomy.liver
    inside = np.flatnonzero((field.values < 0).any(axis=(1, 2)))
    low, high = (field.origin_mm[0] + field.step_mm * int(k) for k in inside[[0, -1]])
    made = scan(
        scene, spacing_mm=(STEP_MM,) * 3, slice_thickness_mm=_THICKNESS_MM, noise_hu=0, z_range_mm=(low - 18, high + 18)
    )
    veins = _veins(scene, made.volume.geometry)
    out = []
    for variant in range(variants):
        shown, hu = phase, made.volume.hu.astype(np.float32)
        if variant or rng.random() < _REPAINTED:
            shown = _PHASES[rng.integers(len(_PHASES))] if rng.random() < 0.5 else phase
            liver_hu = scene.tissue["liver"].hu
            for cover, name, wanted in zip(veins, ("hepatic vein", "portal vein"), _contrast(shown, rng), strict=True):
                hu += cover * np.float32(wanted + liver_hu - scene.tissue[name].hu)
        mask = _disturbed(made.liver, rng) if rng.random() < _DISTURBED else made.liver
        volume = replace(made.volume, hu=np.rint(_noisy(hu, rng)).astype(np.int16))
        sure = Phase(shown, float(rng.uniform(0.6, 1.0)), True, NotMeasured("not looked for"), ())
        told = None if rng.random() < _PHASE_UNKNOWN else sure
        out.append(_read(scene, volume, made.liver, mask, told))
    return out


def _habit(rng: np.random.Generator) -> Habit:
    chance = rng.random()
    if chance < 0.78:
        return Habit()
    if chance < 0.88:
        return Habit(liver="cirrhotic", spleen=1.3, ascites_mm=float(rng.choice([0, 12])))
    if chance < 0.93:
        return Habit(liver="Riedel lobe")
    return Habit(ascites_mm=15.0) if chance < 0.97 else Habit(tumour_mm=float(rng.uniform(40, 80)))


def _veins(scene: Scene, geometry: Geometry) -> tuple[F32, F32]:
    """Return how much of each voxel hepatic and portal veins fill."""
    scanner = Scanner(geometry, _THICKNESS_MM, 0.6)
    hepatic, portal = (
        render_anatomy([Layer("vein", field, Tissue(1000.0, 0))], scene.anatomy.textures, scanner, background_hu=0)
        for field in (scene.anatomy.trees.hepatic, scene.anatomy.trees.portal)
    )
    return hepatic / 1000, portal / 1000


def _contrast(phase: PhaseName, rng: np.random.Generator) -> tuple[float, float]:
    """Return by how many HU hepatic and portal veins are brighter than liver."""
    if rng.random() < _UNSEEN:
        return 0.0, 0.0
    if phase == "non-contrast":
        both = float(rng.choice([-14, -14, -14, 20, 8]) + rng.normal(0, 4))
        return both, both + float(rng.normal(0, 1))
    if phase == "arterial":
        return float(rng.normal(-12, 6)), float(rng.normal(25, 12))
    if phase == "delayed":
        both = float(rng.normal(20, 7))
        return both, both + float(rng.normal(0, 2))
    strength = float(rng.uniform(0.4, 1.2))
    return 55 * strength + float(rng.normal(0, 5)), 66 * strength + float(rng.normal(0, 5))


def _noisy(hu: F32, rng: np.random.Generator) -> F32:
    """Return a scan of thicker slices, noisy as 3 mm voxels of usual scans are."""
    hu = ndimage.gaussian_filter1d(hu, float(rng.choice([0.05, 0.4, 0.8])), axis=0)
    noise = rng.standard_normal(hu.shape).astype(np.float32)
    noise = ndimage.gaussian_filter(noise, (float(rng.choice([0.2, 0.5, 0.7])), 0.35, 0.35))
    return np.asarray(hu + noise / noise.std() * np.exp(rng.uniform(np.log(1.5), np.log(6.0))), np.float32)


def _disturbed(mask: Mask, rng: np.random.Generator) -> Mask:
    """Return a mask whose outline is off by some millimetres here and there, its largest part."""
    rough = ndimage.gaussian_filter(rng.standard_normal([n // 2 + 1 for n in mask.shape]), float(rng.uniform(2, 4)))
    rough *= rng.uniform(1, 3.5) / rough.std()
    off = ndimage.zoom(rough, 2, order=1)[tuple(slice(0, n) for n in mask.shape)] + rng.normal(0, 1)
    inside, outside = (ndimage.distance_transform_edt(part, sampling=STEP_MM) for part in (mask, ~mask))
    parts, _ = ndimage.label(inside - outside > off)
    return np.asarray(parts == 1 + np.argmax(np.bincount(parts.ravel())[1:]))


def _read(scene: Scene, volume: Volume, own: Mask, mask: Mask, phase: Phase | None) -> Drawn:
    """Return what the package makes of a scan, and what is true."""
    liver = LiverMask(mask, volume.geometry, "drawn", "1", 1.0)
    coverage = liver_coverage(liver, volume)
    marks = find_landmarks(liver, coverage, volume)
    population = draw_population(marks, coverage, phase)
    assert marks.hu is not None
    assert marks.liver_hu is not None
    assert scene.anatomy.segments is not None
    at, grid, shape = middle(marks.depth_mm), marks.geometry, marks.depth_mm.shape
    cells = np.stack(np.meshgrid(*(np.arange(1, n + 1, SAID_STEP) for n in shape), indexing="ij"), axis=-1)
    near = marks.depth_mm[tuple(np.minimum(cells, np.array(shape) - 1).reshape(-1, 3).T)] > _NEAR_MM
    near = near.reshape(cells.shape[:-1])
    said = np.zeros((*near.shape, 9), np.float32)
    said[near] = population.shares(grid.to_world(cells[near]))
    label = np.full(shape, -1, np.int8)
    wanted = marks.depth_mm > _LABELLED_MM
    label[wanted] = scene.anatomy.segments.index_at(grid.to_world(np.argwhere(wanted)))
    corner = np.rint((grid.affine[:3, 3] - volume.geometry.affine[:3, 3]) / STEP_MM).astype(int)[::-1]
    box = tuple(slice(a, a + n) for a, n in zip(corner, shape, strict=True))
    return Drawn(
        channels(marks.hu, marks.depth_mm, marks.tube, marks.liver_hu, at).astype(np.float16),
        np.rint(255 * np.moveaxis(said, -1, 0)).astype(np.uint8),
        label,
        own[box],
        at,
    )
