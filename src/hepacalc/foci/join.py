"""From foci to lesions: group them, describe each lesion as a whole, number both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hepacalc.foci.burden import add_up
from hepacalc.foci.depth import depth_on_body
from hepacalc.foci.diameters import measure_diameters
from hepacalc.foci.lesions import Placed, group_foci, placed
from hepacalc.foci.pattern import classify_pattern
from hepacalc.foci.scene import Scene
from hepacalc.foci.shape import Body, Shape, describe_shape, fine_body
from hepacalc.foci.window import Window
from hepacalc.records import Calibration, Focus, Lesion, Measured, Measurement, NotMeasured, Pattern

__all__ = ["LESION_KINDS", "Draft", "join_foci"]

LESION_KINDS = ("calcification", "indeterminate")
CERTAINTIES = ("certain", "probable", "possible")


@dataclass(frozen=True, eq=False, slots=True)
class Draft:
    """A focus before it is numbered: its record, and what it was measured on."""

    focus: Focus
    window: Window | None
    body: Body | None
    shape: Shape | None


def join_foci(
    scene: Scene, drafts: Sequence[Draft], calibration: Calibration
) -> tuple[list[Focus], list[Lesion], list[int]]:
    """Group foci into lesions and number both, largest mass first.

    Args:
        scene: the liver.
        drafts: every focus, mimics included.
        calibration: HU to mg.

    Returns:
        Numbered foci, lesions, and for each numbered focus its place in ``drafts``.
    """
    members: list[int] = []
    bodies: list[Placed] = []
    for k, draft in enumerate(drafts):
        window, body, shape = draft.window, draft.body, draft.shape
        if draft.focus.kind in LESION_KINDS and window is not None and body is not None and shape is not None:
            members.append(k)
            bodies.append(_placed(scene, draft.focus, window, body, shape))
    groups = [(tuple(members[i] for i in g.members), g.reasons) for g in group_foci(bodies)]

    def rank(group: tuple[tuple[int, ...], tuple[str, ...]]) -> tuple[bool, float]:
        foci = [drafts[k].focus for k in group[0]]
        return all(f.kind != "calcification" for f in foci), -sum(_mass(f) for f in foci)

    groups.sort(key=rank)
    order = [k for group, _ in groups for k in sorted(group, key=lambda k: -_mass(drafts[k].focus))]
    order += [k for k in range(len(drafts)) if k not in set(order)]
    lesion_of = {k: n for n, (group, _) in enumerate(groups, start=1) for k in group}
    numbered = {k: replace(drafts[k].focus, id=n, lesion=lesion_of.get(k)) for n, k in enumerate(order, start=1)}
    lesions = [
        _lesion(scene, n, [replace(drafts[k], focus=numbered[k]) for k in group], reasons, calibration)
        for n, (group, reasons) in enumerate(groups, start=1)
    ]
    return [numbered[k] for k in order], lesions, order


def _placed(scene: Scene, focus: Focus, window: Window, body: Body, shape: Shape) -> Placed:
    start = [b.start * d for b, d in zip(window.box, scene.spacing_mm, strict=True)]
    pattern = focus.pattern.dominant if isinstance(focus.pattern, Pattern) else "punctate"
    origin = (start[0], start[1], start[2])
    return placed(body, origin, pattern=pattern, size_mm=shape.diameter_mm, peak_hu=float(window.hu.max()))


def _lesion(
    scene: Scene, number: int, drafts: list[Draft], reasons: tuple[str, ...], calibration: Calibration
) -> Lesion:
    """Describe the foci of one lesion together."""
    foci = [d.focus for d in drafts]
    surest = min(foci, key=lambda f: (f.kind != "calcification", CERTAINTIES.index(f.certainty), -_mass(f)))
    largest = max(foci, key=_mass)
    weights = np.array([max(_mass(f), 1e-3) for f in foci])
    x, y, z = (np.array([f.centroid_mm for f in foci]) * weights[:, None]).sum(0) / weights.sum()
    pattern, extent = _together(scene, drafts)
    mistaken = tuple(dict.fromkeys(m for f in foci for m in f.mimic))
    words = (*reasons, *(f"might be mistaken for: {m}" for m in mistaken))
    return Lesion(
        number,
        tuple(f.id for f in foci),
        surest.kind,
        surest.certainty,
        (float(x), float(y), float(z)),
        add_up([f.measurements["volume_mm3"] for f in foci], "mm3", "half maximum, sum of its foci"),
        add_up(
            [f.measurements["mass_mg"] for f in foci], "mg", f"integrated above background; {calibration.source}",
            shared_sd=calibration.relative_sd,
        ),
        extent,
        pattern,
        largest.segment,
        largest.surroundings,
        words,
    )  # fmt: skip


def _together(scene: Scene, drafts: list[Draft]) -> tuple[Pattern | NotMeasured, Measurement]:
    """Return pattern and extent of the foci of a lesion seen as one."""
    if len(drafts) == 1:
        return drafts[0].focus.pattern, drafts[0].focus.measurements["diameter_mm"]
    windows = [d.window for d in drafts if d.window is not None]
    low = [min(w.box[a].start for w in windows) for a in range(3)]
    high = [max(w.box[a].stop for w in windows) for a in range(3)]
    above = np.zeros([b - a for a, b in zip(low, high, strict=True)], np.float32)
    region = np.zeros(above.shape, bool)
    for window in windows:
        part = tuple(slice(b.start - a, b.stop - a) for b, a in zip(window.box, low, strict=True))
        above[part] = np.maximum(above[part], window.hu - window.background)
        region[part] |= window.region
    body = fine_body(above, region, scene.spacing_mm)
    depth = depth_on_body(scene, body, (low[0], low[1], low[2]))
    pattern = classify_pattern(body, depth_mm=depth, thickness_mm=scene.slice_thickness_mm, region_parts=len(windows))
    if any(isinstance(d.focus.measurements["diameter_mm"], NotMeasured) for d in drafts):
        return pattern, NotMeasured("a part of it is cut by the edge of the scan")
    return pattern, measure_diameters(scene, body, describe_shape(body)).measured()[0]


def _mass(focus: Focus) -> float:
    return _value(focus.measurements["mass_mg"], 0.0)


def _value(number: Measurement, otherwise: float) -> float:
    return number.value if isinstance(number, Measured) else otherwise
