"""From checked files to the records and tables of :mod:`hepacalc.knowledge.model`."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import numpy as np
from numpy.typing import NDArray

from hepacalc.knowledge import model
from hepacalc.knowledge.files import RawKnowledge
from hepacalc.knowledge.ids import in_order
from hepacalc.knowledge.schema import (
    AxesBlockIn,
    BlockIn,
    CauseIn,
    CorrectionIn,
    CountIn,
    FindingIn,
    GuidelineIn,
    SettingIn,
    StatementIn,
    ThresholdIn,
)
from hepacalc.knowledge.schema_base import Words
from hepacalc.knowledge.schema_rules import FactIn, RedFlagIn, RuleIn, TestIn, plain_condition
from hepacalc.knowledge.tables import FLOOR, Cohort, blend, complete, fold_counts, picture_shares

__all__ = ["build_knowledge"]

Floats = NDArray[np.float64]


def build_knowledge(raw: RawKnowledge, version: str) -> model.Knowledge:
    """Return the knowledge base of files whose pointers all lead somewhere (see ``reference_problems``)."""
    sources = _sources(raw)
    blocks = {
        key: _block(key, network, block)
        for network, group in (("adult", raw.findings.adult), ("fetal", raw.findings.fetal))
        for key, block in group.items()
    }
    axis_bases = _axis_bases(raw)
    given = {cause.id: cause for cause in raw.causes.values()}
    causes = {key: _cause(given[key], blocks, axis_bases, sources) for key in in_order(given)}
    settings = {key: _setting(key, setting) for key, setting in raw.settings.settings.items()}
    return model.Knowledge(
        networks={network: _tables(network, blocks, causes, settings) for network in ("adult", "fetal")},
        blocks=blocks,
        causes=causes,
        settings=settings,
        sources=sources,
        redflags={item.id: _redflag(item) for item in raw.rules.redflags},
        rules={item.id: _rule(item) for item in raw.rules.rules},
        tests={item.id: _test(item) for item in raw.tests.tests},
        corrections={item.id: _correction(item) for item in raw.corrections.corrections},
        thresholds={key: _threshold(key, item) for key, item in raw.thresholds.thresholds.items()},
        guidelines={key: _guideline(key, item) for key, item in raw.thresholds.guidelines.items()},
        version=version,
        site=None,
        terms={
            item.id: model.Term(item.id, _words(item.name), plain_condition(item.when) or {})
            for item in raw.rules.terms
        },
        facts={key: _fact(key, item) for key, item in raw.facts.facts.items()},
        labs={key: model.Lab(key, _words(item.name), item.unit) for key, item in raw.facts.labs.items()},
    )


def _words(words: Words) -> dict[str, str]:
    return {"en": words.en, "zh": words.zh}


def _frozen(array: Floats) -> Floats:
    array.flags.writeable = False
    return array


def _sources(raw: RawKnowledge) -> dict[str, model.Source]:
    found = {}
    for key, item in raw.sources.sources.items():
        work = raw.sources.works[item.work]
        found[key] = model.Source(
            id=key, citation=work.citation, year=work.year, address=work.address, status=item.status,
            confidence=item.confidence, kind=item.kind, about=item.about, says=item.says, value=item.value, n=item.n,
            N=item.N, population=item.population, work=item.work,
        )  # fmt: skip
    return found


def _block(key: str, network: str, block: BlockIn | AxesBlockIn) -> model.Block:
    if isinstance(block, BlockIn):
        states = tuple(block.states)
        names = {state: _words(words) for state, words in block.states.items()}
        base = np.array([block.base[state] for state in states])
        axes, axis_names = None, None
    else:
        axes = {axis: tuple(values) for axis, values in block.axes.items()}
        axis_names = {axis: {s: _words(w) for s, w in values.items()} for axis, values in block.axes.items()}
        first, second = axes
        pairs = list(product(axes[first], axes[second]))
        states = tuple(f"{one}/{two}" for one, two in pairs)
        names = {
            f"{one}/{two}": {
                "en": f"{axis_names[second][two]['en']} in: {axis_names[first][one]['en']}",
                "zh": f"{axis_names[first][one]['zh']}：{axis_names[second][two]['zh']}",
            }
            for one, two in pairs
        }
        base = np.array([block.base[first][one] * block.base[second][two] for one, two in pairs])
    return model.Block(
        id=key, network=network, name=_words(block.name), states=states, state_names=names,
        base=_frozen(base / base.sum()), ess=float(block.ess), axes=axes, axis_names=axis_names,
        sources=tuple(block.source),
    )  # fmt: skip


def _axis_bases(raw: RawKnowledge) -> dict[str, list[Floats]]:
    return {
        key: [np.array([block.base[axis][state] for state in states]) for axis, states in block.axes.items()]
        for group in (raw.findings.adult, raw.findings.fetal)
        for key, block in group.items()
        if isinstance(block, AxesBlockIn)
    }


def _statements(said: list[StatementIn]) -> tuple[model.Statement, ...]:
    return tuple(model.Statement(_words(one), tuple(one.source)) for one in said)


def _cause(
    item: CauseIn,
    blocks: Mapping[str, model.Block],
    axis_bases: Mapping[str, list[Floats]],
    sources: Mapping[str, model.Source],
) -> model.Cause:
    return model.Cause(
        id=item.id, network=item.network, group=item.group, name=_words(item.name),
        other_names={"en": tuple(item.other_names.en), "zh": tuple(item.other_names.zh)},
        icd10=item.icd10, icd11=item.icd11, harm=item.harm, needle=item.needle, summary=_words(item.summary),
        traps=_statements(item.traps), next_tests=tuple(item.next_tests), management=_statements(item.management),
        findings={
            key: _finding(finding, blocks[key], axis_bases.get(key), sources)
            for key, finding in item.findings.items()
        },
    )  # fmt: skip


def _finding(
    item: FindingIn, block: model.Block, axis_base: list[Floats] | None, sources: Mapping[str, model.Source]
) -> model.CauseBlock:
    if item.pictures is not None and block.axes is not None and axis_base is not None:
        parts = [(part.weight, part.host, part.morphology) for part in item.pictures]
        stated = picture_shares(parts, list(block.axes.values()), axis_base)
    elif item.p is not None:
        stated = complete(item.p, block.states, block.base)
    else:
        stated = block.base
    stated = blend(stated, block.base, FLOOR)
    counts = [(count, _counted(count, block)) for count in item.counts]
    # patients of one work are one cohort
    cohorts = [
        Cohort(
            np.isin(block.states, states), count.n, count.N, getattr(sources.get(count.source), "work", count.source)
        )
        for count, states in counts
    ]
    alpha = fold_counts(item.ess * stated, cohorts)
    pointed = [*item.source, *(count.source for count in item.counts)]
    return model.CauseBlock(
        p=_frozen(alpha / alpha.sum()), alpha=_frozen(alpha), sources=tuple(dict.fromkeys(pointed)), status=item.status,
        stated=_frozen(stated), ess=float(item.ess), note=item.note,
        counts=tuple(model.Count(states, count.n, count.N, count.source, count.status) for count, states in counts),
    )  # fmt: skip


def _counted(count: CountIn, block: model.Block) -> tuple[str, ...]:
    if block.axes is None or count.states:
        return tuple(count.states)
    sides = [getattr(count, axis, None) or states for axis, states in block.axes.items()]
    return tuple(f"{one}/{two}" for one, two in product(*sides))


def _setting(key: str, item: SettingIn) -> model.Setting:
    prior = {
        cause: model.PriorShare(row.share * part / sum(row.among.values()), float(row.ess), row.source)
        for row in item.prior
        for cause, part in row.among.items()
    }
    return model.Setting(
        id=key, network=item.network, name=_words(item.name), why=_words(item.why), rank=item.rank,
        derived_from=plain_condition(item.derived_from),
        given={block: tuple(states) for block, states in item.given.items()},
        prior=prior,
    )  # fmt: skip


def prior_arrays(setting: model.Setting, cause_ids: tuple[str, ...]) -> model.Prior:
    """Return the prior of a setting over the causes of its network, in their order."""
    shares = np.array([setting.prior[cause].share if cause in setting.prior else 0.0 for cause in cause_ids])
    alpha = np.array([setting.prior[cause].ess if cause in setting.prior else 1.0 for cause in cause_ids])
    return model.Prior(_frozen(shares / shares.sum()), _frozen(alpha))


def _tables(
    network: str,
    blocks: Mapping[str, model.Block],
    causes: Mapping[str, model.Cause],
    settings: Mapping[str, model.Setting],
) -> model.NetworkTables:
    ids = tuple(key for key, cause in causes.items() if cause.network == network)
    alpha = {
        key: _frozen(
            np.array(
                [
                    causes[cause].findings[key].alpha if key in causes[cause].findings else block.ess * block.base
                    for cause in ids
                ]
            ).reshape(len(ids), len(block.states))
        )
        for key, block in blocks.items()
        if block.network == network
    }
    prior = {key: prior_arrays(setting, ids) for key, setting in settings.items() if setting.network == network}
    return model.NetworkTables(network, ids, tuple(alpha), alpha, prior)


def _redflag(item: RedFlagIn) -> model.RedFlag:
    return model.RedFlag(
        id=item.id, name=_words(item.name), when=plain_condition(item.when) or {}, why=_words(item.why),
        sources=tuple(item.source), status=item.status, network=item.network, urgency=item.urgency,
    )  # fmt: skip


def _fact(key: str, item: FactIn) -> model.Fact:
    return model.Fact(
        id=key, name=_words(item.name), kind=item.kind, unit=item.unit,
        choices={one: _words(said) for one, said in item.choices.items()}, ask=_words(item.ask) if item.ask else None,
    )  # fmt: skip


def _rule(item: RuleIn) -> model.Rule:
    return model.Rule(
        id=item.id, when=plain_condition(item.when) or {}, action=_words(item.action),
        modality=item.modality.model_dump(exclude_none=True), interval=item.interval.model_dump(exclude_none=True),
        urgency=item.urgency, sources=tuple(item.source), status=item.status,
        stop=_words(item.stop) if item.stop else None,
        network=item.network, shown_if=plain_condition(item.shown_if), fallback=item.fallback,
        beside=item.beside,
    )  # fmt: skip


def _test(item: TestIn) -> model.Test:
    return model.Test(
        id=item.id, name=_words(item.name), reveals=tuple(item.reveals), minutes=float(item.minutes),
        radiation_msv=float(item.radiation_msv), contrast=item.contrast, needle=item.needle,
        cost_class=item.cost_class, needs=tuple(item.needs), forbidden_if=plain_condition(item.forbidden_if),
        sources=tuple(item.source), status=item.status,
    )  # fmt: skip


def _correction(item: CorrectionIn) -> model.Correction:
    return model.Correction(item.id, item.article, _words(item.right), tuple(item.source), item.status)


def _threshold(key: str, item: ThresholdIn) -> model.Threshold:
    return model.Threshold(key, float(item.value), item.unit, _words(item.name), item.source, item.status)


def _guideline(key: str, item: GuidelineIn) -> model.Guideline:
    return model.Guideline(
        id=key, name=_words(item.name), choices={one: _words(said) for one, said in item.choices.items()},
        sources={one: said.source for one, said in item.choices.items()}, chosen=item.chosen,
        chosen_because=item.because,
    )  # fmt: skip
