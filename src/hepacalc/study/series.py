"""Which slices belong together: studies and series by UID, stacks within a series by what they are.

Studies that differ only in their UIDs are never merged. One series may mix stacks (two phases under one UID, a
head scanned at 4 and at 7 mm, a derived image among its originals); these are told apart by the first tag that
leaves regular stacks.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from hepacalc.errors import HepacalcError, InconsistentSlices, UnsupportedGeometry
from hepacalc.study.decode import PixelReader, same_pixels
from hepacalc.study.slices import Scan, Slice, shown_uid
from hepacalc.study.stack import MIN_SLICES, Stack, build_stack, order_slices, same_place_mm

__all__ = ["Series", "group_series"]

_DIRECTION_TOLERANCE = 2e-3
_SPACING_TOLERANCE = 1e-3
_NEAR_GAPS = 12.0
"""Two stacks of the same spacing that lie closer than this many slices are one stack with slices missing."""

_SAME_PLACE_TAGS = (
    "AcquisitionNumber", "TemporalPositionIdentifier", "ImageType", "AcquisitionTime", "ConvolutionKernel", "KVP",
    "SliceThickness", "AcquisitionDateTime", "ContentTime",
)  # fmt: skip
_UNEVEN_TAGS = ("ImageType", "SliceThickness", "AcquisitionNumber", "ConvolutionKernel", "TemporalPositionIdentifier")


@dataclass(eq=False, slots=True)
class Series:
    """Slices of one stack.

    Args:
        slices: without duplicates.
        id: SeriesInstanceUID, with ``#n`` when the series holds several stacks.
        notes: what was done to arrive at these slices (duplicates dropped, stacks told apart).
        stack: the regular grid; None when there is none.
        problem: why there is none.
    """

    slices: list[Slice]
    id: str = ""
    notes: tuple[str, ...] = ()
    stack: Stack | None = None
    problem: HepacalcError | None = field(default=None)

    @property
    def first(self) -> Slice:
        """A slice to read the tags from: the middle one."""
        return self.slices[len(self.slices) // 2]


def group_series(scan: Scan) -> list[Series]:
    """Group the slices of a scan; see the module's words. Order: as first met."""
    result: list[Series] = []
    for uids, slices in _by_uid(scan.slices).items():
        with PixelReader() as reader:
            unique = [_without_copies(matrix, reader) for matrix in _by_matrix(slices)]
        parts = [part for kept, dropped in unique for part in _split(kept, dropped)]
        for number, part in enumerate(parts, 1):
            part.id = shown_uid(uids[1], f"no-series-uid-{len(result) + 1}")
            if len(parts) > 1:
                part.id = f"{part.id}#{number}"
                part.notes = (*part.notes, f"stack {number} of {len(parts)} under one series UID")
        result.extend(parts)
    return result


def _by_uid(slices: Iterable[Slice]) -> dict[tuple[str, str, str], list[Slice]]:
    groups: dict[tuple[str, str, str], list[Slice]] = {}
    for one in slices:
        head = one.head
        # without UIDs only the folder tells series apart
        place = "" if head.series_uid else str(head.path.parent)
        groups.setdefault((head.study_uid, head.series_uid, place), []).append(one)
    return groups


def _by_matrix(slices: list[Slice]) -> list[list[Slice]]:
    """Part slices of different matrix, pixel spacing or orientation."""
    groups: list[list[Slice]] = []
    for one in slices:
        for group in groups:
            other = group[0]
            if (
                one.head.rows == other.head.rows
                and one.head.columns == other.head.columns
                and _close(one.spacing, other.spacing, _SPACING_TOLERANCE)
                and _close(one.orientation, other.orientation, _DIRECTION_TOLERANCE)
            ):
                group.append(one)
                break
        else:
            groups.append([one])
    return groups


def _close(a: tuple[float, ...], b: tuple[float, ...], tolerance: float) -> bool:
    return all(abs(p - q) <= tolerance for p, q in zip(a, b, strict=True))


def _without_copies(slices: list[Slice], reader: PixelReader) -> tuple[list[Slice], int]:
    """Drop images that are there twice: at the same place with identical pixels. Return the rest and how many."""
    seen: dict[tuple[float, ...], list[Slice]] = {}
    kept: list[Slice] = []
    dropped = 0
    for one in slices:
        others = seen.setdefault(tuple(round(p, 2) for p in one.position), [])
        if any(same_pixels(reader, one, other) for other in others):
            dropped += 1
            continue
        others.append(one)
        kept.append(one)
    return kept, dropped


def _split(slices: list[Slice], dropped: int) -> list[Series]:
    notes = (f"{dropped} duplicate image{'s' if dropped > 1 else ''} dropped",) if dropped else ()
    whole = _series(slices, notes)
    if isinstance(whole.problem, InconsistentSlices):
        for name in _SAME_PLACE_TAGS:
            parts = _part(slices, lambda one, tag=name: one.text(tag))  # type: ignore[misc]
            if len(parts) > 1 and not any(_collides(part) for part in parts):
                return [_series(part, (*notes, f"told apart by {name}")) for part in parts]
        runs = _runs(slices)
        if runs is not None:
            return [_series(part, (*notes, "told apart by the order of InstanceNumber")) for part in runs]
    elif isinstance(whole.problem, UnsupportedGeometry):
        for name in _UNEVEN_TAGS:
            groups = _part(slices, lambda one, tag=name: one.text(tag))  # type: ignore[misc]
            series = [_series(part, (*notes, f"told apart by {name}")) for part in groups]
            if len(series) > 1 and all(one.stack is not None for one in series) and not _missing_between(series):
                return series
    return [whole]


def _series(slices: list[Slice], notes: tuple[str, ...]) -> Series:
    series = Series(slices, notes=notes)
    try:
        series.stack = build_stack(slices)
        series.slices = list(series.stack.slices)
    except HepacalcError as problem:
        series.problem = problem
    return series


def _part(slices: list[Slice], key: Callable[[Slice], str | None]) -> list[list[Slice]]:
    groups: dict[str | None, list[Slice]] = {}
    for one in slices:
        groups.setdefault(key(one), []).append(one)
    return list(groups.values())


def _collides(slices: list[Slice]) -> bool:
    _, depths = order_slices(slices)
    return len(slices) > 1 and bool(np.diff(depths).min() <= same_place_mm(depths))


def _runs(slices: list[Slice]) -> list[list[Slice]] | None:
    """Part slices that were numbered phase after phase: a new run starts where a place comes again."""
    runs: list[list[Slice]] = []
    places: set[tuple[float, ...]] = set()
    for one in sorted(slices, key=lambda s: s.instance):
        place = tuple(round(p, 1) for p in one.position)
        if not runs or place in places:
            runs.append([])
            places = set()
        places.add(place)
        runs[-1].append(one)
    if len(runs) < 2 or len({len(run) for run in runs}) > 1 or len(runs[0]) < MIN_SLICES:
        return None
    return None if any(_collides(run) for run in runs) else runs


def _missing_between(series: list[Series]) -> bool:
    """Whether two stacks look like one stack with slices missing between them."""
    spans = []
    for one in series:
        if one.stack is None:
            return True
        depths = order_slices(one.slices)[1]
        spans.append((float(depths[0]), float(depths[-1]), one.stack.step_mm))
    spans.sort()
    for (_, end, step), (start, _, other) in itertools.pairwise(spans):
        alike = abs(step - other) <= 0.1 * step
        if alike and 0 < start - end <= _NEAR_GAPS * step:
            return True
    return False
