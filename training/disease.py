"""What illness does to a liver on CT, drawn into a sample: lesions, calcium, fluid, a lobe taken out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from training.cases import LABELS
from training.geometry import CROP_MM

__all__ = ["Scene", "add_calcium", "add_effusion", "add_fluid_rim", "add_large_tumour", "add_lesions", "take_lobe_out"]

F32 = NDArray[np.float32]
_ID = {name: k for k, name in enumerate(LABELS)}
LIVER = _ID["liver"]


@dataclass(slots=True)
class Scene:
    """A sample while it is made; the functions here change it in place.

    Args:
        hu: float32 ``(x, y, z)`` at 4 mm.
        labels: uint8.
        liver: float32, share of liver 0-1.
    """

    hu: F32
    labels: NDArray[np.uint8]
    liver: F32

    def somewhere(self, rng: np.random.Generator) -> NDArray[np.int64] | None:
        """Return a random voxel of liver, None without any."""
        found = np.flatnonzero(self.liver.ravel() > 0.6)
        if len(found) == 0:
            return None
        return np.array(np.unravel_index(found[rng.integers(len(found))], self.liver.shape))


def _ellipsoid(
    rng: np.random.Generator, shape: tuple[int, ...], centre: NDArray[np.int64], radius_mm: float, uneven: float = 0.25
) -> tuple[tuple[slice, ...], F32]:
    """Return a box and the signed distance in mm (about; negative inside) to a turned ellipsoid there."""
    radii = radius_mm * np.exp(rng.normal(0, uneven, 3))
    reach = int(np.ceil(radii.max() / CROP_MM)) + 2
    box = tuple(slice(max(int(c) - reach, 0), min(int(c) + reach + 1, n)) for c, n in zip(centre, shape, strict=True))
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    jitter = rng.uniform(-0.5, 0.5, 3)
    lines = [(np.arange(s.start, s.stop) - c - j) * CROP_MM for s, c, j in zip(box, centre, jitter, strict=True)]
    away = np.stack(np.meshgrid(*lines, indexing="ij"))
    local = np.einsum("ij,jxyz->ixyz", turn, away) / radii[:, None, None, None]
    return box, ((np.sqrt((local**2).sum(0)) - 1) * float(radii.min())).astype(np.float32)


def _cover(distance: F32) -> F32:
    """Return how much of each voxel lies inside a signed distance."""
    return np.asarray(np.clip(0.5 - distance / np.float32(CROP_MM), 0, 1), np.float32)


def add_lesions(rng: np.random.Generator, scene: Scene) -> None:
    """Put 1-5 cysts, masses and bright nodules of 5-38 mm into the liver; they stay liver."""
    for _ in range(int(rng.integers(1, 6))):
        centre = scene.somewhere(rng)
        if centre is None:
            return
        delta = rng.uniform(20, 120) if rng.random() < 0.15 else rng.normal(-35, 30)
        box, distance = _ellipsoid(rng, scene.hu.shape, centre, float(rng.uniform(2.5, 19)))
        scene.hu[box] += _cover(distance) * np.float32(delta) * scene.liver[box]
        if rng.random() < 0.3:
            x, y, z = centre
            scene.hu[x, y, z] += np.float32(rng.uniform(100, 900))


def add_large_tumour(rng: np.random.Generator, scene: Scene) -> None:
    """Put one mass of 40-130 mm into the liver, with a core and a rim; it may bulge by up to 8 mm and stays liver."""
    centre = scene.somewhere(rng)
    if centre is None:
        return
    box, distance = _ellipsoid(rng, scene.hu.shape, centre, float(rng.uniform(20, 65)), 0.15)
    near = ndimage.binary_dilation(scene.liver[box] > 0.5, iterations=2)
    allowed = near & ~np.isin(scene.labels[box], [_ID["bone"], _ID["lung"], _ID["outside"]])
    cover = _cover(distance) * allowed
    base = float(np.median(scene.hu[scene.liver > 0.6]))
    hu = scene.hu[box]
    mass = np.full(hu.shape, max(base + rng.uniform(-60, 60), rng.uniform(-10, 25)), np.float32)
    if rng.random() < 0.5:
        core = _cover(distance + np.float32(rng.uniform(6, 25)))
        mass += core * (np.float32(rng.uniform(0, 40)) - mass)
    if rng.random() < 0.4:
        rim = np.clip(1 - np.abs(distance) / 4, 0, 1)
        mass += rim * np.float32(rng.uniform(20, 80))
    mass += 0.7 * (hu - ndimage.uniform_filter(hu, 3))
    hu += cover * (mass - hu)
    _claim(scene, box, cover)


def _claim(scene: Scene, box: tuple[slice, ...], cover: F32) -> None:
    """Call what is covered liver."""
    scene.liver[box] = np.maximum(scene.liver[box], cover)
    labels = scene.labels[box]
    labels[(cover > 0.5) & (labels != LIVER)] = LIVER


def add_calcium(rng: np.random.Generator, scene: Scene) -> None:
    """Put 1-4 dense foci of 3-50 mm into the liver: solid, as a rim about a cyst or mass, or a plaque of the capsule.

    They are liver, also where a plaque lies up to 3 mm outside of the outline.
    """
    outside = None
    for _ in range(int(rng.integers(1, 5))):
        centre = scene.somewhere(rng)
        if centre is None:
            return
        kind = rng.choice(3, p=(0.45, 0.3, 0.25))
        delta = float(np.exp(rng.uniform(np.log(120), np.log(1500))))
        if kind == 2:
            if outside is None:
                inner = scene.liver > 0.5
                outside = (ndimage.distance_transform_edt(~inner) - ndimage.distance_transform_edt(inner)).astype(
                    np.float32
                ) * np.float32(CROP_MM)
            surface = np.argwhere(np.abs(outside) <= CROP_MM)
            if len(surface) == 0:
                continue
            centre = surface[rng.integers(len(surface))]
            box, ball = _ellipsoid(rng, scene.hu.shape, centre, float(rng.uniform(5, 25)), 0.3)
            sheet = np.abs(outside[box] + np.float32(1.5)) - np.float32(rng.uniform(1, 4))
            distance = np.maximum(ball, sheet)
            share = _cover(distance) * (outside[box] < 4)
        else:
            radius = float(np.exp(rng.uniform(np.log(1.5), np.log(25 if kind == 0 else 30))))
            radius = max(radius, 4.0) if kind == 1 else radius
            box, distance = _ellipsoid(rng, scene.hu.shape, centre, radius, 0.2)
            share = _cover(distance) if radius > 3 else _cover(distance) * (radius / 3) ** 2
            near = ndimage.binary_dilation(scene.liver[box] > 0.5)
            if kind == 1:
                thick = float(rng.uniform(1, 5))
                if rng.random() < 0.7:
                    hu = scene.hu[box]
                    hu += _cover(distance) * (near & (scene.liver[box] > 0.1)) * (np.float32(rng.uniform(-5, 70)) - hu)
                share = (
                    share * _cover(-(distance + np.float32(thick)))
                    if thick > 3
                    else np.clip(1 - np.abs(distance + 2) / 4, 0, 1) * np.float32(thick / CROP_MM)
                )
                _claim(scene, box, _cover(distance) * near)
            share = share * near
        scene.hu[box] += share * np.float32(delta)
        # a voxel that calcium fills to three tenths is liver; less of it, so much less
        _claim(scene, box, np.minimum(share / np.float32(0.3), 1).astype(np.float32))


def add_fluid_rim(rng: np.random.Generator, scene: Scene) -> None:
    """Lay ascites of 0-20 HU, 4-18 mm wide, about the liver; fluid is not liver."""
    inner = scene.liver > 0.5
    if not inner.any():
        return
    width = np.float32(rng.uniform(4, 18))
    outside = ndimage.distance_transform_edt(~inner).astype(np.float32) * np.float32(CROP_MM)
    soft = [_ID["fat"], _ID["bowel"], _ID["other"]] + ([_ID["lung"]] if rng.random() < 0.5 else [])
    there = np.isin(scene.labels, soft) & (outside > 0)
    if rng.random() < 0.5:
        # only on one side
        axis = int(rng.integers(3))
        line = np.arange(there.shape[axis]) - np.argwhere(inner)[:, axis].mean()
        side = (line * rng.choice([-1, 1]) > -5).reshape([-1 if a == axis else 1 for a in range(3)])
        there &= side
    weight = np.clip((width - outside) / np.float32(CROP_MM) + 0.5, 0, 1) * there * (1 - scene.liver)
    fluid = np.float32(rng.uniform(0, 20)) + np.float32(0.2) * (scene.hu - ndimage.uniform_filter(scene.hu, 3))
    scene.hu += weight * (fluid - scene.hu)
    scene.labels[(weight > 0.5) & (scene.labels != LIVER)] = _ID["other"]


def add_effusion(rng: np.random.Generator, scene: Scene) -> None:
    """Fill the back of the lungs with fluid or collapsed lung."""
    lung = scene.labels == _ID["lung"]
    if not lung.any():
        return
    level = float(np.quantile(np.nonzero(lung)[1], rng.uniform(0.1, 0.6)))
    y = np.arange(lung.shape[1], dtype=np.float32)[None, :, None]
    weight = np.clip(np.float32(level) - y + 0.5, 0, 1) * lung
    value = np.float32(rng.uniform(0, 30) if rng.random() < 0.6 else rng.uniform(20, 90))
    noise = rng.normal(0, 5, scene.hu.shape).astype(np.float32)
    scene.hu += weight * (value + noise - scene.hu)
    scene.labels[weight > 0.5] = _ID["other"]


def take_lobe_out(rng: np.random.Generator, scene: Scene) -> None:
    """Replace one side of the liver by fat, fluid or soft tissue, as after a hepatectomy."""
    where = np.argwhere(scene.liver > 0.5)
    if len(where) == 0:
        return
    normal = np.array([1.0, rng.normal(0, 0.35), rng.normal(0, 0.35)])
    normal *= 1 if rng.random() < 0.65 else -1
    along = where @ normal
    cut = float(np.quantile(along, rng.uniform(0.35, 0.7)))
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in scene.hu.shape], indexing="ij"))
    wave = ndimage.gaussian_filter(rng.normal(0, 1, scene.hu.shape), 5).astype(np.float32)
    wave *= 1.5 / max(float(wave.std()), 1e-6)
    gone = np.clip(np.tensordot(normal, grid, 1) - cut + wave + 0.5, 0, 1).astype(np.float32)
    kind = rng.choice(3, p=(0.5, 0.2, 0.3))
    value = (rng.uniform(-120, -75), rng.uniform(0, 25), rng.uniform(10, 70))[kind]
    texture = np.float32(0.5) * (scene.hu - ndimage.uniform_filter(scene.hu, 3))
    weight = gone * scene.liver
    scene.hu += weight * (np.float32(value) + texture - scene.hu)
    scene.liver *= 1 - gone
    scene.labels[(scene.labels == LIVER) & (gone > 0.5)] = _ID["fat"] if kind == 0 else _ID["other"]
