"""The walk from Python: whole, on a volume in memory, and stage by stage; odd volumes end with one of our errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

import hepacalc
from hepacalc.assess import assess_volume
from hepacalc.errors import HepacalcError, InvalidPixelValues, StudyNotFound, UsageError
from hepacalc.geometry import Geometry
from hepacalc.liver import LiverAnatomy, liver_anatomy, vessel_reference
from hepacalc.phantom import Phantom, make_patient, write_dicom_series
from hepacalc.records import (
    Assessment,
    Calibration,
    Liver,
    LiverMask,
    Measured,
    NotMeasured,
    SeriesChoice,
    SeriesSummary,
    Volume,
)
from hepacalc.report.schema import document
from hepacalc.study.quality import BATTERY, smallest_trusted_mm

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
CHOICE = SeriesChoice(SeriesSummary("1.2", None, "CT", 1, 1.0, ()))
SITE = Calibration(120.0, 0.5, 0.01, "this site's own line")


@pytest.fixture(scope="module")
def patient() -> Phantom:
    return make_patient(31, spacing_mm=(5.0, 2.0, 2.0), mimics=())


@pytest.fixture(scope="module")
def liver(patient: Phantom) -> LiverMask:
    return LiverMask(patient.liver, patient.volume.geometry, "truth", "1", 1.0)


@pytest.fixture(scope="module")
def folder(patient: Phantom, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("scan")
    write_dicom_series(patient, out)
    return out


@pytest.fixture(scope="module")
def found(patient: Phantom, liver: LiverMask) -> Assessment:
    return assess_volume(patient.volume, CHOICE, liver_mask=liver, now=NOON)


def masses(assessment: Assessment) -> list[float]:
    known = [f.measurements["mass_mg"] for f in assessment.foci]
    return [m.value for m in known if isinstance(m, Measured)]


def test_from_a_folder_with_the_stages_told(folder: Path) -> None:
    told: list[tuple[str, float]] = []
    result = hepacalc.assess(folder, now=NOON, progress=lambda stage, part: told.append((stage, part)))
    stages = list(dict.fromkeys(stage for stage, _ in told))
    assert stages == [
        "reading the study", "finding the liver", "judging phase and quality", "reading the liver's anatomy",
        "finding and measuring foci",
    ]  # fmt: skip
    assert [name for name, _ in result.run.seconds] == stages
    assert all(0 <= part <= 1 for _, part in told)
    assert {stage for stage, part in told if part == 1.0} == set(stages)
    assert result.run.created == "2026-01-02T12:00:00+00:00"
    assert result.series.chosen.modality == "CT"
    assert result.burden.calcifications > 0
    assert result.volume.hu.shape == result.labels.shape == result.liver_mask.mask.shape


def test_a_volume_in_memory_gives_a_whole_assessment(found: Assessment, patient: Phantom) -> None:
    assert [f.code for f in found.quality] == [code for code, _ in BATTERY]
    assert isinstance(found.liver, Liver)
    assert found.liver.method == "truth 1"
    assert found.liver.is_complete
    assert isinstance(found.liver.volume_ml, Measured)
    assert found.liver.volume_ml.value == pytest.approx(patient.truth.liver_volume_ml, rel=0.03)
    assert found.phase.name == "non-contrast"
    total = found.burden.total_mass_mg
    assert isinstance(total, Measured)
    assert 0.6 * patient.truth.total_mass_mg < total.value < 1.4 * patient.truth.total_mass_mg
    assert document(found)["burden"]["calcifications"] == found.burden.calcifications


def test_nothing_is_changed_and_the_answer_repeats(found: Assessment, patient: Phantom, liver: LiverMask) -> None:
    before = patient.volume.hu.copy()
    again = assess_volume(patient.volume, CHOICE, liver_mask=liver, now=NOON)
    np.testing.assert_array_equal(patient.volume.hu, before)
    np.testing.assert_array_equal(again.labels, found.labels)
    assert masses(again) == masses(found)
    one, two = (document(replace(a, run=replace(a.run, seconds=()))) for a in (found, again))
    assert one == two


def test_a_calibration_record_and_a_file_give_the_same(
    found: Assessment, patient: Phantom, liver: LiverMask, tmp_path: Path
) -> None:
    (tmp_path / "site.csv").write_text("kvp,mg_per_ml_per_hu,sd\n120,0.5,0.01\n")
    by_record = assess_volume(patient.volume, CHOICE, liver_mask=liver, calibration=SITE)
    by_file = assess_volume(patient.volume, CHOICE, liver_mask=liver, calibration=tmp_path / "site.csv")
    assert by_record.calibration is SITE
    assert by_file.calibration.mg_per_ml_per_hu == 0.5
    np.testing.assert_allclose(masses(by_record), masses(by_file))
    slope = 0.5 / found.calibration.mg_per_ml_per_hu
    np.testing.assert_allclose(masses(by_record), [slope * m for m in masses(found)], rtol=1e-6)


def test_stage_by_stage_gives_what_the_walk_gives(found: Assessment, folder: Path, liver: LiverMask) -> None:
    volume, choice = hepacalc.open_study(folder)
    assert choice.chosen.instances == volume.hu.shape[0]
    reference = vessel_reference(volume, liver)
    phase = hepacalc.detect_phase(volume, liver, reference=reference)
    quality = hepacalc.assess_quality(volume, liver, phase)
    assert [(q.code, q.level) for q in quality] == [(q.code, q.level) for q in found.quality]
    line = hepacalc.calibration_for(volume.acquisition.kvp)
    anatomy = liver_anatomy(liver, volume, phase)
    assert isinstance(anatomy, LiverAnatomy)
    in_plane = max(s for axis, s in enumerate(volume.geometry.spacing_mm) if axis != volume.slice_axis)

    def smallest(noise_hu: float, fwhm_mm: float) -> Measured | NotMeasured:
        value = smallest_trusted_mm(noise_hu, volume.slice_thickness_mm, in_plane, in_plane_fwhm_mm=fwhm_mm)
        return Measured(value, "mm", value, value, "test")

    result = hepacalc.find_foci(
        volume, liver, phase=phase, calibration=line, liver_vessel_hu=reference.liver_vessel_hu,
        smallest_trusted_mm=smallest, locate=anatomy.segments,
    )  # fmt: skip
    np.testing.assert_array_equal(result.labels, found.labels)
    assert [f.kind for f in result.foci] == [f.kind for f in found.foci]
    assert [f.measurements["mass_mg"] for f in result.foci] == [f.measurements["mass_mg"] for f in found.foci]
    assert [f.segment for f in result.foci] == [f.segment for f in found.foci]
    points = [f.centroid_mm for f in found.foci]
    for name, distances in (
        ("hilum_distance_mm", anatomy.hilum_distances(points)),
        ("vessel_distance_mm", anatomy.vessel_distances(points)),
    ):
        assert [f.measurements[name] for f in found.foci] == distances


def test_two_ways_to_say_where_the_liver_is_are_refused(patient: Phantom, liver: LiverMask) -> None:
    with pytest.raises(UsageError):
        assess_volume(patient.volume, CHOICE, liver_mask=liver, segmenter="totalsegmentator")


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StudyNotFound):
        hepacalc.assess(tmp_path / "absent")


def test_what_is_no_ct_is_refused_before_anything_is_measured(patient: Phantom, liver: LiverMask) -> None:
    for hu in (patient.labels.astype(np.int16), patient.volume.hu + np.int16(1024), patient.volume.hu.clip(0, 255)):
        with pytest.raises(InvalidPixelValues) as raised:
            assess_volume(replace(patient.volume, hu=hu), CHOICE, liver_mask=liver)
        assert "does not look like CT numbers" in raised.value.message
        assert raised.value.hint


def test_padding_does_not_make_it_a_ct(patient: Phantom, liver: LiverMask) -> None:
    hu = patient.volume.hu + np.int16(1024)
    hu[:, :20] = -1024
    with pytest.raises(InvalidPixelValues):
        assess_volume(replace(patient.volume, hu=hu), CHOICE, liver_mask=liver)


RNG = np.random.default_rng(0)


@pytest.mark.parametrize("with_mask", [False, True])
@pytest.mark.parametrize(
    ("shape", "spacing", "make"),
    [
        ((3, 3, 3), (5, 1, 1), lambda s: RNG.normal(0, 300, s)),
        ((3, 64, 64), (5, 5, 5), lambda s: RNG.normal(0, 300, s)),
        ((40, 4, 60), (2, 2, 2), lambda s: RNG.normal(-300, 300, s)),
        ((30, 40, 40), (10, 9, 9), lambda s: RNG.normal(-1000, 10, s)),
        ((30, 40, 40), (10, 9, 9), lambda s: RNG.normal(-60, 20, s)),
        ((50, 50, 50), (0.2, 0.2, 0.2), lambda s: RNG.normal(50, 100, s)),
        ((30, 40, 40), (5, 5, 5), lambda s: np.full(s, 3071)),
        ((30, 40, 40), (5, 5, 5), lambda s: np.where(RNG.random(s) < 0.5, -1000, 3071)),
        ((30, 60, 60), (5, 5, 5), lambda s: np.linspace(-1024, 3000, int(np.prod(s))).reshape(s)),
    ],
)
def test_odd_volumes_end_with_one_of_our_errors_or_an_answer(
    shape: tuple[int, int, int], spacing: tuple[float, float, float],
    make: Callable[[tuple[int, ...]], np.ndarray], with_mask: bool,
) -> None:  # fmt: skip
    affine = np.eye(4)
    affine[:3, :3] = [[0, 0, spacing[2]], [0, spacing[1], 0], [spacing[0], 0, 0]]
    geometry = Geometry(shape, affine)
    volume = Volume(np.clip(make(shape), -1024, 3071).astype(np.int16), geometry)
    mask = np.zeros(shape, bool)
    mask[shape[0] // 4 :, shape[1] // 4 :, : max(shape[2] // 2, 1)] = True
    liver = LiverMask(mask, geometry, "file", "1", 1.0) if with_mask else None
    refused: HepacalcError | None = None
    try:
        result = assess_volume(volume, CHOICE, liver_mask=liver)
    except HepacalcError as error:
        refused = error
    if refused is not None:
        assert refused.message
        assert refused.hint
        return
    # an answer only where somebody drew a liver, and never one without grave doubts
    assert with_mask
    assert result.limits
    assert {q.level for q in result.quality} & {"warning", "severe"}
