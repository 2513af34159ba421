"""Take dense islands out of a coarse scan before a network sees it: near large calcifications it loses liver."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["without_dense"]

F32 = NDArray[np.float32]

DENSE_HU = 250.0
SOFT_HU = (-10.0, 250.0)
LEAST_SOFT = 0.8
LARGEST_ML = 60.0


def without_dense(coarse: F32, step_mm: float = 4.0) -> F32:
    """Return a scan with islands of calcium replaced by the soft tissue around them.

    An island is denser than 250 HU, at most 60 mL large, and lies in soft tissue: of the voxels around it at least four
    in five are between -10 and 250 HU. Ribs (beside lung and fat), the spine and enhanced organs stay.

    Args:
        coarse: HU ``(z, y, x)``, isotropic; not changed.
        step_mm: voxel spacing.
    """
    everywhere = np.ones((3, 3, 3), bool)
    labels, count = ndimage.label(coarse > DENSE_HU, everywhere)
    out = coarse.copy()
    sizes = np.bincount(labels.ravel(), minlength=count + 1) * step_mm**3 / 1000
    for k, place in enumerate(ndimage.find_objects(labels), start=1):
        if sizes[k] > LARGEST_ML:
            continue
        box = tuple(slice(max(s.start - 2, 0), s.stop + 2) for s in place)
        island = ndimage.binary_dilation(labels[box] == k, everywhere)
        shell = ndimage.binary_dilation(island, everywhere) & ~island
        around = coarse[box][shell]
        soft = around[(around > SOFT_HU[0]) & (around < SOFT_HU[1])]
        if around.size == 0 or soft.size < LEAST_SOFT * around.size:
            continue
        usual = np.float32(np.median(soft))
        part = out[box]
        part[island & (part > usual)] = usual
    return out
