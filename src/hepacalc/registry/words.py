"""What the registry says, line by line, for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from hepacalc.followup.plan_changes import PlanChange
from hepacalc.followup.schedule import Step, Timing, Windows, timing
from hepacalc.reason.records import Names
from hepacalc.registry.adding import Added
from hepacalc.registry.due_files import DueItem, basis_text
from hepacalc.registry.store import Closed
from hepacalc.registry.views import ExamLine, Happened, PatientView
from hepacalc.report.reason_words import said

__all__ = [
    "TIMING_WORDS", "added_lines", "change_lines", "closed_lines", "due_head", "due_lines", "history_lines",
    "step_lines", "view_lines", "window_text",
]  # fmt: skip

TIMING_WORDS: dict[Timing, str] = {
    "lost": "lost", "overdue": "overdue", "due": "due now", "soon": "due soon", "undated": "no date",
    "later": "later",
}  # fmt: skip
_STATES = {
    "none": "no plan: nothing is said about follow-up",
    "open": "open",
    "finished": "finished: no more follow-up is planned",
}
_KINDS = {
    "flag raised": "red flag raised", "flag cleared": "red flag cleared", "new": "new", "gone": "no more asked for",
    "changed": "changed", "same": "as before", "ends": "the plan ends now", "ends no more": "the plan does not end now",
    "knowledge": "other version",
}  # fmt: skip


def window_text(first: str | None, last: str | None) -> str:
    """Return a window in words."""
    if first is None or last is None:
        return "no date: it runs from a day that is not known"
    return first if first == last else f"{first} to {last}"


def due_head(counts: dict[str, int], today: str, windows: Windows) -> str:
    """Return the line above the list: how many, and what the words mean."""
    shown = ", ".join(f"{counts[name]} {TIMING_WORDS[name]}" for name in TIMING_WORDS if counts.get(name))
    return (
        f"On {today}: {shown or 'nothing is open'}. Overdue: after its last day; lost: more than "
        f"{windows.lost_days} days after it; due soon: at most {windows.soon_days} days before its first day."
    )


def step_lines(
    step: Step, today: str, *, late: int | None = None, indent: str = "  ", whose: str = ""
) -> Iterator[str]:
    """Yield a step: what, when, why, on which basis."""
    stands = TIMING_WORDS[timing(step.first, step.last, today)]
    overdue = "" if late is None else f" by {late} days"
    yield f"{indent}{whose}{step.rule}: {said(step.action)}"
    when = f"{window_text(step.first, step.last)}; {said(step.interval)}; {said(step.modality)}"
    yield f"{indent}  {stands}{overdue}: {when}"
    if step.because:
        yield f"{indent}  because: {_joined(step.because)}"
    if step.provided:
        yield f"{indent}  only if: {_joined(step.provided)}"
    yield f"{indent}  {basis_text(step)}"


def due_lines(item: DueItem, today: str) -> Iterator[str]:
    """Yield a step of the list, with whose it is."""
    who = f" ({item.person.value})" if item.person is not None else ""
    yield from step_lines(item.step, today, late=item.days_overdue, indent="", whose=f"{item.row.key}{who} ")


def change_lines(changes: Iterable[PlanChange], indent: str = "  ") -> Iterator[str]:
    """Yield what a new plan changes, and why."""
    for change in changes:
        what = _KINDS[change.kind]
        windows = [window_text(*one) for one in (change.before, change.after) if one is not None]
        when = f" ({' -> '.join(dict.fromkeys(windows))})" if windows else ""
        yield f"{indent}{what}: {change.id + ': ' if change.id else ''}{said(change.text)}{when}"
        if change.why and change.kind != "same":
            lead = "no longer" if change.kind == "gone" else "because"
            yield f"{indent}  {lead}: {_joined(change.why)}"


def added_lines(added: Added, today: str) -> Iterator[str]:
    """Yield what became of an assessment."""
    if not added.is_new:
        yield f"Patient {added.key}: this assessment is held already (event {added.event}); nothing was changed."
        return
    yield f"Patient {added.key}{' (new)' if added.patient_is_new else ''}: assessment taken in as event {added.event}."
    if not added.is_current:
        yield "The exam is older than that of the current plan: it is kept, and the plan stays."
    if added.changes:
        yield "The plan was made again:"
        yield from change_lines(added.changes)
    yield f"Follow-up: {_STATES[added.follow_up]}."
    for step in added.steps:
        yield from step_lines(step, today)
    if added.may_answer:
        yield (
            f"The exam may be what {', '.join(added.may_answer)} asked for, but it came without a plan: assess it with "
            "--patient, or say what it showed with hepacalc registry done."
        )


def closed_lines(closed: Closed, today: str) -> Iterator[str]:
    """Yield what follows from a step that was done."""
    yield f"Patient {closed.key}: closed {', '.join(closed.rules) or 'nothing'} (event {closed.event})."
    for one in closed.why:
        yield f"  {said(one)}"
    yield f"Follow-up: {_STATES[closed.follow_up]}."
    for step in closed.still_open:
        yield from step_lines(step, today)


def view_lines(view: PatientView, today: str) -> Iterator[str]:
    """Yield one patient as it stands."""
    yield f"Patient {view.key}. Follow-up: {_STATES[view.follow_up]}."
    yield from (f"  {said(one)}" for one in view.why)
    yield f"{len(view.exams)} assessment{'s' if len(view.exams) != 1 else ''}:"
    yield from (f"  {_exam(one)}" for one in view.exams)
    lesion = ""
    for seen in view.lesions:
        if seen.lesion != lesion:
            lesion = seen.lesion
            yield f"{seen.name} {seen.lesion}:"
        status = f"; {', '.join(seen.statuses)}" if seen.statuses else ""
        where = f" in segment {seen.segment}" if seen.segment else ""
        yield f"  {seen.day or 'no date'}: lesion {seen.number}, {seen.kind}{where}, {_mass(seen.mass)}{status}"
    if view.schedule is not None and view.schedule.stop:
        yield f"Where the plan stops: {said(view.schedule.stop)}"
    if view.open_steps:
        yield "Open steps:"
    for step in view.open_steps.values():
        yield from step_lines(step, today)


def _exam(one: ExamLine) -> str:
    found = f"{one.calcifications} calcified, {one.indeterminate} indeterminate"
    return (
        f"{one.day or 'no date'} {one.modality or ''} {one.study or 'no UID'}: {one.phase}, {found}, "
        f"{_mass(one.mass)}; hepacalc {one.hepacalc}"
    )


def _mass(mass: tuple[float, float, float] | str) -> str:
    if isinstance(mass, str):
        return f"mass not measured: {mass}"
    value, low, high = mass
    return f"{value:.3g} mg (90 % interval {low:.3g} to {high:.3g})"


def history_lines(events: Sequence[Happened]) -> Iterator[str]:
    """Yield everything that happened to a patient."""
    for event in events:
        yield f"{event.seq} {event.at} {event.by}: {_event(event)}"
        yield from change_lines(event.changes)
        yield from (f"  {said(one)}" for one in event.why)


def _event(event: Happened) -> str:
    body = event.body
    if event.kind == "registered":
        return "registered"
    if event.kind == "assessed":
        exam, made = body["exam"], body["assessment"]
        which = exam["study"] or "without UID"
        again = "" if exam["id"] is None else " assessed again"
        steps = 0 if body["plan"] is None else len(body["plan"]["steps"])
        plan = "no plan" if body["plan"] is None else f"plan with {steps} step{'s' if steps != 1 else ''}"
        shown = f"{made['calcifications']} calcified, {made['indeterminate']} indeterminate"
        return f"exam {exam['day'] or 'without date'} {which}{again}: {shown}; {plan}{_closes(body)}"
    if event.kind == "linked":
        return f"comparison of {len(body['links'])} lesions: {', '.join(one['status'] for one in body['links'])}"
    return f"{event.kind}{': ' + body['reason'] if event.kind == 'ended' else ''}{_closes(body)}"


def _closes(body: dict[str, list[dict[str, str | None]]] | object) -> str:
    closes = body["closes"] if isinstance(body, dict) else []
    told = [
        f"step {one['plan']}/{one['number']} {one['state']}"
        + (f" on {one['on']}" if one["on"] else "")
        + (f", {one['result']}" if one["result"] else "")
        for one in closes
    ]
    return f"; {'; '.join(told)}" if told else ""


def _joined(texts: Iterable[Names]) -> str:
    return "; ".join(said(one) for one in texts)
