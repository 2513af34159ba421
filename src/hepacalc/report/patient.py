"""The sheet for the patient: one page, plain words, what it is, what it is not, what to do and when.

Never surer than the report: without a plan the doctor decides, a scan that could not be judged says nothing, and only a
plan that ends with "then stop" is called a scar. No name of a disease, no probability, no number but dates.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import Literal, NamedTuple

from hepacalc.reason.reasoning import Reasoning
from hepacalc.reason.records import PlanItem
from hepacalc.records import Assessment
from hepacalc.report.html import HTML_LANG, page_environment, style
from hepacalc.report.language import speaking
from hepacalc.report.reason_views import reasoning_of
from hepacalc.report.sheet_phrases import TEST_WORDS
from hepacalc.report.words import obstacles, summary, text

__all__ = ["MOST_STEPS", "OUTCOMES", "Outcome", "Section", "Sheet", "make_sheet", "render_sheet", "sheet_text"]

Outcome = Literal[
    "none", "none-limited", "unjudged", "unsure", "scar", "open", "closer", "no-plan", "fetus", "fetus-closer"
]
OUTCOMES: tuple[Outcome, ...] = (
    "none", "none-limited", "unjudged", "unsure", "scar", "open", "closer", "no-plan", "fetus", "fetus-closer",
)  # fmt: skip
"""``closer``: a red flag, or a step that is urgent or soon; ``scar``: the plan ends; ``no-plan``: nothing was given
about the patient."""

MOST_STEPS = 5
PRESSING = ("emergency", "urgent", "soon")
NEEDLES = ("biopsy", "aspirate_culture")


class Section(NamedTuple):
    """A heading, sentences, points, and sentences after the points."""

    name: str
    title: str
    sentences: tuple[str, ...]
    points: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


class Sheet(NamedTuple):
    """The sheet in words.

    Args:
        outcome: which of :data:`OUTCOMES`.
        title: of the page.
        alarm: what is to be done today; empty when nothing is.
        sections: what it is, what it is not, what to do, when to see a doctor at once.
        dates: of the scan and of the page.
    """

    outcome: Outcome
    title: str
    alarm: str
    sections: tuple[Section, ...]
    dates: str


def make_sheet(told: Assessment | Reasoning, *, language: str = "en", made: str = "") -> Sheet:
    """Return the sheet of an assessment, or of an answer without a scan.

    Args:
        told: what was found.
        language: ``en`` or ``zh``.
        made: day of the page, ``YYYY-MM-DD``, for an answer without a scan; an assessment has its own.

    Raises:
        UsageError: another language.
    """
    with speaking(language):
        scan = told if isinstance(told, Assessment) else None
        reasoning = reasoning_of(told) if isinstance(told, Assessment) else told
        outcome = _outcome(scan, reasoning)
        hidden = scan is not None and bool(scan.lesions) and bool(obstacles(scan)[0])
        what, is_not = _what(outcome, _count(scan, reasoning), said=scan is None), _is_not(outcome)
        sections = (
            Section("what", text("sheet.what"), (*what, *((text("sheet.hidden"),) if hidden else ()))),
            Section("not", text("sheet.not"), is_not),
            _what_to_do(outcome, reasoning),
            _at_once(outcome, reasoning),
        )
        today = reasoning is not None and any(item.urgency == "emergency" for item in reasoning.plan.items)
        today = today or (reasoning is not None and any(flag.urgency == "emergency" for flag in reasoning.plan.flags))
        return Sheet(
            outcome,
            text("sheet.title.fetus" if outcome.startswith("fetus") else "sheet.title"),
            text("sheet.do.today") if today else "",
            sections,
            _dates(scan, made),
        )


def render_sheet(told: Assessment | Reasoning, *, language: str = "en", made: str = "") -> str:
    """Return the sheet as one self-contained HTML page (UTF-8) that prints on one A4 page; arguments as above."""
    sheet = make_sheet(told, language=language, made=made)
    with speaking(language):
        page = page_environment().get_template("sheet.html.j2")
        return page.render(sheet=sheet, lang=HTML_LANG.get(language, language), css=style("tokens.css", "sheet.css"))


def sheet_text(sheet: Sheet) -> str:
    """Return the sentences of a sheet, headings left out: what its reading level is measured on.

    The heading over the signs of danger and the signs are one sentence.
    """
    lines = [sheet.alarm] if sheet.alarm else []
    for section in sheet.sections:
        points = list(section.points)
        if section.name == "at-once":
            points = [" ".join([section.title, *points])]
        lines += [*section.sentences, *points, *section.after]
    return "\n".join(lines)


def _outcome(scan: Assessment | None, reasoning: Reasoning | None) -> Outcome:
    if reasoning is not None and reasoning.network == "fetal":
        return "fetus-closer" if reasoning.plan.flags else "fetus"
    tone = "found" if scan is None else summary(scan).tone
    if tone in ("none", "none-limited", "unjudged"):
        return tone
    if reasoning is None:
        return "unsure" if tone == "indeterminate" else "no-plan"
    items = reasoning.plan.items
    if reasoning.plan.flags or any(item.urgency in PRESSING for item in items):
        return "closer"
    if tone == "indeterminate":
        return "unsure"
    ends = bool(reasoning.plan.stop) and not any(item.provided for item in items)
    return "scar" if ends and (scan is None or not obstacles(scan)[0]) else "open"


def _count(scan: Assessment | None, reasoning: Reasoning | None) -> str:
    """Return ``one`` or ``some``: how many are spoken of."""
    if scan is not None:
        calcified = sum(lesion.kind == "calcification" for lesion in scan.lesions)
        return "some" if (calcified or len(scan.lesions)) > 1 else "one"
    return "some" if reasoning is not None and len(reasoning.lesions) > 1 else "one"


def _what(outcome: Outcome, count: str, *, said: bool) -> tuple[str, ...]:
    if outcome == "none":
        return text("sheet.none"), text("sheet.none.small")
    if outcome == "none-limited":
        return text("sheet.none"), text("sheet.none.limits")
    if outcome in ("unjudged", "fetus", "fetus-closer"):
        return (text(f"sheet.{outcome.replace('-', '.')}"),)
    if outcome == "unsure":
        return text(f"sheet.unsure.{count}"), text("sheet.unsure")
    first = text(f"sheet.said.{count}" if said else f"sheet.{count}")
    more = {"scar": "sheet.scar", "closer": "sheet.closer"}.get(outcome, "sheet.cause-open")
    return first, text("sheet.calcium"), text(more)


def _is_not(outcome: Outcome) -> tuple[str, ...]:
    own = {
        "none": ("sheet.not.all", "sheet.not.well"),
        "none-limited": ("sheet.not.all", "sheet.not.well"),
        "unjudged": ("sheet.not.proof",),
        "scar": ("sheet.not.scar", "sheet.not.all"),
        "fetus": ("sheet.not.fetus",),
        "fetus-closer": ("sheet.not.fetus",),
    }.get(outcome, ("sheet.not.proof", "sheet.not.fault", "sheet.not.all"))
    return tuple(text(key) for key in ("sheet.not.final", *own))


def _what_to_do(outcome: Outcome, reasoning: Reasoning | None) -> Section:
    title = text("sheet.do")
    if reasoning is None:
        first = {"none": "sheet.do.nothing", "unjudged": "sheet.do.again", "none-limited": "sheet.do.again"}
        keys = [first[outcome]] if outcome in first else []
        keys += ["sheet.do.ill" if outcome == "none" else "sheet.do.no-plan"]
        return Section("do", title, tuple(text(key) for key in keys))
    steps = list(_steps(reasoning))
    first = {
        "scar": "sheet.do.no-treatment",
        "none": "sheet.do.nothing",
        "unjudged": "sheet.do.again",
        "none-limited": "sheet.do.again",
    }
    before = [first[outcome]] if outcome in first else []
    if any(item.provided for item in reasoning.plan.items):
        before.append("sheet.do.questions")
    after = ["sheet.do.doctor" if steps else "sheet.do.ill" if outcome in ("none", "scar") else "sheet.do.no-plan"]
    if len(steps) > MOST_STEPS:
        after.append("sheet.do.more")
    if outcome == "scar":
        after.append("sheet.do.stop" if steps else "sheet.do.enough")
    if _no_needle(reasoning) and outcome not in ("none", "scar"):
        after.append("sheet.do.needle")
    said = [tuple(text(key) for key in keys) for keys in (before, after)]
    return Section("do", title, said[0], tuple(steps[:MOST_STEPS]), said[1])


def _no_needle(reasoning: Reasoning) -> bool:
    """Whether a needle must not be put into the spot now."""
    return reasoning.network != "fetal" and any(
        test.test in NEEDLES and test.forbidden for test in reasoning.plan.tests
    )


def _steps(reasoning: Reasoning) -> Iterator[str]:
    """Yield the steps of the plan in plain words with their dates, each once, most urgent first."""
    seen: set[str] = set()
    for item in reasoning.plan.items:
        if item.urgency == "none":
            continue
        step = _step(item)
        if step not in seen:
            seen.add(step)
            yield step


def _step(item: PlanItem) -> str:
    words = list(dict.fromkeys(_word(test) for test in item.tests)) or [text("sheet.test.team")]
    what = words[0] if len(words) == 1 else text("sheet.step.or", a=words[0], b=_lowered(words[1]))
    if item.urgency == "emergency":
        return text("sheet.step.today", what=what)
    if item.due is None:
        return text("sheet.step", what=what)
    first, last = (_day(day) for day in item.due)
    if first == last:
        return text("sheet.step.on", what=what, first=first)
    if dict(item.interval).get("en", "").startswith("every"):
        return text("sheet.step.repeat", what=what, first=first, last=last)
    now = dict(item.interval).get("en", "").startswith("now")
    return text("sheet.step.by" if now else "sheet.step.from-to", what=what, first=first, last=last)


def _word(test: str) -> str:
    key = next((word for word, tests in TEST_WORDS.items() if test in tests), "other")
    return text(f"sheet.test.{key}")


def _lowered(words: str) -> str:
    """Return words for the middle of a sentence: ``a CT scan``."""
    return words[:1].lower() + words[1:]


def _at_once(outcome: Outcome, reasoning: Reasoning | None) -> Section:
    if outcome.startswith("fetus"):
        keys = ["moves", "fluid", "fever", "belly"]
        return Section("at-once", text("sheet.at-once"), (), tuple(text(f"sheet.at-once.{key}") for key in keys))
    keys = ["fever", "yellow", "pain", "blood"]
    if reasoning is not None and any(
        cause.cause == "ce" and any(test.forbidden for test in reasoning.plan.tests if test.test in NEEDLES)
        for cause in reasoning.differential.causes[:SHOWN_CYST]
    ):
        keys.append("cyst")
    points = tuple(text(f"sheet.at-once.{key}") for key in keys)
    return Section("at-once", text("sheet.at-once"), (), points, (text("sheet.soon"),))


SHOWN_CYST = 3
"""The advice on a burst cyst is given when cystic echinococcosis is among so many leading causes."""


def _dates(scan: Assessment | None, made: str) -> str:
    if scan is None:
        return text("sheet.dates.made", made=_day(made)) if made else ""
    stamp, study = _day(scan.run.created[:10]), scan.acquisition.study_date or ""
    scanned = f"{study[:4]}-{study[4:6]}-{study[6:]}" if len(study) == 8 and study.isdigit() else ""
    return text("sheet.dates", scanned=_day(scanned), made=stamp) if scanned else text("sheet.dates.made", made=stamp)


def _day(stamp: str) -> str:
    """Return a day in words: ``26 November 2026``."""
    try:
        day: date = datetime.strptime(stamp, "%Y-%m-%d").date()
    except ValueError:
        return stamp
    months = text("sheet.months").split()
    return text("sheet.date", day=day.day, month=months[day.month - 1], year=day.year)
