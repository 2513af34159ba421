"""How a body departs from the usual: what disease, surgery, age and birth make of the liver and what lies about it.

Everything acts on the signed distances of the standard body, so that the true liver stays the one that is painted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hepacalc.phantom.fields import Field, Grid, smooth_max, smooth_min
from hepacalc.phantom.organs import Layer, chain, layer
from hepacalc.phantom.shapes import Rod
from hepacalc.phantom.tissue import Tissue
from hepacalc.phantom.vessels import LiverTrees, rods_field

if TYPE_CHECKING:
    from hepacalc.phantom.anatomy import Build

__all__ = ["USUAL", "Habit", "LiverShape", "Space"]

Array = NDArray[np.float32]
LiverShape = Literal["usual", "cirrhotic", "right hepatectomy", "left hepatectomy", "Riedel lobe"]
FLUID = Tissue(9.0, 3.0)
TUMOUR_HU = {"rim": -12.0, "solid": -34.0, "core": -78.0}
"""CT number of a tumour relative to its liver; never below that of fluid."""


@dataclass(frozen=True, eq=False, slots=True)
class Space:
    """Where there is room for a liver: distances on the coarse grid.

    Args:
        grid: standard-body coordinates.
        cavity: distance to the inside of the wall.
        abdomen: distance to what lies under the diaphragm.
        gall: distance to the gallbladder, if any.
    """

    grid: Grid
    cavity: Array
    abdomen: Array
    gall: Array | None

    def fit(self, liver: Array) -> Array:
        """Return a liver that leaves room for wall, diaphragm, cava, spine and gallbladder."""
        liver = smooth_max(smooth_max(liver, self.abdomen + 2, 8), self.cavity + 2, 8)
        x, y = self.grid.x, self.grid.y
        for cut, blend in ((np.hypot(x + 20, y - 36) - 12, 4), (np.hypot(x, y - 66) - 34, 8)):
            liver = smooth_max(liver, -cut, blend)
        return liver if self.gall is None else smooth_max(liver, 2.5 - self.gall, 5)


@dataclass(frozen=True, slots=True)
class Habit:
    """What is unusual about a body; the defaults change nothing.

    Args:
        liver: shape of the liver.
        size: size of the body relative to an adult.
        fat_mm: thickness of the fat under the skin; None draws it.
        spleen: size of the spleen relative to the one drawn.
        ascites_mm: width of the fluid along the wall.
        tumour_mm: diameter of a tumour in the right lobe.
        arms: whether the arms lie beside the body.
    """

    liver: LiverShape = "usual"
    size: float = 1.0
    fat_mm: float | None = None
    spleen: float = 1.0
    ascites_mm: float = 0.0
    tumour_mm: float = 0.0
    arms: bool = False

    def build(self, build: Build) -> Build:
        """Return the measures of the body, as this habit wants them."""
        if self.size != 1.0:
            z, y, x = (s * self.size for s in build.scale_zyx)
            build = replace(build, scale_zyx=(z, y, x), wall_mm=build.wall_mm * (0.5 + 0.5 * self.size))
        return build if self.fat_mm is None else replace(build, fat_mm=self.fat_mm)

    def liver_in(self, liver: Array, space: Space, seed: int) -> Array:
        """Return the distance to the liver, changed from the usual one."""
        rng = np.random.default_rng(seed)
        if self.liver == "cirrhotic":
            liver = _cirrhotic(liver, space, rng)
        elif self.liver == "Riedel lobe":
            tongue = space.grid.ellipsoid(
                (-210 + float(rng.uniform(-8, 8)), float(rng.uniform(-12, 4)), -100), (88, 44, 27)
            )
            liver = space.fit(smooth_min(liver, tongue, 18))
        elif self.liver == "right hepatectomy":
            # what is left grows: rounder, and some way into the empty right upper abdomen
            grown = space.grid.ellipsoid((-78, -22, 2), (60, 58, 78))
            liver = space.fit(smooth_min(smooth_max(liver, -self.cut(space.grid), 8), grown, 14))
        elif self.liver == "left hepatectomy":
            liver = smooth_max(liver, -self.cut(space.grid), 8)
        if self.tumour_mm:
            liver = space.fit(smooth_min(liver, self._tumour(space.grid, seed), 8))
        if self.ascites_mm:
            away = 0.75 * self.ascites_mm * _along_the_wall(space.grid)
            liver = smooth_max(liver, smooth_max(space.abdomen, space.cavity, 6) + 2 + away, 8)
        return liver

    def cut(self, grid: Grid) -> Array:
        """Return how far a point lies on the side that surgery left, from the plane of gallbladder and cava."""
        side = ((grid.x + 20) * 98 - (grid.y - 36) * 35) / 104
        out: Array = (side if self.liver == "right hepatectomy" else -side).astype(np.float32)
        return out

    def trees(self, trees: LiverTrees, liver: Field) -> LiverTrees:
        """Return the veins without those that lost their liver."""
        if "hepatectomy" not in self.liver:
            return trees
        portal, hepatic = (
            [r for r in rods if float(liver.at(np.array([(r[0] + r[1]) / 2]))[0]) < 9.0]
            for rods in (trees.portal_rods, trees.hepatic_rods)
        )
        return LiverTrees(rods_field(portal, 1.6), rods_field(hepatic, 1.6), tuple(portal), tuple(hepatic))

    def loops(self, seed: int) -> list[list[tuple[float, float, float]]]:
        """Return lines of bowel that moved to where liver was, in the standard body."""
        rng = np.random.default_rng([seed, 1])
        if self.liver not in ("right hepatectomy", "cirrhotic"):
            return []
        low, high, count = (-175, -70, 7) if self.liver == "right hepatectomy" else (-190, -140, 3)
        return [
            [(float(rng.uniform(low, high)), float(rng.uniform(-65, 30)), float(rng.uniform(-110, -45))) for _ in "123"]
            for _ in range(count)
        ]

    def under(self, grid: Grid, inside: Array) -> list[Layer]:
        """Return what lies under the organs of the abdomen: free fluid along the wall and between the loops."""
        if not self.ascites_mm:
            return []
        wide = self.ascites_mm * _along_the_wall(grid) + 0.8 * self.ascites_mm * np.clip((-grid.z - 150) / 60, 0, 1)
        return layer("ascites", grid, np.maximum(inside, -inside - wide).astype(np.float32), FLUID)

    def over(self, grid: Grid, liver: Array, parenchyma: Tissue, seed: int) -> list[Layer]:
        """Return what lies over the liver and its veins: a tumour with a rim and a core that died."""
        if not self.tumour_mm:
            return []
        whole = smooth_max(self._tumour(grid, seed), liver + 1, 3)
        core = whole + np.float32(0.24 * self.tumour_mm) + 4 * np.sin(grid.z / 9) * np.sin(grid.x / 8)
        out = []
        for name, distance in (("rim", whole), ("solid", whole + 3), ("core", core)):
            hu = max(parenchyma.hu + TUMOUR_HU[name], min(parenchyma.hu - 8, 14.0))
            out += layer(f"tumour {name}", grid, distance.astype(np.float32), Tissue(hu, 6.0))
        return out

    def _tumour(self, grid: Grid, seed: int) -> Array:
        """Return the distance to some lumps that grew together."""
        rng = np.random.default_rng([seed, 2])
        half = self.tumour_mm / 2
        middle = np.array([-88, 4, -82]) + rng.uniform(-12, 12, 3)
        out = grid.ellipsoid((middle[0], middle[1], middle[2]), (0.88 * half, 0.92 * half, 0.9 * half))
        for _ in range(4):
            way = rng.normal(size=3)
            z, y, x = middle + 0.5 * half * way / np.linalg.norm(way)
            out = smooth_min(out, grid.ellipsoid((z, y, x), (0.5 * half, 0.52 * half, 0.5 * half)), 8)
        return out


USUAL = Habit()


def arm_layers(grid: Grid, body: Field, scale: float, tissue: dict[str, Tissue]) -> list[Layer]:
    """Return both arms beside the body: skin, fat, muscle, bone."""
    inside = np.argwhere(body.values < 0)
    half = float(np.abs(body.origin_mm[2] + body.step_mm * inside[:, 2]).max())
    reach = half + 46 * scale
    out: list[Layer] = []
    parts = (("skin", 46), ("fat", 44), ("muscle", 35), ("cortical bone", 12), ("marrow", 8))
    for name, radius in parts:
        rods: list[Rod] = []
        for sign in (-1, 1):
            line = [(140.0, 24.0, sign * (reach - 4)), (-110.0, 30.0, sign * reach), (-400.0, 4.0, sign * (reach - 2))]
            rods += chain(line, radius * scale)
        out.append(Layer(f"arm {name}", rods_field(rods, 2.5), tissue[name]))
    return out


def _along_the_wall(grid: Grid) -> Array:
    """Return how much fluid gathers: most at the flanks, little in front and at the back."""
    out: Array = (0.3 + 0.7 * np.clip(np.abs(grid.x) / 95, 0, 1) ** 2).astype(np.float32)
    return out


def _cirrhotic(liver: Array, space: Space, rng: np.random.Generator) -> Array:
    """Return a liver with a small right lobe, a large left lobe and caudate, and a nodular edge."""
    grid = space.grid
    lost = float(rng.uniform(11, 17)) / (1 + np.exp((grid.x + 42) / 12))
    left = grid.ellipsoid((-72, -36, 24), (50, 48, float(rng.uniform(72, 88))))
    left = smooth_max(left, (grid.y - 0.3 * grid.x - 8) / np.float32(1.04), 10)
    caudate = grid.ellipsoid((-84, 14, -12), (34, 20, 22))
    shaped = smooth_min(smooth_min(liver + lost.astype(np.float32), left, 12), caudate, 6)
    shaped = space.fit(shaped)
    noise = ndimage.gaussian_filter(rng.standard_normal(grid.z.shape, np.float32), 5.0 / grid.step_mm)
    return np.asarray(shaped + np.float32(rng.uniform(1.8, 2.6)) * noise / noise.std() + 1, np.float32)
