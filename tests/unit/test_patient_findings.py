import copy
import itertools
from typing import Any

import numpy as np
import pytest

from hepacalc.errors import InvalidPatient
from hepacalc.knowledge import load_knowledge
from hepacalc.patient.read import patient_from_data
from hepacalc.patient.several import several_weights
from hepacalc.patient.to_findings import PatientFindings, patient_findings
from hepacalc.reason.differential import differential
from hepacalc.reason.situation import situation
from patient_files import FULL, TODAY


def found(data: dict[str, Any], **more: Any) -> PatientFindings:
    patient = patient_from_data(copy.deepcopy(data), today=TODAY)
    return patient_findings(patient, load_knowledge(), today=TODAY, **more)


def weights(data: dict[str, Any], block: str, lesion: int | None = None) -> dict[str, float]:
    said = found(data)
    evidence = said.evidence if lesion is None else said.lesions[lesion - 1]
    states = load_knowledge().blocks[block].states
    return dict(zip(states, evidence.weights.get(block, np.ones(len(states))).tolist(), strict=True))


def lab(name: str, value: float, unit: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "value": value, "unit": unit, **more}


# ---------------------------------------------------------------- several states


STATES, BASE = ("none", "a", "b", "c"), np.array([0.8, 0.1, 0.05, 0.05])


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"a": 1}, [0, 1, 0.1, 0.1]),
        ({"a": 1, "b": 0, "c": 0}, [0, 1, 0, 0]),
        ({"a": 0}, [1, 0, 1, 1]),
        ({"a": 0, "b": 0, "c": 0}, [1, 0, 0, 0]),
        ({"a": 0.3}, [1, 0.3, 1, 1]),
        ({"a": 1, "b": 1, "c": 0}, [0, 0.5, 1, 0]),
        ({"a": 1, "b": 1}, [0, 0.5, 1, 0.05]),
    ],
)
def test_weights_of_states_that_go_together(said: dict[str, float], expected: list[float]) -> None:
    got = several_weights(STATES, BASE, "none", said)
    assert got is not None
    np.testing.assert_allclose(got, expected)


def test_nothing_said_is_nothing() -> None:
    assert several_weights(STATES, BASE, "none", {}) is None


def test_two_that_were_had_give_the_mean_of_their_ratios() -> None:
    cause = np.array([0.3, 0.6, 0.05, 0.05])
    got = several_weights(STATES, BASE, "none", {"a": 1, "b": 1, "c": 0})
    assert got is not None
    ratio = (got @ cause) / (got @ BASE)
    assert ratio == pytest.approx((0.6 / 0.1 + 0.05 / 0.05) / 2)


# ---------------------------------------------------------------- history


def test_not_asked_and_no_are_two_things() -> None:
    open_, denied = weights({}, "exposure"), weights({"exposures": {"pasture": "no"}}, "exposure")
    assert set(open_.values()) == {1.0}
    assert denied == open_ | {"pasture": 0.0}
    nothing = weights({"exposures": {"others": "no"}}, "exposure")
    assert [state for state, w in nothing.items() if w] == ["none"]


def test_a_yes_alone_leaves_the_unasked_their_base_rate() -> None:
    got = weights({"exposures": {"pasture": "yes"}}, "exposure")
    assert got["pasture"] == 1
    assert got["none"] == 0
    assert got["tuberculosis"] == pytest.approx(0.03)
    open_ = weights({"exposures": {"pasture": None, "others": "no"}}, "exposure")
    assert [state for state, w in open_.items() if w] == ["none", "pasture"]
    only = weights({"exposures": {"pasture": "yes", "others": "no"}}, "exposure")
    assert [state for state, w in only.items() if w] == ["pasture"]


def test_a_state_of_several_questions_is_denied_only_by_all() -> None:
    assert weights({"conditions": {"liver_injury": "no"}}, "history")["trauma"] == 1
    denied = {"conditions": {"liver_injury": "no", "liver_bleeding": "no"}, "treatments": {"anticoagulants": "no"}}
    assert weights(denied, "history")["trauma"] == 0
    assert weights({"treatments": {"anticoagulants": "yes"}}, "history")["none"] == 0


def test_cancers() -> None:
    assert weights({"cancers": {"had": "no"}}, "primary")["none"] == 1
    assert sum(weights({"cancers": {"had": "no"}}, "primary").values()) == 1
    colon = weights({"cancers": {"known": [{"site": "colon"}]}}, "primary")
    assert (colon["colorectal"], colon["none"]) == (1, 0)
    assert 0 < colon["breast"] < 0.1
    unknown = weights({"cancers": {"had": "yes"}}, "primary")
    assert unknown["none"] == 0
    assert {w for s, w in unknown.items() if s != "none"} == {1.0}
    # a liver cancer is a cause, not a primary elsewhere: the block stays open, the setting is that of known cancer
    liver = {"cancers": {"known": [{"site": "liver"}]}}
    assert set(weights(liver, "primary").values()) == {1.0}
    assert found(liver).setting.id == "oncology"
    treated = weights({"cancers": {"known": [{"site": "breast", "treated": "yes"}]}}, "history")
    assert treated["chemotherapy"] == 1


@pytest.mark.parametrize(
    ("data", "states"),
    [
        ({"age": 0.5}, {"infant"}), ({"age": 1}, {"child_1_4"}), ({"age": 17.9, "sex": "male"}, {"child_5_17"}),
        ({"age": 18, "sex": "female"}, {"f_18_39"}), ({"age": 40}, {"f_40_59", "m_40_59"}),
        ({"age": 90, "sex": "male"}, {"m_60"}), ({"age": 50, "sex": "other"}, {"f_40_59", "m_40_59"}),
        ({"sex": "male"}, {"infant", "child_1_4", "child_5_17", "m_18_39", "m_40_59", "m_60"}),
    ],
)  # fmt: skip
def test_age_and_sex(data: dict[str, Any], states: set[str]) -> None:
    assert {state for state, w in weights(data, "age_sex").items() if w} == states


# ---------------------------------------------------------------- laboratory


@pytest.mark.parametrize(
    ("labs", "expected"),
    [
        ([lab("alt", 80, "U/L")], [0, 1, 0, 1]),
        ([lab("alt", 20, "U/L")], [1, 0.25, 1, 0.25]),
        ([lab("alt", 20, "U/L"), lab("ast", 20, "U/L")], [1, 0, 1, 0]),
        ([lab("alt", 80, "U/L"), lab("alp", 300, "U/L")], [0, 0, 0, 1]),
        ([lab("alt", 55, "U/L", upper_limit=60), lab("ast", 20, "U/L")], [1, 0, 1, 0]),
        ([lab("alt", 80, "U/L", comparator="<")], [1, 1, 1, 1]),
        ([lab("alt", 80, "U/L", comparator=">")], [0, 1, 0, 1]),
        ([lab("alt", 10, "U/L", date="2025-12"), lab("alt", 80, "U/L", date="2026-01")], [0, 1, 0, 1]),
        ([{"name": "liver_tests", "result": "normal"}], [1, 0, 0, 0]),
        ([{"name": "liver_tests", "result": "raised"}], [0, 1, 1, 1]),
        ([{"name": "liver_tests", "result": "normal"}, lab("alp", 300, "U/L")], [0, 0, 1, 0]),
        ([lab("bilirubin", 5, "umol/L"), *(lab(name, 5, "U/L") for name in ("alt", "ast", "alp", "ggt"))],
         [1, 0, 0, 0]),
    ],
)  # fmt: skip
def test_liver_tests(labs: list[dict[str, Any]], expected: list[float]) -> None:
    for order in itertools.permutations(labs) if len(labs) < 4 else [labs]:
        got = weights({"age": 40, "laboratory": list(order)}, "biochemistry")
        assert list(got.values()) == pytest.approx(expected)


def test_a_child_has_no_default_for_bone_enzymes() -> None:
    child = {"age": 9, "laboratory": [lab("alp", 300, "U/L")]}
    assert "biochemistry" not in found(child).evidence.weights
    own = {"age": 9, "laboratory": [lab("alp", 300, "U/L", upper_limit=350)]}
    assert weights(own, "biochemistry")["cholestatic"] < 1


def test_markers_eosinophils_calcium_inflammation() -> None:
    data = {"age": 50, "laboratory": [lab("cea", 50, "ug/L"), lab("afp", 3, "kU/L")]}
    got = weights(data, "markers")
    assert (got["cea"], got["afp"], got["normal"]) == (1, 0, 0)
    assert got["psa"] == pytest.approx(0.015)
    share = [lab("eosinophils_percent", 9, "%"), lab("wbc", 4, "10*9/L")]
    assert weights({"laboratory": share[:1]}, "eosinophils")["raised"] == 1
    assert weights({"laboratory": share}, "eosinophils")["raised"] == 0
    low = [lab("calcium", 2.0, "mmol/L")]
    assert weights({"laboratory": low}, "calcium")["disturbed"] == 1
    # 2.0 + 0.02 * (40 - 25) = 2.3 mmol/L
    assert weights({"laboratory": [*low, lab("albumin", 25, "g/L")]}, "calcium")["disturbed"] < 1
    assert weights({"laboratory": [lab("crp", 3, "mg/dL")]}, "inflammation")["raised"] == 1


def test_serology() -> None:
    def said(*tests: tuple[str, str]) -> dict[str, float]:
        return weights({"serology": [{"test": t, "result": r} for t, r in tests]}, "serology")

    negative = said(("echinococcus", "negative"))
    assert {state for state, w in negative.items() if w < 1} == {"echinococcus"}
    assert negative["echinococcus"] == 0
    assert said(("rose_bengal", "negative"))["brucella"] == pytest.approx(0.3)
    assert said(("rose_bengal", "negative"), ("brucella_coombs", "negative"))["brucella"] == 0
    assert said(("rose_bengal", "negative"), ("brucella_coombs", "positive"))["brucella"] == 1
    both = said(("echinococcus", "positive"), ("igra", "positive"))
    assert both["echinococcus"] == 1
    assert 0 < both["tuberculosis"] < 1
    assert both["negative"] == 0
    assert set(said(("igra", "indeterminate")).values()) == {1.0}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"virus": {"hbsag": "positive"}}, [0, 1, 1]),
        ({"virus": {"hbsag": "positive"}, "conditions": {"cirrhosis": "yes"}}, [0, 0, 1]),
        ({"virus": {"hbsag": "negative"}}, [1, 58 / 354, 1]),
        ({"virus": {"hbsag": "negative", "anti_hcv": "negative"}}, [1, 0, 1]),
        ({"virus": {"anti_hcv": "positive", "hcv_rna": "negative"}}, [1, 296 / 354, 1]),
        ({"conditions": {"chronic_hepatitis_b": "no", "chronic_hepatitis_c": "no"}}, [1, 0.25, 1]),
        ({"further": {"fibrosis": "cirrhosis"}}, [0, 0, 1]),
        ({"examinations": [{"modality": "ultrasound", "liver": "normal"}]}, [1, 1, 0.2]),
        ({"laboratory": [lab("hbv_dna", 20, "IU/mL")]}, [0, 1, 1]),
        ({"laboratory": [lab("hbv_dna", 20, "IU/mL", comparator="<")]}, [1, 1, 1]),
    ],
)
def test_background(data: dict[str, Any], expected: list[float]) -> None:
    assert list(weights(data, "liver_background").values()) == pytest.approx(expected)


# ---------------------------------------------------------------- images


def exam(modality: str, *lesions: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"modality": modality, "lesions": list(lesions), **more}


def test_the_best_examination_counts_and_the_other_is_kept() -> None:
    data = {"examinations": [
        exam("ultrasound", {"host": "cyst", "size_mm": 40}, ducts="dilated"),
        exam("ct_non_contrast", {"host": "solid_mass"}, ducts="normal"),
    ]}  # fmt: skip
    said = found(data)
    assert weights(data, "ducts") == {"normal": 1, "dilated": 0, "stricture": 0}
    assert all(state.startswith("solid_mass/") for state, w in weights(data, "lesion", 1).items() if w)
    assert weights(data, "extent", 1)["30_100"] > 0.99
    kept = [finding for finding in said.findings if finding.overruled]
    assert {finding.block for finding in kept} == {"ducts", "lesion"}


def test_what_a_modality_cannot_see_is_not_used() -> None:
    plain = found({"examinations": [exam("ultrasound", {"enhancement": "none", "size_mm": 5})]})
    assert "enhancement" not in plain.lesions[0].weights
    assert any("cannot show" in text for text in plain.warnings)
    dense = found({"examinations": [exam("ct_contrast", {"density_hu": 150, "size_mm": 5})]})
    assert "density" not in dense.lesions[0].weights
    assert weights({"examinations": [exam("ct_non_contrast", {"density_hu": 150})]}, "density", 1)["130_1000"] > 0.9


def test_a_size_at_an_edge_is_both() -> None:
    got = weights({"examinations": [exam("ct", {"size_mm": 10})]}, "extent", 1)
    assert got["under_10"] == got["10_30"] == 1


def test_lesions_are_matched_by_id_or_place() -> None:
    two = [{"id": "a", "size_mm": 5}, {"id": "b", "size_mm": 50}]
    data = {"examinations": [exam("ct", *two), exam("mri", {"id": "b", "enhancement": "rim"})]}
    said = found(data)
    assert len(said.lesions) == 2
    b = next(k for k, one in enumerate(said.lesions) if "enhancement" in one.weights)
    assert weights(data, "extent", b + 1)["30_100"] > 0.99
    with pytest.raises(InvalidPatient, match="2 lesions"):
        said.whole()
    unmatched = found(
        {"examinations": [exam("ct", {"size_mm": 5}, {"size_mm": 9}), exam("ultrasound", {"size_mm": 30})]}
    )
    assert len(unmatched.lesions) == 2
    assert any("cannot be matched" in text for text in unmatched.warnings)


@pytest.mark.parametrize(
    ("priors", "expected"),
    [
        ([{"date": 2022, "change": "stable"}], {"stable": 1}),
        ([{"date": "2025-07-31", "change": "stable"}], {"stable": 1, "growing": 0.4962}),
        ([{"date": 2022, "change": "stable"}, {"date": 2024, "change": "grown"}], {"growing": 1}),
        ([{"date": 2022, "seen": "no", "modality": "ct"}], {"new": 1}),
        ([{"date": 2022, "seen": "no"}],
         {"new": 1, "stable": 0.5, "growing": 0.5, "denser_under_treatment": 0.5, "shrinking": 0.5}),
        ([{"date": 2022, "seen": "yes"}], {"stable": 1, "growing": 1, "denser_under_treatment": 1, "shrinking": 1}),
        ([{"date": 2022, "size_mm": 4}], {"growing": 1}),
        ([{"date": 2022, "size_mm": 7}], {"stable": 1}),
    ],
)  # fmt: skip
def test_course(priors: list[dict[str, Any]], expected: dict[str, float]) -> None:
    data = {"prior_examinations": [{"modality": "ultrasound"} | one for one in priors],
            "examinations": [exam("ct", {"size_mm": 8})]}  # fmt: skip
    for order in itertools.permutations(data["prior_examinations"]):
        got = weights(data | {"prior_examinations": list(order)}, "course")
        assert {state: w for state, w in got.items() if w} == pytest.approx(expected, abs=1e-4)


def test_organs_and_contradictions() -> None:
    spleen = weights({"examinations": [exam("ct", spleen="normal")]}, "spleen")
    assert sum(spleen.values()) == spleen["normal"] == 1
    clash = {"examinations": [exam("ct", abdomen="normal")], "conditions": {"gallstones": "yes"}}
    assert weights(clash, "abdomen")["biliary_stones"] == 1
    assert any("taken as there" in text for text in found(clash).warnings)
    # stones denied by a person are no abdomen seen normal
    assert set(weights({"conditions": {"gallstones": "no"}}, "abdomen").values()) == {1.0}


@pytest.mark.parametrize(
    ("number", "state"), [(1, "single"), (2, "few"), (5, "few"), (6, "many"), ("diffuse", "diffuse")]
)
def test_number(number: int | str, state: str) -> None:
    assert weights({"examinations": [exam("ct", number=number)]}, "number")[state] == 1


@pytest.mark.parametrize("bad", [{"host": "moon"}, {"morphology": ["rim", "moon"]}, {"contour": "moon"}])
def test_a_state_that_does_not_exist_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(InvalidPatient, match="no such state"):
        found({"examinations": [exam("ct", bad)]})


# ---------------------------------------------------------------- setting, overrule, facts


@pytest.mark.parametrize(
    ("data", "setting"),
    [
        ({}, "general_ct"), ({"age": 70}, "general_ct"),
        ({"reason": "health_check", "examinations": [exam("ultrasound")]}, "health_check_ultrasound"),
        ({"reason": "health_check", "examinations": [exam("ultrasound"), exam("ct")]}, "general_ct"),
        ({"exposures": {"pasture": "yes"}}, "echinococcosis_pasture"),
        ({"exposures": {"pasture": "yes", "tuberculosis": "yes", "brucella": "yes"}}, "echinococcosis_pasture"),
        ({"exposures": {"schistosome_water": "yes"}, "age": 60}, "schistosomiasis_area"),
        ({"exposures": {"schistosome_water": "yes"}, "age": 30}, "general_ct"),
        ({"exposures": {"schistosome_water": "yes"}}, "general_ct"),
        ({"exposures": {"pasture": "yes"}, "cancers": {"known": [{"site": "lung"}]}}, "oncology"),
        ({"exposures": {"pasture": "yes"}, "setting": "general_ct"}, "general_ct"),
        ({"fetus": {}}, "fetal_screening"), ({"fetus": {"referral": "yes"}}, "fetal_referral"),
    ],
)  # fmt: skip
def test_setting(data: dict[str, Any], setting: str) -> None:
    choice = found(data).setting
    assert choice.id == setting
    assert choice.why
    assert choice.chosen_by == ("patient file" if "setting" in data else "derived")


def test_a_scan_of_ones_own_is_ct() -> None:
    data = {"reason": "health_check", "examinations": [exam("ultrasound")]}
    assert found(data, scanned=True).setting.id == "general_ct"
    assert found(data, scanned=True).facts["modality"] == "ct"


def test_a_setting_of_the_other_network_is_refused() -> None:
    with pytest.raises(InvalidPatient, match="setting"):
        found({"setting": "fetal_screening"})


def test_a_person_overrules_and_both_are_kept() -> None:
    data = {"examinations": [exam("ct", {"host": "cyst"}, ducts="normal")],
            "overrule": [{"block": "ducts", "states": "dilated"},
                         {"block": "lesion", "states": {"host": "bile_duct"}}]}  # fmt: skip
    assert weights(data, "ducts")["dilated"] == 1
    assert all(state.startswith("bile_duct/") for state, w in weights(data, "lesion", 1).items() if w)
    assert {f.by for f in found(data).findings if not f.overruled} == {"person"}
    assert {f.by for f in found(data).findings if f.overruled} == {"report"}


def test_facts_are_those_of_the_knowledge() -> None:
    knowledge = load_knowledge()
    said = found(FULL)
    assert set(said.facts) <= set(knowledge.facts)
    assert set(said.lab_values) <= set(knowledge.labs)
    result = differential(said.whole(), knowledge, draws=100)
    at = situation(said.evidence, result, knowledge, facts=said.facts, labs=said.lab_values)
    assert at.facts["older_images"] == "compared"
    assert at.facts["host_mm"] == 45
    assert said.history["cancer"] is True
    assert at.labs["alt"].uln == 40
    assert said.lab_values["hbv_dna"].value == pytest.approx(10**3.2 / 3.41)


def test_every_fact_that_rules_ask_for_can_be_told() -> None:
    every = {
        "age": 57, "sex": "female", "reason": "symptoms", "pregnant": "no", "old_images": "no",
        "further": {"contrast_allergy": "no", "mri_unsafe_implant": "no", "bleeding_risk": "no", "fibrosis": "none",
                    "family_liver_cancer": "no", "hbv_other_risk": "no", "ancestry": "asian", "ce_stage": "ce1",
                    "ce_complicated": "no", "ae_resectable": "no", "schisto_active": "no", "noncontrast_phase": "no"},
        "laboratory": [lab("platelets", 150, "10*9/L")],
        "examinations": [exam("ct", {"host": "cyst", "size_mm": 50, "calcium_mm": 5})],
    }  # fmt: skip
    told = set(found(every).facts) | set(found({"fetus": {"referral": "no", "echogenic_bowel": "no"}}).facts)
    assert told == set(load_knowledge().facts)
    assert found(every).facts["page_b"] == 12
    assert found({"treatments": {"anticoagulants": "yes"}}).facts["bleeding_risk"] is True
    assert "bleeding_risk" not in found({"treatments": {"anticoagulants": "no"}}).facts


def test_every_laboratory_value_that_rules_ask_for_can_be_told() -> None:
    from hepacalc.patient.analytes import ANALYTES
    from hepacalc.patient.schema import Virus
    from hepacalc.patient.units import parse_unit
    from hepacalc.patient.vocabulary import SEROLOGY

    for name, about in load_knowledge().labs.items():
        assert name in ANALYTES or name in Virus.model_fields or name in SEROLOGY
        if about.unit:
            ours, theirs = parse_unit(ANALYTES[name].unit), parse_unit(about.unit)
            assert ours.dimension == theirs.dimension
            assert ours.scale == pytest.approx(theirs.scale)


def test_the_fetus() -> None:
    def infections(*tests: dict[str, str]) -> list[float]:
        return list(weights({"fetus": {"infections": list(tests)}}, "fetal_infection_tests").values())

    assert infections({"infection": "cmv", "pcr": "positive"}) == [0, 0, 1]
    assert infections({"infection": "cmv", "igm": "positive", "avidity": "high", "igg": "positive"})[1] == 1
    past = [{"infection": one, "igg": "positive", "igm": "negative"} for one in ("cmv", "toxoplasma")]
    assert infections(*past) == [0, 1, 0.1]
    never = [{"infection": one, "igg": "negative", "igm": "negative"} for one in ("cmv", "toxoplasma")]
    assert infections(*never) == [1, 0, 0.1]
    assert infections({"infection": "rubella", "igm": "negative"}) == [1, 1, 0.5]
    week = weights({"fetus": {"gestational_weeks": 20.5}}, "fetal_age")
    assert week["18_27"] == 1
    anomalies = weights({"fetus": {"anomalies": {"brain": "yes", "others": "no"}}}, "fetal_anomalies")
    assert [state for state, w in anomalies.items() if w] == ["brain"]
