"""What is it, does it matter, what next: patient and scan -> differential, red flags, next test, plan. One page."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from hepacalc.followup.course import course_of
from hepacalc.followup.records import Comparison, FollowUp, StoredComparisons
from hepacalc.knowledge.model import Knowledge
from hepacalc.patient.schema import Patient
from hepacalc.patient.to_findings import PatientFindings, patient_findings
from hepacalc.reason.change import what_would_change
from hepacalc.reason.ct_findings import CtFindings, ct_findings
from hepacalc.reason.evidence import Evidence, Said
from hepacalc.reason.explain import explain
from hepacalc.reason.lesions import combine_lesions
from hepacalc.reason.network import Network, network_of
from hepacalc.reason.next_test import next_tests, option_of
from hepacalc.reason.plan import make_plan
from hepacalc.reason.reasoning import LesionReasoning, Reasoning, SourceNote, Term
from hepacalc.reason.records import Change, Explanation, Finding, HarmProbability, LesionDifferentials, Names, Plan
from hepacalc.reason.redflags import forbidden_tests
from hepacalc.reason.situation import FactValue, Situation, situation
from hepacalc.records import Assessment, Measured
from hepacalc.report.words import obstacles

__all__ = ["consult", "weigh"]

LEADING, OWN = 5, 3
"""So many causes are explained of the patient, and of each lesion."""
CT_BLOCKS = ("lesion", "extent", "density")
"""Blocks that this scan answers; what was typed in about them is kept, and used only where a person overrules."""
COURSE, GRAVE = "course", ("growing", "new")
OVERRULED = "a person says: "
NOTHING_FOUND: Names = (
    (
        "en",
        "No calcification was found in the liver on this scan: there is nothing to work up for it. What the scan "
        "cannot show stands among the limits.",
    ),
    ("zh", "本次扫描未见肝内钙化，无需为此进一步检查；扫描的局限见报告。"),
)
UNJUDGED: Names = (
    (
        "en",
        "No calcification was found, but this scan could not be judged (see the limits): it clears nothing, and the "
        "plan is that of a patient without a scan.",
    ),
    ("zh", "未发现钙化，但本次扫描无法判读（见局限性）：不能据此排除任何情况，以下方案按未行扫描处理。"),
)


def consult(
    patient: Patient,
    knowledge: Knowledge,
    *,
    today: datetime.date,
    assessment: Assessment | None = None,
) -> Reasoning:
    """Reason about one patient, with or without a CT.

    Args:
        patient: what is known besides the scan; everything in it may be "not asked".
        knowledge: a loaded knowledge base.
        today: day from which intervals run.
        assessment: the CT, when there is one; its lesions take the place of lesions that were typed in.

    Raises:
        InvalidPatient: a field of the patient that cannot be.
    """
    is_unjudged = assessment is not None and bool(obstacles(assessment)[0])
    found = _weighed(patient, knowledge, today, assessment)
    said, combined, together = found.said, found.combined, found.together
    situations = _situations(found, knowledge, assessment)
    barred = forbidden_tests(situations, knowledge)
    forbidden = {test: [dict(words)["en"] for words in reasons] for test, reasons in barred.items()}
    done = _done(assessment)
    tests = next_tests(
        together[found.worst],
        knowledge,
        setting=said.setting.id,
        options=[option_of(test) for test in knowledge.tests.values() if is_unjudged or test.id not in done],
        forbidden=forbidden,
        found=combined.lesions[found.worst],
    )
    plan = make_plan(situations, knowledge, today=today.isoformat(), tests=tests, forbidden=barred)
    plan = _fitting(plan, found, knowledge, assessment)
    changes = what_would_change(together[found.worst], knowledge, setting=said.setting.id, most=6)
    return _reasoning(found, knowledge, plan, changes)


def weigh(
    patient: Patient,
    knowledge: Knowledge,
    *,
    today: datetime.date,
    assessment: Assessment | None = None,
) -> Reasoning:
    """Return causes, red flags and plan as :func:`consult` does, without next tests and what would change the answer.

    For questions of the kind "what if": faster.
    """
    found = _weighed(patient, knowledge, today, assessment)
    plan = make_plan(_situations(found, knowledge, assessment), knowledge, today=today.isoformat())
    return _reasoning(found, knowledge, _fitting(plan, found, knowledge, assessment), ())


def _situations(found: _Weighed, knowledge: Knowledge, assessment: Assessment | None) -> list[Situation]:
    facts, labs = _facts(found.said, assessment), found.said.lab_values
    return [
        situation(evidence, one, knowledge, facts=_of_lesion(facts, assessment, lesion), labs=labs)
        for evidence, one, lesion in zip(found.together, found.combined.lesions, found.places, strict=True)
    ]


def _fitting(plan: Plan, found: _Weighed, knowledge: Knowledge, assessment: Assessment | None) -> Plan:
    """Return the plan; of a scan that shows no calcification what then holds."""
    if assessment is None or found.said.network != "adult" or assessment.lesions:
        return plan
    return _unjudged(plan) if obstacles(assessment)[0] else _nothing_found(plan, knowledge)


class _Weighed(NamedTuple):
    """Evidence and differentials; ``together`` holds one for each lesion, or one when no lesion is known."""

    said: PatientFindings
    findings: list[Finding]
    notes: list[str]
    ids: list[int]
    together: list[Evidence]
    combined: LesionDifferentials
    worst: int

    @property
    def places(self) -> list[int | None]:
        """The lesion of each entry of ``together``."""
        return [*self.ids] or [None]


def _weighed(patient: Patient, knowledge: Knowledge, today: datetime.date, assessment: Assessment | None) -> _Weighed:
    said = patient_findings(patient, knowledge, today=today, scanned=assessment is not None)
    network = network_of(knowledge, said.network)
    scan = ct_findings(assessment, network) if assessment is not None and said.network == "adult" else None
    shared, lesions, findings, notes = _joined(said, scan)
    compared = _comparisons(assessment)
    if compared is not None and scan is not None:
        shared, lesions, findings = _followed(shared, lesions, findings, compared, network)
    # without a lesion the question is what the patient's liver may hold: one lesion of which nothing is known
    own = [evidence for _, evidence in lesions] or [Evidence(said.network)]
    combined = combine_lesions(shared, own, knowledge, setting=said.setting.id)
    worst = max(range(len(own)), key=lambda k: (_harm(combined.lesions[k].harms), -k))
    together = [shared.joined(evidence) for evidence in own]
    return _Weighed(said, findings, notes, [lesion for lesion, _ in lesions], together, combined, worst)


def _reasoning(found: _Weighed, knowledge: Knowledge, plan: Plan, changes: tuple[Change, ...]) -> Reasoning:
    said, combined, together = found.said, found.combined, found.together
    told: list[LesionReasoning] = []
    for k, lesion in enumerate(found.ids):
        why = explain(together[k], knowledge, setting=said.setting.id, causes=_to_explain(k, combined))
        told.append(LesionReasoning(lesion, combined.lesions[k], why))
    leading = explain(together[found.worst], knowledge, setting=said.setting.id, causes=LEADING)
    spoken = [*leading, *(one for lesion in told for one in lesion.explanations)]
    return Reasoning(
        network=said.network,
        setting=said.setting.id,
        setting_name=tuple(knowledge.settings[said.setting.id].name.items()),
        setting_because=(said.setting.why,),
        findings=tuple(found.findings),
        differential=combined.patient,
        highest=combined.highest[:LEADING],
        lesions=tuple(told),
        worst=found.places[found.worst],
        explanations=leading,
        changes=changes,
        plan=plan,
        warnings=said.warnings,
        notes=tuple(dict.fromkeys([*found.notes, *combined.patient.notes])),
        sources=_sources(plan, spoken, knowledge),
        terms=_terms(found.findings, spoken, changes, knowledge),
        knowledge_version=knowledge.version,
    )


def _done(assessment: Assessment | None) -> tuple[str, ...]:
    """Return the tests that this scan itself is."""
    return ("noncontrast_ct",) if assessment is not None and not assessment.phase.is_contrast else ()


def _nothing_found(plan: Plan, knowledge: Knowledge) -> Plan:
    """Return the plan of a scan that shows no calcification: only what is judged apart from any focus stays."""
    items = tuple(item for item in plan.items if knowledge.rules[item.rule].beside)
    return replace(plan, flags=(), items=items, tests=(), stop=NOTHING_FOUND, questions=())


def _unjudged(plan: Plan) -> Plan:
    """Return the plan of a scan that shows no calcification and could not be judged: as without a scan, and no stop."""
    return replace(plan, stop=(), notes=(UNJUDGED, *plan.notes))


def _to_explain(k: int, combined: LesionDifferentials) -> list[str]:
    """Return the causes to explain for lesion k: its own leading ones, and the patient's that are highest here."""
    shown = [*combined.patient.causes[:LEADING], *combined.highest[:LEADING]]
    here = [
        entry.cause
        for entry in shown
        if max(range(len(combined.lesions)), key=lambda j: combined.lesions[j][entry.cause].probability) == k
    ]
    return list(dict.fromkeys([*(entry.cause for entry in combined.lesions[k].causes[:OWN]), *here]))


def _harm(harms: Sequence[HarmProbability]) -> float:
    """Upper bound of what must not be missed."""
    return max((h.high for h in harms if h.harm in ("malignant", "dangerous")), default=0.0)


def _joined(
    said: PatientFindings, scan: CtFindings | None
) -> tuple[Evidence, list[tuple[int, Evidence]], list[Finding], list[str]]:
    """Return patient evidence, the lesions' own, all findings with what is overruled marked, and notes."""
    findings = list(said.findings)
    notes: list[str] = []
    if scan is None:
        return said.evidence, list(enumerate(said.lesions, start=1)), findings, notes
    shared, measured = said.evidence, list(scan.findings)
    overrules = {(f.block, f.lesion) for f in findings if f.text.startswith(OVERRULED)}
    if "number" in scan.shared.weights:
        if ("number", None) in overrules:
            measured = _marked(measured, {("number", None)})
        else:
            findings = _marked(findings, {("number", None)})
            shared = shared.without("number").joined(scan.shared)
    lesions = []
    for lesion, evidence in scan.lesions:
        typed = said.lesions[lesion - 1] if lesion <= len(said.lesions) else Evidence(said.network)
        for block in typed.weights:
            if (block, lesion) in overrules:
                evidence = evidence.without(block)
                measured = _marked(measured, {(block, lesion)})
            elif block in CT_BLOCKS or len(said.lesions) != len(scan.lesions):
                # the scan itself is the better witness, or it is not known which lesion was meant
                typed = typed.without(block)
                findings = _marked(findings, {(block, lesion)})
        lesions.append((lesion, evidence.joined(typed)))
    if said.lesions and len(said.lesions) != len(scan.lesions):
        notes.append(
            f"{len(said.lesions)} lesions were typed in, the scan shows {len(scan.lesions)}: which is which is not "
            "known, so what was typed in about single lesions is shown and not used"
        )
    return shared, lesions, [*findings, *measured], notes


def _comparisons(assessment: Assessment | None) -> Sequence[Comparison] | None:
    """Return the comparisons with earlier exams; None when nothing was compared."""
    found = assessment.followup if assessment is not None else None
    return found.comparisons if isinstance(found, FollowUp | StoredComparisons) else None


def _followed(
    shared: Evidence,
    lesions: list[tuple[int, Evidence]],
    findings: list[Finding],
    comparisons: Sequence[Comparison],
    network: Network,
) -> tuple[Evidence, list[tuple[int, Evidence]], list[Finding]]:
    """Return evidence and findings with the course of each lesion, as comparison with earlier scans shows it.

    What a person told of the course stays for lesions that could not be compared.
    """
    found = {lesion: course_of(comparisons, lesion) for lesion, _ in lesions}
    if not any(found.values()):
        return shared, lesions, findings
    told = shared.weights.get(COURSE)
    states, out = network.states[COURSE], []
    # growth that a person knows of, of images that are not here, is not talked down
    grave = told is not None and states[int(told.argmax())] in GRAVE
    for lesion, evidence in lesions:
        course = found[lesion]
        if course is not None and not (grave and not set(GRAVE) & {max(course[0], key=lambda s: course[0][s])}):
            weights = np.array([course[0].get(state, 0.0) for state in states])
            said: tuple[Said, ...] = (Said(course[1], "measured"),)
            pairs = tuple((state, weight) for state, weight in course[0].items() if weight > 0)
            findings = [*findings, Finding(COURSE, pairs, course[1], "measured", lesion)]
        elif told is not None:
            weights, said = told, shared.said[COURSE]
        else:
            out.append((lesion, evidence))
            continue
        own = Evidence(network.name, {COURSE: weights}, {COURSE: said})
        out.append((lesion, evidence.without(COURSE).joined(own)))
    if told is not None and not grave and all(found.values()):
        findings = _marked(findings, {(COURSE, None)})
    return (shared if told is None else shared.without(COURSE)), out, findings


def _marked(findings: Iterable[Finding], what: set[tuple[str, int | None]]) -> list[Finding]:
    """Return the findings with those of these blocks and lesions marked as overruled, overrules themselves aside."""
    return [
        replace(f, overruled=True) if (f.block, f.lesion) in what and not f.text.startswith(OVERRULED) else f
        for f in findings
    ]


def _facts(said: PatientFindings, assessment: Assessment | None) -> dict[str, FactValue]:
    """Return what rules ask for by name, as far as it is known."""
    found = dict(said.facts)
    if assessment is not None:
        found["noncontrast_phase"] = not assessment.phase.is_contrast
        if _comparisons(assessment) is not None:
            found["older_images"] = "compared"
    return found


def _of_lesion(
    facts: Mapping[str, FactValue], assessment: Assessment | None, lesion: int | None
) -> dict[str, FactValue]:
    """Return the facts with the size of one lesion."""
    out = dict(facts)
    for found in assessment.lesions if assessment is not None else ():
        if found.id == lesion and isinstance(found.extent_mm, Measured):
            out["focus_mm"] = found.extent_mm.value
    return out


def _sources(plan: Plan, explanations: Sequence[Explanation], knowledge: Knowledge) -> tuple[SourceNote, ...]:
    """Return every source that the answer points to, once: flags and plan first."""
    ids = [s for flag in plan.flags for s in flag.sources]
    ids += [s for item in plan.items for s in (*item.sources, *(one for more in item.also for one in more.sources))]
    ids += [s for told in explanations for weight in told.weights for s in weight.sources]
    ids += [s for test in plan.tests for s in test.sources]
    return tuple(
        SourceNote(key, knowledge.sources[key].citation, knowledge.sources[key].status)
        for key in dict.fromkeys(ids)
        if key in knowledge.sources
    )


def _terms(
    findings: Sequence[Finding], explanations: Sequence[Explanation], changes: Sequence[Change], knowledge: Knowledge
) -> tuple[Term, ...]:
    """Return the names of the blocks and states that are spoken of by id, once."""
    blocks = [f.block for f in findings] + [c.block for c in changes]
    blocks += [weight.block for told in explanations for weight in told.weights]
    found = {block: knowledge.blocks[block].name for block in blocks if block in knowledge.blocks}
    for change in changes:
        block = knowledge.blocks[change.block]
        if change.axis and block.axis_names is not None:
            found[f"{change.block}.{change.axis}.{change.state}"] = block.axis_names[change.axis][change.state]
        else:
            found[f"{change.block}.{change.state}"] = block.state_names[change.state]
    return tuple(Term(key, tuple(name.items())) for key, name in found.items())
