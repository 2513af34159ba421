"""Digital patients as further sources: shapes and phases that the few real ones lack, with every organ labelled."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hepacalc.phantom import MIMICS, Scene, draw_scene, random_specs, scan
from hepacalc.phantom.fields import Brush
from training.cases import LABELS, OTHER
from training.prepare import SOURCE_MM, Source, source_of

__all__ = ["digital_patient", "organ_map"]

FIRST_SEED = 900_000
"""Seeds from here on are for training; tests and benches of the package use small ones."""

PHASES = ("non-contrast", "arterial", "portal venous", "delayed")
KINDS = ("normal", "normal", "fatty", "iron", "amiodarone")
_NAMES = {
    "liver": "liver", "portal vein": "liver", "hepatic vein": "liver", "spleen": "spleen", "kidney": "kidney",
    "kidney medulla": "kidney", "renal sinus": "fat", "gallbladder wall": "gallbladder", "bile": "gallbladder",
    "stomach": "stomach", "stomach content": "stomach", "stomach gas": "gas", "oesophagus": "stomach",
    "pancreas": "pancreas", "duodenum": "pancreas", "duodenum content": "pancreas", "duodenum gas": "gas",
    "heart": "heart", "aorta": "vessels", "cava": "vessels", "mesenteric vein": "vessels", "artery": "vessels",
    "mesentery": "vessels", "colon": "bowel", "colon content": "bowel", "colon gas": "gas", "small bowel": "bowel",
    "small bowel content": "bowel", "small bowel gas": "gas", "lung": "lung", "lung vessel": "lung",
    "rib cortex": "bone", "rib marrow": "bone", "sternum": "bone", "vertebra cortex": "bone",
    "vertebra marrow": "bone", "disc": "bone", "costal cartilage": "bone", "costal calcium": "bone",
    "fat": "fat", "visceral fat": "fat", "mediastinal fat": "fat", "table": "outside",
}  # fmt: skip


def organ_map(
    scene: Scene, z_mm: NDArray[np.float64], y_mm: NDArray[np.float64], x_mm: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """Return the label of each voxel: the last layer of the body that covers at least half of it.

    Args:
        scene: the patient.
        z_mm: LPS z of the voxel centres; ``y_mm`` and ``x_mm`` alike.
        y_mm: see above.
        x_mm: see above.

    Returns:
        uint8 ``(z, y, x)``, indices of ``training.cases.LABELS``.
    """
    out = np.zeros((len(z_mm), len(y_mm), len(x_mm)), np.uint8)
    pixel = float(x_mm[1] - x_mm[0])
    for layer in scene.anatomy.layers:
        value = LABELS.index(_NAMES[layer.name]) if layer.name in _NAMES else OTHER
        brush = Brush(layer.field, y_mm, x_mm)
        for k, z in enumerate(z_mm):
            found = brush.cover(float(z), pixel)
            if found is not None:
                window, cover = found
                out[k][window][cover >= 0.5] = value
    return out


def digital_patient(number: int, weight: float) -> Source:
    """Return digital patient ``number`` of the training set: phase, kind of liver and foci drawn by it."""
    seed = FIRST_SEED + number
    rng = np.random.default_rng(seed)
    phase = PHASES[int(rng.integers(len(PHASES)))]
    kind = KINDS[int(rng.integers(len(KINDS)))]
    mimics = [m for m in MIMICS if rng.random() < 0.15]
    specs = random_specs(rng, int(rng.integers(0, 6)))
    scene = draw_scene(seed, phase=phase, liver=kind, foci=specs, mimics=mimics, gallbladder=bool(rng.random() < 0.85))
    made = scan(scene, spacing_mm=(SOURCE_MM,) * 3, noise_hu=float(rng.uniform(4, 12)), z_range_mm=(-300.0, 80.0))
    geometry = made.volume.geometry
    lines = [geometry.affine[2 - a, 3] + np.arange(n) * geometry.affine[2 - a, a] for a, n in enumerate(geometry.shape)]
    labels = organ_map(scene, *lines)
    # foci and their hosts belong to the liver where its mask says so
    labels[made.liver] = 1
    return source_of(f"digital{number:03d}", made.volume.hu, labels, made.liver, geometry, weight=weight)
