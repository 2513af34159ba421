"""The validation page: its tables are those of the stored figures, and the figures are computed right."""

import json
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reference" / "validation.md"
BLOCK = re.compile(r"<!-- bench:(validation-[a-z]+) -->\n(.*?)\n<!-- end bench -->", re.DOTALL)


@pytest.fixture(scope="module")
def modules():
    pytest.importorskip("matplotlib", reason="needs hepacalc[bench]")
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        import validation_figures
        import validation_patients

        yield validation_figures, validation_patients
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))


def test_page_holds_the_stored_figures(modules):
    figures, _ = modules
    stored = json.loads(PAGE.with_suffix(".json").read_text("utf-8"))
    shown = dict(BLOCK.findall(PAGE.read_text("utf-8")))
    assert set(shown) == set(stored)
    for name, table in stored.items():
        assert shown[name] == figures.markdown(table), f"{name}: run scripts/validate"
        assert all(len(row) == len(table["columns"]) for row in table["rows"])
    numbers = stored["validation-numbers"]
    held = [row[numbers["columns"].index("90 % intervals hold, %")] for row in numbers["rows"]]
    assert all(share is None or 0 <= share <= 100 for share in held)
    assert {"mass_mg", "volume_mm3", "diameter_mm", "max_hu", "capsule_distance_mm", "liver volume_ml"} <= {
        row[0].strip("`") for row in numbers["rows"]
    }


def test_pictures_are_there():
    named = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", PAGE.read_text("utf-8"))
    assert len(named) >= 8
    assert not [name for name in named if not (PAGE.parent / name).is_file()]


def test_errors_and_intervals(modules):
    figures, patients = modules
    number = patients.Number
    numbers = [
        number("mass_mg", "made up", 10.0, 12.0, 9.0, 14.0),
        number("mass_mg", "made up", 10.0, 9.0, 8.0, 9.5),
        number("mass_mg", "made up", 10.0, None, reason="cut"),
        number("parts", "made up", 1.0, 3.0, 3.0, 3.0),
    ]
    mass, parts = figures.quantities(numbers)["rows"]
    assert mass == ["`mass_mg`", "made up", 2, 1, "%", 5.0, 15.0, 19.0, 20.0, 50.0]
    assert parts[5:] == [2.0, 2.0, 2.0, 2.0, None]


def test_classes_and_calibration(modules):
    figures, patients = modules
    words = [patients.Word("segment", "II", said, p) for said, p in (("II", 0.9), ("III", 0.88), ("II", 0.4))]
    words += [patients.Word("kind of a mimic", "metal", said) for said in ("metal", "calcification", "not listed")]
    segment, mimic = figures.classes(words)["rows"]
    assert segment[1:3] == [3, 66.7]
    assert segment[4] == "II as III (1)"
    assert figures.mimics_called(words) == (3, 1, 1)
    assert mimic[2] == 33.3
    assert [(n, right) for _, right, n in figures.stated(words, "segment")] == [(1, 1.0), (2, 0.5)]


def test_what_has_no_value_is_a_dash(modules):
    figures, _ = modules
    made = figures.table(["a", "b"], [["x|y", None], [True, 1 / 3]])
    assert figures.markdown(made).splitlines()[2:] == ["| x\\|y | - |", "| True | 0.333 |"]


def test_form_is_judged_as_sharp_as_the_scan_and_as_drawn(modules):
    import numpy as np

    from hepacalc.foci.shape import Body, describe_shape
    from hepacalc.phantom import build_shape
    from hepacalc.phantom.shapes import sample

    _, patients = modules
    star = sample(build_shape("central stellate", 12, np.random.default_rng(1)))
    mask = star.values >= 0.5
    drawn = describe_shape(Body(mask, star.step_mm, star.origin_mm, star.values, mask))
    sharp, blunt = (patients._as_sharp_as(star, sigma) for sigma in (0.3, 0.9))
    assert drawn.hollowness > sharp.hollowness > blunt.hollowness
    assert drawn.sphericity < sharp.sphericity < blunt.sphericity
