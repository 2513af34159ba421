"""UIDs and texts of an assessment without identity."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hepacalc.interop.uids import headers_without_identity, mapped_uid, without_identity
from hepacalc.records import SeriesSummary
from hepacalc.report import document, document_json
from report_example import make_example
from report_strategies import SETTINGS

ROOTS = st.sampled_from(["1.2.826.0.1.3680043.8.498", "1.2.840.113619.2.55", "2.25", "1.3.6.1.4.1.14519.5.2.1"])
KEY = b"a key of some length for the tests"
UIDS = st.builds(lambda root, n: f"{root}.{n}", ROOTS, st.integers(10**9, 10**20))


@SETTINGS
@given(UIDS, UIDS)
def test_the_same_uid_for_the_same_and_no_other(one: str, other: str) -> None:
    assert mapped_uid(one, KEY) == mapped_uid(one, KEY)
    assert (mapped_uid(one, KEY) == mapped_uid(other, KEY)) == (one == other)
    assert mapped_uid(one, KEY).startswith("2.25.")
    assert len(mapped_uid(one, KEY)) <= 64


@SETTINGS
@given(study=UIDS, series=UIDS, other=UIDS)
def test_no_uid_stays_anywhere(study: str, series: str, other: str) -> None:
    scan = make_example(balls=())
    known = replace(
        scan.acquisition, study_instance_uid=study, series_instance_uid=series, frame_of_reference_uid=other
    )
    choice = replace(
        scan.series,
        chosen=replace(scan.series.chosen, series_instance_uid=series),
        others=(SeriesSummary(other, "Doe liver", "CT", 3, None, (f"slices of {other} are missing.",)),),
    )
    run = replace(scan.run, settings=(*scan.run.settings, ("foci_mask", f"DICOM SEG LABELMAP {other}")))
    limits = (f"Series {series}: see {other}, {study}.",)
    named = replace(scan, acquisition=known, series=choice, run=run, limits=limits)
    text = document_json(document(without_identity(named, KEY)))
    for uid in (study, series, other):
        assert uid in document_json(document(named))
        assert not any(uid == word.strip(",.:") for word in text.replace('"', " ").split())
        assert mapped_uid(uid, KEY) in text
    assert "Doe" not in text
    assert json.loads(text)["run"]["versions"] == json.loads(document_json(document(named)))["run"]["versions"]


def test_a_file_name_may_hold_a_name() -> None:
    scan = make_example(balls=())
    nifti = replace(scan.series, chosen=replace(scan.series.chosen, series_instance_uid="doe-john.nii.gz"))
    assert "doe" not in document_json(document(without_identity(replace(scan, series=nifti), KEY)))


def test_headers_keep_the_grid_and_nothing_else() -> None:
    from pydicom.dataset import Dataset

    whole = Dataset()
    whole.PatientName, whole.PatientID, whole.StudyInstanceUID, whole.SOPInstanceUID = (
        "Doe^J",
        "7",
        "1.2.3.4",
        "1.2.3.5",
    )
    whole.ImagePositionPatient, whole.StudyDescription, whole.OperatorsName = [1, 2, 3], "Doe", "Roe"
    whole.add_new(0x00091001, "LO", "Doe private")
    place, secret = Dataset(), Dataset()
    place.ImagePositionPatient = [4, 5, 6]
    secret.PlanePositionSequence, secret.FrameComments = [place], "Doe"
    whole.PerFrameFunctionalGroupsSequence = [secret]
    (bare,) = headers_without_identity((whole,), KEY)
    assert "Doe" not in str(bare)
    assert "Roe" not in str(bare)
    assert bare.StudyInstanceUID == mapped_uid("1.2.3.4", KEY)
    assert list(bare.ImagePositionPatient) == [1, 2, 3]
    assert list(bare.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0].ImagePositionPatient) == [4, 5, 6]
    assert bare.PatientIdentityRemoved == "YES"
    assert str(whole.PatientName) == "Doe^J"


@pytest.mark.parametrize("text", ["2.4.6", "numpy 2.4.6", "1.5 mm", "2.25 mm", "0.1.0"])
def test_numbers_are_no_uids(text: str) -> None:
    scan = replace(make_example(balls=()), limits=(text,))
    assert without_identity(scan, KEY).limits == (text,)
