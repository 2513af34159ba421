"""``knowledge check`` finds every kind of fault and names file and field."""

import copy
import json
from typing import Any

import pytest

from hepacalc.knowledge.check import check_texts
from hepacalc.knowledge.files import package_files
from hepacalc.knowledge.yaml_in import read_yaml

TEXTS = package_files()
GONE = object()
CE = "causes/ce.yaml"
RULE = {
    "id": "look_again",
    "when": {
        "all": [
            {"extent": ["under_10"], "least": 0.5},
            {"not": {"cause": "malignant", "upper": "action_malignant"}},
        ]
    },
    "action": {"en": "look again", "zh": "复查"},
    "modality": "ultrasound",
    "interval": {"months": [6, 12]},
    "urgency": "routine",
    "source": "E171",
    "status": "read",
    "stop": {"en": "after one", "zh": "一次后"},
}  # fmt: skip
FLAG = {
    "id": "growth", "name": {"en": "growth", "zh": "增大"}, "when": {"course": ["growing"]},
    "why": {"en": "it may be a tumour", "zh": "可能为肿瘤"}, "source": "J-SAFETY", "status": "judgement",
}  # fmt: skip
TEST = {
    "id": "ultrasound", "name": {"en": "ultrasound", "zh": "超声"}, "reveals": ["ducts"], "minutes": 15,
    "radiation_msv": 0, "contrast": "none", "needle": False, "cost_class": "low", "source": "J-TEST",
    "status": "judgement",
}  # fmt: skip


def changed(data: Any, path: str, value: Any) -> Any:
    """A copy of nested data with one thing set, or taken out."""
    data = copy.deepcopy(data)
    *way, last = (int(step) if step.isdigit() else step for step in path.split("."))
    place = data
    for step in way:
        place = place[step]
    if value is GONE:
        del place[last]
    else:
        place[last] = value
    return data


def faults(**files: Any) -> list[str]:
    """Faults of our files with some replaced by other data; None: no such file."""
    texts = dict(TEXTS)
    for name, data in files.items():
        if data is None:
            del texts[name]
        else:
            texts[name] = data if isinstance(data, str) else json.dumps(data)
    return [str(problem) for problem in check_texts(texts)]


def edited(file: str, path: str, value: Any) -> list[str]:
    return faults(**{file: changed(read_yaml(TEXTS[file], file), path, value)})


def found(problems: list[str], *words: str) -> bool:
    return any(all(word in problem for word in words) for problem in problems)


NUMBER = {"p": {"single": 0.7}, "ess": 8, "source": "J-TEXTBOOK", "status": "judgement"}
COUNT = {"states": ["echinococcus"], "n": 29, "N": 34, "source": "E071", "status": "read"}
SEROLOGY = {"counts": [COUNT], "ess": 8, "source": "J-TEXTBOOK", "status": "judgement"}


def number(**changes: Any) -> dict[str, Any]:
    return {key: value for key, value in (NUMBER | changes).items() if value is not GONE}


def counted(**changes: Any) -> dict[str, Any]:
    return SEROLOGY | {"counts": [{key: value for key, value in (COUNT | changes).items() if value is not GONE}]}


def test_parts_of_these_tests_are_good():
    assert not edited(CE, "findings.number", number())
    assert not edited(CE, "findings.serology", counted())


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        # a number without a source or an effective sample size
        ("findings.number", number(source=GONE), ("findings.number.source: missing",)),
        ("findings.number", number(source=[]), ("findings.number.source",)),
        ("findings.number", number(ess=GONE), ("findings.number.ess: missing",)),
        ("findings.number", number(ess=0), ("findings.number.ess",)),
        ("findings.number", number(ess="8"), ("findings.number.ess",)),
        ("findings.number", number(status=GONE), ("findings.number.status: missing",)),
        ("findings.serology", counted(source=GONE), ("counts.0.source: missing",)),
        ("management.0.source", GONE, ("management.0.source: missing",)),
        # pointers that lead nowhere
        ("findings.number.source", "J-NOWHERE", ("findings.number.source", "no such source: J-NOWHERE")),
        ("findings.number", number(p={"alone": 0.5}), ("findings.number.p", "no such state: alone")),
        ("findings.colour", number(), ("findings.colour", "no such block")),
        ("findings.lesion.pictures.0.host", {"bubble": 1}, ("pictures.0.host", "no such state: bubble")),
        ("findings.lesion.pictures.0.morphology", {"zigzag": 1}, ("pictures.0.morphology", "no such state: zigzag")),
        ("findings.serology", counted(states=["worm"]), ("findings.serology.counts.0", "no such state: worm")),
        ("findings.serology", counted(host=["cyst"], states=GONE), ("counts.0", "belong to the lesion")),
        # probabilities outside of 0 to 1, or that sum over 1
        ("findings.number", number(p={"single": 1.6}), ("findings.number.p.single", "less than or equal to 1")),
        ("findings.number", number(p={"single": -0.1}), ("findings.number.p.single", "greater than or equal to 0")),
        ("findings.number", number(p={"single": 0.7, "few": 0.4}), ("findings.number", "sums to 1.1, more than 1")),
        ("findings.lesion.pictures.0.host", {"cyst": 0.7, "surface": 0.4}, ("pictures.0", "host sums to 1.1")),
        ("findings.lesion.pictures.0.weight", 1.0, ("findings.lesion", "weights", "more than 1")),
        ("findings.number", number(pictures=[]), ("findings.number",)),
        ("findings.number", number(p=GONE), ("findings.number", "leave the block out")),
        ("findings.serology", counted(n=39), ("counts.0", "more than N")),
        ("findings.serology", counted(N=0), ("counts.0.N",)),
        # what a cause says of itself
        ("harm", "bad", ("harm",)),
        ("needle", "maybe", ("needle",)),
        ("icd10", "worms", ("icd10",)),
        ("id", "cystic", ("cystic belongs into causes/cystic.yaml",)),
        ("id", "ae", ("ae belongs into causes/ae.yaml",)),
        ("price", 3, ("price: unknown key",)),
        ("name", {"en": "only English"}, ("name.zh: missing",)),
        ("network", "fetal", ("does not belong to the network fetal",)),
        # claims
        ("findings.serology", counted(n=28), ("28 of 34, but E071 says 29 of 34",)),
        ("findings.number.status", "read", ("findings.number: says read",)),
        ("findings.serology", counted(source="E069c", n=0, N=17), ("says read, its source E069c is unchecked",)),
    ],
)  # fmt: skip
def test_fault_of_a_cause_is_found(path, value, words):
    problems = edited(CE, path, value)
    assert found(problems, CE, *words), problems[:5]


def test_counts_of_one_cohort_that_contradict_each_other_are_found():
    counts = [COUNT | {"states": [state], "note": "x"} for state in ("echinococcus", "negative")]
    problems = edited(CE, "findings.serology", SEROLOGY | {"counts": counts})
    assert found(problems, CE, "findings.serology.counts", "58 of 34")


def test_a_note_may_say_why_a_count_differs():
    assert not edited(CE, "findings.serology", counted(n=28, note="one was counted twice"))


def test_a_missing_file_is_found():
    assert found(faults(**{CE: None}), "causes/ce.yaml: this cause is missing")
    assert found(faults(**{"sources.yaml": None}), "sources.yaml: this file is missing")


def test_a_key_that_stands_twice_is_found():
    assert found(faults(**{CE: "id: ce\nid: ce\n"}), "causes/ce.yaml, line 2", "stands twice")


@pytest.mark.parametrize(
    ("file", "path", "value", "words"),
    [
        ("sources.yaml", "sources.E071.work", "nobody", ("sources.E071.work", "no such work: nobody")),
        ("sources.yaml", "sources.E071.status", "sure", ("sources.E071.status",)),
        ("sources.yaml", "works.zhu_2021.address", "http://10.0.0.1/x", ("works.zhu_2021.address",)),
        ("sources.yaml", "works.twin", {"citation": "The published rows of this file"}, ("the same citation",)),
        ("sources.yaml", "works.idle", {"citation": "Nobody reads this"}, ("works.idle", "nothing is taken")),
        ("settings.yaml", "settings.oncology.prior.0.share", 0.5, ("settings.oncology", "sum to 1.04")),
        ("settings.yaml", "settings.oncology.prior.2.source", GONE, ("prior.2.source: missing",)),
        ("settings.yaml", "settings.oncology.prior.2.ess", GONE, ("prior.2.ess: missing",)),
        ("settings.yaml", "settings.oncology.prior.2.among", {"ce": 1}, ("more than one row", "ce")),
        ("settings.yaml", "settings.oncology.prior.2.among", {"worm": 1}, ("no such cause: worm",)),
        ("settings.yaml", "settings.oncology.prior.2.source", "E100", ("but E100 says 0.002",)),
        ("settings.yaml", "settings.oncology.prior.0.split", GONE, ("needs the source of the split",)),
        ("settings.yaml", "settings.oncology.given", {"primary": ["toe"]}, ("given.primary", "toe")),
        ("settings.yaml", "settings.oncology.given", {"lesion": ["cyst/rim"]}, ("given",)),
        ("settings.yaml", "settings.oncology.derived_from", None, ("adult: one setting has", "found 2")),
        ("settings.yaml", "settings.oncology.derived_from", {"primary": ["toe"]}, ("derived_from", "no state toe")),
        ("thresholds.yaml", "guidelines.hbv.chosen", "mine", ("guidelines.hbv", "mine")),
        ("thresholds.yaml", "thresholds.action_malignant.value", 5, ("action_malignant", "between 0 and 1")),
        ("thresholds.yaml", "thresholds.hbv_dna.source", "J-NOWHERE", ("thresholds.hbv_dna", "no such source")),
        ("corrections.yaml", "corrections.1.id", "E186", ("E186 stands twice",)),
        ("corrections.yaml", "corrections.1.source", GONE, ("corrections.1.source: missing",)),
        ("findings.yaml", "adult.number.base", {"single": 1.0}, ("adult.number", "every state")),
        ("findings.yaml", "adult.number.base.single", 0.5, ("adult.number", "sums to 0.9, not to 1")),
        ("findings.yaml", "adult.number.ess", GONE, ("adult.number", "ess: missing")),
        ("findings.yaml", "fetal.number", {}, ("fetal.number",)),
    ],
)  # fmt: skip
def test_fault_of_a_file_is_found(file, path, value, words):
    problems = edited(file, path, value)
    assert found(problems, file, *words), problems[:5]


def without_cause(data: Any, cause: str, settings: set[str]) -> Any:
    data = copy.deepcopy(data)
    for key in settings:
        for row in data["settings"][key]["prior"]:
            if len(row["among"]) > 1:
                row["among"].pop(cause, None)
    return data


def test_a_cause_without_a_share_cannot_be_reached():
    data = read_yaml(TEXTS["settings.yaml"], "settings.yaml")
    adult = {key for key, item in data["settings"].items() if item["network"] == "adult"}
    problems = faults(**{"settings.yaml": without_cause(data, "cnset", adult)})
    assert found(problems, "settings.yaml: cnset", "cannot be reached")
    problems = faults(**{"settings.yaml": without_cause(data, "cnset", {"oncology"})})
    assert found(problems, "settings.yaml: cnset", "no share in oncology")


# rules and tests


def ruled(rule: Any = RULE, flag: Any = FLAG, test: Any = TEST) -> list[str]:
    files = {"rules.yaml": {"redflags": [flag], "rules": [rule]}, "tests.yaml": {"tests": [test]}}
    return [text for text in faults(**files) if text.startswith(("rules", "tests"))]


def test_a_good_rule_and_test_pass():
    assert not ruled()


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("modality", GONE, ("modality: missing",)),
        ("interval", GONE, ("interval: missing",)),
        ("modality", {"none": {"en": "y", "zh": "因"}, "tests": ["ultrasound"]}, ("modality", "none with the reason")),
        ("modality", {"none": None}, ("modality",)),
        ("modality", "crystal_ball", ("no such test: crystal_ball",)),
        ("interval", {"months": [12, 6]}, ("interval", "from low to high")),
        ("interval", {"months": 6, "weeks": 2}, ("interval", "exactly one")),
        ("interval", {"now": True, "every": True}, ("interval", "every")),
        ("interval", {"none": None}, ("interval",)),
        ("when", {"extent": ["tiny"]}, ("look_again.when", "no state tiny")),
        ("when", {"block": "colour", "states": ["red"]}, ("look_again.when", "no such block: colour")),
        ("when", {"block": "lesion", "host": ["bubble"]}, ("look_again.when", "no state bubble")),
        ("when", {"cause": "evil", "upper": 0.05}, ("look_again.when", "evil")),
        ("when", {"cause": "ce", "upper": "my_limit"}, ("look_again.when", "no such threshold: my_limit")),
        ("when", {"cause": "ce"}, ("when", "asks for nothing")),
        ("when", {"lab": "alt"}, ("when", "asks for nothing")),
        ("when", {"lab": "alt", "upper": 0.1}, ("when", "does not go with upper")),
        ("when", {"lab": "alt", "fact": "age", "above": 3}, ("when", "exactly one of")),
        ("when", {"guideline": "hbv", "is": "moon_2020"}, ("look_again.when", "moon_2020")),
        ("when", {"guideline": "tea", "is": "green"}, ("look_again.when", "no such guideline: tea")),
        ("when", {"all": []}, ("when",)),
        ("when", {}, ("when", "exactly one of")),
        ("when", {"not": {"cause": "evil", "upper": 0.1}}, ("look_again.when", "evil")),
        ("urgency", "whenever", ("urgency",)),
        ("source", "J-MORPH", ("says read",)),
        ("source", GONE, ("source: missing",)),
        ("action", {"en": "look again"}, ("action.zh: missing",)),
    ],
)  # fmt: skip
def test_fault_of_a_rule_is_found(path, value, words):
    problems = ruled(rule=changed(RULE, path, value))
    assert found(problems, "rules.yaml", *words), problems[:5]


def test_no_look_needs_a_reason():
    reason = {"none": {"en": "it is a scar", "zh": "瘢痕"}}
    assert not ruled(rule=RULE | {"modality": reason, "interval": reason})


@pytest.mark.parametrize(
    "when",
    [
        {"always": True},
        {"ducts": ["dilated", "stricture"], "least": 0.3},
        {"block": "lesion", "host": ["solid_mass"], "morphology": ["rim"], "least": 0.5},
        {"block": "lesion", "states": ["cyst/rim"]},
        {"block": "course", "known": True},
        {"any": [{"lab": "alt", "above_uln": 1}, {"lab": "hbv_dna", "at_least": "hbv_dna"}]},
        {"lab": "hbsag", "is": "positive"},
        {"all": [{"fact": "age", "below": 1}, {"not": {"fact": "sex", "is": ["female", "other"]}}]},
        {"guideline": "hbv", "is": "who_2024"},
        {"cause": "metastasis", "mean": 0.2},
        {"cause": "never", "upper": "needle_never"},
    ],
)  # fmt: skip
def test_conditions_that_can_be_said(when):
    assert not ruled(rule=RULE | {"when": when}, flag=FLAG | {"when": when}, test=TEST | {"forbidden_if": when})


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("reveals", ["pipes"], ("ultrasound.reveals", "no such block: pipes")),
        ("minutes", -1, ("minutes",)),
        ("radiation_msv", GONE, ("radiation_msv: missing",)),
        ("contrast", "barium", ("contrast",)),
        ("source", GONE, ("source: missing",)),
        ("forbidden_if", {"cause": "evil", "upper": 0.1}, ("ultrasound.forbidden_if", "evil")),
    ],
)
def test_fault_of_a_test_is_found(path, value, words):
    problems = ruled(test=changed(TEST, path, value))
    assert found(problems, "tests.yaml", *words), problems[:5]


def test_ids_that_stand_twice_are_found():
    files = {"rules.yaml": {"redflags": [FLAG, FLAG], "rules": [RULE, RULE]}, "tests.yaml": {"tests": [TEST, TEST]}}
    problems = faults(**files)
    for word in ("growth", "look_again", "ultrasound"):
        assert found(problems, f"the id {word} stands twice")


# reference cases


def test_faults_of_reference_cases_are_found():
    cases = [
        {"id": "a", "cause": "ce", "findings": {"number": "alone"}},
        {"id": "a", "cause": "ce", "findings": {"lesion": {"host": "cyst", "morphology": ["rim", "zigzag"]}}},
        {"id": "b", "cause": "fetal_isolated", "setting": "moon", "findings": {"colour": "red"}},
    ]
    problems = faults(**{"reference_cases.yaml": {"cases": cases}})
    assert found(problems, "a: the id stands twice")
    assert found(problems, "a.findings.number: no such state: alone")
    assert found(problems, "a.findings.lesion: no such state: zigzag")
    assert found(problems, "b.cause", "fetal_isolated")
    assert found(problems, "b.setting", "moon")
    assert found(problems, "b.findings", "colour")
    assert found(problems, "no case for the cause ae")


def test_a_damaged_file_of_reference_cases_is_found():
    assert found(faults(**{"reference_cases.yaml": {"cases": [{"id": "a"}]}}), "reference_cases.yaml", "cause: missing")
