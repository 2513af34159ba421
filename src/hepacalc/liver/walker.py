"""A random walker with priors on a grid: the chance of every free voxel to be liver, from its likeness to neighbours.

Reference: Grady 2005, Multilabel random walker image segmentation using prior models, CVPR.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

__all__ = ["random_walker"]

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]
LEAST_WEIGHT = 0.001
STEPS = 60


def random_walker(
    smooth: F32, prior: F32, free: NDArray[np.bool_], fixed: F32, *, sigma: float, strength: float = 0.04
) -> F32:
    """Solve ``(L + strength I) x = strength prior`` on the free voxels, ``x`` given elsewhere.

    Args:
        smooth: CT numbers ``(z, y, x)`` in HU.
        prior: probability of liver by other evidence, ``(z, y, x)``.
        free: the voxels to be solved for.
        fixed: the answer in all others.
        sigma: difference in HU between neighbours at which they begin to be strangers.
        strength: weight of the prior beside that of the neighbours.

    Returns:
        Probability of liver ``(z, y, x)``.
    """
    index = np.flatnonzero(free.ravel()).astype(np.int32)
    number = np.full(free.size, -1, np.int32)
    number[index] = np.arange(len(index), dtype=np.int32)
    upper, diagonal, right = _system(smooth, fixed, index, number, sigma)
    del number
    start = prior.ravel()[index]
    diagonal += np.float32(strength)
    right += np.float32(strength) * start
    out = fixed.copy()
    out.ravel()[index] = _conjugate_gradient(upper, diagonal, right, start)
    return out


def _system(smooth: F32, fixed: F32, index: I32, number: I32, sigma: float) -> tuple[csr_array, F32, F32]:
    """Return the weights between free voxels (each pair once), their sums, and what the voxels that are given add.

    Args:
        smooth: CT numbers.
        fixed: the answer where it is given.
        index: places of the free voxels in the raveled grid.
        number: for each voxel of the grid which free voxel it is, -1 for none.
        sigma: see :func:`random_walker`.
    """
    shape = smooth.shape
    hu, given = smooth.ravel(), fixed.ravel()
    n = len(index)
    total, right = np.zeros(n, np.float32), np.zeros(n, np.float32)
    # neighbours after a voxel, nearest in memory first, so that each row is in order
    after, weights = np.full((n, 3), -1, np.int32), np.zeros((n, 3), np.float32)
    for column, stride in enumerate((1, shape[2], shape[1] * shape[2])):
        place = index // np.int32(stride) % np.int32(shape[2 - column])
        for sign, last in ((1, shape[2 - column] - 1), (-1, 0)):
            me = np.flatnonzero(place != last).astype(np.int32)
            beside = index[me] + np.int32(sign * stride)
            difference = (hu[index[me]] - hu[beside]) / np.float32(sigma)
            weight = np.exp(difference * difference / -2) + np.float32(LEAST_WEIGHT)
            total[me] += weight
            other = number[beside]
            outer = other < 0
            right[me[outer]] += weight[outer] * given[beside[outer]]
            if sign > 0:
                after[me, column], weights[me, column] = other, weight
    inner = after >= 0
    ends = np.concatenate([[0], np.cumsum(inner.sum(1, dtype=np.int32), dtype=np.int32)]).astype(np.int32)
    return csr_array((weights[inner], after[inner], ends), shape=(n, n)), total, right


def _conjugate_gradient(upper: csr_array, diagonal: F32, right: F32, x: F32) -> F32:
    """Solve the symmetric system with ``diagonal``, and ``-upper`` on either side of it; Jacobi-preconditioned."""
    lower = upper.T

    def applied(values: F32) -> F32:
        out = diagonal * values
        out -= upper @ values
        out -= lower @ values
        return out

    residual = right - applied(x)
    z = residual / diagonal
    direction = z.copy()
    rz = float(residual @ z)
    first = rz
    for _ in range(STEPS):
        step = applied(direction)
        alpha = np.float32(rz / (float(direction @ step) + 1e-20))
        x += alpha * direction
        residual -= alpha * step
        z = residual / diagonal
        new = float(residual @ z)
        if new < 1e-8 * first:
            break
        direction *= np.float32(new / (rz + 1e-30))
        direction += z
        rz = new
    return x
