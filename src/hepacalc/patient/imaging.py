"""Examinations typed in -> what they say of the blocks: lesions, number, ducts, and the course against older images.

For one block the best examination counts, not the product of all: two looks at the same thing are not two witnesses.
Best is CT or MRI before ultrasound before a plain film, then the later one. The others are kept and shown as not used.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hepacalc.patient.schema_exam import Examination, LesionSeen, PriorExamination
from hepacalc.patient.words import earliest, latest

__all__ = [
    "ImageSaid",
    "best_first",
    "course",
    "extent_weights",
    "lesion_said",
    "modality_of",
    "number_state",
]

_RANK = {
    "mri": 0, "ct": 1, "ct_contrast": 1, "ct_non_contrast": 2, "pet_ct": 2, "contrast_ultrasound": 3, "ultrasound": 4,
    "radiograph": 5, "other": 6,
}  # fmt: skip
_BLIND_TO_ENHANCEMENT = ("ultrasound", "radiograph", "ct_non_contrast")
YEAR = 365.25
GROWN_SHARE, GROWN_MM = 0.2, 2.0
"""Larger by a fifth and by 2 mm counts as grown, where no word was given. A judgement, kept low on purpose."""


@dataclass(frozen=True, slots=True)
class ImageSaid:
    """What one examination says of one block.

    Args:
        block: id.
        seen: state weights, or for the lesion ``{axis: weights}``.
        text: in words.
        by: ``report`` or ``person``.
        used: False when a better examination speaks about the same.
    """

    block: str
    seen: dict[str, float] | dict[str, dict[str, float]]
    text: str
    by: str
    used: bool = True


def best_first(exams: Sequence[Examination]) -> list[Examination]:
    """Return the examinations, best first; the order in which they were typed in does not matter."""
    return sorted(exams, key=lambda e: (_RANK[e.modality], _undated(e.date), e.model_dump_json()))


def _undated(date: str | None) -> int:
    return -latest(date).toordinal() if date else 0


def modality_of(exams: Sequence[Examination]) -> str | None:
    """Return ``ct``, ``mri``, ``ultrasound`` or ``plain_film``: the best way in which the liver was looked at."""
    found = {exam.modality for exam in exams}
    for word, kinds in (
        ("ct", {"ct", "ct_contrast", "ct_non_contrast", "pet_ct"}),
        ("mri", {"mri"}),
        ("ultrasound", {"ultrasound", "contrast_ultrasound"}),
        ("plain_film", {"radiograph"}),
    ):
        if found & kinds:
            return word
    return None


def number_state(exam: Examination) -> str | None:
    """Return the state of ``number``: a word, a count, or a description of more than one lesion."""
    count = exam.number
    if isinstance(count, int):
        return "single" if count == 1 else "few" if count <= 5 else "many"
    return count


def lesion_said(exams: Sequence[Examination]) -> tuple[list[list[ImageSaid]], list[str]]:
    """Return for each lesion what is said of it, and warnings.

    Lesions with one id are one lesion. Without ids, lesions of two examinations are matched by their place in the list
    when both describe the same number; else only the best examination's are used.
    """
    exams = [exam for exam in best_first(exams) if exam.lesions]
    if not exams:
        return [], []
    warnings: list[str] = []
    groups: dict[str, list[tuple[Examination, LesionSeen]]] = {}
    for exam in exams:
        keys = [lesion.id or f"#{k}" for k, lesion in enumerate(exam.lesions)]
        named = all(lesion.id for lesion in exam.lesions) and all(lesion.id for lesion in exams[0].lesions)
        if exam is not exams[0] and not named and len(exam.lesions) != len(exams[0].lesions):
            warnings.append(
                f"the lesions of the {exam.modality.replace('_', ' ')} are not used: without ids they cannot be matched"
            )
            continue
        if exam is not exams[0] and not named:
            keys = [lesion.id or f"#{k}" for k, lesion in enumerate(exams[0].lesions)]
        if len(set(keys)) < len(keys):
            warnings.append("two lesions of one examination have the same id; they are taken for one")
        for key, lesion in zip(keys, exam.lesions, strict=True):
            groups.setdefault(key, []).append((exam, lesion))
    found = []
    for members in groups.values():
        said: list[ImageSaid] = []
        taken: set[str] = set()
        for exam, lesion in members:
            for one in _lesion_blocks(exam, lesion, warnings):
                said.append(ImageSaid(one.block, one.seen, one.text, one.by, one.block not in taken))
            taken |= {one.block for one in said}
        found.append(said)
    return found, list(dict.fromkeys(warnings))


def _lesion_blocks(exam: Examination, lesion: LesionSeen, warnings: list[str]) -> Iterator[ImageSaid]:
    where, by = exam.modality.replace("_", " "), exam.said_by
    axes = {name: value for name in ("host", "morphology") if (value := getattr(lesion, name)) is not None}
    if axes:
        words = "; ".join(f"{name} {_words(value)}" for name, value in axes.items())
        yield ImageSaid("lesion", axes, f"{where}: {words}", by)
    if lesion.size_mm is not None:
        weights = extent_weights(lesion.size_mm, 2.0 if "ultrasound" in exam.modality else 1.0)
        yield ImageSaid("extent", weights, f"{where}: {lesion.size_mm:g} mm", by)
    if lesion.density_hu is not None:
        if exam.modality == "ct_contrast" and lesion.density_hu < 1000:
            warnings.append("a density from contrast CT is not used: enhancement raises it")
        else:
            if exam.modality in ("ct", "pet_ct"):
                warnings.append("a density is taken for one of non-contrast CT")
            yield ImageSaid("density", _density(lesion.density_hu), f"{where}: {lesion.density_hu:g} HU", by)
    if lesion.contour is not None:
        yield ImageSaid("contour", lesion.contour, f"{where}: {_words(lesion.contour)}", by)
    if lesion.enhancement is not None:
        if exam.modality in _BLIND_TO_ENHANCEMENT:
            warnings.append(f"enhancement is not used: {where} cannot show it")
        else:
            yield ImageSaid("enhancement", lesion.enhancement, f"{where}: enhancement {_words(lesion.enhancement)}", by)
    if lesion.course is not None:
        yield ImageSaid("course", lesion.course, f"{where}: {_words(lesion.course)}", by)


def extent_weights(size_mm: float, error_mm: float) -> dict[str, float]:
    """Return the weights of the sizes, with an error (1 SD) of ``error_mm`` or 5 %, whichever is more."""
    return _bins(size_mm, max(error_mm, 0.05 * size_mm), (10, 30, 100), ("under_10", "10_30", "30_100", "over_100"))


def _density(hu: float) -> dict[str, float]:
    """Density with an error of 10 HU or 5 % (1 SD)."""
    return _bins(hu, max(10.0, 0.05 * abs(hu)), (90, 130, 1000), ("below_90", "90_130", "130_1000", "over_1000"))


def _bins(value: float, sd: float, edges: tuple[float, ...], names: tuple[str, ...]) -> dict[str, float]:
    below = [0.0, *(0.5 * (1 + math.erf((edge - value) / sd / math.sqrt(2))) for edge in edges), 1.0]
    return {name: high - low for name, low, high in zip(names, below, below[1:], strict=False)}


def course(priors: Sequence[PriorExamination], day: int, size_mm: float | None) -> tuple[dict[str, float], str] | None:
    """Return weights of the course, and the words behind it.

    Args:
        priors: older images.
        day: ordinal of the day of the present examination.
        size_mm: present size where one lesion was measured.

    Growth on any older image wins. Stability counts in full from one year on; before that growth keeps the missing part
    of the year. A focus not seen on an older image of the same or a better kind is new; on a poorer one it may have
    been missed, and half of the other states is kept.
    """
    said: list[tuple[int, dict[str, float], str]] = []
    for prior in priors:
        years = (day - earliest(prior.date).toordinal()) / YEAR
        where = f"{prior.modality.replace('_', ' ')} of {prior.date}"
        change = prior.change or _by_size(prior, size_mm)
        if change in ("grown", "shrunk", "denser_under_treatment"):
            state = {"grown": "growing", "shrunk": "shrinking"}.get(change, change)
            said.append((0 if change == "grown" else 1, {state: 1.0}, f"{where}: {change.replace('_', ' ')}"))
        elif change == "stable":
            left = max(0.0, 1 - years)
            said.append((3, {"stable": 1.0, "growing": left}, f"{where}: stable over {years:.1f} years"))
        elif prior.seen == "no":
            kept = 0.5 if _RANK[prior.modality] > 2 else 0.0
            others = dict.fromkeys(("stable", "growing", "denser_under_treatment", "shrinking"), kept)
            said.append((2, {"new": 1.0, **others}, f"{where}: not seen"))
        elif prior.seen == "yes":
            rest = dict.fromkeys(("stable", "growing", "denser_under_treatment", "shrinking"), 1.0)
            said.append((4, {"new": 0.0, **rest}, f"{where}: seen, not compared"))
    if not said:
        return None
    # the gravest first; of stable ones the longest, which leaves least to growth
    said.sort(key=lambda one: (one[0], one[1].get("growing", 0.0), one[2]))
    return said[0][1], "; ".join(text for _, _, text in said)


def _by_size(prior: PriorExamination, size_mm: float | None) -> str | None:
    if prior.size_mm is None or size_mm is None:
        return None
    more = size_mm - prior.size_mm
    if abs(more) < max(GROWN_MM, GROWN_SHARE * prior.size_mm):
        return "stable"
    return "grown" if more > 0 else "shrunk"


def _words(weights: dict[str, float]) -> str:
    """States with their weights where there is doubt."""
    return " or ".join(
        state.replace("_", " ") + (f" ({weight:g})" if weight < 1 else "")
        for state, weight in weights.items()
        if weight
    )
