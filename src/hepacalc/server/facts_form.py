"""The form of facts, made of the patient file's own schema: what can be said there can be asked here."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, get_args

from pydantic import BaseModel

from hepacalc.knowledge import Knowledge
from hepacalc.patient.analytes import ANALYTES
from hepacalc.patient.schema import Further, Patient, Virus
from hepacalc.patient.schema_exam import ABDOMEN, CHEST, SPLEEN, Examination, FetusAnomalies
from hepacalc.patient.schema_history import Cancer, Conditions, Exposures, Symptoms, Treatments
from hepacalc.patient.vocabulary import SEROLOGY
from hepacalc.report.language import catalog, spoken

__all__ = ["FormView", "Question", "form_of"]

COMMON_LABS = ("alt", "ast", "alp", "ggt", "bilirubin", "albumin", "platelets", "inr", "crp", "afp", "ca19_9", "cea",
               "egfr", "eosinophils", "calcium")  # fmt: skip
"""Shown first; every other one that is read can be added."""
COMMON_TESTS = ("echinococcus", "brucella", "schistosoma", "igra", "amoeba", "histoplasma")
_SECTIONS: tuple[tuple[str, type[BaseModel]], ...] = (
    ("exposures", Exposures),
    ("conditions", Conditions),
    ("treatments", Treatments),
    ("symptoms", Symptoms),
)


class Question(NamedTuple):
    """One question: its key in the patient file, and how it is asked in each language."""

    key: str
    en: str
    zh: str

    @property
    def label(self) -> str:
        """The question in the language that is spoken."""
        return self.zh if spoken() == "zh" else self.en


class Laboratory(NamedTuple):
    """One laboratory value that is read."""

    key: str
    en: str
    zh: str
    unit: str

    @property
    def label(self) -> str:
        """Its name in the language that is spoken."""
        return self.zh if spoken() == "zh" else self.en


class FormView(NamedTuple):
    """The form.

    Args:
        sections: name -> questions with three answers.
        sites: of cancers.
        labs: values, the common ones first.
        common_labs: how many of them are shown at once.
        tests: for infections, the common ones first.
        common_tests: how many of them are shown at once.
        virus: markers of viral hepatitis and HIV.
        further: what rules of the plan ask for.
        exam: block -> states that an examination may show.
        reasons: why the liver was looked at.
        fetal: whether it is the form of a fetus.
    """

    sections: dict[str, list[Question]]
    sites: list[Question]
    labs: list[Laboratory]
    common_labs: int
    tests: list[Question]
    common_tests: int
    virus: list[Question]
    further: list[Question]
    exam: dict[str, list[Question]]
    reasons: tuple[str, ...]
    fetal: bool


def form_of(knowledge: Knowledge, *, fetal: bool = False) -> FormView:
    """Return the form of facts.

    Args:
        knowledge: whose words are used for what an examination shows.
        fetal: of a fetus.
    """
    sections = {"anomalies": _questions(FetusAnomalies)} if fetal else {n: _questions(kind) for n, kind in _SECTIONS}
    labs = [_lab(key) for key in _ordered(tuple(ANALYTES), COMMON_LABS)]
    tests = [_named(key) for key in _ordered(tuple(SEROLOGY), COMMON_TESTS)]
    return FormView(
        sections=sections,
        sites=[_named(key) for key in get_args(Cancer.model_fields["site"].annotation)],
        labs=labs,
        common_labs=sum(lab.key in COMMON_LABS for lab in labs),
        tests=tests,
        common_tests=sum(test.key in COMMON_TESTS for test in tests),
        virus=[Question(n, str(f.description), _chinese(n)) for n, f in Virus.model_fields.items()],
        further=[
            Question(n, str(f.description), _chinese(n))
            for n, f in Further.model_fields.items()
            if f.default == "not_asked"
        ],
        exam=_exam(knowledge, fetal=fetal),
        reasons=_choices(Patient, "reason"),
        fetal=fetal,
    )


def _exam(knowledge: Knowledge, *, fetal: bool) -> dict[str, list[Question]]:
    """Return what an examination may show: the knowledge's states of host, calcium and ducts, and other organs."""
    if fetal:
        held = next(b for b in knowledge.blocks.values() if "parenchymal_few" in b.state_names)
        return {"focus": [_state(held.state_names, s) for s in held.state_names]}
    found = {}
    lesion = knowledge.blocks["lesion"]
    for axis in ("host", "morphology"):
        names = (lesion.axis_names or {}).get(axis, {})
        found[axis] = [_state(names, state) for state in names]
    found["ducts"] = [_state(knowledge.blocks["ducts"].state_names, s) for s in knowledge.blocks["ducts"].state_names]
    found["liver"] = [_named(s) for s in _choices(Examination, "liver")]
    for organ, states in (("spleen", SPLEEN), ("chest", CHEST), ("abdomen", ABDOMEN)):
        found[organ] = [_named(state) for state in states]
    return found


def _questions(kind: type[BaseModel]) -> list[Question]:
    return [
        Question(name, str(field.description), _chinese(name))
        for name, field in kind.model_fields.items()
        if name != "others"
    ]


def _state(names: Any, state: str) -> Question:
    words = dict(names[state])
    return Question(state, words["en"], words.get("zh") or words["en"])


def _named(key: str) -> Question:
    return Question(key, key.replace("_", " "), _chinese(key))


def _lab(key: str) -> Laboratory:
    analyte = ANALYTES[key]
    return Laboratory(key, analyte.text, catalog("zh").get(("", analyte.text), analyte.text), analyte.unit)


def _ordered(names: tuple[str, ...], first: tuple[str, ...]) -> list[str]:
    return [n for n in first if n in names] + [n for n in names if n not in first]


def _chinese(key: str) -> str:
    words = key.replace("_", " ")
    return catalog("zh").get(("", words), words)


def _choices(kind: type[BaseModel], name: str) -> tuple[str, ...]:
    """Return the words that a field may hold, None left out."""
    wanted: list[Any] = [kind.model_fields[name].annotation]
    found: list[str] = []
    while wanted:
        one = wanted.pop(0)
        if getattr(one, "__origin__", None) is Literal:
            found += get_args(one)
        else:
            wanted += get_args(one)
    return tuple(found)
