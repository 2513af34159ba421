"""``knowledge show`` and ``knowledge diff``, and their commands."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from hepacalc.cli_knowledge import knowledge as command
from hepacalc.errors import KnowledgeError, UsageError
from hepacalc.knowledge import load_knowledge
from hepacalc.knowledge.cases import load_reference_cases, read_cases
from hepacalc.knowledge.diff import changed_numbers, diff_text
from hepacalc.knowledge.files import package_files
from hepacalc.knowledge.show import cause_text, find_cause
from hepacalc.reason.compare import ComparedCase, case_evidence, compare
from hepacalc.reason.evidence import Evidence

OURS = load_knowledge()


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    status = command(list(arguments), standalone_mode=False)
    return status or 0, capsys.readouterr().out


def folder_with(folder: Path, name: str, before: str, after: str) -> Path:
    text = package_files()[name]
    assert before in text
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text.replace(before, after), "utf-8")
    return folder


# show


@pytest.mark.parametrize("cause", OURS.causes)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_cause_can_be_shown(cause, language):
    item = OURS.causes[cause]
    text = cause_text(OURS, item, language)
    assert text.startswith(f"{item.name[language]}  ({cause})")
    assert "no diagnosis" in text
    assert item.icd10 in text
    for said in item.findings.values():
        for key in said.sources:
            assert f"  {key}  " in text, "every source is listed"
    for setting in OURS.settings.values():
        assert (setting.name[language] in text) == (setting.network == item.network)
    assert max(len(line) for line in text.splitlines()) < 200


def test_estimates_and_counts_are_told_apart():
    text = cause_text(OURS, OURS.causes["ce"])
    assert "published: 29 of 34 had echinococcus (E071, read in the source)" in text
    assert "J-TEXTBOOK" in text
    assert re.search(r"Number of foci +\[weighs as 8 patients, our working estimate, not published", text)
    assert "needle: never" in text


@pytest.mark.parametrize("word", ["ce", "CE", "Cystic echinococcosis", "囊型包虫病", " hydatid cyst "])
def test_a_cause_is_found_by_its_names(word):
    assert find_cause(OURS, word).id == "ce"


@pytest.mark.parametrize(
    ("word", "near"), [("hcx", "hcc"), ("granuloma", "granuloma_healed"), ("", "granuloma_healed")]
)
def test_a_cause_that_is_not_there(word, near):
    with pytest.raises(UsageError) as caught:
        find_cause(OURS, word)
    assert near in caught.value.hint


# reference cases and diff


def test_reference_cases_are_whole():
    cases = load_reference_cases()
    assert {case.cause for case in cases} == set(OURS.causes)
    assert len({case.id for case in cases}) == len(cases)
    evidence = case_evidence(cases, OURS)
    assert all(case.evidence.setting in OURS.settings for case in evidence)


def test_ways_to_say_what_is_found():
    text = """cases:
  - id: a
    cause: ce
    findings: {number: single, ducts: [dilated, stricture], course: {new: 0.7, growing: 0.3},
               lesion: {host: cyst, morphology: [rim, curvilinear]}}
"""
    (case,) = read_cases(text, "x.yaml")
    assert case.findings["number"] == {"single": 1.0}
    assert case.findings["ducts"] == {"dilated": 1.0, "stricture": 1.0}
    assert case.findings["course"] == {"new": 0.7, "growing": 0.3}
    assert case.findings["lesion"] == {"host": {"cyst": 1.0}, "morphology": {"rim": 1.0, "curvilinear": 1.0}}
    (found,) = case_evidence([case], OURS)
    assert found.evidence.setting == "general_ct", "a case without a setting takes the default one"
    weights = dict(zip(OURS.blocks["lesion"].states, found.evidence.weights["lesion"], strict=True))
    assert {state for state, weight in weights.items() if weight} == {"cyst/rim", "cyst/curvilinear"}


def test_the_same_knowledge_moves_nothing():
    assert not changed_numbers(OURS, OURS)
    moved = compare(case_evidence(load_reference_cases(), OURS), OURS, OURS)
    assert all(case.shift == 0 and case.rank_before == case.rank_after for case in moved)
    assert "0 numbers, choices or texts differ\n\n0 of" in diff_text([], moved)


def test_a_higher_prior_raises_its_cause(tmp_path):
    path = tmp_path / "site.yaml"
    path.write_text("site: A\npriors: {general_ct: {ce: {share: 0.3, ess: 40, source: x}}}\n")
    after = load_knowledge(path)
    numbers = [item.where for item in changed_numbers(OURS, after)]
    assert "prior general_ct.ce" in numbers
    assert f"prior general_ct, {len(OURS.networks['adult'].cause_ids) - 1} others of its causes" in numbers
    moved = compare(case_evidence(load_reference_cases(), OURS), OURS, after)
    here = [case for case in moved if case.setting == "general_ct"]
    assert all(case.shift == 0 for case in moved if case.setting != "general_ct")
    assert all(case.p_after >= case.p_before for case in here if case.cause == "ce")
    assert max(here, key=lambda case: abs(case.shift)).shifted


def test_an_edited_table_is_told_state_by_state(tmp_path):
    folder_with(tmp_path, "findings.yaml", "base: {normal: 0.90, raised: 0.10}", "base: {normal: 0.80, raised: 0.20}")
    numbers = {item.where: item for item in changed_numbers(OURS, load_knowledge(tmp_path))}
    silent = next(
        cause for cause in OURS.causes.values() if cause.network == "adult" and "inflammation" not in cause.findings
    )
    assert numbers[f"{silent.id}.inflammation.raised"].after == "0.2000"


def test_edited_words_are_told(tmp_path):
    folder_with(tmp_path, "causes/ce.yaml", "harm: dangerous", "harm: watch")
    (item,) = changed_numbers(OURS, load_knowledge(tmp_path))
    assert item.where == "cause ce"


def test_compare_takes_any_evidence():
    evidence = Evidence("adult", {"number": np.array([1.0, 0, 0, 0])}, setting="oncology")
    (case,) = compare([ComparedCase("mine", evidence)], OURS, OURS)
    assert (case.case, case.setting, case.rank_before) == ("mine", "oncology", 1)


# commands


def test_command_check(capsys):
    status, said = run(capsys, "check")
    assert status == 0
    assert said.startswith("No fault.")
    assert f"{len(OURS.causes)} causes" in said
    status, said = run(capsys, "check", "--json")
    assert json.loads(said)["faults"] == []


def test_command_check_lists_faults_and_fails(capsys, tmp_path):
    folder_with(tmp_path, "causes/ce.yaml", "harm: dangerous", "harm: bad")
    with pytest.raises(KnowledgeError, match=r"1 fault, the first: causes/ce\.yaml: harm"):
        command(["check", "--knowledge", str(tmp_path)], standalone_mode=False)
    assert "causes/ce.yaml: harm" in capsys.readouterr().out
    status, said = run(capsys, "check", "--json", "--knowledge", str(tmp_path))
    assert status == 9
    assert json.loads(said)["faults"][0]["field"] == "harm"


def test_command_check_of_a_sites_file(capsys, tmp_path):
    path = tmp_path / "site.yaml"
    path.write_text("site: A\nthresholds: {speed: {value: 3, source: x}}\n")
    with pytest.raises(KnowledgeError, match=r"thresholds\.speed"):
        command(["check", "--knowledge", str(path)], standalone_mode=False)
    path.write_text("site: A\n")
    assert run(capsys, "check", "--knowledge", str(path))[0] == 0


def test_command_show(capsys):
    assert run(capsys, "show", "hcc")[1].startswith("Hepatocellular carcinoma  (hcc)")
    assert run(capsys, "show", "hcc", "--lang", "zh")[1].startswith("肝细胞癌")


def test_command_diff(capsys, tmp_path):
    path = tmp_path / "site.yaml"
    path.write_text("site: A\npriors: {general_ct: {ce: {share: 0.3, ess: 40, source: x}}}\n")
    status, said = run(capsys, "diff", str(path))
    assert status == 0
    assert "prior general_ct.ce: 0.004 (ess 3) -> 0.3 (ess 40)" in said
    assert "right cause in the first 3:" in said
    found = json.loads(run(capsys, "diff", str(path), "--json")[1])
    assert len(found["cases"]) == len(load_reference_cases())
    assert found["before"] != found["after"]


def test_command_diff_tries_a_new_cause_on_its_own_case(capsys, tmp_path):
    folder_with(tmp_path, "causes/fascioliasis.yaml", "id: fascioliasis", "id: other_fluke")
    (tmp_path / "causes/fascioliasis.yaml").rename(tmp_path / "causes/other_fluke.yaml")
    folder_with(tmp_path, "settings.yaml", "fascioliasis: 0.7,", "fascioliasis: 0.7, other_fluke: 0.7,")
    folder_with(tmp_path, "reference_cases.yaml", "fascioliasis", "other_fluke")
    status, said = run(capsys, "diff", str(tmp_path))
    assert status == 0
    assert "cause other_fluke: not there -> new" in said
    assert re.search(r"new: textbook_other_fluke \(general_ct\): other_fluke [\d.]+ %, rank [12]", said)
    assert len(said.splitlines()) < 30, "shares that all shrink by one factor are told in one line"


def test_command_diff_of_what_is_already_in_place_says_so(tmp_path):
    folder_with(tmp_path, "causes/ce.yaml", "id: ce", "id: ce")
    with pytest.raises(KnowledgeError, match="nothing to compare"):
        command(["diff", str(tmp_path)], standalone_mode=False)
