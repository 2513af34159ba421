"""Patient -> evidence of the network, with who said what, the setting, and the facts that rules ask for.

What was not asked changes nothing. See ``docs/concepts/patient-to-findings.md`` for each choice made here.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass

from hepacalc.errors import InvalidPatient
from hepacalc.knowledge.model import Knowledge
from hepacalc.patient import background, imaging, laboratory
from hepacalc.patient.checks import assessment_day, check_patient, facts_of, patient_warnings
from hepacalc.patient.facts import history_of, lab_values, rule_facts
from hepacalc.patient.fetal import fetal_said
from hepacalc.patient.laboratory import LabFact, lab_facts
from hepacalc.patient.schema import Patient
from hepacalc.patient.schema_exam import ABDOMEN, CHEST, SPLEEN, Examination
from hepacalc.patient.setting import SettingChoice, choose_setting
from hepacalc.patient.statements import Answers, Statement, evidence_of, weights_of
from hepacalc.patient.vocabulary import QUESTIONS, SEROLOGY, SITES
from hepacalc.patient.words import Fact, earliest, latest
from hepacalc.reason.evidence import Evidence, Said
from hepacalc.reason.network import Network, network_of
from hepacalc.reason.records import By, Finding
from hepacalc.reason.situation import FactValue, LabValue

__all__ = ["PatientFindings", "patient_findings"]

LESION_BLOCKS = ("lesion", "extent", "density", "contour", "enhancement")
_YES_ONLY = ("abdomen",)


@dataclass(frozen=True, eq=False)
class PatientFindings:
    """All that a patient file says, ready for the reasoning.

    Args:
        network: ``adult`` or ``fetal``.
        evidence: of the patient, with the setting.
        lesions: of each lesion that was typed in, only blocks of its own; empty when none was.
        findings: every statement with who said it; overruled or unused ones are marked.
        setting: which prior, and why.
        facts: what rules ask for, in the words of ``facts.yaml``; what is unknown is not there.
        history: every question that was answered, by name.
        labs: every laboratory result with its limits, in the units of ``analytes.py``.
        lab_values: those that rules ask for, as :func:`hepacalc.reason.situation.situation` takes them.
        warnings: odd but possible; to be shown.
    """

    network: str
    evidence: Evidence
    lesions: tuple[Evidence, ...]
    findings: tuple[Finding, ...]
    setting: SettingChoice
    facts: Mapping[str, FactValue]
    history: Mapping[str, bool]
    labs: Mapping[str, LabFact]
    lab_values: Mapping[str, LabValue]
    warnings: tuple[str, ...]

    def whole(self) -> Evidence:
        """Return patient and lesion as one evidence.

        Raises:
            InvalidPatient: there are several lesions; each has its own differential then.
        """
        if len(self.lesions) > 1:
            raise InvalidPatient(
                f"examinations: {len(self.lesions)} lesions are described, wanted one.",
                hint="Several lesions are assessed with combine_lesions.",
            )
        return self.evidence.joined(self.lesions[0]) if self.lesions else self.evidence


def patient_findings(
    patient: Patient, knowledge: Knowledge, *, today: datetime.date, scanned: bool = False
) -> PatientFindings:
    """Return what a patient file says in the vocabulary of the knowledge base.

    Args:
        patient: a checked patient.
        knowledge: vocabulary, base rates, settings.
        today: day of the assessment unless the file names one.
        scanned: True when a CT is assessed along with the file: the modality then is CT whatever was typed in.

    Raises:
        InvalidPatient: a state that the vocabulary does not have, a setting that does not exist, or a contradiction.
    """
    check_patient(patient, today=today)
    network = network_of(knowledge, patient.network)
    day = assessment_day(patient, today)
    answered, labs = facts_of(patient), lab_facts(patient)
    warnings = list(patient_warnings(patient, today=today))
    answers = _answers(patient, answered, labs)
    had = {
        block: {s: left >= 1 for s, left in answers.said(block).items() if left in (0, 1)} for block in answers.answers
    }
    facts = rule_facts(patient, answered, labs, scanned=scanned)
    history = history_of(patient, answered)
    if history.get("cancer") is True and not any(had.get("primary", {}).values()):
        # of unknown origin, or of the liver: still a known cancer
        had["primary"] = had.get("primary", {}) | {"other": True}
    choice = choose_setting(knowledge, patient.network, patient.setting, facts, had)

    statements = answers.statements(network, {b: knowledge.blocks[b].base for b in answers.answers})
    if patient.network == "adult":
        statements += _body(patient, network, answered, labs, day)
    statements += _images(patient, network, day, warnings)
    statements += _fetus(patient, network)
    statements = _overruled(patient, network, statements)
    count = max((one.lesion or 0 for one in statements), default=0)
    return PatientFindings(
        network=patient.network,
        evidence=evidence_of(patient.network, (one for one in statements if one.lesion is None), choice.id),
        lesions=tuple(
            evidence_of(patient.network, (one for one in statements if one.lesion == k), None)
            for k in range(1, count + 1)
        ),
        findings=tuple(finding for one in statements for finding in one.findings(network)),
        setting=choice,
        facts=facts,
        history=history,
        labs=labs,
        lab_values=lab_values(patient, labs, knowledge),
        warnings=tuple(dict.fromkeys([*warnings, *answers.warnings])),
    )


# ---------------------------------------------------------------- answers


def _answers(patient: Patient, answered: Mapping[str, Fact], labs: Mapping[str, LabFact]) -> Answers:
    """What was said of blocks whose states can be true together."""
    found = Answers()
    for block, states in QUESTIONS.items():
        if (block == "fetal_anomalies") != (patient.fetus is not None):
            continue
        for state, questions in states.items():
            words = [answered[question].had for question in questions if question in answered]
            for question in questions:
                fact = answered.get(question)
                if fact is not None and fact.had == "yes":
                    name = question.split(".")[-1].replace("_", " ")
                    found.add(block, state, 1.0, f"{name}: yes" + (f" ({fact.span})" if fact.span else ""), "history")
            if words and all(word == "no" for word in words) and block not in _YES_ONLY:
                found.add(block, state, 0.0, f"{state.replace('_', ' ')}: no", "history")
    if patient.fetus:
        return found
    if (hiv := labs.get("hiv")) and hiv.result == "positive":
        found.add("history", "immunodeficiency", 1.0, hiv.text, "laboratory")
    _cancers(patient, found)
    for test in patient.serology:
        about = SEROLOGY[test.test]
        if test.result in ("positive", "negative"):
            text = f"{test.test.replace('_', ' ')} {test.result}" + (f" {test.date}" if test.date else "")
            found.add("serology", about.state, 1.0 if test.result == "positive" else about.left, text, "laboratory")
    if marks := laboratory.markers(labs):
        for state, left in marks[0].items():
            names = laboratory.MARKERS[state]
            text = "; ".join(labs[name].text for name in names if name in labs)
            found.add("markers", state, left, text, "laboratory")
    for exam in imaging.best_first(patient.examinations):
        for block in ("spleen", "chest", "abdomen"):
            seen = getattr(exam, block)
            for state, word in _organ(seen, block).items():
                text = f"{exam.modality.replace('_', ' ')}: {state.replace('_', ' ')} {word}"
                found.add(block, state, float(word == "yes"), text, exam.said_by)
    return found


def _organ(seen: Mapping[str, str] | None, block: str) -> dict[str, str]:
    """What was seen in one organ, ``others`` spread over its states."""
    if seen is None:
        return {}
    states = {"spleen": SPLEEN, "chest": CHEST, "abdomen": ABDOMEN}[block]
    rest = "no" if seen.get("others") == "no" else "not_asked"
    return {state: word for state in states if (word := seen.get(state, rest)) != "not_asked"}


def _cancers(patient: Patient, found: Answers) -> None:
    """Known cancers. That a cancer has no state of its own leaves every state but ``none`` open."""
    sites = sorted({state for state in SITES.values() if state})
    if patient.cancers.had == "no":
        for state in sites:
            found.add("primary", state, 0.0, "cancer: no", "history")
    for cancer in patient.cancers.known:
        name = cancer.site.replace("_", " ")
        more = [cancer.year or "", {"yes": "treated", "no": "not treated"}.get(cancer.treated, "")]
        text = ", ".join(part for part in (f"cancer: {name}", *more) if part)
        if (place := SITES[cancer.site]) is not None:
            found.add("primary", place, 1.0, text, "history")
        if cancer.treated == "yes":
            found.add("history", "chemotherapy", 1.0, f"treated for cancer: {name}", "history")


# ---------------------------------------------------------------- single-valued blocks


def _body(
    patient: Patient, network: Network, answered: Mapping[str, Fact], labs: Mapping[str, LabFact], day: datetime.date
) -> list[Statement]:
    """Blocks of which one state is true: age, cancer of unknown kind, liver, laboratory."""
    found: list[tuple[str, dict[str, float], tuple[Said, ...]]] = []
    if weights := _age_sex(patient, network):
        words = [f"{patient.age:g} years" if patient.age is not None else "", patient.sex or ""]
        found.append(("age_sex", weights, (Said(", ".join(word for word in words if word), "history"),)))
    known = patient.cancers.known
    unknown = (patient.cancers.had == "yes" and not known) or any(c.site == "unknown" for c in known)
    if unknown and not any(SITES[c.site] for c in known):
        weights = {state: float(state != "none") for state in network.states["primary"]}
        found.append(("primary", weights, (Said("cancer of unknown origin", "history"),)))
    images: dict[str, str] = {
        exam.liver: exam.said_by for exam in reversed(imaging.best_first(patient.examinations)) if exam.liver
    }
    if liver := background.liver_background(answered, labs, images, patient.further.fibrosis):
        found.append(("liver_background", liver[0], _grouped(liver[1])))
    for block, told in (
        ("biochemistry", laboratory.biochemistry(labs)),
        ("inflammation", laboratory.inflammation(labs)),
        ("eosinophils", laboratory.eosinophils(labs)),
        ("calcium", laboratory.calcium(labs)),
    ):
        if told:
            found.append((block, told[0], (Said("; ".join(told[1]), "laboratory"),)))
    return [Statement(block, weights_of(network, block, seen, block), said) for block, seen, said in found]


def _grouped(said: tuple[tuple[str, str], ...]) -> tuple[Said, ...]:
    """One entry for each who said something."""
    found: dict[By, list[str]] = {}
    names: dict[str, By] = {"history": "history", "laboratory": "laboratory", "report": "report", "person": "person"}
    for text, by in said:
        found.setdefault(names[by], []).append(text)
    return tuple(Said("; ".join(texts), by) for by, texts in found.items())


def _age_sex(patient: Patient, network: Network) -> dict[str, float]:
    """States that age and sex leave; what is not known leaves all."""
    if patient.age is None and patient.sex in (None, "other"):
        return {}
    young = {"infant": (0, 1), "child_1_4": (1, 5), "child_5_17": (5, 18)}
    found = {}
    for state in network.states["age_sex"]:
        low, high = young.get(state) or {"18": (18, 40), "40": (40, 60), "60": (60, 200)}[state.split("_")[1]]
        fits = patient.age is None or low <= patient.age < high
        sex = "" if state in young else {"f": "female", "m": "male"}[state[0]]
        found[state] = float(fits and (not sex or patient.sex in (None, "other", sex)))
    return found


# ---------------------------------------------------------------- images


def _images(patient: Patient, network: Network, day: datetime.date, warnings: list[str]) -> list[Statement]:
    """What was typed in of examinations: number, ducts, each lesion, the course."""
    found: list[Statement] = []
    exams = imaging.best_first(patient.examinations)
    for block in ("number", "ducts"):
        for k, exam in enumerate([e for e in exams if getattr(e, block) is not None]):
            seen = {imaging.number_state(exam) or "": 1.0} if block == "number" else exam.ducts
            text = f"{exam.modality.replace('_', ' ')}: {' or '.join(seen or {})}"
            weights = weights_of(network, block, seen, f"examinations.{block}")
            found.append(Statement(block, weights, (Said(text, exam.said_by),), used=k == 0))
    lesions, odd = imaging.lesion_said(patient.examinations)
    warnings.extend(odd)
    own_course = any(one.block == "course" for said in lesions for one in said)
    shared_course = _course(patient, network, exams, day)
    for k, said in enumerate(lesions, 1):
        for one in said:
            weights = weights_of(network, one.block, one.seen, f"examinations.lesions.{one.block}")
            by: By = "person" if one.by == "person" else "report"
            found.append(Statement(one.block, weights, (Said(one.text, by),), k, one.used))
        if own_course and shared_course and not any(one.block == "course" for one in said):
            found.append(Statement("course", shared_course.weights, shared_course.said, k))
    if shared_course and not own_course:
        found.append(shared_course)
    if any(e.number in ("single", 1) for e in exams) and len(lesions) > 1:
        warnings.append("a single focus is said in one examination, several are described in another")
    return found


def _course(patient: Patient, network: Network, exams: list[Examination], day: datetime.date) -> Statement | None:
    dates = [latest(exam.date).toordinal() for exam in exams if exam.date]
    sizes = [lesion.size_mm for exam in exams for lesion in exam.lesions if lesion.size_mm is not None]
    one_lesion = all(len(exam.lesions) <= 1 for exam in exams)
    present = min(max(dates, default=day.toordinal()), day.toordinal())
    priors = [p for p in patient.prior_examinations if earliest(p.date).toordinal() <= present]
    told = imaging.course(priors, present, sizes[0] if sizes and one_lesion else None)
    if told is None:
        return None
    return Statement("course", weights_of(network, "course", told[0], "prior_examinations"), (Said(told[1], "report"),))


def _fetus(patient: Patient, network: Network) -> list[Statement]:
    if patient.fetus is None:
        return []
    found = []
    for block, seen, text, by in fetal_said(patient.fetus):
        who: By = "laboratory" if by == "laboratory" else "report"
        found.append(Statement(block, weights_of(network, block, seen, f"fetus ({block})"), (Said(text, who),)))
    return found


def _overruled(patient: Patient, network: Network, statements: list[Statement]) -> list[Statement]:
    """A person's last word replaces what was derived; both are kept."""
    found = statements
    for k, item in enumerate(patient.overrule):
        weights = weights_of(network, item.block, item.states, f"overrule.{k}.states")
        lesion = item.lesion or (1 if item.block in LESION_BLOCKS and patient.network == "adult" else None)
        found = [
            Statement(s.block, s.weights, s.said, s.lesion, s.used and (s.block, s.lesion) != (item.block, lesion))
            for s in found
        ]
        names = [name for name, w in zip(network.states[item.block], weights.tolist(), strict=True) if w > 0]
        text = "a person says: " + (" or ".join(names[:4]) + (" ..." if len(names) > 4 else ""))
        found.append(Statement(item.block, weights, (Said(text, "person"),), lesion))
    return found
