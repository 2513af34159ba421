"""What in a shape decided for its pattern, in words for a reader."""

from __future__ import annotations

import numpy as np

from hepacalc.foci._shape_features import Features
from hepacalc.foci.shape import Shape

__all__ = ["reasons_for"]

UNSURE = 0.5


def reasons_for(
    ranked: tuple[tuple[str, float], ...], features: Features, shape: Shape, *, small: float, parts: int
) -> tuple[str, ...]:
    """Return short sentences: what was seen, and what else it could be.

    Args:
        ranked: patterns with their probabilities, in falling order.
        features: of the body.
        shape: of the body.
        small: 0-1, how far the focus is below the resolution.
        parts: number of parts.
    """
    name, chance = ranked[0]
    wall = float(np.exp(features["log_wall"]))
    about: dict[str, str] = {
        "punctate": f"{shape.diameter_mm:.1f} mm wide after blur, a point for this scan",
        "nodular solid": f"compact, {100 * features['solid']:.0f} % of its hull is filled",
        "rim complete": f"a wall about {wall:.1f} mm thick over {100 * features['cover_faint']:.0f} % of a sphere",
        "rim incomplete": f"a wall about {wall:.1f} mm thick over {100 * features['cover_faint']:.0f} % of a sphere",
        "curvilinear": f"a curved band about {wall:.1f} mm thick, bent by {100 * features['arch']:.0f} % of its length",
        "septal": "a network of walls that encloses cells",
        "central stellate": "arms that run outwards from one centre",
        "amorphous": f"{np.expm1(features['peaks']) + 1:.0f} bright spots without a common outline",
        "branching duct": f"a line that forks, {np.exp(features['faint_leaves']):.0f} free ends",
        "linear vascular": f"a line {shape.diameter_mm:.0f} mm long and about {wall:.1f} mm thick",
        "capsular plaque": "a flat plate along the liver capsule",
        "comma": "a thick end that tapers into a curved tail",
    }
    out = [about[name]]
    if parts > 1:
        out.append(f"{parts} parts")
    if small > 0.3:
        out.append("near or below the resolution of this scan, the shape is hardly known")
    elif features["blur"] > 0.5:
        out.append("slices are thick for its size, the shape is uncertain")
    if chance < UNSURE or ranked[1][1] > 0.5 * chance:
        out.append(f"could also be: {ranked[1][0]}")
    return tuple(out)
