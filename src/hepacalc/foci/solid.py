"""A focus as a blurred ellipsoid: fewest free numbers, so the least noise, where a focus is small and compact.

An aperture that follows the voxels of a small focus follows their noise too. Size, place and contrast of an ellipsoid,
blurred as this scan blurs, are fitted to all voxels around it together with the background, which may be tilted and
may differ from slice to slice as much as this liver does. How sharp the scan is, is left a little free.

Method: Levenberg-Marquardt with the linear unknowns solved for at every step (variable projection, Golub and Pereyra
1973, SIAM J Numer Anal 10:413) and Gaussian priors on what the voxels do not tell.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, solve_triangular
from scipy.special import ndtr

from hepacalc.foci.blocks import tight_box
from hepacalc.foci.bodies import SLICE_SOFTNESS
from hepacalc.foci.faint import faint_signal
from hepacalc.foci.scene import F32, Mask, Scene
from hepacalc.foci.window import Window

__all__ = ["Solid", "fit_solid"]

F64 = NDArray[np.float64]

LARGEST_MM = 10.0
MOST_VOXELS = 6000
ZONE = 3.0
"""How far around a focus voxels are fitted, in units of the point spread."""
SHAPE_SD = 0.2
"""How far the axes differ from each other, and the shears from none, as a share of the size."""
SIZE_MM, SIZE_SD = 2.0, 1.0
CONTRAST_HU, CONTRAST_SD = 450.0, 0.7
BLUR_SD, BLUR_MOST = 0.2, 0.35
TEXTURE_MM3 = 700.0
"""Size of the regions whose spread says how far the background strays."""
TILT_MM = 6.0
STEPS = 12
STEP = np.array([1e-2] * 3 + [1e-3] * 7)
CORE = 0.06
"""Share of the model's maximum from which voxels count for the misfit."""
ACROSS = 2.1


@dataclass(frozen=True, eq=False, slots=True)
class Solid:
    """The ellipsoid that fits a focus.

    Args:
        total_hu_mm3: its contrast times its volume.
        sd: standard deviation of that from noise, with size, place and background unknown.
        misfit: how much of the focus it does not describe beyond noise: root of the share of squared signal.
        beyond_hu_mm3: signal that stands out of the noise around it, such as the arms of a star.
        axes_mm: ``(3,)`` its three axes, longest first, before the scan blurred it.
        axes_sd_mm: ``(3,)`` standard deviations of these from noise, with all else unknown.
    """

    total_hu_mm3: float
    sd: float
    misfit: float
    beyond_hu_mm3: float
    axes_mm: F64
    axes_sd_mm: F64


def fit_solid(scene: Scene, window: Window, excess: F32) -> Solid | None:
    """Fit a blurred ellipsoid to a focus; None where it is wider than 10 mm or holds very many voxels.

    Args:
        scene: the liver.
        window: the focus, cropped to what its signal reaches.
        excess: HU above background ``(z, y, x)`` of the window.
    """
    spread = tight_box(window.region)
    extent = np.array([(s.stop - s.start) * d for s, d in zip(spread, scene.spacing_mm, strict=True)])
    most = [LARGEST_MM + (2 * scene.slice_thickness_mm if a == scene.slice_axis else 0.0) for a in range(3)]
    zone = window.reach <= ZONE
    if (extent > most).any() or zone.sum() > MOST_VOXELS:
        return None
    box = tight_box(zone)
    problem = _Problem(scene, zone[box], excess[box])
    start = problem.start(window.region[box], excess[box], extent)
    values, residual = problem.solve(start)
    return problem.result(values, residual)


class _Problem:
    """Residuals of the fit, whitened by the noise of this scan, with the background projected out.

    The unknowns are the centre in mm, the logarithms of three semi-axes, three shears between them, and the logarithm
    of a factor on the in-plane point spread.
    """

    def __init__(self, scene: Scene, zone: Mask, excess: F32) -> None:
        self._scene = scene
        self._zone = zone
        self._lines = [np.arange(n) * d for n, d in zip(zone.shape, scene.spacing_mm, strict=True)]
        self._scale = 1.0 / np.sqrt(_unit(scene))
        columns, sds = _background(scene, zone)
        self._linear = np.concatenate([columns * self._scale, np.diag(1.0 / sds)])
        # the priors keep the normal equations well conditioned: much quicker than the QR of so tall a matrix
        self._factor = np.linalg.cholesky(self._linear.T @ self._linear)
        self._basis = np.ascontiguousarray(solve_triangular(self._factor, self._linear.T, lower=True).T)
        self._columns = columns
        self._raw = np.asarray(excess[zone], np.float64)
        self._wanted = self._projected(self._raw[None])[0]

    def start(self, region: Mask, excess: F32, extent: F64) -> F64:
        """Return where the search starts: centre of signal, and semi-axes from the extent at half height."""
        weight = np.where(region, np.maximum(excess, 1e-3), 0.0)
        centre = [
            float(line @ weight.sum(axis=tuple(b for b in range(3) if b != axis))) / float(weight.sum())
            for axis, line in enumerate(self._lines)
        ]
        radii = np.maximum(extent / 2 - 0.5 * np.asarray(self._scene.sigma_mm), 0.7)
        return np.array([*centre, *np.log(radii), 0.0, 0.0, 0.0, 0.0])

    def solve(self, values: F64) -> tuple[F64, F64]:
        """Return the best unknowns and the residuals there."""
        residual = self.residuals(values[None])[0]
        damping = 1e-2
        for _ in range(STEPS):
            slope = (self.residuals(values + np.diag(STEP)) - residual) / STEP[:, None]
            normal, down = slope @ slope.T, slope @ residual
            for _attempt in range(5):
                move = -np.linalg.solve(normal + damping * np.diag(np.diag(normal) + 1e-6), down)
                tried = values + np.clip(move, -1.0, 1.0)
                tried[9] = np.clip(tried[9], -BLUR_MOST, BLUR_MOST)
                then = self.residuals(tried[None])[0]
                gain = float(residual @ residual - then @ then)
                if gain > 0:
                    break
                damping *= 5.0
            else:
                break
            values, residual, damping = tried, then, max(damping / 5.0, 1e-4)
            if gain < 1e-2:
                break
        return values, residual

    def result(self, values: F64, residual: F64) -> Solid:
        """Return the total, its standard deviation over all unknowns, and the misfit."""
        nearby = np.concatenate([values[None], values + np.diag(STEP)])
        template = self._templates(nearby)
        shape = self._projected(template)
        amount = self._amounts(shape)
        # by how much each residual moves with the amount, then with every other unknown at a fixed amount
        seen = shape.shape[1]
        priors = self._priors(nearby, amount)
        slope = np.zeros((len(nearby), len(residual)))
        slope[0, :seen] = -shape[0]
        slope[1:, :seen] = -amount[0] * (shape[1:] - shape[0]) / STEP[:, None]
        slope[1:, seen:] = (priors[1:] - priors[0]) / STEP[:, None]
        spread = np.linalg.inv(slope @ slope.T + 1e-9 * np.eye(len(nearby)))
        model = amount[0] * template[0]
        rest = np.concatenate([(self._raw - model) * self._scale, np.zeros(self._columns.shape[1])])
        left = self._raw - model - self._columns @ cho_solve((self._factor, True), self._linear.T @ rest)
        core = model > CORE * model.max()
        beyond = float((left[core] ** 2).sum()) - 1.1 * float(core.sum()) * self._scene.noise_hu**2
        misfit = float(np.sqrt(max(beyond, 0.0) / float((model[core] ** 2).sum() + 1e-9)))
        around, rest = np.zeros(self._zone.shape, bool), np.zeros(self._zone.shape, np.float32)
        around[self._zone], rest[self._zone] = ~core, left
        outside = faint_signal(self._scene, rest, around)[0]
        axes = 2 * np.linalg.svd(_shears(nearby), compute_uv=False)
        move = (axes[1:] - axes[0]) / STEP[:, None]
        axes_sd = np.sqrt(np.einsum("ua,uv,va->a", move, spread[1:, 1:], move))
        return Solid(float(amount[0]), float(np.sqrt(spread[0, 0])), misfit, outside, axes[0], axes_sd)

    def residuals(self, values: F64) -> F64:
        """Return whitened residuals and priors for each row of unknowns."""
        shape = self._projected(self._templates(values))
        amount = self._amounts(shape)
        return np.concatenate([self._wanted - amount[:, None] * shape, self._priors(values, amount)], axis=1)

    def _amounts(self, shape: F64) -> F64:
        return np.asarray((shape @ self._wanted) / np.maximum((shape**2).sum(axis=1), 1e-12))

    def _projected(self, rows: F64) -> F64:
        """Return rows, whitened, without what the background explains."""
        padded = np.concatenate([rows * self._scale, np.zeros((len(rows), self._basis.shape[1]))], axis=1)
        return np.asarray(padded - (padded @ self._basis) @ self._basis.T)

    def _priors(self, values: F64, amount: F64) -> F64:
        """Return what is known without looking: about round, a few mm, as dense as calcium is, as sharp as the scan."""
        size = values[:, 3:6].mean(axis=1, keepdims=True)
        contrast = np.maximum(amount, 1.0)[:, None] / (4 / 3 * np.pi * np.exp(3 * size))
        parts = (
            (values[:, 3:6] - size) / SHAPE_SD,
            values[:, 6:9] / np.exp(size) / SHAPE_SD,
            (size - np.log(SIZE_MM)) / SIZE_SD,
            values[:, 9:] / BLUR_SD,
            (np.log(contrast) - np.log(CONTRAST_HU)) / CONTRAST_SD,
        )
        return np.concatenate(parts, axis=1)

    def _templates(self, values: F64) -> F64:
        """Return blurred ellipsoids of integral 1 at the voxels of the zone, one for each row of unknowns."""
        points = values[:, None, :3] + BALL @ _shears(values).transpose(0, 2, 1)
        weights = [self._seen(axis, points[:, :, axis], np.exp(values[:, 9])) for axis in range(3)]
        out = np.empty((len(values), int(self._zone.sum())))
        for k in range(len(values)):
            plane = (weights[0][k][:, None] * weights[1][k][None]).reshape(-1, len(BALL))
            out[k] = (plane @ weights[2][k].T).reshape(self._zone.shape)[self._zone]
        return out / len(BALL)

    def _seen(self, axis: int, at: F64, blur: F64) -> F64:
        """Return what each voxel sees of points along one axis, ``(rows, voxels, points)``."""
        away = self._lines[axis][None, :, None] - at[:, None, :]
        if axis == self._scene.slice_axis:
            width = self._scene.slice_thickness_mm
            soft = SLICE_SOFTNESS * width
            return np.asarray((ndtr((away + width / 2) / soft) - ndtr((away - width / 2) / soft)) / width)
        sigma = self._scene.sigma_mm[axis] * blur[:, None, None]
        return np.asarray(np.exp(-0.5 * (away / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi)))


def _shears(values: F64) -> F64:
    """Return the matrices ``(rows, 3, 3)`` that turn the unit ball into the ellipsoids of rows of unknowns."""
    shear = np.zeros((len(values), 3, 3))
    shear[:, range(3), range(3)] = np.exp(values[:, 3:6])
    shear[:, 1, 0], shear[:, 2, 0], shear[:, 2, 1] = values[:, 6], values[:, 7], values[:, 8]
    return shear


def _unit(scene: Scene) -> float:
    """Return the variance of a voxel that counts noise correlated over the resolution."""
    mm3 = max(float(np.prod([2 * np.sqrt(np.pi) * s for s in scene.sigma_mm])), scene.voxel_mm3)
    return max(scene.curve.at(mm3) ** 2 * mm3 / scene.voxel_mm3, scene.noise_hu**2)


def _background(scene: Scene, zone: Mask) -> tuple[F64, F64]:
    """Return how the background may differ from what it is taken for, and by how many HU each may.

    Columns are a level and two tilts in the plane, for all slices and for each slice.
    """
    index = np.argwhere(zone)
    at = index * np.asarray(scene.spacing_mm)
    plane = [a for a in range(3) if a != scene.slice_axis]
    tilt = (at[:, plane] - at[:, plane].mean(axis=0)) / TILT_MM
    whole = np.concatenate([np.ones((len(at), 1)), tilt], axis=1)
    slices = index[:, scene.slice_axis]
    columns = np.concatenate([whole, *(whole * (slices == k)[:, None] for k in np.unique(slices))], axis=1)
    return columns, np.full(columns.shape[1], scene.curve.at(TEXTURE_MM3) / np.sqrt(2))


def _filled_ball(across: float) -> F64:
    """Return points ``(n, 3)`` that fill the unit ball evenly, with its second moments.

    They are the points of a face-centred lattice, ``across`` of its cells in a radius.
    """
    side = np.arange(-int(across) - 2, int(across) + 3)
    cells = np.stack(np.meshgrid(side, side, side, indexing="ij"), axis=-1).reshape(-1, 3)
    corners = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    # about a hole of the lattice, so that no point lies in the very middle or on the surface
    points = (cells[:, None] + corners).reshape(-1, 3) + 0.25
    points = points[np.linalg.norm(points, axis=1) <= across]
    points = points - points.mean(axis=0)
    size, way = np.linalg.eigh(points.T @ points / len(points))
    return np.asarray(points @ (way / np.sqrt(5 * size)) @ way.T)


BALL = _filled_ball(ACROSS)
