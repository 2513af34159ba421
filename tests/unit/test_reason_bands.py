"""The band: seeded, holds the point, narrows with more counts, and is what drawing the figures gives."""

from dataclasses import replace

import numpy as np
import pytest

from hepacalc.errors import UsageError
from hepacalc.reason.differential import differential, posterior
from hepacalc.reason.evidence import Evidence
from hepacalc.reason.uncertainty import DrawBank, bands, draw_bank, drawn_posterior
from reason_nets import hard, network_by_hand, random_network

EXPOSURE = {"exposure": {"worm": (0.1, 0.6, 0.3), "scar": (0.9, 0.05, 0.05)}}
HALF = {"worm": 0.5, "scar": 0.5}


def test_same_seed_same_band_whatever_was_asked_before():
    first, second = random_network(1), random_network(1)
    evidence = hard(first, b0=1, b2=3)
    differential(hard(second, b1=0), second)
    differential(Evidence("adult", setting="p1"), second)
    assert differential(evidence, first) == differential(evidence, second)
    other = differential(evidence, first, seed=5)
    assert other.seed == 5
    assert [c.probability for c in other.causes] == [c.probability for c in differential(evidence, first).causes]
    assert other != differential(evidence, first)


def test_without_draws_the_band_claims_nothing():
    found = differential(hard(random_network(1), b0=0), random_network(1), draws=0)
    assert found.draws == 0
    assert {(c.low, c.high) for c in found.causes} == {(0.0, 1.0)}
    assert {(h.low, h.high) for h in found.harms} == {(0.0, 1.0)}


def test_a_band_needs_draws():
    with pytest.raises(UsageError, match="100 draws"):
        differential(hard(random_network(1), b0=0), random_network(1), draws=20)


def test_more_counts_make_a_narrower_band():
    widths = []
    for ess in (4, 40, 4000):
        network = network_by_hand(EXPOSURE, HALF, ess=ess)
        network = replace(network, prior={"p": (network.prior["p"][0], np.full(2, 1e6))})
        found = differential(hard(network, exposure=1), network)
        widths.append(found["worm"].high - found["worm"].low)
    assert widths[0] > 2 * widths[1] > 4 * widths[2]
    assert widths[2] < 0.04


def test_band_of_one_table_is_that_of_its_law():
    # one block, equal priors that are certain: odds are the ratio of two Beta variables
    network = network_by_hand(EXPOSURE, HALF, ess=10)
    network = replace(network, prior={"p": (network.prior["p"][0], np.full(2, 1e9))})
    found = differential(hard(network, exposure=1), network, draws=20_000)
    rng = np.random.default_rng(99)
    a, b = (0.999 * rng.beta(10 * p, 10 * (1 - p), 200_000) + 0.001 / 3 for p in (0.6, 0.05))
    low, high = np.quantile(a / (a + b), [0.05, 0.95])
    assert found["worm"].low == pytest.approx(low, abs=0.02)
    assert found["worm"].high == pytest.approx(high, abs=0.005)


def test_band_of_a_given_block_is_that_of_the_restricted_law():
    network = network_by_hand(EXPOSURE, HALF, ess=10, given={"exposure": ("s1", "s2")})
    network = replace(network, prior={"p": (network.prior["p"][0], np.full(2, 1e9))})
    found = differential(hard(network, exposure=1), network, draws=20_000)
    rng = np.random.default_rng(98)
    # inside the given states a Dirichlet law is again one, with their parameters
    a, b = (0.999 * rng.beta(10 * p, 10 * q, 200_000) + 0.0005 for p, q in ((0.6, 0.3), (0.05, 0.05)))
    low, high = np.quantile(a / (a + b), [0.05, 0.95])
    assert found["worm"].low == pytest.approx(low, abs=0.02)
    assert found["worm"].high == pytest.approx(high, abs=0.01)


def test_band_of_the_prior_is_that_of_its_law():
    network = network_by_hand(EXPOSURE, {"worm": 0.02, "scar": 0.98})
    network = replace(network, prior={"p": (np.array([0.02, 0.98]), np.array([3.0, 1e9]))})
    found = differential(Evidence("adult", setting="p"), network, draws=20_000)
    # a Gamma law of shape 3 runs from 0.27 to 2.1 times its mean
    assert found["worm"].low / 0.02 == pytest.approx(0.28 + 0.02, abs=0.03)
    assert found["worm"].high / 0.02 == pytest.approx(2.05, abs=0.08)


def test_the_point_is_the_posterior_with_doubt_integrated_out():
    # draws weighted by how well each explains the evidence have the exact posterior as their mean
    network = network_by_hand(
        EXPOSURE | {"number": {"worm": (0.3, 0.7), "scar": (0.8, 0.2)}}, {"worm": 0.2, "scar": 0.8}, ess=5
    )
    network = replace(network, prior={"p": (network.prior["p"][0], np.full(2, 1e9))})
    evidence = Evidence("adult", {"exposure": np.array([0.2, 1, 0]), "number": np.array([0, 1.0])}, setting="p")
    bank = draw_bank(network, 200_000, 3)
    joint = np.exp(bank.log_prior("p").astype(float))
    for block, weights in evidence.weights.items():
        spoken = bank.log_likelihood(block, "p", weights)
        assert spoken is not None
        joint = joint * np.exp(spoken)
    assert joint.sum(axis=1) / joint.sum() == pytest.approx(posterior(evidence, network, "p"), abs=0.002)


def test_fresh_draws_fall_into_the_band_nine_times_in_ten():
    network = random_network(8, causes=6, sizes=(3, 4, 2))
    evidence = hard(network, b0=1, b1=2)
    found = differential(evidence, network, draws=4000, seed=1)
    fresh = drawn_posterior(draw_bank(network, 4000, 2), evidence, "p0")
    for cause in found.causes:
        drawn = fresh[network.index[cause.cause]]
        inside = np.mean((drawn >= cause.low - 1e-7) & (drawn <= cause.high + 1e-7))
        # widened where needed to hold the point, so 0.9 or more
        assert inside > 0.88


def test_all_given_states_drawn_to_nothing_falls_back_on_the_mean():
    network = network_by_hand(
        {"b": {"a": (1.0, 0.0, 0.0), "c": (0.2, 0.4, 0.4)}}, {"a": 0.5, "c": 0.5}, given={"b": ("s1", "s2")}
    )
    found = differential(hard(network, b=1), network)
    assert np.isfinite([found["a"].low, found["a"].high]).all()
    assert found["a"].probability == pytest.approx(0.5, abs=0.01)


def test_tables_drawn_ahead_are_those_drawn_when_asked():
    network = random_network(8, causes=6, sizes=(3, 4, 2))
    evidence = hard(network, b0=1, b1=2)
    asked = drawn_posterior(DrawBank(network, 200, 1), evidence, "p0")
    ahead = DrawBank(network, 200, 1)
    ahead.fill()
    ahead._generator = None  # nothing is left to draw
    assert np.array_equal(drawn_posterior(ahead, evidence, "p0"), asked)


def test_bands_are_widened_to_hold_the_point():
    drawn = np.linspace(0, 0.5, 1001, dtype=np.float32)[None, :].repeat(3, axis=0)
    low, high = bands(drawn, np.array([0.2, 0.9, 0.001]))
    assert low == pytest.approx([0.025, 0.025, 0.001], abs=1e-6)
    assert high == pytest.approx([0.475, 0.9, 0.475], abs=1e-6)


def test_bands_of_a_harm_are_those_of_the_sum():
    network = random_network(5, causes=8, sizes=(4, 3))
    evidence = hard(network, b0=1)
    found = differential(evidence, network)
    drawn = drawn_posterior(draw_bank(network), evidence, "p0")
    for harm in found.harms:
        members = network.harms[harm.harm]
        point = posterior(evidence, network, "p0")[members].sum()
        low, high = np.quantile(drawn[members].sum(axis=0), [0.05, 0.95])
        assert harm.probability == pytest.approx(point, abs=1e-12)
        assert harm.low == pytest.approx(min(low, point), abs=1e-5)
        assert harm.high == pytest.approx(max(high, point), abs=1e-5)
