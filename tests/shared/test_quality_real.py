"""The battery on the real scans: what is known about each must be told, and nothing else be alarming."""

from __future__ import annotations

from pathlib import Path

import pytest
from real_scans import SCANS, load

from hepacalc.liver.phase import detect_phase
from hepacalc.study.quality import assess_quality

pytestmark = pytest.mark.shared

KNOWN: dict[str, dict[str, str]] = {
    "acrin001": {},
    "cptac": {"QC-PHASE": "portal", "QC-KERN": "LUNG, sharp", "QC-NOISE": "HU in a liver", "QC-METAL": "above 2500 HU"},
    "ts": {"QC-COV": "cut at the top", "QC-KVP": "unknown", "QC-KERN": "could not be judged"},
    "ts_slab": {"QC-COV": "cut at the bottom", "QC-PHASE": "portal"},
    "ircadb": {
        "QC-PHASE": "portal",
        "QC-KVP": "unknown",
        "QC-CLIP": "cut off at 1023",
        "QC-METAL": "could not be judged",
    },
    "acrin013": {"QC-COV": "cut at the bottom", "QC-KVP": "unknown", "QC-KERN": "could not be judged"},
    "cmb": {
        "QC-COV": "cut at the bottom",
        "QC-PHASE": "arterial",
        "QC-KVP": "unknown",
        "QC-KERN": "sharp",
        "QC-NOISE": "HU",
    },
}


@pytest.mark.parametrize("name", list(SCANS))
def test_what_is_known_is_told_and_nothing_else_alarms(shared: Path, name: str) -> None:
    volume, liver = load(shared, name)
    found = assess_quality(volume, liver, detect_phase(volume, liver))
    alarming = {f.code: f.text for f in found if f.level in {"warning", "severe"}}
    assert set(alarming) == set(KNOWN[name]), alarming
    for code, words in KNOWN[name].items():
        assert words in alarming[code]


def test_no_liver_is_cut_where_it_is_whole(shared: Path) -> None:
    for name in ("acrin001", "cptac", "ircadb"):
        volume, liver = load(shared, name)
        answer = {f.code: f for f in assess_quality(volume, liver, None)}["QC-COV"]
        assert answer.level == "ok"
