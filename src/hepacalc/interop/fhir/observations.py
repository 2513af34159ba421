"""What was measured: the liver, the whole burden, each lesion and each focus, every number with its interval.

All are ``preliminary``: no person has verified them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hepacalc.interop.codes import (
    CERTAINTIES,
    CERTAINTY,
    EXTENT,
    KIND_CODES,
    LIVER,
    LIVER_SEGMENT,
    MEASUREMENT_CODES,
    PATTERN,
    PATTERN_CODES,
    VOLUME,
    Code,
    segment_site,
)
from hepacalc.interop.fhir.elements import Entries, Json, component, concept, notes, number, own, unknown
from hepacalc.interop.fhir.study import add_lesion_site, site
from hepacalc.interop.fhir.texts import text
from hepacalc.interop.identity import focus_tracking
from hepacalc.records import MEASUREMENTS, Assessment, Focus, Lesion, Measurement, NotMeasured, Pattern
from hepacalc.report import words
from hepacalc.report.numbers import percent, significant

__all__ = ["Frame", "add_burden", "add_focus", "add_lesion", "add_liver"]

APART = ("volume_mm3", "mass_mg", "max_hu", "mean_hu", "diameter_mm")
"""Measurements of a focus that are Observations of their own; the others are components of the focus."""

_LESION = own("lesion", "Lesion of the liver that may hold calcium")
_FOCUS = own("focus", "Bright focus on CT")
_BURDEN = own("burden", "Calcification of the whole liver")
_PHASE = own("contrast-phase", "Contrast phase")
_PROBABILITY = own("probability", "Probability")
_NOISE = own("noise-hu", "Noise of one voxel of liver")
_SMALLEST = own("smallest-trusted", "Smallest focus that this scan would show")
_MIMIC = own("mimic", "Might be mistaken for")
_COUNTS = {
    "calcifications": own("count-calcifications", "Lesions called calcification"),
    "certain": own("count-certain", "Of these, certain"),
    "indeterminate": own("count-indeterminate", "Lesions called indeterminate"),
    "mimics": own("count-mimics", "Foci called anything else"),
}
_CATEGORY = {
    "system": "http://terminology.hl7.org/CodeSystem/observation-category",
    "code": "imaging",
    "display": "Imaging",
}


@dataclass(frozen=True, slots=True)
class Frame:
    """What all Observations of a bundle share.

    Args:
        entries: where they go.
        assessment: what they are of, its sentences in the language that is spoken.
        original: the same as it was made, for codes.
        subject: reference to the patient.
        device: reference to this program.
        study: reference to the ImagingStudy; None without UIDs.
        effective: date of the scan; None when not known.
    """

    entries: Entries
    assessment: Assessment
    original: Assessment
    subject: Json
    device: Json
    study: Json | None
    effective: str | None

    def observe(self, key: str, code: Code, value: Json, **more: Any) -> Json:
        """Add one Observation and return a reference to it."""
        content = {
            "status": "preliminary",
            "category": [{"coding": [_CATEGORY]}],
            "code": concept(code),
            "subject": self.subject,
            "effectiveDateTime": self.effective,
            "device": self.device,
            "derivedFrom": [self.study],
        }
        return self.entries.add(key, "Observation", content | value | more)


def add_liver(frame: Frame) -> list[Json]:
    """Add the numbers about the liver and the contrast phase."""
    liver, phase = frame.assessment.liver, frame.assessment.phase
    where = concept(LIVER)
    made = [
        frame.observe(f"liver {key}", code, number(measured), bodySite=where, note=remarks)
        for key, code, measured, remarks in (
            ("volume", VOLUME, liver.volume_ml, notes((text("found-by", method=liver.method), *liver.warnings))),
            ("hu", MEASUREMENT_CODES["mean_hu"], liver.parenchyma_hu, []),
            ("noise", _NOISE, liver.noise_hu, []),
        )
    ]
    value = {"valueCodeableConcept": concept(own(phase.name.replace(" ", "-"), phase.name.capitalize()))}
    sure = {"code": concept(_PROBABILITY), "valueQuantity": _ratio(phase.probability)}
    made.append(frame.observe("phase", _PHASE, value, component=[sure], note=notes(phase.evidence)))
    return made


def add_burden(frame: Frame) -> Json:
    """Add the whole liver in a line, with what limits the answer."""
    burden = frame.assessment.burden
    counts = [{"code": concept(code), "valueInteger": getattr(burden, name)} for name, code in _COUNTS.items()]
    members = [
        frame.observe(f"burden {key}", code, number(measured), bodySite=concept(LIVER))
        for key, code, measured in (
            ("mass", MEASUREMENT_CODES["mass_mg"], burden.total_mass_mg),
            ("volume", VOLUME, burden.total_volume_mm3),
            ("smallest", _SMALLEST, burden.smallest_trusted_mm),
        )
    ]
    words_ = words.summary(frame.assessment)
    return frame.observe(
        "burden", _BURDEN, {"valueString": words_.headline}, bodySite=concept(LIVER), component=counts,
        hasMember=members, note=notes(words_.limits),
    )  # fmt: skip


def add_lesion(frame: Frame, lesion: Lesion) -> Json:
    """Add a lesion with its place, its sums and its foci."""
    where = add_lesion_site(frame.entries, frame.assessment, lesion, frame.subject)
    key = f"lesion {lesion.id}"
    members = [
        frame.observe(f"{key} {name}", code, number(measured), bodySite=site(lesion.segment), focus=[where])
        for name, code, measured in (
            ("mass", MEASUREMENT_CODES["mass_mg"], lesion.mass_mg),
            ("volume", VOLUME, lesion.volume_mm3),
            ("extent", EXTENT, lesion.extent_mm),
        )
    ]
    members += [add_focus(frame, focus, where) for focus in frame.assessment.foci if focus.id in lesion.focus_ids]
    return frame.observe(
        key,
        _LESION,
        {"valueCodeableConcept": concept(KIND_CODES[lesion.kind], words.kind_text(lesion.kind))},
        bodySite=site(lesion.segment),
        focus=[where],
        component=_described(lesion, next(o.pattern for o in frame.original.lesions if o.id == lesion.id)),
        hasMember=members,
        note=notes(lesion.reasons),
    )


def add_focus(frame: Frame, focus: Focus, where: Json | None = None) -> Json:
    """Add a focus, calcification or mimic.

    Args:
        frame: what it shares with the others.
        focus: the focus.
        where: BodyStructure of its lesion; None for a mimic, whose numbers are components only.
    """
    key = f"focus {focus.id}"
    apart: tuple[str, ...] = APART if where is not None else ()
    members = [
        frame.observe(
            f"{key} {name}",
            MEASUREMENT_CODES[name],
            number(_of(focus, name)),
            bodySite=site(focus.segment),
            focus=[where],
        )
        for name in apart
    ]
    parts = _described(focus, next(o.pattern for o in frame.original.foci if o.id == focus.id))
    parts += [{"code": concept(_MIMIC), "valueString": "; ".join(focus.mimic)}] if any(focus.mimic) else []
    parts += [component(MEASUREMENT_CODES[n], _of(focus, n)) for n in MEASUREMENTS if n not in apart]
    return frame.observe(
        key,
        _FOCUS,
        {"valueCodeableConcept": concept(KIND_CODES[focus.kind], words.kind_text(focus.kind))},
        identifier=[{"system": "urn:dicom:uid", "value": f"urn:oid:{focus_tracking(frame.assessment, focus).uid}"}],
        bodySite=site(focus.segment) if focus.lesion is not None else None,
        focus=[where],
        component=parts,
        hasMember=members,
        note=notes(focus.reasons),
    )


def _of(focus: Focus, name: str) -> Measurement:
    return focus.measurements.get(name, NotMeasured("not measured"))


def _described(one: Focus | Lesion, original: Pattern | NotMeasured) -> list[Json]:
    """Return certainty, pattern and segment as components; what is not known says why."""
    pattern, segment = one.pattern, one.segment
    certainty = concept(CERTAINTIES[one.certainty], words.certainty_text(one.certainty))
    sure = {"code": concept(CERTAINTY), "valueCodeableConcept": certainty}
    shape: Json = {"code": concept(PATTERN)}
    place: Json = {"code": concept(LIVER_SEGMENT)}
    if isinstance(pattern, NotMeasured):
        shape |= unknown(pattern.reason)
    elif isinstance(original, Pattern):
        name, probability = pattern.probabilities[0]
        shape |= {"valueCodeableConcept": concept(PATTERN_CODES[original.dominant], f"{name} ({percent(probability)})")}
    if isinstance(segment, NotMeasured):
        place |= unknown(segment.reason)
    else:
        named = words.segment_text(segment)
        place |= {"valueCodeableConcept": concept(segment_site(segment.dominant), named)}
    return [sure, shape, place]


def _ratio(probability: float) -> Json:
    return {"value": significant(probability), "system": "http://unitsofmeasure.org", "code": "1"}
