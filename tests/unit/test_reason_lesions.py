"""Several lesions: exact where the model is exact, the plain differential for one, harm not diluted."""

import itertools

import numpy as np
import pytest

from hepacalc.errors import UsageError
from hepacalc.reason.baseline import naive_posterior, prior_only
from hepacalc.reason.differential import differential, posterior
from hepacalc.reason.evidence import Evidence
from hepacalc.reason.lesions import combine_lesions
from reason_nets import hard, network_by_hand, random_network


def test_one_lesion_is_the_plain_differential():
    network = random_network(3, causes=6, sizes=(3, 4, 2))
    shared, own = hard(network, b0=1), hard(network, b1=2, b2=0)
    found = combine_lesions(shared, [own], network)
    plain = differential(shared.joined(own), network)
    for mine in (found.lesions[0], found.patient):
        for a in mine.causes:
            b = plain[a.cause]
            assert a.probability == pytest.approx(b.probability, abs=1e-12)
            assert (a.low, a.high) == pytest.approx((b.low, b.high), abs=1e-4)
    assert found.patient.known == plain.known
    assert found.highest == found.lesions[0].causes


def by_enumeration(network, shared, lesions, other):
    """All assignments of causes to the main process and to each lesion, one by one."""
    q = posterior(shared, network, "p0")
    likelihoods = []
    for lesion in lesions:
        alone = posterior(lesion, network, "p0") / network.prior_mean("p0")
        likelihoods.append(alone)
    count = len(q)
    per_lesion, total = np.zeros((len(lesions), count)), 0.0
    for d, *causes in itertools.product(range(count), repeat=len(lesions) + 1):
        p = q[d]
        for c, likelihood in zip(causes, likelihoods, strict=True):
            p *= ((1 - other) * (c == d) + other * q[c]) * likelihood[c]
        total += p
        for k, c in enumerate(causes):
            per_lesion[k, c] += p
    return per_lesion / total, per_lesion.mean(axis=0) / total


@pytest.mark.parametrize("other", [0.0, 0.1, 0.5, 1.0])
def test_equals_going_through_all_assignments(other: float):
    network = random_network(5, causes=4, sizes=(3, 4, 2))
    shared = hard(network, b0=1)
    lesions = [hard(network, b1=0, b2=0), hard(network, b1=3), Evidence("adult", {"b1": np.array([0.2, 1, 1, 0])})]
    found = combine_lesions(shared, lesions, network, other=other, alike=0, draws=0)
    per_lesion, mean = by_enumeration(network, shared, lesions, other)
    for mine, wanted in zip((*found.lesions, found.patient), (*per_lesion, mean), strict=True):
        for k, cause in enumerate(network.cause_ids):
            assert mine[cause].probability == pytest.approx(wanted[k], abs=1e-12)


def liver():
    tables = {
        "picture": {"scar": (0.9, 0.1), "met": (0.2, 0.8)},
        "cancer": {"scar": (0.95, 0.05), "met": (0.2, 0.8)},
    }
    return network_by_hand(tables, {"scar": 0.9, "met": 0.1}, harm={"met": "malignant"}, ess=200)


def test_a_harmful_lesion_is_not_diluted_by_many_harmless_ones():
    network = liver()
    lesions = [hard(network, picture=0)] * 9 + [hard(network, picture=1)]
    found = combine_lesions(hard(network, cancer=1), lesions, network)
    assert found.patient.first.cause == "scar"
    odd = found.lesions[-1]["met"]
    assert odd.probability > found.lesions[0]["met"].probability
    met = next(c for c in found.highest if c.cause == "met")
    assert met.probability == odd.probability
    assert met.high >= odd.high
    alone = differential(hard(network, cancer=1, picture=1), network)["met"]
    assert 0.5 < met.probability < alone.probability, "its neighbours do speak"


def test_like_foci_are_not_as_many_witnesses():
    network = liver()
    ten = [hard(network, picture=1)] * 10
    shared = Evidence("adult", setting="p")
    wary = combine_lesions(shared, ten, network, draws=0).patient["met"].probability
    rash = combine_lesions(shared, ten, network, draws=0, alike=0).patient["met"].probability
    one = combine_lesions(shared, ten[:1], network, draws=0).patient["met"].probability
    assert one < wary < 0.6 < rash


def test_a_silent_focus_hears_the_mass_beside_it():
    network = liver()
    shared = Evidence("adult", setting="p")
    silent, mass = Evidence("adult", {"picture": np.array([1.0, 0.99])}), hard(network, picture=1)
    found = combine_lesions(shared, [silent, mass], network, draws=0)
    alone = combine_lesions(shared, [silent], network, draws=0).lesions[0]["met"].probability
    near = found.lesions[0]["met"].probability
    known = differential(mass, network, draws=0)["met"].probability
    # all but the share of another process
    assert alone + 0.5 * (known - alone) < near < known


def test_order_of_lesions_does_not_matter():
    network = liver()
    lesions = [hard(network, picture=0), hard(network, picture=1), Evidence("adult", {"picture": np.array([1, 0.5])})]
    one = combine_lesions(hard(network, cancer=1), lesions, network)
    two = combine_lesions(hard(network, cancer=1), lesions[::-1], network)
    for a, b in zip(one.lesions, two.lesions[::-1], strict=True):
        assert [(c.cause, pytest.approx(c.probability, abs=1e-12)) for c in a.causes] == [
            (c.cause, c.probability) for c in b.causes
        ]


def test_what_cannot_be_combined_is_refused():
    network = liver()
    with pytest.raises(UsageError, match="found none"):
        combine_lesions(hard(network, cancer=1), [], network)
    with pytest.raises(UsageError, match="found cancer"):
        combine_lesions(hard(network, cancer=1), [hard(network, cancer=1)], network)
    with pytest.raises(UsageError, match="from 0 to 1"):
        combine_lesions(hard(network, cancer=1), [hard(network, picture=1)], network, other=1.5)


# ---------------------------------------------------------------- baselines


def test_prior_only_does_not_look():
    network = liver()
    assert prior_only(network, "p") == pytest.approx(posterior(Evidence("adult"), network, "p"))


def test_naive_bayes_counts_each_state():
    network = network_by_hand({"b": {"x": (0.5, 0.3, 0.2), "y": (0.1, 0.3, 0.6)}}, {"x": 1, "y": 1}, ess=1e6)
    odds = (0.5 * 0.7 * 0.8) / (0.1 * 0.7 * 0.4)
    p = naive_posterior(hard(network, b=0), network, "p")
    assert p[0] / p[1] == pytest.approx(odds, rel=0.02)
    flat = Evidence("adult", {"b": np.ones(3)})
    assert naive_posterior(flat, network, "p") == pytest.approx(network.prior_mean("p"))


def test_naive_bayes_takes_axes_apart():
    axes = {"lesion": {"host": ("plain", "cyst"), "morphology": ("dot", "ring")}}
    tables = {"lesion": {"x": (0.5, 0.0, 0.0, 0.5), "y": (0.25, 0.25, 0.25, 0.25)}}
    network = network_by_hand(tables, {"x": 1, "y": 1}, axes=axes, ess=1e6)
    evidence = hard(network, lesion=3)
    # both axes are as likely under either cause, only together they tell
    assert naive_posterior(evidence, network, "p")[0] == pytest.approx(0.5, abs=0.01)
    assert posterior(evidence, network, "p")[0] == pytest.approx(2 / 3, abs=0.01)
