"""From measured foci and lesions to findings: the doubt of the measurement flows into the differential.

Nothing is forced into one word: a pattern comes as a weight for each shape, the host as a weight for each thing that
could hold the focus. What a CT of this phase cannot show is not known: without contrast medium a mass may be there and
not be seen, so a mass is never ruled out; ducts, spleen and chest are not read by this program and stay unknown.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepacalc.reason.evidence import Evidence, Said
from hepacalc.reason.network import Network
from hepacalc.reason.records import Finding
from hepacalc.records import Assessment, Focus, Lesion, Measured, Pattern, Surroundings

__all__ = ["CtFindings", "ct_findings"]

Floats = NDArray[np.float64]

SHAPES: dict[str, dict[str, float]] = {
    "punctate": {"punctate": 1.0, "nodular": 0.3},
    "nodular solid": {"nodular": 1.0, "coarse": 0.5, "punctate": 0.25, "central": 0.25},
    "rim complete": {"rim": 1.0},
    "rim incomplete": {"rim": 0.7, "curvilinear": 0.7, "coarse": 0.15},
    "curvilinear": {"curvilinear": 1.0, "rim": 0.2, "linear": 0.3, "comma": 0.2, "plaque": 0.2},
    "septal": {"septal_map": 1.0},
    "central stellate": {"central": 1.0, "coarse": 0.4},
    "amorphous": {"amorphous": 1.0, "coarse": 0.5},
    "branching duct": {"branching": 1.0, "linear": 0.3},
    "linear vascular": {"linear": 1.0, "branching": 0.3, "curvilinear": 0.2},
    "capsular plaque": {"plaque": 1.0, "curvilinear": 0.3},
    "comma": {"comma": 1.0, "curvilinear": 0.25, "nodular": 0.15},
}
"""P(pattern measured | shape a radiologist would name), up to a factor: a judgement, not measured."""
HOST_OF_SHAPE: dict[str, dict[str, float]] = {
    "septal_map": {"septa_capsule": 1.0},
    "branching": {"bile_duct": 1.0, "vessel": 0.5},
    "linear": {"vessel": 1.0, "bile_duct": 0.6, "septa_capsule": 0.4},
    "plaque": {"surface": 1.0, "septa_capsule": 0.6},
    "rim": {"cyst": 0.4},
    "curvilinear": {"cyst": 0.3, "surface": 0.3, "vessel": 0.3},
}
"""Hosts that a shape by itself makes possible although their own tissue does not show."""
UNSEEN_MASS = {True: 0.08, False: 0.15}
"""Weight of a mass where the surroundings look like liver, by whether contrast medium is in the scan. A judgement."""
FLOOR = 0.02
FEW = 5
DIFFUSE = 40
NEAR_SURFACE_MM = 5.0
SIZES = (("under_10", 0.0, 10.0), ("10_30", 10.0, 30.0), ("30_100", 30.0, 100.0), ("over_100", 100.0, np.inf))
DENSITIES = (
    ("below_90", -np.inf, 90.0), ("90_130", 90.0, 130.0), ("130_1000", 130.0, 1000.0), ("over_1000", 1000.0, np.inf),
)  # fmt: skip


@dataclass(frozen=True, eq=False, slots=True)
class CtFindings:
    """What one CT says.

    Args:
        shared: about the patient: how many foci.
        lesions: ``(lesion id, evidence)``: shape and host, size, density.
        findings: the same as records, by ``measured``, with the lesion's id.
    """

    shared: Evidence
    lesions: tuple[tuple[int, Evidence], ...]
    findings: tuple[Finding, ...]


def ct_findings(assessment: Assessment, network: Network) -> CtFindings:
    """Return the findings of a CT for one network.

    Args:
        assessment: the scan; lesions that may be calcium are taken, mimics are not.
        network: the adult network.

    Returns:
        Evidence with doubt; empty where the scan shows nothing.
    """
    is_contrast = assessment.phase.is_contrast
    foci = {focus.id: focus for focus in assessment.foci}
    shared: dict[str, Floats] = {}
    said: dict[str, tuple[Said, ...]] = {}
    findings: list[Finding] = []
    if assessment.lesions:
        weights, words = _number(assessment, network)
        shared["number"], said["number"] = weights, (Said(words, "measured"),)
        findings.append(_finding("number", weights, words, network, None))
    lesions = []
    for lesion in assessment.lesions:
        blocks = _lesion_blocks(lesion, [foci[k] for k in lesion.focus_ids], is_contrast, network)
        findings += [_finding(block, w, text, network, lesion.id) for block, (w, text) in blocks.items()]
        evidence = Evidence(
            network.name,
            {block: w for block, (w, _) in blocks.items()},
            {block: (Said(text, "measured"),) for block, (_, text) in blocks.items()},
        )
        lesions.append((lesion.id, evidence))
    return CtFindings(Evidence(network.name, shared, said), tuple(lesions), tuple(findings))


def _finding(block: str, weights: Floats, text: str, network: Network, lesion: int | None) -> Finding:
    """Return a record of what was measured."""
    top = float(weights.max())
    pairs = tuple(
        (state, round(float(w) / top, 4)) for state, w in zip(network.states[block], weights, strict=True) if w > 0
    )
    return Finding(block, pairs, text, "measured", lesion)


def _number(assessment: Assessment, network: Network) -> tuple[Floats, str]:
    """How many lesions: those that are only indeterminate may or may not count."""
    sure = sum(lesion.kind == "calcification" for lesion in assessment.lesions)
    total = len(assessment.lesions)
    weights = np.full(len(network.states["number"]), 0.0)
    counts = np.arange(max(sure, 1), total + 1)
    for count in counts:
        share = 1.0 / len(counts)
        for state, part in _count_states(int(count)).items():
            weights[network.states["number"].index(state)] += share * part
    if not assessment.liver.is_complete:
        # there may be more where the scan does not reach
        weights = weights + 0.3 * np.maximum.accumulate(weights)
    words = f"{sure} calcified, {total - sure} indeterminate" if total > sure else f"{total} calcified"
    return weights, f"{words} lesion{'s' if total != 1 else ''} on CT"


def _count_states(count: int) -> dict[str, float]:
    """States of the number block for one count."""
    if count == 1:
        return {"single": 1.0}
    if count <= FEW:
        return {"few": 1.0}
    return {"many": 1.0, "diffuse": 0.1 if count < DIFFUSE else 1.0}


def _lesion_blocks(
    lesion: Lesion, foci: list[Focus], is_contrast: bool, network: Network
) -> dict[str, tuple[Floats, str]]:
    """Shape and host, size, density of one lesion."""
    out: dict[str, tuple[Floats, str]] = {}
    shape = _shape(lesion, network)
    host, words = _host(lesion, foci, is_contrast, network)
    if shape is not None or host is not None:
        hosts, shapes = network.axes["lesion"]["host"], network.axes["lesion"]["morphology"]
        if shape is None:
            shape = np.ones(len(shapes))
        joint = np.outer(np.ones(len(hosts)) if host is None else host, shape)
        for name, more in HOST_OF_SHAPE.items():
            for other, weight in more.items():
                row, column = hosts.index(other), shapes.index(name)
                joint[row, column] = max(joint[row, column], weight * shape[column])
        pattern = f"{lesion.pattern.dominant} " if isinstance(lesion.pattern, Pattern) else ""
        out["lesion"] = joint.ravel(), f"{pattern}{words}".strip()
    size = _size(lesion, network)
    if size is not None:
        out["extent"] = size
    if not is_contrast:
        dense = _density(foci, network)
        if dense is not None:
            out["density"] = dense
    return out


def _shape(lesion: Lesion, network: Network) -> Floats | None:
    """Weights of the morphologies: P(measured pattern | shape), over the doubt of the pattern."""
    if not isinstance(lesion.pattern, Pattern):
        return None
    names = network.axes["lesion"]["morphology"]
    weights = np.zeros(len(names))
    for pattern, probability in lesion.pattern.probabilities:
        for shape, share in SHAPES[pattern].items():
            weights[names.index(shape)] += probability * share
    return np.asarray(np.maximum(weights / weights.max(), FLOOR))


def _host(lesion: Lesion, foci: list[Focus], is_contrast: bool, network: Network) -> tuple[Floats | None, str]:
    """Weights of the hosts, from what surrounds the lesion and how deep it lies."""
    around = lesion.surroundings
    if not isinstance(around, Surroundings):
        return None, ""
    like, fluid, other = around.parenchyma, around.fluid, around.soft_tissue_mass
    depths = [f.measurements["capsule_distance_mm"] for f in foci]
    near = [d.low for d in depths if isinstance(d, Measured)]
    shallow = bool(near) and min(near) <= NEAR_SURFACE_MM
    unseen = UNSEEN_MASS[is_contrast]
    seen = {
        "parenchyma": like,
        "cyst": fluid,
        "solid_cystic_mass": max(0.5 * (fluid + other), 0.5 * unseen * like),
        "solid_mass": max(other, unseen * like),
        "septa_capsule": 0.3 * like,
        "bile_duct": max(0.6 * fluid, 0.1 * like),
        "vessel": 0.2 * like,
        "surface": like + 0.5 * other if shallow else 0.05,
        "treated_zone": max(0.5 * other, 0.2 * like),
        "diffuse": FLOOR,
        "outside_liver": 0.3 if shallow else FLOOR,
    }
    names = network.axes["lesion"]["host"]
    weights = np.array([max(seen.get(name, 1.0), FLOOR) for name in names])
    most = max((like, "in what looks like liver"), (fluid, "beside fluid"), (other, "beside other soft tissue"))
    return weights / weights.max(), most[1]


def _size(lesion: Lesion, network: Network) -> tuple[Floats, str] | None:
    """Size of the lesion with its host: as large as the calcium, or larger where a host is there or cannot be seen."""
    extent = lesion.extent_mm
    if not isinstance(extent, Measured):
        return None
    around = lesion.surroundings
    hosted = 1.0 - around.parenchyma if isinstance(around, Surroundings) else 1.0
    states = network.states["extent"]
    shares = _between(extent, SIZES)
    weights = np.zeros(len(states))
    for place, (name, _, _) in enumerate(SIZES):
        smaller = sum(shares[:place])
        weights[states.index(name)] = shares[place] + max(hosted, 0.1) * smaller
    return weights, f"calcium over {extent.value:.0f} mm"


def _density(foci: list[Focus], network: Network) -> tuple[Floats, str] | None:
    """Highest CT number of the lesion, without contrast medium."""
    tops = [m for f in foci if isinstance(m := f.measurements["max_hu"], Measured)]
    if len(tops) < len(foci) or not tops:
        return None
    top = max(tops, key=lambda m: m.value)
    states = network.states["density"]
    weights = np.zeros(len(states))
    for (name, _, _), share in zip(DENSITIES, _between(top, DENSITIES), strict=True):
        weights[states.index(name)] = max(share, 0.01)
    return weights, f"up to {top.value:.0f} HU without contrast medium"


def _between(value: Measured, limits: tuple[tuple[str, float, float], ...]) -> list[float]:
    """Share of a measured value's 90 % interval (triangular) that falls between each pair of limits."""
    points = np.concatenate([
        np.linspace(value.low, value.value, 20), np.linspace(value.value, value.high, 20)
    ])  # fmt: skip
    weights = np.concatenate([np.linspace(0.1, 1, 20), np.linspace(1, 0.1, 20)])
    return [float(weights[(points >= low) & (points < high)].sum() / weights.sum()) for _, low, high in limits]
