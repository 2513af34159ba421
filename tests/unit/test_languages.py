"""No English in a Chinese report: every message has a translation in step with the code, no page has Latin words."""

from __future__ import annotations

import re
import runpy
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from full_patient import full_patients
from hepacalc.assess import assess_volume
from hepacalc.consult import consult
from hepacalc.errors import OutputError, UsageError
from hepacalc.knowledge import load_knowledge
from hepacalc.patient.read import patient_from_data
from hepacalc.phantom import make_patient
from hepacalc.reason.reasoning import Reasoning
from hepacalc.records import Assessment, LiverMask, SeriesChoice, SeriesSummary
from hepacalc.report import language, render_explanation, render_html, sentences
from hepacalc.report.language import catalog, phrase, speaking, spoken
from hepacalc.report.localise import localised
from hepacalc.report.patient import render_sheet
from hepacalc.report.sentences import say
from hepacalc.report.text import report_text
from hepacalc.report.words import text
from reason_example import NOW, TODAY, Text
from sheet_examples import told

ROOT = Path(__file__).resolve().parents[2]
ORIGINAL = "［英文原文］"
PLACE = re.compile(r"\{(\w+)(?::raw)?\}")
HAN = re.compile(r"[\u4e00-\u9fff]")
CHOICE = SeriesChoice(SeriesSummary("1.2", "Abdomen native", "CT", 60, 1.0, ("described as without contrast",)))

# what stays as it is in a Chinese report: names, units, codes, tests by their letters
SAME = re.compile(
    r"\d\.\d\+[0-9a-f]{12}|hepacalc|DICOM|NIfTI|(?:assessment|explanation|exports)\.json|foci\.csv|(?:liver|foci)\.nii\.gz|[JE]-?[A-Z0-9-]+\??|"
    r"QC-\w+|[A-Z]{1,6}\d?(?![A-Za-z])|mm|cm|mL|mg|kV|dB|deciban|numpy|pydantic|pydicom|scipy|onnxruntime|python|IV[ab]|knowledge|weights|Agatston|LPS|"
    r"PixelSpacing|SliceThickness|InstanceNumber|STANDARD|COBAS TaqMan|Coombs|IgG|IgM|Em2|Em18|eGFR|HBsAg|HBeAg|anti|"
    r"z x y x x|U/L|UTC"
)


def module() -> dict[str, Any]:
    """``scripts/catalogs.py``; it needs Babel."""
    pytest.importorskip("babel")
    return runpy.run_path(str(ROOT / "scripts" / "catalogs.py"))


@cache
def messages() -> tuple[tuple[str | None, str], ...]:
    return tuple(module()["messages"]())


def test_every_message_is_translated_and_none_is_stale() -> None:
    wanted = {(context or "", english) for context, english in messages()}
    held = set(catalog("zh"))
    assert wanted - held == set(), "translate these: python scripts/catalogs.py adds them"
    assert held - wanted == set(), "these are gone from the code: python scripts/catalogs.py takes them out"


def test_the_files_are_as_the_script_makes_them() -> None:
    made = module()
    found = made["updated"](made["messages"](), made["read_catalog"]("zh"), "zh")
    path = made["po_path"]("zh")
    assert path.read_bytes() == made["po_bytes"](found), "run: python scripts/catalogs.py"
    assert path.with_suffix(".mo").read_bytes() == made["mo_bytes"](found), "run: python scripts/catalogs.py"


def test_a_missing_or_stale_translation_would_be_seen() -> None:
    made = module()
    old = made["read_catalog"]("zh")
    changed = [(None, "a sentence that nobody has translated yet"), ("answer", "The answer, put otherwise")]
    new = made["updated"](changed, old, "zh")
    assert [message.string for message in new if message.id] == ["", ""]


def test_translations_keep_their_places() -> None:
    for (context, english), chinese in catalog("zh").items():
        assert set(PLACE.findall(english)) == set(PLACE.findall(chinese)), (context, english)


def test_translations_are_chinese() -> None:
    """A translation without a Chinese character is a unit, a name or a mark."""
    bare = {c: e for (c, e), zh in catalog("zh").items() if not HAN.search(zh) for c, e in [(e, zh)]}
    words = {zh for zh in bare.values() if re.search(r"[a-z]{3}", PLACE.sub("", zh))}
    assert words <= {"TotalSegmentator", "hepacalc {version}"} | {zh for zh in words if zh in KEPT}


KEPT = {
    "{number} dB", "{slope} mg/mL", "{length} mm", "hepacalc {version}, {made}.", "{stage} {seconds} s",
    "hepacalc {version}，{made}。",
}  # fmt: skip


def test_sentences_of_the_rooms_are_found_by_their_pattern() -> None:
    """Every template of the code, with numbers and a known word in its places, comes out in Chinese."""
    with speaking("zh"):
        for context, english in messages():
            if context is not None or not english:
                continue
            filled = PLACE.sub(lambda place: "12.5" if place[1].startswith("n") else "rib or costal cartilage", english)
            assert ORIGINAL not in say(filled), english


def test_what_is_not_known_is_marked_and_never_silent() -> None:
    with speaking("zh"):
        assert say("the moon is made of cheese") == f"{ORIGINAL}the moon is made of cheese"
        assert say("liver not measured: the moon is made of cheese").startswith(ORIGINAL)
        with pytest.raises(OutputError, match="no translation"):
            phrase("answer", "Another answer")
    assert say("the moon is made of cheese") == "the moon is made of cheese"


def test_a_language_that_has_only_been_begun_marks_what_is_english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language, "LANGUAGES", ("en", "xx", "zh"))
    monkeypatch.setattr(language, "catalog", lambda _: {("answer", "Answer"): "Xsvar"})
    with speaking("xx"):
        assert phrase("answer", "Answer") == "Xsvar"
        assert phrase("title", "Another title") == "[en] Another title"
        assert phrase("range", "{low} - {high} mm") == "{low} - {high} mm"
        assert phrase("range", "{low} to {high}") == "[en] {low} to {high}"
    assert language.whole("xx") == "en"


def test_another_language_has_marks_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    held = {("", "vessel"): "Gefäß", ("", "noise"): "Rauschen"}
    monkeypatch.setattr(language, "LANGUAGES", ("en", "xy", "zh"))
    monkeypatch.setattr(sentences, "catalog", lambda _: held)
    with speaking("xy"):
        assert say("Vessel; noise (vessel).") == "Gefäß; Rauschen (Gefäß)."
        assert say("vessel or noise") == "[en] vessel or noise"
        held["mark.or", " or "] = " oder "
        assert say("noise or vessel") == "Rauschen oder Gefäß"


def test_a_language_without_a_catalog_says_what_to_run() -> None:
    with pytest.raises(OutputError, match="no catalog") as raised:
        catalog("without")
    assert "scripts/catalogs.py" in raised.value.hint


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        ("620 HU, 562 HU above the liver around it, no contrast medium", "620 HU，高于周围肝实质562 HU，无造影剂"),
        ("cut at the left (section 12 cm2): about 30 mL missing", "左侧被截断（截面12 cm²）：约缺30 mL"),
        ("cut at the top (section 80 cm2, 52 % of its largest): at least about 300 mL missing; 900 mL in view, "
         "so about 25 % of the liver is not",
         "上侧被截断（截面80 cm²，为最大截面的52%）：至少约缺300 mL；扫描范围内900 mL，即约25%的肝脏不在范围内"),
        ("Check SliceThickness.", "请核对SliceThickness。"),
        ("Vessels are not outlined in this version.", "本版本未勾画血管。"),
        ("kernel Bone Plus, soft: noise of 12 HU is correlated over 0.71 mm",
         "卷积核Bone Plus，软组织：12 HU的噪声，相关长度0.71 mm"),
        ("2 of 3 parts could not be measured: HU are cut off at 3071 in this scan",
         "3个部分中2个未测得：本次扫描CT值在3071 HU处被截断"),
        ("portal venous (91 %): aorta 172 HU, enhanced", "门静脉期（91 %）：主动脉172 HU，已强化"),
        ("ultrasound: host cyst; morphology rim", "超声：载体：囊壁或囊内；形态：环形"),
        ("alanine aminotransferase: 35 U/L (limit 40), 2026-01-20",
         "丙氨酸氨基转移酶（ALT）：35 U/L（上限40），2026-01-20"),
    ],
)  # fmt: skip
def test_numbers_and_names_stay(english: str, chinese: str) -> None:
    with speaking("zh"):
        assert say(english) == chinese


def test_a_language_is_spoken_for_a_block() -> None:
    assert spoken() == "en"
    with speaking("zh"):
        assert text("answer") == "结论"
        with speaking("en"):
            assert text("answer") == "Answer"
        assert spoken() == "zh"
    assert spoken() == "en"
    with pytest.raises(UsageError, match="klingon"), speaking("klingon"):
        pass


@cache
def scanned(contrast: bool) -> Assessment:
    """A digital patient, really assessed: the sentences are those of the rooms."""
    found = make_patient(31, spacing_mm=(5.0, 2.0, 2.0), phase="portal venous" if contrast else "non-contrast")
    liver = LiverMask(found.liver, found.volume.geometry, "truth", "1", 1.0)
    now = datetime(2026, 1, 2, 12, tzinfo=UTC)
    return assess_volume(found.volume, CHOICE, liver_mask=liver, agatston=True, now=now)


def latin(page: str, *names: str | None) -> list[str]:
    """Words of a page in Latin letters that no Chinese report should have; citations and ``names`` are left out."""
    for name in filter(None, names):
        page = page.replace(name, "")
    parts = Text(re.sub(r'<section class="sources".*?</section>', "", page, flags=re.DOTALL)).parts
    left = (SAME.sub(" ", part) for part in parts)
    return sorted({part.strip() for part in left if re.search(r"[A-Za-z]{2,}", part)})


@pytest.mark.parametrize("contrast", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_real_report_has_no_english(contrast: bool) -> None:
    scan = scanned(contrast)
    made, chosen = scan.acquisition, scan.series.chosen
    names = (made.manufacturer, made.manufacturer_model_name, made.series_description, chosen.description, "truth")
    page = render_html(scan, language="zh")
    assert ORIGINAL not in page
    assert 'lang="zh-Hans"' in page
    assert latin(page, *names) == []
    told_ = report_text(scan, language="zh")
    assert ORIGINAL not in told_
    assert not re.search(r"[A-Za-z]{2,}", SAME.sub(" ", told_))


@pytest.mark.parametrize("case", [name for name, made in told().items() if isinstance(made, Reasoning)])
def test_an_explanation_has_no_english(case: str) -> None:
    made = told()[case]
    assert isinstance(made, Reasoning)
    page = render_explanation(made, now=NOW, language="zh")
    assert ORIGINAL not in page
    assert latin(page) == []


@pytest.mark.parametrize("case", tuple(told()))
def test_a_sheet_has_no_english(case: str) -> None:
    page = render_sheet(told()[case], language="zh", made="2026-11-22")
    assert latin(page) == []


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, entry in value.items():
            yield from strings(key)
            yield from strings(entry)
    elif isinstance(value, list):
        for entry in value:
            yield from strings(entry)


@pytest.mark.parametrize("which", range(0, len(full_patients()), 3))
def test_whatever_is_typed_in_is_said_in_chinese(which: int) -> None:
    patient = patient_from_data(full_patients()[which], today=TODAY)
    found = consult(patient, load_knowledge(), today=TODAY)
    with speaking("zh"):
        assert [one for one in strings(localised(found).to_dict()) if ORIGINAL in one] == []


def test_english_is_left_alone() -> None:
    made = told()["possible cystic echinococcosis"]
    assert localised(made) is made
