"""Print ``docs/reference/rules.md`` from the knowledge base: ``python scripts/rules_page.py > PAGE``."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from hepacalc.knowledge import Knowledge, load_knowledge

HEAD = """# Rules, red flags, tests and facts

What the [plan](../concepts/plan.md) is made of, from `rules.yaml`, `tests.yaml` and `facts.yaml`; made by
`scripts/rules_page.py`. Nothing here has had clinical review. Status: *read*, the source says so; *unchecked*, from
memory; *judgement* and *ours*, no source states it. Percentages beside findings: share of the evidence that must lie
there. Names in brackets: conditions of the table before the last. "unless known": what is not known does not hinder.

"""
COMPARED = {
    "above": ">",
    "below": "<",
    "at_least": ">=",
    "at_most": "<=",
    "above_uln": "> ULN x",
    "below_uln": "<= ULN x",
}


def page(knowledge: Knowledge) -> str:
    """The page as Markdown."""
    parts = [HEAD, "## Red flags\n\n", *_flags(knowledge)]
    for network, title in (("adult", "Rules of the plan"), ("fetal", "Rules of the plan, fetus")):
        parts += [f"\n## {title}\n\n", *_rules(knowledge, network)]
    parts += ["\n## Tests\n\n", *_tests(knowledge), "\n## Facts and laboratory values\n\n", *_facts(knowledge)]
    parts += ["\n## Named conditions\n\n| name | when |\n|---|---|\n"]
    parts += [
        f"| `{term.id}`: {term.name['en']} | {said(term.when, knowledge)} |\n" for term in knowledge.terms.values()
    ]
    parts += ["\n## Sources\n\n", *_sources(knowledge)]
    return "".join(parts)


def _flags(knowledge: Knowledge) -> list[str]:
    rows = ["| red flag | when | why | urgency | sources |\n|---|---|---|---|---|\n"]
    for flag in knowledge.redflags.values():
        rows.append(
            f"| **{flag.name['en']}** {flag.name['zh']} (`{flag.id}`) | {said(flag.when, knowledge)} "
            f"| {flag.why['en']} | {flag.urgency} | {', '.join(flag.sources)} ({flag.status}) |\n"
        )
    return rows


def _rules(knowledge: Knowledge, network: str) -> list[str]:
    rows = ["| rule | when | what to do | how | when due | urgency | sources |\n|---|---|---|---|---|---|---|\n"]
    for rule in knowledge.rules.values():
        if rule.network != network:
            continue
        when = "no other rule asks for anything" if rule.fallback else said(rule.when, knowledge)
        stop = f" *{rule.stop['en']}*" if rule.stop else ""
        beside = " (apart from the focus)" if rule.beside else ""
        rows.append(
            f"| `{rule.id}`{beside} | {when} | {rule.action['en']} {rule.action['zh']}{stop} "
            f"| {_how(rule.modality, knowledge)} | {_due(rule.interval)} | {rule.urgency} "
            f"| {', '.join(rule.sources)} ({rule.status}) |\n"
        )
    return rows


def _how(modality: Mapping[str, Any], knowledge: Knowledge) -> str:
    if "none" in modality:
        return f"none needed: {modality['none']['en']}"
    return " or ".join(knowledge.tests[test].name["en"] for test in modality["tests"])


def _due(interval: Mapping[str, Any]) -> str:
    if "none" in interval:
        return f"none needed: {interval['none']['en']}"
    if interval.get("now"):
        return "now"
    unit = next(name for name in ("days", "weeks", "months", "years") if name in interval)
    span = interval[unit]
    text = f"{span[0]:g}-{span[1]:g}" if isinstance(span, list | tuple) else f"{span:g}"
    since = f" after {interval['since']['en']}" if interval.get("since") else ""
    return f"{'every' if interval.get('every') else 'once in'} {text} {unit}{since}"


def _tests(knowledge: Knowledge) -> list[str]:
    rows = ["| test | tells of | minutes | mSv | contrast | needle | cost | know before | forbidden when | sources |\n"]
    rows.append("|---|---|---|---|---|---|---|---|---|---|\n")
    for test in knowledge.tests.values():
        forbidden = said(test.forbidden_if, knowledge) if test.forbidden_if else ""
        rows.append(
            f"| `{test.id}`: {test.name['en']} {test.name['zh']} | {', '.join(test.reveals)} | {test.minutes:g} "
            f"| {test.radiation_msv:g} | {test.contrast} | {'yes' if test.needle else ''} | {test.cost_class} "
            f"| {', '.join(test.needs)} | {forbidden} | {', '.join(test.sources)} ({test.status}) |\n"
        )
    return rows


def _facts(knowledge: Knowledge) -> list[str]:
    rows = ["| id | what | values |\n|---|---|---|\n"]
    for fact in knowledge.facts.values():
        values = ", ".join(f"`{key}`" for key in fact.choices) or {"yes_no": "yes or no"}.get(fact.kind, fact.unit)
        rows.append(f"| `{fact.id}` | {fact.name['en']} {fact.name['zh']} | {values} |\n")
    for lab in knowledge.labs.values():
        rows.append(f"| `{lab.id}` | {lab.name['en']} | {lab.unit or 'positive or negative'} |\n")
    return rows


def _sources(knowledge: Knowledge) -> list[str]:
    holders = (knowledge.redflags, knowledge.rules, knowledge.tests)
    used = sorted({key for held in holders for item in held.values() for key in item.sources})  # type: ignore[attr-defined]
    rows = ["| id | citation | says | status |\n|---|---|---|---|\n"]
    for key in used:
        source = knowledge.sources[key]
        address = f", {source.address}" if source.address else ""
        rows.append(f"| {key} | {source.citation}{address} | {source.says} | {source.status} |\n")
    return rows


def said(node: Mapping[str, Any], knowledge: Knowledge) -> str:
    """A condition in words."""
    if "all" in node or "any" in node:
        word = "all" if "all" in node else "any"
        parts = [
            f"({said(part, knowledge)})" if {"all", "any"} & set(part) else said(part, knowledge) for part in node[word]
        ]
        return (" and " if word == "all" else " or ").join(parts)
    if "not" in node or "unless" in node:
        word = "not" if "not" in node else "unless"
        inner = said(node[word], knowledge)
        return f"{'not' if word == 'not' else 'unless known:'} ({inner})"
    if "always" in node:
        return "always"
    if "term" in node:
        return f"[{node['term']}]"
    if "flag" in node:
        return "any red flag" if node["flag"] == "any" else f"red flag `{node['flag']}`"
    if "guideline" in node:
        return f"the site applies {knowledge.guidelines[node['guideline']].choices[node['is']]['en']}"
    return _leaf(node, knowledge)


def _leaf(node: Mapping[str, Any], knowledge: Knowledge) -> str:
    if "block" in node:
        block = knowledge.blocks[node["block"]]
        asked = [*node.get("states", ()), *node.get("host", ()), *node.get("morphology", ())]
        if not asked:
            return f"{block.id} known"
        sides = [node[key] for key in ("states", "host", "morphology") if key in node]
        least = f" ({node['least']:.0%})" if "least" in node else ""
        return f"{block.id}: {' x '.join('/'.join(side) for side in sides)}{least}"
    if "cause" in node:
        words = (("upper", "upper bound >="), ("mean", "probability >="))
        told = [f"{word} {_level(node[key], knowledge)}" for key, word in words if key in node]
        return f"{node['cause']} {' and '.join(told)}"
    key = node.get("fact") or node.get("lab")
    told = [f"{sign} {_level(node[word], knowledge)}" for word, sign in COMPARED.items() if word in node]
    if "is" in node:
        wanted = node["is"] if isinstance(node["is"], list | tuple) else [node["is"]]
        told.append(
            "is " + "/".join({True: "yes", False: "no"}[one] if isinstance(one, bool) else str(one) for one in wanted)
        )
    return f"{key} {' and '.join(told) or 'known'}"


def _level(level: float | str, knowledge: Knowledge) -> str:
    if isinstance(level, str):
        held = knowledge.thresholds[level]
        value = f"{held.value:.0%}" if held.unit == "probability" else f"{held.value:g} {held.unit}"
        return f"{value} (`{level}`)"
    return f"{level:g}"


if __name__ == "__main__":
    sys.stdout.write(page(load_knowledge()))
