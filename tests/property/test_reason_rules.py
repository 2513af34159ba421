"""What must hold for every network and every evidence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hepacalc.reason.change import what_would_change
from hepacalc.reason.differential import differential, posterior
from hepacalc.reason.evidence import Evidence
from hepacalc.reason.explain import explain
from hepacalc.reason.lesions import combine_lesions
from hepacalc.reason.losses import losses_of
from hepacalc.reason.network import Network
from hepacalc.reason.next_test import value_of
from reason_nets import by_enumeration, networks_with_evidence, random_network

THRESHOLDS = {"dangerous": 0.1, "malignant": 0.05}
Pair = tuple[Network, Evidence]


def place(evidence: Evidence) -> str:
    assert evidence.setting is not None
    return evidence.setting


@settings(max_examples=150, deadline=None)
@given(networks_with_evidence())
def test_equals_the_sum_over_all_combinations(pair: Pair) -> None:
    network, evidence = pair
    tables = network.tables(place(evidence))
    if not any(tables[block].contradicts(w) for block, w in evidence.weights.items()):
        wanted = by_enumeration(network, evidence, place(evidence))
        assert posterior(evidence, network, place(evidence)) == pytest.approx(wanted, abs=1e-10)


@settings(max_examples=60, deadline=None)
@given(networks_with_evidence(), st.randoms(use_true_random=False))
def test_order_of_findings_never_matters(pair: Pair, shuffled: object) -> None:
    network, evidence = pair
    blocks = list(evidence.weights)
    shuffled.shuffle(blocks)  # type: ignore[attr-defined]
    other = Evidence("adult", {block: evidence.weights[block] for block in blocks}, setting=evidence.setting)
    assert differential(evidence, network, draws=200) == differential(other, network, draws=200)
    assert explain(evidence, network) == explain(other, network)
    assert what_would_change(evidence, network) == what_would_change(other, network)


@settings(max_examples=60, deadline=None)
@given(networks_with_evidence(), st.floats(0.01, 100))
def test_what_is_not_known_changes_nothing(pair: Pair, weight: float) -> None:
    network, evidence = pair
    flat = {block: np.full(len(states), weight) for block, states in network.states.items()}
    more = Evidence("adult", flat | dict(evidence.weights), setting=evidence.setting)
    assert differential(more, network, draws=200) == differential(evidence, network, draws=200)
    assert explain(more, network) == explain(evidence, network)


@settings(max_examples=60, deadline=None)
@given(networks_with_evidence(), st.floats(0.001, 1000))
def test_only_ratios_of_weights_matter(pair: Pair, factor: float) -> None:
    network, evidence = pair
    scaled = Evidence("adult", {b: w * factor for b, w in evidence.weights.items()}, setting=evidence.setting)
    one, two = (posterior(e, network, place(evidence)) for e in (evidence, scaled))
    assert two == pytest.approx(one, abs=1e-12)


@settings(max_examples=80, deadline=None)
@given(networks_with_evidence())
def test_probabilities_and_bands(pair: Pair) -> None:
    network, evidence = pair
    found = differential(evidence, network, draws=300)
    p = [c.probability for c in found.causes]
    assert sum(p) == pytest.approx(1, abs=1e-12)
    assert sum(h.probability for h in found.harms) == pytest.approx(1, abs=1e-12)
    assert p == sorted(p, reverse=True)
    assert min(p) > 0, "nothing is ever impossible"
    # the band always holds the point; it holds nine of ten draws or more, see the tests of the band
    for entry in (*found.causes, *found.harms):
        assert 0 <= entry.low <= entry.probability <= entry.high <= 1
    # a harm is at least as probable as any of its causes, also at the ends
    for harm in found.harms:
        for cause in found.causes:
            if cause.harm == harm.harm:
                assert harm.probability >= cause.probability - 1e-12
                assert harm.high >= cause.high - 1e-5
                assert harm.low >= cause.low - 1e-5


@settings(max_examples=100, deadline=None)
@given(networks_with_evidence(), st.data())
def test_evidence_for_a_cause_never_lowers_it_against_an_indifferent_one(pair: Pair, data: st.DataObject) -> None:
    """One block more, on which one cause has its own figures and another those of everybody."""
    network, evidence = pair
    base = np.array(data.draw(st.lists(st.floats(0.01, 1), min_size=2, max_size=5)))
    base = base / base.sum()
    state = data.draw(st.integers(0, len(base) - 1))
    lifted = base.copy()
    # more of one state, less of the others
    lifted[state] *= data.draw(st.floats(1, 50))
    rows = np.tile(base, (len(network.cause_ids), 1))
    rows[0] = lifted / lifted.sum()
    for row in range(2, len(rows)):
        rows[row] = np.random.default_rng(row).dirichlet(np.ones(len(base)))
    wider = Network(
        "adult",
        network.cause_ids,
        network.labels,
        {**network.states, "more": tuple(f"s{k}" for k in range(len(base)))},
        {**network.alpha, "more": rows * 10},
        network.prior,
        network.given,
    )
    weights = np.full(len(base), data.draw(st.floats(0, 1)))
    weights[state] = 1.0
    then = posterior(Evidence("adult", {**evidence.weights, "more": weights}), wider, place(evidence))
    now = posterior(evidence, wider, place(evidence))
    # odds of the cause against the indifferent one
    assert then[0] / then[1] >= now[0] / now[1] * (1 - 1e-9)


@settings(max_examples=60, deadline=None)
@given(networks_with_evidence())
def test_weights_of_evidence_add_up(pair: Pair) -> None:
    network, evidence = pair
    for why in explain(evidence, network, causes=network.cause_ids):
        gained = sum(w.decibans for w in why.weights)
        assert gained == pytest.approx(why.posterior_decibans - why.prior_decibans, abs=1e-7)


@settings(max_examples=60, deadline=None)
@given(networks_with_evidence())
def test_knowing_more_is_never_worth_less_than_nothing(pair: Pair) -> None:
    network, evidence = pair
    losses = losses_of(network, THRESHOLDS)
    everything = value_of(network.block_ids, evidence, network, place(evidence), losses)
    assert min(everything) >= 0
    assert everything[1] <= 1 + 1e-12
    for block in network.block_ids:
        value, change, bits = value_of([block], evidence, network, place(evidence), losses)
        assert min(value, change, bits) >= 0
        if np.prod([len(s) for s in network.states.values()]) <= 2048:
            assert value <= everything[0] + 1e-9
            assert bits <= everything[2] + 1e-9


@settings(max_examples=30, deadline=None)
@given(networks_with_evidence(), st.integers(1, 4), st.floats(0, 1), st.floats(0, 1))
def test_lesions_have_probabilities(pair: Pair, count: int, other: float, alike: float) -> None:
    network, evidence = pair
    shared = Evidence("adult", setting=evidence.setting)
    found = combine_lesions(shared, [evidence] * count, network, other=other, alike=alike, draws=100)
    for mine in (*found.lesions, found.patient):
        assert sum(c.probability for c in mine.causes) == pytest.approx(1, abs=1e-12)
        assert all(0 <= c.low <= c.probability <= c.high <= 1 for c in mine.causes)
    for cause in found.highest:
        assert cause.probability == max(lesion[cause.cause].probability for lesion in found.lesions)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_weak_figures_make_wide_bands(seed: int) -> None:
    network = random_network(seed, causes=4, sizes=(3, 3))
    evidence = Evidence("adult", {"b0": np.array([1.0, 0, 0])}, setting="p0")
    firm = replace(
        network,
        alpha={block: alpha * 1000 for block, alpha in network.alpha.items()},
        prior={s: (p, a * 1000) for s, (p, a) in network.prior.items()},
        _tables={},
    )
    weak = differential(evidence, network, draws=400)
    sure = differential(evidence, firm, draws=400)
    for cause in weak.causes:
        if 0.02 < cause.probability < 0.98:
            assert sure[cause.cause].high - sure[cause.cause].low < cause.high - cause.low
