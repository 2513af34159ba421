"""The differential is exact: equal to the sum over all combinations, and to pyAgrum."""

import warnings

import numpy as np
import pytest

from hepacalc.errors import UsageError
from hepacalc.reason.differential import differential, posterior
from hepacalc.reason.evidence import Evidence
from hepacalc.reason.many import posterior_many
from hepacalc.reason.network import network_of
from hepacalc.reason.observe import observe, state_weights
from reason_nets import by_enumeration, hard, network_by_hand, pyagrum_posterior, random_evidence, random_network


@pytest.mark.parametrize("seed", range(30))
def test_equals_the_sum_over_all_combinations(seed: int):
    network = random_network(seed, causes=2 + seed % 6, sizes=(2, 3, 4, 2, 3), given=seed % 3 == 0)
    evidence = random_evidence(network, seed)
    assert evidence.setting is not None
    wanted = by_enumeration(network, evidence, evidence.setting)
    assert posterior(evidence, network, evidence.setting) == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("seed", range(12))
def test_equals_pyagrum(seed: int):
    network = random_network(seed, causes=8 + seed, sizes=(6, 4, 3, 5, 2, 7, 4, 12), given=seed % 2 == 0)
    evidence = random_evidence(network, seed)
    assert evidence.setting is not None
    with warnings.catch_warnings():
        # its bindings warn when they are loaded
        warnings.simplefilter("ignore")
        pytest.importorskip("pyagrum", reason="pyAgrum is not installed; the sums above check the same")
    wanted = pyagrum_posterior(network, evidence, evidence.setting)
    assert np.abs(posterior(evidence, network, evidence.setting) - wanted).max() <= 1e-9


def test_many_patients_equal_one_by_one():
    network = random_network(3, causes=7, sizes=(3, 5, 2, 4), given=True)
    rng = np.random.default_rng(0)
    count = 57
    settings = rng.integers(0, 2, count)
    codes = {"b0": rng.integers(-1, 3, count), "b1": rng.integers(-1, 5, count)}
    soft = rng.random((count, 4)) + 0.01
    soft[::5] = 1
    found = posterior_many(network, settings, {**codes, "b3": soft}, chunk=10, threads=2)
    for k in range(count):
        weights = {b: np.eye(len(network.states[b]))[c[k]] for b, c in codes.items() if c[k] >= 0}
        evidence = Evidence("adult", {**weights, "b3": soft[k]})
        assert found[k] == pytest.approx(posterior(evidence, network, network.setting_ids[settings[k]]), abs=1e-12)


def test_one_setting_and_single_precision():
    network = random_network(4, causes=5, sizes=(3, 2))
    codes = np.array([0, 1, -1, 2])
    found = posterior_many(network, "p1", {"b0": codes}, dtype=np.float32)
    assert found.dtype == np.float32
    assert found.sum(axis=1) == pytest.approx(1, abs=1e-6)
    assert found[2] == pytest.approx(network.prior_mean("p1"), abs=1e-6)


@pytest.mark.parametrize(
    ("setting", "findings", "told"),
    [
        ("p9", {"b0": np.zeros(2, int)}, "p9"),
        (np.array([0, 7]), {"b0": np.zeros(2, int)}, "indices of settings"),
        ("p0", {"b9": np.zeros(2, int)}, "b9"),
        ("p0", {"b0": np.array([0, 3])}, "0 to 2, found 0 to 3"),
        ("p0", {"b0": np.zeros((2, 5))}, "weights"),
        ("p0", {"b0": np.array([[1, 0, 0], [0, 0, 0.0]])}, "found 1"),
        ("p0", {"b0": np.zeros(2, int), "b1": np.zeros(3, int)}, "one length"),
        ("p0", {"b0": np.zeros(2)}, "integers"),
    ],
)
def test_columns_that_do_not_fit_are_refused(setting, findings, told):
    with pytest.raises(UsageError, match=told):
        posterior_many(random_network(4, causes=5, sizes=(3, 2)), setting, findings)


# ---------------------------------------------------------------- setting and its given facts


def test_a_given_fact_is_not_counted_twice():
    tables = {"exposure": {"worm": (0.1, 0.6, 0.3), "scar": (0.9, 0.05, 0.05)}}
    prior = {"worm": 0.5, "scar": 0.5}
    free, bound = (network_by_hand(tables, prior, given=g) for g in (None, {"exposure": ("s1", "s2")}))
    # the setting presumes s1 or s2: hearing just that says nothing
    told = Evidence("adult", {"exposure": np.array([0, 1, 1.0])}, setting="p")
    assert posterior(told, bound, "p") == pytest.approx(bound.prior_mean("p"), abs=1e-15)
    assert posterior(told, free, "p")[0] > 0.85
    # which of both it is still tells: 2 to 1 for one cause, 1 to 1 for the other
    p = posterior(hard(bound, exposure=1), bound, "p")
    assert p[0] / p[1] == pytest.approx((2 / 3) / (1 / 2), rel=1e-3)


def test_a_fact_against_the_setting_is_told_and_not_used():
    tables = {"exposure": {"worm": (0.1, 0.6, 0.3), "scar": (0.9, 0.05, 0.05)}}
    network = network_by_hand(tables, {"worm": 0.5, "scar": 0.5}, given={"exposure": ("s1", "s2")})
    found = differential(hard(network, exposure=0), network, draws=200)
    assert found.known == ()
    assert "contradicts the setting p" in found.notes[0]
    assert found["worm"].probability == pytest.approx(0.5, abs=1e-12)
    many = posterior_many(network, "p", {"exposure": np.array([0])})
    assert many[0] == pytest.approx(network.prior_mean("p"), abs=1e-12)


def test_given_states_must_be_states():
    network = network_by_hand({"b": {"a": (1, 1), "c": (1, 1)}}, {"a": 0.5, "c": 0.5}, given={"b": ("s7",)})
    with pytest.raises(UsageError, match="s7"):
        network.tables("p")


# ---------------------------------------------------------------- nothing is impossible


def test_no_figure_makes_a_cause_impossible():
    tables = {f"b{k}": {"a": (1.0, 0.0), "c": (0.0, 1.0)} for k in range(40)}
    network = network_by_hand(tables, {"a": 1.0, "c": 0.0})
    against = hard(network, **{f"b{k}": 0 for k in range(40)})
    p = posterior(against, network, "p")
    assert 0 < p[1] < 1e-100
    # the prior said no, and forty findings bring it back
    assert posterior(hard(network, **{f"b{k}": 1 for k in range(40)}), network, "p")[1] > 0.999
    # one binary block weighs 33 decibans at most
    one = posterior(hard(network, b0=1), network, "p")
    shift = np.log10(one[1] / one[0]) - np.log10(network.prior_mean("p")[1] / network.prior_mean("p")[0])
    assert 10 * shift == pytest.approx(33, abs=0.1)


# ---------------------------------------------------------------- the record


def test_ranking_and_labels():
    tables = {"b": {"scar": (0.9, 0.1), "cancer": (0.1, 0.9), "cyst": (0.5, 0.5)}}
    network = network_by_hand(
        tables, {"scar": 0.8, "cancer": 0.1, "cyst": 0.1}, harm={"cancer": "malignant"}, needle={"cyst": "never"}
    )
    found = differential(hard(network, b=1), network)
    assert [c.cause for c in found.causes] == ["cancer", "scar", "cyst"]
    assert found.first.harm == "malignant"
    assert found["cyst"].needle == "never"
    assert found.known == ("b",)
    assert found.setting == "p"
    assert found.draws == 1000
    assert {h.harm: h.probability for h in found.harms}["malignant"] == pytest.approx(found.first.probability)
    with pytest.raises(KeyError):
        found["nothing"]


def test_several_patients_at_once():
    network = random_network(2)
    some = [hard(network, b0=0), hard(network, b1=2), Evidence("adult", setting="p1")]
    found = differential(some, network, draws=0)
    assert [f.setting for f in found] == ["p0", "p0", "p1"]
    assert found[1] == differential(some[1], network, draws=0)


def test_equal_causes_keep_the_order_of_the_network():
    network = network_by_hand({"b": dict.fromkeys("xyz", (0.5, 0.5))}, {"x": 1, "y": 1, "z": 1})
    assert [c.cause for c in differential(Evidence("adult", setting="p"), network, draws=0).causes] == ["x", "y", "z"]


# ---------------------------------------------------------------- evidence


@pytest.mark.parametrize("weights", [[], [0, 0], [1, -0.1], [1, np.nan], [np.inf, 1], [[1, 0]]])
def test_weights_that_are_none_are_refused(weights):
    with pytest.raises(UsageError, match="block b0"):
        Evidence("adult", {"b0": np.array(weights, float)})


@pytest.mark.parametrize(
    ("evidence", "told"),
    [
        (Evidence("fetal", setting="p0"), "fetal"),
        (Evidence("adult", {"nothing": np.ones(2)}, setting="p0"), "nothing"),
        (Evidence("adult", {"b0": np.ones(5)}, setting="p0"), "5 weights"),
        (Evidence("adult"), "found none"),
        (Evidence("adult", setting="elsewhere"), "elsewhere"),
    ],
)
def test_evidence_that_does_not_fit_is_refused(evidence, told):
    with pytest.raises(UsageError, match=told):
        differential(evidence, random_network(1), draws=0)


def test_evidence_cannot_be_changed():
    mine = np.array([1.0, 0.0])
    evidence = Evidence("adult", {"b0": mine})
    mine[1] = 1
    assert evidence.weights["b0"].tolist() == [1, 0]
    with pytest.raises(ValueError, match="read-only"):
        evidence.weights["b0"][1] = 1
    with pytest.raises(TypeError):
        evidence.weights["b1"] = mine  # type: ignore[index]


def test_joining_multiplies_and_refuses_contradictions():
    one = Evidence("adult", {"a": np.array([0.5, 1, 0])}, setting="p")
    two = Evidence("adult", {"a": np.array([0.5, 0.2, 1]), "b": np.array([1, 0])})
    both = one.joined(two)
    assert both.setting == "p"
    assert both.weights["a"].tolist() == [1, 0.8, 0]
    assert set(both.weights) == {"a", "b"}
    assert set(both.without("a").weights) == {"b"}
    with pytest.raises(UsageError, match="rule each other out"):
        one.joined(Evidence("adult", {"a": np.array([0, 0, 1])}))
    with pytest.raises(UsageError, match="one network"):
        one.joined(Evidence("fetal"))
    with pytest.raises(UsageError, match="one setting"):
        one.joined(Evidence("adult", setting="q"))
    with pytest.raises(UsageError, match="3 weights"):
        one.joined(Evidence("adult", {"a": np.array([1, 0])}))


def test_names_become_weights():
    axes = {"lesion": {"host": ("plain", "cyst"), "morphology": ("dot", "ring", "line")}}
    tables = {"lesion": {"a": (1,) * 6, "c": (1,) * 6}, "number": {"a": (1, 1), "c": (1, 1)}}
    network = network_by_hand(tables, {"a": 1, "c": 1}, axes=axes)
    seen = {"lesion": {"host": "cyst", "morphology": {"ring": 1, "line": 0.5}}, "number": {"s0": 0.3, "s1": 1}}
    evidence = observe(network, seen, setting="p")
    assert evidence.weights["lesion"].tolist() == [0, 0, 0, 0, 1, 0.5]
    assert evidence.weights["number"].tolist() == [0.3, 1]
    assert state_weights(network, "lesion", {"host": "cyst"}).tolist() == [0, 0, 0, 1, 1, 1]
    assert state_weights(network, "lesion", "plain/line").tolist() == [0, 0, 1, 0, 0, 0]
    for block, wrong in (("nothing", "s0"), ("number", "s9"), ("number", {}), ("lesion", {"host": "stone"})):
        with pytest.raises(UsageError):
            state_weights(network, block, wrong)


def test_a_network_of_another_name_is_refused():
    with pytest.raises(UsageError, match="fetal"):
        network_of(random_network(1), "fetal")
