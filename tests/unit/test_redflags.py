"""Red flags override any ranking; forbidden tests are never asked for."""

import pytest

from hepacalc.reason.plan import make_plan
from hepacalc.reason.redflags import forbidden_tests, red_flags
from plan_scenes import CYST, KNOWLEDGE, SIMPLE, plan_of, scene

SHOWN = {
    "soft_tissue": [{"enhancement": "rim"}, {"lesion": {"host": "solid_mass", "morphology": "coarse"}}],
    "ring_in_solid": [{"lesion": {"host": "solid_mass", "morphology": "rim"}}],
    "ducts": [{"ducts": "dilated"}, {"ducts": "stricture"}],
    "growth": [{"course": "growing"}, {"course": "new"}],
    "cancer": [{"primary": "thyroid"}, {"primary": {"none": 0.6, "colorectal": 0.4}}],
    "nodule_in_cirrhosis": [{"liver_background": "cirrhosis", "extent": "10_30"}],
    "aneurysm": [{"lesion": {"host": "vessel", "morphology": "curvilinear"}}],
    "cystic_echinococcosis": [CYST],
    "alveolar_echinococcosis": [
        {"lesion": {"host": "solid_mass", "morphology": "coarse"}, "exposure": "alveolar_area", "extent": "30_100",
         "contour": "ill_defined", "enhancement": "none"},
    ],
    "diffuse_after_shock": [
        {"number": "diffuse", "history": "shock"}, {"lesion": {"host": "diffuse"}, "history": "renal_failure"},
    ],
    "symptoms": [{"symptoms": "constitutional"}, {"symptoms": "jaundice"}],
    "fetus_second_finding": [{"fetal_anomalies": "bowel_ascites"}, {"fetal_anomalies": "hydrops_growth"}],
    "fetus_mass": [{"fetal_focus": "mass"}, {"fetal_karyotype": "abnormal"}],
}  # fmt: skip


def flags(findings, **more):
    if any(key.startswith("fetal") for key in findings):
        more["setting"] = "fetal_screening"
    return {flag.flag for flag in red_flags([scene(findings, **more)], KNOWLEDGE)}


def test_every_red_flag_has_an_example():
    assert set(SHOWN) == set(KNOWLEDGE.redflags)


@pytest.mark.parametrize(("flag", "findings"), [(flag, one) for flag, all_ in SHOWN.items() for one in all_])
def test_is_raised(flag, findings):
    assert flag in flags(findings)


def test_doubt_of_a_fifth_is_enough_and_less_is_not():
    assert "ducts" in flags({"ducts": {"normal": 0.8, "dilated": 0.2}})
    assert "ducts" not in flags({"ducts": {"normal": 0.85, "dilated": 0.15}})


def test_nothing_known_and_the_simple_focus_raise_none():
    assert not flags({})
    assert not flags({"fetal_focus": "parenchymal_few", "fetal_anomalies": "none"})
    assert not flags(SIMPLE)


def test_positive_hbsag_makes_a_nodule_of_10_mm_a_flag():
    mass = {"lesion": {"host": "solid_mass", "morphology": "nodular"}}
    labs = {"hbsag": "positive"}
    assert "nodule_in_cirrhosis" in flags(mass, labs=labs, facts={"host_mm": 10})
    assert "nodule_in_cirrhosis" not in flags(mass, labs=labs, facts={"host_mm": 9})
    assert "nodule_in_cirrhosis" not in flags(mass, labs={"hbsag": "negative"}, facts={"host_mm": 30})


def test_flags_come_with_reason_and_source():
    found = red_flags(
        [scene({"lesion": {"host": "vessel", "morphology": "curvilinear"}, "ducts": "dilated"})], KNOWLEDGE
    )
    assert {"aneurysm", "ducts"} <= {flag.flag for flag in found}
    for flag in found:
        assert flag.because
        assert flag.why
        assert set(flag.sources) <= set(KNOWLEDGE.sources)


# tests that must not be done


VESSEL = {"lesion": {"host": "vessel", "morphology": "curvilinear"}, "enhancement": "aphe", "contour": "sharp"}


@pytest.mark.parametrize("findings", [CYST, VESSEL, *SHOWN["alveolar_echinococcosis"]])
def test_no_blind_needle(findings):
    forbidden = forbidden_tests([scene(findings)], KNOWLEDGE)
    assert {"biopsy", "aspirate_culture"} <= set(forbidden)
    assert "upper bound" in dict(forbidden["biopsy"][0])["en"]
    plan = plan_of(findings)
    assert not {"biopsy", "aspirate_culture"} & {test for item in plan.items for test in item.tests}


def test_one_lesion_that_forbids_a_needle_forbids_it_for_the_patient():
    assert "biopsy" not in forbidden_tests([scene(SIMPLE)], KNOWLEDGE)
    assert "biopsy" in forbidden_tests([scene(SIMPLE), scene(CYST)], KNOWLEDGE)


@pytest.mark.parametrize(
    ("facts", "labs", "forbidden", "allowed"),
    [
        ({"pregnant": True}, {}, {"multiphase_ct", "mri", "noncontrast_ct", "pet_ct"}, {"ultrasound", "mri_plain"}),
        ({"contrast_allergy": True}, {}, {"multiphase_ct", "mri", "cta"}, {"noncontrast_ct", "mrcp"}),
        ({"mri_unsafe_implant": True}, {}, {"mri", "mrcp", "mri_gadoxetate"}, {"multiphase_ct"}),
        ({}, {"egfr": 20}, {"multiphase_ct", "mri"}, {"noncontrast_ct", "ultrasound", "mrcp"}),
        ({}, {"egfr": 90}, set(), {"multiphase_ct", "mri"}),
        ({}, {"platelets": 30}, {"biopsy"}, {"mri"}),
        ({"sex": "female"}, {}, {"psa", "psma_pet"}, {"mri"}),
        ({}, {"hbsag": "negative"}, {"hbv_dna"}, {"mri"}),
        ({}, {}, set(), {"biopsy", "mri", "multiphase_ct"}),
    ],
)  # fmt: skip
def test_contrast_radiation_and_needles_have_their_limits(facts, labs, forbidden, allowed):
    found = set(forbidden_tests([scene(SIMPLE, facts=facts, labs=labs)], KNOWLEDGE))
    assert forbidden <= found
    assert not allowed & found


def test_a_fetus_gets_no_scope_no_needle_into_the_liver_and_no_contrast():
    found = forbidden_tests([scene({"fetal_focus": "mass"}, setting="fetal_referral")], KNOWLEDGE)
    for test in KNOWLEDGE.tests.values():
        harmful = test.contrast != "none" or test.radiation_msv > 0
        if harmful or test.id in ("biopsy", "aspirate_culture", "endoscopy", "colonoscopy"):
            assert test.id in found, test.id
    assert not {"fetal_mri", "fetal_anatomy_scan", "doppler", "amnio_microarray"} & set(found)


def test_an_item_whose_tests_are_all_forbidden_says_so():
    mass = SIMPLE | {"lesion": {"host": "solid_mass", "morphology": "coarse"}, "extent": "30_100"}
    plan = make_plan(scene(mass, facts={"pregnant": True}), KNOWLEDGE)
    item = next(item for item in plan.items if item.rule == "act_malignant")
    assert item.tests == ()
    assert [dict(words)["en"] for words in item.forbidden] == [
        "not MRI of the liver with contrast: pregnant: yes",
        "not multiphase CT of the liver: pregnant: yes",
    ]
    assert "specialist team decides" in dict(item.modality)["en"]
