"""What must hold for every condition: order never matters, and what is not known decides nothing."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from hepacalc.reason.conditions import evaluate
from hepacalc.reason.situation import LabValue, Situation
from plan_scenes import KNOWLEDGE, SIMPLE, scene

EVIDENCE = scene(SIMPLE)
FACTS: dict[str, Any] = {"age": 46.0, "sex": "female", "pregnant": False, "page_b": 12.0}
LABS = {"alt": LabValue(80.0, uln=40.0), "ggt": LabValue(10.0), "hbsag": LabValue("positive")}
LEAVES: list[dict[str, Any]] = [
    {"fact": "age", "above": 40},
    {"fact": "age", "below": 40},
    {"fact": "sex", "is": "male"},
    {"fact": "pregnant", "is": False},
    {"fact": "page_b", "at_least": 10},
    {"lab": "alt", "above_uln": 1},
    {"lab": "ggt", "above_uln": 1},
    {"lab": "hbsag", "is": "negative"},
    {"block": "ducts", "states": ["normal"], "least": 0.8},
    {"block": "chest", "states": ["normal"]},
    {"cause": "malignant", "upper": "action_malignant"},
]
TREES = st.recursive(
    st.sampled_from(LEAVES),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=4).map(lambda parts: {"all": parts}),
        st.lists(inner, min_size=1, max_size=4).map(lambda parts: {"any": parts}),
        inner.map(lambda part: {"not": part}),
    ),
    max_leaves=12,
)


def told(facts: set[str], labs: set[str]) -> Situation:
    """The same patient with only some facts and values known."""
    return Situation(
        EVIDENCE.evidence,
        EVIDENCE.differential,
        {key: FACTS[key] for key in sorted(facts)},
        {key: LABS[key] for key in sorted(labs)},
    )


def shuffled(tree: dict[str, Any], random: Any) -> dict[str, Any]:
    """The same condition with the parts of every all and any in another order."""
    out = {}
    for key, value in tree.items():
        if key in ("all", "any"):
            parts = [shuffled(part, random) for part in value]
            random.shuffle(parts)
            out[key] = parts
        else:
            out[key] = shuffled(value, random) if key == "not" else value
    return out


KNOWN = st.tuples(st.sets(st.sampled_from(sorted(FACTS))), st.sets(st.sampled_from(sorted(LABS))))


@settings(max_examples=300, deadline=None)
@given(TREES, KNOWN, st.randoms(use_true_random=False))
def test_order_never_matters(tree: dict[str, Any], known: Any, random: Any) -> None:
    one, other = (evaluate(each, told(*known), KNOWLEDGE) for each in (tree, shuffled(tree, random)))
    assert one.value is other.value
    assert one.missing == other.missing
    assert set(one.because) == set(other.because)


@settings(max_examples=300, deadline=None)
@given(TREES, KNOWN)
def test_what_is_decided_stays_when_more_is_known(tree: dict[str, Any], known: Any) -> None:
    part = evaluate(tree, told(*known), KNOWLEDGE)
    whole = evaluate(tree, told(set(FACTS), set(LABS)), KNOWLEDGE)
    if part.value is not None:
        assert whole.value is part.value
    else:
        assert part.missing


@settings(max_examples=300, deadline=None)
@given(TREES, KNOWN)
def test_not_is_its_own_inverse_and_de_morgan_holds(tree: dict[str, Any], known: Any) -> None:
    at = told(*known)
    value = evaluate(tree, at, KNOWLEDGE).value
    assert evaluate({"not": {"not": tree}}, at, KNOWLEDGE).value is value
    for one, other in (("all", "any"), ("any", "all")):
        if one in tree:
            turned = {"not": {other: [{"not": part} for part in tree[one]]}}
            assert evaluate(turned, at, KNOWLEDGE).value is value


@settings(max_examples=100, deadline=None)
@given(TREES, KNOWN)
def test_unless_passes_all_but_what_is_met(tree: dict[str, Any], known: Any) -> None:
    at = told(*known)
    assert evaluate({"unless": tree}, at, KNOWLEDGE).value is (evaluate(tree, at, KNOWLEDGE).value is not True)
