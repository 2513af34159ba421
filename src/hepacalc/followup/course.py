"""What a follow-up says of a lesion's course: weights over the states of the block ``course`` of the knowledge base."""

from __future__ import annotations

from collections.abc import Sequence

from hepacalc.followup.records import Comparison, LesionChange, Status
from hepacalc.records import Measured

__all__ = ["DAYS_A_YEAR", "course_of"]

DAYS_A_YEAR = 365.25
LEFT_TO_GROWTH = 0.2
"""Weight of growth beside stability that was measured on two scans today. A judgement: what a person remembers of older
images keeps more."""


def course_of(comparisons: Sequence[Comparison], lesion: int) -> tuple[dict[str, float], str] | None:
    """Return the weights of the course of a lesion of the current exam, and the words behind them.

    Growth on any earlier exam wins, then new calcium. Stability counts in full from one year on; before that growth
    keeps a fifth of the missing part of the year. What could not be compared says nothing.

    Args:
        comparisons: of the current exam with earlier ones.
        lesion: its id at the current exam.
    """
    said: list[tuple[int, float, dict[str, float], str]] = []
    for comparison in comparisons:
        change = comparison.of_current(lesion)
        if change is not None:
            found = _weights(change, comparison.interval_days)
            if found is not None:
                said.append(found)
    if not said:
        return None
    said.sort(key=lambda one: (one[0], one[1], one[3]))
    return said[0][2], "; ".join(text for _, _, _, text in said)


def _weights(change: LesionChange, days: int | None) -> tuple[int, float, dict[str, float], str] | None:
    """Return the rank (gravest first), what is left to growth, the weights and the words of one comparison."""
    status = change.status
    if status in ("merged", "split"):
        # what it means is told by the mass
        status = _by_mass(change)
    if status == "grew":
        return 0, 0.0, {"growing": 1.0}, "against the earlier scan: grown"
    if status == "new":
        return 1, 0.0, {"new": 1.0}, "against the earlier scan: new"
    if status == "shrank":
        return 2, 0.0, {"shrinking": 1.0}, "against the earlier scan: less calcium"
    if status == "stable":
        if days is None:
            text = "against the earlier scan: unchanged, since when is not known"
            return 3, 1.0, {"stable": 1.0, "growing": LEFT_TO_GROWTH}, text
        left = LEFT_TO_GROWTH * max(0.0, 1.0 - days / DAYS_A_YEAR)
        text = f"against the earlier scan: unchanged for {days / DAYS_A_YEAR * 12:.0f} months"
        return 3, left, {"stable": 1.0, "growing": left}, text
    return None


def _by_mass(change: LesionChange) -> Status:
    share, least = change.mass_change_percent, change.smallest_change_percent
    if not isinstance(share, Measured) or not isinstance(least, Measured):
        return "not comparable"
    if abs(share.value) < least.value:
        return "stable"
    return "grew" if share.value > 0 else "shrank"
