"""CT numbers of tissues by contrast phase and tube voltage.

Values are those usual in textbooks and in the scans the project looks at; each patient draws his own about them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hepacalc.records import PHASES, PhaseName

__all__ = ["LIVERS", "Tissue", "iodine_gain", "tissues"]

# non-contrast, arterial, portal venous, delayed; texture (sd in HU)
_TABLE: dict[str, tuple[float, float, float, float, float]] = {
    "liver": (57, 68, 110, 94, 1.8),
    "portal vein": (42, 95, 178, 113, 0),
    "hepatic vein": (42, 55, 165, 112, 0),
    "cava": (42, 75, 145, 114, 2),
    "aorta": (42, 310, 158, 116, 2),
    "heart": (42, 210, 142, 108, 8),
    "spleen": (49, 118, 122, 98, 3),
    "kidney cortex": (34, 190, 195, 165, 5),
    "kidney medulla": (31, 75, 175, 165, 5),
    "pancreas": (38, 105, 95, 75, 12),
    "gut wall": (36, 75, 85, 70, 6),
    "muscle": (54, 58, 64, 64, 11),
    "diaphragm": (50, 55, 62, 62, 0),
}
_FIXED: dict[str, tuple[float, float]] = {
    "air": (-1000, 0), "table": (-120, 20), "skin": (10, 10), "fat": (-104, 9), "visceral fat": (-102, 13),
    "seam": (-40, 45),
    "lung": (-855, 38), "bile": (8, 2), "gut fluid": (22, 9), "stool": (-10, 140), "gas": (-980, 5),
    "stomach content": (30, 11), "disc": (80, 8), "marrow": (165, 45), "cortical bone": (620, 90),
    "canal": (28, 6), "cartilage": (105, 14), "cartilage calcium": (380, 90), "sternum": (140, 30),
}  # fmt: skip

LIVERS: dict[str, float] = {"normal": 0.0, "fatty": -42.0, "iron": 38.0, "amiodarone": 30.0}
"""How much a diseased liver differs from a normal one, in HU on non-contrast CT at 120 kV."""


@dataclass(frozen=True, slots=True)
class Tissue:
    """Mean CT number of a tissue and the standard deviation of its texture, both in HU."""

    hu: float
    texture_hu: float


def iodine_gain(kvp: float) -> float:
    """Return how much brighter iodine and calcium are at this voltage than at 120 kV."""
    return float(np.interp(kvp, [70, 80, 100, 120, 140], [1.9, 1.65, 1.25, 1.0, 0.85]))


def tissues(phase: PhaseName, kvp: float, liver: str, rng: np.random.Generator) -> dict[str, Tissue]:
    """Return this patient's tissues.

    Args:
        phase: contrast phase.
        kvp: tube voltage in kV.
        liver: one of :data:`LIVERS`.
        rng: draws how much this patient differs from the usual.
    """
    column = PHASES.index(phase)
    gain = iodine_gain(kvp)
    strength = float(np.clip(rng.normal(1.0, 0.1), 0.75, 1.25))
    out = {}
    for name, row in _TABLE.items():
        native = row[0] + float(rng.normal(0, 1.5))
        if name == "liver":
            native = row[0] + float(np.clip(rng.normal(0, 4), -7, 7)) + LIVERS[liver]
        out[name] = Tissue(native + gain * strength * (row[column] - row[0]), row[4])
    for name, (hu, texture) in _FIXED.items():
        if name in ("marrow", "cortical bone", "cartilage calcium", "sternum"):
            hu *= 0.5 + 0.5 * gain
        if "fat" in name:
            hu = hu * (1 + 0.12 * (gain - 1)) + float(rng.normal(0, 2))
        out[name] = Tissue(hu, texture)
    return out
