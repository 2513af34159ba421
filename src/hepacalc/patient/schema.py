"""The patient file: what a person, a laboratory or a report says, before any of it is weighed.

Every question has three answers: yes, no, not asked. What is left out was not asked, and changes nothing.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from hepacalc.knowledge.schema_base import Identifier
from hepacalc.patient.schema_exam import Examination, Fetus, PriorExamination
from hepacalc.patient.schema_history import Cancers, Conditions, Exposures, Symptoms, Treatments
from hepacalc.patient.words import Note, Part, Result, Three, Weighted, When

__all__ = ["SCHEMA_VERSION", "Laboratory", "Patient", "Serology", "Virus"]

SCHEMA_VERSION = "1.0"
"""Version of the patient file: the first number changes when a field goes or changes its meaning."""

Comparator = Literal["<", "<=", ">", ">="]


class Laboratory(Part):
    """One laboratory value: a number with its unit, or a word."""

    name: str = Field(max_length=40, description="name of the value, see the list below")
    value: float | None = Field(default=None, description="the number; may also be written '<20' or '>1000'")
    comparator: Comparator | None = Field(default=None, description="when the number is only a bound")
    unit: str | None = Field(default=None, max_length=40, description="UCUM, e.g. U/L, umol/L, [IU]/mL, 10*9/L")
    upper_limit: float | None = Field(default=None, gt=0, description="upper limit of normal, in the same unit")
    lower_limit: float | None = Field(default=None, ge=0, description="lower limit of normal, in the same unit")
    result: Literal["normal", "raised", "low", "positive", "negative", "indeterminate", "not_done"] | None = Field(
        default=None, description="the result in a word, where there is no number"
    )
    copies_per_iu: float | None = Field(
        default=None, ge=1, le=10, description="of the HBV DNA assay, no unit; else 5.82 (COBAS TaqMan)"
    )
    date: When | None = Field(default=None, description="of the blood sample")

    @model_validator(mode="before")
    @classmethod
    def _bound(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(value := data.get("value"), str):
            text = value.strip()
            sign = next((s for s in ("<=", ">=", "<", ">") if text.startswith(s)), None)
            number = text.removeprefix(sign or "").strip().replace(",", "")
            if sign and number.replace(".", "", 1).isascii() and number.replace(".", "", 1).isdigit():
                return {**data, "value": float(number), "comparator": sign}
        return data

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.value is None) == (self.result is None):
            raise ValueError("give either value and unit, or result")
        if self.value is not None and self.unit is None:
            raise ValueError("a value needs its unit")
        if self.value is None and (self.comparator or self.upper_limit is not None or self.lower_limit is not None):
            raise ValueError("limits and comparators go with a value")
        if self.lower_limit is not None and self.upper_limit is not None and self.lower_limit >= self.upper_limit:
            raise ValueError("lower_limit is not below upper_limit")
        if self.copies_per_iu is not None and self.name != "hbv_dna":
            raise ValueError("copies_per_iu goes with hbv_dna")
        return self


class Serology(Part):
    """One test for an infection."""

    test: str = Field(max_length=40, description="name of the test, see the list below")
    result: Result = Field(description="positive, negative, indeterminate or not_done")
    titre: Note | None = Field(default=None, description="as the laboratory gave it")
    date: When | None = Field(default=None, description="of the sample")


class VirusTest(Part):
    """A result with its date."""

    result: Result
    date: When | None = None


VirusResult = Annotated[
    VirusTest,
    BeforeValidator(lambda value: {"result": value} if isinstance(value, str) else value),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": ["positive", "negative", "indeterminate", "not_done"]},
                {
                    "type": "object",
                    "properties": {
                        "result": {"enum": ["positive", "negative", "indeterminate", "not_done"]},
                        "date": {"type": ["string", "integer"]},
                    },
                    "required": ["result"],
                    "additionalProperties": False,
                },
            ]
        }
    ),
]


class Virus(Part):
    """Markers of viral hepatitis and HIV. Amounts (HBV DNA, HCV RNA) stand under laboratory."""

    hbsag: VirusResult | None = Field(default=None, description="hepatitis B surface antigen")
    anti_hbs: VirusResult | None = Field(default=None, description="antibody to it")
    anti_hbc: VirusResult | None = Field(default=None, description="antibody to hepatitis B core")
    hbeag: VirusResult | None = Field(default=None, description="hepatitis B e antigen")
    hbv_dna: VirusResult | None = Field(default=None, description="hepatitis B DNA, found or not")
    anti_hcv: VirusResult | None = Field(default=None, description="antibody to hepatitis C")
    hcv_rna: VirusResult | None = Field(default=None, description="hepatitis C RNA, found or not")
    hdv: VirusResult | None = Field(default=None, description="hepatitis D antibody or RNA")
    hiv: VirusResult | None = Field(default=None, description="HIV test")


class Further(Part):
    """What rules of the plan ask for beside findings: what forbids a test, what decides on treatment."""

    contrast_allergy: Three = Field(default="not_asked", description="severe reaction to contrast before")
    mri_unsafe_implant: Three = Field(default="not_asked", description="implant that is not safe in MRI")
    bleeding_risk: Three = Field(default="not_asked", description="bleeding tendency or anticoagulant")
    family_liver_cancer: Three = Field(default="not_asked", description="liver cancer or cirrhosis in the family")
    hbv_other_risk: Three = Field(default="not_asked", description="another reason to treat hepatitis B")
    ancestry: Literal["asian", "black", "other"] | None = Field(
        default=None, description="for the surveillance criteria of hepatitis B"
    )
    fibrosis: Literal["none", "significant", "advanced", "cirrhosis"] | None = Field(
        default=None, description="by elastography, score or biopsy: F0-F1, F2, F3, cirrhosis"
    )
    ce_stage: Literal["cl", "ce1", "ce2", "ce3a", "ce3b", "ce4", "ce5"] | None = Field(
        default=None, description="WHO stage of a hydatid cyst by an expert's ultrasound"
    )
    ce_complicated: Three = Field(default="not_asked", description="that cyst ruptured, infected or pressing")
    ae_resectable: Three = Field(default="not_asked", description="alveolar echinococcosis that can be resected")
    schisto_active: Three = Field(default="not_asked", description="eggs, miracidia or circulating antigen found")
    noncontrast_phase: Three = Field(default="not_asked", description="a CT phase without contrast was read")


class Overrule(Part):
    """What a person says of one block in the words of the vocabulary; it replaces what was derived, which is kept."""

    block: Identifier = Field(description="block of the vocabulary")
    states: Weighted | dict[str, Weighted] = Field(description="states, or for the lesion {host: .., morphology: ..}")
    lesion: int | None = Field(default=None, ge=1, description="which lesion, from 1; left out for the patient")
    note: Note | None = Field(default=None, description="why")


class Patient(Part):
    """One person, or one fetus. No names, no identifiers."""

    model_config = ConfigDict(title="hepacalc patient file")

    schema_version: Literal["1.0"] = Field(default="1.0", description="version of this format")
    assessed_on: When | None = Field(default=None, description="day of the assessment; else today")
    said_by: Literal["patient", "relative", "clinician", "record", "not_stated"] = Field(
        default="not_stated", description="who gave the history"
    )
    setting: Identifier | None = Field(
        default=None, description="id of the setting whose prior applies; else it is derived and shown"
    )
    reason: Literal["health_check", "symptoms", "incidental", "follow_up", "staging", "other"] | None = Field(
        default=None, description="why the liver was looked at"
    )
    age: float | None = Field(default=None, ge=0, le=125, description="years; 0.5 is six months")
    sex: Literal["female", "male", "other"] | None = Field(
        default=None, description="for the limits and the base rates"
    )
    pregnant: Three = Field(default="not_asked", description="yes, no or not_asked")
    region: Note | None = Field(default=None, description="where the person lives; kept, not read")
    exposures: Exposures = Field(default=Exposures(), description="over the whole life, not today's job")
    cancers: Cancers = Field(default=Cancers(), description="known or found at the same time")
    conditions: Conditions = Field(default=Conditions(), description="illnesses, now or before")
    treatments: Treatments = Field(default=Treatments(), description="now or before")
    symptoms: Symptoms = Field(default=Symptoms(), description="now")
    laboratory: list[Laboratory] = Field(default=[], max_length=500, description="values with units")
    virus: Virus = Field(default=Virus(), description="viral hepatitis and HIV")
    serology: list[Serology] = Field(default=[], max_length=200, description="tests for infections")
    examinations: list[Examination] = Field(
        default=[], max_length=50, description="what an ultrasound, CT or MRI showed, typed in"
    )
    prior_examinations: list[PriorExamination] = Field(
        default=[], max_length=50, description="older images to compare with"
    )
    old_images: Three = Field(default="not_asked", description="whether there are older images at all")
    further: Further = Field(default=Further(), description="what rules of the plan ask for beside findings")
    fetus: Fetus | None = Field(default=None, description="for a fetus: this section and nothing of an adult")
    overrule: list[Overrule] = Field(default=[], max_length=100, description="a person's last word on a block")
    note: Note | None = Field(default=None, description="free text without names; kept, not read")

    @property
    def network(self) -> str:
        """``fetal`` for a fetus, else ``adult``."""
        return "fetal" if self.fetus else "adult"
