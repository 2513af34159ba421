"""The soft organs about the liver: heart, spleen, kidneys, gut, pancreas, great vessels, gallbladder."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hepacalc.phantom.fields import Field, Grid, smooth_max, smooth_min
from hepacalc.phantom.shapes import Rod
from hepacalc.phantom.tissue import Tissue
from hepacalc.phantom.vessels import rods_field, to_patient

if TYPE_CHECKING:
    from hepacalc.phantom.anatomy import Build
    from hepacalc.phantom.habit import Habit

__all__ = ["Layer", "gallbladder", "layer", "rod", "table", "viscera"]

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False, slots=True)
class Layer:
    """One tissue and where it is; painted over the layers before it."""

    name: str
    field: Field
    tissue: Tissue


def layer(name: str, grid: Grid, distance: Array, tissue: Tissue) -> list[Layer]:
    """Return a layer, or none where there is nothing to paint."""
    field = grid.field(distance)
    return [] if field is None else [Layer(name, field, tissue)]


def rod(a: tuple[float, float, float], b: tuple[float, float, float], ra: float, rb: float | None = None) -> Rod:
    """Return a rod between two ``(z, y, x)`` points."""
    return np.array(a, float), np.array(b, float), ra, ra if rb is None else rb


def chain(points: list[tuple[float, float, float]], radius: float) -> list[Rod]:
    """Return rods along a line."""
    return [rod(a, b, radius) for a, b in itertools.pairwise(points)]


def gallbladder(grid: Grid, rng: np.random.Generator) -> Array:
    """Return the distance to the lumen of a gallbladder under the right lobe."""
    wide = float(rng.uniform(10, 16))
    fundus = (-160 + float(rng.uniform(-8, 8)), -62.0, -62 + float(rng.uniform(-8, 8)))
    body = (-146.0, -42.0, -52.0)
    return grid.rods(
        [rod((-120, -10, -38), (-128, -20, -42), 4), rod((-128, -20, -42), body, 5, wide), rod(body, fundus, wide)],
        reach_mm=30,
    )


def table(grid: Grid, body: Array, build: Build, tissue: dict[str, Tissue]) -> list[Layer]:
    """Return the table top under the patient, a shallow trough."""
    deepest = float(np.max(grid.y[body < 0])) * build.scale_zyx[1]
    y = (np.arange(grid.y.shape[1]) * grid.step_mm + grid.origin_mm[1]).reshape(1, -1, 1)
    x = (np.arange(grid.x.shape[2]) * grid.step_mm + grid.origin_mm[2]).reshape(1, 1, -1)
    top = deepest + 6 - (x / 200.0) ** 2 * 40
    shell = np.maximum(np.abs(y - top - 3) - 2.5, np.abs(x) - 200)
    full = np.broadcast_to(shell, grid.z.shape).astype(np.float32)
    return layer("table", grid, full, tissue["table"])


def viscera(
    grid: Grid,
    inside: Array,
    cavity: Array,
    abdomen: Array,
    liver: Array,
    gall: Array | None,
    rng: np.random.Generator,
    tissue: dict[str, Tissue],
    habit: Habit,
    habit_seed: int,
) -> tuple[list[Layer], Field]:
    """Return the layers of all soft organs but the liver, and the lumen of the stomach.

    Args:
        grid: standard-body coordinates.
        inside: distance to the space for abdominal organs.
        cavity: distance to the inside of the wall.
        abdomen: distance to what lies under the diaphragm.
        liver: distance to the liver.
        gall: distance to the gallbladder, if any.
        rng: draws the shapes.
        tissue: CT numbers.
        habit: what is unusual about this body.
        habit_seed: draws what varies within the habit.
    """
    layers: list[Layer] = []

    def put(name: str, distance: Array, what: str) -> None:
        layers.extend(layer(name, grid, distance, tissue[what]))

    keep_off = -liver + 1.5 if gall is None else np.maximum(-liver + 1.5, -gall + 4)

    def fit(distance: Array, gap: float = 0.0) -> Array:
        return smooth_max(smooth_max(distance, inside + 1, 4), keep_off + gap, 3)

    # chest
    heart = grid.ellipsoid((22, -36, 30), (52, 50, 70))
    heart = smooth_max(heart, -abdomen + 1, 6)
    tissue_fat = smooth_min(heart - 6, np.hypot((grid.x - 8) / 1.3, grid.y - 26) - 24, 10)
    put("mediastinal fat", np.maximum(np.maximum(tissue_fat, -abdomen - 2), cavity), "visceral fat")
    put("heart", smooth_max(heart, cavity + 5, 6), "heart")
    put("lung vessel", _lung_vessels(grid, cavity, abdomen, heart, rng), "cava")
    # great vessels
    crus = np.minimum(np.hypot((grid.x - 16) * 0.8, grid.y - 38), np.hypot((grid.x + 12) * 0.8, grid.y - 40)) - 13
    put("crus", np.maximum(crus, np.abs(grid.z + 95) - 75), "diaphragm")
    aorta = chain([(110, 30, 22), (-20, 32, 18), (-120, 28, 8), (-340, 32, 6)], 10.5)
    put("aorta", grid.rods(aorta), "aorta")
    put("oesophagus", grid.rods(chain([(110, 12, 10), (0, 14, 14), (-40, 4, 26)], 7.5)), "gut wall")
    # kidneys and spleen
    for sign, z in ((-1, -185.0 + rng.uniform(-8, 8)), (1, -168.0 + rng.uniform(-8, 8))):
        layers += _kidney(grid, sign, float(z), inside, keep_off, tissue)
    turn = np.array([[0.94, -0.34, 0], [0.34, 0.94, 0], [0, 0, 1.0]])
    size = float(rng.uniform(0.85, 1.1)) * habit.spleen
    spleen = smooth_max(grid.ellipsoid((-80, 42, 108), (56 * size, 48 * size, 30 * size), turn), inside + 1.5, 6)
    spleen = smooth_max(spleen, -grid.ellipsoid((-85, 10, 72), (60, 38, 30)), 6)
    put("spleen", smooth_max(spleen, keep_off, 4), "spleen")
    stomach_layers, stomach, lumen = _stomach(grid, fit, spleen, rng, tissue)
    layers += stomach_layers
    layers += _gut(grid, fit, np.minimum(stomach, spleen), rng, tissue, habit.loops(habit_seed))
    pancreas = grid.rods(
        [
            rod((-150, -12, -26), (-142, -14, -4), 13),
            rod((-142, -14, -4), (-128, -4, 26), 10),
            rod((-128, -4, 26), (-112, 22, 74), 9),
        ]
    )
    put("pancreas", fit(pancreas), "pancreas")
    cava = chain([(8, 18, -12), (-24, 32, -18), (-110, 38, -20), (-340, 42, -22)], 10.5)
    put("cava", grid.rods(cava), "cava")
    veins = [*chain([(-136, 14, 10), (-126, 12, 40), (-112, 28, 82)], 4.5), *chain([(-136, 14, 10), (-260, 0, 6)], 5.5)]
    put("mesenteric vein", grid.rods(veins), "portal vein")
    arteries = [
        *chain([(-112, 26, 9), (-110, 10, 8), (-112, 4, -14)], 2.6),
        *chain([(-110, 10, 8), (-106, 14, 50), (-98, 30, 84)], 2.4),
        *chain([(-128, 24, 8), (-170, 6, 10), (-260, 6, 14)], 3.4),
        *chain([(-150, 30, 8), (-172, 44, 44)], 2.6),
        *chain([(-152, 30, 6), (-186, 46, -40)], 2.6),
    ]
    layers.append(Layer("artery", _thin(grid, arteries), tissue["aorta"]))
    layers.append(Layer("mesentery", _thin(grid, _mesentery(rng)), tissue["cava"]))
    for sign in (-1, 1):
        psoas = grid.rods([rod((-150, 62, 26 * sign), (-340, 44, 44 * sign), 8, 24)])
        put("psoas", psoas, "muscle")
    return layers, lumen


def _thin(grid: Grid, rods: list[Rod]) -> Field:
    """Return the distance to vessels too thin for the coarse grid."""
    return rods_field([(to_patient(grid, a), to_patient(grid, b), ra, rb) for a, b, ra, rb in rods], 2.0)


def _mesentery(rng: np.random.Generator) -> list[Rod]:
    rods: list[Rod] = []
    for _ in range(70):
        end = np.array([rng.uniform(-320, -140), rng.uniform(-72, 10), rng.uniform(-85, 95)])
        start = np.array([end[0] * 0.6 - 60, 0.0, 8.0]) + rng.normal(0, 8, 3)
        middle = start + (end - start) * 0.55 + rng.normal(0, 7, 3)
        rods += [(middle, end, 1.5, 1.1), (start + (middle - start) * 0.4, middle, 1.9, 1.5)]
    return rods


def _lung_vessels(grid: Grid, cavity: Array, abdomen: Array, heart: Array, rng: np.random.Generator) -> Array:
    rods = []
    for _ in range(46):
        side = rng.choice([-1, 1])
        start = np.array([rng.uniform(10, 70), rng.uniform(-10, 40), side * rng.uniform(20, 40)])
        way = np.array([rng.uniform(-0.9, 0.2), rng.normal(0, 0.5), side * rng.uniform(0.3, 1)])
        end = start + way / np.linalg.norm(way) * rng.uniform(30, 95)
        rods.append((start, end, 3.0, 1.2))
    out: Array = np.maximum(np.maximum(grid.rods(rods), cavity + 6), -abdomen + 4)
    return np.maximum(out, -heart + 4)


def _kidney(grid: Grid, sign: int, z: float, inside: Array, keep_off: Array, tissue: dict[str, Tissue]) -> list[Layer]:
    tilt = np.deg2rad(14 * sign)
    turn = np.array([[np.cos(tilt), 0, np.sin(tilt)], [0, 1, 0], [-np.sin(tilt), 0, np.cos(tilt)]])
    x = 60.0 * sign
    whole = grid.ellipsoid((z, 48, x), (54, 26, 28), turn)
    whole = smooth_max(whole, -grid.ellipsoid((z, 34, x - 26 * sign), (16, 15, 16)), 5)
    whole = np.maximum(np.maximum(whole, inside + 2), keep_off + 4)
    medulla = smooth_max(whole + 8, -grid.ellipsoid((z, 38, x - 14 * sign), (26, 13, 15)), 4)
    sinus = np.maximum(whole + 7, grid.ellipsoid((z, 40, x - 14 * sign), (27, 11, 13)))
    out = layer("kidney", grid, whole, tissue["kidney cortex"])
    out += layer("kidney medulla", grid, medulla, tissue["kidney medulla"])
    return out + layer("renal sinus", grid, sinus, tissue["visceral fat"])


def _stomach(
    grid: Grid, fit: object, spleen: Array, rng: np.random.Generator, tissue: dict[str, Tissue]
) -> tuple[list[Layer], Array, Field]:
    assert callable(fit)
    wide = float(rng.uniform(0.8, 1.12))
    path = [
        rod((-36, 30, 58), (-60, 14, 64), 30 * wide, 31 * wide),
        rod((-60, 14, 64), (-106, -30, 58), 31 * wide, 25 * wide),
        rod((-106, -30, 58), (-140, -52, 22), 25 * wide, 19 * wide),
        rod((-140, -52, 22), (-134, -36, -22), 19 * wide, 11),
    ]
    stomach: Array = fit(grid.rods(path, reach_mm=30))
    stomach = smooth_max(stomach, -spleen + 3, 3)
    lumen = stomach + 5
    field = grid.field(lumen)
    assert field is not None
    level = float(rng.uniform(-42, -12))
    gas = np.maximum(lumen, grid.y - np.float32(level))
    out = layer("stomach", grid, stomach, tissue["gut wall"])
    out += layer("stomach content", grid, lumen, tissue["stomach content"])
    out += layer("stomach gas", grid, gas, tissue["gas"])
    return out, stomach, field


def _gut(
    grid: Grid,
    fit: object,
    avoid: Array,
    rng: np.random.Generator,
    tissue: dict[str, Tissue],
    moved: list[list[tuple[float, float, float]]],
) -> list[Layer]:
    assert callable(fit)

    def wander(points: list[tuple[float, float, float]], radius: float, pieces: int, shake: float) -> list[Rod]:
        line = np.array(points, float)
        t = np.linspace(0, len(line) - 1, pieces)
        spots = np.stack([np.interp(t, np.arange(len(line)), line[:, k]) for k in range(3)], axis=1)
        spots += rng.normal(0, shake, spots.shape)
        sizes = radius * rng.uniform(0.75, 1.15, pieces)
        return [(spots[k], spots[k + 1], float(sizes[k]), float(sizes[k + 1])) for k in range(pieces - 1)]

    colon = wander(
        [(-340, 20, -105), (-230, 12, -108), (-196, -20, -98), (-200, -68, -40), (-196, -72, 30), (-150, -40, 88),
         (-118, 10, 108), (-180, 38, 116), (-340, 36, 112)],
        20, 64, 3,
    )  # fmt: skip
    loops: list[Rod] = []
    for _ in range(17):
        spots = [
            (float(rng.uniform(-330, -150)), float(rng.uniform(-72, 16)), float(rng.uniform(-70, 100)))
            for _ in range(4)
        ]
        loops += wander(spots, 11.5, 12, 5)
    for line in moved:
        loops += wander(line, 13.0, 12, 5)
    duodenum = wander([(-134, -36, -24), (-140, -12, -46), (-184, 4, -46), (-196, 16, -10), (-180, 10, 26)], 12, 14, 1)
    out: list[Layer] = []
    used = avoid
    mix = np.sin(grid.x / 17 + rng.uniform(0, 6)) + np.sin(grid.z / 13 + rng.uniform(0, 6)) - grid.y / 40
    for name, rods, wall, content, gas_over in (
        ("colon", colon, 3.0, "stool", 0.6),
        ("duodenum", duodenum, 3.0, "gut fluid", 2.6),
        ("small bowel", loops, 3.0, "gut fluid", 2.2),
    ):
        tube = smooth_max(fit(grid.rods(rods), 1.0), -used + 2, 3)
        used = smooth_min(used, tube, 1)
        lumen = tube + wall
        out += layer(name, grid, tube, tissue["gut wall"])
        out += layer(name + " content", grid, lumen, tissue[content])
        gas = np.maximum(lumen + 1, (np.float32(gas_over) - mix) * 14)
        out += layer(name + " gas", grid, gas.astype(np.float32), tissue["gas"])
    return out
