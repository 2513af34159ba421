"""The log's own form: what one event is, and the chain of hashes that shows when one was changed or taken away."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, NamedTuple

from hepacalc.errors import UsageError

__all__ = ["GENESIS", "KINDS", "Event", "canonical", "chained", "checked_by", "digest_of", "event_hash"]

GENESIS = "0" * 64
"""Stands before the first event."""
KINDS = ("registered", "assessed", "linked", "done", "ended")

_BY = re.compile(r"[^\s\x00-\x1f\x7f](?:[^\x00-\x1f\x7f]{0,78}[^\s\x00-\x1f\x7f])?")


class Event(NamedTuple):
    """One change.

    Args:
        seq: 1, 2, 3 ... without a gap.
        at: when it was recorded, UTC, ISO 8601.
        by: who recorded it.
        kind: one of :data:`KINDS`.
        patient: number of the event that registered the patient.
        body: what changed, canonical JSON.
        hash: of the hash before it and of this event.
    """

    seq: int
    at: str
    by: str
    kind: str
    patient: int
    body: str
    hash: str


def canonical(value: Any) -> str:
    """Return JSON that is the same for the same value: sorted keys, no spaces, Unicode as it is."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest_of(body: str) -> str:
    """Return the name of a text by its content: 32 hexadecimal digits (128 bits) of its SHA-256."""
    return hashlib.sha256(body.encode()).hexdigest()[:32]


def event_hash(previous: str, seq: int, at: str, by: str, kind: str, patient: int, body: str) -> str:
    """Return the SHA-256 of an event and of the hash before it, hexadecimal.

    The lines cannot run into each other: no part but the last, the body, may hold a line end.
    """
    return hashlib.sha256(f"{previous}\n{seq}\n{at}\n{by}\n{kind}\n{patient}\n{body}".encode()).hexdigest()


def chained(previous: str, seq: int, at: str, by: str, kind: str, patient: int, body: Any) -> Event:
    """Return the event that follows the one whose hash is ``previous``."""
    text = canonical(body)
    return Event(seq, at, by, kind, patient, text, event_hash(previous, seq, at, by, kind, patient, text))


def checked_by(by: str) -> str:
    """Return who records, when it is a short text on one line.

    Raises:
        UsageError: it is empty, too long, or holds control characters.
    """
    if not _BY.fullmatch(by):
        raise UsageError("who records it must be 1-80 characters on one line.", hint="Give it with --by.")
    return by
