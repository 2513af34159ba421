"""The page: self-contained, hostile text escaped, complete, the same bytes each time."""

import os
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from hepacalc.records import Focus, QualityFinding
from hepacalc.report import foci_csv, render_html, summary_text
from hepacalc.report.html import MOST_MIMICS, MOST_PICTURED
from report_example import BALLS, make_example

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
VOID = {"meta", "br", "img", "link", "hr", "input"}
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{7*7}}&amp;\x00\x1b[31m\u202e</style>"


class Page(HTMLParser):
    """Collects tags, texts and attributes, and checks that tags are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open and data.strip():
            self.texts.append(" ".join(data.split()))

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.texts))


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(render_html(make_example()))


def test_page_one_answers(page: Page) -> None:
    text = page.text
    first = text[: text.index("Lesion L1")]
    for said in ("3 calcified lesions in the liver", "How many", "How sure", "How big", "Where", "1 certain",
                 "right lobe: 3", "What limits this answer", "Slices are 3.0 mm thick", "non-contrast",
                 "confidence 94 %",
                 "Decision support without clinical review", "not a medical device", "not a diagnosis"):  # fmt: skip
        assert said in first.replace("\N{NO-BREAK SPACE}", " "), said


def test_every_lesion_has_six_pictures(page: Page) -> None:
    pictures = [a for t, a in page.tags if t == "svg" and a.get("role") == "img"]
    assert len(pictures) == 2 + 6 * 4
    for attrs in pictures:
        assert len(attrs["aria-label"] or "") > 40


def test_nothing_is_loaded_from_outside(page: Page) -> None:
    assert not {t for t, _ in page.tags} & {
        "script",
        "link",
        "iframe",
        "object",
        "embed",
        "form",
        "base",
        "audio",
        "video",
    }
    for tag, attrs in page.tags:
        for name, value in attrs.items():
            if name in {"src", "href", "xlink:href", "data", "action", "poster", "srcset"}:
                assert (value or "").startswith(("data:image/png;base64,", "#")), (tag, name)
            assert not name.startswith("on")
    source = render_html(make_example())
    assert "url(" not in source
    assert "@import" not in source
    assert "default-src 'none'" in source
    assert "http" not in re.sub("http-equiv", "", source)


def test_it_is_accessible(page: Page) -> None:
    assert dict(page.tags[0][1]) == {"lang": "en"}
    levels = [int(t[1]) for t, _ in page.tags if re.fullmatch(r"h[1-6]", t)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
    assert {t for t, _ in page.tags} >= {"main", "header", "section", "figure", "figcaption", "thead"}
    for tag, attrs in page.tags:
        if tag == "th":
            assert attrs.get("scope") in {"row", "col"}
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(ids) == len(set(ids))
    targets = {a["href"] for t, a in page.tags if t == "a"}
    assert targets <= {f"#{i}" for i in ids}


def test_hostile_text_is_shown_as_text() -> None:
    scan = make_example(balls=BALLS[:1], text=HOSTILE)
    bad = replace(scan.foci[0], reasons=(HOSTILE,), mimic=(HOSTILE,))
    scan = replace(
        scan,
        foci=(bad,),
        limits=(HOSTILE,),
        transforms=(HOSTILE,),
        quality=(QualityFinding(HOSTILE, "severe", HOSTILE, HOSTILE),),
        acquisition=replace(scan.acquisition, study_date=HOSTILE, manufacturer=HOSTILE, convolution_kernel=HOSTILE,
                            study_instance_uid=HOSTILE, series_instance_uid=HOSTILE),
        series=replace(scan.series, passed_over=((HOSTILE, 1),)),
        run=replace(scan.run, created=HOSTILE, versions=((HOSTILE, HOSTILE),)),
        calibration=replace(scan.calibration, source=HOSTILE),
    )  # fmt: skip
    source = render_html(scan)
    page = Page(source)
    assert not {t for t, _ in page.tags} & {"script", "img"}
    assert "alert(1)" in page.text
    assert "{{7*7}}" in page.text
    assert not set(source) & {"\x00", "\x1b", "\u202e"}
    assert "bottom-center { content" not in source
    assert source.count("<style>") == source.count("</style>") == 1


def test_the_same_assessment_gives_the_same_bytes() -> None:
    assert render_html(make_example()) == render_html(make_example())


def test_unmeasured_numbers_give_their_reason() -> None:
    page = Page(render_html(make_example(unmeasured=True)))
    assert "not measured: too few voxels" in page.text
    assert not re.search(r"\bnan\b|\bNone\b|\binf\b", page.text)


def test_an_empty_result_says_what_could_have_been_seen() -> None:
    text = Page(render_html(make_example(balls=()))).text.replace("\N{NO-BREAK SPACE}", " ")
    assert "No calcification found, with limits. Solid foci of 2.8 mm or more" in text
    assert "Smallest visible focus 2.3 mm" in text


def test_a_failed_input_does_not_say_that_nothing_was_found() -> None:
    text = Page(render_html(make_example(balls=(), severe=True))).text
    assert "This scan cannot show that the liver is free of calcification" in text
    assert "No calcification found" not in text
    assert "0 calcified lesions" not in text
    assert "0 marked; absence cannot be stated" in text


def test_mimics_are_kept_with_their_reasons(page: Page) -> None:
    mimics = page.text[page.text.index("Mimics: kept, not counted") :]
    for said in ("metal", "surgical clip", "2400 HU above the liver", "outside the liver"):
        assert said in mimics


def test_many_lesions_stay_small_and_are_all_in_the_table() -> None:
    rng = np.random.default_rng(2)
    kinds = ("calcification", "calcification", "vessel")
    balls = [
        (tuple(0.25 + 0.3 * rng.random(3)), 1.0 + 3 * rng.random(), 250 + 900 * rng.random(), kinds[k % 3])
        for k in range(200)
    ]
    scan = make_example(balls=balls)
    source = render_html(scan)
    assert len(source) < 5_000_000
    page = Page(source)
    assert len([1 for t, a in page.tags if t == "section" and a.get("class") == "lesion"]) == MOST_PICTURED
    for lesion in scan.lesions:
        assert f"L{lesion.id}" in page.texts
    assert f"The first {MOST_PICTURED} of {len(scan.lesions)} lesions have pictures" in page.text
    assert f"The first {MOST_MIMICS} of 66 are listed" in page.text


def test_a_lesion_of_many_foci_lists_the_heaviest() -> None:
    def of(number: int) -> tuple[tuple[float, float, float], float, float, str]:
        return ((0.55, 0.42 + 0.004 * number, 0.3), 2.0 + number / 20, 600.0, "calcification")

    text = Page(render_html(make_example(balls=[of(k) for k in range(15)], per_lesion=15))).text
    assert "The 12 heaviest of 15 foci are shown" in text
    assert "#15" in text


def test_without_liver_or_headers_the_page_still_stands() -> None:
    scan = make_example(balls=BALLS[:2])
    scan.liver_mask.mask[:] = False
    bare = type(scan.acquisition)()
    page = Page(render_html(replace(scan, acquisition=bare, quality=(), transforms=(), limits=())))
    assert "There is no map: the liver outline is empty." in page.text
    assert "not stated" in page.text


def test_a_kind_without_measurements_stands() -> None:
    scan = make_example()

    def stripped(focus: Focus) -> Focus:
        return replace(focus, measurements={}, mimic=(), reasons=())

    Page(render_html(replace(scan, foci=tuple(stripped(f) for f in scan.foci))))


@pytest.mark.parametrize("name", ["report_page.txt", "report_summary.txt", "report_foci.csv"])
def test_golden(name: str) -> None:
    """What a reader sees, word for word. HEPACALC_GOLDEN=1 writes the files anew; read the change before a commit."""
    scan = make_example(contrast=True, complete=False, per_lesion=2)
    made = {
        "report_page.txt": lambda: "\n".join(Page(render_html(scan)).texts) + "\n",
        "report_summary.txt": lambda: summary_text(scan) + "\n",
        "report_foci.csv": lambda: foci_csv(scan),
    }[name]()
    path = GOLDEN / name
    if os.environ.get("HEPACALC_GOLDEN"):
        path.write_text(made, "utf-8")
    assert made == path.read_text("utf-8")
