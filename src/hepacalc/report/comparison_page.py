"""``comparison.html``: what became of each lesion, both exams side by side at the same place, and mass over time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import NamedTuple

from hepacalc.followup.records import STATUSES, Comparison, ExamNote, FollowUp, LesionChange, OpenedExam
from hepacalc.records import Measured, Measurement
from hepacalc.report import words
from hepacalc.report.comparison import COMPARISON_VERSION, timelines
from hepacalc.report.comparison_phrases import STATUS_NAMES
from hepacalc.report.figures import Picture, place_picture
from hepacalc.report.html import HTML_LANG, page_environment, style
from hepacalc.report.language import phrase, speaking, spoken
from hepacalc.report.localise import localised
from hepacalc.report.marks import mark
from hepacalc.report.numbers import fixed
from hepacalc.report.scene import Scene
from hepacalc.report.stored import UnreadVolume
from hepacalc.report.tables import Cell, cell

__all__ = ["MOST_PICTURED", "Plot", "mass_plot", "render_comparison", "status_text"]

MOST_PICTURED = 24
_WIDE, _TALL, _LEFT, _BOTTOM, _TOP, _RIGHT = 420.0, 150.0, 52.0, 30.0, 12.0, 18.0
_DAYS_A_MONTH = 30.44


class Side(NamedTuple):
    """One exam of a pair of pictures: near and wide, or none where the voxels are not at hand."""

    title: str
    pictures: tuple[Picture, ...]
    seen: bool


class ChangeView(NamedTuple):
    """One lesion as the template needs it."""

    change: LesionChange
    status: str
    name: str
    path: str
    cells: dict[str, Cell]
    lesions: tuple[str, str]
    sides: tuple[Side, ...]
    plot: Plot | None


class Plot(NamedTuple):
    """Mass over time in picture units: ``(x, y, low, high, label, anchor)`` for each exam, and grid lines."""

    lesion: int
    points: tuple[tuple[float, float, float, float, str, str], ...]
    line: str
    band: str
    levels: tuple[tuple[float, str], ...]
    width: float
    height: float
    left: float
    right: float
    base: float


class PairView(NamedTuple):
    """One earlier exam against the current one."""

    comparison: Comparison
    path: str
    title: str
    interval: str
    counts: tuple[tuple[str, str], ...]
    changes: tuple[ChangeView, ...]
    pictured: int


def render_comparison(followup: FollowUp, *, language: str = "en", deidentify: bool = False) -> str:
    """Return the comparison as one self-contained HTML page (UTF-8); the same exams give the same text.

    Args:
        followup: what to show.
        language: ``en`` or ``zh``.
        deidentify: leave out dates and UIDs.

    Raises:
        UsageError: another language.
    """
    with speaking(language):
        return _page(followup, deidentify)


def _page(followup: FollowUp, deidentify: bool) -> str:
    comparisons = tuple(localised(_undated(c) if deidentify else c) for c in followup.comparisons)
    current = _unnamed(followup.current.note) if deidentify else followup.current.note
    plots = {
        lesion: mass_plot(lesion, [(note.study_date, mass) for note, mass in points], deidentify=deidentify)
        for lesion, points in timelines(followup)
    }
    pairs = [
        _pair(k, comparison, earlier, followup.current, plots if k == 0 else {})
        for k, (comparison, earlier) in enumerate(zip(comparisons, followup.priors, strict=True))
    ]
    return (
        page_environment()
        .get_template("comparison.html.j2")
        .render(
            run=followup.run, pairs=pairs, current=current, headline=_headline(comparisons[0]),
            notes=[*(n for c in comparisons for n in c.limits), *(_say(n) for n in followup.notes)],
            lang=HTML_LANG.get(spoken(), spoken()), css=style("tokens.css", "report.css", "comparison.css"),
            schema=COMPARISON_VERSION,            date_of=_date,
        )
    )  # fmt: skip


def _say(sentence: str) -> str:
    from hepacalc.report.sentences import say

    return say(sentence)


def _unnamed(note: ExamNote) -> ExamNote:
    return replace(note, study_date=None, study_instance_uid=None, series_instance_uid=None)


def _undated(comparison: Comparison) -> Comparison:
    return replace(comparison, prior=_unnamed(comparison.prior), current=_unnamed(comparison.current))


def status_text(status: str) -> str:
    """Return what became of a lesion, as a reader says it."""
    return phrase(f"change-name.{status}", STATUS_NAMES[status])


def _headline(comparison: Comparison) -> str:
    counts = Counter(change.status for change in comparison.lesions)
    if not counts:
        return words.text("compare.nothing")
    if set(counts) == {"stable"}:
        return words.text("compare.all-stable", count=counts["stable"])
    parts = [words.text("compare.count", count=counts[s], status=status_text(s)) for s in STATUSES if counts.get(s)]
    return mark("comma").join(parts)


def _date(note: ExamNote) -> str:
    return note.study_date or words.text("compare.undated")


def _pair(
    number: int, comparison: Comparison, earlier: OpenedExam, later: OpenedExam, plots: dict[int, Plot | None]
) -> PairView:
    path = f"/comparisons/{number}"
    days = comparison.interval_days
    interval = words.text("compare.unknown")
    if days is not None:
        interval = words.text("compare.days", days=days, months=fixed(days / _DAYS_A_MONTH, 0))
    counts = Counter(change.status for change in comparison.lesions)
    scenes = (_scene(earlier), _scene(later))
    changes = []
    for k, change in enumerate(comparison.lesions):
        sides = _sides(change, comparison, (earlier, later), scenes) if k < MOST_PICTURED else ()
        plot = next((plots[j] for j in change.current if plots.get(j) is not None), None)
        changes.append(_change(change, f"{path}/lesions/{k}", sides, plot))
    shown = tuple((s, str(counts[s])) for s in STATUSES if counts.get(s))
    title = words.text("compare.since", date=_date(comparison.prior))
    return PairView(comparison, path, title, interval, shown, tuple(changes), min(len(changes), MOST_PICTURED))


def _change(change: LesionChange, path: str, sides: tuple[Side, ...], plot: Plot | None) -> ChangeView:
    names = [n for n in LesionChange.__dataclass_fields__ if n.endswith(("_mg", "_percent", "_mm3")) or n == "gap_mm"]
    none = words.text("compare.none")
    lesions = tuple(mark("list").join(f"L{k}" for k in ids) or none for ids in (change.prior, change.current))
    return ChangeView(
        change, status_text(change.status), f"C{change.id}", path,
        {name: cell(getattr(change, name), f"{path}/{name}") for name in names}, (lesions[0], lesions[1]), sides, plot,
    )  # fmt: skip


def _scene(opened: OpenedExam) -> Scene | None:
    """Return the scene of an exam; None where its voxels are not at hand."""
    if opened.assessment is None or isinstance(opened.assessment.volume, UnreadVolume):
        return None
    return Scene.of(opened.assessment)


def _sides(
    change: LesionChange,
    comparison: Comparison,
    exams: tuple[OpenedExam, OpenedExam],
    scenes: tuple[Scene | None, Scene | None],
) -> tuple[Side, ...]:
    out = []
    places = (change.prior_place_mm, change.current_place_mm)
    notes = (comparison.prior, comparison.current)
    for k, key in enumerate(("compare.earlier", "compare.current")):
        own = [part.focus_id for seen in exams[k].exam.lesions if seen.id in (change.prior, change.current)[k]
               for part in seen.parts]  # fmt: skip
        scene = scenes[k]
        pictures = () if scene is None else tuple(place_picture(scene, places[k], own, near=n) for n in (True, False))
        out.append(Side(f"{words.text(key)}{mark('comma')}{_date(notes[k])}", pictures, bool(own)))
    return tuple(out)


# ---------------------------------------------------------------- mass over time


def mass_plot(
    lesion: int, points: Sequence[tuple[str | None, Measurement]], *, deidentify: bool = False
) -> Plot | None:
    """Return the plot of one lesion; None where fewer than two exams measured it or a date is missing.

    Args:
        lesion: its id at the current exam.
        points: day (``YYYY-MM-DD``) and mass at each exam, earliest first.
        deidentify: tell months since the first exam in place of days.
    """
    known = [(day, m) for day, m in points if isinstance(m, Measured)]
    days = [date.fromisoformat(day).toordinal() if day else None for day, _ in known]
    dated = [d for d in days if d is not None]
    if len(known) < 2 or len(dated) < len(known) or min(dated) == max(dated):
        return None
    top = max(m.high for _, m in known) * 1.08
    base = _TALL - _BOTTOM

    def across(day: int) -> float:
        span = _WIDE - _LEFT - _RIGHT
        return _LEFT + 12 + (span - 24) * (day - min(dated)) / (max(dated) - min(dated))

    def up(mass: float) -> float:
        return base - (base - _TOP) * max(mass, 0.0) / top

    marks = []
    for k, ((told, mass), day) in enumerate(zip(known, dated, strict=True)):
        label = f"+{(day - min(dated)) / _DAYS_A_MONTH:.0f}" if deidentify else str(told)
        anchor = "start" if k == 0 else "end" if k == len(known) - 1 else "middle"
        marks.append((across(day), up(mass.value), up(mass.low), up(mass.high), label, anchor))
    line = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y, *_ in marks)
    band = "M" + "L".join(f"{m[0]:.1f} {m[3]:.1f}" for m in marks)
    band += "L" + "L".join(f"{m[0]:.1f} {m[2]:.1f}" for m in reversed(marks)) + "Z"
    step = _round(top / 3)
    levels = tuple((up(step * k), f"{step * k:g}") for k in range(int(top / step) + 1))
    return Plot(lesion, tuple(marks), line, band, levels, _WIDE, _TALL, _LEFT, _WIDE - _RIGHT, base)


def _round(value: float) -> float:
    """Return 1, 2 or 5 times a power of ten that is nearest below a value."""
    power = 10.0 ** int(f"{value:e}".split("e")[1])
    return max(k * power for k in (1.0, 2.0, 5.0) if k * power <= value)
