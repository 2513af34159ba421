"""The small parts that our FHIR resources are made of, and the bundle that they go into.

Reference: HL7 FHIR R4 (4.0.1): datatypes, references, Bundle (transaction).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote
from uuid import NAMESPACE_OID, uuid5

from hepacalc.interop.codes import INTERVAL_HIGH, INTERVAL_LOW, LOCAL, LOCAL_UID, Code, unit_code
from hepacalc.interop.fhir.texts import text
from hepacalc.records import Measured, Measurement, NotMeasured
from hepacalc.report.language import spoken
from hepacalc.report.numbers import significant, unit_text
from hepacalc.report.schema import plain_text

__all__ = [
    "BAND",
    "IDENTIFIERS",
    "INTERVAL",
    "Entries",
    "Json",
    "coding",
    "component",
    "concept",
    "date_of",
    "notes",
    "number",
    "own",
    "quantity",
    "unknown",
]

Json = dict[str, Any]

IDENTIFIERS = f"urn:oid:{LOCAL_UID}.1"
"""System of our own identifiers: pseudonyms, rules, versions."""
INTERVAL = f"urn:oid:{LOCAL_UID}.2"
"""URL of the extension of a number in a component: ``range``, ``level``, ``method``."""
BAND = f"urn:oid:{LOCAL_UID}.3"
"""URL of the extension of a prediction: its 5-95 % band as a Range in per cent."""

_ABSENT = "http://terminology.hl7.org/CodeSystem/data-absent-reason"


def own(value: str, meaning: str) -> Code:
    """Return a code of our own scheme."""
    return Code(value, LOCAL, meaning)


def coding(code: Code) -> Json:
    """Return a Coding."""
    return {"system": code.system, "code": code.value, "display": code.meaning}


def concept(code: Code, words: str | None = None) -> Json:
    """Return a CodeableConcept of one code, with a text for readers."""
    return {"coding": [coding(code)], "text": words}


def quantity(value: float, unit: str) -> Json:
    """Return a Quantity with six significant digits, as in ``assessment.json``."""
    code = unit_code(unit)
    shown = unit_text(unit) or code.value
    return {"value": significant(value), "unit": shown, "system": code.system, "code": code.value}


def unknown(reason: str) -> Json:
    """Return what stands in place of a value that could not be had: never a number."""
    code = {"system": _ABSENT, "code": "unknown", "display": "Unknown"}
    return {"dataAbsentReason": {"coding": [code], "text": reason}}


def number(measured: Measurement) -> Json:
    """Return value, interval and method of an Observation that is one number."""
    if isinstance(measured, NotMeasured):
        return unknown(measured.reason)
    level = f"{100 * measured.level:g} %"
    ends = ((INTERVAL_LOW, measured.low), (INTERVAL_HIGH, measured.high))
    return {
        "valueQuantity": quantity(measured.value, measured.unit),
        "method": {"text": measured.method},
        "component": [
            {
                "code": concept(code, text(code.value, level=level)),
                "valueQuantity": quantity(end, measured.unit),
            }
            for code, end in ends
        ],
    }


def component(code: Code, measured: Measurement) -> Json:
    """Return a component that is one number; interval and method are an extension, a component has no other place."""
    if isinstance(measured, NotMeasured):
        return {"code": concept(code)} | unknown(measured.reason)
    return {
        "extension": [{"url": INTERVAL, "extension": _interval(measured)}],
        "code": concept(code),
        "valueQuantity": quantity(measured.value, measured.unit),
    }


def _interval(measured: Measured) -> list[Json]:
    ends = {name: quantity(value, measured.unit) for name, value in (("low", measured.low), ("high", measured.high))}
    return [
        {"url": "range", "valueRange": ends},
        {"url": "level", "valueDecimal": measured.level},
        {"url": "method", "valueString": measured.method},
    ]


def notes(texts: Iterable[str]) -> list[Json]:
    """Return texts as Annotations, each once."""
    return [{"text": one} for one in dict.fromkeys(texts) if one.strip()]


def date_of(stamp: str | None) -> str | None:
    """Return a DICOM date as a FHIR date; None when it is none."""
    if stamp is None or len(stamp) != 8 or not stamp.isdecimal():
        return None
    try:
        return datetime.strptime(stamp, "%Y%m%d").date().isoformat()
    except ValueError:
        return None


class Entries:
    """The entries of a transaction; every resource gets a ``urn:uuid`` that depends on the assessment and its key.

    Args:
        origin: what tells this assessment from every other.
    """

    def __init__(self, origin: str) -> None:
        self._origin, self._language = origin, {"zh": "zh-CN"}.get(spoken(), spoken())
        self._entries: dict[str, Json] = {}

    def add(self, key: str, kind: str, content: Mapping[str, Any], *, unless: tuple[str, str] | None = None) -> Json:
        """Add a resource and return a reference to it.

        Args:
            key: names it within this bundle.
            kind: resource type.
            content: its elements; empty ones are left out.
            unless: system and value of an identifier: not created where a resource has it already.
        """
        url = f"urn:uuid:{uuid5(NAMESPACE_OID, f'{self._origin}:{key}')}"
        if key in self._entries:
            raise KeyError(key)
        request = {"method": "POST", "url": kind}
        if unless is not None:
            request["ifNoneExist"] = f"identifier={quote(unless[0], safe=':/.')}|{quote(unless[1], safe=':/.')}"
        resource = {"resourceType": kind, "language": self._language, **pruned(content)}
        self._entries[key] = {"fullUrl": url, "resource": resource, "request": request}
        return {"reference": url, "type": kind}

    def bundle(self, created: str) -> Json:
        """Return the Bundle."""
        identifier = {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{uuid5(NAMESPACE_OID, self._origin)}"}
        return {
            "resourceType": "Bundle",
            "identifier": identifier,
            "type": "transaction",
            "timestamp": created,
            "entry": list(self._entries.values()),
        }


def pruned(value: Any) -> Any:
    """Return a resource without empty elements, its texts as any file can hold them."""
    if isinstance(value, str):
        return plain_text(value).strip()
    if isinstance(value, list | tuple):
        return [one for one in (pruned(v) for v in value) if not _is_empty(one)]
    if isinstance(value, Mapping):
        return {k: one for k, one in ((k, pruned(v)) for k, v in value.items()) if not _is_empty(one)}
    return value


def _is_empty(value: Any) -> bool:
    return value is None or value in ("", [], {})
