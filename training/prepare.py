"""From scans and label maps to sources: HU, labels and a soft liver mask at 2.5 mm, one file a patient."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hepacalc.geometry import Geometry
from hepacalc.liver.place import place_exactly
from hepacalc.liver.refine import largest_component
from hepacalc.liver.resample import iso_grid, shrink
from hepacalc.study import open_study, read_nifti_labels
from training.cases import LABELS, OTHER, Case

__all__ = ["SOURCE_MM", "Source", "mark_chest", "network_order", "prepare_case", "source_of"]

SOURCE_MM = 2.5
HEART, LUNG, VESSELS = (LABELS.index(n) for n in ("heart", "lung", "vessels"))


@dataclass(frozen=True, eq=False, slots=True)
class Source:
    """A patient at 2.5 mm.

    Args:
        name: of the case.
        hu: int16 ``(x, y, z)`` in network order.
        labels: uint8, indices of ``training.cases.LABELS``.
        liver: uint8, share of the voxel that is liver times 255.
        missing: indices of organs that may hide in the label ``other``.
        weight: how often to draw it.
    """

    name: str
    hu: NDArray[np.int16]
    labels: NDArray[np.uint8]
    liver: NDArray[np.uint8]
    missing: tuple[int, ...]
    weight: float

    def save(self, folder: Path) -> None:
        """Write ``name.npz``."""
        np.savez(
            folder / f"{self.name}.npz", hu=self.hu, labels=self.labels, liver=self.liver,
            missing=np.array(self.missing, np.int64), weight=np.float64(self.weight),
        )  # fmt: skip

    @classmethod
    def load(cls, path: Path) -> Source:
        """Read what :meth:`save` wrote."""
        with np.load(path) as kept:
            missing = tuple(int(i) for i in kept["missing"])
            return cls(path.stem, kept["hu"], kept["labels"], kept["liver"], missing, float(kept["weight"]))


def network_order(array: NDArray[Any]) -> NDArray[Any]:
    """Return ``(z, y, x)`` with y to the back and x to the left as ``(x, y, z)`` in network order."""
    return np.ascontiguousarray(np.transpose(array[:, ::-1, ::-1], (2, 1, 0)))


def source_of(
    name: str,
    hu: NDArray[Any],
    labels: NDArray[np.uint8],
    liver: NDArray[Any],
    geometry: Geometry,
    *,
    missing: tuple[int, ...] = (),
    weight: float = 1.0,
    chest: bool = False,
) -> Source:
    """Return a scan as a source.

    Args:
        name: of the case.
        hu: ``(z, y, x)`` on ``geometry``, like ``labels`` and ``liver`` (bool).
        labels: see :class:`Source`.
        liver: bool.
        geometry: any orientation with orthogonal axes.
        missing: see :class:`Source`.
        weight: see :class:`Source`.
        chest: mark the middle of the chest as heart.
    """
    turn = geometry.canonical()
    grid = iso_grid(turn.geometry.shape, turn.geometry.spacing_mm, SOURCE_MM)
    turned = turn.apply(labels)
    small = network_order(shrink(turn.apply(hu), grid))
    best = np.full(grid.shape, -1.0, np.float32)
    most = np.zeros(grid.shape, np.uint8)
    for value in np.unique(labels):
        share = shrink(turned == value, grid)
        won = share > best
        most[won], best[won] = value, share[won]
    soft = network_order(shrink(turn.apply(liver), grid))
    mapped = network_order(most)
    if chest:
        mapped = mark_chest(mapped)
    # what is outside the field of view is stored as -2000 or -3024 by some scanners
    return Source(
        name, np.clip(np.rint(small), -1024, 3071).astype(np.int16), mapped, np.rint(soft * 255).astype(np.uint8),
        missing, weight,
    )  # fmt: skip


def prepare_case(case: Case, shared: Path) -> Source:
    """Read a scan with its labels.

    Args:
        case: which.
        shared: folder of the shared data.

    Raises:
        ValueError: the labels do not lie on the scan's grid.
    """
    volume = open_study(shared / case.scan)[0]
    values, grid = read_nifti_labels(shared / case.labels)
    labels = np.zeros(volume.geometry.shape, np.uint8)
    for value in np.unique(values):
        placed = place_exactly(values == value, grid, volume.geometry)
        if placed is None:
            raise ValueError(f"{case.name}: the labels are not on the grid of the scan")
        labels[placed.mask] = value
    missing = tuple(LABELS.index(n) for n in case.missing)
    return source_of(
        case.name, volume.hu, labels, labels == 1, volume.geometry,
        missing=missing, weight=case.weight, chest=case.chest,
    )  # fmt: skip


def mark_chest(labels: NDArray[np.uint8], least: int = 6) -> NDArray[np.uint8]:
    """Return labels in which soft tissue between the lungs is heart, where no label map has it.

    A voxel counts when at least ``least`` lung voxels lie to its left and to its right in the same row; thin bridges
    are opened away. It holds the great vessels of the chest too: what matters is that it is not liver.

    Args:
        labels: uint8 ``(x, y, z)`` in network order.
        least: lung voxels wanted on each side.
    """
    lung = labels == LUNG
    right = np.cumsum(lung, axis=0, dtype=np.int32)
    left = right[-1:] - right
    between = (right >= least) & (left >= least) & np.isin(labels, (OTHER, VESSELS))
    middle = largest_component(ndimage.binary_opening(between, iterations=2))
    out = labels.copy()
    out[middle & between] = HEART
    return out
