"""What is left of the knowledge base without some of its sources, and what that moves."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from hepacalc.errors import KnowledgeError
from hepacalc.knowledge.build import build_knowledge
from hepacalc.knowledge.files import RawKnowledge, package_files, parse_files
from hepacalc.knowledge.schema import CauseIn, FindingIn, PriorRowIn, SettingIn
from hepacalc.knowledge.schema_rules import ConditionIn, RulesIn
from hepacalc.reason.differential import differential, posterior
from hepacalc.reason.network import network_of
from hepacalc.reason.plan import make_plan
from hepacalc.reason.situation import situation

if TYPE_CHECKING:
    from hepacalc.knowledge.model import Knowledge
    from hepacalc.reason.compare import ComparedCase

__all__ = ["Conclusion", "MovedBy", "conclude", "moved_by", "moved_by_each", "our_files", "without_source"]

PLAN_SHIFT = 0.01
"""The plan is made anew where a cause moves by so much."""
NEVER = {"not": {"always": True}}


@dataclass(frozen=True)
class Conclusion:
    """What is concluded of a case: the first cause, all probabilities, and the rules and red flags of the plan."""

    first: str
    posterior: tuple[float, ...]
    plan: frozenset[str]


@dataclass(frozen=True)
class MovedBy:
    """What goes with some sources.

    Args:
        sources: their ids.
        touched: numbers (priors, rows of tables) and rules that rest on them, alone or in part.
        first: cases whose first cause changes, with the causes before and after.
        plan: cases whose plan changes, with the rules that go (-) and come (+).
        largest: largest change of any cause's probability in any case.
    """

    sources: tuple[str, ...]
    touched: int
    first: tuple[tuple[str, str, str], ...]
    plan: tuple[tuple[str, tuple[str, ...]], ...]
    largest: float


@lru_cache(maxsize=1)
def our_files() -> RawKnowledge:
    """Return the files of the knowledge base that comes with hepacalc.

    Raises:
        KnowledgeError: they are damaged.
    """
    raw, problems = parse_files(package_files())
    if raw is None:
        raise KnowledgeError(f"the knowledge base has faults: {problems[0]}.", hint="Run `hepacalc knowledge check`.")
    return raw


def without_source(raw: RawKnowledge, source: Collection[str]) -> tuple[Knowledge, int]:
    """Return the knowledge base without some sources, and how many numbers and rules rested on them.

    Their counts go. Stated shares that rest on them alone go too: the cause is then indifferent to the block. A share
    of a prior that they state becomes that of a cause of which nothing is known (1 / number of causes), a split becomes
    even. A rule or red flag that rests on them alone never holds. Thresholds and the bases of blocks are kept: without
    them nothing could be computed.
    """
    touched = 0
    causes = {}
    for name, cause in raw.causes.items():
        causes[name], count = _cause(cause, source)
        touched += count
    settings = {}
    for key, setting in raw.settings.settings.items():
        settings[key], count = _setting(setting, source, raw)
        touched += count
    rules, count = _rules(raw.rules, source)
    left = replace(raw, causes=causes, settings=raw.settings.model_copy(update={"settings": settings}), rules=rules)
    return build_knowledge(left, f"without {', '.join(sorted(source))}"), touched + count


def _cause(cause: CauseIn, source: Collection[str]) -> tuple[CauseIn, int]:
    findings: dict[str, FindingIn] = {}
    touched = 0
    for block, item in cause.findings.items():
        counts = [count for count in item.counts if count.source not in source]
        alone = set(item.source) <= set(source) and (item.p is not None or item.pictures is not None)
        touched += len(item.counts) - len(counts) + alone
        update: dict[str, object] = {"counts": counts} | ({"p": None, "pictures": None} if alone else {})
        if counts or (not alone and (item.p is not None or item.pictures is not None)):
            findings[block] = item.model_copy(update=update)
    return cause.model_copy(update={"findings": findings}), touched


def _setting(setting: SettingIn, source: Collection[str], raw: RawKnowledge) -> tuple[SettingIn, int]:
    causes = sum(cause.network == setting.network for cause in raw.causes.values())
    rows: list[PriorRowIn] = []
    touched = 0
    for row in setting.prior:
        update: dict[str, object] = {}
        if row.source in source:
            update["share"] = len(row.among) / causes
        if row.split in source:
            update["among"] = dict.fromkeys(row.among, 1.0)
        touched += len(update)
        rows.append(row.model_copy(update=update))
    return setting.model_copy(update={"prior": rows}), touched


def _rules(rules: RulesIn, source: Collection[str]) -> tuple[RulesIn, int]:
    never = ConditionIn.model_validate(NEVER)
    gone_ids = set(source)
    flags = [f.model_copy(update={"when": never}) if set(f.source) <= gone_ids else f for f in rules.redflags]
    items = [r.model_copy(update={"when": never}) if set(r.source) <= gone_ids else r for r in rules.rules]
    gone = sum(a is not b for a, b in zip([*flags, *items], [*rules.redflags, *rules.rules], strict=True))
    return rules.model_copy(update={"redflags": flags, "rules": items}), gone


def conclude(case: ComparedCase, knowledge: Knowledge, *, plan: bool = True) -> Conclusion:
    """Return what the knowledge base concludes of a case with its own setting."""
    network = network_of(knowledge, case.evidence.network)
    found = posterior(case.evidence, network, str(case.evidence.setting))
    told: frozenset[str] = frozenset()
    if plan:
        made = make_plan(situation(case.evidence, differential(case.evidence, knowledge), knowledge), knowledge)
        told = frozenset([*(item.rule for item in made.items), *(f"flag {flag.flag}" for flag in made.flags)])
    return Conclusion(network.cause_ids[int(found.argmax())], tuple(found.tolist()), told)


def moved_by(
    source: Collection[str], raw: RawKnowledge, cases: Sequence[ComparedCase], before: Mapping[str, Conclusion]
) -> MovedBy:
    """Return what changes in the cases when sources are taken away.

    Args:
        source: ids, e.g. all rows of one work.
        raw: files of the knowledge base.
        cases: with evidence and setting.
        before: case id to its conclusion with all sources, its plan included.
    """
    knowledge, touched = without_source(raw, source)
    first, plans, largest = [], [], 0.0
    ruled = _rules(raw.rules, source)[1] > 0
    for case in cases if touched else ():
        was, now = before[case.id], conclude(case, knowledge, plan=False)
        shift = float(np.abs(np.subtract(now.posterior, was.posterior)).max())
        largest = max(largest, shift)
        if now.first != was.first:
            first.append((case.id, was.first, now.first))
        if ruled or shift >= PLAN_SHIFT:
            rules = conclude(case, knowledge).plan
            if rules != was.plan:
                gone, come = sorted(was.plan - rules), sorted(rules - was.plan)
                plans.append((case.id, (*(f"-{rule}" for rule in gone), *(f"+{rule}" for rule in come))))
    return MovedBy(tuple(sorted(source)), touched, tuple(first), tuple(plans), largest)


def moved_by_each(knowledge: Knowledge, cases: Sequence[ComparedCase]) -> list[tuple[str, MovedBy]]:
    """Return for each work behind our knowledge base what moves without all its rows, most moving first; minutes.

    Args:
        knowledge: the one that comes with hepacalc.
        cases: with evidence and setting.
    """
    raw = our_files()
    before = {case.id: conclude(case, knowledge) for case in cases}
    works: dict[str, list[str]] = {}
    for key, source in knowledge.sources.items():
        works.setdefault(source.work, []).append(key)
    found = [(work, moved_by(ids, raw, cases, before)) for work, ids in sorted(works.items())]
    return sorted(found, key=lambda pair: (-len(pair[1].first), -len(pair[1].plan), -pair[1].largest, pair[0]))
