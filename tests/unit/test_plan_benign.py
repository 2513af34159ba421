"""The article's rule made exact: no treatment, one comparison or one re-look, then stop; nothing needless."""

from typing import Any

import pytest

from hepacalc.reason.plan import make_plan
from plan_scenes import KNOWLEDGE, SIMPLE, TODAY, plan_of, reference_scenes, rules_of, scene, without

BENIGN = [(case, at) for case, at in reference_scenes() if case.id.startswith("benign_")]
NEEDED = {"prior_images", "ultrasound", "noncontrast_ct"}


def named_tests(plan: Any) -> set[str]:
    return {test for item in plan.items for test in item.tests}


def asked(plan: Any, *, for_stop: bool = True) -> set[str]:
    return {question.asks for question in plan.questions if question.for_stop is for_stop}


@pytest.mark.parametrize(("case", "at"), BENIGN, ids=[case.id for case, _ in BENIGN])
def test_simple_focus_stops(case, at):
    plan = make_plan(at, KNOWLEDGE, today=TODAY)
    assert not plan.flags
    assert plan.stop
    assert rules_of(plan) <= {"stop_simple", "compare_once", "look_once_more"}
    assert named_tests(plan) <= NEEDED
    assert not any("every" in dict(item.interval)["en"] for item in plan.items), "nothing is repeated"
    assert "No interval is evidence-based" in dict(plan.stop)["en"]
    if case.id.endswith(("_old", "_many")):
        assert rules_of(plan) == {"stop_simple"}, "compared already: nothing at all"


def test_nearly_no_simple_focus_is_sent_to_a_needless_test():
    plans = [make_plan(at, KNOWLEDGE) for _, at in BENIGN]
    good = sum(bool(plan.stop) and named_tests(plan) <= NEEDED for plan in plans)
    assert len(plans) >= 20
    assert good >= 0.95 * len(plans)


def test_ultrasound_only_without_older_images_is_looked_at_once_more():
    plan = plan_of(SIMPLE, facts={"modality": "ultrasound", "older_images": "none"})
    assert rules_of(plan) == {"look_once_more", "stop_simple"}
    item = next(item for item in plan.items if item.rule == "look_once_more")
    assert item.tests == ("ultrasound", "noncontrast_ct")
    assert item.due == ("2026-07-31", "2027-01-31")
    assert item.status == "ours"
    assert dict(item.interval) == {"en": "once in 6-12 months", "zh": "6-12个月后一次"}


def test_older_images_come_before_a_new_look():
    us = {"modality": "ultrasound"}
    assert rules_of(plan_of(SIMPLE, facts=us | {"older_images": "available"})) == {"compare_once", "stop_simple"}
    assert rules_of(plan_of(SIMPLE, facts=us)) == {"compare_once", "look_once_more", "stop_simple"}
    assert rules_of(plan_of(SIMPLE, facts=us | {"older_images": "compared"})) == {"stop_simple"}


@pytest.mark.parametrize(
    ("block", "asks"),
    [
        ("ducts", {"block:ducts"}),
        ("primary", {"block:primary"}),
        ("biochemistry", {"block:biochemistry"}),
        ("exposure", {"block:exposure"}),
        ("age_sex", {"block:age_sex"}),
        ("history", {"block:history"}),
        ("contour", {"block:contour"}),
    ],
)
def test_what_the_stop_rule_needs_is_asked_not_assumed(block, asks):
    plan = plan_of(without(block), facts={"modality": "ultrasound", "older_images": "none"})
    assert not plan.stop, "unknown never satisfies the stop rule"
    assert asked(plan) == asks
    shown = [item for item in plan.items if item.provided]
    assert {item.rule for item in shown} == {"stop_simple", "look_once_more"}
    assert named_tests(plan) <= NEEDED, "not asked is no reason for a test"
    assert "unresolved" not in rules_of(plan)


def test_a_health_check_that_asked_little_gets_questions_and_the_plan_for_normal_answers():
    plan = plan_of(
        {key: SIMPLE[key] for key in ("lesion", "number", "extent", "age_sex")},
        setting="health_check_ultrasound",
        facts={"modality": "ultrasound", "reason": "health_check"},
    )
    assert asked(plan) == {
        f"block:{key}" for key in ("ducts", "primary", "biochemistry", "exposure", "history", "contour")
    }
    assert {item.rule for item in plan.items if item.provided} == {"stop_simple", "compare_once", "look_once_more"}
    assert not rules_of(plan) - {"compare_once"}
    assert named_tests(plan) <= NEEDED
    assert all(question.text[0][1].endswith("?") for question in plan.questions)


def test_a_report_without_the_shape_asks_for_it():
    told = {"lesion": {"host": "parenchyma"}, "extent": "under_10", "age_sex": "f_40_59"}
    plan = plan_of(told, setting="health_check_ultrasound", facts={"modality": "ultrasound", "older_images": "none"})
    assert not plan.stop
    assert "block:lesion" in asked(plan)
    assert {item.rule for item in plan.items} == {"stop_simple", "look_once_more"}
    assert all(item.provided for item in plan.items)


def test_nothing_known_is_not_called_benign():
    plan = plan_of({})
    assert not plan.stop
    assert not any(item.rule == "stop_simple" for item in plan.items)
    assert plan.items


@pytest.mark.parametrize(
    ("findings", "rule"),
    [
        (SIMPLE | {"age_sex": "child_5_17"}, "child"),
        (SIMPLE | {"exposure": "pasture"}, "simple_but_exposed"),
        (SIMPLE | {"biochemistry": "hepatocellular"}, "liver_tests_raised"),
        (SIMPLE | {"extent": "10_30", "liver_background": "healthy"}, "large_plain_focus"),
        (SIMPLE | {"course": "growing"}, "soft_tissue_or_growth"),
        (SIMPLE | {"primary": "colorectal"}, "known_primary"),
        (SIMPLE | {"lesion": {"host": "solid_mass", "morphology": "nodular"}}, "soft_tissue_or_growth"),
        (SIMPLE | {"symptoms": "jaundice"}, "unresolved"),
    ],
)
def test_one_exception_bars_the_stop_of_the_simple_focus(findings, rule):
    plan = plan_of(findings, facts={"modality": "ultrasound"})
    assert "stop_simple" not in {item.rule for item in plan.items}
    assert rule in rules_of(plan)


def test_large_focus_by_its_size_in_mm():
    facts = {"modality": "ct", "noncontrast_phase": True}
    assert plan_of(without("extent"), facts=facts | {"focus_mm": 10}).stop
    assert not plan_of(without("extent"), facts=facts | {"focus_mm": 10.1}).stop
    assert "stop_simple" not in rules_of(plan_of(SIMPLE, facts=facts | {"host_mm": 35}))


def test_on_a_contrast_phase_alone_calcium_is_never_certain():
    plan = plan_of(SIMPLE, facts={"modality": "ct", "noncontrast_phase": False})
    assert not plan.stop
    item = next(item for item in plan.items if item.rule == "noncontrast_phase")
    assert item.tests == ("prior_images", "noncontrast_ct")
    assert "never certain" in dict(item.action)["en"]
    asked_for = plan_of(SIMPLE, facts={"modality": "ct"})
    assert "fact:noncontrast_phase" in asked(asked_for)
    assert not asked_for.stop


def test_hepatitis_b_is_judged_apart_and_does_not_bar_the_stop():
    plan = plan_of(SIMPLE, facts={"modality": "ultrasound"}, labs={"hbsag": "positive"})
    assert plan.stop
    assert "hbv_dna" in rules_of(plan)
    cirrhotic = plan_of(SIMPLE | {"liver_background": "cirrhosis"}, labs={"hbsag": "positive"})
    assert not cirrhotic.stop
    assert {"acr_small_high_risk", "hcc_surveillance"} <= rules_of(cirrhotic)
    assert "hbsag_first" not in rules_of(plan_of(SIMPLE, facts={"modality": "ultrasound"}))


def test_one_harmful_lesion_bars_the_stop_of_all_in_any_order():
    facts = {"modality": "ct", "noncontrast_phase": True}
    simple = scene(SIMPLE, facts=facts)
    mass = scene(
        SIMPLE | {"lesion": {"host": "solid_mass", "morphology": "coarse"}, "extent": "30_100", "enhancement": "rim"},
        facts=facts,
    )
    assert make_plan([simple, simple], KNOWLEDGE, today=TODAY).stop
    one, other = (make_plan(order, KNOWLEDGE, today=TODAY) for order in ([simple, mass], [mass, simple]))
    assert one == other
    assert not one.stop
    assert {flag.flag for flag in one.flags} == {"soft_tissue"}
    assert "act_malignant" in rules_of(one)


def test_order_of_findings_and_facts_never_matters():
    facts = {"modality": "ultrasound", "older_images": "none", "age": 46}
    turned = dict(reversed(SIMPLE.items()))
    assert plan_of(SIMPLE, facts=facts) == plan_of(turned, facts=dict(reversed(facts.items())))
