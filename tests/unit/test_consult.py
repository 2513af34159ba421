"""Patient and scan together: what the scan answers, what a person overrules, what a clean scan means."""

import datetime
from dataclasses import replace

import pytest

from hepacalc.consult import UNJUDGED, consult
from hepacalc.knowledge import load_knowledge
from hepacalc.patient.read import read_patient
from report_example import make_example

TODAY = datetime.date(2026, 11, 23)
KNOWLEDGE = load_knowledge()
PATIENT = """
age: 52
sex: female
reason: health_check
examinations:
  - modality: ultrasound
    date: 2026-11-01
    lesions:
      - {size_mm: 40, host: cyst, morphology: rim}
"""


def patient(more: str = ""):
    return read_patient(PATIENT + more, today=TODAY)


@pytest.fixture(scope="module")
def scan():
    return make_example()


def test_the_scan_takes_the_place_of_what_was_typed_in_and_both_are_kept(scan):
    found = consult(patient(), KNOWLEDGE, today=TODAY, assessment=scan)
    typed = [f for f in found.findings if f.block == "lesion" and f.by != "measured"]
    measured = [f for f in found.findings if f.block == "lesion" and f.by == "measured"]
    assert typed
    assert all(f.overruled for f in typed)
    assert len(measured) == len(scan.lesions)
    assert not any(f.overruled for f in measured)
    assert [told.lesion for told in found.lesions] == [lesion.id for lesion in scan.lesions]


def test_a_person_overrules_the_scan_and_both_are_kept(scan):
    lesion = scan.lesions[0].id
    more = f"overrule:\n  - {{block: lesion, lesion: {lesion}, states: {{host: cyst, morphology: rim}}, note: seen}}\n"
    found = consult(patient(more), KNOWLEDGE, today=TODAY, assessment=scan)
    own = [f for f in found.findings if f.block == "lesion" and f.lesion == lesion]
    assert {(f.by, f.overruled) for f in own} >= {("measured", True), ("person", False)}
    plain = consult(patient(), KNOWLEDGE, today=TODAY, assessment=scan)
    cyst = [told.differential["ce"].probability for told in found.lesions if told.lesion == lesion]
    before = [told.differential["ce"].probability for told in plain.lesions if told.lesion == lesion]
    assert cyst[0] > before[0]


def test_a_clean_scan_asks_for_nothing_because_of_calcium(scan):
    clean = replace(scan, lesions=(), foci=tuple(f for f in scan.foci if f.lesion is None))
    found = consult(patient(), KNOWLEDGE, today=TODAY, assessment=clean)
    assert not found.plan.flags
    assert not found.plan.tests
    assert "No calcification" in dict(found.plan.stop)["en"]
    assert all(KNOWLEDGE.rules[item.rule].beside for item in found.plan.items)


JAUNDICE = "symptoms: {jaundice: yes}\n"


@pytest.mark.parametrize("is_judged", [True, False])
def test_a_scan_that_could_not_be_judged_drops_no_red_flag(scan, is_judged):
    """A failed input was once planned like a clean scan: no red flags, tests or questions, and it said stop."""
    clean = replace(scan, lesions=(), foci=())
    clean = clean if is_judged else replace(clean, liver=replace(clean.liver, confidence=0.2))
    found = consult(patient(JAUNDICE), KNOWLEDGE, today=TODAY, assessment=clean)
    without = consult(patient(JAUNDICE), KNOWLEDGE, today=TODAY)
    assert "symptoms" in {flag.flag for flag in without.plan.flags}
    assert ("symptoms" in {flag.flag for flag in found.plan.flags}) is not is_judged
    assert bool(found.plan.stop) is is_judged
    assert (UNJUDGED in found.plan.notes) is not is_judged
    if not is_judged:
        assert found.plan.tests
        assert found.plan.questions


def test_a_test_that_was_just_done_is_not_proposed(scan):
    plain = replace(scan, phase=replace(scan.phase, name="non-contrast", is_contrast=False))
    enhanced = replace(scan, phase=replace(scan.phase, name="portal venous", is_contrast=True))
    for assessment, wanted in ((plain, False), (enhanced, True)):
        found = consult(patient(), KNOWLEDGE, today=TODAY, assessment=assessment)
        assert ("noncontrast_ct" in {test.test for test in found.plan.tests}) is wanted


def test_without_a_scan_what_was_typed_in_counts():
    found = consult(patient(), KNOWLEDGE, today=TODAY)
    assert found.differential["ce"].probability > 0.05
    assert any(flag.flag == "cystic_echinococcosis" for flag in found.plan.flags)
    assert not any(f.overruled for f in found.findings)
