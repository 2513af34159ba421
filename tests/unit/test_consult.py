"""Patient and scan together: what the scan answers, what a person overrules, what a clean scan means."""

import datetime
from dataclasses import replace

import pytest

from hepacalc.consult import consult
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
