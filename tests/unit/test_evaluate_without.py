"""The knowledge base without a source."""

import numpy as np
import pytest

from hepacalc.evaluate.without import conclude, moved_by, our_files, without_source
from hepacalc.knowledge import load_knowledge
from hepacalc.knowledge.cases import load_reference_cases
from hepacalc.reason.compare import case_evidence

KNOWLEDGE = load_knowledge()
RAW = our_files()
CASES = case_evidence(load_reference_cases()[:6], KNOWLEDGE)
BEFORE = {case.id: conclude(case, KNOWLEDGE) for case in CASES}


def test_nothing_taken_away_is_the_same():
    same, touched = without_source(RAW, ["no-such-source"])
    assert touched == 0
    for name, table in KNOWLEDGE.networks.items():
        assert all((same.networks[name].alpha[b] == table.alpha[b]).all() for b in table.block_ids)
    moved = moved_by(["no-such-source"], RAW, CASES, BEFORE)
    assert (moved.first, moved.plan, moved.largest) == ((), (), 0.0)


def test_a_count_goes():
    source = next(c.source for cause in KNOWLEDGE.causes.values() for b in cause.findings.values() for c in b.counts)
    left, touched = without_source(RAW, [source])
    assert touched >= 1
    told = {c.source for cause in left.causes.values() for b in cause.findings.values() for c in b.counts}
    assert source not in told


def test_a_prior_share_becomes_that_of_an_unknown_cause():
    left, _ = without_source(RAW, ["E090"])
    share = left.settings["general_ct"].prior["granuloma_healed"].share
    assert share < 0.1 < KNOWLEDGE.settings["general_ct"].prior["granuloma_healed"].share
    for setting in left.networks["adult"].prior.values():
        assert setting.shares.sum() == pytest.approx(1)


def test_without_the_textbook_the_blocks_say_little():
    left, touched = without_source(RAW, ["J-TEXTBOOK"])
    assert touched > 500
    ce = left.networks["adult"].cause_ids.index("ce")
    row = left.networks["adult"].alpha["number"][ce]
    assert row / row.sum() == pytest.approx(KNOWLEDGE.blocks["number"].base)
    moved = moved_by(["J-TEXTBOOK"], RAW, CASES, BEFORE)
    assert moved.first
    assert moved.largest > 0.5
    assert all(np.isfinite(conclude(case, left, plan=False).posterior).all() for case in CASES)


def test_a_rule_that_rests_on_it_alone_never_holds():
    rule = next(rule for rule in RAW.rules.rules if len(set(rule.source)) == 1)
    left, _ = without_source(RAW, rule.source)
    assert left.rules[rule.id].when == {"not": {"always": True}}
