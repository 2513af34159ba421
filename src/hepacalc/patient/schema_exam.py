"""What images showed, typed in: ultrasound, CT or MRI done elsewhere, older images, the scan of a fetus."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from hepacalc.patient.words import NOT_ASKED, FactOrWord, Note, Part, Section, Three, Weighted, When

__all__ = [
    "ABDOMEN",
    "CHEST",
    "SPLEEN",
    "Examination",
    "Fetus",
    "FetusAnomalies",
    "LesionSeen",
    "PriorExamination",
]

Modality = Literal[
    "ultrasound", "contrast_ultrasound", "radiograph", "ct", "ct_non_contrast", "ct_contrast", "mri", "pet_ct", "other"
]
SPLEEN = ("granulomas", "lesions", "enlarged", "hyperdense")
CHEST = ("calcified_granulomas", "active_infection", "masses", "cysts", "same_as_liver")
ABDOMEN = (
    "biliary_stones", "colon_calcification", "surface_calcification", "arterial_calcification", "portal_hypertension",
    "muscle_calcification", "kidney_cysts", "pancreas_calcification", "nodes", "organ_calcification",
)  # fmt: skip


def _parts(value: Any) -> Any:
    """``normal``, one state, a list of states or ``{state: yes/no}`` -> ``{state: yes/no}``."""
    if isinstance(value, str):
        return {"others": "no"} if value == "normal" else {value: "yes"}
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return dict.fromkeys(value, "yes")
    return value


def _schema(states: tuple[str, ...]) -> WithJsonSchema:
    """JSON Schema of what was seen in one organ."""
    answer = {"enum": ["yes", "no", "not_asked", True, False, None]}
    properties = {**dict.fromkeys(states, answer), "others": {"enum": ["no", "not_asked"]}}
    return WithJsonSchema(
        {
            "anyOf": [
                {"enum": ["normal", *states]},
                {"type": "array", "items": {"enum": list(states)}, "minItems": 1},
                {"type": "object", "properties": properties, "additionalProperties": False},
            ]
        }
    )


def _no_blanket_yes(value: dict[str, str]) -> dict[str, str]:
    if value.get("others") == "yes":
        raise ValueError("others can be no or not_asked; name what was seen")
    return value


_SPLEEN = Literal["granulomas", "lesions", "enlarged", "hyperdense", "others"]
_CHEST = Literal["calcified_granulomas", "active_infection", "masses", "cysts", "same_as_liver", "others"]
_ABDOMEN = Literal[
    "biliary_stones", "colon_calcification", "surface_calcification", "arterial_calcification", "portal_hypertension",
    "muscle_calcification", "kidney_cysts", "pancreas_calcification", "nodes", "organ_calcification", "others",
]  # fmt: skip
_before, _after = BeforeValidator(_parts), AfterValidator(_no_blanket_yes)
Spleen = Annotated[dict[_SPLEEN, Three], _after, _before, _schema(SPLEEN)]
Chest = Annotated[dict[_CHEST, Three], _after, _before, _schema(CHEST)]
Abdomen = Annotated[dict[_ABDOMEN, Three], _after, _before, _schema(ABDOMEN)]


class LesionSeen(Part):
    """One focus, or one mass that holds calcium."""

    id: str | None = Field(default=None, max_length=40, description="same id in two examinations: the same lesion")
    host: Weighted | None = Field(default=None, description="what holds it, state or states of the vocabulary")
    morphology: Weighted | None = Field(default=None, description="shape of the calcium, state or states")
    size_mm: float | None = Field(default=None, gt=0, le=500, description="largest diameter with its host, mm")
    calcium_mm: float | None = Field(
        default=None, gt=0, le=500, description="largest diameter of the calcium alone, mm"
    )
    density_hu: float | None = Field(
        default=None, ge=-1024, le=31743, description="densest part on non-contrast CT, HU"
    )
    contour: Weighted | None = Field(default=None, description="sharp, ill_defined, retraction")
    enhancement: Weighted | None = Field(default=None, description="state or states of the vocabulary")
    course: Weighted | None = Field(default=None, description="against older images, where said of this lesion")


class Examination(Part):
    """One examination whose report is typed in."""

    modality: Modality = Field(description="how it was done")
    date: When | None = Field(default=None, description="when")
    said_by: Literal["report", "person"] = Field(default="report", description="a report, or a person from memory")
    number: Literal["single", "few", "many", "diffuse"] | Annotated[int, Field(ge=1, le=100000)] | None = Field(
        default=None, description="a count, or single, few (2-5), many (over 5), diffuse"
    )
    lesions: list[LesionSeen] = Field(default=[], max_length=100, description="each one that was described")
    ducts: Weighted | None = Field(default=None, description="normal, dilated, stricture")
    liver: Literal["normal", "cirrhosis"] | None = Field(default=None, description="the rest of the liver")
    spleen: Spleen | None = Field(default=None, description="normal, or what was seen")
    chest: Chest | None = Field(default=None, description="normal, or what was seen")
    abdomen: Abdomen | None = Field(default=None, description="normal, or what was seen")
    note: Note | None = Field(default=None, description="free text without names; kept, not read")


class PriorExamination(Part):
    """An older image, and what it says about the course."""

    date: When = Field(description="when; a year is enough")
    modality: Modality = Field(description="how it was done")
    seen: Three = Field(default="not_asked", description="whether the calcification was there")
    change: Literal["stable", "grown", "shrunk", "denser_under_treatment"] | None = Field(
        default=None, description="from then to now"
    )
    size_mm: float | None = Field(default=None, gt=0, le=500, description="largest diameter then, mm")
    note: Note | None = Field(default=None, description="free text without names")


class FetusAnomalies(Section):
    """What else the scan of the fetus showed."""

    bowel_ascites: FactOrWord = Field(default=NOT_ASKED, description="dilated or bright bowel, ascites, pseudocyst")
    hydrops_growth: FactOrWord = Field(default=NOT_ASKED, description="hydrops, poor growth, large placenta")
    brain: FactOrWord = Field(default=NOT_ASKED, description="brain calcification or large ventricles")
    structural: FactOrWord = Field(default=NOT_ASKED, description="heart, limb or other malformation")
    cardiac_failure: FactOrWord = Field(default=NOT_ASKED, description="large heart, high flow")


class InfectionTest(Part):
    """One infection of the mother or the fetus."""

    infection: Literal["toxoplasma", "cmv", "rubella", "parvovirus", "herpes", "varicella", "syphilis", "other"] = (
        Field(description="which one")
    )
    igg: Literal["positive", "negative", "indeterminate", "not_done"] = Field(default="not_done", description="IgG")
    igm: Literal["positive", "negative", "indeterminate", "not_done"] = Field(default="not_done", description="IgM")
    pcr: Literal["positive", "negative", "indeterminate", "not_done"] = Field(
        default="not_done", description="PCR of amniotic fluid or blood; for syphilis a treponemal test"
    )
    avidity: Literal["low", "high", "not_done"] = Field(default="not_done", description="of IgG")


class Fetus(Part):
    """A fetus in whose liver something bright was seen."""

    gestational_weeks: float | None = Field(default=None, ge=8, le=43, description="weeks; 20+3 is 20.43")
    referral: Three = Field(default="not_asked", description="sent to a fetal centre for a finding")
    focus: Weighted | None = Field(
        default=None, description="parenchymal_few, parenchymal_scattered, vascular, surface, mass"
    )
    anomalies: FetusAnomalies = Field(default=FetusAnomalies(), description="what else was seen")
    karyotype: Literal["normal", "abnormal", "not_done"] = Field(default="not_done", description="chromosomes")
    infections: list[InfectionTest] = Field(default=[], max_length=20, description="tests of mother or fetus")
    echogenic_bowel: Three = Field(default="not_asked", description="bright bowel, yes or no")
    flow: Weighted | None = Field(default=None, description="Doppler: none, absent_vein, high")
    cystic_fibrosis: Literal["positive", "negative", "not_done"] = Field(
        default="not_done", description="carrier test of the parents or test of the fetus"
    )
    date: When | None = Field(default=None, description="of the scan")
