"""A plausible adult body, drawn by seed: a list of layers from skin to liver vessels, each a signed distance.

Organs are drawn in one standard body (LPS millimetres, the origin in the midline at the height of the right dome of
the diaphragm; ``(z, y, x)`` order). Scale and a smooth random warp make a patient of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hepacalc.phantom import organs, skeleton
from hepacalc.phantom.fields import Field, Grid, cubic_taps, smooth_max, smooth_min
from hepacalc.phantom.habit import USUAL, Habit, Space, arm_layers
from hepacalc.phantom.organs import Layer
from hepacalc.phantom.segments import LiverPlan, SegmentTruth
from hepacalc.phantom.tissue import Tissue
from hepacalc.phantom.vessels import LiverTrees, grow_trees

__all__ = ["Anatomy", "Build", "build_anatomy"]

Array = NDArray[np.float32]
BOTTOM_MM, TOP_MM = -330.0, 90.0


@dataclass(frozen=True, slots=True)
class Build:
    """What makes one patient's body differ from the standard one.

    Args:
        scale_zyx: size relative to the standard body.
        fat_mm: thickness of the fat under the skin at the flank.
        wall_mm: thickness of the muscular wall.
        liver_stretch: size of the liver relative to its place.
    """

    scale_zyx: tuple[float, float, float]
    fat_mm: float
    wall_mm: float
    liver_stretch: float


@dataclass(frozen=True, eq=False, slots=True)
class Anatomy:
    """One patient's body.

    Args:
        layers: in the order in which they are painted, later over earlier.
        body: distance to the skin.
        liver: distance to the liver's outline (large vessels count as inside, gallbladder does not).
        gallbladder: distance to the lumen; None after cholecystectomy.
        stomach: distance to the lumen.
        trees: portal and hepatic veins in the liver, in patient coordinates.
        textures: fine and coarse random texture, unit variance.
        grid: coarse grid with the standard-body coordinates.
        costal_calcium_mm: LPS centroids of calcified costal cartilage, with their largest extent.
        segments: Couinaud segments; None unless the liver was drawn by a plan.
    """

    layers: tuple[Layer, ...]
    body: Field
    liver: Field
    gallbladder: Field | None
    stomach: Field
    trees: LiverTrees
    textures: tuple[Field, Field]
    grid: Grid
    costal_calcium_mm: tuple[tuple[tuple[float, float, float], float], ...]
    segments: SegmentTruth | None = None


def build_anatomy(
    rng: np.random.Generator,
    tissue: dict[str, Tissue],
    *,
    gallbladder: bool = True,
    calcified_cartilage: bool = False,
    table: bool = True,
    habit: Habit = USUAL,
    habit_seed: int = 0,
    plan: LiverPlan | None = None,
) -> Anatomy:
    """Return a body drawn by ``rng``.

    Args:
        rng: the only source of randomness.
        tissue: CT numbers, see :func:`hepacalc.phantom.tissue.tissues`.
        gallbladder: whether there is one.
        calcified_cartilage: whether costal cartilage at the edge of the liver holds calcium.
        table: whether the patient lies on one.
        habit: what is unusual about this body.
        habit_seed: draws what varies within the habit.
        plan: how the liver is divided, turned and stretched; its veins then follow the planes of the plan.
    """
    build = Build(
        (float(rng.uniform(0.88, 1.0)), float(rng.uniform(0.87, 1.02)), float(rng.uniform(0.87, 1.02))),
        float(rng.uniform(8, 22)),
        float(rng.uniform(11, 15)),
        float(rng.uniform(0.94, 1.06)),
    )
    build = habit.build(build)
    grid = _grid(rng, build, step=4.0)
    textures = _textures(rng, grid)
    body, muscle, cavity = _wall(grid, build, rng)
    abdomen = _abdomen(grid)
    own = grid if plan is None else plan.liver_grid(grid)
    gall = organs.gallbladder(own if plan is None else plan.gall_grid(own), rng) if gallbladder else None
    liver = _liver(own, grid, cavity, abdomen, gall, build, rng, plan)
    liver = habit.liver_in(liver, Space(grid, cavity, abdomen, gall), habit_seed)
    liver_field = grid.field(liver, margin_mm=30)
    body_field = grid.field(body, margin_mm=20)
    assert liver_field is not None
    assert body_field is not None
    lungs = np.maximum(cavity, -abdomen)
    layers = [Layer("skin", body_field, tissue["skin"])]
    layers += organs.table(grid, body, build, tissue) if table else []
    seams = np.abs(muscle + 0.45 * build.wall_mm + 1.5 * np.sin(grid.z / 11)) - 1.4
    back = np.hypot(grid.x, grid.y - 106) - 49
    clefts = np.maximum(np.abs(back - 3) - 1.2, muscle + 3)
    for name, distance, what in (
        ("fat", body + 2, "fat"),
        ("muscle", muscle, "muscle"),
        ("muscle seams", np.maximum(np.minimum(seams, clefts), cavity * -1).astype(np.float32), "seam"),
        ("visceral fat", cavity, "visceral fat"),
        ("lung", lungs, "lung"),
        ("diaphragm", np.maximum(cavity, np.abs(abdomen + 0.8) - 1.3), "diaphragm"),
    ):
        layers += organs.layer(name, grid, distance, tissue[what])
    bones, calcium = skeleton.build(grid, body, cavity, build, rng, tissue, calcified_cartilage=calcified_cartilage)
    inside = smooth_max(abdomen + 2, cavity + 1, 6)
    layers += habit.under(grid, inside)
    viscera, stomach = organs.viscera(grid, inside, cavity, abdomen, liver, gall, rng, tissue, habit, habit_seed)
    segments = None if plan is None else SegmentTruth.of(plan, own, liver_field)
    trees = habit.trees(grow_trees(liver_field, own, rng, segments), liver_field)
    layers += viscera + bones
    layers.append(Layer("liver", liver_field, tissue["liver"]))
    layers += [Layer(n, f, tissue[n]) for n, f in (("portal vein", trees.portal), ("hepatic vein", trees.hepatic))]
    layers += habit.over(grid, liver, tissue["liver"], habit_seed)
    layers += arm_layers(grid, body_field, habit.size, tissue) if habit.arms else []
    gall_field = None
    if gall is not None:
        gall_field = grid.field(gall)
        layers += organs.layer("gallbladder wall", grid, gall - 2, tissue["gut wall"])
        layers += organs.layer("bile", grid, gall, tissue["bile"])
    return Anatomy(
        tuple(layers), body_field, liver_field, gall_field, stomach, trees, textures, grid, tuple(calcium), segments
    )


def _grid(rng: np.random.Generator, build: Build, step: float) -> Grid:
    lines = [np.arange(lo, hi + step, step) for lo, hi in ((BOTTOM_MM, TOP_MM), (-156.0, 188.0), (-212.0, 212.0))]
    shape = (lines[0].size, lines[1].size, lines[2].size)
    out = []
    for axis in range(3):
        wave = np.zeros(shape, np.float32)
        for cells, size in ((4, 5.0), (8, 1.6)):
            coarse = rng.normal(0, size, (cells, cells, cells)).astype(np.float32)
            wave += _enlarged(coarse, shape)
        line = lines[axis].reshape([-1 if a == axis else 1 for a in range(3)])
        out.append(((line + wave) / build.scale_zyx[axis]).astype(np.float32))
    origin = (float(lines[0][0]), float(lines[1][0]), float(lines[2][0]))
    return Grid(out[0], out[1], out[2], origin, step)


def _enlarged(coarse: Array, shape: tuple[int, ...]) -> Array:
    """Return ``coarse`` stretched over ``shape`` by cubic interpolation."""
    for axis, n in enumerate(shape):
        count = coarse.shape[axis]
        index, weights = cubic_taps(np.linspace(0, count - 1.0, n), 0.0, 1.0, count)
        tall = [-1 if a == axis else 1 for a in range(3)]
        coarse = np.sum(
            [np.take(coarse, i, axis) * w.reshape(tall) for i, w in zip(index, weights, strict=True)], axis=0
        )
    return coarse


def _textures(rng: np.random.Generator, grid: Grid) -> tuple[Field, Field]:
    shape = grid.z.shape
    out = []
    for step, sigma in ((4.0, 0.8), (12.0, 0.9)):
        size = [int(n * grid.step_mm / step) + 2 for n in shape]
        noise = ndimage.gaussian_filter(rng.standard_normal(size, np.float32), sigma, mode="wrap")
        out.append(Field(noise / noise.std(), grid.origin_mm, step))
    return out[0], out[1]


def _outline(angle: Array, half_x: float, half_y: float, power: float) -> Array:
    c, s = np.abs(np.cos(angle)) / np.float32(half_x), np.abs(np.sin(angle)) / np.float32(half_y)
    return np.asarray((c**power + s**power) ** np.float32(-1 / power), np.float32)


def _wall(grid: Grid, build: Build, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Return distances to the skin, to the outside of the muscle wall and to the cavity."""
    radius = np.hypot(grid.x, grid.y)
    angle = np.arctan2(grid.y, grid.x)  # 0 left, pi/2 back
    front = np.clip(-np.sin(angle), 0, 1)
    back = np.clip(np.sin(angle), 0, 1)
    low = np.clip((-grid.z - 120) / 120, 0, 1)
    high = np.clip((grid.z + 60) / 120, 0, 1)
    waist = 1 - 0.05 * np.exp(-(((grid.z + 215) / 60) ** 2))
    cavity_at = _outline(angle, 143, 98, 2.35) * waist * (1 - 0.04 * front * low)
    wall = build.wall_mm * (1 + 0.5 * back + 0.35 * high * (1 - front) - 0.25 * front * low)
    fat = build.fat_mm * (0.75 + 0.9 * low * (front + 0.5 * (1 - front - back)) + 0.25 * back - 0.15 * high)
    fat *= 1 + 0.15 * np.cos(2 * angle + rng.uniform(0, 6)) + 0.1 * np.cos(3 * angle + rng.uniform(0, 6))
    groove = 7 * np.exp(-((grid.x / 14) ** 2)) * (back > 0.5)
    inner = radius - cavity_at
    # spine and back muscles bulge into the cavity
    bulge = smooth_min(np.hypot(grid.x, grid.y - 106) - 49, np.hypot(grid.x / 1.2, grid.y - 64) - 19, 6)
    cavity = smooth_max(inner, -bulge, 6)
    muscle = radius - (cavity_at + wall + 6 * back)
    body = radius - (cavity_at + wall + 6 * back + fat - groove)
    return body.astype(np.float32), muscle.astype(np.float32), cavity


def _abdomen(grid: Grid) -> Array:
    """Return the distance to what lies under the diaphragm."""
    right = grid.ellipsoid((-106, 8, -70), (106, 110, 92))
    left = grid.ellipsoid((-120, 12, 74), (104, 102, 84))
    centre = grid.ellipsoid((-128, -28, 0), (98, 88, 70))
    domes = smooth_min(smooth_min(right, left, 14), centre, 20)
    return smooth_min(domes, grid.z + np.float32(150), 12)


def _liver(
    grid: Grid,
    around: Grid,
    cavity: Array,
    abdomen: Array,
    gall: Array | None,
    build: Build,
    rng: np.random.Generator,
    plan: LiverPlan | None,
) -> Array:
    """Return the distance to the liver, drawn on ``grid``; what presses on it is drawn on ``around``."""
    k = build.liver_stretch
    z, y, x = grid.z, grid.y, grid.x
    tip = float(rng.uniform(-22, 14))
    right = grid.ellipsoid((-92 + tip / 2, 12, -76), (100 * k - tip / 2, 100, 78 * k))
    # the visceral surface runs from the left lobe down to the tip of the right one
    heights = np.array([-225 + tip, -190 + tip, -130, -104, -70, -30, 20])
    reach = np.array([-126, -102, -56, -20, 36, 80, 110]) * np.float32(k) + float(rng.uniform(-6, 6))
    edge = np.interp(z, heights, reach).astype(np.float32) - np.float32(0.35) * (y + 20)
    right = smooth_max(right, (x - edge) / np.float32(1.5), 16)
    right = smooth_max(right, (-z - np.float32(178 - tip) - 0.45 * (y - 20)) / np.float32(1.1), 14)
    left_tip = float(rng.uniform(52, 92)) * k
    left = grid.ellipsoid((-58, -40, left_tip - 80), (38 * k, 50, 82))
    left = smooth_max(left, (y - 0.35 * x - 4) / np.float32(1.06), 10)
    left = smooth_max(left, (-z - 92 + 0.28 * x) / np.float32(1.04), 10)
    liver = smooth_min(right, left, 14)
    notch = 4.0
    if plan is not None:
        notch = plan.fissure_x_mm
        liver = smooth_max(liver, -grid.ellipsoid((-78, 6, 6), (34, 3.5, 24)), 4)
        liver = smooth_min(liver, grid.ellipsoid((-82, 20, -6), plan.caudate), 5)
    liver = smooth_max(liver, abdomen + 2, 8)
    liver = smooth_max(liver, cavity + 2, 8)
    hilum = grid.ellipsoid((-110, 2, -22), (7, 12, 20))
    ligament = grid.ellipsoid((-104, -52, notch), (26, 24, 3.5))
    kidney = around.ellipsoid((-182, 50, -62), (62, 34, 36))
    cava = np.hypot(around.x + 20, around.y - 36) - 12
    spine = np.hypot(around.x, around.y - 66) - 34
    for cut, blend in ((hilum, 6), (ligament, 4), (kidney, 10), (cava, 4), (spine, 8)):
        liver = smooth_max(liver, -cut, blend)
    if gall is not None:
        liver = smooth_max(liver, 2.5 - gall, 5)
    return liver
