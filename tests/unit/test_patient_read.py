import copy
import datetime
from pathlib import Path
from typing import Any

import pytest

from hepacalc.errors import InvalidPatient
from hepacalc.patient.checks import patient_warnings
from hepacalc.patient.read import LARGEST_FILE, patient_from_data, read_patient, read_patient_file
from patient_files import FULL, TODAY


def refused(text: str) -> str:
    with pytest.raises(InvalidPatient) as caught:
        read_patient(text, today=TODAY)
    assert caught.value.hint
    return caught.value.message


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("age: 400", "age"), ("age: -1", "age"), ("age: .nan", "age"), ("name: x", "name"), ("sex: f", "sex"),
        ("laboratory: [{name: alt, value: -3, unit: U/L}]", "laboratory.0.value"),
        ("laboratory: [{name: alt, value: 3, unit: furlong}]", "laboratory.0.unit"),
        ("laboratory: [{name: alt, value: 3}]", "laboratory.0"),
        ("laboratory: [{name: altt, value: 3, unit: U/L}]", "laboratory.0.name"),
        ("laboratory: [{name: alt, value: 3, unit: U/L, upper_limit: 1.0e9}]", "laboratory.0.upper_limit"),
        ("laboratory: [{name: alt, value: 3, unit: U/L, date: 2027}]", "laboratory.0.date"),
        ("laboratory: [{name: hbv_dna, value: 99, unit: log10 IU/mL}]", "laboratory.0"),
        ("laboratory: [{name: liver_tests, value: 3, unit: U/L}]", "laboratory.0.value"),
        ("laboratory: [{name: cea, value: 3, unit: ng/mL, copies_per_iu: 5}]", "laboratory.0"),
        ("serology: [{test: hydatid, result: positive}]", "serology.0.test"),
        ("exposures: {pasture: perhaps}", "exposures.pasture"), ("exposures: {others: yes}", "exposures.others"),
        ("exposures: {pasture: {had: no, since: 1990}}", "exposures.pasture"),
        ("exposures: {pasture: {had: yes, since: 2001, until: 1990}}", "exposures.pasture"),
        ("exposures: {pasture: {had: yes, since: 2026-02-30}}", "exposures.pasture.since"),
        ("age: 20\nexposures: {pasture: {had: yes, since: 1990}}", "exposures.pasture.since"),
        ("age: 20\nexposures: {pasture: {had: yes, to_age: 30}}", "exposures.pasture.to_age"),
        ("assessed_on: 2027-01-01", "assessed_on"),
        ("assessed_on: 2020\nprior_examinations: [{date: 2022, modality: ct}]",
        "prior_examinations.0.date"),
        ("sex: male\npregnant: yes", "pregnant"), ("age: 3\npregnant: yes", "pregnant"),
        ("sex: male\ncancers: {known: [{site: ovary}]}", "cancers.known.0.site"),
        ("cancers: {had: no, known: [{site: colon}]}", "cancers.had"),
        ("fetus: {gestational_weeks: 60}", "fetus.gestational_weeks"), ("age: 3\nfetus: {referral: yes}", "age"),
        ("fetus: {referral: yes}\nsymptoms: {pain: yes}", "symptoms"),
        ("examinations: [{modality: ultrasound, lesions: [{density_hu: 200}]}]", "examinations.0.lesions.0.density_hu"),
        ("examinations: [{modality: ct, number: single, lesions: [{size_mm: 3}, {size_mm: 4}]}]",
         "examinations.0.number"),
        ("examinations: [{modality: ct, number: 1, lesions: [{size_mm: 3}, {size_mm: 4}]}]", "examinations.0.number"),
        ("prior_examinations: [{date: 2020, modality: ct, seen: no, change: grown}]", "prior_examinations.0.seen"),
        ("old_images: no\nprior_examinations: [{date: 2020, modality: ct}]", "old_images"),
        ("overrule: [{block: ducts, lesion: 4, states: normal}]", "overrule.0.lesion"),
        ("overrule: [{block: ducts, states: {normal: 0}}]", "overrule.0.states"),
    ],
)  # fmt: skip
def test_an_error_names_the_field(text: str, field: str) -> None:
    assert f"{field}" in refused(text)
    assert refused(text).startswith(field)


@pytest.mark.parametrize(
    "text",
    ["", "[1]", "3", "a: [", "age: 3\nage: 4", "a: !!python/name:os.system x", "a: &x 1\nb: *x", "{", "{}}",
     '{"age": NaN}',
     '{"age": 3, "age": 4}', '{"a": ' + "[" * 100 + "]" * 100 + "}", "a: " + "[" * 2000, '{"age": 1' + "0" * 5000 + "}",
     '{"resourceType": "Bundle"}', "--- \n---\n", "\x00", "a: \x07"],
)  # fmt: skip
def test_what_is_no_patient_file_is_refused(text: str) -> None:
    assert refused(text)


def test_a_text_is_never_repeated() -> None:
    for text in ("Jane Doe: 3", "sex: Jane Doe", "age: Jane Doe", "exposures: {pasture: Jane Doe}", "a: [Jane Doe",
                 "laboratory: [{name: Jane Doe, value: 1, unit: U/L}]"):  # fmt: skip
        assert "Jane" not in refused(text)


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("\ufeffage: 40\nexposures:\n  pasture: no\nvirus:\n  # nothing\n", "utf-8")
    patient = read_patient_file(path, today=TODAY)
    assert patient.age == 40
    assert patient.exposures.pasture.had == "no"
    assert patient.exposures.tuberculosis.had == "not_asked"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidPatient, match="UTF-8"):
        read_patient_file(path, today=TODAY)
    path.write_bytes(b" " * (LARGEST_FILE + 1))
    with pytest.raises(InvalidPatient, match="bytes"):
        read_patient_file(path, today=TODAY)
    with pytest.raises(InvalidPatient, match="cannot be read"):
        read_patient_file(tmp_path / "none.yaml", today=TODAY)


def test_yaml_and_json_say_the_same() -> None:
    left = read_patient(
        "age: 40\nlaboratory: [{name: cea, value: '<2', unit: ng/mL}]\nassessed_on: 2025\n", today=TODAY
    )
    right = read_patient(
        '{"age": 40, "laboratory": [{"name": "cea", "value": 2, "comparator": "<", "unit": "ng/mL"}],'
        ' "assessed_on": "2025"}',
        today=TODAY,
    )
    assert left == right


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"virus": {"hbsag": "negative"}, "laboratory": [{"name": "hbv_dna", "value": 50, "unit": "IU/mL"}]}, "HBsAg"),
        ({"cancers": {"had": "no"}, "treatments": {"chemotherapy": "yes"}}, "no cancer"),
        ({"virus": {"anti_hcv": "negative", "hcv_rna": "positive"}}, "hepatitis C"),
        ({"laboratory": [{"name": "hbv_dna", "value": 50, "unit": "copies/mL"}]}, "3.41-5.82"),
        ({"laboratory": [{"name": "alt", "value": 50, "unit": "U/L", "date": 2020}]}, "more than a year"),
        ({"cancers": {"known": [{"site": "liver"}]}}, "cancer of liver"),
        ({"sex": "male", "treatments": {"contraceptive_pill": "yes"}}, "pill"),
        ({"virus": {"hiv": "positive"}, "conditions": {"hiv": "no"}}, "HIV"),
    ],
)  # fmt: skip
def test_what_is_odd_stays_as_a_warning(more: dict[str, Any], word: str) -> None:
    assert any(word in text for text in patient_warnings(patient_from_data(more, today=TODAY), today=TODAY))


def test_a_whole_file_has_no_warning_of_contradiction() -> None:
    found = patient_warnings(patient_from_data(copy.deepcopy(FULL), today=TODAY), today=TODAY)
    assert found == ("a cancer in remission still counts as a known cancer",)


def test_the_clock_is_the_callers() -> None:
    text = "laboratory: [{name: alt, value: 5, unit: U/L, date: 2026-01-31}]"
    read_patient(text, today=TODAY)
    with pytest.raises(InvalidPatient, match="future"):
        read_patient(text, today=datetime.date(2026, 1, 30))
