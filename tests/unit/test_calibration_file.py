"""A site's own calibration file: what is taken, and what is said about the rest."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hepacalc import read_calibration
from hepacalc.errors import InvalidCalibration

GOOD = {"kvp": 120, "mg_per_ml_per_hu": 0.79, "sd": 0.0158}


def written(folder: Path, content, name: str = "site.json") -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return path


def refused(folder: Path, content, *words: str, kvp: float | None = 120, name: str = "site.json") -> str:
    with pytest.raises(InvalidCalibration) as caught:
        read_calibration(written(folder, content, name), kvp)
    said = str(caught.value)
    for word in words:
        assert word in said
    assert said.startswith("MEA-02 InvalidCalibration: ")
    assert caught.value.hint
    return said


def test_one_json_object(tmp_path):
    found = read_calibration(written(tmp_path, GOOD | {"source": "QRM phantom"}), 120)
    assert (found.kvp, found.mg_per_ml_per_hu) == (120, 0.79)
    assert found.relative_sd == pytest.approx(0.02)
    assert found.source == "site file site.json, 120 kV: QRM phantom"


def test_list_picks_the_line_of_the_scan(tmp_path):
    lines = [GOOD, {"kvp": 100, "mg_per_ml_per_hu": 0.7, "relative_sd": 0.03}]
    path = written(tmp_path, lines)
    assert read_calibration(path, 100.4).mg_per_ml_per_hu == 0.7
    assert read_calibration(path, 119.5).mg_per_ml_per_hu == 0.79


def test_csv_with_header(tmp_path):
    text = "\ufeffkvp, mg_per_ml_per_hu, sd, source\n\n120,0.79,0.0158,\n 100 ,0.70,0,tube B\n"
    path = written(tmp_path, text, "site.csv")
    found = read_calibration(path, 100)
    assert (found.mg_per_ml_per_hu, found.relative_sd) == (0.7, 0)
    assert found.source.endswith("tube B")
    assert read_calibration(path, 120).relative_sd == pytest.approx(0.02)


def test_scan_without_tube_voltage_takes_the_only_line_and_says_so(tmp_path):
    found = read_calibration(written(tmp_path, [GOOD]), None)
    assert found.mg_per_ml_per_hu == 0.79
    assert "does not say its tube voltage" in found.source


def test_scan_without_tube_voltage_and_two_lines(tmp_path):
    refused(tmp_path, [GOOD, GOOD | {"kvp": 100}], "100, 120 kV", kvp=None)


def test_no_line_for_the_scan_lists_what_is_there(tmp_path):
    refused(tmp_path, [GOOD, GOOD | {"kvp": 80}], "100 kV", "80, 120 kV", kvp=100)
    refused(tmp_path, GOOD, "119.4 kV", kvp=119.4)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"mg_per_ml_per_hu": 0.00079}, ("line 1", "mg_per_ml_per_hu", "g/mL", "0.79")),
        ({"mg_per_ml_per_hu": 790}, ("mg_per_ml_per_hu", "790", "mg/cm3")),
        ({"mg_per_ml_per_hu": -0.8}, ("mg_per_ml_per_hu",)),
        ({"mg_per_ml_per_hu": "steep"}, ("mg_per_ml_per_hu", "steep")),
        ({"mg_per_ml_per_hu": True}, ("mg_per_ml_per_hu", "true and false")),
        ({"mg_per_ml_per_hu": float("nan")}, ("mg_per_ml_per_hu",)),
        ({"mg_per_ml_per_hu": None}, ("mg_per_ml_per_hu",)),
        ({"sd": -0.01}, ("sd",)),
        ({"sd": float("inf")}, ("sd",)),
        ({"sd": 0.7}, ("more than half",)),
        ({"relative_sd": 0.1}, ("exactly one",)),
        ({"sd": None}, ("exactly one",)),
        ({"kvp": 12}, ("kvp", "12")),
        ({"slope": 3}, ("slope",)),
        ({"kvp": [120]}, ("kvp",)),
    ],
)
def test_wrong_field_is_named(tmp_path, change, words):
    refused(tmp_path, GOOD | change, *words)


def test_wrong_line_is_named(tmp_path):
    refused(tmp_path, [GOOD, GOOD | {"kvp": 80, "sd": -1}], "line 2", "sd")
    refused(tmp_path, "kvp,mg_per_ml_per_hu,sd\n120,0.8,0\n\n80,0.6,x\n", "line 4", "sd", "'x'", name="a.csv")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ("found none",)),
        ("[]", ("found none",)),
        ("kvp,mg_per_ml_per_hu,sd\n", ("found none",)),
        ("{", ("no valid JSON",)),
        ("[1]", ("line 1", "int")),
        ("[" * 100_000, ("no valid JSON",)),
        ('{"kvp": ' + "9" * 5000 + "}", ("no valid JSON",)),
        ("kvp;mg_per_ml_per_hu;sd\n120;0,8;0,1\n", ("line 2",)),
        ("kvp,kvp\n1,2\n", ("stands twice",)),
        ("kvp,mg_per_ml_per_hu,sd\n120,0.8\n", ("3 cells", "found 2", "line 2")),
        ('kvp,"sd\n1,2\n', ("no valid CSV",)),
        ("x" * 1_000_001, ("larger than 1 MB",)),
    ],
)
def test_wrong_file(tmp_path, text, words):
    refused(tmp_path, text, *words, name="site.txt")


def test_twice_the_same_voltage(tmp_path):
    refused(tmp_path, [GOOD, GOOD | {"kvp": 80}, GOOD | {"kvp": 120.4}], "120.4", "lines 1 and 3")


def test_absent_folder_and_bytes(tmp_path):
    for path in (tmp_path / "absent.json", tmp_path):
        with pytest.raises(InvalidCalibration, match="cannot be read"):
            read_calibration(path, 120)
    (tmp_path / "b").write_bytes(b"\xff\xfe\x00k")
    with pytest.raises(InvalidCalibration, match="UTF-8"):
        read_calibration(tmp_path / "b", 120)


@given(st.binary(max_size=80) | st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["kvp", "mg_per_ml_per_hu", "sd", "relative_sd", "source"]) | st.text(max_size=3), inner),
).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_no_bytes_do_worse_than_our_error(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("any") / "site"
    path.write_bytes(data)
    try:
        found = read_calibration(path, 120)
    except InvalidCalibration:
        return
    assert 0.2 <= found.mg_per_ml_per_hu <= 2.0
    assert 0 <= found.relative_sd <= 0.5
