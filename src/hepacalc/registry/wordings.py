"""Texts for readers, held once each by the hash of their content; steps and plans as events hold them, and back."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import RowMapping

from hepacalc.followup.schedule import Interval, Schedule, Step
from hepacalc.reason.records import Names
from hepacalc.registry.events import canonical, digest_of

__all__ = ["Wordings", "schedule_back", "step_back", "step_of_texts", "step_plain", "step_texts"]

_TEXTS = ("action", "modality", "interval")


class Wordings:
    """Texts that an event points to.

    Attributes:
        held: digest -> canonical JSON.
    """

    def __init__(self) -> None:
        self.held: dict[str, str] = {}

    def add(self, value: Any) -> str:
        """Hold a text and return its digest."""
        body = canonical(value)
        digest = digest_of(body)
        self.held[digest] = body
        return digest

    def texts(self, *names: Names) -> str | None:
        """Hold texts in each language and return the digest of all of them; None where there is none."""
        held = [dict(one) for one in names if one]
        return self.add({"texts": held}) if held else None


def step_texts(step: Step) -> dict[str, Any]:
    """Return the texts of a step, its tests, sources with citations, and status as plain values."""
    return {
        **{name: dict(getattr(step, name)) for name in _TEXTS},
        "because": [dict(one) for one in step.because],
        "provided": [dict(one) for one in step.provided],
        "tests": list(step.tests),
        "sources": list(step.sources),
        "cited": dict(step.cited),
        "status": step.status,
    }


def step_plain(step: Step, number: int, wordings: Wordings) -> dict[str, Any]:
    """Return a step as the body of an event holds it."""
    return {
        "number": number,
        "rule": step.rule,
        "urgency": step.urgency,
        "first": step.first,
        "last": step.last,
        "every": None if step.every is None else str(step.every),
        "provided": bool(step.provided),
        "wording": wordings.add(step_texts(step)),
    }


def step_back(row: RowMapping, body: str) -> Step:
    """Return the step of a row of the table ``step`` and of its wording."""
    first, last = ((None if row[name] is None else row[name].isoformat()) for name in ("first_day", "last_day"))
    return step_of_texts(body)(row["rule"], row["urgency"], first, last, _interval(row["every"]))


def step_of_texts(body: str) -> Callable[..., Step]:
    """Return what makes steps of one wording: called with rule, urgency, first and last day, and interval."""
    told = json.loads(body)
    names = {name: names_back(told[name]) for name in _TEXTS}
    because, provided = (tuple(names_back(one) for one in told[name]) for name in ("because", "provided"))
    tests, sources, cited = tuple(told["tests"]), tuple(told["sources"]), tuple(told["cited"].items())

    def make(rule: str, urgency: str, first: str | None, last: str | None, every: Interval | None = None) -> Step:
        return Step(
            rule=rule, urgency=urgency, first=first, last=last, every=every, because=because, provided=provided,
            tests=tests, sources=sources, cited=cited, status=told["status"], **names,
        )  # fmt: skip

    return make


def schedule_back(steps: Sequence[Step], plan: RowMapping, body_of: Callable[[str], str]) -> Schedule:
    """Return the schedule of a row of the table ``plan``."""
    stop = texts_back(body_of(plan["stop"]))[0] if plan["stop"] else ()
    flags = tuple((flag, texts_back(body_of(digest))[0]) for flag, digest in json.loads(plan["flags"]))
    return Schedule(tuple(steps), stop, flags, plan["knowledge"])


def texts_back(body: str) -> tuple[Names, ...]:
    """Return the texts that :meth:`Wordings.texts` held."""
    return tuple(names_back(one) for one in json.loads(body)["texts"])


def names_back(held: Mapping[str, str]) -> Names:
    """Return a text in each language, English first."""
    return tuple(sorted(held.items()))


def _interval(text: str | None) -> Interval | None:
    """Return an interval from its own words: ``every 6-12 months``."""
    if text is None:
        return None
    _, span, unit = text.split(" ")
    low, _, high = span.partition("-")
    return Interval(float(low), float(high or low), unit.rstrip("s"))
