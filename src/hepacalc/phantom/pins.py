"""Mimics that are small rods of one density at a place of the body: a row each."""

from __future__ import annotations

from dataclasses import dataclass

from hepacalc.records import Kind

__all__ = ["PINS", "Pin"]

Triple = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Pin:
    """Some rods of one kind.

    Args:
        name: of the mimic.
        kind: what it should be called.
        first: where the first lies in the standard body, ``(z, y, x)`` mm.
        step: from one to the next.
        count: fewest, and most plus one.
        half_mm: half of the length, from and to.
        radius_mm: of the rod.
        hu: before any blur.
        streak_hu: strength of the streaks about each; 0 for none.
    """

    name: str
    kind: Kind
    first: Triple
    step: Triple
    count: tuple[int, int]
    half_mm: tuple[float, float]
    radius_mm: float
    hu: float
    streak_hu: float


PINS: tuple[Pin, ...] = (
    Pin("surgical clip", "metal", (-122, -12, -36), (-7, -6, 3), (2, 4), (2.5, 4.0), 0.75, 12000, 130),
)
"""In the order in which they are drawn."""
