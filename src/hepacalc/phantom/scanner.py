"""The scanner: point spread, slice profile, noise with a kernel's texture, rounding.

The in-plane point spread is a Gaussian whose standard deviation includes the width of a pixel; along the slices it is
a box as wide as the slice, with edges softened by a Gaussian. Noise is Gaussian with a ramp-like power spectrum
rolled off by the kernel (Boedeker et al. 2007, Phys Med Biol 52:4027), correlated between overlapping slices.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from hepacalc.geometry import Geometry
from hepacalc.phantom.fields import Brush, Field
from hepacalc.phantom.organs import Layer
from hepacalc.phantom.shapes import Occupancy, deposit
from hepacalc.threads import thread_pool

__all__ = [
    "KERNELS",
    "Item",
    "Kernel",
    "KernelName",
    "Scanner",
    "add_streaks",
    "noise_slices",
    "render_anatomy",
    "render_item",
    "slice_softness",
]

Array = NDArray[np.float32]
KernelName = Literal["soft", "sharp"]


@dataclass(frozen=True, slots=True)
class Kernel:
    """A reconstruction kernel.

    Args:
        sigma_mm: in-plane standard deviation of the point spread, pixel included.
        cutoff_per_mm: where the noise power has fallen off.
        name: as a header would say it.
    """

    sigma_mm: float
    cutoff_per_mm: float
    name: str


KERNELS: dict[KernelName, Kernel] = {"soft": Kernel(0.60, 0.32, "B30f"), "sharp": Kernel(0.42, 0.75, "B70f")}


def slice_softness(thickness_mm: float) -> float:
    """Return the standard deviation in mm by which the edges of a slice profile are soft (helical interpolation)."""
    return 0.15 * thickness_mm


@dataclass(frozen=True, eq=False, slots=True)
class Scanner:
    """How a scene is sampled.

    Args:
        geometry: grid, axes along LPS z, y, x.
        thickness_mm: slice thickness.
        sigma_mm: in-plane standard deviation of the point spread, pixel included.
    """

    geometry: Geometry
    thickness_mm: float
    sigma_mm: float

    @property
    def lines_mm(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """LPS z, y and x of the voxel centres."""
        start, spacing = self.geometry.affine[:3, 3][::-1], self.geometry.spacing_mm
        z, y, x = (s + d * np.arange(n) for s, d, n in zip(start, spacing, self.geometry.shape, strict=True))
        return z, y, x

    @property
    def blur_mm(self) -> tuple[float, float, float]:
        """Gaussian part of the point spread along z, y, x; the box (slice, pixel) comes on top."""
        _, dy, dx = self.geometry.spacing_mm
        y, x = (float(np.sqrt(max(self.sigma_mm**2 - d * d / 12, 0.01))) for d in (dy, dx))
        return slice_softness(self.thickness_mm), y, x


@dataclass(frozen=True, eq=False, slots=True)
class Item:
    """Something small and bright that is added to the anatomy.

    Args:
        occupancy: its shape.
        centre_zyx: LPS ``(z, y, x)`` of the centre of the shape.
        delta_hu: what it adds where it fills a voxel.
    """

    occupancy: Occupancy
    centre_zyx: NDArray[np.float64]
    delta_hu: float


def render_anatomy(
    layers: Sequence[Layer], textures: tuple[Field, Field], scanner: Scanner, *, background_hu: float = -1000.0
) -> Array:
    """Return the noise-free scan of the layers, float32 HU ``(z, y, x)``."""
    z_mm, y_mm, x_mm = scanner.lines_mm
    shape = scanner.geometry.shape
    out = np.empty(shape, np.float32)
    brushes = [(Brush(item.field, y_mm, x_mm), item.tissue) for item in layers]
    fine, coarse = (Brush(t, y_mm, x_mm) for t in textures)
    count = max(1, int(np.ceil(scanner.thickness_mm / 2.0 - 1e-6)))
    offsets = ((np.arange(count) + 0.5) / count - 0.5) * scanner.thickness_mm
    pixel = scanner.geometry.spacing_mm[1]
    _, sy, sx = scanner.blur_mm
    dy, dx = scanner.geometry.spacing_mm[1:]

    def draw(k: int) -> None:
        z = float(z_mm[k])
        total = np.zeros(shape[1:], np.float32)
        grain = np.zeros(shape[1:], np.float32)
        for brush, share in ((fine, 0.75), (coarse, 0.66)):
            values = brush.values(z)
            if values is not None:
                grain[brush.rows, brush.columns] += np.float32(share) * values
        for offset in offsets:
            image = np.full(shape[1:], np.float32(background_hu))
            for brush, tissue in brushes:
                found = brush.cover(float(z + offset), pixel)
                if found is None:
                    continue
                window, cover = found
                part = image[window]
                step = np.float32(tissue.hu) - part
                if tissue.texture_hu:
                    step += np.float32(tissue.texture_hu) * grain[window]
                step *= cover
                part += step
            total += image
        total /= count
        out[k] = ndimage.gaussian_filter(total, (sy / dy, sx / dx), truncate=3.5)

    # slices know nothing of each other: two threads draw them
    with thread_pool(2) as pool:
        for _ in pool.map(draw, range(shape[0])):
            pass
    return out


def render_item(hu: Array, item: Item, scanner: Scanner) -> tuple[tuple[slice, slice, slice], Array]:
    """Add one item to a scan in place; return its box and its share of each voxel there."""
    geometry = scanner.geometry
    spacing = geometry.spacing_mm
    start = geometry.affine[:3, 3][::-1]
    result = deposit(
        item.occupancy,
        item.centre_zyx - start,
        shape=geometry.shape,
        spacing_mm=spacing,
        width_mm=(scanner.thickness_mm, spacing[1], spacing[2]),
        sigma_mm=scanner.blur_mm,
    )
    hu[result.box] += np.float32(item.delta_hu) * result.share
    return result.box, result.share


def add_streaks(hu: Array, centre_zyx: NDArray[np.float64], reach_mm: float, scanner: Scanner, strength_hu: float,
                rng: np.random.Generator) -> None:  # fmt: skip
    """Add the dark and bright fan of a piece of metal to the slices it lies in, in place."""
    z_mm, y_mm, x_mm = scanner.lines_mm
    rays = int(rng.integers(5, 9))
    turn = rng.uniform(0, np.pi)
    for k in np.flatnonzero(np.abs(z_mm - centre_zyx[0]) < reach_mm + scanner.thickness_mm / 2):
        dy, dx = (y_mm - centre_zyx[1])[:, None], (x_mm - centre_zyx[2])[None]
        radius = np.hypot(dy, dx)
        angle = np.arctan2(dy, dx) + turn
        fan = np.cos(rays * angle) ** 5 - 0.35 * np.cos(2 * angle)
        hu[k] += (strength_hu * fan * np.exp(-radius / 22) * (1 - np.exp(-((radius / 2.5) ** 2)))).astype(np.float32)


def noise_slices(
    shape: tuple[int, int, int],
    pixel_mm: float,
    *,
    kernel: Kernel,
    overlap: float,
    rng: np.random.Generator,
) -> Iterator[Array]:
    """Yield one slice of unit noise after another, float32 ``(y, x)``.

    Args:
        shape: ``(z, y, x)`` of the scan.
        pixel_mm: pixel size.
        kernel: sets the noise texture.
        overlap: slice thickness over slice spacing; above 1 neighbours share noise.
        rng: the only source of randomness.
    """
    size = [fft.next_fast_len(n, real=True) for n in shape[1:]]
    fy, fx = np.fft.fftfreq(size[0], pixel_mm)[:, None], np.fft.rfftfreq(size[1], pixel_mm)[None]
    f = np.hypot(fy, fx)
    power = (f + 0.02) * np.exp(-((f / kernel.cutoff_per_mm) ** 2))
    amplitude = np.sqrt(power).astype(np.float32)
    half = amplitude.astype(float) ** 2
    columns = np.full(half.shape[1], 2.0)
    columns[0] = 1.0
    if size[1] % 2 == 0:
        columns[-1] = 1.0
    amplitude /= np.float32(np.sqrt((half * columns).sum() / (size[0] * size[1])))
    side = max(0, int(np.ceil((overlap - 1) / 2 - 1e-6)))
    edge = (overlap - 1) / 2 - (side - 1) if side else 0.0
    weights = np.ones(2 * side + 1, np.float32)
    if side:
        weights[0] = weights[-1] = edge
    weights /= np.sqrt((weights**2).sum())

    def one() -> Array:
        white = fft.rfft2(rng.standard_normal(size, np.float32))
        white *= amplitude
        out: Array = fft.irfft2(white, s=size)[: shape[1], : shape[2]]
        return out

    window = [one() for _ in range(2 * side)]
    for _ in range(shape[0]):
        window.append(one())
        yield (
            window[0]
            if side == 0
            else sum((w * s for w, s in zip(weights[1:], window[1:], strict=True)), weights[0] * window[0])
        )
        window.pop(0)
