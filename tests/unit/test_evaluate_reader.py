"""The reader of published cases: what a phrase means, what it does not say, what stays open."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hepacalc.evaluate.cues import REST
from hepacalc.evaluate.reader import read_case
from hepacalc.evaluate.text import is_unstated, normalised, segments
from hepacalc.evaluate.words import words
from hepacalc.knowledge import load_knowledge

KNOWLEDGE = load_knowledge()
FIELDS = ("number", "size_mm", "morphology", "host", "soft_tissue_mass", "enhancement", "duct_dilation", "other_organs")


def case(**fields: Any) -> dict[str, Any]:
    """A case with these fields; those of `structured` are put there."""
    told: dict[str, Any] = {"modality": "CT", "structured": {}}
    for name, value in fields.items():
        (told["structured"] if name in FIELDS else told)[name] = value
    return told


def states(block: str, *, axis: str = "", least: float = 0.9, **fields: Any) -> set[str]:
    """States of a block whose weight is at least so much; empty when the block is unknown."""
    weights = read_case(case(**fields), KNOWLEDGE).evidence.weights.get(block)
    if weights is None:
        return set()
    found = KNOWLEDGE.blocks[block]
    names = found.states
    if axis:
        assert found.axes
        grid = weights.reshape([len(values) for values in found.axes.values()])
        place = list(found.axes).index(axis)
        weights, names = grid.max(axis=1 - place), found.axes[axis]
        if np.ptp(weights) == 0:
            return set()
    return {name for name, weight in zip(names, weights, strict=True) if weight >= least}


def test_every_word_of_the_vocabulary_names_a_state():
    for sections in words().values():
        for block, section in sections.items():
            known = {"setting": set(KNOWLEDGE.settings), "known": set()}.get(block)
            if known is None:
                name, _, axis = block.partition(".")
                axes = KNOWLEDGE.blocks[name].axes or {}
                known = set(axes[axis]) if axis in axes else set(KNOWLEDGE.blocks[name].states)
            for cue in section.cues:
                assert set(cue.weights) | set(cue.denied or {}) <= known, cue.pattern.pattern
                assert 0 < cue.rest <= 1
                assert cue.weights or block == "known" or cue.denied is None


def test_spellings_are_one():
    british = "Haemangioma, oedema, tumour with necrotising centre; diarrhoea, anaemia, dilatation, non-enhancing"
    american = "Hemangioma, edema, tumor with necrotizing center; diarrhea, anemia, dilation, nonenhancing"
    assert normalised(british) == normalised(american)


@pytest.mark.parametrize("text", ["not stated", "n/a", "N/A", "", "see source", "unknown", "not available", "-", "?"])
def test_silence(text: str):
    assert is_unstated(text)
    assert segments(text, "host") == []
    told = read_case(
        case(**dict.fromkeys(FIELDS, text), findings=text, clinical_context=text, labs={"ALT": text}), KNOWLEDGE
    )
    assert not told.evidence.weights


@pytest.mark.parametrize(
    ("phrase", "wanted"),
    [
        ("cyst wall", {"cyst"}),
        ("solid tumour", {"solid_mass"}),
        ("mixed solid and cystic mass", {"solid_cystic_mass"}),
        ("hepatic parenchyma", {"parenchyma"}),
        ("parenchymal (no visible mass)", {"parenchyma"}),
        ("septa and capsule", {"septa_capsule"}),
        ("intrahepatic bile ducts", {"bile_duct"}),
        ("portal vein", {"vessel"}),
        ("hepatic artery aneurysm", {"vessel"}),
        ("liver surface", {"surface"}),
        ("ablation zone", {"treated_zone"}),
        ("gallbladder wall", {"outside_liver"}),
        ("adrenal gland", {"outside_liver"}),
        ("whole liver", {"diffuse"}),
        ("multilocular cystic lesion", {"cyst"}),
        ("necrotic tumor", {"solid_cystic_mass"}),
    ],
)
def test_hosts(phrase, wanted):
    assert states("lesion", axis="host", host=phrase) == wanted


@pytest.mark.parametrize(
    ("phrase", "wanted"),
    [
        ("egg-shell", {"rim"}),
        ("ring-like", {"rim"}),
        ("thin mural, incomplete", {"curvilinear"}),
        ("stippled", {"punctate"}),
        ("turtle-back", {"septal_map"}),
        ("central stellate scar", {"central"}),
        ("chunky", {"coarse"}),
        ("psammomatous", {"amorphous"}),
        ("staghorn", {"branching"}),
        ("tram-track", {"linear"}),
        ("thick plaque", {"plaque"}),
        ("C-shaped", {"comma"}),
        ("surgical clips", {"metallic"}),
        ("ball-like", {"nodular"}),
        ("diffuse homogeneous", {"homogeneous"}),
        ("calcified", set()),
        ("calcification", set()),
    ],
)
def test_morphologies(phrase, wanted):
    assert states("lesion", axis="morphology", morphology=phrase) == wanted


@pytest.mark.parametrize(
    ("phrase", "wanted"),
    [
        ("none", {"none"}),
        ("no enhancement", {"none"}),
        ("APHE + washout", {"aphe_washout"}),
        ("arterial hyperenhancement without washout", {"aphe"}),
        ("peripheral nodular, centripetal fill-in", {"peripheral_nodular"}),
        ("rim", {"rim"}),
        ("septa enhance", {"septal"}),
        ("weak delayed", {"heterogeneous"}),
        ("unenhanced CT only", set()),
        ("n/a", set()),
    ],
)
def test_enhancement(phrase, wanted):
    assert states("enhancement", enhancement=phrase) == wanted


def test_ducts():
    assert states("ducts", duct_dilation="no") == states("ducts", duct_dilation=False) == {"normal"}
    assert states("ducts", duct_dilation="yes, left lobe") == {"dilated"}
    assert states("ducts", duct_dilation="stricture of the left duct") == {"stricture"}
    assert states("ducts", findings="No intrahepatic bile duct dilatation") == {"normal"}
    assert states("ducts", duct_dilation="not stated") == set()


def test_denials_take_weight_and_leave_the_rest_open():
    assert states("symptoms", clinical_context="no fever, jaundice or weight loss; abdominal pain") == {"pain_or_mass"}
    found = states("spleen", findings="no splenomegaly")
    assert "enlarged" not in found
    assert "normal" in found
    assert "reptile_meat" in states("exposure", region_exposure="never ate snake, ate crocodile as a boy")
    assert "tuberculosis" not in states("exposure", region_exposure="no history of tuberculosis")


def test_a_place_is_a_hint_and_an_exposure_is_more():
    place = read_case(case(region_exposure="Turkey"), KNOWLEDGE).evidence
    habit = read_case(case(region_exposure="shepherd with dogs and sheep"), KNOWLEDGE).evidence
    block = KNOWLEDGE.blocks["exposure"].states
    none = block.index("none")
    assert place.weights["exposure"].min() > 0.15
    assert place.weights["exposure"][none] > 0.4
    assert habit.weights["exposure"][none] < 0.1
    assert (place.setting, habit.setting) == ("general_ct", "echinococcosis_pasture")


@pytest.mark.parametrize(
    ("fields", "setting"),
    [
        ({"clinical_context": "colon cancer, staging"}, "oncology"),
        ({"clinical_context": "no known malignancy"}, "general_ct"),
        ({"other_organs": "sigmoid mass"}, "oncology"),
        ({"region_exposure": "fisherman in a schistosomiasis area", "age": 60}, "schistosomiasis_area"),
        ({"region_exposure": "fisherman in a schistosomiasis area", "age": 25}, "general_ct"),
        ({"clinical_context": "health check", "modality": "US"}, "health_check_ultrasound"),
        ({"region_exposure": "herdsman, Qinghai"}, "echinococcosis_pasture"),
        ({"clinical_context": "routine scan at 20 weeks", "modality": "prenatal US"}, "fetal_screening"),
        ({"clinical_context": "21 weeks; cardiac defect", "modality": "prenatal US"}, "fetal_referral"),
    ],
)
def test_settings(fields, setting):
    assert read_case(case(**fields), KNOWLEDGE).evidence.setting == setting


def test_organs_are_kept_apart():
    assert states("spleen", other_organs="spleen calcified; lungs clear") == {"granulomas"}
    assert states("chest", other_organs="spleen calcified; lungs clear") == {"normal"}
    assert states("chest", findings="similar calcific lesions in liver and lungs") == {"same_as_liver"}
    assert states("abdomen", other_organs="gallbladder stones") == {"biliary_stones"}
    assert states("abdomen", other_organs="polycystic kidneys") == {"kidney_cysts"}
    assert states("lesion", axis="host", findings="cysts in the kidney") == set()


def test_sizes():
    assert states("extent", size_mm=150) == {"over_100"}
    assert states("extent", size_mm="< 10") == {"under_10"}
    assert states("extent", findings="mass of 4.5 x 3 cm") == {"30_100"}
    assert states("extent", findings="foci of 5-40 mm", least=0.8) == {"under_10", "10_30", "30_100"}
    assert states("extent", findings="splenomegaly 16 cm") == set()
    assert states("extent", findings="huge mass") == {"over_100"}
    assert states("density", findings="calcification of 400-500 HU") == {"130_1000"}
    assert states("density", findings="diffuse liver density, 105 HU") == {"90_130"}
    assert states("density", findings="hypodense lesion, 20-45 HU") == set()


def test_numbers():
    assert states("number", number="solitary") == {"single"}
    assert states("number", number="innumerable") == {"many"}
    assert states("number", number="3 foci") == {"few"}
    assert states("number", number="single (6) or multiple (11)") == {"single", "many"}


def test_age_and_sex():
    assert states("age_sex", age=45, sex="F") == {"f_40_59"}
    assert states("age_sex", age=45) == {"f_40_59", "m_40_59"}
    assert states("age_sex", age="3 months", sex="M") == {"infant"}
    assert states("age_sex", clinical_context="young woman") == {"f_18_39"}
    assert states("age_sex") == set()


@pytest.mark.parametrize(
    ("field", "phrase", "wanted"),
    [
        ("findings", "Calcification of segment 6, grew from 10 to 30 mm", {"growing"}),
        ("findings", "unchanged for 5 years", {"stable"}),
        ("findings", "calcified metastases after chemotherapy", {"denser_under_treatment"}),
        ("findings", "new calcification", {"new"}),
        ("findings", "spleen shrunken", set()),
        ("findings", "progressive centripetal fill", set()),
    ],
)
def test_course(field, phrase, wanted):
    assert states("course", **{field: phrase}) == wanted


def test_provenance_and_what_was_not_understood():
    told = read_case(
        case(host="cyst wall", findings="a zorblax in segment 4", labs={"zorb": "12", "ALT": 20}), KNOWLEDGE
    )
    assert told.evidence.said["lesion"][0].text == "cyst wall (host)"
    assert told.evidence.said["biochemistry"][0].by == "laboratory"
    assert any("zorblax" in line for line in told.unread)
    assert any("zorb: 12" in line for line in told.unread)


def test_fields_of_the_diagnosis_are_not_looked_at():
    plain = case(host="cyst wall", morphology="eggshell", age=50, sex="F")
    more = plain | {
        "final_diagnosis": "hcc",
        "final_diagnosis_text": "hepatocellular carcinoma",
        "misleading": "cirrhosis",
    }
    a, b = read_case(plain, KNOWLEDGE).evidence, read_case(more, KNOWLEDGE).evidence
    assert a.said == b.said
    assert all((a.weights[k] == b.weights[k]).all() for k in {**a.weights, **b.weights})


def test_fetus():
    told = case(region_exposure="fetus GA 22w", modality="prenatal US", host="parenchymal", number="single",
                other_organs="none", labs={"CMV IgG": "pos", "CMV IgM": "neg", "karyotype": "47,XX,+21"})  # fmt: skip
    found = read_case(told, KNOWLEDGE).evidence
    top = {b: KNOWLEDGE.blocks[b].states[int(w.argmax())] for b, w in found.weights.items()}
    assert top == {"fetal_focus": "parenchymal_few", "fetal_anomalies": "none", "fetal_karyotype": "abnormal",
                   "fetal_infection_tests": "past", "fetal_age": "18_27"}  # fmt: skip
    assert found.network == "fetal"


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(st.sampled_from(FIELDS), st.text(max_size=60) | st.none() | st.booleans() | st.floats(0, 1e6)),
    st.text(max_size=80),
    st.dictionaries(st.text(max_size=12), st.text(max_size=20) | st.floats(0, 1e9)),
)
def test_any_text_gives_weights_that_rule_nothing_out(structured, findings, labs):
    told = read_case({"structured": structured, "findings": findings, "labs": labs}, KNOWLEDGE)
    for weights in told.evidence.weights.values():
        assert np.isfinite(weights).all()
        assert weights.min() > 0
    assert REST < 0.1
