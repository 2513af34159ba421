from dataclasses import replace

import pytest

from hepacalc.records import Lesion, NotMeasured, QualityFinding, Segment
from hepacalc.report.phrases import CERTAINTIES, KINDS, LEVELS, MEASUREMENTS
from hepacalc.report.words import (
    date_text,
    lobe_text,
    measurement_text,
    obstacles,
    segment_text,
    summary,
    summary_text,
)
from report_example import BALLS, make_example


def test_every_kind_level_and_measurement_has_a_word() -> None:
    from hepacalc import records

    assert tuple(KINDS) == records.KINDS
    assert tuple(MEASUREMENTS) == records.MEASUREMENTS
    assert set(CERTAINTIES) == {"certain", "probable", "possible"}
    assert set(LEVELS) == {"ok", "note", "warning", "severe"}


def test_found_lesions_are_counted_sized_and_placed() -> None:
    words = summary(make_example())
    assert words.tone == "found"
    assert words.headline == "3 calcified lesions in the liver"
    assert words.sure == ("1 certain", "1 probable", "1 possible", "1 more indeterminate")
    assert "14.0 mm" in words.size
    assert words.where == ("right lobe: 3 (segments VI, VIII in doubt)",)


def test_nothing_found_is_said_with_the_smallest_visible_focus() -> None:
    clean = replace(make_example(balls=()), limits=(), quality=())
    words = summary(clean)
    assert words.tone == "none"
    assert "No calcification found" in words.headline
    assert "2.8 mm" in words.headline, "the upper end of the interval of the smallest visible focus"
    assert words.limits == ()


@pytest.mark.parametrize("case", ["severe", "smallest", "liver", "volume"])
def test_a_failed_input_is_never_called_free_of_calcification(case: str) -> None:
    scan = make_example(balls=(), severe=case == "severe")
    no = NotMeasured("there is too much noise")
    if case == "smallest":
        scan = replace(scan, burden=replace(scan.burden, smallest_trusted_mm=no))
    if case == "liver":
        scan = replace(scan, liver=replace(scan.liver, confidence=0.3))
    if case == "volume":
        scan = replace(scan, liver=replace(scan.liver, volume_ml=no))
    words = summary(scan)
    assert words.tone == "unjudged"
    assert "No calcification" not in summary_text(scan)
    assert obstacles(scan)[0]
    assert set(obstacles(scan)[0]) <= set(words.limits)


@pytest.mark.parametrize("kwargs", [{"contrast": True}, {"complete": False}])
def test_a_limited_input_is_named_beside_no_calcification(kwargs: dict[str, bool]) -> None:
    words = summary(replace(make_example(balls=(), **kwargs), limits=(), quality=()))
    assert words.tone == "none-limited"
    assert "with limits" in words.headline
    assert len(words.limits) == 1


def test_contrast_puts_calcium_in_doubt() -> None:
    words = summary(make_example(contrast=True))
    assert words.headline == "3 calcified lesions in the liver; calcium not certain after contrast medium"
    assert any("calcium not certain" in part for part in words.sure)
    assert any("Contrast medium is present (portal venous phase)" in limit for limit in words.limits)
    assert not any("calcium not certain" in part for part in summary(make_example()).sure)


def test_only_indeterminate_lesions_are_not_called_calcified() -> None:
    words = summary(make_example(balls=BALLS[3:4]))
    assert words.tone == "indeterminate"
    assert words.headline == "1 indeterminate lesion that may be calcium; no certain calcification"


def test_a_cut_liver_is_in_the_headline() -> None:
    assert "in the part in view" in summary(make_example(complete=False)).headline


def test_grave_faults_stand_in_the_headline() -> None:
    assert summary(make_example(severe=True)).headline.endswith("; more may be hidden")
    assert summary(make_example(balls=BALLS[3:4], severe=True)).headline.endswith("; more may be hidden")


def test_the_gravest_limit_comes_first_and_none_is_said_twice() -> None:
    limits = summary(make_example(severe=True)).limits
    assert "-850 HU" in limits[0]
    assert len(set(limits)) == len(limits)


def test_the_text_for_a_terminal_ends_with_what_it_is_not() -> None:
    lines = summary_text(make_example()).splitlines()
    assert lines[0] == "3 calcified lesions in the liver"
    assert "not a diagnosis" in lines[-1]


@pytest.mark.parametrize(
    ("name", "lobe"),
    [("VIII", "right lobe"), ("IVa", "left lobe"), ("4b", "left lobe"), ("segment 2", "left lobe"), ("S6", ""),
     ("I", "caudate lobe"), ("Sx", ""), ("9", ""), ("", "")],
)  # fmt: skip
def test_lobes(name: str, lobe: str) -> None:
    assert lobe_text(name) == lobe


def test_a_doubtful_segment_names_two() -> None:
    said = segment_text(Segment((("VIII", 0.52), ("V", 0.41)), "planes"))
    assert said.replace("\N{NO-BREAK SPACE}", " ") == "VIII (52 %) or V (41 %)"


def test_a_segment_that_stands_out_names_what_else_is_possible() -> None:
    said = segment_text(Segment((("VIII", 0.7), ("VII", 0.2), ("V", 0.1)), "hepatic veins seen"))
    assert said.replace("\N{NO-BREAK SPACE}", " ") == "VIII (70 %; VII possible)"
    said = segment_text(Segment((("VIII", 0.93), ("VII", 0.05)), "hepatic veins seen"))
    assert said.replace("\N{NO-BREAK SPACE}", " ") == "VIII (93 %)"


def test_unknown_segments_are_counted_too() -> None:
    scan = make_example()

    def lost(lesion: Lesion) -> Lesion:
        return replace(lesion, segment=NotMeasured("no hilum in view"))

    words = summary(replace(scan, lesions=tuple(lost(le) for le in scan.lesions)))
    assert words.where == ("segment not known: 3",)


@pytest.mark.parametrize(
    ("stamp", "said"),
    [("20240517", "2024-05-17"), ("2026-11-22T10:42:00+00:00", "2026-11-22 10:42 UTC"),
     ("2026-11-22T10:42:09.12+01:00", "2026-11-22 10:42 +01:00"), ("yesterday", "yesterday")],
)  # fmt: skip
def test_dates(stamp: str, said: str) -> None:
    assert date_text(stamp) == said


def test_not_measured_gives_its_reason() -> None:
    assert measurement_text(NotMeasured("too few voxels")) == "not measured: too few voxels"


def test_a_segment_is_in_doubt_only_when_it_is_for_every_lesion_in_it() -> None:
    scan = make_example()
    calcified = [n for n in scan.lesions if n.kind == "calcification"]
    sure, unsure = Segment((("VIII", 0.9), ("V", 0.1)), "test"), Segment((("VIII", 0.4), ("V", 0.35)), "test")
    places = {n.id: (sure if k == 0 else unsure) for k, n in enumerate(calcified)}
    mixed = replace(scan, lesions=tuple(replace(n, segment=places.get(n.id, n.segment)) for n in scan.lesions))
    assert summary(mixed).where == ("right lobe: 3 (segment VIII)",)
    doubt = replace(scan, lesions=tuple(replace(n, segment=unsure) for n in scan.lesions))
    assert summary(doubt).where == ("right lobe: 3 (segment VIII in doubt)",)


def test_the_phase_is_told_once_among_the_limits() -> None:
    finding = QualityFinding("QC-PHASE", "warning", "portal venous (97 %): aorta 170 HU", "Scan without contrast.")
    scan = replace(make_example(contrast=True), quality=(finding,), limits=())
    limits = summary(scan).limits
    assert sum("ontrast medium" in s for s in limits) == 1
    assert finding.text not in limits
