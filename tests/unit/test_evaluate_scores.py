"""The case file, the scores, and what the command prints."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hepacalc.cli_evaluate import evaluate
from hepacalc.errors import InvalidPatient
from hepacalc.evaluate.case_file import Case, read_case_file, read_cases
from hepacalc.evaluate.run import Answer, CaseResult, evaluate_case, evaluate_cases
from hepacalc.evaluate.score import METHODS, paired, reliability, scored, scores, summary
from hepacalc.evaluate.tell import json_lines, text_lines
from hepacalc.knowledge import load_knowledge

KNOWLEDGE = load_knowledge()
WRITTEN = Path(__file__).resolve().parents[1] / "written_cases.jsonl"
LAST = ["n", "top1", "top3", "top5", "mrr", "brier", "redflag_recall"]


def line(**fields) -> str:
    start = {"id": "x1", "tier": "A", "calcification_in_this_patient": "yes", "final_diagnosis": "ce"}
    return json.dumps(start | fields)


CYST = {"structured": {"host": "cyst wall", "morphology": "eggshell", "size_mm": 60}, "region_exposure": "shepherd"}


@pytest.fixture(scope="module")
def written() -> list[CaseResult]:
    return evaluate_cases(read_case_file(WRITTEN), KNOWLEDGE)


def test_written_cases_are_understood(written):
    """Cases of causes of every group, in words of our own; by the author of the reader, so no measure of accuracy."""
    assert len(written) >= 45
    for result in written:
        assert result.answers["hepacalc"].rank <= 3, (result.case.stated, result.answers["hepacalc"].top)
    assert scores(written)["redflag_recall"].value == 1
    assert scores(written)["wrong_needle"].value == 0


def test_hepacalc_is_better_than_not_looking(written):
    assert scores(written)["brier"].value < scores(written, "prior only")["brier"].value
    assert scores(written)["top3"].value > scores(written, "prior only")["top3"].value


def test_the_diagnosis_does_not_touch_the_answer():
    right, other = read_cases(line(**CYST) + "\n" + line(id="x2", **CYST | {"final_diagnosis": "hcc"}))
    a, b = evaluate_case(right, KNOWLEDGE), evaluate_case(other, KNOWLEDGE)
    assert a.answers["hepacalc"].top == b.answers["hepacalc"].top
    assert a.flags == b.flags
    assert a.answers["hepacalc"].rank == 1 < b.answers["hepacalc"].rank


def test_what_counts_and_what_is_left_out():
    text = "\n".join(
        [
            line(**CYST),
            line(id="c", tier="C", **CYST),
            line(id="d", calcification_in_this_patient="unclear in the text read", **CYST),
            line(id="e", **CYST | {"final_diagnosis": "fetal_unspecified"}),
            line(id="f", **CYST | {"final_diagnosis": "fetal_tumour"}),
            line(id="g", **CYST | {"final_diagnosis": None}),
        ]
    )
    results = evaluate_cases(read_cases(text), KNOWLEDGE)
    assert [result.case.id for result in scored(results)] == ["x1", "f"]
    assert len(scored(results, tiers="ABC", certain=False)) == 4
    missed = results[4].answers["hepacalc"]
    assert (missed.probability, missed.rank) == (0, len(KNOWLEDGE.networks["adult"].cause_ids) + 1)
    told = [json.loads(one) for one in json_lines(results)]
    assert told[6]["left_out"] == {
        "calcification not certain": 1, "no known cause: empty": 1, "no known cause: fetal_unspecified": 1, "tier C": 1
    }  # fmt: skip
    assert told[4]["in_network"] is False
    assert summary(scored(results))["n"] == 2
    assert summary(scored(results))["top1"] == 0.5, "a cause of the other network is a miss, not left out"


def test_several_causes_may_be_right():
    case = read_cases(line(final_diagnosis="ae + ce"))[0]
    assert case.causes(KNOWLEDGE.causes) == ("ae", "ce")
    assert read_cases(line(final_diagnosis="ae + unknown"))[0].causes(KNOWLEDGE.causes) == ()


def result(rank: int, p: float, brier: float, first: float, *, grave: bool = False, caught: bool = False) -> CaseResult:
    made = evaluate_case(Case("x", "A", True, "ce", {}), KNOWLEDGE)
    answer = Answer(rank, p, brier, first, ())
    return replace(
        made,
        answers=dict.fromkeys(METHODS, answer),
        grave=grave,
        benign=not grave,
        flags=("soft_tissue",) * caught,
        over=(),
    )


def test_scores_by_hand():
    results = [
        result(1, 0.9, 0.02, 0.9, grave=True, caught=True),
        result(4, 0.1, 1.0, 0.6, grave=True),
        result(2, 0.3, 0.8, 0.6, caught=True),
        result(63, 0.0, 1.5, 0.8),
    ]
    found = scores(results)
    assert (found["top1"].value, found["top3"].value, found["top5"].value) == (0.25, 0.5, 0.75)
    assert found["mrr"].value == pytest.approx((1 + 0.25 + 0.5 + 0) / 4)
    assert found["brier"].value == pytest.approx(3.32 / 4)
    assert found["redflag_recall"].value == 0.5
    assert found["redflag_recall"].n == 2
    assert found["benign_caught"].value == 0.5
    assert all(s.low <= s.value <= s.high for s in found.values() if s.value is not None)
    assert scores(results) == found, "the bootstrap is seeded"
    assert paired(results, "naive Bayes")["top1"].value == 0
    bins = reliability(results)
    assert [(b.n, b.right) for b in bins] == [(2, 0.0), (1, 0.0), (1, 1.0)]
    assert list(summary(results)) == LAST


def test_no_case_gives_no_figure():
    assert summary([]) == {"n": 0} | dict.fromkeys(LAST[1:])
    assert scores([])["redflag_recall"].n == 0


def test_brier_is_that_of_the_definition():
    case = read_cases(line(**CYST))[0]
    made = evaluate_case(case, KNOWLEDGE)
    prior = made.answers["prior only"]
    p = np.array(KNOWLEDGE.networks["adult"].prior[made.read.evidence.setting].shares)
    assert prior.brier == pytest.approx(float((p**2).sum() - 2 * prior.probability + 1), abs=5e-3)


def test_lines(written, tmp_path, capsys):
    path = tmp_path / "cases.jsonl"
    path.write_text(line(**CYST) + "\n\n" + line(id="x2", **CYST) + "\n", "utf-8")
    evaluate(path, None, True, False)
    told = [json.loads(one) for one in capsys.readouterr().out.splitlines()]
    assert list(told[-1]) == LAST
    assert told[-1]["n"] == 2
    assert [one["baseline"] for one in told if "baseline" in one] == ["prior only", "naive Bayes"]
    assert told[-2]["method"] == "hepacalc"
    assert [one["hepacalc_less"] for one in told if "hepacalc_less" in one] == ["prior only", "naive Bayes"]
    assert told[0]["findings"]["lesion"][0] == "cyst wall (host)"
    evaluate(path, None, False, False)
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == told[-1]
    assert list(text_lines(written))[-1] == list(json_lines(written))[-1]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "found none"),
        ("{", "line 1"),
        ("[]", "not an object"),
        (line() + "\n" + line(structured=3), "line 2 of the case file, field structured"),
        (line() + "\n" + line(), "x1 stands twice"),
        ('{"tier": "A"}', "field id"),
        (line(labs=["ALT"]), "field labs"),
    ],
)
def test_bad_files_name_line_and_field(text, told):
    with pytest.raises(InvalidPatient, match=told):
        read_cases(text)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(InvalidPatient, match="cannot be read"):
        read_case_file(tmp_path / "none.jsonl")
    (tmp_path / "latin.jsonl").write_bytes(b'{"id": "\xff"}')
    with pytest.raises(InvalidPatient, match="UTF-8"):
        read_case_file(tmp_path / "latin.jsonl")
