"""Assessments and answers of every outcome that the sheet for the patient tells apart."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from hepacalc.consult import consult
from hepacalc.knowledge import load_knowledge
from hepacalc.patient.read import read_patient
from hepacalc.reason.reasoning import Reasoning
from hepacalc.records import Assessment
from reason_example import BLANK, CYST, FETUS, PERSON, SIMPLE, TODAY, answer, assessed
from report_example import BALLS, make_example

TUMOUR = """
age: 66
sex: male
cancers: {had: yes, known: [{site: colon, year: 2021, treated: yes}]}
symptoms: {weight_loss: yes}
examinations:
  - modality: ct_contrast
    number: many
    lesions:
      - {host: solid_mass, morphology: amorphous, size_mm: 35, enhancement: rim, contour: ill_defined}
"""
ANEURYSM = """
age: 61
sex: male
examinations:
  - modality: ct_contrast
    number: single
    lesions:
      - {host: vessel, morphology: curvilinear, size_mm: 22}
"""
EXPOSED = SIMPLE.replace("exposures: {others: no}", "exposures: {pasture: yes, others: no}")
STABLE = SIMPLE.replace(
    "old_images: no", "old_images: yes\nprior_examinations:\n  - {date: 2022, modality: ct, seen: yes, change: stable}"
)
SICK_FETUS = """
fetus:
  gestational_weeks: 22
  focus: mass
  anomalies: {hydrops_growth: yes}
"""
SMALL = (BALLS[2],)


@cache
def told() -> dict[str, Assessment | Reasoning]:
    """What the sheet is made of, by name."""
    empty = make_example(balls=())
    clean = replace(empty, limits=(), quality=())
    return {
        "nothing found": clean,
        "nothing found, with limits": empty,
        "nothing found, with a plan": _with(SIMPLE, clean),
        "hepatitis B, nothing found": _with(CYST, clean),
        "could not be judged": make_example(balls=(), severe=True),
        "could not be judged, with a plan": _with(PERSON, make_example(balls=(), severe=True)),
        "found, but parts could not be judged": make_example(severe=True),
        "indeterminate": make_example(balls=BALLS[3:4]),
        "indeterminate, two, with a plan": _with(SIMPLE, make_example(balls=(BALLS[3], BALLS[3]))),
        "found, nothing known of the patient": make_example(),
        "one found, nothing known of the patient": make_example(balls=SMALL),
        "found, after contrast medium": make_example(contrast=True),
        "healed granuloma, described": answer(SIMPLE),
        "healed granuloma, stable": answer(STABLE),
        "healed granuloma on the scan": _with(SIMPLE, make_example(balls=SMALL)),
        "small focus, exposed": answer(EXPOSED),
        "little known": answer(BLANK),
        "possible cystic echinococcosis": answer(CYST),
        "possible cystic echinococcosis on the scan": assessed(),
        "possible tumour": answer(TUMOUR),
        "possible tumour on the scan": _with(TUMOUR, make_example()),
        "possible aneurysm": answer(ANEURYSM),
        "fetus": answer(FETUS),
        "fetus with a second sign": answer(SICK_FETUS),
    }


def _with(patient: str, scan: Assessment) -> Assessment:
    found = consult(read_patient(patient, today=TODAY), load_knowledge(), today=TODAY, assessment=scan)
    return replace(scan, reasoning=found)
