"""Print ``docs/reference/sources-sensitivity.md``: ``python scripts/sources_page.py > PAGE``; some minutes."""

from __future__ import annotations

from hepacalc.evaluate.without import MovedBy, moved_by_each
from hepacalc.knowledge import load_knowledge
from hepacalc.knowledge.cases import load_reference_cases
from hepacalc.knowledge.model import Knowledge
from hepacalc.reason.compare import case_evidence

HEAD = """# What moves without one source

Made by `python scripts/sources_page.py`. Each publication, guideline or judgement behind the knowledge base is taken
away with all its rows, and the {cases} reference cases (`knowledge/reference_cases.yaml`) are asked again.

* Its counts go. Shares that rest on it alone go too: the cause is then indifferent to that block.
* A prior share that it states becomes 1 / number of causes; a split becomes even.
* A rule or red flag that rests on it alone never holds.
* Thresholds and the bases of blocks stay.

"First cause" and "plan" count the cases in which these change; "largest shift" is the largest change of any cause's
probability in any case, in points. A plan near a threshold can also change because the draws behind the bands are not
the same ones; one plan more or less is noise. `J-` are judgements of ours and not publications.

{shows}

| source | rows | numbers and rules | first cause | plan | largest shift |
|---|---|---|---|---|---|
"""

SHOWS = """What it shows: of {n} publications and guidelines {first} alone move the first cause of any reference case
and {plan} move a plan. What moves most is our own synthesis of textbook knowledge, which nobody has reviewed."""


def page() -> str:
    """The page as Markdown."""
    knowledge = load_knowledge()
    cases = case_evidence(load_reference_cases(), knowledge)
    found = moved_by_each(knowledge, cases)
    moving = [(work, moved) for work, moved in found if moved.touched]
    published = [moved for work, moved in found if not work.startswith("ours_")]
    shows = SHOWS.format(
        n=len(published), first=sum(bool(m.first) for m in published), plan=sum(bool(m.plan) for m in published)
    )
    lines = [
        HEAD.format(cases=len(cases), shows=shows) + "\n".join(_row(work, moved, knowledge) for work, moved in moving)
    ]
    quiet = [work for work, moved in found if not moved.touched]
    lines.append(f"\n\nThe other {len(quiet)} carry no number and no rule alone: texts, thresholds, corrections.\n")
    lines.append("\n## Which conclusions\n")
    for work, moved in moving:
        if moved.first or moved.plan:
            lines.append(f"\n### {_name(work, moved, knowledge)}\n\n")
            lines += [f"* first cause of `{case}`: `{was}` -> `{now}`\n" for case, was, now in moved.first[:12]]
            if len(moved.first) > 12:
                lines.append(f"* ... and of {len(moved.first) - 12} more cases\n")
            lines += [
                f"* plan of `{case}`: {', '.join(f'`{c}`' for c in changes)}\n" for case, changes in moved.plan[:8]
            ]
            if len(moved.plan) > 8:
                lines.append(f"* ... and of {len(moved.plan) - 8} more cases\n")
    return "".join(lines)


def _name(work: str, moved: MovedBy, knowledge: Knowledge) -> str:
    source = knowledge.sources[moved.sources[0]]
    title = source.citation if len(source.citation) <= 90 else source.citation[:87].rsplit(" ", 1)[0] + " ..."
    return f"{work}: {title}".replace("|", "/").replace("<", "&lt;")


def _row(work: str, moved: MovedBy, knowledge: Knowledge) -> str:
    ids = (
        ", ".join(moved.sources) if len(moved.sources) <= 4 else f"{moved.sources[0]} and {len(moved.sources) - 1} more"
    )
    shift = f"{100 * moved.largest:.1f}" if moved.largest >= 5e-4 else "< 0.1"
    name = _name(work, moved, knowledge)
    return f"| {name} | {ids} | {moved.touched} | {len(moved.first)} | {len(moved.plan)} | {shift} |"


if __name__ == "__main__":
    print(page(), end="")
