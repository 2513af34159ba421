"""Words in headers and what they say for or against a series."""

from __future__ import annotations

from pathlib import Path

import pytest

from hepacalc.study import group_series, scan_files
from hepacalc.study.choose import judge
from study_files import write_series


def _reasons(tmp_path: Path, **tags: object) -> str:
    write_series(tmp_path / "s", SpecificCharacterSet="ISO_IR 192", **tags)
    (series,) = group_series(scan_files(tmp_path))
    return " | ".join(judge(series).reasons)


@pytest.mark.parametrize(
    "description",
    ["ABD NON CON 2.5", "Abdomen_nativ_3.0", "Unenhanced liver", "LIVER W/O CONTRAST", "CT wo", "上腹平扫", "ABD C-",
     "Calcium score", "Foie sans injection", "Abdomen ohne KM", "NECT 1.0", "pre contrast"],
)  # fmt: skip
def test_words_for_no_contrast(tmp_path: Path, description: str) -> None:
    assert "described as without contrast" in _reasons(tmp_path, SeriesDescription=description)


@pytest.mark.parametrize(
    "description",
    ["ABD PORTAL VENOUS", "Leber arteriell", "Delayed 5min", "Abd ven 5.0", "CECT", "ABD C+", "PV phase", "动脉期",
     "CTA Abdomen", "Liver_arterial_1.5", "with contrast", "Abdomen mit KM"],
)  # fmt: skip
def test_words_for_contrast(tmp_path: Path, description: str) -> None:
    assert "described as a contrast phase" in _reasons(tmp_path, SeriesDescription=description)


@pytest.mark.parametrize(
    "description", ["Abdomen 5.0", "AXIAL", "ABD W/WO", "Abdomen with and without", "Body 3.0 Br38"]
)
def test_words_that_say_neither(tmp_path: Path, description: str) -> None:
    reasons = _reasons(tmp_path, SeriesDescription=description)
    assert "described as without contrast" not in reasons
    assert "described as a contrast phase" not in reasons


@pytest.mark.parametrize("kernel", ["B70f", "Br59", "Bl64d", "I70f", "LUNG", "BONEPLUS", "FC52", "YB", "EDGE", "B60s"])
def test_sharp_kernels(tmp_path: Path, kernel: str) -> None:
    assert "sharp kernel" in _reasons(tmp_path, ConvolutionKernel=kernel)


@pytest.mark.parametrize(
    "kernel", ["B30f", ["Br38f", "3"], "I26f", "STANDARD", "SOFT", "FC13", "FC08", "B", "UB", "Qr40"]
)
def test_soft_kernels(tmp_path: Path, kernel: object) -> None:
    assert "soft kernel" in _reasons(tmp_path, ConvolutionKernel=kernel)


@pytest.mark.parametrize(("agent", "is_named"), [("", False), ("NONE", False), ("Iohexol", True), ("APPLIED", True)])
def test_the_contrast_agent(tmp_path: Path, agent: str, is_named: bool) -> None:
    assert ("the header names a contrast agent" in _reasons(tmp_path, ContrastBolusAgent=agent)) is is_named
