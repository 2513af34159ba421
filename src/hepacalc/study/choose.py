"""Which series is fit for measuring calcium, and why, in words."""

from __future__ import annotations

import re
from dataclasses import dataclass

from hepacalc.errors import HepacalcError, NoSuitableSeries, SeriesNotFound
from hepacalc.records import SeriesChoice, SeriesSummary
from hepacalc.study.decode import LOSSY_SYNTAXES, damaged
from hepacalc.study.series import Series
from hepacalc.study.slices import Scan, shown_code

__all__ = ["account_for_damage", "choose_series", "judge", "pick"]

_PLAIN = re.compile(
    r"non[\s_-]*(con|enh|ce\b)|un[\s_-]*enh|without|w/o|\bwo\b|\bnativ|\bnc\b|\bncct\b|\bnect\b|\bplain\b|calcium|\bpre\b"
    r"|\bc-(?=\s|$)|平扫|\bsans\b|\bohne\b|\bsin\b",
    re.IGNORECASE,
)
_ENHANCED = re.compile(
    r"arter|portal|venous|venös|veine|delay|\bpv\b|\bpvp\b|\bhap\b|contrast|enhanc|\bcect\b|\bc\+|\+\s*c\b|\bce\b|\bw/"
    r"|equilib|\bpost\b|\bven\b|\bart\b|mit km\b|angio|\bcta\b|phase|动脉|静脉|门脉|延迟|增强",
    re.IGNORECASE,
)
_BOTH = re.compile(r"w/?\s*(and|&|\+)?\s*w/?o\b|with\s*(and|&|\+|/)\s*without", re.IGNORECASE)
_SHARP = re.compile(
    r"lung|bone|sharp|edge|detail|\bhrct\b|ultra|chst|\bfc(3\d|5\d|8\d)|\b[bi]r?[lv]?([67-9]\d)|\by[abcd]\b|\byb\b|^l$|^e$",
    re.IGNORECASE,
)
_SIEMENS_KERNEL = re.compile(r"\b(?:[a-z]{1,2})(\d{2})[a-z]?\b", re.IGNORECASE)
_LIVER = re.compile(r"abd|liver|hepat|leber|foie|bauch|\bcap\b|\btap\b|trunk|body|腹|肝|上腹", re.IGNORECASE)
_ELSEWHERE = re.compile(
    r"head|brain|skull|neuro|neck|spine|knee|foot|hand|wrist|ankle|hip\b|shoulder|extrem|sinus|orbit|dental|temporal|头|颈|脑",
    re.IGNORECASE,
)
_CHEST = re.compile(r"chest|thorax|lung|cardiac|heart|coronar|胸|肺", re.IGNORECASE)
_PROJECTIONS = ("MIP", "MINIP", "MAXIMUM", "MINIMUM", "AVERAGE", "PROJECTION IMAGE", "VOLUME RENDERING", "RENDER")
_REFORMATS = ("MPR", "REFORMATTED", "CSAMANIPULATED", "CURVED")


@dataclass(frozen=True, slots=True)
class _View:
    score: float | None
    reasons: tuple[str, ...]


def judge(series: Series) -> SeriesSummary:
    """Return how fit a series is for measuring calcium; score None when it cannot be measured at all."""
    one = series.first
    view = _unfit(series)
    if view is None:
        view = _fitness(series)
    return SeriesSummary(
        series_instance_uid=series.id,
        description=one.text("SeriesDescription"),
        modality=one.text("Modality") or "CT",
        instances=len(series.slices),
        score=view.score,
        reasons=(*view.reasons, *series.notes),
    )


def _is_kind(series: Series, words: tuple[str, ...]) -> bool:
    kinds = [part.strip().upper() for part in (series.first.text("ImageType") or "").split("\\")][2:]
    return any(
        kind == word or word in kind.split("_") or (" " in word and word in kind) for kind in kinds for word in words
    )


def _unfit(series: Series) -> _View | None:
    """Return why a series cannot be measured, or None."""
    one = series.first
    rescale_type = (one.text("RescaleType") or "HU").upper()
    if _is_kind(series, _PROJECTIONS):
        return _View(None, ("a projection (MIP, MinIP, average or rendering), not CT numbers of single slices",))
    if rescale_type not in ("HU", "US", "HU_MOD"):
        return _View(None, (f"its values are of rescale type {shown_code(rescale_type)}, not HU",))
    if (one.slope is None and not one.head.is_signed) or one.slope == 0:
        return _View(None, ("no rescale slope and intercept, so no HU",))
    if series.problem is not None:
        return _View(None, (f"{series.problem.code}: {series.problem.message}",))
    return None


def _fitness(series: Series) -> _View:
    score = 0.0
    reasons: list[str] = []

    def add(points: float, words: str) -> None:
        nonlocal score
        score += points
        reasons.append(words)

    for points, words in (
        _contrast(series),
        _thickness(series),
        _kernel(series),
        *_coverage(series),
        *_picture(series),
    ):
        if words:
            add(points, words)
    reasons.append(f"{len(series.slices)} slices")
    return _View(round(score + min(len(series.slices), 1000) / 1000, 3), tuple(reasons))


def _words(series: Series) -> str:
    one = series.first
    # "_" counts as a letter in patterns, but not in descriptions
    return " ".join(filter(None, (one.text("SeriesDescription"), one.text("ProtocolName")))).replace("_", " ")


def _contrast(series: Series) -> tuple[float, str]:
    one = series.first
    description = (one.text("SeriesDescription") or "").replace("_", " ")
    agent = one.text("ContrastBolusAgent")
    if _BOTH.search(description):
        return 0, "described as with and without contrast"
    if _PLAIN.search(description):
        return 40, "described as without contrast"
    if _ENHANCED.search(description):
        return -40, "described as a contrast phase"
    if agent is not None and agent.strip().lower() not in ("no", "none", "n", "nein", "0"):
        return -40, "the header names a contrast agent"
    return 0, "the header names no contrast agent, which does not prove that there was none"


def _thickness(series: Series) -> tuple[float, str]:
    step = series.stack.step_mm if series.stack is not None else 99.0
    thick = max(step, series.first.number("SliceThickness") or 0.0)
    words = f"slices {thick:g} mm thick, {step:.3g} mm apart"
    if thick <= 3.0:
        return 30 - 5 * max(thick - 1.0, 0), words
    return max(20 - 8 * (thick - 3.0), -40), words


def _kernel(series: Series) -> tuple[float, str]:
    kernel = series.first.text("ConvolutionKernel")
    if kernel is None:
        return 0, ""
    shown = kernel.replace("\\", " ")
    siemens = _SIEMENS_KERNEL.match(shown)
    if _SHARP.search(shown) or (siemens is not None and int(siemens[1]) >= 50):
        return -20, f"sharp kernel {shown}"
    return 10, f"soft kernel {shown}"


def _coverage(series: Series) -> list[tuple[float, str]]:
    found: list[tuple[float, str]] = []
    extent = series.stack.extent_mm if series.stack is not None else 0.0
    if extent < 150:
        found.append((-40 * (1 - extent / 150), f"covers only {extent:.0f} mm, less than a liver"))
    else:
        found.append((10, f"covers {extent:.0f} mm"))
    place = (
        f"{_words(series)} {series.first.text('BodyPartExamined') or ''} {series.first.text('StudyDescription') or ''}"
    )
    if _LIVER.search(place):
        found.append((10, "described as of the abdomen"))
    elif _ELSEWHERE.search(place):
        found.append((-40, "described as of another part of the body"))
    elif _CHEST.search(place):
        found.append((-10, "described as of the chest"))
    return found


def _picture(series: Series) -> list[tuple[float, str]]:
    one = series.first
    found: list[tuple[float, str]] = []
    normal_z = abs(one.orientation[0] * one.orientation[4] - one.orientation[1] * one.orientation[3])
    if _is_kind(series, _REFORMATS):
        found.append((-20, "a reformatted image"))
    elif normal_z < 0.7:
        found.append((-20, "not axial"))
    if one.head.transfer_syntax in LOSSY_SYNTAXES or one.text("LossyImageCompression") == "01":
        found.append((-10, "compressed with loss"))
    if one.head.bits_stored <= 8:
        found.append((-30, "only 8 bits"))
    return found


def choose_series(
    groups: list[Series], scan: Scan, *, series: str | None = None, allow_gaps: bool = False
) -> tuple[Series, SeriesChoice]:
    """Choose the series that is fittest for measuring calcium, or the one that was asked for.

    Args:
        groups: from :func:`hepacalc.study.group_series`.
        scan: for what was passed over.
        series: SeriesInstanceUID or its ending, with ``#n`` for one stack of several.
        allow_gaps: whether a series with missing slices may be chosen.

    Raises:
        SeriesNotFound: ``series`` names none, or more than one.
        NoSuitableSeries: there is CT, but none that can be measured.
        GeometryError: the only CT has no regular grid.
    """
    judged = [(group, judge(group)) for group in groups]
    judged.sort(key=lambda pair: _rank(pair[1], pair[0]))
    derived = dict(scan.passed_over)
    if series is not None:
        group, chosen = pick(judged, series)
    else:
        group, chosen = _best(judged, allow_gaps)
        if any(summary.score is not None for _, summary in judged):
            for other, summary in judged:
                if other is not group and _is_kind(other, _PROJECTIONS + _REFORMATS):
                    derived["derived image (MIP, MPR)"] = derived.get("derived image (MIP, MPR)", 0) + summary.instances
    others = tuple(summary for other, summary in judged if other is not group)
    return group, SeriesChoice(chosen, others, tuple(sorted(derived.items())))


def _rank(summary: SeriesSummary, group: Series) -> tuple[bool, float, int, str]:
    return summary.score is None, -(summary.score or 0.0), -summary.instances, group.id


def pick(judged: list[tuple[Series, SeriesSummary]], wanted: str) -> tuple[Series, SeriesSummary]:
    """Return the series whose UID is, or ends in, ``wanted``; of several stacks the fittest.

    Raises:
        SeriesNotFound: there is none, or there are several.
    """
    exact = [pair for pair in judged if wanted in (pair[0].id, pair[0].id.split("#")[0])]
    ending = [pair for pair in judged if pair[0].id.endswith(wanted) or pair[0].id.split("#")[0].endswith(wanted)]
    found = exact or (ending if wanted else [])
    if len({pair[0].id.split("#")[0] for pair in found}) == 1:
        return found[0]
    there = "; ".join(f"{s.series_instance_uid} ({s.instances} slices)" for _, s in judged) or "none"
    raise SeriesNotFound(
        f"Series {wanted!r} is {'not in the study' if not found else 'not the ending of one UID only'}. "
        f"There are: {there}.",
        hint="Give one of these UIDs, or an ending that only one of them has.",
    )


def _best(judged: list[tuple[Series, SeriesSummary]], allow_gaps: bool) -> tuple[Series, SeriesSummary]:
    """Return the fittest measurable series; refuse when a far larger one has a hole.

    A short series is not quietly measured in place of the main one that lacks a slice.
    """
    fit = [pair for pair in judged if pair[1].score is not None]
    holed = [pair for pair in judged if pair[1].score is None and _has_gaps(pair[0])]
    main = max(holed, key=lambda pair: len(pair[0].slices), default=None)
    if main is not None and (not fit or 2 * len(fit[0][0].slices) < len(main[0].slices)):
        problem = main[0].problem
        if allow_gaps or problem is None:
            return main
        raise problem
    if fit:
        return fit[0]
    problems: list[HepacalcError] = [group.problem for group, _ in judged if group.problem is not None]
    if len(judged) == len(problems) and problems:
        raise max(judged, key=lambda pair: len(pair[0].slices))[0].problem or problems[0]
    listed = "; ".join(f"{s.series_instance_uid}: {', '.join(s.reasons)}" for _, s in judged[:5])
    raise NoSuitableSeries(
        f"There is CT, but no series that can be measured ({listed}).",
        hint="Send the original axial images of the abdomen.",
    )


def account_for_damage(series: Series, scan: Scan, *, allow_gaps: bool = False) -> None:
    """Refuse a series of which images are damaged; with ``allow_gaps`` note it.

    Damaged files that name no series are noted, since they may belong to it.

    Raises:
        DamagedFile: an image of this series cannot be read.
    """
    uid = series.first.head.series_uid
    lost = [head for head in scan.damaged if head.series_uid == uid]
    if lost and not allow_gaps:
        more = f"; {len(lost)} images of the series are damaged" if len(lost) > 1 else ""
        raise damaged(lost[0], f"{lost[0].damage}{more}")
    if lost:
        series.notes = (
            *series.notes,
            f"{len(lost)} damaged image{'s' if len(lost) > 1 else ''} of the series left out",
        )
    unknown = scan.passed_over.get("damaged DICOM file", 0)
    if unknown:
        series.notes = (*series.notes, f"{unknown} damaged file(s) beside it could not be told to belong to a series")


def _has_gaps(series: Series) -> bool:
    return series.problem is not None and series.problem.code == "GEO-03"
