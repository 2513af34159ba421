"""Which lesion is which: assignment of one exam's lesions to another's, then those that merged or split.

A pair costs what its distance, its mass, its density and its pattern say against it; a lesion without a partner costs
as much as a pair that is just believed. The assignment with the least cost is found exactly (Crouse 2016, IEEE Trans
Aerosp Electron Syst 52:1679, as SciPy has it). What is left over joins a lesion whose body it lies in, when the masses
fit better with it than without.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree

from hepacalc.followup.records import Part, Seen
from hepacalc.records import Measured

__all__ = ["Link", "body_gap_mm", "carried", "match_lesions", "paired_foci"]

F64 = NDArray[np.float64]
PLACE_SD_MM = 2.5
SIZE_SHARE = 0.15
MASS_SD, DENSITY_SD = 0.9, 0.5
PATTERN_COST = 0.5
ALONE_COST = 4.5
FARTHEST_MM = 15.0
NEIGHBOUR_MM = 40.0
TOUCH_MM = 2.5


@dataclass(frozen=True, slots=True)
class Link:
    """Lesions that are one: indices into the earlier and the later exam's lesions; one side may be empty.

    Args:
        prior: of the earlier exam, rising.
        current: of the later exam, rising.
        regrouped: the same bodies are there, only counted to other lesions.
    """

    prior: tuple[int, ...]
    current: tuple[int, ...]
    regrouped: bool = False


def carried(seen: Seen, points_mm: F64, places_mm: Sequence[F64]) -> Seen:
    """Return a lesion at another place: its centroid, and for each part its points."""
    x, y, z = (float(v) for v in points_mm)
    parts = tuple(replace(part, points_mm=where) for part, where in zip(seen.parts, places_mm, strict=True))
    return replace(seen, centroid_mm=(x, y, z), parts=parts)


def match_lesions(prior: Sequence[Seen], current: Sequence[Seen], *, place_sd_mm: float = PLACE_SD_MM) -> list[Link]:
    """Return which lesions are one; every lesion is in one link. The order of the lesions does not matter.

    Args:
        prior: lesions of the earlier exam, carried to the later one.
        current: lesions of the later exam.
        place_sd_mm: standard deviation of the places that were carried over, along each axis.
    """
    pairs = _assigned(prior, current, np.zeros((len(prior), 3)), place_sd_mm)
    if len(pairs) >= 3:
        # what neighbours say of the error of the registration here
        pairs = _assigned(prior, current, _residual(prior, current, pairs), place_sd_mm)
    before = {i: [i] for i, _ in pairs}
    after = {i: [j] for i, j in pairs}
    taken = {j: i for i, j in pairs}
    alone_prior = [i for i in range(len(prior)) if i not in before]
    alone_current = [j for j in range(len(current)) if j not in taken]
    joined: set[tuple[str, int]] = set()
    for i in alone_prior:
        host = _host(prior[i], [(k, [prior[m] for m in before[k]], [current[j] for j in after[k]]) for k in before])
        if host is not None:
            before[host].append(i)
            joined.add(("prior", i))
    for j in alone_current:
        host = _host(current[j], [(k, [current[m] for m in after[k]], [prior[i] for i in before[k]]) for k in before])
        if host is not None:
            after[host].append(j)
            joined.add(("current", j))
    links = []
    for k in before:
        one, two = tuple(sorted(before[k])), tuple(sorted(after[k]))
        same = len(one) + len(two) > 2 and _same_bodies([prior[i] for i in one], [current[j] for j in two])
        links.append(Link(one, two, same))
    links += [Link((i,), ()) for i in alone_prior if ("prior", i) not in joined]
    links += [Link((), (j,)) for j in alone_current if ("current", j) not in joined]
    return links


def _assigned(prior: Sequence[Seen], current: Sequence[Seen], shift: F64, sd: float) -> list[tuple[int, int]]:
    """Return the pairs of the cheapest assignment."""
    n, m = len(prior), len(current)
    if not n or not m:
        return []
    cost = np.full((n + m, n + m), 0.0)
    far = 1e6
    cost[:n, :m] = [[_cost(a, b, shift[i], sd, far) for b in current] for i, a in enumerate(prior)]
    cost[:n, m:] = np.where(np.eye(n, dtype=bool), ALONE_COST, far)
    cost[n:, :m] = np.where(np.eye(m, dtype=bool), ALONE_COST, far)
    rows, columns = linear_sum_assignment(cost)
    return [(int(i), int(j)) for i, j in zip(rows, columns, strict=True) if i < n and j < m and cost[i, j] < far]


def _cost(a: Seen, b: Seen, shift: F64, sd: float, far: float) -> float:
    """Return what speaks against two lesions being one: half the sum of squared deviations."""
    away = float(np.linalg.norm(np.subtract(b.centroid_mm, a.centroid_mm) - shift))
    sizes = [s.extent_mm.value for s in (a, b) if isinstance(s.extent_mm, Measured)]
    largest = max(sizes, default=5.0)
    if away > FARTHEST_MM + largest / 2:
        return far
    # the centroid of a large lesion may move when it changes; a body that lies on the other's has not gone far
    gap = body_gap_mm(a.points_mm + shift, b.points_mm)
    away = min(away, gap + 0.3 * largest)
    total = (away / np.hypot(sd, SIZE_SHARE * largest)) ** 2
    for one, two, spread in ((a.mass_mg, b.mass_mg, MASS_SD), (_density(a), _density(b), DENSITY_SD)):
        if isinstance(one, Measured) and isinstance(two, Measured) and min(one.value, two.value) > 0:
            total += min((np.log(two.value / one.value) / spread) ** 2, 6.0)
    return float(0.5 * total + PATTERN_COST * _unlike(a.patterns, b.patterns))


def _density(seen: Seen) -> Measured | None:
    return seen.contrast_hu if isinstance(seen.contrast_hu, Measured) else None


def _unlike(a: dict[str, float], b: dict[str, float]) -> float:
    """Return 0 for equal distributions over patterns, 1 for disjoint ones, and 0 where one is not known."""
    if not a or not b:
        return 0.0
    return 1.0 - sum(min(p, b.get(name, 0.0)) for name, p in a.items())


def _residual(prior: Sequence[Seen], current: Sequence[Seen], pairs: list[tuple[int, int]]) -> F64:
    """Return for each lesion how far its neighbours' places were missed, its own left out."""
    start = np.array([prior[i].centroid_mm for i, _ in pairs])
    miss = np.array([np.subtract(current[j].centroid_mm, prior[i].centroid_mm) for i, j in pairs])
    out = np.zeros((len(prior), 3))
    for k, seen in enumerate(prior):
        weight = np.exp(-(np.linalg.norm(start - np.array(seen.centroid_mm), axis=1) ** 2) / (2 * NEIGHBOUR_MM**2))
        weight[[i == k for i, _ in pairs]] = 0.0
        out[k] = weight @ miss / (weight.sum() + 0.5)
    return out


def body_gap_mm(first: F64, second: F64) -> float:
    """Return the least distance between points of two bodies in mm."""
    few, many = sorted((first, second), key=len)
    return float(cKDTree(many).query(few)[0].min())


def _host(left: Seen, groups: list[tuple[int, list[Seen], list[Seen]]]) -> int | None:
    """Return the link that a left-over lesion belongs to: it lies in its body, and the masses fit better with it."""
    best: tuple[float, int] | None = None
    for key, own, others in groups:
        for other in others:
            reach = max(part.radius_mm for part in (*left.parts, *other.parts))
            gap = body_gap_mm(left.points_mm, other.points_mm)
            if gap > TOUCH_MM + reach or not _fits(left, own, others):
                continue
            if best is None or gap < best[0]:
                best = gap, key
    return None if best is None else best[1]


def _fits(left: Seen, own: list[Seen], others: list[Seen]) -> bool:
    """Whether the mass (or the volume) of a group is nearer to the other side's with one more lesion."""
    for name in ("mass_mg", "volume_mm3"):
        numbers = [getattr(s, name) for s in (left, *own, *others)]
        if all(isinstance(n, Measured) and n.value > 0 for n in numbers):
            extra = numbers[0].value
            mine = sum(n.value for n in numbers[1 : 1 + len(own)])
            theirs = sum(n.value for n in numbers[1 + len(own) :])
            return bool(abs(np.log((mine + extra) / theirs)) < abs(np.log(mine / theirs)))
    return False


def _same_bodies(prior: Sequence[Seen], current: Sequence[Seen]) -> bool:
    """Whether the lesions of the fuller side lie at bodies of their own on the other side."""
    many, few = (prior, current) if len(prior) >= len(current) else (current, prior)
    bodies = _bodies([part for seen in few for part in seen.parts])
    nearest = {int(np.argmin([body_gap_mm(seen.points_mm, body) for body in bodies])) for seen in many}
    return len(nearest) == len(many)


def _bodies(parts: Sequence[Part]) -> list[F64]:
    """Return the points of the bodies that parts make: parts that touch are one body."""
    bodies: list[tuple[F64, float]] = []
    for part in parts:
        points, reach = part.points_mm, part.radius_mm
        apart = []
        for other, radius in bodies:
            if body_gap_mm(points, other) <= 2.4 * max(reach, radius):
                points, reach = np.concatenate([points, other]), max(reach, radius)
            else:
                apart.append((other, radius))
        bodies = [*apart, (points, reach)]
    return [points for points, _ in bodies]


def paired_foci(prior: Sequence[Seen], current: Sequence[Seen]) -> tuple[tuple[int, int], ...]:
    """Return which focus of linked lesions is which, ``(earlier id, later id)``, by the nearest bodies."""
    one: list[Part] = [part for seen in prior for part in seen.parts]
    two: list[Part] = [part for seen in current for part in seen.parts]
    if not one or not two:
        return ()
    away = np.array([[np.linalg.norm(a.points_mm.mean(axis=0) - b.points_mm.mean(axis=0)) for b in two] for a in one])
    rows, columns = linear_sum_assignment(away)
    pairs = [(one[i].focus_id, two[j].focus_id) for i, j in zip(rows, columns, strict=True)]
    return tuple(sorted(pairs))
