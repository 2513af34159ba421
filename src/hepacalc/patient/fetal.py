"""A fetus -> what is said of the blocks of the fetal network."""

from __future__ import annotations

from collections.abc import Iterator

from hepacalc.patient.schema_exam import Fetus, InfectionTest

__all__ = ["fetal_said", "infection_weights"]

MAIN = {"toxoplasma", "cmv"}
"""The infections that are behind most calcified foci of the fetal liver; a negative of both leaves little."""
LEFT_OTHERS, LEFT_ONE = 0.1, 0.5
"""What negative tests leave of an infection: of both main ones, of fewer. Judgements."""


def fetal_said(fetus: Fetus) -> Iterator[tuple[str, dict[str, float], str, str]]:
    """Yield block, weights by state, words, who said it. Other anomalies are facts of the history section."""
    if fetus.focus is not None:
        yield "fetal_focus", fetus.focus, "focus: " + " or ".join(fetus.focus), "report"
    if fetus.flow is not None:
        yield "fetal_flow", fetus.flow, "Doppler: " + " or ".join(fetus.flow), "report"
    if fetus.gestational_weeks is not None:
        weeks = fetus.gestational_weeks
        state = "under_18" if weeks < 18 else "18_27" if weeks < 28 else "over_28"
        yield "fetal_age", {state: 1.0}, f"{weeks:.1f} weeks", "report"
    if fetus.karyotype != "not_done":
        yield "fetal_karyotype", {fetus.karyotype: 1.0}, f"chromosomes {fetus.karyotype}", "laboratory"
    if fetus.cystic_fibrosis != "not_done":
        word = fetus.cystic_fibrosis
        yield "fetal_bowel_gene", {word: 1.0}, f"cystic fibrosis test {word}", "laboratory"
    weights = infection_weights(fetus.infections)
    if weights is not None:
        yield "fetal_infection_tests", weights, "; ".join(_told(test) for test in fetus.infections), "laboratory"


def infection_weights(tests: list[InfectionTest]) -> dict[str, float] | None:
    """Return weights of negative, past, positive; None when no test says anything.

    Any IgM, PCR or low avidity makes it positive. IgM that is negative while IgG is positive is a past infection. What
    negative tests leave of ``positive`` depends on which infections were tested.
    """
    done = [
        test for test in tests if {test.igg, test.igm, test.pcr} & {"positive", "negative"} or test.avidity == "low"
    ]
    if not done:
        return None
    if any(
        (test.igm == "positive" and test.avidity != "high") or test.pcr == "positive" or test.avidity == "low"
        for test in done
    ):
        return {"negative": 0.0, "past": 0.0, "positive": 1.0}
    settled = {test.infection for test in done if "negative" in (test.igm, test.pcr) or test.igg == "negative"}
    settled |= {test.infection for test in done if test.avidity == "high"}
    left = LEFT_OTHERS if settled >= MAIN else LEFT_ONE if settled else 1.0
    past = any(test.igg == "positive" for test in done)
    return {"negative": float(not past), "past": 1.0 if past or not _all_igg(done) else 0.0, "positive": left}


def _all_igg(tests: list[InfectionTest]) -> bool:
    """Whether IgG was looked for, so that a past infection is known to be absent."""
    return all(test.igg == "negative" for test in tests)


def _told(test: InfectionTest) -> str:
    parts = [
        f"{name} {value}"
        for name, value in (("IgG", test.igg), ("IgM", test.igm), ("PCR", test.pcr), ("avidity", test.avidity))
        if value != "not_done"
    ]
    return f"{test.infection}: {', '.join(parts) or 'not done'}"
