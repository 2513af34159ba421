"""One cause as text: what it is, what is said of it with counts and sources: ``hepacalc knowledge show``."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from textwrap import fill

from hepacalc.errors import UsageError
from hepacalc.knowledge.model import Block, Cause, CauseBlock, Knowledge, Source, Statement

__all__ = [
    "LARGEST",
    "LEAST",
    "STATUS",
    "cause_text",
    "find_cause",
    "percent",
    "share_band",
    "short_state",
    "source_text",
    "sources_of",
]

WIDTH = 110
LEAST = 0.03
"""Shares under this are not listed, except in a lesion's picture, where the eight largest are."""
LARGEST = 8
STATUS = {
    "read": "read in the source",
    "unchecked": "not checked against the source",
    "recalled": "from memory, not checked",
    "judgement": "our working estimate, not published",
    "ours": "our own rule",
    "site": "the site's own",
}


def find_cause(knowledge: Knowledge, word: str) -> Cause:
    """Return the cause of an id, or of an English or Chinese name of it.

    Raises:
        UsageError: there is none; the hint names the nearest ones.
    """
    wanted = word.strip().lower()
    names: dict[str, str] = {}
    for cause in knowledge.causes.values():
        spoken = (*cause.name.values(), *(one for group in cause.other_names.values() for one in group))
        for name in (cause.id, *spoken):
            names.setdefault(name.lower(), cause.id)
    if wanted in names:
        return knowledge.causes[names[wanted]]
    near = list(dict.fromkeys(names[name] for name in get_close_matches(wanted, names, n=5, cutoff=0.5)))
    inside = [cause for name, cause in names.items() if wanted and wanted in name]
    told = list(dict.fromkeys([*near, *inside]))[:8] or list(knowledge.causes)
    raise UsageError(f"wanted one of {len(knowledge.causes)} causes, found {word}.", hint=f"Try {', '.join(told)}.")


def source_text(source: Source) -> str:
    """Return one source as a line: citation, what it says, counts, status."""
    parts = [source.citation.rstrip(".")]
    if source.address:
        parts.append(source.address)
    said = source.says
    if source.n is not None and source.N is not None:
        said += f" ({source.n} of {source.N})"
    elif source.value is not None:
        said += f" ({source.value:g})"
    return f"{source.id}  {'; '.join(parts)}. Says: {said}. [{STATUS.get(source.status, source.status)}]"


def cause_text(knowledge: Knowledge, cause: Cause, language: str = "en") -> str:
    """Return all that is held of one cause, as text for a terminal.

    Args:
        knowledge: where the cause is from.
        cause: which one.
        language: ``en`` or ``zh``, for names and sentences of the data.
    """
    lines = [f"{cause.name[language]}  ({cause.id})"]
    other = [cause.name["zh" if language == "en" else "en"], *cause.other_names["en"], *cause.other_names["zh"]]
    lines.append(f"  also: {', '.join(other)}")
    lines.append(
        f"  {cause.group} | {cause.network} | harm: {cause.harm} | needle: {cause.needle} | ICD-10 {cause.icd10} | "
        f"ICD-11 {cause.icd11 or 'not known to us'}"
    )
    lines += ["", fill(cause.summary[language], WIDTH), ""]
    lines += _prior(knowledge, cause, language)
    lines.append("What is found (share of patients with this cause; in brackets of any calcified focus)")
    for key in knowledge.networks[cause.network].block_ids:
        if key in cause.findings:
            lines += _finding(knowledge.blocks[key], cause.findings[key], language)
    silent = [
        knowledge.blocks[key].name[language]
        for key in knowledge.networks[cause.network].block_ids
        if key not in cause.findings
    ]
    if silent:
        lines.append(
            fill(f"Says nothing of: {'; '.join(silent)}", WIDTH, initial_indent="  ", subsequent_indent="    ")
        )
    lines += ["", *_statements("Traps", cause.traps, language), *_statements("Management", cause.management, language)]
    if cause.next_tests:
        tests = [knowledge.tests[key].name[language] if key in knowledge.tests else key for key in cause.next_tests]
        lines += ["Next tests", fill(", ".join(tests), WIDTH, initial_indent="  ", subsequent_indent="  "), ""]
    lines.append("Sources")
    for key in sources_of(knowledge, cause):
        lines.append(fill(source_text(knowledge.sources[key]), WIDTH, initial_indent="  ", subsequent_indent="      "))
    lines += ["", f"Knowledge {knowledge.version}. Without clinical review. Not a medical device, no diagnosis."]
    return "\n".join(lines)


def _prior(knowledge: Knowledge, cause: Cause, language: str) -> Iterator[str]:
    yield "Share among calcified foci by setting (5-95 % of its doubt)"
    for setting in knowledge.settings.values():
        if cause.id in setting.prior:
            share = setting.prior[cause.id]
            low, high = share_band(share.share, share.ess)
            source = knowledge.sources.get(share.source)
            status = STATUS.get(source.status, source.status) if source else ""
            band = f"{percent(low)} - {percent(high)}"
            yield f"  {percent(share.share):>8}  ({band:>19})  {setting.name[language]}: {share.source}, {status}"
    yield ""


def share_band(share: float, ess: float) -> tuple[float, float]:
    """Return the 5 and 95 % points of the Gamma law of a share (Wilson and Hilferty: within 5 % from ess 1 on)."""
    ninth = 1 / (9 * ess)
    low, high = ((1 - ninth + side * 1.645 * ninth**0.5) ** 3 for side in (-1, 1))
    return max(0.0, share * low), min(1.0, share * high)


def percent(share: float) -> str:
    """Return a share as a percentage with two significant figures."""
    hundredth = 100 * share
    if hundredth >= 10:
        return f"{hundredth:.0f} %"
    if hundredth >= 1:
        return f"{hundredth:.1f} %"
    return f"{hundredth:.2g} %" if hundredth >= 1e-4 else f"{hundredth:.0e} %"


def _finding(block: Block, said: CauseBlock, language: str) -> Iterator[str]:
    counted = sum(said.alpha)
    basis = f"weighs as {counted:.3g} patients, {STATUS.get(said.status, said.status)}; {', '.join(said.sources)}"
    yield f"  {block.name[language]}  [{basis}]"
    order = sorted(range(len(block.states)), key=lambda k: -said.p[k])
    shown = order[:LARGEST] if block.axes else [k for k in order if said.p[k] >= LEAST]
    for k in shown:
        name = block.state_names[block.states[k]][language]
        yield f"    {percent(float(said.p[k])):>8}  ({percent(float(block.base[k]))})  {name}"
    for count in said.counts:
        states = {short_state(state, count.states, block) for state in count.states}
        told = ", ".join(sorted(states))
        yield fill(
            f"published: {count.n} of {count.N} had {told} ({count.source}, {STATUS.get(count.status, count.status)})",
            WIDTH, initial_indent="              ", subsequent_indent="                ",
        )  # fmt: skip
    if said.note:
        yield fill(f"note: {said.note}", WIDTH, initial_indent="              ", subsequent_indent="                ")


def short_state(state: str, states: tuple[str, ...], block: Block) -> str:
    """Return a state, of a block with axes only the axis that a count speaks of."""
    if block.axes is None:
        return state
    parts = state.split("/")
    for place, values in enumerate(block.axes.values()):
        if {one.split("/")[place] for one in states} == set(values):
            return parts[1 - place]
    return state


def _statements(title: str, said: tuple[Statement, ...], language: str) -> Iterator[str]:
    if said:
        yield title
        for one in said:
            yield fill(f"- {one.text[language]} ({', '.join(one.sources)})", WIDTH, initial_indent="  ",
                       subsequent_indent="    ")  # fmt: skip
        yield ""


def sources_of(knowledge: Knowledge, cause: Cause) -> list[str]:
    """Return the ids of all sources that stand behind what is held of a cause, sorted."""
    found = [source for said in cause.findings.values() for source in said.sources]
    found += [source for one in (*cause.traps, *cause.management) for source in one.sources]
    found += [setting.prior[cause.id].source for setting in knowledge.settings.values() if cause.id in setting.prior]
    return [key for key in sorted(dict.fromkeys(found)) if key in knowledge.sources]
