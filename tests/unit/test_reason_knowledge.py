"""The reasoning on the knowledge base that comes with hepacalc."""

import numpy as np
import pytest

from hepacalc.errors import UsageError
from hepacalc.knowledge.load import load_knowledge
from hepacalc.reason.change import what_would_change
from hepacalc.reason.differential import differential, posterior
from hepacalc.reason.evidence import Evidence
from hepacalc.reason.explain import explain
from hepacalc.reason.losses import action_thresholds
from hepacalc.reason.network import network_of
from hepacalc.reason.next_test import next_tests
from hepacalc.reason.observe import observe

KNOWLEDGE = load_knowledge()
NETWORKS = [network_of(KNOWLEDGE, name) for name in KNOWLEDGE.networks]
SETTINGS = [(network, setting) for network in NETWORKS for setting in network.setting_ids]


@pytest.mark.parametrize(("network", "setting"), SETTINGS, ids=lambda value: getattr(value, "name", value))
def test_tables_are_laws(network, setting):
    prior = network.prior_mean(setting)
    assert prior.sum() == pytest.approx(1)
    assert prior.min() > 0
    for block, table in network.tables(setting).items():
        assert table.p.sum(axis=0) == pytest.approx(1), block
        assert table.p[table.allowed].min() > 0, block
        assert not table.p[~table.allowed].any(), block


def test_network_is_made_once():
    first = network_of(KNOWLEDGE, "adult")  # other tests may have pushed an older one out
    assert network_of(KNOWLEDGE, "adult") is first
    with pytest.raises(UsageError, match="elderly"):
        network_of(KNOWLEDGE, "elderly")


@pytest.mark.parametrize(("network", "setting"), SETTINGS, ids=lambda value: getattr(value, "name", value))
def test_evidence_for_a_cause_never_lowers_it_against_an_indifferent_one(network, setting):
    prior = posterior(Evidence(network.name), network, setting)
    for block, names in network.states.items():
        told = np.array([block in KNOWLEDGE.causes[cause].findings for cause in network.cause_ids])
        table = network.tables(setting)[block]
        if told.all() or not told.any():
            continue
        for state in np.flatnonzero(table.allowed):
            then = posterior(Evidence(network.name, {block: np.eye(len(names))[state]}), network, setting)
            gain = then / prior
            everybody = gain[~told][0]
            # the indifferent causes keep their odds among each other
            assert gain[~told] == pytest.approx(everybody, rel=1e-9)
            usual = table.p[state, ~told][0]
            speaks_for = told & (table.p[state] >= usual)
            assert (gain[speaks_for] >= everybody * (1 - 1e-9)).all()


def test_the_walk_of_a_cyst_with_a_ring():
    network = NETWORKS[0]
    findings = {"lesion": {"host": "cyst", "morphology": "rim"}, "exposure": "pasture"}
    evidence = observe(network, findings, setting="general_ct")
    found = differential(evidence, KNOWLEDGE)
    assert found.first.cause == "ce"
    assert found.first.needle == "never"
    assert dict(found.first.name)["en"] == "Cystic echinococcosis"
    assert found.first.low < found.first.probability < found.first.high
    why = explain(evidence, KNOWLEDGE, causes=1)[0]
    assert {w.block for w in why.weights} == {"lesion", "exposure"}
    assert all(w.decibans > 3 for w in why.weights)
    for weight in why.weights:
        assert weight.sources
        assert set(weight.sources) <= set(KNOWLEDGE.sources)
        assert weight.status in {"read", "unchecked", "recalled", "judgement", "ours", "site"}
    for change in what_would_change(evidence, KNOWLEDGE):
        assert change.first != "ce" or change.over
    for test in next_tests(evidence, KNOWLEDGE, found=found):
        if KNOWLEDGE.tests[test.test].needle:
            assert any("echinococcosis is possible" in reason for reason in test.forbidden)


def test_thresholds_are_those_of_the_knowledge_base():
    limits = action_thresholds(KNOWLEDGE)
    assert limits["malignant"] == KNOWLEDGE.thresholds["action_malignant"].value
    assert limits["dangerous"] == KNOWLEDGE.thresholds["action_dangerous"].value


def test_a_presumed_fact_is_not_counted_twice():
    network = NETWORKS[0]
    (given,) = network.given["echinococcosis_pasture"].values()
    told = observe(network, {"exposure": dict.fromkeys(given, 1.0)}, setting="echinococcosis_pasture")
    assert posterior(told, network, "echinococcosis_pasture") == pytest.approx(
        network.prior_mean("echinococcosis_pasture"), rel=1e-12
    )


def test_fetal():
    evidence = observe(
        NETWORKS[1], {"fetal_anomalies": "none", "fetal_focus": "parenchymal_few"}, setting="fetal_screening"
    )
    found = differential(evidence, KNOWLEDGE)
    assert found.network == "fetal"
    assert found.first.cause == "fetal_isolated"
