"""The centre line of a body: ends, forks, bend, taper, and the cross-section about it."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse import csgraph

__all__ = ["Features", "arch_features", "line_features"]

F64 = NDArray[np.float64]
Mask = NDArray[np.bool_]
Features = dict[str, float]

MOST_NODES = 2500
_FORWARD = [d for d in itertools.product((-1, 0, 1), repeat=3) if d > (0, 0, 0)]


def line_features(mask: Mask, size: float) -> Features:
    """Ends, forks, bend, length and taper of the centre line, from distances along the body.

    The largest part is cut into slabs of equal distance (along the body) from its far end; connected pieces of a
    slab are the nodes of a graph (Reeb graph) whose ends and forks are counted.
    """
    labels, _ = ndimage.label(mask, np.ones((3, 3, 3)))
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    part = labels == int(sizes.argmax())
    scale = 1.0
    while part.sum() > MOST_NODES:
        part = _halved(part)
        scale *= 2
    points = np.argwhere(part)
    plain: Features = {"leaves": float(np.log(2)), "forks": 0.0, "bend": 0.0, "length": 0.5, "taper": 0.0}
    if len(points) < 8:
        return plain
    graph = _neighbours(part, points)
    start = int(((points - points.mean(axis=0)) ** 2).sum(axis=1).argmax())
    gap = csgraph.dijkstra(graph, directed=False, indices=start)
    far = float(gap[np.isfinite(gap)].max())
    width = max(far / 14, 2.0)
    slab = np.minimum((gap / width).astype(int), 200)
    rows, columns = graph.nonzero()
    same = slab[rows] == slab[columns]
    n = len(points)
    inside = sparse.coo_matrix((np.ones(same.sum()), (rows[same], columns[same])), shape=(n, n))
    count, piece = csgraph.connected_components(inside, directed=False)
    volume = np.bincount(piece, minlength=count).astype(float)
    real = volume >= max(2.0, 0.01 * n)
    ends = np.sort(np.stack([piece[rows[~same]], piece[columns[~same]]]), axis=0).astype(np.int64)
    ends = ends[:, real[ends].all(axis=0)]
    code = np.unique(ends[0] * count + ends[1])
    degree = np.bincount(np.concatenate([code // count, code % count]), minlength=count)
    out: Features = {
        "leaves": float(np.log(max(int((degree[real] <= 1).sum()), 1))),
        "forks": float(np.log1p(int(np.maximum(degree[real] - 2, 0).sum()))),
        "length": min(far * scale / size, 3.0),
    }
    levels = int(slab.max()) + 1
    centres = np.array([points[slab == k].mean(axis=0) for k in range(levels) if (slab == k).any()])
    out["bend"] = _bend(centres)
    amount = np.bincount(slab, minlength=levels).astype(float)
    third = max(levels // 3, 1)
    thick = amount[:third].mean() + 0.5, amount[-third:].mean() + 0.5
    out["taper"] = abs(float(np.log(thick[0] / thick[1])))
    return out


def arch_features(points: F64) -> Features:
    """Parabola along the first principal axis, and the cross-section about it."""
    centred = points - points.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    along = centred @ axes[:, 2]
    half = max(float(np.abs(along).max()), 0.5)
    t = along / half
    design = np.column_stack([t * t, t, np.ones(len(t))])
    across = centred @ axes[:, :2]
    curve = np.linalg.solve(design.T @ design + 1e-6 * np.eye(3), design.T @ across)
    left = across - design @ curve
    sd = np.sqrt(np.maximum(np.linalg.eigvalsh(left.T @ left / len(t) + np.eye(2) / 12), 1e-6))
    return {
        "arch": min(float(np.linalg.norm(curve[0])) / (2 * half), 1.0),
        "band": float(np.log(sd[1] / sd[0])),
        "slim": float(sd[1] / half),
    }


def _bend(centres: F64) -> float:
    chord = centres[-1] - centres[0]
    length = float(np.linalg.norm(chord))
    if len(centres) < 3 or length < 1e-6:
        return 0.0
    offset = np.cross(centres - centres[0], chord / length)
    return min(float(np.linalg.norm(offset, axis=1).max()) / length, 2.0)


def _halved(mask: Mask) -> Mask:
    """Return a mask at half the resolution: a voxel is set where any of its eight was."""
    wide = np.pad(mask, [(0, n % 2) for n in mask.shape])
    z, y, x = (n // 2 for n in wide.shape)
    return np.asarray(wide.reshape(z, 2, y, 2, x, 2).any(axis=(1, 3, 5)))


def _neighbours(mask: Mask, points: NDArray[np.intp]) -> sparse.csr_matrix:
    """Return the graph of touching voxels, edges weighted by distance."""
    number = np.full([n + 2 for n in mask.shape], -1, np.int32)
    z, y, x = points.T + 1
    number[z, y, x] = np.arange(len(points))
    rows, columns, weights = [], [], []
    for dz, dy, dx in _FORWARD:
        other = number[z + dz, y + dy, x + dx]
        ok = other >= 0
        rows.append(np.flatnonzero(ok))
        columns.append(other[ok])
        weights.append(np.full(int(ok.sum()), np.sqrt(dz * dz + dy * dy + dx * dx)))
    n = len(points)
    return sparse.csr_matrix((np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns))), shape=(n, n))
