"""Varied patients for the interop figures: phantoms that were assessed, each thinned and told with another history.

Eight digital patients (four phases, two tube voltages, four kinds of liver) are scanned coarsely and assessed by the
whole walk. Each of the patients is one of them with a random part of its lesions and foci, some numbers turned into
"not measured", and a random patient file, for which causes and plan are worked out anew. Dates and UIDs differ too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np

from hepacalc.assess import assess_volume
from hepacalc.consult import consult
from hepacalc.errors import InvalidPatient
from hepacalc.knowledge import load_knowledge
from hepacalc.patient.read import read_patient
from hepacalc.patient.schema import Patient
from hepacalc.phantom import make_patient, random_specs
from hepacalc.records import Assessment, Burden, Focus, Lesion, NotMeasured, SeriesChoice, SeriesSummary

SPACING_MM = (5.0, 1.9, 1.9)
_SCANS = (
    ("non-contrast", 120.0, "normal"), ("non-contrast", 100.0, "fatty"), ("portal", 120.0, "normal"),
    ("arterial", 120.0, "normal"), ("non-contrast", 120.0, "iron"), ("delayed", 140.0, "normal"),
    ("non-contrast", 80.0, "amiodarone"), ("non-contrast", 140.0, "normal"),
)  # fmt: skip


def varied(count: int, seed: int = 1, scans: int = len(_SCANS)) -> Iterator[Assessment]:
    """Yield ``count`` assessments that differ in everything that a bundle holds."""
    rng = np.random.default_rng(seed)
    bases = [assessed_phantom(k, rng) for k in range(scans)]
    known = load_knowledge()
    for k in range(count):
        thin = thinned(bases[k % scans], rng)
        day = date(2026, 1, 1) + timedelta(days=int(rng.integers(0, 700)))
        now = datetime(day.year, day.month, day.day, 11, 30, tzinfo=UTC)
        run = replace(thin.run, created=now.isoformat())
        uid = f"2.25.{int(rng.integers(1, 2**62))}{int(rng.integers(1, 2**62))}"
        acquisition = replace(
            thin.acquisition, study_instance_uid=uid, series_instance_uid=f"{uid}1"[:64], study_date=f"{day:%Y%m%d}"
        )
        scan = replace(thin, run=run, acquisition=acquisition)
        if k % 10 != 9:
            reasoning = consult(random_patient(rng, day), known, today=day, assessment=scan)
            scan = replace(scan, reasoning=reasoning)
        yield scan


def assessed_phantom(k: int, rng: np.random.Generator) -> Assessment:
    """Return a coarse digital patient, assessed."""
    phase, kvp, liver = _SCANS[k]
    foci = random_specs(rng, int(rng.integers(4, 14)), diameter_mm=(4.0, 24.0), delta_hu=(150.0, 1100.0))
    made = make_patient(100 + k, phase=phase, kvp=kvp, liver=liver, foci=foci, spacing_mm=SPACING_MM)
    chosen = SeriesSummary("1.2.3.4", "phantom", "CT", made.volume.geometry.shape[0], 1.0, ("a phantom",))
    return assess_volume(made.volume, SeriesChoice(chosen))


def thinned(scan: Assessment, rng: np.random.Generator) -> Assessment:
    """Return an assessment with a random part of its lesions and mimics, and some numbers not measured."""
    kept = [one for one in scan.lesions if rng.random() < rng.choice([0.0, 0.3, 0.9])]
    lesions = tuple(replace(one, id=number) for number, one in enumerate(kept, 1))
    home = {focus: lesion.id for lesion in lesions for focus in lesion.focus_ids}
    foci = tuple(
        replace(_doubted(focus, rng), lesion=home.get(focus.id))
        for focus in scan.foci
        if focus.id in home or (focus.lesion is None and rng.random() < 0.5)
    )
    return replace(
        scan, lesions=tuple(_unsure(one, rng) for one in lesions), foci=foci, burden=_burden(scan, lesions, foci)
    )


def _doubted(focus: Focus, rng: np.random.Generator) -> Focus:
    lost = NotMeasured("the focus is cut by the edge of the scan")
    return replace(focus, measurements={n: lost if rng.random() < 0.1 else m for n, m in focus.measurements.items()})


def _unsure(lesion: Lesion, rng: np.random.Generator) -> Lesion:
    lost = NotMeasured("one of its foci was not measured")
    return replace(lesion, mass_mg=lost) if rng.random() < 0.15 else lesion


def _burden(scan: Assessment, lesions: tuple[Lesion, ...], foci: tuple[Focus, ...]) -> Burden:
    calcified = [one for one in lesions if one.kind == "calcification"]
    return replace(
        scan.burden,
        calcifications=len(calcified),
        certain=sum(one.certainty == "certain" for one in calcified),
        indeterminate=len(lesions) - len(calcified),
        mimics=sum(focus.lesion is None for focus in foci),
    )


def random_patient(rng: np.random.Generator, today: date) -> Patient:
    """Return a patient of whom something random is known; what contradicts itself is drawn again."""
    while True:
        try:
            return read_patient(json.dumps(_file(rng)), today=today)
        except InvalidPatient:
            continue


def _file(rng: np.random.Generator) -> dict[str, Any]:
    def some(of: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in of.items() if rng.random() < 0.5}

    def word() -> str:
        return str(rng.choice(["yes", "no"]))

    cancer = {"site": str(rng.choice(["colon", "breast", "ovary", "thyroid"])), "year": 2019, "treated": "yes"}
    laboratory = [
        {"name": "alt", "value": float(rng.integers(10, 200)), "unit": "U/L", "upper_limit": 40},
        {"name": "afp", "value": float(rng.integers(1, 900)), "unit": "ng/mL"},
        {"name": "ca19_9", "value": float(rng.integers(1, 300)), "unit": "U/mL"},
        {"name": "inflammation", "result": str(rng.choice(["normal", "raised"]))},
    ]
    return some(
        {
            "age": int(rng.integers(18, 90)),
            "sex": str(rng.choice(["female", "male"])),
            "exposures": some({"pasture": word(), "tuberculosis": word(), "brucella": word(), "others": "no"}),
            "cancers": {"had": "yes", "known": [cancer]} if rng.random() < 0.3 else {"had": "no"},
            "conditions": some({"diabetes": word(), "cirrhosis": word(), "others": "no"}),
            "symptoms": {"others": "no"},
            "laboratory": [one for one in laboratory if rng.random() < 0.5],
            "virus": some({"hbsag": str(rng.choice(["positive", "negative"])), "anti_hcv": "negative"}),
            "serology": [{"test": "echinococcus", "result": str(rng.choice(["positive", "negative"]))}],
            "old_images": word(),
            "further": some({"contrast_allergy": word(), "ancestry": "asian"}),
        }
    )
