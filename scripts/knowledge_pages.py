"""Write the knowledge base as pages: ``python scripts/knowledge_pages.py FOLDER``.

One page a cause, an index by group and one page of all sources. Made anew at each build of the docs, from the data in
the package.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from hepacalc.knowledge import Knowledge, load_knowledge
from hepacalc.knowledge.model import Block, Cause, CauseBlock, Source, Statement
from hepacalc.knowledge.show import LARGEST, LEAST, STATUS, percent, share_band, short_state, sources_of

HARMS = {"benign": "benign", "watch": "to be watched", "dangerous": "dangerous", "malignant": "malignant"}
NEEDLES = {"allowed": "allowed", "caution": "with caution", "never": "**never**"}
UNREVIEWED = "Nothing here has had clinical review. Not a medical device, no diagnosis."

INDEX = """# Knowledge base

{causes} causes of calcification in the liver and of what looks like it, in {groups} groups, with what each makes
likely, how harmful it is, what comes next, and where every number and sentence is from: {sources} sources,
of which {read} were read, {unchecked} are from memory or turn a word into a number, and {judged} are working
estimates of ours. The pages are made from the package's own data (knowledge {version}); `hepacalc knowledge show CAUSE`
prints the same. {unreviewed}

* [All sources](sources.md)
* [Corrections to common beliefs](../reference/corrections.md)
* [Rules, red flags, tests and facts](../reference/rules.md), which act on the causes
* [How the differential thinks](../concepts/differential.md)

```{{toctree}}
:hidden:
:glob:

sources
causes/*
```

"""
CAUSE = """# {name}

{others}

| what | value |
|---|---|
| id | `{id}` |
| group | {group}, {network} |
| harm | {harm} |
| needle | {needle} |
| ICD-10, ICD-11 | {icd10}, {icd11} |

{summary}

"""


def write_pages(knowledge: Knowledge, folder: Path) -> int:
    """Write all pages into ``folder``; return how many."""
    (folder / "causes").mkdir(parents=True)
    pages = {"index.md": index_page(knowledge), "sources.md": sources_page(knowledge)}
    pages |= {f"causes/{cause.id}.md": cause_page(knowledge, cause) for cause in knowledge.causes.values()}
    for name, text in pages.items():
        (folder / name).write_text(text, "utf-8")
    return len(pages)


def index_page(knowledge: Knowledge) -> str:
    """All causes by group."""
    groups: dict[str, list[Cause]] = defaultdict(list)
    for cause in knowledge.causes.values():
        groups[cause.group].append(cause)
    status = [source.status for source in knowledge.sources.values()]
    parts = [
        INDEX.format(
            causes=len(knowledge.causes), groups=len(groups), sources=len(status), version=knowledge.version,
            read=status.count("read"), unchecked=len(status) - status.count("read") - status.count("judgement"),
            judged=status.count("judgement"), unreviewed=UNREVIEWED,
        )
    ]  # fmt: skip
    for group, causes in sorted(groups.items()):
        parts.append(f"## {group.capitalize()}\n\n| cause | in Chinese | harm | needle |\n|---|---|---|---|\n")
        for cause in sorted(causes, key=lambda one: one.name["en"]):
            parts.append(
                f"| [{cause.name['en']}](causes/{cause.id}.md) | {_zh(cause.name['zh'])} | {HARMS[cause.harm]} "
                f"| {NEEDLES[cause.needle]} |\n"
            )
        parts.append("\n")
    return "".join(parts)


def cause_page(knowledge: Knowledge, cause: Cause) -> str:
    """All that is held of one cause."""
    others = [_zh(cause.name["zh"]), *cause.other_names["en"], *map(_zh, cause.other_names["zh"])]
    head = CAUSE.format(
        name=cause.name["en"], others=" · ".join(others), id=cause.id, group=cause.group,
        network={"adult": "child or adult", "fetal": "fetus"}[cause.network], harm=HARMS[cause.harm],
        needle=NEEDLES[cause.needle], icd10=cause.icd10, icd11=cause.icd11 or "not known to us",
        summary=f"{cause.summary['en']}\n\n{_zh(cause.summary['zh'])}",
    )  # fmt: skip
    return "".join(
        [
            head,
            *_prior(knowledge, cause),
            *_findings(knowledge, cause),
            *_statements("Traps", cause.traps),
            *_statements("Management", cause.management),
            *_tests(knowledge, cause),
            *_rules(knowledge, cause),
            *_sources(knowledge, cause),
            f"{UNREVIEWED} [All causes](../index.md)\n",
        ]
    )


def _prior(knowledge: Knowledge, cause: Cause) -> Iterator[str]:
    rows = [
        (setting.name["en"], setting.prior[cause.id])
        for setting in knowledge.settings.values()
        if cause.id in setting.prior
    ]
    yield "## How often\n\nShare among calcified foci, by setting, with the 5-95 % range of its doubt.\n\n"
    yield "| setting | share | 5-95 % | source | status |\n|---|---|---|---|---|\n"
    for name, share in rows:
        low, high = share_band(share.share, share.ess)
        status = STATUS[knowledge.sources[share.source].status]
        yield f"| {name} | {_share(share.share)} | {_share(low)} - {_share(high)} | {_cite([share.source])} "
        yield f"| {status} |\n"
    yield "\n"


def _findings(knowledge: Knowledge, cause: Cause) -> Iterator[str]:
    yield "## What is found\n\nShare of patients with this cause, beside that of any calcified focus. The weight is the"
    yield " number of patients that the figures count as.\n\n"
    blocks = knowledge.networks[cause.network].block_ids
    for key in blocks:
        if key in cause.findings:
            yield from _finding(knowledge.blocks[key], cause.findings[key])
    silent = [knowledge.blocks[key].name["en"].lower() for key in blocks if key not in cause.findings]
    if silent:
        yield f"Nothing is said of: {'; '.join(silent)}.\n\n"


def _finding(block: Block, said: CauseBlock) -> Iterator[str]:
    order = sorted(range(len(block.states)), key=lambda k: -said.p[k])
    shown = order[:LARGEST] if block.axes else [k for k in order if said.p[k] >= LEAST]
    yield f"### {block.name['en']}\n\n| finding | with this cause | any focus |\n|---|---|---|\n"
    for k in shown:
        name = block.state_names[block.states[k]]["en"]
        yield f"| {_cell(name)} | {_share(float(said.p[k]))} | {_share(float(block.base[k]))} |\n"
    rest = len(order) - len(shown)
    least = f", each under {_share(LEAST)}" if not block.axes else ""
    yield f"\n*{rest} more{least}.* " if rest else "\n"
    yield f"Weight {sum(said.alpha):.3g}; {STATUS[said.status]}; {_cite(said.sources)}."
    for count in said.counts:
        states = ", ".join(sorted({short_state(state, count.states, block) for state in count.states}))
        status = STATUS[count.status]
        yield f"\n\n* Published: {count.n} of {count.N} had {states} ({_cite([count.source])}, {status})."
    yield f"\n\n* {said.note}" if said.note else ""
    yield "\n\n"


def _statements(title: str, said: Iterable[Statement]) -> Iterator[str]:
    lines = [f"* {one.text['en']} {_zh(one.text['zh'])} ({_cite(one.sources)})\n" for one in said]
    if lines:
        yield f"## {title}\n\n{''.join(lines)}\n"


def _tests(knowledge: Knowledge, cause: Cause) -> Iterator[str]:
    if cause.next_tests:
        names = [knowledge.tests[key].name["en"] if key in knowledge.tests else key for key in cause.next_tests]
        yield f"## Next tests\n\n{', '.join(names)}. Costs and harms: [tests](../../reference/rules.md#tests).\n\n"


def _rules(knowledge: Knowledge, cause: Cause) -> Iterator[str]:
    """Red flags and rules whose condition names this cause, its harm, its group or its needle."""
    words = {cause.id, cause.harm, cause.group} | ({"never"} if cause.needle == "never" else set())
    rows = []
    for flag in knowledge.redflags.values():
        why = named_in(flag.when, knowledge) & words
        if why and flag.network == cause.network:
            rows.append((_names(why, cause), f"**{flag.name['en']}** (red flag)", flag.urgency, flag))
    for rule in knowledge.rules.values():
        why = named_in(rule.when, knowledge) & words
        if why and rule.network == cause.network:
            rows.append((_names(why, cause), rule.action["en"], rule.urgency, rule))
    if rows:
        yield "## Rules that ask about it\n\nIn full: [rules and red flags](../../reference/rules.md).\n\n"
        yield "| asks about | rule | urgency | sources |\n|---|---|---|---|\n"
        for asked, text, urgency, item in sorted(rows, key=lambda row: row[0] != "this cause"):
            status = STATUS[item.status]
            yield f"| {asked} | {_cell(text)} (`{item.id}`) | {urgency} | {_cite(item.sources)} ({status}) |\n"
        yield "\n"


def named_in(node: Mapping[str, Any], knowledge: Knowledge) -> set[str]:
    """Causes, harms and groups that a condition asks about, through the terms that it uses."""
    if "term" in node:
        return named_in(knowledge.terms[node["term"]].when, knowledge)
    found = {str(node["cause"])} if "cause" in node else set()
    for word in ("all", "any"):
        for part in node.get(word, ()):
            found |= named_in(part, knowledge)
    for word in ("not", "unless"):
        if word in node:
            found |= named_in(node[word], knowledge)
    return found


def _names(words: set[str], cause: Cause) -> str:
    if cause.id in words:
        return "this cause"
    return ", ".join(sorted("causes that no needle may touch" if word == "never" else f"all {word}" for word in words))


def _sources(knowledge: Knowledge, cause: Cause) -> Iterator[str]:
    yield "## Sources\n\n"
    for key in sources_of(knowledge, cause):
        yield f"* {_cite([key])}: {source_line(knowledge.sources[key])}\n"
    yield "\n"


def source_line(source: Source) -> str:
    """Citation, address, what it says, counts, status."""
    address = f", {source.address}" if source.address else ""
    counted = ""
    if source.n is not None and source.N is not None:
        counted = f" ({source.n} of {source.N})"
    elif source.value is not None:
        counted = f" ({source.value:g})"
    population = f" Population: {source.population}." if source.population else ""
    status = STATUS[source.status]
    return f"{source.citation.rstrip('.')}{address}. Says: {source.says}{counted}.{population} *{status}*"


def sources_page(knowledge: Knowledge) -> str:
    """Every source with an anchor of its own."""
    used: dict[str, list[Cause]] = defaultdict(list)
    for cause in knowledge.causes.values():
        for key in sources_of(knowledge, cause):
            used[key].append(cause)
    parts = [
        "# Sources\n\nEvery number and sentence of the knowledge base points to one of these. *Read in the source*: "
        "the figure was seen in the abstract or an excerpt. *Not checked against the source*: from memory, or a word "
        "turned into a number. *Our working estimate* is never shown as published. What the conclusions would be "
        "without one of them: [sensitivity](../reference/sources-sensitivity.md).\n\n"
    ]
    for key, source in sorted(knowledge.sources.items()):
        causes = [f"[{one.name['en']}](causes/{one.id}.md)" for one in used[key]]
        if len(causes) > 12:
            causes = [*causes[:12], f"and {len(causes) - 12} more"]
        behind = f" Behind: {', '.join(causes)}." if causes else ""
        parts.append(f"{{#source-{key}}}\n**{key}** {source_line(source)}.{behind}\n\n")
    return "".join(parts)


def _cite(keys: Iterable[str]) -> str:
    return ", ".join(f"[{key}](#source-{key})" for key in keys)


def _share(share: float) -> str:
    return percent(share).replace(" ", "\N{NO-BREAK SPACE}")


def _zh(text: str) -> str:
    return f'<span lang="zh-Hans">{text}</span>'


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python scripts/knowledge_pages.py FOLDER")
    print(f"{write_pages(load_knowledge(), Path(sys.argv[1]))} pages")
