"""The next test: worth what it changes, less what it costs; forbidden tests are never proposed."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hepacalc.errors import UsageError
from hepacalc.reason.differential import differential, posterior
from hepacalc.reason.evidence import Evidence
from hepacalc.reason.losses import Losses, losses_of
from hepacalc.reason.next_test import TestOption, next_tests, option_of, value_of
from reason_nets import hard, network_by_hand, random_network

NOTHING = Evidence("adult", setting="p")


def two_causes(**more: Any) -> Any:
    """A cancer of 4 %, a marker that tells it well, one that hardly does, and one that does not at all."""
    tables = {
        "mri": {"scar": (0.95, 0.05), "cancer": (0.05, 0.95)},
        "weak": {"scar": (0.6, 0.4), "cancer": (0.4, 0.6)},
        "dull": {"scar": (0.5, 0.5), "cancer": (0.5, 0.5)},
    }
    return network_by_hand(tables, {"scar": 0.96, "cancer": 0.04}, harm={"cancer": "malignant"}, ess=1e5, **more)


def test_value_is_the_expected_loss_spared():
    network = two_causes()
    losses = Losses(("leave", "act"), np.array([[0.0, 19.0], [1.0, 0.0]]))
    point = network.prior_mean("p")
    p = network.tables("p")["mri"].p
    now = min(losses.table @ point)
    later = sum(min(losses.table @ (point * p[s])) for s in range(2))
    value, change, bits = value_of(["mri"], NOTHING, network, "p", losses)
    assert value == pytest.approx(now - later, abs=1e-12)
    assert change == pytest.approx(float(p[1] @ point), abs=1e-12), "one acts where it is positive"
    joint = p * point
    marginal = joint.sum(axis=1, keepdims=True)
    assert bits == pytest.approx(float((joint * np.log2(joint / marginal / point)).sum()), abs=1e-12)


def test_a_test_that_cannot_change_the_action_is_worth_nothing():
    network = two_causes()
    losses = losses_of(network, {"malignant": 0.05})
    assert value_of(["dull"], NOTHING, network, "p", losses) == pytest.approx((0, 0, 0), abs=1e-12)
    sure = losses_of(network, {"malignant": 0.9})
    value, change, bits = value_of(["weak"], NOTHING, network, "p", sure)
    assert (value, change) == (0.0, 0.0)
    assert bits > 0.001, "it tells something all the same"


def test_naming_one_of_two_harms_is_worth_something():
    tables = {"serology": {"worm": (0.1, 0.9), "cancer": (0.95, 0.05)}}
    network = network_by_hand(
        tables, {"worm": 0.5, "cancer": 0.5}, harm={"worm": "dangerous", "cancer": "malignant"}, ess=1e5
    )
    (found,) = next_tests(NOTHING, network, options=[TestOption("t", (), ("serology",), 0.01)])
    assert found.action_now == "act", "both are over their threshold, and still it is worth knowing which it is"
    assert found.is_worth_it
    assert found.chance_of_change > 0.5
    losses = losses_of(network, {"malignant": 0.05, "dangerous": 0.1})
    sure = losses.table @ np.array([0.91, 0.09])
    assert losses.actions[int(sure.argmin())] == "act:worm"
    unsure = losses.table @ np.array([0.89, 0.11])
    assert losses.actions[int(unsure.argmin())] == "act"


def test_a_test_of_one_state_tells_less_than_the_block():
    network = random_network(4, causes=8, sizes=(6, 4))
    losses = losses_of(network, {"malignant": 0.1, "dangerous": 0.2})

    def bits(*reveals: str) -> float:
        return value_of(reveals, Evidence("adult", setting="p0"), network, "p0", losses)[2]

    assert 0 < bits("b0.s1") < bits("b0.s1+s2") < bits("b0")
    assert bits("b0.s1", "b0.s2") == bits("b0.s1+s2")
    assert bits("b0.s1", "b0") == bits("b0")
    assert bits("b0.s0+s1+s2+s3+s4+s5") == pytest.approx(bits("b0"), abs=1e-12)
    assert bits("elsewhere", "fetal_flow.none") == 0
    with pytest.raises(UsageError, match="s9"):
        bits("b0.s9")


def test_a_test_of_one_state_by_hand():
    network = two_causes()
    losses = losses_of(network, {"malignant": 0.05})
    assert value_of(["mri.s1"], NOTHING, network, "p", losses) == pytest.approx(
        value_of(["mri"], NOTHING, network, "p", losses)
    )


def test_histology_shows_the_cause():
    network = random_network(4, causes=6, sizes=(3, 4))
    losses = losses_of(network, {"malignant": 0.1, "dangerous": 0.2})
    evidence = hard(network, b0=0)
    p = posterior(evidence, network, "p0")
    value, _, bits = value_of(["cause"], evidence, network, "p0", losses)
    assert bits == pytest.approx(0.9 * float(-(p * np.log2(p)).sum()), abs=1e-9)
    spared = (losses.table @ p).min() - float(p @ losses.table.min(axis=0))
    assert value == pytest.approx(0.9 * spared, abs=1e-9)
    (found,) = next_tests(evidence, network, options=[TestOption("biopsy", (), ("cause",), 0.4)])
    assert found.value == pytest.approx(value)


def test_what_is_known_for_certain_is_not_worth_asking():
    network = two_causes()
    losses = losses_of(network, {"malignant": 0.05})
    assert value_of(["mri"], hard(network, mri=0), network, "p", losses) == (0.0, 0.0, 0.0)
    doubt = Evidence("adult", {"mri": np.array([1.0, 0.9])}, setting="p")
    assert value_of(["mri"], doubt, network, "p", losses)[0] > 0


def test_more_blocks_are_worth_no_less():
    network = random_network(4, causes=8, sizes=(3, 4, 2, 5))
    losses = losses_of(network, {"malignant": 0.1, "dangerous": 0.2})
    evidence = hard(network, b0=0)
    one = value_of(["b1"], evidence, network, "p0", losses)
    two = value_of(["b1", "b3"], evidence, network, "p0", losses)
    assert two[0] >= one[0] - 1e-12
    assert two[2] >= one[2] - 1e-12


def test_sampling_agrees_with_going_through_all(monkeypatch):
    network = random_network(9, causes=12, sizes=(6, 5, 4, 3))
    losses = losses_of(network, {"malignant": 0.1, "dangerous": 0.2})
    evidence = Evidence("adult", setting="p0")
    exact = value_of(network.block_ids, evidence, network, "p0", losses)
    monkeypatch.setattr("hepacalc.reason.next_test.EXACT", 10)
    sampled = value_of(network.block_ids, evidence, network, "p0", losses)
    assert sampled == pytest.approx(exact, rel=0.12)
    assert sampled == value_of(network.block_ids, evidence, network, "p0", losses), "the same every time"


def options(*more: TestOption) -> list[TestOption]:
    return [
        TestOption("dull", (), ("dull",), 0.01),
        TestOption("mri", (("en", "MRI"),), ("mri",), 0.1, sources=("E1",)),
        TestOption("weak", (), ("weak",), 0.01),
        TestOption("other", (), ("fetal_flow",), 0.0),
        *more,
    ]


def test_ranking():
    found = next_tests(NOTHING, two_causes(), options=options())
    assert [t.test for t in found] == ["mri", "dull", "weak"] or [t.test for t in found] == ["mri", "weak", "dull"]
    assert found[0].net == pytest.approx(found[0].value - 0.1)
    assert (found[0].sources, found[0].name) == (("E1",), (("en", "MRI"),))
    assert found[-1].value == pytest.approx(0, abs=1e-9)
    assert found[0].action_now == "watch"
    assert found == next_tests(NOTHING, two_causes(), options=options()[::-1])


def test_forbidden_tests_come_last_with_their_reason():
    needle = TestOption("biopsy", (), ("mri",), 0.0, needle=True)
    network = two_causes(needle={"cancer": "never"})
    found = next_tests(NOTHING, network, options=options(needle), forbidden={"weak": ("pregnant",)})
    assert [t.test for t in found if not t.forbidden] == ["mri", "dull"]
    told = {t.test: t.forbidden for t in found if t.forbidden}
    assert told["weak"] == ("pregnant",)
    assert "no blind needle: cancer is possible" in told["biopsy"][0]
    assert [t.forbidden == () for t in found] == [True, True, False, False]
    # the upper bound decides, not the point
    point = differential(NOTHING, network)["cancer"]
    assert point.probability < 0.05 < point.high


def test_a_needle_is_allowed_where_nothing_forbids_it():
    needle = TestOption("biopsy", (), ("mri",), 0.0, needle=True)
    network = two_causes(needle={"cancer": "never"})
    found = next_tests(hard(network, mri=0), network, options=[needle])
    assert found[0].forbidden == ()


def test_the_knowledge_base_is_asked():
    network = two_causes(needle={"cancer": "never"})
    test = SimpleNamespace(
        id="biopsy", name={"en": "Biopsy"}, reveals=("mri",), minutes=60, radiation_msv=10, contrast="iodine",
        needle=True, cost_class="high", needs=(), forbidden_if=None, sources=("E9",), status="read",
    )  # fmt: skip
    option = option_of(test)  # type: ignore[arg-type]
    assert option.cost == pytest.approx(0.1 + 0.03 + 0.03 + 0.04 + 0.25)
    labels = dict(zip(network.cause_ids, network.labels, strict=True))
    knowledge: Any = SimpleNamespace(
        networks={
            "adult": SimpleNamespace(
                cause_ids=network.cause_ids, block_ids=network.block_ids, alpha=network.alpha,
                prior={"p": SimpleNamespace(shares=network.prior["p"][0], alpha=network.prior["p"][1])},
            )
        },
        causes={c: SimpleNamespace(name={}, harm=label.harm, needle=label.needle) for c, label in labels.items()},
        blocks={b: SimpleNamespace(states=s, axes=None) for b, s in network.states.items()},
        settings={"p": SimpleNamespace(given={})},
        thresholds={"needle_never": SimpleNamespace(value=0.5)},
        tests={"biopsy": test},
    )  # fmt: skip
    assert next_tests(NOTHING, knowledge)[0].forbidden == ()
    knowledge.thresholds["needle_never"].value = 0.01
    assert next_tests(NOTHING, knowledge)[0].forbidden


def test_losses_follow_from_thresholds():
    tables = {"b": dict.fromkeys(("fine", "odd", "bad"), (1, 1))}
    network = network_by_hand(tables, {"fine": 1, "odd": 1, "bad": 1}, harm={"odd": "watch", "bad": "malignant"})
    losses = losses_of(network, {"malignant": 0.05})

    def best(p: float) -> str:
        expected = losses.table @ np.array([1 - p, 0, p])
        return losses.actions[int(expected.argmin())]

    assert [best(p) for p in (0, 0.0099, 0.0101, 0.0499)] == ["leave", "leave", "watch", "watch"]
    assert [best(p) for p in (0.0501, 0.85, 1)] == ["act", "act", "act:bad"]
    assert losses.table[:, 1] == pytest.approx([0.5, 0.0, 0.7, 5.2])
    with pytest.raises(UsageError, match="between 0 and 1"):
        losses_of(network, {"malignant": 0.0})
    with pytest.raises(UsageError, match="malignant"):
        losses_of(network, {})


def test_the_posterior_is_the_mean_over_what_a_test_may_show():
    network = random_network(4, causes=6, sizes=(3, 4))
    now = posterior(hard(network, b0=0), network, "p0")
    p = network.tables("p0")["b1"].p
    later = sum(float(p[s] @ now) * posterior(hard(network, b0=0, b1=s), network, "p0") for s in range(4))
    assert later == pytest.approx(now, abs=1e-12)
