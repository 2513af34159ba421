"""Conditions are true, false or unknown, and unknown is never negative."""

import pytest

from hepacalc.errors import UsageError
from hepacalc.reason.conditions import evaluate, upper_bound
from hepacalc.reason.differential import differential
from hepacalc.reason.situation import LabValue, situation
from plan_scenes import CYST, KNOWLEDGE, SIMPLE, applying, scene

AT = scene(
    {"ducts": {"normal": 0.7, "dilated": 0.3}, "lesion": {"host": "solid_mass"}, "number": {"single": 1, "few": 1}},
    facts={"age": 46, "sex": "female", "pregnant": False},
    labs={
        "alt": LabValue(80, uln=40),
        "hbsag": "positive",
        "hbv_dna": LabValue(20, bound="<"),
        "ggt": 30,
        "ast": "raised",
    },
)


@pytest.mark.parametrize(
    ("condition", "value"),
    [
        ({"always": True}, True),
        ({"block": "ducts", "states": ["normal"]}, True),
        ({"block": "ducts", "states": ["dilated", "stricture"]}, False),
        ({"block": "ducts", "states": ["dilated", "stricture"], "least": 0.3}, True),
        ({"block": "lesion", "host": ["solid_mass"], "least": 1.0}, True),
        ({"block": "lesion", "host": ["solid_mass"], "morphology": ["rim"]}, None),  # the shape is not known
        ({"block": "lesion", "host": ["cyst"], "morphology": ["rim"]}, False),  # but it is no cyst
        ({"block": "lesion", "morphology": ["rim"]}, None),
        ({"block": "lesion", "morphology": ["rim"], "known": True}, False),
        ({"block": "lesion", "states": ["solid_mass/rim"], "least": 0.05}, True),
        ({"block": "number", "states": ["single"]}, True),
        # a half as it was said, more with how often foci are single: not known
        ({"block": "number", "states": ["single"], "least": 0.51}, None),
        ({"block": "number", "states": ["single"], "least": 0.9}, False),
        ({"block": "chest", "states": ["normal"]}, None),
        ({"block": "chest", "known": True}, False),
        ({"block": "chest", "states": ["normal"], "known": True}, False),
        ({"block": "ducts", "known": True}, True),
        ({"block": "ducts", "states": ["stricture"], "known": True}, False),
        ({"block": "fetal_flow", "states": ["high"]}, False),
        ({"fact": "age", "above": 40}, True),
        ({"fact": "age", "above": 46}, False),
        ({"fact": "age", "at_least": 46, "below": 47}, True),
        ({"fact": "age", "is": 46}, True),
        ({"fact": "sex", "is": ["male", "other"]}, False),
        ({"fact": "pregnant", "is": False}, True),
        ({"fact": "pregnant", "is": True}, False),
        ({"fact": "page_b", "at_least": 10}, None),
        ({"fact": "page_b", "known": True, "at_least": 10}, False),
        ({"fact": "age", "known": True}, True),
        ({"fact": "network", "is": "adult"}, True),
        ({"lab": "alt", "above_uln": 1}, True),
        ({"lab": "alt", "above_uln": 2}, False),
        ({"lab": "alt", "below_uln": 2}, True),
        ({"lab": "alt", "above": 79.9}, True),
        ({"lab": "ggt", "above_uln": 1}, None),  # no upper limit was given
        ({"lab": "ggt", "known": True, "above_uln": 1}, False),
        ({"lab": "alp", "above_uln": 1}, None),
        ({"lab": "ast", "above_uln": 1}, True),
        ({"lab": "ast", "above_uln": 3}, None),
        ({"lab": "ast", "above": 40}, None),
        ({"lab": "hbsag", "is": "positive"}, True),
        ({"lab": "hbsag", "is": "negative"}, False),
        ({"lab": "hdv", "is": "negative"}, None),
        ({"lab": "hbv_dna", "at_least": "hbv_dna"}, False),  # below 20 is below 2000
        ({"lab": "hbv_dna", "above": 10}, None),  # below 20 may be 15
        ({"lab": "hbv_dna", "below": 20}, True),
        ({"lab": "hbv_dna", "at_least": 20}, False),
        ({"guideline": "hbv", "is": "easl_2025"}, True),
        ({"guideline": "hbv", "is": "who_2024"}, False),
        ({"cause": "fetal_tumour", "upper": 0.0001}, False),
        ({"flag": "growth"}, False),
        ({"flag": "any"}, False),
        ({"term": "mass"}, True),
        # Kleene
        ({"not": {"fact": "page_b", "at_least": 10}}, None),
        ({"unless": {"fact": "page_b", "at_least": 10}}, True),
        ({"unless": {"fact": "age", "above": 40}}, False),
        ({"all": [{"fact": "page_b", "at_least": 10}, {"fact": "age", "above": 60}]}, False),
        ({"all": [{"fact": "page_b", "at_least": 10}, {"fact": "age", "above": 40}]}, None),
        ({"any": [{"fact": "page_b", "at_least": 10}, {"fact": "age", "above": 40}]}, True),
        ({"any": [{"fact": "page_b", "at_least": 10}, {"fact": "age", "above": 60}]}, None),
        ({"not": {"any": [{"fact": "age", "above": 60}]}}, True),
    ],
)  # fmt: skip
def test_value(condition, value):
    found = evaluate(condition, AT, KNOWLEDGE)
    assert found.value is value
    assert bool(found.missing) == (value is None)
    assert set(found.first) <= set(found.missing)


def test_exactly_at_the_limit_is_not_above_it():
    at = scene({}, labs={"alt": LabValue(40, uln=40)})
    assert evaluate({"lab": "alt", "above_uln": 1}, at, KNOWLEDGE).value is False
    assert evaluate({"lab": "alt", "below_uln": 1}, at, KNOWLEDGE).value is True


@pytest.mark.parametrize(
    ("bound", "above", "at_least"),
    [("<", False, False), ("<=", False, None), (">", True, True), (">=", None, True), ("", False, True)],
)
def test_a_bound_decides_only_where_all_it_allows_agrees(bound, above, at_least):
    at = scene({}, labs={"hbv_dna": LabValue(2000, bound=bound)})
    assert evaluate({"lab": "hbv_dna", "above": 2000}, at, KNOWLEDGE).value is above
    assert evaluate({"lab": "hbv_dna", "at_least": 2000}, at, KNOWLEDGE).value is at_least


def test_missing_names_all_and_first_what_to_ask_first():
    parts = [
        {"lab": "hdv", "is": "positive"},
        {"fact": "ancestry", "is": "asian"},
        {"block": "chest", "states": ["normal"]},
    ]
    found = evaluate({"all": parts}, AT, KNOWLEDGE)
    assert found.missing == ("block:chest", "fact:ancestry", "lab:hdv")
    assert found.first == ("lab:hdv",)
    assert evaluate({"any": parts}, AT, KNOWLEDGE).first == found.missing


def test_because_tells_only_what_decided():
    found = evaluate({"any": [{"fact": "age", "above": 40}, {"fact": "sex", "is": "male"}]}, AT, KNOWLEDGE)
    assert [dict(words)["en"] for words in found.because] == ["age: 46 years"]
    found = evaluate({"block": "ducts", "states": ["dilated"], "least": 0.2}, AT, KNOWLEDGE)
    assert dict(found.because[0]) == {"en": "Bile ducts: not dilated 70%", "zh": "胆管：无扩张 70%"}


def test_causes_are_asked_by_upper_bound_group_and_harm():
    at = scene(CYST, setting="echinococcosis_pasture")
    assert evaluate({"cause": "ce", "upper": "needle_never"}, at, KNOWLEDGE).value is True
    assert evaluate({"cause": "never", "upper": "needle_never"}, at, KNOWLEDGE).value is True
    assert evaluate({"cause": "ce", "mean": 0.999}, at, KNOWLEDGE).value is False
    ce, never, harm = (upper_bound(one, at, KNOWLEDGE) for one in ("ce", "never", "dangerous"))
    assert ce <= never <= 1
    assert harm >= ce - 1e-9
    assert upper_bound("metastasis", at, KNOWLEDGE) <= upper_bound("malignant", at, KNOWLEDGE)
    assert upper_bound("fetal", at, KNOWLEDGE) == 0


def test_guideline_is_the_one_that_the_site_applies():
    assert evaluate({"guideline": "hbv", "is": "who_2024"}, AT, applying("who_2024")).value is True


@pytest.mark.parametrize(
    ("facts", "labs", "words"),
    [
        ({"colour": "red"}, {}, "Wanted a fact, found colour"),
        ({"age": -3}, {}, "the fact age"),
        ({"age": "old"}, {}, "the fact age"),
        ({"age": float("nan")}, {}, "the fact age"),
        ({"sex": "unknown"}, {}, "the fact sex"),
        ({"pregnant": 1}, {}, "the fact pregnant"),
        ({}, {"tea": LabValue(1.0)}, "Wanted a laboratory value, found tea"),
        ({}, {"alt": LabValue(-3.0)}, "value of alt in U/L"),
        ({}, {"alt": LabValue(3.0, uln=0.0)}, "value of alt"),
        ({}, {"alt": LabValue(3.0, bound="~")}, "value of alt"),
        ({}, {"alt": LabValue(float("inf"))}, "value of alt"),
        ({}, {"hbsag": LabValue(1.0)}, "value of hbsag"),
        ({}, {"alt": LabValue("fine")}, "value of alt"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_is_refused(facts, labs, words):
    with pytest.raises(UsageError, match=words):
        scene(SIMPLE, facts=facts, labs=labs)


def test_a_differential_without_bands_is_refused():
    at = scene(SIMPLE)
    with pytest.raises(UsageError, match="with bands"):
        situation(at.evidence, differential(at.evidence, KNOWLEDGE, draws=0), KNOWLEDGE)
    fetal = scene({"fetal_focus": "surface"}, setting="fetal_screening")
    with pytest.raises(UsageError, match="one network"):
        situation(at.evidence, fetal.differential, KNOWLEDGE)


def test_no_condition_at_all_is_refused():
    with pytest.raises(UsageError, match="Wanted a condition"):
        evaluate({"moon": "full"}, AT, KNOWLEDGE)
