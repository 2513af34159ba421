"""The content tree of a structured report, read leniently: measurement groups, and what is said outside them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hepacalc.study.slices import shown_uid

__all__ = ["Answer", "MeasurementGroup", "ReadNumber", "answers_of", "groups_of", "selected_images"]

_GROUP, _TRACKING_ID, _TRACKING_UID, _FINDING = "125007", "112039", "112040", "121071"
_SITES = {"363698007", "G-C0E3"}
_SEGMENT = {"121191", "121214"}
_UPPER, _LOWER, _AROUND = ("371886008", "R-00364"), ("371885007", "R-00363"), ("371884006", "R-00362")
_KEY_DESCRIPTION, _DERIVATION = "113012", "121401"
_DEEPEST = 32
_NAMES_OF_PEOPLE = ("PNAME",)
# context of the report that names people, their numbers or places
_SKIPPED = {
    "121008", "121009", "121010", "121011", "121029", "121030", "121031", "121032", "121033", "121034", "121036",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ReadNumber:
    """A number of a report.

    Args:
        name: what was measured.
        derivation: mean, maximum ...; empty where it does not say.
        value: None where there is none.
        unit: UCUM code.
        low: lower end of its interval, from the range of uncertainty; None without.
        high: upper end.
        qualifier: why there is no value, in words; empty where there is one.
        comment: what is said of it.
    """

    name: str
    derivation: str
    value: float | None
    unit: str
    low: float | None
    high: float | None
    qualifier: str
    comment: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A coded or worded statement: its name and what it says, with what hangs below it."""

    name: str
    value: str
    more: tuple[Answer, ...] = ()


@dataclass(frozen=True, slots=True)
class MeasurementGroup:
    """One measurement group.

    Args:
        tracking_id: Tracking Identifier.
        tracking_uid: Tracking Unique Identifier.
        finding: what it is.
        sites: where it is.
        segmentation_uid: SOPInstanceUID of the segmentation that it points to; empty without.
        segments: numbers of the segments.
        numbers: its measurements.
        statements: its coded and worded statements.
    """

    tracking_id: str
    tracking_uid: str
    finding: str
    sites: tuple[str, ...]
    segmentation_uid: str
    segments: tuple[int, ...]
    numbers: tuple[ReadNumber, ...]
    statements: tuple[Answer, ...]


def groups_of(data: Any) -> Iterator[MeasurementGroup]:
    """Yield the measurement groups of a report, wherever they stand."""
    for item in _walk(data, 0):
        if item.get("ValueType") == "CONTAINER" and _name(item)[0] == _GROUP:
            yield _group(item)


def answers_of(data: Any) -> Iterator[Answer]:
    """Yield what a report says outside its measurement groups and its image library, without the observer's names."""
    for item in data.get("ContentSequence") or ():
        yield from _answers(item, 0)


def selected_images(data: Any) -> tuple[str, tuple[tuple[str, int | None], ...]]:
    """Return the description of a key object selection, and its images with their frame numbers."""
    description = ""
    images: list[tuple[str, int | None]] = []
    for item in _walk(data, 0):
        if item.get("ValueType") == "TEXT" and _name(item)[0] == _KEY_DESCRIPTION:
            description = str(item.get("TextValue", ""))
        for one in item.get("ReferencedSOPSequence") or ():
            uid = shown_uid(str(one.get("ReferencedSOPInstanceUID", "")), "")
            numbers = _integers(one.get("ReferencedFrameNumber"))
            found: list[int | None] = [*numbers]
            images += [(uid, n) for n in found or [None]]
    return description, tuple(images)


def _walk(item: Any, depth: int) -> Iterator[Any]:
    """Yield every content item below one."""
    if depth > _DEEPEST:
        raise ValueError("content items nested too deeply")
    for child in item.get("ContentSequence") or ():
        yield child
        yield from _walk(child, depth + 1)


def _code(item: Any, sequence: str) -> tuple[str, str]:
    """Return code value and meaning of the first code of a sequence."""
    for code in item.get(sequence) or ():
        value = code.get("CodeValue") or code.get("LongCodeValue") or code.get("URNCodeValue") or ""
        return str(value), str(code.get("CodeMeaning", "")) or str(value)
    return "", ""


def _name(item: Any) -> tuple[str, str]:
    return _code(item, "ConceptNameCodeSequence")


def _integers(value: Any) -> list[int]:
    if value is None or value == "":
        return []
    return [int(n) for n in value] if hasattr(value, "__iter__") and not isinstance(value, str) else [int(value)]


def _group(group: Any) -> MeasurementGroup:
    tracking_id = tracking_uid = finding = uid = ""
    sites: list[str] = []
    segments: list[int] = []
    numbers: list[ReadNumber] = []
    statements: list[Answer] = []
    for item in group.get("ContentSequence") or ():
        code, kind = _name(item)[0], str(item.get("ValueType", ""))
        if kind == "NUM":
            numbers.append(_number(item))
        elif code == _TRACKING_ID:
            tracking_id = str(item.get("TextValue", ""))
        elif code == _TRACKING_UID:
            tracking_uid = shown_uid(str(item.get("UID", "")), "")
        elif code == _FINDING and kind == "CODE":
            finding = _code(item, "ConceptCodeSequence")[1]
        elif code in _SITES:
            sites.append(_code(item, "ConceptCodeSequence")[1])
        elif kind == "IMAGE":
            for one in item.get("ReferencedSOPSequence") or ():
                found = _integers(one.get("ReferencedSegmentNumber"))
                if found or code in _SEGMENT:
                    uid = shown_uid(str(one.get("ReferencedSOPInstanceUID", "")), "")
                    segments += found
        elif kind in ("CODE", "TEXT"):
            statements += _answers(item, 0)
    return MeasurementGroup(
        tracking_id, tracking_uid, finding, tuple(sites), uid, tuple(segments), tuple(numbers), tuple(statements)
    )


def _number(item: Any) -> ReadNumber:
    value, unit = _measured(item)
    below = {_name(child)[0]: child for child in item.get("ContentSequence") or () if child.get("ValueType") == "NUM"}
    upper = next((_measured(below[c])[0] for c in (*_UPPER, *_AROUND) if c in below), None)
    lower = next((_measured(below[c])[0] for c in (*_LOWER, *_AROUND) if c in below), None)
    words = [
        str(child.get("TextValue", ""))
        for child in item.get("ContentSequence") or ()
        if child.get("ValueType") == "TEXT"
    ]
    derived = (
        _code(child, "ConceptCodeSequence")[1]
        for child in item.get("ContentSequence") or ()
        if _name(child)[0] == _DERIVATION
    )
    return ReadNumber(
        _name(item)[1],
        next(derived, ""),
        value,
        unit,
        None if value is None or lower is None else value - lower,
        None if value is None or upper is None else value + upper,
        _code(item, "NumericValueQualifierCodeSequence")[1],
        "; ".join(dict.fromkeys(words)),
    )


def _measured(item: Any) -> tuple[float | None, str]:
    for one in item.get("MeasuredValueSequence") or ():
        value = one.get("NumericValue")
        return (None if value is None else float(value)), _code(one, "MeasurementUnitsCodeSequence")[0]
    return None, ""


def _answers(item: Any, depth: int) -> Iterator[Answer]:
    """Yield a statement; containers give way to what is in them."""
    code, name = _name(item)
    kind = str(item.get("ValueType", ""))
    if depth > _DEEPEST:
        raise ValueError("content items nested too deeply")
    if code in {_GROUP, "111028", *_SKIPPED} or kind in _NAMES_OF_PEOPLE:
        return
    children = item.get("ContentSequence") or ()
    if kind == "CONTAINER":
        for child in children:
            yield from _answers(child, depth + 1)
        return
    value = _value(item, kind)
    if value is not None:
        yield Answer(name, value, tuple(one for child in children for one in _answers(child, depth + 1)))


def _value(item: Any, kind: str) -> str | None:
    if kind == "CODE":
        return _code(item, "ConceptCodeSequence")[1]
    if kind == "TEXT":
        return str(item.get("TextValue", ""))
    if kind == "NUM":
        value, unit = _measured(item)
        return "no value" if value is None else f"{value:g} {unit}".strip()
    if kind == "UIDREF":
        return shown_uid(str(item.get("UID", "")), "")
    return None
