"""Where each voxel of a sample comes from: a random body shape laid over a real one.

Everything is in millimetres in network order ``(x, y, z)``, from the outer corner of the source.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.interpolate import make_interp_spline

from training.prepare import SOURCE_MM, Source

__all__ = ["CROP", "CROP_MM", "Anchors", "anchors_of", "draw_positions", "elastic", "take"]

F32 = NDArray[np.float32]
CROP = (96, 80, 48)
CROP_MM = 4.0


@dataclass(frozen=True, slots=True)
class Anchors:
    """Places in a source, in mm ``(x, y, z)``.

    Args:
        body: middle of the body's box.
        liver: centroid of the liver.
        right: middle of its right third.
        left: middle of its left third.
        height: of the source.
    """

    body: tuple[float, float, float]
    liver: tuple[float, float, float]
    right: tuple[float, float, float]
    left: tuple[float, float, float]
    height: float


def anchors_of(source: Source) -> Anchors:
    """Find the anchors of a source; one that holds no liver is taken about its middle."""

    def triple(values: NDArray[np.float64]) -> tuple[float, float, float]:
        x, y, z = (float(v) * SOURCE_MM for v in values)
        return x, y, z

    body = ndimage.binary_opening(source.hu > -300, iterations=1)
    box = ndimage.find_objects(body.astype(np.int8))
    shape = source.hu.shape
    middle = np.array([(s.start + s.stop) / 2 for s in box[0]] if box else [n / 2 for n in shape])
    where = np.argwhere(source.liver > 127) + 0.5
    if len(where) == 0:
        return Anchors(triple(middle), triple(middle), triple(middle), triple(middle), shape[2] * SOURCE_MM)
    low, high = np.quantile(where[:, 0], (0.3, 0.7))
    return Anchors(
        triple(middle),
        triple(where.mean(0)),
        triple(where[where[:, 0] >= high].mean(0)),
        triple(where[where[:, 0] <= low].mean(0)),
        shape[2] * SOURCE_MM,
    )


def elastic(rng: np.random.Generator, step_mm: float, sd_mm: float, shape: tuple[int, int, int] = CROP) -> F32:
    """Return a smooth random displacement ``(3, x, y, z)`` in mm: a lattice of normal numbers, cubic between them.

    Args:
        rng: randomness.
        step_mm: spacing of the lattice.
        sd_mm: standard deviation at its knots.
        shape: of the sample.
    """
    weights = []
    for n in shape:
        extent = n * CROP_MM
        knots = max(int(np.ceil(extent / step_mm)) + 3, 4)
        where = (np.arange(n) + 0.5) * CROP_MM / step_mm + rng.uniform(0.5, 1.5)
        weights.append(make_interp_spline(np.arange(knots), np.eye(knots), k=3)(where).astype(np.float32))
    wx, wy, wz = weights
    lattice = rng.normal(0, sd_mm, (3, wx.shape[1], wy.shape[1], wz.shape[1])).astype(np.float32)
    return np.asarray(np.einsum("cijk,xi,yj,zk->cxyz", lattice, wx, wy, wz, optimize=True), np.float32)


def _turn(rng: np.random.Generator, *, child: bool, flip: bool) -> NDArray[np.float64]:
    """Return the ``(3, 3)`` map from a step in the sample to a step in the source."""
    ax, ay, az = np.deg2rad(rng.normal(0, (5, 6, 7)))
    rx = np.array([[1, 0, 0], [0, np.cos(ax), -np.sin(ax)], [0, np.sin(ax), np.cos(ax)]])
    ry = np.array([[np.cos(ay), 0, np.sin(ay)], [0, 1, 0], [-np.sin(ay), 0, np.cos(ay)]])
    rz = np.array([[np.cos(az), -np.sin(az), 0], [np.sin(az), np.cos(az), 0], [0, 0, 1]])
    size = np.exp(rng.normal(0, 0.10) + rng.normal(0, 0.09, 3))
    if child:
        size *= rng.uniform(0.5, 0.7)
    shear = np.eye(3)
    shear[0, 1], shear[0, 2], shear[1, 2] = rng.normal(0, (0.05, 0.08, 0.08))
    matrix: NDArray[np.float64] = rz @ ry @ rx @ shear @ np.diag(1 / size)
    if flip:
        matrix[0] *= -1
    return matrix


def _grow(where: F32, centre: tuple[float, float, float], factor: float, scale_mm: float) -> None:
    """Let what lies about a place grow (or shrink), in place."""
    away = where - np.asarray(centre, np.float32)[:, None, None, None]
    weight = np.exp(-(away**2).sum(0) / np.float32(2 * scale_mm**2))
    where -= np.float32(factor) * weight * away


def draw_positions(rng: np.random.Generator, anchors: Anchors, *, cirrhosis: bool = False) -> F32:
    """Return for each voxel of a sample its place in the source, mm ``(3, x, y, z)``.

    Args:
        rng: randomness.
        anchors: of the source.
        cirrhosis: right lobe shrunk, left lobe grown, knobbly outline.
    """
    child, flip = rng.random() < 0.06, rng.random() < 0.04
    matrix = _turn(rng, child=child, flip=flip).astype(np.float32)
    line = [(np.arange(n, dtype=np.float32) - (n - 1) / 2) * np.float32(CROP_MM) for n in CROP]
    offset = np.stack(np.meshgrid(*line, indexing="ij"))
    if rng.random() < 0.9:
        strength = rng.uniform(0.3, 1.0)
        offset += elastic(rng, 110, 9.0 * strength) + elastic(rng, 45, 4.5 * strength)
        if rng.random() < 0.3:
            offset += elastic(rng, 25, 1.6 * strength)
    if cirrhosis:
        offset += elastic(rng, 22, float(rng.uniform(1.2, 2.6)))
    where = np.einsum("ij,jxyz->ixyz", matrix, offset)
    centre = np.array(anchors.body)
    centre[:2] += rng.normal(0, 14, 2)
    anywhere = rng.random() < 0.2
    centre[2] = rng.uniform(0, anchors.height) if anywhere else anchors.liver[2] + rng.normal(0, 45)
    where += centre.astype(np.float32)[:, None, None, None]
    places = [anchors.right, anchors.left, anchors.liver]
    factors = [float(rng.uniform(-0.45, 0.5)) for _ in places]
    if cirrhosis:
        factors = [float(rng.uniform(-0.45, -0.25)), float(rng.uniform(0.25, 0.5)), float(rng.uniform(-0.1, 0.3))]
    chosen = (True, True, True) if cirrhosis else rng.random(3) < 0.4
    for place, factor, used in zip(places, factors, chosen, strict=True):
        if used:
            _grow(where, place, factor, float(rng.uniform(30, 65)))
    return np.asarray(where, np.float32)


def take(source: Source, where: F32) -> tuple[F32, NDArray[np.uint8], F32]:
    """Return HU, labels and share of liver of a sample.

    Args:
        source: where from.
        where: mm, from :func:`draw_positions`.

    Returns:
        HU float32, labels uint8 (nearest) and liver float32 0-1; air, label 0 and 0 beyond the source.
    """
    index = where / np.float32(SOURCE_MM) - np.float32(0.5)
    hu = ndimage.map_coordinates(source.hu, index, np.float32, order=1, mode="constant", cval=-1000.0)
    liver = ndimage.map_coordinates(source.liver, index, np.float32, order=1, mode="constant", cval=0.0)
    nearest = np.rint(index).astype(np.int32)
    inside = np.ones(index.shape[1:], bool)
    for axis, n in enumerate(source.labels.shape):
        inside &= (nearest[axis] >= 0) & (nearest[axis] < n)
        np.clip(nearest[axis], 0, n - 1, out=nearest[axis])
    labels = np.where(inside, source.labels[nearest[0], nearest[1], nearest[2]], 0).astype(np.uint8)
    return hu, labels, liver / np.float32(255)
