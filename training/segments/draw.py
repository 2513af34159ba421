"""Digital livers to learn from: drawn at 3 mm without noise, their veins apart, with the true segments.

What is kept lets every step of training see the liver with other veins' contrast, other noise and another mask.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hepacalc.geometry import Geometry
from hepacalc.liver.landmarks import STEP_MM
from hepacalc.phantom.habit import Habit
from hepacalc.phantom.organs import Layer
from hepacalc.phantom.patient import Scene, draw_scene, scan
from hepacalc.phantom.scanner import Scanner, render_anatomy
from hepacalc.phantom.tissue import Tissue
from hepacalc.phantom.truth import PhaseName

__all__ = ["FIRST_SEED", "PHASES", "Drawn", "draw"]

F32 = NDArray[np.float32]

FIRST_SEED = 960_000
"""Seeds from here on are for training; tests and benches of the package use small ones."""
PHASES: tuple[PhaseName, ...] = (
    "portal venous", "portal venous", "portal venous", "non-contrast", "non-contrast", "non-contrast", "arterial",
    "arterial", "delayed",
)  # fmt: skip
_KINDS = ("normal", "normal", "normal", "fatty", "fatty", "iron")
_THICKNESS_MM, _MARGIN_MM, _LABELLED_MM = 2.0, 27.0, 14.0


@dataclass(frozen=True, eq=False, slots=True)
class Drawn:
    """One liver and what lies about it, voxels of 3 mm ``(z, y, x)``.

    Args:
        hu: without noise, its veins painted as liver.
        hepatic: how much of a voxel hepatic veins fill, 0-255.
        portal: the same for the portal vein.
        outline_mm: distance to the true outline, negative inside.
        label: true segment, -1 far from the liver.
        contrast: by how many HU hepatic and portal veins are brighter than liver ``(2,)``.
        liver_hu: CT number of the liver.
    """

    hu: NDArray[np.float16]
    hepatic: NDArray[np.uint8]
    portal: NDArray[np.uint8]
    outline_mm: NDArray[np.float16]
    label: NDArray[np.int8]
    contrast: NDArray[np.float64]
    liver_hu: NDArray[np.float64]

    def save(self, path: Path) -> None:
        """Write the liver; never half of one under its name."""
        part = path.with_name(f"{path.stem}.part.npz")
        np.savez(part, **{name: getattr(self, name) for name in self.__slots__})
        part.replace(path)

    @classmethod
    def load(cls, path: Path) -> Drawn:
        """Read a liver."""
        with np.load(path) as kept:
            return cls(**{name: kept[name] for name in cls.__slots__})


def draw(number: int) -> Drawn:
    """Return digital liver ``number`` of the training set; its seed is :data:`FIRST_SEED` and this."""
    seed = FIRST_SEED + number
    rng = np.random.default_rng(seed)
    scene = draw_scene(
        seed, phase=PHASES[rng.integers(len(PHASES))], liver=_KINDS[rng.integers(len(_KINDS))], foci=[], mimics=(),
        varied=True, gallbladder=bool(rng.random() < 0.88), habit=_habit(rng),
    )  # fmt: skip
    field = scene.anatomy.liver
    inside = np.argwhere(field.values < 0)
    low, high = (
        np.array(field.origin_mm) + field.step_mm * inside.min(0),
        field.origin_mm + field.step_mm * inside.max(0),
    )
    made = scan(
        scene, spacing_mm=(STEP_MM,) * 3, slice_thickness_mm=_THICKNESS_MM, noise_hu=0,
        z_range_mm=(low[0] - _MARGIN_MM, high[0] + _MARGIN_MM), rounded=False,
    )  # fmt: skip
    geometry = made.volume.geometry
    start = geometry.affine[:3, 3][::-1]
    box = tuple(
        slice(max(int((a - _MARGIN_MM - s) / STEP_MM), 0), min(int((b + _MARGIN_MM - s) / STEP_MM) + 2, n))
        for a, b, s, n in zip(low, high, start, geometry.shape, strict=True)
    )
    hu = made.volume.hu[box].astype(np.float32)
    hepatic, portal = (cover[box] for cover in _veins(scene, geometry))
    liver_hu = scene.tissue["liver"].hu
    contrast = np.array([scene.tissue[name].hu - liver_hu for name in ("hepatic vein", "portal vein")])
    hu -= np.float32(contrast[0]) * hepatic + np.float32(contrast[1]) * portal * (1 - hepatic)
    cells = np.stack(np.meshgrid(*(np.arange(s.start, s.stop) for s in box), indexing="ij"), axis=-1).reshape(-1, 3)
    places = geometry.to_world(cells)
    outline = field.at(places[:, ::-1]).astype(np.float32).reshape(hu.shape)
    label = np.full(hu.size, -1, np.int8)
    wanted = outline.ravel() < _LABELLED_MM
    assert scene.anatomy.segments is not None
    label[wanted] = scene.anatomy.segments.index_at(places[wanted])
    return Drawn(
        np.clip(hu, -1000, 1500).astype(np.float16),
        np.rint(255 * np.clip(hepatic, 0, 1)).astype(np.uint8),
        np.rint(255 * np.clip(portal, 0, 1)).astype(np.uint8),
        np.clip(outline, -200, 200).astype(np.float16),
        label.reshape(hu.shape),
        contrast,
        np.array(liver_hu),
    )


def _habit(rng: np.random.Generator) -> Habit:
    chance = rng.random()
    if chance < 0.76:
        return Habit()
    if chance < 0.86:
        return Habit(liver="cirrhotic", spleen=1.3, ascites_mm=float(rng.choice([0, 12])))
    if chance < 0.90:
        return Habit(liver="Riedel lobe")
    if chance < 0.92:
        return Habit(liver="left hepatectomy" if rng.random() < 0.5 else "right hepatectomy")
    if chance < 0.95:
        return Habit(size=float(rng.uniform(0.7, 0.95)))
    return Habit(ascites_mm=15.0) if chance < 0.97 else Habit(tumour_mm=float(rng.uniform(40, 80)))


def _veins(scene: Scene, geometry: Geometry) -> tuple[F32, F32]:
    """Return how much of each voxel hepatic and portal veins fill."""
    scanner = Scanner(geometry, _THICKNESS_MM, 0.6)
    hepatic, portal = (
        render_anatomy([Layer("vein", field, Tissue(1000.0, 0))], scene.anatomy.textures, scanner, background_hu=0)
        for field in (scene.anatomy.trees.hepatic, scene.anatomy.trees.portal)
    )
    return hepatic / 1000, portal / 1000
