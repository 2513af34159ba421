"""Weights of evidence add up, name their sources, and what would change the answer does change it."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hepacalc.reason.change import what_would_change
from hepacalc.reason.differential import posterior
from hepacalc.reason.evidence import Evidence, Said
from hepacalc.reason.explain import explain
from reason_nets import hard, network_by_hand, random_network


def decibans(p: float) -> float:
    return float(10 * np.log10(p / (1 - p)))


@pytest.mark.parametrize("seed", range(10))
def test_weights_add_up(seed: int):
    network = random_network(seed, causes=3 + seed, sizes=(3, 4, 2, 5, 6))
    rng = np.random.default_rng(seed)
    weights = {block: rng.random(len(states)) for block, states in network.states.items()}
    evidence = Evidence("adult", weights, setting="p0")
    for why in explain(evidence, network, causes=network.cause_ids):
        gained = sum(w.decibans for w in why.weights)
        assert gained == pytest.approx(why.posterior_decibans - why.prior_decibans, abs=1e-8)
        assert why.posterior_decibans == pytest.approx(decibans(why.probability), abs=1e-6)
        assert why.prior == pytest.approx(network.prior_mean("p0")[network.index[why.cause]])


def test_weights_add_up_where_findings_are_overwhelming():
    tables = {f"b{k}": {"a": (1.0, 0.0), "c": (0.0, 1.0), "d": (0.5, 0.5)} for k in range(30)}
    network = network_by_hand(tables, {"a": 0.3, "c": 0.3, "d": 0.4})
    states = {f"b{k}": 0 for k in range(20)} | {f"b{k}": 1 for k in range(20, 30)}
    for why in explain(hard(network, **states), network, causes=3):
        gained = sum(w.decibans for w in why.weights)
        assert gained == pytest.approx(why.posterior_decibans - why.prior_decibans, abs=1e-7)


def test_against_one_rival_it_is_the_likelihood_ratio():
    tables = {"b": {"x": (0.8, 0.2), "y": (0.1, 0.9)}, "c": {"x": (0.5, 0.5), "y": (0.3, 0.7)}}
    network = network_by_hand(tables, {"x": 1, "y": 4})
    (why,) = explain(hard(network, b=0, c=0), network, causes=["x"])
    got = {w.block: w.decibans for w in why.weights}
    assert got["b"] == pytest.approx(10 * np.log10(0.8 / 0.1), abs=0.05)
    assert got["c"] == pytest.approx(10 * np.log10(0.5 / 0.3), abs=0.05)
    assert [w.block for w in why.weights] == ["b", "c"], "strongest first"


def test_a_block_on_which_all_agree_weighs_nothing():
    same = dict.fromkeys("xyz", (0.3, 0.7))
    tables = {"b": {"x": (0.8, 0.2), "y": (0.1, 0.9), "z": (0.5, 0.5)}, "same": same}
    network = network_by_hand(tables, dict.fromkeys("xyz", 1))
    for why in explain(hard(network, b=0, same=1), network):
        assert {w.block: w.decibans for w in why.weights}["same"] == pytest.approx(0, abs=1e-12)


def test_leave_one_out_is_the_posterior_without_it():
    network = random_network(6, causes=5, sizes=(3, 4, 2))
    evidence = hard(network, b0=0, b1=3, b2=1)
    for why in explain(evidence, network):
        for weight in why.weights:
            without = posterior(evidence.without(weight.block), network, "p0")
            assert weight.without == pytest.approx(without[network.index[why.cause]], abs=1e-12)


def test_nothing_known_needs_no_weights():
    (first, *_) = explain(Evidence("adult", setting="p0"), random_network(6))
    assert first.weights == ()
    assert first.posterior_decibans == first.prior_decibans


def as_knowledge(network: Any) -> Any:
    """A knowledge base of just what the explanation asks."""
    figures = {"b": SimpleNamespace(sources=("E1", "J-TEXT"), status="read")}
    plain = {"name": {"en": "a cause"}, "needle": "allowed"}
    causes = {c: SimpleNamespace(**plain, harm="benign", findings={}) for c in network.cause_ids}
    if "x" in causes:
        causes["x"].findings = figures
    blocks = {b: SimpleNamespace(states=s, axes=None, sources=("J-BASE",)) for b, s in network.states.items()}
    priors = {s: SimpleNamespace(shares=p, alpha=a) for s, (p, a) in network.prior.items()}
    tables = SimpleNamespace(
        cause_ids=network.cause_ids, block_ids=network.block_ids, alpha=network.alpha, prior=priors
    )
    return SimpleNamespace(
        networks={"adult": tables},
        causes=causes,
        blocks=blocks,
        settings={"p": SimpleNamespace(given={})},
        sources={"E1": SimpleNamespace(status="read"), "J-TEXT": SimpleNamespace(status="judgement")},
        thresholds={"action_malignant": SimpleNamespace(value=0.3)},
    )


def test_sources_and_the_softest_status():
    network = network_by_hand({"b": {"x": (0.8, 0.2), "y": (0.1, 0.9)}}, {"x": 1, "y": 1})
    evidence = Evidence("adult", {"b": np.array([1.0, 0])}, {"b": (Said("one focus", "measured"),)}, setting="p")
    knowledge = as_knowledge(network)
    x, y = explain(evidence, knowledge)
    assert x.weights[0].sources == ("E1", "J-TEXT")
    assert x.weights[0].status == "judgement", "a judgement among the sources is never shown as read"
    assert x.weights[0].said == ("one focus",)
    assert (y.weights[0].sources, y.weights[0].status) == (("J-BASE",), "judgement")
    knowledge.causes["x"].findings["b"].sources = ("E1",)
    assert explain(evidence, knowledge, causes=["x"])[0].weights[0].status == "read"


# ---------------------------------------------------------------- what would change the answer


def changing() -> Any:
    tables = {
        "mass": {"scar": (0.98, 0.02), "cancer": (0.2, 0.8), "cyst": (0.9, 0.1)},
        "host": {"scar": (0.9, 0.1), "cancer": (0.9, 0.1), "cyst": (0.05, 0.95)},
        "dull": dict.fromkeys(("scar", "cancer", "cyst"), (0.5, 0.5)),
    }
    return network_by_hand(tables, {"scar": 0.85, "cancer": 0.03, "cyst": 0.12}, harm={"cancer": "malignant"}, ess=1e4)


def test_changes_are_found_and_true():
    network = changing()
    evidence = hard(network, mass=0)
    found = what_would_change(evidence, network, thresholds={"malignant": 0.3})
    told = {(c.block, c.state): c for c in found}
    assert set(told) == {("host", "s1"), ("mass", "s1")}
    assert [c.known for c in found] == [False, True], "what is not known yet comes first"
    cyst = told["host", "s1"]
    assert (cyst.first, cyst.over) == ("cyst", ())
    then = posterior(hard(network, mass=0, host=1), network, "p")
    assert cyst.probability == pytest.approx(then[2], abs=1e-12)
    now = posterior(evidence, network, "p")
    p = network.tables("p")["host"].p
    assert cyst.chance == pytest.approx(now @ p[1], abs=1e-12)
    # it was ruled out, so there is no chance of seeing it; but if it had been seen, cancer would be over its threshold
    cancer = told["mass", "s1"]
    assert cancer.chance == 0
    assert cancer.over[0][0] == "cancer"
    assert cancer.over[0][1] == pytest.approx(posterior(hard(network, mass=1), network, "p")[1], abs=1e-12)


def test_thresholds_come_from_the_knowledge_base():
    network = changing()
    evidence = Evidence("adult", setting="p")
    knowledge = as_knowledge(network)
    knowledge.causes["cancer"].harm = "malignant"
    assert any(c.over for c in what_would_change(evidence, knowledge))
    knowledge.thresholds["action_malignant"].value = 0.999
    assert not any(c.over for c in what_would_change(evidence, knowledge))


def test_axes_are_tried_one_by_one():
    axes = {"lesion": {"host": ("plain", "cyst"), "morphology": ("dot", "ring")}}
    tables = {"lesion": {"scar": (0.7, 0.2, 0.06, 0.04), "worm": (0.05, 0.1, 0.05, 0.8)}}
    network = network_by_hand(tables, {"scar": 0.9, "worm": 0.1}, axes=axes, ess=1e4)
    ring = Evidence("adult", {"lesion": np.array([0.0, 1, 0, 1])}, setting="p")
    (change,) = what_would_change(ring, network, thresholds={})
    assert (change.axis, change.state, change.first) == ("host", "cyst", "worm")
    # with the ring that is known already
    both = Evidence("adult", {"lesion": np.array([0.0, 0, 0, 1])}, setting="p")
    assert change.probability == pytest.approx(posterior(both, network, "p")[1], abs=1e-12)
    p, now = network.tables("p")["lesion"].p, posterior(ring, network, "p")
    assert change.chance == pytest.approx(float((p[3] / (p[1] + p[3])) @ now), abs=1e-12)


def test_states_outside_the_setting_are_not_tried():
    tables = {"exposure": {"worm": (0.1, 0.6, 0.3), "scar": (0.9, 0.05, 0.05)}}
    network = network_by_hand(tables, {"worm": 0.3, "scar": 0.7}, given={"exposure": ("s1", "s2")})
    assert {c.state for c in what_would_change(Evidence("adult", setting="p"), network, thresholds={})} <= {"s1", "s2"}
