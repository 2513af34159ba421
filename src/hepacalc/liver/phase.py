"""Contrast phase of a scan from its own blood, liver and organs; tags are weak evidence only.

The four phases are compared by their typical HU (naive Bayes, tempered because the features depend on each
other). A tag never decides alone: contrast agents are often left out of headers, and descriptions are copied
from one protocol to the next.

Reference: see ``docs/concepts/phase.md`` for the typical values and their sources.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepacalc.liver.vessels import LiverBlood, coarse_scan, find_aorta, liver_blood, organs_hu, spine_front
from hepacalc.records import (
    PHASES,
    Acquisition,
    LiverMask,
    Measured,
    Measurement,
    NotMeasured,
    Phase,
    PhaseName,
    Volume,
)

__all__ = ["VesselReference", "detect_phase", "vessel_reference"]

_PRIOR = np.array([0.35, 0.15, 0.37, 0.13])
_FLOOR = 1e-4
_TEMPER = 0.8
_HIGHEST = 0.97
_BLOOD_HU = 42.0
_LEAST_SHARE = 0.006
_LEAST_CONTRAST_HU = 10.0

# enhancement by iodine relative to 120 kV
_KVP = ((80.0, 1.55), (100.0, 1.22), (120.0, 1.0), (140.0, 0.87))
# mean and sd in HU for non-contrast, arterial, portal venous, delayed
_AORTA = ((42.0, 9.0), (300.0, 90.0), (155.0, 30.0), (105.0, 16.0))
_LIVER = ((52.0, 15.0), (62.0, 15.0), (102.0, 18.0), (88.0, 15.0))
_ORGANS = ((46.0, 10.0), (135.0, 35.0), (140.0, 45.0), (110.0, 25.0))
_CONTRAST = ((3.0, 8.0), (10.0, 20.0), (27.0, 12.0), (8.0, 9.0))
_WEIGHTS = {"aorta": 1.0, "liver vessels": 0.8, "liver": 0.5, "organs": 0.6}

_NATIVE = re.compile(r"\b(non[- ]?(contrast|con|enh\w*)|without|w/?o|native?|unenhanced|plain|nativ)\b", re.I)
_WORDS: tuple[tuple[PhaseName, re.Pattern[str]], ...] = (
    ("arterial", re.compile(r"\b(arterial|art|early|angio|cta)\b", re.I)),
    ("portal venous", re.compile(r"\b(portal|venous|ven|pv|porto\w*)\b", re.I)),
    ("delayed", re.compile(r"\b(delay\w*|late|equilibrium)\b", re.I)),
)
_NO_AGENT = re.compile(r"^\s*(no|none|non|without|nil|n/?a|0)?\s*$", re.I)


@dataclass(frozen=True, eq=False, slots=True)
class VesselReference:
    """What blood looks like in this scan.

    Args:
        aorta_hu: median of the aorta over its slices.
        liver_vessel_hu: larger vessels inside the liver, where they are brighter than it.
        liver_hu: parenchyma.
        organs_hu: spleen and kidneys, 90th percentile.
        aorta_mm: LPS ``(n, 3)`` centre line of the aorta, foot to head; empty when not found.
        aorta_quality: 0-1.
    """

    aorta_hu: Measurement
    liver_vessel_hu: Measurement
    liver_hu: Measurement
    organs_hu: Measurement
    aorta_mm: NDArray[np.float64]
    aorta_quality: float


def vessel_reference(volume: Volume, liver_mask: LiverMask) -> VesselReference:
    """Return HU of the aorta, of vessels inside the liver, of the liver and of the organs beside the spine.

    Args:
        volume: the scan, any axis order.
        liver_mask: the liver on its grid; may be empty or a part, then more is not measured.
    """
    if not liver_mask.mask.any():
        no = NotMeasured("there is no liver mask to look around")
        return VesselReference(no, no, no, no, np.zeros((0, 3)), 0.0)
    scan = coarse_scan(volume, liver_mask)
    front = spine_front(scan)
    aorta, blood, organs = find_aorta(scan, front), liver_blood(scan), organs_hu(scan, front)
    aorta_hu: Measurement = NotMeasured("no even round tube was found in front of the spine")
    if aorta is not None:
        low, middle, high = np.percentile(aorta.hu, [5, 50, 95])
        aorta_hu = Measured(float(middle), "HU", float(low), float(high), "aorta, tracked disc")
    return VesselReference(
        aorta_hu,
        _vessels(blood),
        NotMeasured("less than 20 mL of liver lie off its edge")
        if blood is None
        else _measured(blood.liver_hu, blood.spread_hu, "median of the inner liver at 3 mm"),
        NotMeasured("no even organ beside the spine") if organs is None else _measured(organs, 15.0, "90th percentile"),
        np.zeros((0, 3)) if aorta is None else aorta.centre_mm,
        0.0 if aorta is None else aorta.quality,
    )


def _measured(value: float, sd: float, method: str) -> Measured:
    return Measured(value, "HU", value - 1.645 * sd, value + 1.645 * sd, method)


def _vessels(blood: LiverBlood | None) -> Measurement:
    if blood is None:
        return NotMeasured("less than 20 mL of liver lie off its edge")
    if blood.bright_share < _LEAST_SHARE or blood.contrast_hu < _LEAST_CONTRAST_HU:
        return NotMeasured("no vessel inside the liver is clearly brighter than it")
    return _measured(blood.liver_hu + blood.contrast_hu, 12.0, "bright structures inside the liver at 3 mm")


def detect_phase(volume: Volume, liver_mask: LiverMask, *, reference: VesselReference | None = None) -> Phase:
    """Return the contrast phase with its evidence.

    ``undetermined`` when no phase reaches 0.6, or when non-contrast leads with less than 0.75: to call
    contrast medium calcium is the worse error.

    Args:
        volume: the scan, any axis order.
        liver_mask: the liver on its grid.
        reference: what :func:`vessel_reference` returned, to save its time.
    """
    seen = vessel_reference(volume, liver_mask) if reference is None else reference
    logs = np.log(_PRIOR)
    evidence: list[str] = []
    for log, words in (_aorta(seen, volume.acquisition.kvp), _liver_vessels(seen), _liver(seen), _organs(seen)):
        logs = logs + log
        evidence.append(words)
    from_pixels = _softmax(logs)
    log, words_from_tags = _tags(volume.acquisition, from_pixels)
    shares = _softmax(logs + log)
    best = int(np.argmax(shares))
    probability = float(min(shares[best], _HIGHEST))
    evidence.extend(words_from_tags)
    vessel = seen.aorta_hu if isinstance(seen.aorta_hu, Measured) else seen.liver_vessel_hu
    nothing = not any(isinstance(m, Measured) for m in (seen.aorta_hu, seen.liver_hu, seen.organs_hu))
    if nothing or probability < (0.75 if best == 0 else 0.6):
        return Phase("undetermined", probability, True, vessel, tuple(evidence))
    return Phase(PHASES[best], probability, best != 0, vessel, tuple(evidence))


def _softmax(logs: NDArray[np.float64]) -> NDArray[np.float64]:
    scaled = _TEMPER * (logs - logs.max())
    share: NDArray[np.float64] = np.exp(scaled) / np.exp(scaled).sum()
    return share


def _log_likelihood(value: float, table: tuple[tuple[float, float], ...]) -> NDArray[np.float64]:
    mean, sd = np.array(table).T
    density = np.exp(-0.5 * ((value - mean) / sd) ** 2) / (sd * np.sqrt(2 * np.pi))
    log: NDArray[np.float64] = np.log(density + _FLOOR)
    return log


def _at_120_kv(hu: float, kvp: float | None) -> float:
    """Return the HU of blood as at 120 kV; only the part above unenhanced blood scales."""
    if kvp is None or hu <= _BLOOD_HU:
        return hu
    factor = float(np.interp(kvp, [k for k, _ in _KVP], [f for _, f in _KVP]))
    return _BLOOD_HU + (hu - _BLOOD_HU) / factor


def _aorta(seen: VesselReference, kvp: float | None) -> tuple[NDArray[np.float64], str]:
    if isinstance(seen.aorta_hu, NotMeasured):
        return np.zeros(4), f"aorta not measured: {seen.aorta_hu.reason}"
    hu = seen.aorta_hu.value
    weight = _WEIGHTS["aorta"] * min(1.0, 0.4 + seen.aorta_quality)
    word = "as without contrast" if hu < 60 else "enhanced" if hu > 80 else "between blood and enhanced blood"
    return weight * _log_likelihood(_at_120_kv(hu, kvp), _AORTA), f"aorta {hu:.0f} HU, {word}"


def _liver_vessels(seen: VesselReference) -> tuple[NDArray[np.float64], str]:
    if isinstance(seen.liver_hu, NotMeasured):
        return np.zeros(4), f"vessels in the liver not measured: {seen.liver_hu.reason}"
    liver = seen.liver_hu.value
    contrast = 0.0
    words = "vessels inside the liver are not brighter than it"
    if isinstance(seen.liver_vessel_hu, Measured):
        contrast = seen.liver_vessel_hu.value - liver
        words = f"vessels inside the liver {seen.liver_vessel_hu.value:.0f} HU, {contrast:.0f} HU above it"
    expected = max(_BLOOD_HU - liver, 0.0)
    table = ((_CONTRAST[0][0] + expected, _CONTRAST[0][1]), *_CONTRAST[1:])
    if contrast and expected > 5:
        words += f" (unenhanced blood would be {expected:.0f} HU above this dark liver)"
    return _WEIGHTS["liver vessels"] * _log_likelihood(contrast, table), words


def _liver(seen: VesselReference) -> tuple[NDArray[np.float64], str]:
    if isinstance(seen.liver_hu, NotMeasured):
        return np.zeros(4), f"liver not measured: {seen.liver_hu.reason}"
    return _WEIGHTS["liver"] * _log_likelihood(seen.liver_hu.value, _LIVER), f"liver {seen.liver_hu.value:.0f} HU"


def _organs(seen: VesselReference) -> tuple[NDArray[np.float64], str]:
    if isinstance(seen.organs_hu, NotMeasured):
        return np.zeros(4), f"spleen and kidneys not measured: {seen.organs_hu.reason}"
    hu = seen.organs_hu.value
    word = "not enhanced" if hu < 68 else "enhanced"
    return _WEIGHTS["organs"] * _log_likelihood(hu, _ORGANS), f"spleen or kidneys up to {hu:.0f} HU, {word}"


def _tags(acquisition: Acquisition, shares: NDArray[np.float64]) -> tuple[NDArray[np.float64], list[str]]:
    """Return weak evidence from the header, and where it contradicts the pixels."""
    log, words = np.zeros(4), []
    agent = acquisition.contrast_bolus_agent
    if agent is not None and not _NO_AGENT.match(agent):
        log[1:] += np.log(2.5)
        words.append("the header names a contrast agent")
        if shares[0] > 0.8:
            words.append("the header contradicts the pixels: a contrast agent is named, but blood is not enhanced")
    elif shares[0] < 0.2 and acquisition.modality is not None:
        words.append("the header names no contrast agent, but the pixels are enhanced")
    text = acquisition.series_description or ""
    if _NATIVE.search(text):
        log[0] += np.log(2.0)
        words.append("the series description says without contrast")
        if shares[0] < 0.2:
            words.append("the series description contradicts the pixels: they are enhanced")
        return log, words
    for name, pattern in _WORDS:
        if pattern.search(text):
            log[PHASES.index(name)] += np.log(2.0)
            words.append(f"the series description speaks of {name}")
            if shares[0] > 0.8:
                words.append("the series description contradicts the pixels: blood is not enhanced")
            break
    return log, words
