"""Rules of the plan on scenes that each stands for: every rule can fire, every malignant or dangerous case acts."""

from typing import Any

import pytest

from hepacalc.reason.losses import action_thresholds
from hepacalc.reason.plan import make_plan
from hepacalc.reason.situation import LabValue
from plan_scenes import CYST, KNOWLEDGE, SIMPLE, TODAY, applying, plan_of, reference_scenes, rules_of

PASTURE: dict[str, Any] = {"setting": "echinococcosis_pasture"}
SCHISTO: dict[str, Any] = {
    "lesion": {"host": "septa_capsule", "morphology": "septal_map"}, "exposure": "schistosome_water",
}  # fmt: skip
HBV = {"hbsag": "positive"}
LOW, HIGH = 100.0, 5000.0
RAISED, NORMAL = LabValue(60.0, uln=40.0), LabValue(25.0, uln=40.0)
F, C, N = "fetal_focus", "course", "number"

# findings, what else is known, rules that must fire, rules that must not
SCENES: dict[str, tuple[dict[str, Any], dict[str, Any], set[str], set[str]]] = {
    "ce unstaged": (CYST, PASTURE, {"ce_stage", "ce_serology", "act_dangerous"}, {"ce_inactive"}),
    "ce4": (
        CYST,
        PASTURE | {"facts": {"ce_stage": "ce4"}},
        {"ce_inactive"},
        {"ce_stage", "ce2_ce3b", "ce1_ce3a_small"},
    ),
    "ce5 complicated": (
        CYST,
        PASTURE | {"facts": {"ce_stage": "ce5", "ce_complicated": True}},
        {"ce_complicated"},
        {"ce_inactive"},
    ),
    "cl": (CYST, PASTURE | {"facts": {"ce_stage": "cl"}}, {"ce_cl"}, {"ce_inactive"}),
    "ce1 40 mm": (
        CYST,
        PASTURE | {"facts": {"ce_stage": "ce1", "host_mm": 40}},
        {"ce1_ce3a_small"},
        {"ce1_ce3a_middle"},
    ),
    "ce3a 50 mm": (
        CYST,
        PASTURE | {"facts": {"ce_stage": "ce3a", "host_mm": 50}},
        {"ce1_ce3a_middle"},
        {"ce1_ce3a_small", "ce1_ce3a_large"},
    ),
    "ce1 120 mm": (
        CYST,
        PASTURE | {"facts": {"ce_stage": "ce1", "host_mm": 120}},
        {"ce1_ce3a_large"},
        {"ce1_ce3a_middle"},
    ),
    "ce2": (CYST, PASTURE | {"facts": {"ce_stage": "ce2"}}, {"ce2_ce3b"}, {"ce1_ce3a_middle", "ce_inactive"}),
    "ae": (
        {
            "lesion": {"host": "solid_mass", "morphology": "coarse"},
            "exposure": "alveolar_area",
            "extent": "30_100",
            "contour": "ill_defined",
            "enhancement": "none",
        },
        PASTURE,
        {"ae_possible", "ae_serology", "ae_treat"},
        set(),
    ),
    "schistosomiasis": (
        SCHISTO,
        {"setting": "schistosomiasis_area"},
        {"schisto_activity", "schisto_portal", "hbsag_first"},
        {"schisto_old", "schisto_active"},
    ),
    "schistosomiasis, eggs": (
        SCHISTO,
        {"setting": "schistosomiasis_area", "facts": {"schisto_active": True}},
        {"schisto_active"},
        {"schisto_old", "schisto_activity"},
    ),
    "schistosomiasis, old": (
        SCHISTO,
        {"setting": "schistosomiasis_area", "facts": {"schisto_active": False}},
        {"schisto_old"},
        {"schisto_active", "schisto_activity"},
    ),
    "schistosomiasis, varices": (
        SCHISTO | {"abdomen": "portal_hypertension"},
        {"setting": "schistosomiasis_area"},
        {"varices"},
        set(),
    ),
    "brucelloma, Coombs": (
        {
            "lesion": {"host": "solid_cystic_mass", "morphology": "central"},
            "exposure": "brucella",
            "symptoms": "constitutional",
        },
        {"labs": {"brucella_coombs": "positive"}},
        {"brucelloma_treat"},
        {"brucelloma_test"},
    ),
    "brucelloma, Rose Bengal negative": (
        {"lesion": {"host": "solid_cystic_mass", "morphology": "central"}, "exposure": "brucella"},
        {"labs": {"rose_bengal": "negative"}},
        {"brucelloma_test"},
        set(),
    ),
    "tuberculosis": (
        {
            "lesion": {"host": "solid_mass", "morphology": "punctate"},
            "exposure": "tuberculosis",
            "symptoms": "constitutional",
            "number": "many",
        },
        {},
        {"tb_chest", "tb_tests", "act_dangerous"},
        set(),
    ),
    "contrast only": (
        SIMPLE,
        {"facts": {"modality": "ct", "noncontrast_phase": False}},
        {"noncontrast_phase"},
        {"stop_simple"},
    ),
    "grey": (SIMPLE | {"density": "90_130"}, {}, {"grey_density"}, {"metal", "not_calcium"}),
    "too low": (SIMPLE | {"density": "below_90"}, {}, {"not_calcium"}, {"stop_simple"}),
    "metal": ({"density": "over_1000"}, {}, {"metal"}, {"stop_simple"}),
    "ring": ({"lesion": {"host": "solid_mass", "morphology": "rim"}, "extent": "10_30"}, {}, {"ring_in_solid"}, set()),
    "stricture": (
        {"ducts": "stricture", "lesion": {"host": "bile_duct", "morphology": "nodular"}},
        {"labs": {"ca19_9": 10.0}},
        {"stricture", "ducts_mrcp"},
        {"ducts_markers"},
    ),
    "cancer, 6 mm": (
        SIMPLE | {"primary": "colorectal"},
        {"setting": "oncology"},
        {"acr_small_high_risk", "known_primary"},
        {"stop_simple"},
    ),
    "cancer, 6 mm, stable": (
        SIMPLE | {"primary": "breast", C: "stable"},
        {"setting": "oncology"},
        {"known_primary"},
        {"acr_small_high_risk", "stop_simple"},
    ),
    "20 mm, suspicious": (
        SIMPLE | {"extent": "10_30", "contour": "ill_defined", "liver_background": "healthy"},
        {},
        {"acr_large_suspicious"},
        {"acr_large_high_risk"},
    ),
    "thyroid": (
        SIMPLE | {"primary": "thyroid", N: "many"},
        {"setting": "oncology"},
        {"medullary_thyroid"},
        {"stop_simple"},
    ),
    "unknown primary": (
        {"lesion": {"host": "solid_mass", "morphology": "amorphous"}, N: "many", "enhancement": "rim"},
        {},
        {"unknown_primary", "colon", "act_malignant"},
        {"known_primary_review"},
    ),
    "haematoma": (
        {
            "lesion": {"host": "solid_cystic_mass", "morphology": "curvilinear"},
            "history": "trauma",
            "enhancement": "none",
        },
        {},
        {"haematoma"},
        set(),
    ),
    "surveillance": (
        {},
        {"labs": HBV, "facts": {"sex": "male", "age": 41, "ancestry": "asian"}},
        {"hcc_surveillance"},
        set(),
    ),
    "no surveillance at 40": (
        {},
        {
            "labs": HBV,
            "facts": {"sex": "male", "age": 40, "ancestry": "asian", "family_liver_cancer": False, "page_b": 5},
        },
        set(),
        {"hcc_surveillance"},
    ),
    "surveillance by PAGE-B": ({}, {"labs": HBV, "facts": {"page_b": 10}}, {"hcc_surveillance"}, set()),
    "HBsAg negative": ({}, {"labs": {"hbsag": "negative"}}, {"hbv_no_dna"}, {"hbv_dna", "hbv_watch", "hbsag_first"}),
    "HBsAg positive": ({}, {"labs": HBV}, {"hbv_dna"}, {"hbv_no_dna", "hbsag_first", "hbv_watch"}),
    "DNA without HBsAg": ({}, {"labs": {"hbv_dna": HIGH}}, {"hbsag_first"}, {"hbv_treat_easl_2025"}),
    "raised ALT": (SIMPLE, {"labs": {"alt": RAISED}}, {"liver_tests_raised", "hbsag_first"}, {"stop_simple"}),
    "diffuse": (
        {"lesion": {"host": "diffuse", "morphology": "homogeneous"}, "history": "dense_liver_drug"},
        {},
        {"dense_liver", "dense_liver_iron"},
        set(),
    ),
    "curved line on a vessel": (
        {"lesion": {"host": "vessel", "morphology": "curvilinear"}},
        {},
        {"aneurysm_cta"},
        {"aneurysm_exclude"},
    ),
    "shell of a cyst": ({"lesion": {"host": "cyst", "morphology": "rim"}}, {}, {"aneurysm_exclude"}, {"aneurysm_cta"}),
    "nothing known": ({}, {}, {"unresolved"}, {"stop_simple"}),
    "fetus, isolated": (
        {F: "parenchymal_few", "fetal_anomalies": "none"},
        {"setting": "fetal_screening"},
        {
            "fetal_anatomy",
            "fetal_infection_tests",
            "fetal_karyotype_offer",
            "fetal_serial",
            "fetal_postnatal",
            "fetal_reassure",
        },
        {"fetal_cf", "fetal_centre", "fetal_karyotype_strong"},
    ),
    "fetus, bright bowel": (
        {F: "parenchymal_few"},
        {"setting": "fetal_screening", "facts": {"echogenic_bowel": True}},
        {"fetal_cf"},
        set(),
    ),
    "fetus, second anomaly": (
        {F: "parenchymal_few", "fetal_anomalies": "structural"},
        {"setting": "fetal_referral"},
        {"fetal_karyotype_strong", "fetal_heart", "fetal_centre"},
        {"fetal_karyotype_offer", "fetal_reassure"},
    ),
    "fetus, infection": (
        {F: "parenchymal_scattered", "fetal_infection_tests": "positive"},
        {"setting": "fetal_referral"},
        {"fetal_pcr"},
        {"fetal_infection_tests"},
    ),
}
GUIDELINES = [
    # guideline, DNA, ALT, facts, treated
    ("easl_2025", HIGH, RAISED, {}, True),
    ("easl_2025", HIGH, NORMAL, {"fibrosis": "significant"}, True),
    ("easl_2025", LOW, NORMAL, {"fibrosis": "cirrhosis"}, True),
    ("easl_2025", LOW, NORMAL, {"fibrosis": "none"}, False),
    ("easl_2017", HIGH, RAISED, {}, True),
    ("easl_2017", LOW, RAISED, {"fibrosis": "none"}, False),
    ("easl_2017", LOW, NORMAL, {"fibrosis": "cirrhosis"}, True),
    ("who_2024", LOW, NORMAL, {"fibrosis": "significant"}, True),
    ("who_2024", LOW, NORMAL, {"fibrosis": "none", "hbv_other_risk": True}, True),
    ("who_2024", LOW, NORMAL, {"fibrosis": "none", "hbv_other_risk": False, "family_liver_cancer": False}, False),
    ("china_2022", LOW, LabValue(31.0, uln=40.0), {"sex": "male"}, True),
    ("china_2022", LOW, NORMAL, {"sex": "male", "age": 31}, True),
    (
        "china_2022",
        LOW,
        NORMAL,
        {"sex": "male", "age": 25, "family_liver_cancer": False, "fibrosis": "none", "hbv_other_risk": False},
        False,
    ),
]


def fired(scene_name: str) -> set[str]:
    findings, more, _, _ = SCENES[scene_name]
    return rules_of(plan_of(findings, **more))


@pytest.mark.parametrize("name", SCENES)
def test_scene(name):
    _, _, wanted, unwanted = SCENES[name]
    found = fired(name)
    assert wanted <= found
    assert not unwanted & found


@pytest.mark.parametrize(("choice", "dna", "alt", "facts", "treated"), GUIDELINES)
def test_hepatitis_b_by_the_guideline_of_the_site(choice, dna, alt, facts, treated):
    site = applying(choice)
    background = {} if facts.get("fibrosis") == "cirrhosis" else {"liver_background": "viral_hepatitis"}
    plan = plan_of(background, labs=HBV | {"hbv_dna": dna, "alt": alt}, facts=facts, knowledge=site)
    found = {rule for rule in rules_of(plan) if rule.startswith("hbv_")}
    assert found == ({f"hbv_treat_{choice}"} if treated else {"hbv_watch"})
    name = site.guidelines["hbv"].choices[choice]["en"]
    assert any(f"{name} was applied" in dict(note)["en"] for note in plan.notes), "the one applied is printed"


def test_guidelines_disagree_on_the_same_patient():
    told = {"labs": HBV | {"hbv_dna": LOW, "alt": NORMAL}, "facts": {"sex": "male", "age": 45, "fibrosis": "none"}}
    background = {"liver_background": "viral_hepatitis"}
    assert "hbv_watch" in rules_of(plan_of(background, **told, knowledge=applying("easl_2025")))
    assert "hbv_treat_china_2022" in rules_of(plan_of(background, **told, knowledge=applying("china_2022")))


def test_every_rule_can_fire():
    seen = set().union(*(fired(name) for name in SCENES))
    for _, at in reference_scenes():
        seen |= rules_of(make_plan(at, KNOWLEDGE, today=TODAY))
    seen |= {f"hbv_treat_{choice}" for choice, _, _, _, treated in GUIDELINES if treated} | {"hbv_watch"}
    seen |= {"large_plain_focus"}  # test_plan_benign.py
    assert set(KNOWLEDGE.rules) == seen


HARMFUL = [
    (case, at)
    for case, at in reference_scenes()
    if KNOWLEDGE.causes[case.cause].harm in ("malignant", "dangerous") or KNOWLEDGE.causes[case.cause].needle == "never"
]


@pytest.mark.parametrize(("case", "at"), HARMFUL, ids=[case.id for case, _ in HARMFUL])
def test_malignant_and_dangerous_textbook_cases_are_acted_on(case, at):
    plan = make_plan(at, KNOWLEDGE, today=TODAY)
    harm = KNOWLEDGE.causes[case.cause].harm
    over = next(h.high for h in at.differential.harms if h.harm == harm) >= action_thresholds(KNOWLEDGE)[harm]
    assert plan.flags or over
    assert not plan.stop
    assert any(item.urgency in ("emergency", "urgent") for item in plan.items)


@pytest.mark.parametrize(("case", "at"), reference_scenes(), ids=[case.id for case, _ in reference_scenes()])
def test_every_item_says_how_when_why_and_from_where(case, at):
    plan = make_plan(at, KNOWLEDGE, today=TODAY)
    assert plan.items
    for item in plan.items:
        for words in (item.action, item.modality, item.interval):
            assert all(dict(words)[language] for language in ("en", "zh"))
        assert item.tests or "none needed" in dict(item.modality)["en"] or item.forbidden
        assert item.due or "none needed" in dict(item.interval)["en"] or "after birth" in dict(item.interval)["en"]
        assert item.due is None or TODAY <= item.due[0] <= item.due[1]
        assert item.sources
        assert set(item.sources) <= set(KNOWLEDGE.sources)
    order = ["emergency", "urgent", "soon", "routine", "none"]
    ranks = [order.index(item.urgency) for item in plan.items]
    assert ranks == sorted(ranks), "most urgent first"


def test_the_same_test_is_asked_for_once_at_its_most_urgent():
    plan = plan_of(
        {"lesion": {"host": "solid_mass", "morphology": "rim"}, "extent": "10_30", "liver_background": "cirrhosis"}
    )
    asking = [item for item in plan.items if "mri" in item.tests]
    assert len(asking) == 1
    assert asking[0].urgency == "urgent"
    assert {"ring_in_solid", "nodule_in_cirrhosis"} <= {asking[0].rule, *(more.rule for more in asking[0].also)}


def test_harm_is_acted_on_though_a_benign_cause_ranks_first():
    case, at = next((c, a) for c, a in reference_scenes() if c.id == "textbook_haemangioma_sclerosed")
    assert KNOWLEDGE.causes[at.differential.first.cause].harm == "benign", case.id
    assert "act_malignant" in rules_of(make_plan(at, KNOWLEDGE))


def test_a_plan_without_today_has_no_dates():
    _, at = reference_scenes()[0]
    assert all(item.due is None for item in make_plan(at, KNOWLEDGE).items)
