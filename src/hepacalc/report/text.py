"""The report as text for pasting into a report system: structured, short, one finding a line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from hepacalc.reason.reasoning import Reasoning
from hepacalc.records import Assessment, Lesion, Measured, Measurement, NotMeasured
from hepacalc.report.language import speaking
from hepacalc.report.localise import localised
from hepacalc.report.marks import mark
from hepacalc.report.numbers import fixed
from hepacalc.report.reason_views import reasoning_of
from hepacalc.report.reason_words import SHOWN_CAUSES, cause_line, due_text, said, urgency_text
from hepacalc.report.words import (
    certainty_text,
    date_text,
    kind_text,
    measurement_text,
    phase_text,
    segment_text,
    summary,
    text,
)

__all__ = ["MOST_LESIONS", "report_text"]

MOST_LESIONS = 10
"""Lesions that get a line, largest mass first."""
MOST_LIMITS = 8


def report_text(assessment: Assessment, *, language: str = "en") -> str:
    """Return study, findings, limits, impression and plan in plain lines; the same assessment gives the same text.

    Args:
        assessment: what to tell.
        language: ``en`` or ``zh``.

    Raises:
        UsageError: another language.
    """
    with speaking(language):
        told = localised(assessment)
        lines = [text("text.title"), "", text("text.study"), _study(told), "", text("text.findings"), *_findings(told)]
        limits = summary(told).limits
        if limits:
            lines += ["", text("text.limits"), *(f"- {limit}" for limit in limits[:MOST_LIMITS])]
        if len(limits) > MOST_LIMITS:
            lines.append(f"- {text('limits.more', count=len(limits) - MOST_LIMITS, table=text('quality'))}")
        lines += ["", text("text.impression"), *(f"{k}. {line}" for k, line in enumerate(_impression(told), 1))]
        lines += ["", text("text.plan"), *_plan(told), "", text("disclaimer.short")]
        made = date_text(told.run.created)
        lines.append(text("text.by", version=told.run.hepacalc_version, made=made))
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _study(assessment: Assessment) -> str:
    acquisition = assessment.acquisition
    kvp = text("kvp.unknown") if acquisition.kvp is None else text("kvp", kvp=fixed(acquisition.kvp, 0))
    spacing = assessment.geometry.spacing_mm[assessment.volume.slice_axis]
    stated = acquisition.slice_thickness_mm
    return text(
        "text.study.line",
        date=date_text(acquisition.study_date) if acquisition.study_date else text("unknown"),
        phase=phase_text(assessment.phase.name),
        thickness=fixed(stated if stated is not None and stated > 0 else spacing, 2),
        kvp=kvp,
    )


def _findings(assessment: Assessment) -> Iterator[str]:
    peaks = _peaks(assessment)
    for lesion in assessment.lesions[:MOST_LESIONS]:
        yield _lesion(lesion, peaks.get(lesion.id, NotMeasured("")))
    if len(assessment.lesions) > MOST_LESIONS:
        yield text("text.more", count=len(assessment.lesions) - MOST_LESIONS)
    if not assessment.lesions:
        yield text("lesions.none")
    burden = assessment.burden
    if burden.calcifications:
        yield text(
            "text.total", mass=measurement_text(burden.total_mass_mg), volume=measurement_text(burden.total_volume_mm3)
        )
    apart = Counter(focus.kind for focus in assessment.foci if focus.lesion is None)
    if apart:
        words = mark("list").join(
            text("text.mimic", kind=kind_text(kind), count=count) for kind, count in sorted(apart.items())
        )
        yield text("text.mimics", words=words)
    yield text("text.smallest", number=measurement_text(burden.smallest_trusted_mm))


def _lesion(lesion: Lesion, peak: Measurement) -> str:
    numbers = (
        text("text.extent", number=measurement_text(lesion.extent_mm)),
        text("text.mass", number=measurement_text(lesion.mass_mg)),
        text("text.peak", number=measurement_text(peak)),
    )
    pattern = lesion.pattern
    return text(
        "text.lesion",
        name=f"L{lesion.id}",
        kind=kind_text(lesion.kind),
        certainty=certainty_text(lesion.certainty),
        segment=segment_text(lesion.segment),
        pattern=text("pattern.unknown") if isinstance(pattern, NotMeasured) else pattern.dominant,
        numbers=mark("comma").join(numbers),
    )


def _peaks(assessment: Assessment) -> dict[int, Measurement]:
    """Return the brightest focus of each lesion; not measured where that of one focus is not."""
    found: dict[int, Measurement] = {}
    for focus in assessment.foci:
        if focus.lesion is None:
            continue
        here = focus.measurements["max_hu"]
        there = found.get(focus.lesion)
        if isinstance(there, Measured) and isinstance(here, Measured):
            found[focus.lesion] = max(there, here, key=lambda peak: peak.value)
        elif there is None or isinstance(here, NotMeasured):
            found[focus.lesion] = here
    return found


def _impression(assessment: Assessment) -> Iterator[str]:
    yield f"{summary(assessment).headline}{mark('stop')}"
    reasoning = reasoning_of(assessment)
    if reasoning is None:
        return
    for flag in reasoning.plan.flags:
        yield text("text.flag", urgency=urgency_text(flag.urgency), text=said(flag.text).rstrip(".。"))
    known = bool(reasoning.lesions) or reasoning.network == "fetal"
    leading = mark("list").join(cause_line(entry) for entry in reasoning.differential.causes[:SHOWN_CAUSES])
    yield text("text.causes" if known else "text.causes.none", words=leading)


def _plan(assessment: Assessment) -> Iterator[str]:
    reasoning = reasoning_of(assessment)
    if reasoning is None:
        yield text("text.plan.none")
        return
    today = assessment.run.created[:10]
    for k, line in enumerate(_steps(reasoning, today), 1):
        yield f"{k}. {line}"
    yield f"{text('stop')} {said(reasoning.plan.stop)}" if reasoning.plan.stop else text("stop.none")


def _steps(reasoning: Reasoning, today: str) -> Iterator[str]:
    for item in reasoning.plan.items:
        if item.urgency == "none":
            yield text("text.item.none", action=said(item.action))
        else:
            when = due_text(item.due, today) or said(item.interval)
            yield text(
                "text.item",
                urgency=urgency_text(item.urgency),
                when=when,
                modality=said(item.modality),
                action=said(item.action),
            )
        if item.provided:
            yield f"{text('plan.provided')} {mark('between').join(said(asked) for asked in item.provided)}"
    forbidden = [test for test in reasoning.plan.tests if test.forbidden]
    if forbidden:
        yield text("text.forbidden", words=mark("list").join(said(test.name) for test in forbidden))
    if not reasoning.plan.items and not forbidden:
        yield text("plan.none")
