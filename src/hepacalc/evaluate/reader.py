"""A published case, as short text in fields, to evidence.

The rules were written without the diagnoses of any case; see ``docs/reference/evaluate.md``. Nothing here is learnt
from cases. What the text does not tell is not known: all states of that block stay open.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

from hepacalc.evaluate.cues import REST, Hit, Read, find_hits
from hepacalc.evaluate.fetus import read_fetus
from hepacalc.evaluate.labs import LabResult, lab_entries, lab_hits, labs_in_text
from hepacalc.evaluate.parts import CONTEXT, Pieces, as_text, pieces, unread_words
from hepacalc.evaluate.people import age_sex_hit, is_fetus
from hepacalc.evaluate.places import adult_setting
from hepacalc.evaluate.sizes import Size, density_hit, extent_hit, largest_mm
from hepacalc.evaluate.text import Segment, normalised
from hepacalc.evaluate.told import ReadCase, to_evidence
from hepacalc.evaluate.words import Section, words

if TYPE_CHECKING:
    from hepacalc.knowledge.model import Knowledge

__all__ = ["read_case"]

_ELSEWHERE = re.compile(
    r"\b(spleen|splen\w*|lungs?|pulmon\w*|pleur\w*|chest|thora\w*|thyroid|kidney\w*|renal|pancrea\w*|colon\w*|sigmoid|"
    r"nodes?|lymph\w*|ovar\w*|breast|prostat\w*|brain|bone\b|stomach|gastric|bladder|muscle\w*|heart|aort\w*|skin|"
    r"uter\w*|appendix|mediastin\w*|neck|cervical|coexist\w*|coexisting|abdominal wall)\b"
)
_HERE = re.compile(r"\b(liver|hepatic|hepato\w*|intrahepatic|perihepatic|calcif\w*|segments?|lobe)\b")
_ENHANCES = re.compile(r"enhanc|hypervasc|hypovasc|avasc|wash-? ?out|aphe|fill-? ?in|uptake|blush|hyperattenuating in")
_TESTED = re.compile(r"serolog|antibod|ig[gm]\b|tit(er|re)|elisa|cultur|posit|negat|pcr|igra|quantif|mantoux|ppd|teste")

_CALCIUM = re.compile(
    r"calc|stone|lith|ossif|bone|(?<!hypo)echo|(?<!hypo)(?<!low-)(?<!low )dens|metal|clip|ring|rim|shell|foc|spot|"
    r"punct|stippl|fleck|granul|strip|network|septal|line|plaque|comma|horseshoe|shadow|hyperatt|high[- ]att|opaci|"
    r"lipiodol|stent|coil|aneurysm"
)


def read_case(case: Mapping[str, Any], knowledge: Knowledge) -> ReadCase:
    """Return the evidence that a case's text gives; its diagnosis, source and comments are not looked at.

    Args:
        case: fields ``age, sex, region_exposure, clinical_context, modality, findings, structured, labs``; any may be
            missing.
        knowledge: whose blocks, states and settings.
    """
    if is_fetus(case):
        return read_fetus(case, knowledge)
    parts = pieces(case)
    hits = [*_lesion(case, parts), *_image(case, parts), *_body(parts), *_person(parts)]
    results, unread = lab_entries(cast("Mapping[str, Any]", case.get("labs") or {}))
    hits += lab_hits([*results, *_context_labs(parts, results)])
    if (person := age_sex_hit(case)) is not None:
        hits.append(person)
    setting = adult_setting(case, parts, hits, knowledge)
    unread = [f"labs: {entry}" for entry in unread] + unread_words(parts)
    return ReadCase(to_evidence("adult", hits, knowledge, setting), tuple(hits), tuple(unread))


def _scan(parts: Pieces, section: Section, found: Iterable[Segment], name: str = "") -> list[Hit]:
    """Read one section over segments; behind a gate a segment without an answer is tried with its whole clause."""
    hits: list[Hit] = []
    for segment in found:
        if section.gate is None:
            hits += find_hits(name or section.block, section.cues, segment, parts.read)
            continue
        gate = section.gate.search(segment.text)
        if gate is None:
            continue
        here = find_hits(section.block, section.cues, segment, parts.read)
        if not here and segment.clause != segment.text:
            alike = re.sub(r"\b(nodes?|lymph\w*|nodal)\b", "", segment.clause)
            whole = Segment(segment.source, alike, alike, segment.field)
            here = find_hits(section.block, section.cues, whole, Read())
        parts.read.mark(segment, *gate.span())
        if not here and segment.field == "other_organs":
            here = [Hit(section.block, _INVOLVED[section.block], 0.1, segment.source, segment.field)]
        hits += here
    return hits


_INVOLVED = {
    "chest": {"masses": 1.0, "active_infection": 0.6, "calcified_granulomas": 0.5, "same_as_liver": 0.6},
    "spleen": {"granulomas": 1.0, "lesions": 1.0, "enlarged": 1.0, "hyperdense": 0.3},
}
"""What the bare name of an organ means in a list of organs with findings."""


def _lesion(case: Mapping[str, Any], parts: Pieces) -> list[Hit]:
    """Host and morphology: the two fields, then the report; what is said of other organs is left out."""
    book = words()["lesion"]
    report = [s for s in parts.of("findings") if not _ELSEWHERE.search(s.text) or _HERE.search(s.text)]
    hits = _scan(parts, book["lesion.host"], [*parts.of("host"), *report])
    hits += _scan(parts, book["lesion.morphology"], [*parts.of("morphology"), *(s for s in report if _calcium(s))])
    mass = (case.get("structured") or {}).get("soft_tissue_mass")
    if mass is True or (isinstance(mass, str) and re.match(r"\W*(yes|true|pos)", normalised(mass))):
        weights = {"solid_mass": 1.0, "solid_cystic_mass": 1.0, "cyst": 0.4, "outside_liver": 0.8, "surface": 0.5,
                   "treated_zone": 0.4}  # fmt: skip
        hits.append(Hit("lesion.host", weights, 0.2, "soft tissue mass: yes", "soft_tissue_mass"))
    elif mass is False or (isinstance(mass, str) and re.match(r"\W*(no\b|false|neg|absent)", normalised(mass))):
        weights = {"solid_mass": 0.15, "solid_cystic_mass": 0.3}
        hits.append(Hit("lesion.host", weights, 1.0, "soft tissue mass: no", "soft_tissue_mass"))
    if _is_diffuse(parts):
        if any(re.search(r"parenchym|liver|hepatic|graft|diffuse", s.text) for s in parts.of("host")):
            hits.append(Hit("lesion.host", {"diffuse": 1.0, "parenchyma": 0.35}, REST, "diffuse in the liver", "host"))
        weights = {"diffuse": 1.0, "septa_capsule": 0.8, "parenchyma": 0.6, "surface": 0.7, "outside_liver": 0.5,
                   "bile_duct": 0.5, "vessel": 0.6, "solid_mass": 0.6, "solid_cystic_mass": 0.5}  # fmt: skip
        hits.append(Hit("lesion.host", weights, 0.3, "number: diffuse", "number"))
    return hits


def _calcium(segment: Segment) -> bool:
    """Whether a piece of the report speaks of the calcium and not only of the mass around it."""
    return bool(_CALCIUM.search(segment.text))


def _is_diffuse(parts: Pieces) -> bool:
    return any(re.match(r"diffuse\b(?!/)", s.text) for s in parts.of("number"))


def _image(case: Mapping[str, Any], parts: Pieces) -> list[Hit]:
    """Number, size, density, outline, enhancement, ducts, course."""
    book, report = words()["lesion"], parts.of("findings")
    near = [s for s in report if not _ELSEWHERE.search(s.text) or _HERE.search(s.text)]
    hits = _scan(parts, book["number"], parts.of("number")) or _scan(
        parts, book["number"], [s for s in near if re.search(r"calc|foc|lesion|mass|nodul|cyst|stone|tumor", s.text)]
    )
    hits += _extent(case, parts, near)
    hits += _scan(parts, book["density"], [*parts.of("morphology"), *report])
    if (dense := density_hit(parts.of("morphology", "findings", "enhancement"))) is not None:
        hits.append(dense)
    hits += _scan(parts, book["contour"], [*parts.of("host", "morphology"), *near])
    vessels = [s for s in report if _ENHANCES.search(s.text)]
    hits += _scan(parts, book["enhancement"], [*parts.of("enhancement"), *vessels])
    hits += _ducts(parts)
    hits += _scan(parts, book["ducts"], parts.of("findings", "other_organs", "clinical_context"))
    return hits + _scan(parts, book["course"], parts.of("findings", "clinical_context", "morphology"))


def _extent(case: Mapping[str, Any], parts: Pieces, near: list[Segment]) -> list[Hit]:
    size = (case.get("structured") or {}).get("size_mm")
    numbers = [float(n) for n in re.findall(r"\d+(?:\.\d+)?", as_text(size))]
    if numbers and 0 < max(numbers) < 500:
        sign = ">" if ">" in as_text(size) else "<" if "<" in as_text(size) else ""
        low = min(numbers) if len(numbers) > 1 and "-" in as_text(size) else 0.0
        return [extent_hit(Size(low, max(numbers), sign, f"size {as_text(size)} mm"), "size_mm")]
    if (found := largest_mm([*parts.of("morphology", "host"), *near])) is not None:
        return [extent_hit(found, "findings")]
    said = [*parts.of("host", "clinical_context"), *near]
    if hits := _scan(parts, words()["lesion"]["extent"], said):
        return hits
    bare = (case.get("structured") or {}).get("soft_tissue_mass") is False and not any(
        re.search(r"mass|cyst|tumor", s.text) for s in parts.of("host")
    )
    focus = words()["lesion"]["extent.focus"]
    return _scan(parts, focus, [*parts.of("morphology"), *near], "extent") if bare else []


def _ducts(parts: Pieces) -> list[Hit]:
    """The field ``duct_dilation``: yes, no, or a phrase."""
    hits: list[Hit] = []
    for segment in parts.of("duct_dilation"):
        said, source = segment.text, segment.source
        if re.search(r"strictur|stenos|narrow", said):
            weights, rest = {"stricture": 1.0, "dilated": 0.5}, REST
        elif re.match(r"\W*(no\b|none|normal|absent|not dilated|false|neg|nondilated)", said):
            weights, rest = {"normal": 1.0, "stricture": 0.2}, REST
            if re.search(r"not stated|implied", source.lower()):
                rest = 0.25
        elif re.search(r"yes|dilat|marked|mild|present|upstream|obstruct|true|pos|left|right|peripheral|distal", said):
            weights, rest = {"dilated": 1.0, "stricture": 0.45}, REST
        else:
            continue
        parts.read.mark(segment, 0, len(said))
        hits.append(Hit("ducts", weights, rest, f"ducts: {source}", segment.field))
    return hits[:1] if hits and hits[0].weights.get("normal") else hits


def _body(parts: Pieces) -> list[Hit]:
    """Rest of the liver, spleen, chest, abdomen, primary."""
    book = words()["organs"]
    everywhere = parts.of("other_organs", "findings", *CONTEXT)
    hits = _scan(parts, book["liver_background"], [*everywhere, *parts.of("host")])
    hits += _scan(parts, book["spleen"], [*everywhere, *parts.of("host")])
    chest = _scan(parts, book["chest"], parts.of("other_organs", "findings"))
    if any(hit.weights.get("same_as_liver") == 1 for hit in chest):  # says more than "calcified"
        chest = [hit for hit in chest if hit.weights.get("calcified_granulomas") != 1]
    hits += chest
    hits += _scan(parts, book["abdomen"], [*everywhere, *parts.of("host")])
    hits += _scan(parts, book["primary"], everywhere)
    for segment in parts.of("other_organs"):
        if re.match(r"(none|normal|no|nil|unremarkable|no other|clear)\b(?! \w)", segment.text):
            parts.read.mark(segment, 0, len(segment.text))
            hits += [Hit(b, {"normal": 1.0}, 0.25, f"other organs: {segment.source}", segment.field)
                     for b in ("spleen", "chest", "abdomen")]  # fmt: skip
    return hits


def _person(parts: Pieces) -> list[Hit]:
    """Complaints, history, exposure."""
    book = words()["person"]
    hits = _scan(parts, book["symptoms"], parts.of("clinical_context"))
    hits += _scan(parts, book["history"], parts.of(*CONTEXT))
    hits += [hit for hit in _scan(parts, book["history"], parts.of("findings"))
             if {"chemotherapy", "cholecystectomy"} & set(hit.weights) and not hit.ruled_out]  # fmt: skip
    hits += _scan(parts, book["exposure"], parts.of(*CONTEXT))
    treated = [s for s in parts.of("findings") if re.search(r"\banti-?(tb|tubercul)", s.text)]
    hits += [hit for hit in _scan(parts, book["exposure"], treated) if "tuberculosis" in hit.weights]
    return hits + _scan(parts, words()["regions"]["exposure"], parts.of("region_exposure"))


def _context_labs(parts: Pieces, known: list[LabResult]) -> list[LabResult]:
    """Results told in the history; those of the table come first."""
    skip = {result.test.name for result in known} | {"calcium", "tumour markers"}
    found = []
    for segment in parts.of("clinical_context"):
        for result in labs_in_text(segment.source, skip):
            if result.test.block not in ("serology", "liver_background", "history") or _TESTED.search(segment.text):
                found.append(result)
                if match := result.test.pattern.search(segment.text):
                    parts.read.mark(segment, *match.span())
    return found
