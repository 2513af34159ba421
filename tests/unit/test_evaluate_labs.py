"""Laboratory values in any writing."""

import numpy as np
import pytest

from hepacalc.evaluate.reader import read_case
from hepacalc.knowledge import load_knowledge

KNOWLEDGE = load_knowledge()


def weights(block: str, labs: dict, context: str = "") -> dict[str, float]:
    told = read_case({"labs": labs, "clinical_context": context, "modality": "CT"}, KNOWLEDGE).evidence
    if block not in told.weights:
        return {}
    return dict(zip(KNOWLEDGE.blocks[block].states, told.weights[block].tolist(), strict=True))


def top(block: str, labs: dict, context: str = "") -> set[str]:
    return {state for state, weight in weights(block, labs, context).items() if weight >= 0.9}


@pytest.mark.parametrize(
    ("labs", "wanted"),
    [
        ({"ALT": 20, "AST": 22, "ALP": 80, "GGT": 20}, {"normal"}),
        ({"ALT": 300, "ALP": 70}, {"hepatocellular"}),
        ({"SGPT": "normal", "Alk phos": "elevated"}, {"cholestatic"}),
        ({"ALT": 400, "GGT": 600}, {"mixed"}),
        ({"ALT": 400}, {"hepatocellular", "mixed"}),
        ({"bilirubin_umol": 80, "ALT": 20}, {"cholestatic"}),
        ({"bilirubin": "6.5 mg/dL", "AST": "2x ULN"}, {"mixed"}),
        ({"ALT": "0.4 ukat/L", "ALP": "1.0 ukat/L"}, {"normal"}),
        ({"LFT": "normal"}, {"normal"}),
        ({"liver function tests": "deranged"}, {"hepatocellular", "cholestatic", "mixed"}),
        ({"ALT": "55 (normal <60)", "ALP": "70 (ref 30-120)"}, {"normal"}),
        ({"Hb": 10, "platelets": 300}, set()),
    ],
)
def test_liver_tests(labs, wanted):
    assert top("biochemistry", labs) == wanted


def test_a_value_at_its_limit_is_open():
    assert weights("inflammation", {"CRP": 10}) == {}
    above, below = weights("inflammation", {"CRP": 11}), weights("inflammation", {"CRP": 9})
    assert 0.2 < above["normal"] < above["raised"] == 1
    assert 0.2 < below["raised"] < below["normal"] == 1


@pytest.mark.parametrize(
    ("block", "labs", "wanted"),
    [
        ("inflammation", {"ESR": "raised"}, {"raised"}),
        ("inflammation", {"WBC": 6.1, "CRP": "2 mg/L"}, {"normal"}),
        ("inflammation", {"WBC": "15,400/uL"}, {"raised"}),
        ("eosinophils", {"eosinophilia": "no"}, {"normal"}),
        ("eosinophils", {"eosinophils": "22%"}, {"raised"}),
        ("eosinophils", {"eosinophil count": "1500/uL"}, {"raised"}),
        ("markers", {"calcitonin_ng_L": ">1000 (normal <50)"}, {"calcitonin"}),
        ("markers", {"procalcitonin": 3}, set()),
        ("markers", {"CA 19-9": 900, "CEA": "normal"}, {"ca19_9"}),
        ("markers", {"AFP": "450000"}, {"afp"}),
        ("markers", {"tumour markers": "all normal"}, {"normal"}),
        ("serology", {"Brucella Coombs": "1/2560", "Rose Bengal": "neg"}, {"brucella"}),
        ("serology", {"Echinococcus ELISA": "positive"}, {"echinococcus"}),
        ("serology", {"QuantiFERON": "pos"}, {"tuberculosis"}),
        ("serology", {"culture": "M. tuberculosis from node"}, {"tuberculosis"}),
        ("serology", {"Bartonella IgG": "1:1024"}, {"bartonella"}),
        ("calcium", {"corrected Ca_mg_dL": "6.6-8.0 low"}, {"disturbed"}),
        ("calcium", {"calcium": "2.3 mmol/L", "phosphate": "1.1 mmol/L"}, {"normal"}),
        ("calcium", {"PTH": "900 pg/mL"}, {"disturbed"}),
        ("liver_background", {"HBsAg": "positive"}, {"viral_hepatitis"}),
    ],
)
def test_other_tests(block, labs, wanted):
    assert top(block, labs) == wanted


def test_a_negative_test_rules_out_its_own_state_only():
    found = weights("serology", {"hydatid serology": "negative"})
    assert found["echinococcus"] < 0.1
    assert {weight for state, weight in found.items() if state != "echinococcus"} == {1.0}
    hepatitis = weights("liver_background", {"HBV/HCV": "neg"})
    assert hepatitis["viral_hepatitis"] < 0.1
    assert hepatitis["cirrhosis"] == hepatitis["healthy"] == 1


def test_results_told_in_the_history():
    assert top("markers", {}, "raised CEA") == {"cea"}
    assert top("serology", {}, "hydatid serology positive") == {"echinococcus"}
    assert top("serology", {}, "no history of tuberculosis") == set()
    assert top("calcium", {}, "calcium chloride was given") == set()


@pytest.mark.parametrize("value", [1e308, "9" * 30, "1/0", "-3", [], {}, True, "∞", "1e5"])
def test_odd_values_do_no_harm(value):
    told = read_case({"labs": {"ALT": value, "CA19-9": value, "Brucella titre": value}}, KNOWLEDGE).evidence
    assert all(np.isfinite(w).all() and w.min() > 0 for w in told.weights.values())
