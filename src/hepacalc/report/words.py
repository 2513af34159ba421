"""Every sentence of the report in one place, in the language that is spoken.

Templates call :func:`text` with a key; nothing else in ``report`` holds prose. :func:`summary` puts the
answer of page one into words, and :func:`summary_text` is the same for a terminal.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Literal, NamedTuple

from hepacalc.records import Assessment, Certainty, Kind, Lesion, Measured, Measurement, NotMeasured, Segment
from hepacalc.report.language import phrase
from hepacalc.report.marks import mark
from hepacalc.report.numbers import percent, shown
from hepacalc.report.phrases import CERTAINTIES, KINDS, LEVELS, MEASUREMENTS, PHASES, PHRASES
from hepacalc.report.reason_views import reasoning_of
from hepacalc.report.reason_words import summary_lines

__all__ = [
    "Summary",
    "certainty_text",
    "date_text",
    "kind_text",
    "level_text",
    "lobe_text",
    "measurement_name",
    "measurement_text",
    "obstacles",
    "phase_text",
    "plural",
    "segment_text",
    "summary",
    "summary_text",
    "text",
]

LOW_LIVER_CONFIDENCE = 0.5
"""Below this confidence of the liver outline the report does not say that nothing is there."""

_DOUBTFUL_SEGMENT = 0.6
POSSIBLE_SEGMENT = 0.15
"""From this probability on the second likeliest segment is named as possible."""

Tone = Literal["found", "indeterminate", "none", "none-limited", "unjudged"]


class Summary(NamedTuple):
    """Page one in words: the answer, how it is to be taken, and what stands against it."""

    tone: Tone
    headline: str
    sure: tuple[str, ...]
    size: str
    where: tuple[str, ...]
    limits: tuple[str, ...]


def text(key: str, **values: object) -> str:
    """Return the phrase of ``key`` with ``values`` put in."""
    return phrase(key, PHRASES[key]).format(**values)


def plural(count: int, key: str) -> str:
    """Return ``count`` with the noun of ``key`` in the right number: ``1 lesion``, ``2 lesions``."""
    return text(f"{key}.one" if count == 1 else f"{key}.many", count=count)


def kind_text(kind: Kind) -> str:
    """Return what a candidate is taken for, as a reader says it."""
    return phrase(f"kind.{kind}", KINDS[kind])


def certainty_text(certainty: Certainty) -> str:
    """Return how sure a kind is."""
    return phrase(f"certainty.{certainty}", CERTAINTIES[certainty])


def phase_text(name: str) -> str:
    """Return a contrast phase."""
    return phrase(f"phase-name.{name}", PHASES[name])


def level_text(level: str) -> str:
    """Return the level of a quality finding."""
    return phrase(f"level-name.{level}", LEVELS[level])


def measurement_name(name: str) -> str:
    """Return the name of a measurement of :data:`hepacalc.records.MEASUREMENTS`."""
    return phrase(f"number-of.{name}", MEASUREMENTS[name])


def measurement_text(number: Measurement) -> str:
    """Return ``12.3 mg (10.9 to 13.8)``, or ``not measured: reason``."""
    if isinstance(number, NotMeasured):
        return text("not-measured", reason=number.reason)
    value, low, high, unit = shown(number)
    out = f"{value} {unit}".rstrip()
    return text("with-range", number=out, range=text("range", low=low, high=high)) if low else out


def date_text(stamp: str) -> str:
    """Return a DICOM date or an ISO time stamp as ``2026-11-22 10:42 UTC``; anything else as it is."""
    if re.fullmatch(r"\d{8}", stamp):
        return f"{stamp[:4]}-{stamp[4:6]}-{stamp[6:]}"
    found = re.fullmatch(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(?::\d\d(?:\.\d+)?)?(Z|[+-]\d\d:\d\d)?", stamp)
    if not found:
        return stamp
    zone = {None: "", "Z": " UTC", "+00:00": " UTC"}.get(found[3], f" {found[3]}")
    return f"{found[1]} {found[2]}{zone}"


def lobe_text(segment_name: str) -> str:
    """Return the lobe of a Couinaud segment, ``right lobe`` for ``VIII`` or ``8``; empty when unknown."""
    name = re.sub(r"(?i)segment|[\s_-]", "", segment_name).upper().rstrip("AB")
    number = {"I": 1, "II": 2, "III": 3, "IV": 4, "V": 5, "VI": 6, "VII": 7, "VIII": 8}.get(name)
    number = int(name) if number is None and name.isdigit() else number
    if number is None or not 1 <= number <= 8:
        return ""
    return text("lobe.caudate" if number == 1 else "lobe.left" if number <= 4 else "lobe.right")


def segment_text(segment: Segment | NotMeasured) -> str:
    """Return ``VIII (93 %)``, ``VIII (70 %; VII possible)``, or the two likeliest when no segment stands out."""
    if isinstance(segment, NotMeasured):
        return text("not-measured", reason=segment.reason)
    (first, sure), *rest = segment.probabilities
    if sure >= _DOUBTFUL_SEGMENT and rest and rest[0][1] >= POSSIBLE_SEGMENT:
        return text("segment.possible", name=first, p=percent(sure), other=rest[0][0])
    if sure >= _DOUBTFUL_SEGMENT or not rest:
        return text("segment.sure", name=first, p=percent(sure))
    return text("segment.or", a=first, pa=percent(sure), b=rest[0][0], pb=percent(rest[0][1]))


def obstacles(assessment: Assessment) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what forbids to say that nothing is there, and what merely limits it.

    Returns:
        Two tuples of sentences: grave (severe input fault, liver outline in doubt, smallest visible focus
        unknown) and mild (contrast medium, liver cut off, warnings about the input).
    """
    grave = [q.text for q in assessment.quality if q.level == "severe"]
    mild = []
    liver, smallest = assessment.liver, assessment.burden.smallest_trusted_mm
    if liver.confidence < LOW_LIVER_CONFIDENCE:
        grave.append(text("limit.liver-confidence", confidence=percent(liver.confidence)))
    if isinstance(liver.volume_ml, NotMeasured):
        grave.append(text("limit.no-liver-volume", reason=liver.volume_ml.reason))
    if isinstance(smallest, NotMeasured):
        grave.append(text("limit.no-smallest", reason=smallest.reason))
    if assessment.phase.name == "undetermined":
        mild.append(text("limit.phase-undetermined"))
    elif assessment.phase.is_contrast:
        mild.append(text("limit.contrast", phase=phase_text(assessment.phase.name)))
    # what these sentences say, the checks of the input need not say again
    told = {"QC-PHASE"} if mild else set()
    if not liver.is_complete:
        mild.append(text("limit.liver-cut"))
    mild += [q.text for q in assessment.quality if q.level == "warning" and q.code not in told]
    return tuple(grave), tuple(mild)


def summary(assessment: Assessment) -> Summary:
    """Return the answer of page one in words, never surer than the input allows."""
    burden = assessment.burden
    grave, mild = obstacles(assessment)
    severe = [q.text for q in assessment.quality if q.level == "severe"]
    limits = _unique((*severe, *assessment.limits, *grave, *mild))
    calcified = [lesion for lesion in assessment.lesions if lesion.kind == "calcification"]
    named = calcified or list(assessment.lesions)
    if burden.calcifications:
        tone: Tone = "found"
        headline = plural(burden.calcifications, "headline.found")
        if not assessment.liver.is_complete:
            headline = text("headline.in-view", headline=headline)
        if assessment.phase.is_contrast:
            headline = text("headline.contrast", headline=headline)
    elif burden.indeterminate:
        tone, headline = "indeterminate", plural(burden.indeterminate, "headline.indeterminate")
    elif grave:
        tone, headline = "unjudged", text("headline.unjudged")
    else:
        smallest = _threshold(burden.smallest_trusted_mm)
        tone = "none-limited" if mild or assessment.limits else "none"
        headline = text(f"headline.{tone}", smallest=smallest)
    if grave and assessment.lesions:
        headline = text("headline.hidden", headline=headline)
    return Summary(tone, headline, _sure(assessment), _size(assessment, named), _where(named), limits)


def summary_text(assessment: Assessment) -> str:
    """Return the answer in a few plain lines, for a terminal or a text field."""
    words = summary(assessment)
    lines = [words.headline]
    if words.sure:
        lines.append(text("line.sure", words=mark("comma").join(words.sure)))
    if assessment.lesions:
        lines += [text("line.size", words=words.size), text("line.where", words=mark("semicolon").join(words.where))]
    lines += [text("line.limits")] + [f"- {limit}" for limit in words.limits] if words.limits else []
    if (reasoning := reasoning_of(assessment)) is not None:
        lines += summary_lines(reasoning, assessment.run.created[:10])
    lines.append(text("disclaimer.short"))
    return "\n".join(lines)


def _sure(assessment: Assessment) -> tuple[str, ...]:
    """Count calcifications by certainty, then the indeterminate ones; name the doubt that contrast medium brings."""
    count = Counter(lesion.certainty for lesion in assessment.lesions if lesion.kind == "calcification")
    parts = [
        text("sure.count", count=count[c], certainty=certainty_text(c))
        for c in ("certain", "probable", "possible")
        if count[c]
    ]
    if assessment.burden.indeterminate:
        parts.append(plural(assessment.burden.indeterminate, "also.indeterminate" if parts else "indeterminate"))
    if assessment.phase.is_contrast and assessment.lesions:
        parts.append(text("sure.contrast"))
    return tuple(parts)


def _size(assessment: Assessment, named: list[Lesion]) -> str:
    extents = [n.extent_mm for n in named if isinstance(n.extent_mm, Measured)]
    largest = max(extents, key=lambda n: n.value) if extents else None
    parts = [text("size.largest", largest=measurement_text(largest)) if largest else text("none-measured")]
    if assessment.burden.calcifications:
        parts.insert(0, text("size.total", total=measurement_text(assessment.burden.total_mass_mg)))
    return mark("semicolon").join(parts)


def _where(named: Iterable[Lesion]) -> tuple[str, ...]:
    """Group lesions by lobe: ``right lobe: 2 (segments VI, VIII)``, ``segment not known: 1``."""
    lobes: dict[str, list[str]] = {}
    sure: set[str] = set()
    for lesion in named:
        if isinstance(lesion.segment, NotMeasured):
            lobes.setdefault(text("lobe.unknown"), []).append("")
            continue
        name, probability = lesion.segment.probabilities[0]
        if probability >= _DOUBTFUL_SEGMENT:
            sure.add(name)
        lobes.setdefault(lobe_text(name) or text("lobe.unknown"), []).append(name)
    parts = []
    for lobe, names in sorted(lobes.items(), key=lambda item: (-len(item[1]), item[0])):
        # a segment is in doubt when that of every lesion in it is
        listed = [n if n in sure else text("segment.doubt", name=n) for n in sorted({n for n in names if n})]
        if not listed:
            parts.append(text("where.lobe", lobe=lobe, count=len(names)))
            continue
        segments = text("segments.one" if len(listed) == 1 else "segments.many", names=mark("list").join(listed))
        parts.append(text("where.segments", lobe=lobe, count=len(names), segments=segments))
    return tuple(parts)


def _threshold(smallest: Measurement) -> str:
    """The diameter from which a focus would have been seen: the upper end of the interval, to be safe."""
    if isinstance(smallest, NotMeasured):
        return text("not-measured", reason=smallest.reason)
    value, _, high, unit = shown(smallest)
    return f"{high or value} {unit}"


def _unique(sentences: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(s.strip() for s in sentences if s.strip()))
