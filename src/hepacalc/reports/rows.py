"""Findings of a report as one flat row, as plain data for JSON, and as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hepacalc.reason.records import as_plain
from hepacalc.records import NotMeasured
from hepacalc.reports.records import Mention, ReportFindings, Words

__all__ = ["COLUMNS", "document_of", "row_of", "text_of"]

COLUMNS: dict[str, str] = {
    "id": "VARCHAR", "language": "VARCHAR", "modality": "VARCHAR", "liver_calcification": "VARCHAR",
    "confidence": "DOUBLE", "number": "VARCHAR", "count": "INTEGER", "largest_mm": "DOUBLE", "segments": "VARCHAR",
    "lobes": "VARCHAR", "patterns": "VARCHAR", "hosts": "VARCHAR", "density_hu": "DOUBLE", "change": "VARCHAR",
    "advice": "VARCHAR", "advice_modality": "VARCHAR", "advice_days_min": "INTEGER", "advice_days_max": "INTEGER",
    "other_organs": "VARCHAR", "mimics": "VARCHAR", "start": "INTEGER", "end": "INTEGER", "words": "VARCHAR",
    "problem": "VARCHAR",
}  # fmt: skip
"""Columns of a table of reports with their DuckDB types; sizes in mm, density in HU, times in days."""
_CALCIUM = ("calcification", "bright_echo", "dense")
SCHEMA_VERSION = "1.0"


def row_of(found: ReportFindings, name: str, *, words: bool = True, problem: str = "") -> dict[str, Any]:
    """Return one row; what the report does not say is None.

    Args:
        found: of :func:`hepacalc.reports.read_report`.
        name: id of the report.
        words: whether the words that decide stand in the row; their places always do.
        problem: why it could not be read, when it could not.
    """
    telling = _telling(found)
    first = telling[0] if telling else None
    numbers = [m.number for m in telling if m.number]
    sizes = [size.diameters_mm[0] for m in telling for size in m.sizes]
    densities = [m.density_hu[0] for m in telling if m.density_hu]
    changes = [m.change.kind for m in telling if m.change]
    advice = found.advice[0] if found.advice else None
    interval = next((a.interval_days for a in found.advice if a.interval_days), None)
    stated = [m for m in found.mentions if m.state in ("present", "probable")]
    return {
        "id": name,
        "language": found.language,
        "modality": None if isinstance(found.modality, NotMeasured) else found.modality,
        "liver_calcification": found.liver_calcification,
        "confidence": found.confidence,
        "number": numbers[0].word if numbers else None,
        "count": numbers[0].count if numbers else None,
        "largest_mm": max(sizes, default=None),
        "segments": _joined(s for m in telling for site in m.sites for s in site.segments),
        "lobes": _joined(lobe for m in telling for site in m.sites for lobe in site.lobes),
        "patterns": _joined(state for m in telling for state, _ in m.patterns),
        "hosts": _joined(state for m in telling for state, _ in m.hosts),
        "density_hu": max(densities, default=None),
        "change": changes[0] if changes else None,
        "advice": _joined(a.kind for a in found.advice),
        "advice_modality": advice.modality if advice else None,
        "advice_days_min": interval[0] if interval else None,
        "advice_days_max": interval[1] if interval else None,
        "other_organs": _joined(
            organ for m in stated if m.kind == "calcification" for organ in m.organs if organ != "liver"
        ),
        "mimics": _joined(m.kind for m in stated if m.kind not in _CALCIUM),
        "start": first.words[0].start if first else None,
        "end": first.words[0].end if first else None,
        "words": first.words[0].text if first and words else None,
        "problem": problem or None,
    }


def _telling(found: ReportFindings) -> list[Mention]:
    """The mentions of the liver at the level of the answer, and the bright echoes that it explains."""
    of = {
        "yes": ("present", "probable"), "uncertain": ("possible",), "no": ("absent", "gone"), "history": ("history",),
        "not_stated": (),
    }[found.liver_calcification]  # fmt: skip
    named = [m for m in found.liver_mentions if m.state in of and m.kind == "calcification"]
    described = [m for m in found.liver_mentions if m.kind != "calcification" and m.state in ("probable", "possible")]
    return [*named, *described] if found.liver_calcification in ("yes", "uncertain") else named


def _joined(values: Iterator[str]) -> str | None:
    return ";".join(dict.fromkeys(values)) or None


def document_of(found: ReportFindings, name: str, *, words: bool = True) -> dict[str, Any]:
    """Return everything as plain data for JSON; without ``words`` only the places of words are kept."""
    plain = {"schema_version": SCHEMA_VERSION, "id": name, **as_plain(found)}
    if isinstance(found.modality, NotMeasured):
        plain["modality"] = {"not_measured": found.modality.reason}
    return plain if words else _without_words(plain)


def _without_words(value: Any) -> Any:
    if isinstance(value, dict):
        place = {"start", "end", "text", "role"} == set(value)
        return {key: _without_words(part) for key, part in value.items() if not (place and key == "text")}
    return [_without_words(part) for part in value] if isinstance(value, list) else value


def text_of(found: ReportFindings, *, words: bool = True) -> str:
    """Return the findings in words, one line a mention; of the report itself only the words that were matched."""
    answer = found.liver_calcification.replace("_", " ")
    how = "not named" if isinstance(found.modality, NotMeasured) else found.modality.replace("_", " ")
    lines = [f"Calcification of the liver: {answer} (confidence {found.confidence:.2f}). Modality: {how}."]
    for m in found.mentions:
        place = ", ".join(m.organs).replace("_", " ") or "no organ named"
        lines.append(
            f"- {m.kind.replace('_', ' ')}, {place}: {m.state} ({m.confidence:.2f})"
            f"{_details(m)} {_quoted(m.words, words)}"
        )
    for advice in found.advice:
        when = ""
        if advice.interval_days:
            low, high = advice.interval_days
            when = f", {low} days" if low == high else f", {low} to {high} days"
        by = f" by {advice.modality.replace('_', ' ')}" if advice.modality else ""
        lines.append(f"- recommended: {advice.kind.replace('_', ' ')}{by}{when} {_quoted((advice.words,), words)}")
    return "\n".join(lines)


def _details(m: Mention) -> str:
    parts = []
    if m.number:
        parts.append(str(m.number.count or m.number.word))
    parts += ["x".join(f"{d:g}" for d in size.diameters_mm) + " mm" for size in m.sizes]
    parts += ["segment " + "/".join(site.segments) for site in m.sites if site.segments]
    parts += [lobe.replace("_", " ") for site in m.sites for lobe in site.lobes]
    parts += [state for state, _ in m.patterns]
    if m.change:
        parts.append(m.change.kind)
    return "; " + ", ".join(dict.fromkeys(parts)) if parts else ""


def _quoted(found: tuple[Words, ...], words: bool) -> str:
    shown = (f'"{w.text}" {w.start}-{w.end}' if words else f"{w.role} {w.start}-{w.end}" for w in found)
    return "[" + "; ".join(" ".join(part.split()) for part in shown) + "]"
