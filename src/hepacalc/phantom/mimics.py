"""What may be taken for calcification and is not: metal, stones, contrast, air in the ducts, cartilage."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from hepacalc.errors import UsageError
from hepacalc.phantom.anatomy import Anatomy
from hepacalc.phantom.organs import Layer
from hepacalc.phantom.pins import PINS, Pin
from hepacalc.phantom.placement import Placer
from hepacalc.phantom.scanner import Item
from hepacalc.phantom.shapes import Rod, Shape, sample
from hepacalc.phantom.tissue import Tissue
from hepacalc.phantom.truth import MimicTruth
from hepacalc.phantom.vessels import rods_field, to_patient

__all__ = ["MIMICS", "Mimics", "add_mimics"]

FloatArray = NDArray[np.float64]

MIMICS: tuple[str, ...] = (
    *(pin.name for pin in PINS), "biliary stent", "gallstone", "lipiodol", "pneumobilia", "bowel contrast",
    "costal cartilage", "enhanced vessel",
)  # fmt: skip
"""``enhanced vessel`` and ``costal cartilage`` need nothing added: the phase, or the body, brings them."""


@dataclass(slots=True)
class Mimics:
    """What the mimics add to a scene.

    Args:
        layers: tissues painted over the anatomy.
        items: small bright things.
        streaks: centre ``(z, y, x)``, reach in mm and strength in HU of metal.
        truths: what is true of them.
        stomach_contrast: whether stomach content is to be painted as contrast medium.
    """

    layers: list[Layer] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    streaks: list[tuple[FloatArray, float, float]] = field(default_factory=list)
    truths: list[MimicTruth] = field(default_factory=list)


def add_mimics(names: Sequence[str], anatomy: Anatomy, placer: Placer, rng: np.random.Generator) -> Mimics:
    """Return the mimics asked for.

    Args:
        names: from :data:`MIMICS`.
        anatomy: the body.
        placer: gives places in the liver (Lipiodol).
        rng: the only source of randomness.

    Raises:
        UsageError: unknown name.
    """
    unknown = sorted(set(names) - set(MIMICS))
    if unknown:
        raise UsageError(
            f"wanted mimics that the phantom knows, found {', '.join(unknown)}.",
            hint="Mimics are: " + ", ".join(MIMICS) + ".",
        )
    out = Mimics()
    for pin in PINS:
        if pin.name in names:
            _pins(pin, out, anatomy, rng)
    for name in MIMICS:
        if name in names and name in _ADD:
            _ADD[name](out, anatomy, placer, rng)
    if "costal cartilage" in names:
        for centre, extent in anatomy.costal_calcium_mm:
            _note(out, "costal cartilage", "outside-liver", np.array(centre[::-1]), extent, 380.0, in_liver=False)
    return out


def _note(
    out: Mimics, name: str, kind: str | None, centre: FloatArray, extent: float, hu: float, *, in_liver: bool
) -> None:
    z, y, x = (float(v) for v in centre)
    out.truths.append(MimicTruth(len(out.truths) + 1, name, kind, (x, y, z), float(extent), float(hu), in_liver))


def _rods_item(rods: list[Rod], centre: FloatArray, hu: float) -> Item:
    local: list[Rod] = [(a - centre, b - centre, ra, rb) for a, b, ra, rb in rods]
    reach = max(float(np.linalg.norm(p)) for a, b, _, _ in local for p in (a, b)) + max(r[2] for r in local)
    return Item(sample(Shape(local, reach, 2 * min(r[3] for r in local))), centre, hu)


def _pins(pin: Pin, out: Mimics, anatomy: Anatomy, rng: np.random.Generator) -> None:
    for k in range(int(rng.integers(*pin.count))):
        place = np.array(pin.first) + k * np.array(pin.step)
        at = to_patient(anatomy.grid, place) + rng.normal(0, 1.5, 3)
        way = rng.normal(size=3)
        way *= rng.uniform(*pin.half_mm) / np.linalg.norm(way)
        out.items.append(_rods_item([(at - way, at + way, pin.radius_mm, pin.radius_mm)], at, pin.hu))
        if pin.streak_hu:
            out.streaks.append((at, 3.0, pin.streak_hu))
        inside = bool(anatomy.liver.at(at[None])[0] < 0)
        length = 2 * float(np.linalg.norm(way)) + 2 * pin.radius_mm
        _note(out, pin.name, pin.kind, at, length, pin.hu, in_liver=inside)


def _stent(out: Mimics, anatomy: Anatomy, placer: Placer, rng: np.random.Generator) -> None:
    line = [to_patient(anatomy.grid, p) for p in ((-176, 2, -34), (-144, -6, -32), (-118, -4, -30), (-104, -8, -40))]
    t = np.linspace(0, 3, 61)
    path = np.stack([np.interp(t, range(4), [p[k] for p in line]) for k in range(3)], axis=1)
    rods: list[Rod] = []
    for turn in (-1, 1):
        for start in (0.0, 2.1, 4.2):
            angle = start + turn * np.arange(61) * 0.75
            wire = path + 3.6 * np.stack([np.zeros(61), np.cos(angle), np.sin(angle)], axis=1)
            rods += [(a, b, 0.22, 0.22) for a, b in itertools.pairwise(wire)]
    centre = path.mean(axis=0)
    out.items.append(_rods_item(rods, centre, 6500.0))
    lumen: list[Rod] = [(a, b, 2.8, 2.8) for a, b in zip(path[:-4:4], path[4::4], strict=True)]
    out.layers.append(Layer("stent lumen", rods_field(lumen, 1.2), Tissue(-600, 0)))
    out.streaks.append((centre, float(np.ptp(path[:, 0])) / 2, 45.0))
    length = float(np.linalg.norm(np.diff(path, axis=0), axis=1).sum())
    _note(out, "biliary stent", "metal", centre, length, 6500, in_liver=False)


def _gallstone(out: Mimics, anatomy: Anatomy, placer: Placer, rng: np.random.Generator) -> None:
    if anatomy.gallbladder is None:
        return
    sdf = anatomy.gallbladder
    inside = np.argwhere(sdf.values < -4)
    back = inside[np.argsort(inside[:, 1])[-max(1, len(inside) // 4) :]]  # stones lie at the back
    for _ in range(int(rng.integers(1, 4))):
        at = np.array(sdf.origin_mm) + sdf.step_mm * back[int(rng.integers(len(back)))]
        room = float(-sdf.at(at[None])[0])
        radius = float(np.clip(rng.uniform(2.5, 6.5), 2.0, max(2.0, room)))
        if any(np.linalg.norm(at - i.centre_zyx) < radius + 6 for i in out.items):
            continue
        hu = float(rng.uniform(110, 500))
        core = radius * rng.choice([0.0, 0.6])

        def stone(z: NDArray[np.float32], y: NDArray[np.float32], x: NDArray[np.float32], r: float = radius,
                  c: float = core) -> NDArray[np.float32]:  # fmt: skip
            gap = np.sqrt(z * z + y * y + x * x)
            return np.asarray(np.maximum(gap - r, c - gap), np.float32)

        out.items.append(Item(sample(Shape(stone, radius, 2 * (radius - core) / 2)), at, hu))
        _note(out, "gallstone", "stone-like", at, 2 * radius, hu, in_liver=False)


def _lipiodol(out: Mimics, anatomy: Anatomy, placer: Placer, rng: np.random.Generator) -> None:
    radius = float(rng.uniform(10, 18))
    at = placer.place("lipiodol", radius).centre_zyx
    for share, hu in ((1.0, 350.0), (0.7, 500.0)):
        rods: list[Rod] = []
        for _ in range(45):
            spot = rng.normal(size=3)
            spot *= share * radius * rng.random() ** 0.5 * 0.85 / np.linalg.norm(spot)
            size = float(rng.uniform(0.08, 0.22)) * radius * share
            rods.append((at + spot, at + spot + rng.normal(0, 1, 3), size, size))
        out.items.append(_rods_item(rods, at, hu))
    _note(out, "lipiodol", "metal", at, 2 * radius, 850, in_liver=True)


def _pneumobilia(out: Mimics, anatomy: Anatomy, placer: Placer, rng: np.random.Generator) -> None:
    near = sorted(anatomy.trees.portal_rods, key=lambda r: float(r[0][1] - 0.3 * r[0][2]) - 6 * r[2])
    shift = np.array([0.0, -4.5, 0.0])
    rods: list[Rod] = [(a + shift, b + shift, 0.45 * ra + 0.3, 0.45 * rb + 0.3) for a, b, ra, rb in near if ra > 1.5][
        :28
    ]
    if not rods:
        return
    out.layers.append(Layer("pneumobilia", rods_field(rods, 0.9, reach_mm=4), Tissue(-850, 0)))
    middle = np.mean([(a + b) / 2 for a, b, _, _ in rods], axis=0)
    _note(out, "pneumobilia", None, middle, 60, -850, in_liver=True)


def _bowel_contrast(out: Mimics, anatomy: Anatomy, placer: Placer, rng: np.random.Generator) -> None:
    hu = float(rng.uniform(200, 420))
    for item in anatomy.layers:
        if item.name in ("stomach content", "stomach gas", "duodenum content", "duodenum gas"):
            tissue = Tissue(hu, 15) if item.name.endswith("content") else item.tissue
            out.layers.append(replace(item, tissue=tissue))
    sdf = anatomy.stomach
    inside = np.argwhere(sdf.values < -4)
    centre = np.array(sdf.origin_mm) + sdf.step_mm * inside.mean(axis=0)
    _note(out, "bowel contrast", "outside-liver", centre, float(np.ptp(inside, axis=0).max()) * 4, hu, in_liver=False)


_ADD = {
    "biliary stent": _stent,
    "gallstone": _gallstone,
    "lipiodol": _lipiodol,
    "pneumobilia": _pneumobilia,
    "bowel contrast": _bowel_contrast,
}
