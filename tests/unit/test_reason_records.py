"""Records of the reasoning become JSON and come out whole."""

import json
from dataclasses import fields

import numpy as np

from hepacalc.reason import records
from hepacalc.reason.change import what_would_change
from hepacalc.reason.differential import differential
from hepacalc.reason.evidence import Evidence, Said
from hepacalc.reason.explain import explain
from hepacalc.reason.lesions import combine_lesions
from hepacalc.reason.next_test import TestOption, next_tests
from reason_nets import hard, random_network


def test_names_are_sorted():
    assert records.__all__ == sorted(records.__all__)


def test_all_results_become_json():
    network = random_network(1, causes=4)
    evidence = Evidence("adult", {"b0": np.array([1.0, 0.2])}, {"b0": (Said("seen", "person"),)}, setting="p0")
    results = {
        "differential": differential(evidence, network),
        "why": explain(evidence, network),
        "changes": what_would_change(evidence, network),
        "tests": next_tests(evidence, network, options=[TestOption("t", (("en", "T"),), ("b1",), 0.1)]),
        "lesions": combine_lesions(evidence, [hard(network, b1=0)], network),
    }
    plain = json.loads(json.dumps(records.as_plain(results), allow_nan=False))
    first = plain["differential"]["causes"][0]
    assert set(first) == {f.name for f in fields(records.CauseProbability)}
    assert first["name"]["en"].startswith("cause ")
    assert plain["why"][0]["weights"][0]["said"] == ["seen"]
    assert plain["tests"][0]["name"] == {"en": "T"}
    assert len(plain["lesions"]["lesions"]) == 1


def test_pairs_are_objects_also_when_empty():
    change = records.Change("b", "", "s", False, 0.1, "a", 0.5, ())
    assert records.as_plain(change)["over"] == {}
    item = records.PlanItem(
        rule="r",
        action=(),
        modality=(("en", "CT"),),
        tests=(),
        interval=(("en", "once"),),
        due=("2026-01-01", "2026-02-01"),
        urgency="soon",
        because=((("en", "a focus"),),),
        sources=(),
        status="ours",
    )
    plain = records.as_plain(item)
    assert plain["action"] == {}
    assert plain["because"] == [{"en": "a focus"}]
    assert plain["due"] == ["2026-01-01", "2026-02-01"]
    finding = records.Finding("b", (("s0", 1.0),), "seen", "person")
    assert records.as_plain(finding)["weights"] == {"s0": 1.0}
