"""The plan: rules of the knowledge base applied to what is known, most urgent first.

Red flags come first. A rule applies when its condition is met in any of the situations (lesions); a rule that ends
the work-up only when it is met in all, no flag is raised and nothing else is due soon: safety errs one way. Rules that
ask for the same test are merged under the most urgent. What is not known meets no condition, and is returned as
questions; the stop rule is then shown for the case that the few things it needs are as it wants.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from hepacalc.errors import UsageError
from hepacalc.reason.condition_words import asked_words
from hepacalc.reason.conditions import Asked, Verdict
from hepacalc.reason.days import checked_day
from hepacalc.reason.plan_words import due_days, interval_words, modality_words, not_done_words
from hepacalc.reason.records import AlsoAsked, Names, NextTest, OpenQuestion, Plan, PlanItem
from hepacalc.reason.redflags import URGENCIES, forbidden_tests, raised_flags, red_flags
from hepacalc.reason.situation import Situation

if TYPE_CHECKING:
    from hepacalc.knowledge.model import Knowledge, Rule

__all__ = ["make_plan"]

ACTING = ("emergency", "urgent", "soon")
"""What is due so soon bars a stop."""
REVIEW = "specialist_review"
"""Different teams may be meant, so these are never merged."""
DISCLAIMER: Names = (
    ("en", "Decision support without clinical review yet; not a medical device, not a diagnosis."),
    ("zh", "决策支持，尚未经临床审核；非医疗器械，不构成诊断。"),
)
NO_EVIDENCE: Names = (
    ("en", "No interval is evidence-based for a small plain focus (E199); a rule with the status 'ours' is untested."),
    ("zh", "对单纯小钙化灶，任何随访间隔均无循证依据（E199）；标为“自定规则”者未经检验。"),
)


def make_plan(
    situations: Situation | Sequence[Situation],
    knowledge: Knowledge,
    *,
    today: str | None = None,
    tests: Sequence[NextTest] = (),
    forbidden: Mapping[str, tuple[Names, ...]] | None = None,
) -> Plan:
    """Return the plan.

    Deterministic, and the same for any order of findings and of lesions.

    Args:
        situations: one of the patient, or one for each lesion (:func:`hepacalc.reason.situation.situation`).
        knowledge: a loaded knowledge base.
        today: day from which intervals run, ``YYYY-MM-DD``; None for a plan without dates.
        tests: next best tests (:func:`hepacalc.reason.next_test.next_tests`), handed through.
        forbidden: of the same situations, where :func:`hepacalc.reason.redflags.forbidden_tests` was asked already.

    Raises:
        UsageError: no situation, situations of two networks, ``today`` is no day.
    """
    every = (situations,) if isinstance(situations, Situation) else tuple(situations)
    networks = {at.differential.network for at in every}
    if len(networks) != 1:
        raise UsageError(
            f"Wanted one or more lesions of one network, found {', '.join(sorted(networks)) or 'none'}.",
            hint="A fetus and an adult are planned apart; a patient without a lesion has no plan.",
        )
    if today is not None:
        checked_day(today)
    barred = forbidden_tests(every, knowledge) if forbidden is None else forbidden
    return _Planner(every, knowledge, today, barred).plan(tests)


class _Planner:
    """One patient's rules."""

    def __init__(
        self, every: tuple[Situation, ...], knowledge: Knowledge, today: str | None,
        forbidden: Mapping[str, tuple[Names, ...]],
    ) -> None:  # fmt: skip
        self.every, self.knowledge, self.today = every, knowledge, today
        network = every[0].differential.network
        self.rules = [rule for rule in knowledge.rules.values() if rule.network == network]
        self.order = {rule.id: place for place, rule in enumerate(self.rules)}
        self.flags = red_flags(every, knowledge)
        self.asked = [Asked(at, knowledge, raised_flags(at, knowledge)) for at in every]
        self.forbidden = forbidden
        self.verdicts = {rule.id: self.ask(rule) for rule in self.rules if not rule.fallback}

    def ask(self, rule: Rule) -> list[Verdict]:
        return [asked.verdict(rule.when) for asked in self.asked]

    def plan(self, tests: Sequence[NextTest]) -> Plan:
        items = [self.item(rule, self.verdicts[rule.id]) for rule in self.rules if rule.stop is None and self.met(rule)]
        beside = {rule.id for rule in self.rules if rule.beside}
        barred = bool(self.flags) or any(item.urgency in ACTING and item.rule not in beside for item in items)
        stops = [] if barred else [rule for rule in self.rules if rule.stop is not None and self.met_by_all(rule)]
        items += [self.item(rule, self.verdicts[rule.id]) for rule in stops]
        # for the case that what is not known is as the rule wants
        open_rules = [] if barred else [rule for rule in self.rules if self.shown_open(rule)]
        items += [self.item(rule, self.verdicts[rule.id], provided=True) for rule in open_rules]
        if not stops and not any(rule.stop for rule in open_rules) and not _asks_for_anything(items, beside):
            items += [self.item(rule, [Verdict(value=True)]) for rule in self.rules if rule.fallback]
        stop = next((tuple(rule.stop.items()) for rule in stops if rule.stop), ())
        merged = _merged(sorted(items, key=self.place), self.knowledge.rules)
        notes = [*self.guideline_notes(), *([NO_EVIDENCE] if stops or open_rules else []), DISCLAIMER]
        return Plan(
            flags=self.flags,
            items=tuple(merged),
            tests=tuple(tests),
            stop=stop,
            questions=self.questions(open_rules),
            notes=tuple(notes),
        )

    def met(self, rule: Rule) -> bool:
        """Whether an ordinary rule is met anywhere."""
        return not rule.fallback and any(verdict.value for verdict in self.verdicts[rule.id])

    def met_by_all(self, rule: Rule) -> bool:
        return not rule.fallback and all(verdict.value for verdict in self.verdicts[rule.id])

    def shown_open(self, rule: Rule) -> bool:
        """Whether a rule is shown for the case that what is not known is as it wants."""
        if rule.fallback or rule.shown_if is None:
            return False
        pairs = list(zip(self.asked, self.verdicts[rule.id], strict=True))
        if not any(verdict.value is None for _, verdict in pairs):
            return False
        return all(
            verdict.value or (verdict.value is None and asked.verdict(rule.shown_if).value) for asked, verdict in pairs
        )

    def item(self, rule: Rule, verdicts: Sequence[Verdict], *, provided: bool = False) -> PlanItem:
        named = tuple(rule.modality.get("tests", ()))
        allowed = tuple(test for test in named if test not in self.forbidden)
        open_ = sorted({one for verdict in verdicts if verdict.value is None for one in verdict.missing})
        return PlanItem(
            rule=rule.id,
            action=tuple(rule.action.items()),
            modality=modality_words(rule.modality, allowed, self.knowledge),
            tests=allowed,
            interval=interval_words(rule.interval, rule.urgency, self.knowledge),
            due=due_days(rule.interval, rule.urgency, self.today, self.knowledge),
            urgency=rule.urgency,
            because=tuple(sorted({words for verdict in verdicts if verdict.value for words in verdict.because})),
            sources=rule.sources,
            status=rule.status,
            provided=tuple(asked_words(one, self.knowledge) for one in open_) if provided else (),
            forbidden=tuple(
                not_done_words(test, self.forbidden[test], self.knowledge) for test in named if test in self.forbidden
            ),
        )

    def place(self, item: PlanItem) -> tuple[int, bool, str, int]:
        """Where an item stands: urgency, sure before open, earliest due, order of the rules."""
        due = item.due[1] if item.due else ""
        return URGENCIES.index(item.urgency), bool(item.provided), due, self.order[item.rule]

    def questions(self, open_rules: Sequence[Rule]) -> tuple[OpenQuestion, ...]:
        """Return what is not known and keeps rules open; what the stop rule needs first, then by urgency."""
        waiting = {rule.id for rule in open_rules}
        held: dict[str, list[str]] = {}
        for rule in self.rules:
            if not rule.fallback and not self.met(rule):
                # a rule that is shown for the open case needs all answers, of another the first comes first
                needs_all = rule.id in waiting
                for one in sorted({m for v in self.verdicts[rule.id] for m in (v.missing if needs_all else v.first)}):
                    if needs_all or rule.shown_if is None:
                        held.setdefault(one, []).append(rule.id)
        found = [
            OpenQuestion(one, asked_words(one, self.knowledge), tuple(rules), bool(waiting & set(rules)))
            for one, rules in held.items()
        ]

        def place(question: OpenQuestion) -> tuple[bool, int, int, str]:
            urgency = min(URGENCIES.index(self.knowledge.rules[rule].urgency) for rule in question.rules)
            return not question.for_stop, urgency, -len(question.rules), question.asks

        return tuple(sorted(found, key=place))

    def guideline_notes(self) -> list[Names]:
        """Say which guideline was applied to hepatitis B, where it matters."""
        positive = any(at.labs["hbsag"].value == "positive" for at in self.every if "hbsag" in at.labs)
        hbv = self.knowledge.guidelines.get("hbv")
        if not positive or hbv is None:
            return []
        name, source = hbv.choices[hbv.chosen], hbv.sources[hbv.chosen]
        others = [key for key in hbv.choices if key != hbv.chosen]
        return [
            (
                ("en", f"Hepatitis B: {name['en']} was applied ({source}), chosen by {hbv.chosen_because}; "
                       f"{', '.join(hbv.choices[key]['en'] for key in others)} may say otherwise."),
                ("zh", f"乙肝：采用{name['zh']}（{source}），依据{hbv.chosen_because}；"
                       f"{'、'.join(hbv.choices[key]['zh'] for key in others)}的结论可能不同。"),
            )
        ]  # fmt: skip


def _asks_for_anything(items: Sequence[PlanItem], beside: set[str]) -> bool:
    return any(item.urgency != "none" and item.rule not in beside for item in items)


def _merged(items: Sequence[PlanItem], rules: Mapping[str, Rule]) -> list[PlanItem]:
    """Merge items that ask for the same test into the first of them, which is the most urgent.

    The same tests are merged, and a single later look with a test that an earlier item asks for now.
    """
    kept: list[PlanItem] = []
    for item in items:
        for place, other in enumerate(kept):
            if _same(other, item, rules):
                more = AlsoAsked(item.rule, item.action, item.sources, item.status)
                kept[place] = replace(other, also=(*other.also, more))
                break
        else:
            kept.append(item)
    return kept


def _same(first: PlanItem, later: PlanItem, rules: Mapping[str, Rule]) -> bool:
    if REVIEW in first.tests or REVIEW in later.tests or bool(first.provided) != bool(later.provided):
        return False
    intervals = [rules[item.rule].interval for item in (first, later)]
    repeated = [bool(interval.get("every")) for interval in intervals]
    if any(repeated):
        return all(repeated) and first.tests == later.tests
    if set(first.tests) == set(later.tests):
        return bool(first.tests)
    first_now, later_now = (bool(interval.get("now")) for interval in intervals)
    return first_now and not later_now and bool(set(first.tests) & set(later.tests[:1]))
