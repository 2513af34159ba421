"""The follow-up room on one page: lay the livers on each other, carry lesions over, match, judge each change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from hepacalc.foci.burden import add_up
from hepacalc.followup.change import Change, Shared, change_of, shared_calibration
from hepacalc.followup.match import Link, body_gap_mm, carried, match_lesions, paired_foci
from hepacalc.followup.records import STATUSES, Comparison, Exam, ExamNote, LesionChange, LiverView, Seen, Status
from hepacalc.followup.register import Registration, register_livers
from hepacalc.followup.visible import could_show, in_view
from hepacalc.records import Measured, Measurement, NotMeasured

__all__ = ["PLACE_SD_MM", "compare_exams"]

F64 = NDArray[np.float64]
PLACE_SD_MM = 2.5
"""Standard deviation along each axis of places carried over, from ``scripts/bench followup``; more where livers fit
badly."""
PHASE_SD = 0.10
"""Relative standard deviation of a mass ratio between contrast phases: vessels and liver around calcium change."""
VOLUME_SHARE = 0.25
THICKNESS_RATIO = 1.4
LARGEST_PERCENT = 100.0


def compare_exams(
    prior: Exam,
    current: Exam,
    notes: tuple[ExamNote, ExamNote],
    *,
    registration: Registration | None = None,
) -> Comparison:
    """Return what became of each lesion between two exams of one patient.

    Args:
        prior: the earlier exam.
        current: the later exam.
        notes: what is told of each.
        registration: where places went, when it is known; else the livers are laid on each other.

    Raises:
        NoOverlap: the livers cannot be laid on each other.
    """
    fit = register_livers(prior.view, current.view) if registration is None else registration
    sd = PLACE_SD_MM * (2.0 if fit.is_doubtful else 1.0)
    before = [_carried(seen, fit) for seen in prior.lesions]
    links = match_lesions(before, current.lesions, place_sd_mm=sd)
    both = _Both(prior, current, fit, sd, before)
    changes = [both.judge(link) for link in links]
    changes.sort(key=_order)
    numbered = tuple(replace(change, id=k) for k, change in enumerate(changes, 1))
    interval = None if prior.ordinal is None or current.ordinal is None else current.ordinal - prior.ordinal
    limits = tuple(_limits(prior, current, fit))
    back = tuple(tuple(map(float, row)) for row in fit.affine_back(_spread(current.view)))
    return Comparison(*notes, interval, fit.dice, fit.surface_mm, fit.method, numbered, limits, back)


def _spread(view: LiverView) -> F64:
    """Return some hundred points of a liver, ``(n, 3)`` LPS mm; of its grid where there is none."""
    corners = np.array(list(product(*((0, n) for n in view.liver.shape))))
    index = np.argwhere(view.liver) if view.liver.any() else corners
    out: F64 = view.geometry.to_world(index[:: max(len(index) // 500, 1)].astype(float))
    return out


def _order(change: LesionChange) -> tuple[int, float, tuple[float, ...]]:
    """Sort by what a reader wants to know first, then by size, then by place."""
    sizes = [n.value for n in (change.current_mass_mg, change.prior_mass_mg) if isinstance(n, Measured)]
    return STATUSES.index(change.status), -max(sizes, default=0.0), change.current_place_mm


def _carried(seen: Seen, fit: Registration) -> Seen:
    return carried(seen, fit.carry(np.array([seen.centroid_mm]))[0], [fit.carry(part.points_mm) for part in seen.parts])


def _limits(prior: Exam, current: Exam, fit: Registration) -> list[str]:
    """Return what limits the comparison as a whole."""
    out = []
    if fit.is_doubtful:
        out.append(
            f"the livers of the two exams overlap by {fit.dice:.2f} only once laid on each other: places may be off by "
            "more than a centimetre"
        )
    if prior.is_contrast is not None and current.is_contrast is not None and prior.phase != current.phase:
        out.append(
            f"the contrast phases differ ({prior.phase}, then {current.phase}): changes of mass have wider intervals"
        )
    thick = [e.slice_thickness_mm for e in (prior, current) if e.slice_thickness_mm is not None]
    if len(thick) == 2 and max(thick) > THICKNESS_RATIO * min(thick):
        out.append(
            f"the slices are {thick[0]:.1f} mm thick, then {thick[1]:.1f} mm: volumes at half maximum cannot be "
            "compared, masses can"
        )
    if prior.ordinal is None or current.ordinal is None:
        out.append("the date of an exam is not known, so for how long a lesion was followed is not known either")
    return out


@dataclass(frozen=True, eq=False, slots=True)
class _Both:
    """Two exams laid on each other."""

    prior: Exam
    current: Exam
    fit: Registration
    sd_mm: float
    before: Sequence[Seen]

    def judge(self, link: Link) -> LesionChange:
        """Return what became of the lesions of a link."""
        old = [self.prior.lesions[i] for i in link.prior]
        new = [self.current.lesions[j] for j in link.current]
        if not new:
            return self._only(old[0], self.before[link.prior[0]], is_prior=True)
        if not old:
            back = carried(
                new[0], self.fit.carry_back(np.array([new[0].centroid_mm]))[0],
                [self.fit.carry_back(part.points_mm) for part in new[0].parts],
            )  # fmt: skip
            return self._only(new[0], back, is_prior=False)
        return self._pair(link, old, new)

    def _only(self, seen: Seen, there: Seen, *, is_prior: bool) -> LesionChange:
        """Judge a lesion that was seen at one exam only."""
        other = self.current if is_prior else self.prior
        reasons = list(could_show(other, seen, np.array(there.centroid_mm), there.points_mm, place_sd_mm=self.sd_mm))
        if seen.kind != "calcification":
            reasons.append("it is not certain that it is calcium")
        near = self._neighbour(there, other)
        if near:
            reasons.append(near)
        status: Status = "not comparable"
        if not reasons:
            status = "gone" if is_prior else "new"
            reasons = ["nothing is seen at its place at the later exam, which could have shown it"] if is_prior else [
                "nothing was seen at its place at the earlier exam, which could have shown it"
            ]  # fmt: skip
        absent = NotMeasured("it was not seen at that exam")
        mass, volume = seen.mass_mg, seen.volume_mm3
        one = NotMeasured("it was seen at one exam only")
        mine, theirs = seen.centroid_mm, there.centroid_mm
        return LesionChange(
            id=0, status=status,
            prior=(seen.id,) if is_prior else (), current=() if is_prior else (seen.id,), foci=(),
            reasons=tuple(reasons),
            prior_mass_mg=mass if is_prior else absent, current_mass_mg=absent if is_prior else mass,
            mass_change_mg=one, mass_change_percent=one,
            prior_volume_mm3=volume if is_prior else absent, current_volume_mm3=absent if is_prior else volume,
            volume_change_mm3=one, volume_change_percent=one, smallest_change_percent=one,
            prior_place_mm=mine if is_prior else theirs, current_place_mm=theirs if is_prior else mine,
        )  # fmt: skip

    def _neighbour(self, there: Seen, other: Exam) -> str:
        """Return that a lesion of the other exam lies so close that the two may be one; empty when none does."""
        gaps = [body_gap_mm(there.points_mm, seen.points_mm) for seen in other.lesions]
        if gaps and min(gaps) <= 1.0 + self.sd_mm:
            return "it lies where another lesion lies at the other exam: the two may have been counted as one"
        return ""

    def _pair(self, link: Link, old: Sequence[Seen], new: Sequence[Seen]) -> LesionChange:
        """Judge lesions that were seen at both exams."""
        mass = self._mass(old, new)
        volume, volume_reason = self._volume(old, new)
        leading = volume if isinstance(mass.amount, NotMeasured) and not volume_reason else mass
        status, reasons = _told(link, leading, by_mass=leading is mass)
        cut = [w for seen, e in ((old, self.prior), (new, self.current)) for s in seen for w in _cut(s, e)]
        if cut and status in ("grew", "shrank", "stable"):
            status, reasons = "not comparable", tuple(dict.fromkeys(cut))
        if link.regrouped:
            reasons = (*reasons, "its parts were counted to other lesions at the other exam; taken together here")
        place = _middle([self.before[i] for i in link.prior])
        found = _middle(new)
        gap, sd = float(np.linalg.norm(np.subtract(place, found))), self.sd_mm
        return LesionChange(
            id=0, status=status, prior=tuple(sorted(s.id for s in old)), current=tuple(sorted(s.id for s in new)),
            foci=paired_foci([self.before[i] for i in link.prior], new), reasons=reasons,
            prior_mass_mg=_total([s.mass_mg for s in old], self._sds()[0], "mg"),
            current_mass_mg=_total([s.mass_mg for s in new], self._sds()[1], "mg"),
            mass_change_mg=mass.amount, mass_change_percent=mass.percent,
            prior_volume_mm3=_total([s.volume_mm3 for s in old], 0.0, "mm3"),
            current_volume_mm3=_total([s.volume_mm3 for s in new], 0.0, "mm3"),
            volume_change_mm3=volume.amount, volume_change_percent=volume.percent,
            smallest_change_percent=leading.smallest_percent,
            prior_place_mm=_middle(old), current_place_mm=found,
            gap_mm=Measured(gap, "mm", max(gap - 2 * sd, 0.0), gap + 2 * sd, "carried place to centroid"),
        )  # fmt: skip

    def _sds(self) -> tuple[float, float]:
        a, b = self.prior.calibration, self.current.calibration
        return (a.relative_sd if a else 0.0), (b.relative_sd if b else 0.0)

    def _shared(self) -> Shared:
        """Return the errors of masses that do not come from a lesion."""
        same = bool(self.prior.scanner) and self.prior.scanner == self.current.scanner
        shared = shared_calibration(self.prior.calibration, self.current.calibration, same_scanner=same)
        other_phase = self.prior.phase != self.current.phase
        return replace(shared, extra_sd=PHASE_SD if other_phase else 0.0)

    def _mass(self, old: Sequence[Seen], new: Sequence[Seen]) -> Change:
        one, two = self._sds()
        return change_of(
            _total([s.mass_mg for s in old], one, "mg"), _total([s.mass_mg for s in new], two, "mg"), self._shared()
        )

    def _volume(self, old: Sequence[Seen], new: Sequence[Seen]) -> tuple[Change, str]:
        """Return the change of the volume, and why there is none."""
        thick = [self.prior.slice_thickness_mm, self.current.slice_thickness_mm]
        reason = ""
        if thick[0] is not None and thick[1] is not None:
            if max(thick[0], thick[1]) > THICKNESS_RATIO * min(thick[0], thick[1]):
                reason = "a volume at half maximum depends on the slice thickness, and that differs"
            elif self.prior.is_contrast != self.current.is_contrast:
                reason = "a volume at half maximum depends on the liver around it, and the contrast phases differ"
        if reason:
            none = NotMeasured(reason)
            return Change(none, none, none, None), reason
        one, two = (_total([s.volume_mm3 for s in side], 0.0, "mm3") for side in (old, new))
        return change_of(one, two, Shared(), least_share=VOLUME_SHARE), ""


def _told(link: Link, change: Change, *, by_mass: bool) -> tuple[Status, tuple[str, ...]]:
    """Return the status of lesions that were seen at both exams, and why."""
    what = "calcium mass" if by_mass else "volume"
    many = len(link.prior) + len(link.current) > 2 and not link.regrouped
    moved: Status | None = None
    if many:
        moved = "merged" if len(link.prior) > len(link.current) else "split"
    if isinstance(change.amount, NotMeasured):
        why = f"its {what} could not be compared: {change.amount.reason}"
        return (moved, (why,)) if moved else ("not comparable", (why,))
    share, least = change.percent, change.smallest_percent
    if moved:
        one = f"{len(link.prior)} lesions of the earlier exam are {len(link.current)} now"
        return moved, (one,)
    if change.direction:
        if isinstance(share, Measured) and isinstance(least, Measured):
            why = (
                f"{what} changed by {share.value:+.0f} %; a change of {least.value:.0f} % or more would be shown "
                "by 9 such pairs of 10"
            )
        else:
            why = f"{what} changed by more than the errors of both exams allow for"
        return ("grew" if change.direction > 0 else "shrank"), (why,)
    if not isinstance(least, Measured):
        return "not comparable", (f"its {what} is too uncertain to show a change: {least.reason}",)
    if least.value > LARGEST_PERCENT:
        return "not comparable", (
            f"this pair could only have shown a change of {what} of {least.value:.0f} % or more (thick slices, noise)",
        )
    return "stable", (
        f"no change of {what} is shown; one of {least.value:.0f} % or more would be by 9 such pairs of 10",
    )


def _cut(seen: Seen, exam: Exam) -> list[str]:
    if in_view(np.array(seen.centroid_mm), exam, margin_mm=0.0) and isinstance(seen.mass_mg, Measured):
        return []
    if isinstance(seen.mass_mg, Measured) or "edge of the scan" not in seen.mass_mg.reason:
        return []
    return ["it is cut by the edge of a scan"]


def _middle(lesions: Sequence[Seen]) -> tuple[float, float, float]:
    """Return the centroid of lesions, by their masses where all have one."""
    masses = [s.mass_mg.value for s in lesions if isinstance(s.mass_mg, Measured) and s.mass_mg.value > 0]
    weights = masses if len(masses) == len(lesions) else [1.0] * len(lesions)
    x, y, z = np.average([s.centroid_mm for s in lesions], axis=0, weights=weights)
    return float(x), float(y), float(z)


def _total(numbers: Sequence[Measurement], shared_sd: float, unit: str) -> Measurement:
    """Return one number as it is, several added up."""
    if len(numbers) == 1:
        return numbers[0]
    return add_up(numbers, unit, "sum over its lesions", shared_sd=shared_sd)
