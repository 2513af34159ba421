"""Couinaud segment, hilum and nearest large vessel of a point, each with the doubt that the scan leaves.

The planes between the segments run through the hepatic veins and the portal fork. They are looked for in the scan, and
where it does not show them they are as uncertain as people differ: see :mod:`hepacalc.liver.population` and
``docs/reference/measurements/segment.md``.

References: Couinaud 1957, Le foie; Bismuth 1982, World J Surg 6:3.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepacalc.geometry import Geometry
from hepacalc.liver.coverage import Coverage, liver_coverage
from hepacalc.liver.landmarks import Landmarks, find_landmarks, lies_left
from hepacalc.liver.likelihood import path
from hepacalc.liver.planes import SEGMENTS
from hepacalc.liver.population import Population, draw_population
from hepacalc.liver.reader import Reading, read
from hepacalc.records import LiverMask, Measured, Measurement, NotMeasured, Phase, Segment, Volume

__all__ = ["SEGMENTS", "Landmark", "LiverAnatomy", "hilum_mm", "liver_anatomy", "lobe_of", "segment_of"]

F64 = NDArray[np.float64]

_LOBES = {"caudate": ("I",), "left": ("II", "III", "IVa", "IVb"), "right": ("V", "VI", "VII", "VIII")}
_MOST_MISSING, _SMALLEST_ML, _OUTSIDE_MM = 0.30, 300.0, 12.0
# shares of volume of the segments (Abdalla et al. 2004, Surgery 135:404): what is left for the unforeseen
_USUAL = np.array([0.03, 0.08, 0.09, 0.08, 0.08, 0.14, 0.11, 0.15, 0.24])
_UNFORESEEN = 0.02
# sections: caudate, left lateral, left medial, right; how much the logarithms of what the anatomies and what the
# network say count: which section it is, and which of its segments
_SECTION = np.array([0, 1, 1, 2, 2, 3, 3, 3, 3])
_OF_SECTION, _WITHIN = (0.6, 0.5), (0.2, 0.8)
_SEEN = 0.5
_VEINS = ("right hepatic vein", "middle hepatic vein", "left hepatic vein")
_BRANCHES = ("right portal branch", "left portal branch")
_LARGE = (*_VEINS, *_BRANCHES, "portal trunk")
_MIRROR = np.array([-1.0, 1.0, 1.0])


@dataclass(frozen=True, slots=True)
class Landmark:
    """An estimated place.

    Args:
        position_mm: LPS.
        sd_mm: standard deviation of the estimate along each axis.
        method: a few words.
    """

    position_mm: tuple[float, float, float]
    sd_mm: float
    method: str


@dataclass(frozen=True, eq=False, slots=True)
class LiverAnatomy:
    """The inner anatomy of one liver: many anatomies that fit the scan.

    Args:
        population: the anatomies, mirrored when ``is_mirrored``.
        marks: what was seen.
        basis: what was seen, in words: the method of every answer.
        is_mirrored: the liver lies on the patient's left and is read as in a mirror.
        reading: what the network makes of the segments; None when only the outline is known.
    """

    population: Population
    marks: Landmarks
    basis: str
    is_mirrored: bool
    reading: Reading | None = None

    def shares(self, points_mm: ArrayLike) -> F64:
        """Return the probability of each segment at LPS points ``(n, 3)``, as ``(n, 9)`` in the order of SEGMENTS."""
        points = self._turned(points_mm)
        shares: F64 = (1 - _UNFORESEEN) * self.population.shares(points) + _UNFORESEEN * _USUAL / _USUAL.sum()
        if self.reading is None:
            return shares
        return _mixed(shares, np.exp(self.reading.log_shares(points)))

    def segments(self, points_mm: ArrayLike) -> list[Segment | NotMeasured]:
        """Return the Couinaud segment of each LPS point ``(n, 3)``; none more than 12 mm outside the liver."""
        points = self._turned(points_mm)
        shares = self.shares(points_mm)
        is_out = self.marks.lookup(self.marks.depth_mm, points, -1e3) < -_OUTSIDE_MM
        found: list[Segment | NotMeasured] = []
        for share, out in zip(shares, is_out, strict=True):
            if out:
                found.append(NotMeasured(f"the point lies more than {_OUTSIDE_MM:.0f} mm outside the liver"))
                continue
            order = np.argsort(-share, kind="stable")
            found.append(Segment(tuple((SEGMENTS[i], float(share[i])) for i in order), self.basis))
        return found

    @property
    def hilum(self) -> Landmark:
        """Estimated place of the portal bifurcation."""
        fork = self.population.points["fork"] * (_MIRROR if self.is_mirrored else 1.0)
        x, y, z = (float(v) for v in fork.mean(axis=0))
        # one anatomy bends where another is straight: no better than 4 mm
        sd = float(np.hypot(np.sqrt(fork.var(axis=0).mean()), 4.0))
        return Landmark((x, y, z), sd, self.basis)

    def hilum_distances(self, points_mm: ArrayLike) -> list[Measurement]:
        """Return the distance of each LPS point from the portal bifurcation, 90 % interval over the anatomies."""
        gaps = np.linalg.norm(self._turned(points_mm)[None] - self.population.points["fork"][:, None], axis=2)
        return [self._over_anatomies(gap, "portal bifurcation") for gap in gaps.T]

    def vessel_distances(self, points_mm: ArrayLike) -> list[Measurement]:
        """Return the distance of each LPS point from the centre line of the nearest large vessel.

        Large are the three hepatic veins, the portal trunk and its right and left branch.
        """
        seen = [name for name in _LARGE if self.population.seen[name] > _SEEN]
        points = self._turned(points_mm)
        if len(seen) < 2:
            no = NotMeasured("fewer than two of the large vessels of the liver can be seen in this scan")
            return [no] * len(points)
        nearest = np.full((len(self.population.signs), len(points)), np.inf)
        names = np.empty(nearest.shape, np.int8)
        for number, name in enumerate(_LARGE):
            line = path(name, self.population.points)
            gap = np.linalg.norm(points[None, :, None] - line[:, None], axis=3).min(axis=2)
            names = np.where(gap < nearest, number, names)
            nearest = np.minimum(nearest, gap)
        out: list[Measurement] = []
        for gap, which in zip(nearest.T, names.T, strict=True):
            name = _LARGE[int(np.bincount(which, minlength=len(_LARGE)).argmax())]
            out.append(self._over_anatomies(gap, f"centre line of the {name}"))
        return out

    def _over_anatomies(self, gaps: F64, what: str) -> Measured:
        sd = float(np.hypot(gaps.std(), 4.0))
        value = float(gaps.mean())
        return Measured(value, "mm", max(value - 1.645 * sd, 0.0), value + 1.645 * sd, f"{what}; {self.basis}")

    def _turned(self, points_mm: ArrayLike) -> F64:
        points = np.asarray(points_mm, float).reshape(-1, 3)
        return points * _MIRROR if self.is_mirrored else points


def liver_anatomy(
    liver_mask: LiverMask, volume: Volume | None = None, phase: Phase | None = None
) -> LiverAnatomy | NotMeasured:
    """Return the inner anatomy of a liver.

    Args:
        liver_mask: the liver, any axis order; with less than 300 mL in view, more than 30 % missing or a cut through
            its thickest part there is no answer.
        volume: the scan on the same grid; None leaves only the outline to go by.
        phase: tells whether blood is brighter than liver; None leaves that open.
    """
    coverage = liver_coverage(liver_mask, volume)
    refused = _refusal(coverage)
    if refused is not None:
        return refused
    is_mirrored = volume is not None and lies_left(liver_mask, volume)
    if is_mirrored and volume is not None:
        liver_mask = replace(liver_mask, geometry=_mirrored(liver_mask.geometry))
        volume = replace(volume, geometry=_mirrored(volume.geometry))
        coverage = liver_coverage(liver_mask, volume)
    marks = find_landmarks(liver_mask, coverage, volume)
    population = draw_population(marks, coverage, phase)
    words = _basis(population, marks)
    if is_mirrored:
        words += "; liver on the left side, read as in a mirror (situs inversus?)"
    return LiverAnatomy(population, marks, words, is_mirrored, read(marks))


def segment_of(
    points_mm: ArrayLike, liver_mask: LiverMask, volume: Volume | None = None, phase: Phase | None = None
) -> list[Segment | NotMeasured]:
    """Return the segment of each LPS point ``(n, 3)`` with its doubt; arguments as for :func:`liver_anatomy`.

    Returns:
        One entry a point; :class:`NotMeasured` too for points more than 12 mm outside the liver.
    """
    anatomy = liver_anatomy(liver_mask, volume, phase)
    if isinstance(anatomy, NotMeasured):
        return [anatomy] * len(np.asarray(points_mm, float).reshape(-1, 3))
    return anatomy.segments(points_mm)


def lobe_of(segment: Segment) -> Segment:
    """Return the probabilities of ``right``, ``left`` and ``caudate`` lobe, in falling order."""
    share = dict(segment.probabilities)
    lobes = [(lobe, sum(share.get(s, 0.0) for s in parts)) for lobe, parts in _LOBES.items()]
    return Segment(tuple(sorted(lobes, key=lambda item: -item[1])), segment.method)


def hilum_mm(liver_mask: LiverMask, volume: Volume | None = None, phase: Phase | None = None) -> Landmark | NotMeasured:
    """Return the estimated place of the portal bifurcation; arguments as for :func:`liver_anatomy`."""
    anatomy = liver_anatomy(liver_mask, volume, phase)
    return anatomy if isinstance(anatomy, NotMeasured) else anatomy.hilum


def _mixed(drawn: F64, read: F64) -> F64:
    """Return what anatomies and network say together, both all above 0 ``(n, 9)``.

    Fissure and caudate show by fat and outline, which the anatomies are fitted to; levels within a section show by
    many small branches, which the network has learnt to read.
    """
    sections = np.eye(_SECTION.max() + 1)[_SECTION]
    whole = [share @ sections for share in (drawn, read)]
    section = np.prod([w**power for w, power in zip(whole, _OF_SECTION, strict=True)], axis=0)
    within = np.prod(
        [(share / w[:, _SECTION]) ** power for share, w, power in zip((drawn, read), whole, _WITHIN, strict=True)],
        axis=0,
    )
    out = within / (within @ sections)[:, _SECTION] * (section / section.sum(axis=1, keepdims=True))[:, _SECTION]
    return np.asarray(out)


def _refusal(coverage: Coverage) -> NotMeasured | None:
    """Return why the segments of a liver cannot be told, or None."""
    if coverage.seen_ml < _SMALLEST_ML:
        return NotMeasured(f"only {coverage.seen_ml:.0f} mL of liver are in view, too little to tell its segments")
    if coverage.missing_share > _MOST_MISSING:
        return NotMeasured(f"about {100 * coverage.missing_share:.0f} % of the liver is not in view")
    if any(cut.is_at_least and cut.side in {"top", "bottom"} for cut in coverage.cuts):
        return NotMeasured("the liver is cut through its thickest part, so its segments cannot be told")
    return None


def _mirrored(geometry: Geometry) -> Geometry:
    return Geometry(geometry.shape, np.diag([-1.0, 1.0, 1.0, 1.0]) @ geometry.affine)


def _basis(population: Population, marks: Landmarks) -> str:
    """Return what was seen, in words."""
    if marks.liver_hu is None:
        return "shape of the outline only"
    veins = sum(population.seen[name] > _SEEN for name in _VEINS)
    parts = ["", "one hepatic vein seen", "two hepatic veins seen", "hepatic veins seen"][veins : veins + 1]
    if max(population.seen[name] for name in _BRANCHES) > _SEEN:
        parts.append("portal branches seen")
    if len(marks.gall_mm):
        parts.append("gallbladder seen")
    if len(marks.fissure_mm) >= 20:
        parts.append("umbilical fissure seen")
    return "; ".join(p for p in parts if p) or "shape only, no vessel seen"
