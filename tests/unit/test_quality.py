"""Every check of the battery: it fires on what it is for, stays quiet on a good scan, and never raises."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hepacalc.errors import InvalidPixelValues, MeasurementError
from hepacalc.geometry import Geometry, Reorientation
from hepacalc.liver.phase import detect_phase
from hepacalc.phantom import make_patient
from hepacalc.records import Acquisition, LiverMask, Phase, QualityFinding, Volume
from hepacalc.study.quality import BATTERY, assess_quality, require_ct_numbers, smallest_trusted_mm

CODES = [code for code, _ in BATTERY]


@pytest.fixture(scope="module")
def scan() -> tuple[Volume, LiverMask, Phase]:
    phantom = make_patient(41, spacing_mm=(2.5, 1.1, 1.1), foci=[], mimics=())
    liver = LiverMask(phantom.liver, phantom.volume.geometry, "truth", "1", 1.0)
    return phantom.volume, liver, detect_phase(phantom.volume, liver)


def answers(volume: Volume, liver: LiverMask | None, phase: Phase | None) -> dict[str, QualityFinding]:
    found = assess_quality(volume, liver, phase)
    assert [f.code for f in found] == CODES
    for one in found:
        assert one.text
        assert one.level == "ok" or one.fix
    return {f.code: f for f in found}


def test_good_scan_has_nothing_worse_than_a_note(scan: tuple[Volume, LiverMask, Phase]) -> None:
    found = answers(*scan)
    assert {f.code: f.text for f in found.values() if f.level not in {"ok", "note"}} == {}
    assert "120 kV" in found["QC-KVP"].text
    assert "mL" in found["QC-COV"].text


def tagged(scan: tuple[Volume, LiverMask, Phase], **tags: object) -> dict[str, QualityFinding]:
    volume, liver, phase = scan
    return answers(replace(volume, acquisition=replace(volume.acquisition, **tags)), liver, phase)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("tags", "code", "level", "words"),
    [
        ({"modality": "PT"}, "QC-MOD", "severe", "modality PT"),
        ({"modality": None}, "QC-MOD", "note", "does not say"),
        ({"kvp": None}, "QC-KVP", "warning", "unknown"),
        ({"kvp": 20.0}, "QC-KVP", "warning", "20 kV"),
        ({"kvp": 115.0}, "QC-KVP", "note", "unusual"),
        ({"slice_thickness_mm": 1.0}, "QC-GAP", "warning", "60 % of the liver is not imaged"),
        ({"slice_thickness_mm": None}, "QC-GAP", "note", "unknown"),
        ({"slice_thickness_mm": 16.0}, "QC-THICK", "warning", "slices of 16.0 mm"),
        ({"has_lossy_compression": True}, "QC-LOSS", "warning", "loss"),
        ({"body_part_examined": "HEAD"}, "QC-BODY", "warning", "HEAD"),
        ({"body_part_examined": "HEADTOPELVIS"}, "QC-BODY", "ok", "HEADTOPELVIS"),
        ({"padding_fraction": 0.8}, "QC-PAD", "warning", "80 %"),
        ({"convolution_kernel": "LUNG"}, "QC-KERN", "warning", "sharp by name, but the pixels look soft"),
        ({"convolution_kernel": None}, "QC-KERN", "ok", "kernel not stated, soft"),
        ({"convolution_kernel": "Br69f\\3"}, "QC-KERN", "warning", "sharp by name"),
        ({"convolution_kernel": "B30f"}, "QC-KERN", "ok", "soft"),
    ],
)
def test_tags(
    scan: tuple[Volume, LiverMask, Phase], tags: dict[str, object], code: str, level: str, words: str
) -> None:
    found = tagged(scan, **tags)[code]
    assert found.level == level or (level == "warning" and found.level == "severe" and code == "QC-THICK")
    assert words in found.text


def test_contradicting_contrast_tag(scan: tuple[Volume, LiverMask, Phase]) -> None:
    volume, liver, _ = scan
    lying = replace(volume, acquisition=replace(volume.acquisition, contrast_bolus_agent="Ultravist"))
    found = answers(lying, liver, detect_phase(lying, liver))
    assert found["QC-CTAG"].level == "warning"
    assert "contradicts the pixels" in found["QC-CTAG"].text


@pytest.mark.parametrize("name", ["portal venous", "undetermined"])
def test_contrast_phase_is_a_warning(scan: tuple[Volume, LiverMask, Phase], name: str) -> None:
    phase = replace(scan[2], name=name, is_contrast=True)  # type: ignore[arg-type]
    found = answers(scan[0], scan[1], phase)["QC-PHASE"]
    assert found.level == "warning"
    assert "non-contrast" in found.fix


def altered(scan: tuple[Volume, LiverMask, Phase], hu: np.ndarray) -> dict[str, QualityFinding]:
    return answers(replace(scan[0], hu=hu), scan[1], scan[2])


def test_rescale_missing_is_severe(scan: tuple[Volume, LiverMask, Phase]) -> None:
    found = altered(scan, scan[0].hu + np.int16(1024))
    assert found["QC-UNIT"].level == "severe"
    windowed = np.clip((scan[0].hu + 160) * 0.6, 0, 255).astype(np.int16)
    assert "windowed" in altered(scan, windowed)["QC-UNIT"].text


def test_what_cannot_be_ct_numbers_is_severe(scan: tuple[Volume, LiverMask, Phase]) -> None:
    labels = np.digitize(scan[0].hu, [-300, 0, 40, 70, 200]).astype(np.int16)
    for hu, words in ((labels, "label map"), (np.abs(scan[0].hu), "neither air nor fat"), (scan[0].hu * 0 + 7, "one")):
        found = altered(scan, hu)["QC-UNIT"]
        assert (found.level, words in found.text) == ("severe", True), found.text
        assert found.fix
        with pytest.raises(InvalidPixelValues, match="does not look like CT numbers"):
            require_ct_numbers(replace(scan[0], hu=hu))
    require_ct_numbers(scan[0])
    # cut off at -160: told as severe, but measured
    cut = np.maximum(scan[0].hu, np.int16(-160))
    assert altered(scan, cut)["QC-UNIT"].level == "severe"
    require_ct_numbers(replace(scan[0], hu=cut))


@pytest.mark.parametrize(("shift", "level"), [(45, "warning"), (-60, "warning"), (110, "severe"), (6, "ok")])
def test_shifted_hu(scan: tuple[Volume, LiverMask, Phase], shift: int, level: str) -> None:
    found = altered(scan, scan[0].hu + np.int16(shift))["QC-CAL"]
    assert found.level == level
    if shift == 45:
        assert "(+4" in found.text


def test_clipped_hu_and_then_metal_cannot_be_judged(scan: tuple[Volume, LiverMask, Phase]) -> None:
    hu = scan[0].hu.copy()
    z, y, x = np.argwhere(scan[1].mask)[len(np.argwhere(scan[1].mask)) // 2]
    hu[z - 2 : z + 2, y - 4 : y + 4, x - 4 : x + 4] = 3000
    found = altered(scan, np.minimum(hu, 700))
    assert found["QC-CLIP"].level == "warning"
    assert "700" in found["QC-CLIP"].text
    assert found["QC-METAL"].text.startswith("could not be judged")
    assert altered(scan, hu)["QC-CLIP"].level == "ok"


def test_metal_near_and_far(scan: tuple[Volume, LiverMask, Phase]) -> None:
    inside = np.argwhere(scan[1].mask)
    z, y, x = inside[len(inside) // 2]
    hu = scan[0].hu.copy()
    hu[z : z + 3, y : y + 5, x : x + 5] = 3071
    near = altered(scan, hu)["QC-METAL"]
    assert near.level == "warning"
    assert "in or at the liver" in near.text
    low = int(inside[:, 0].min())
    far = scan[0].hu.copy()
    assert low > 12
    far[:4, 100:110, 100:110] = 3071
    away = altered(scan, far)["QC-METAL"]
    assert away.level in {"note", "warning"}
    assert "mm from the liver" in away.text


def test_noise_and_sharp_kernel_are_seen(scan: tuple[Volume, LiverMask, Phase]) -> None:
    rng = np.random.default_rng(2)
    white = rng.normal(0, 45, scan[0].hu.shape)
    found = altered(scan, (scan[0].hu + white).astype(np.int16))
    assert found["QC-NOISE"].level == "warning"
    assert found["QC-KERN"].level == "warning"
    assert "look sharp" in found["QC-KERN"].text or "sharp:" in found["QC-KERN"].text
    stated = float(found["QC-NOISE"].text.split()[1])
    clean = float(answers(*scan)["QC-NOISE"].text.split()[1])
    assert stated == pytest.approx(np.hypot(45, clean), rel=0.12)


def test_jump_between_slices(scan: tuple[Volume, LiverMask, Phase]) -> None:
    levels = np.flatnonzero(scan[1].mask.any(axis=(1, 2)))
    middle = int(levels.mean())
    hu = scan[0].hu.copy()
    hu[middle:] = np.roll(hu[middle:], 14, axis=1)
    found = altered(scan, hu)["QC-MOVE"]
    assert found.level == "warning"
    assert f"after slice {middle}" in found.text


def test_cut_liver(scan: tuple[Volume, LiverMask, Phase]) -> None:
    volume, liver, phase = scan
    levels = np.flatnonzero(liver.mask.any(axis=(1, 2)))
    box = (slice(int(levels[0] + 0.3 * len(levels)), None), slice(None), slice(None))
    part = replace(volume, hu=volume.hu[box], geometry=volume.geometry.crop(box))
    found = answers(part, LiverMask(liver.mask[box], part.geometry, "truth", "1", 1.0), phase)["QC-COV"]
    assert found.level == "warning"
    assert "cut at the bottom" in found.text


def test_tilt_is_told(scan: tuple[Volume, LiverMask, Phase]) -> None:
    volume, liver, phase = scan
    tilted = replace(
        volume,
        source_geometry=volume.geometry,
        acquisition=replace(volume.acquisition, gantry_tilt_degrees=18.5),
        transforms=("sheared grid resampled",),
    )
    found = answers(tilted, liver, phase)["QC-TILT"]
    assert found.level == "note"
    assert "18.5 degrees" in found.text


def test_without_mask_or_phase_it_says_what_it_could_not_judge(scan: tuple[Volume, LiverMask, Phase]) -> None:
    found = answers(scan[0], None, None)
    for code in ("QC-COV", "QC-PHASE", "QC-CTAG", "QC-NOISE"):
        assert found[code].level == "warning"
        assert found[code].text.startswith("could not be judged")


def test_axis_order_does_not_matter(scan: tuple[Volume, LiverMask, Phase]) -> None:
    volume, liver, phase = scan
    turn = Reorientation(volume.geometry, (1, 2, 0), (True, False, True))
    turned = replace(volume, hu=turn.apply(volume.hu), geometry=turn.geometry, slice_axis=2)
    other = answers(turned, LiverMask(turn.apply(liver.mask), turn.geometry, "truth", "1", 1.0), phase)
    for code, found in answers(*scan).items():
        assert other[code].level == found.level
        assert other[code].text == found.text


def odd(shape: tuple[int, int, int], value: float, dtype: type = np.int16) -> Volume:
    affine = np.eye(4)[:, [2, 1, 0, 3]] * np.array([3.0, 1, 1, 1])
    return Volume(np.full(shape, value, dtype), Geometry(shape, affine), Acquisition())


@pytest.mark.parametrize(
    "volume",
    [
        odd((3, 3, 3), 0),
        odd((1, 1, 1), -1024),
        odd((20, 40, 40), -1024),
        odd((20, 40, 40), 32767),
        odd((20, 40, 40), 0.5, np.float32),
        odd((2, 64, 64), 40),
        odd((60, 5, 5), 3000),
    ],
    ids=["tiny", "voxel", "air", "saturated", "float", "two slices", "needle"],
)
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_odd_input_never_raises(volume: Volume, share: float) -> None:
    rng = np.random.default_rng(9)
    mask = rng.random(volume.hu.shape) < share
    liver = LiverMask(mask, volume.geometry, "file", "1", 1.0)
    answers(volume, liver, detect_phase(volume, liver))
    answers(volume, LiverMask(np.ones((4, 4, 4), bool), volume.geometry, "file", "1", 1.0), None)


# ---------------------------------------------------------------- the smallest focus


def test_smallest_focus_grows_with_noise_thickness_and_pixel() -> None:
    assert smallest_trusted_mm(10, 1, 0.7) < smallest_trusted_mm(10, 5, 0.7) < smallest_trusted_mm(10, 10, 0.7)
    assert smallest_trusted_mm(10, 2.5, 0.7) < smallest_trusted_mm(30, 2.5, 0.7)
    assert smallest_trusted_mm(10, 2.5, 0.5) < smallest_trusted_mm(10, 2.5, 1.4)
    assert smallest_trusted_mm(10, 2.5, 0.7, contrast_hu=800) < smallest_trusted_mm(10, 2.5, 0.7, contrast_hu=150)


def test_smallest_focus_has_the_size_radiologists_know() -> None:
    assert 0.7 < smallest_trusted_mm(12, 1.0, 0.7) < 1.6
    assert 1.6 < smallest_trusted_mm(12, 5.0, 0.8) < 3.2


def test_smallest_focus_really_peaks_at_the_threshold() -> None:
    """Blur a drawn ball of the returned size and look at its peak."""
    from scipy import ndimage

    thickness, pixel, threshold = 3.0, 0.8, 80.0
    size = smallest_trusted_mm(0.0, thickness, pixel, 300.0, threshold_hu=threshold, in_plane_fwhm_mm=1.4)
    step = 0.1
    z, y, x = (np.mgrid[-60:61, -40:41, -40:41] * step).astype(np.float32)
    ball = (np.sqrt(z**2 + y**2 + x**2) <= size / 2).astype(np.float32) * 300
    sigma = np.array([thickness, 1.4, 1.4]) / 2.3548 / step
    blurred = ndimage.gaussian_filter(ball, sigma)
    off = round(thickness / 4 / step)
    across = round(pixel / 4 / step)
    assert blurred[60 + off, 40 + across, 40] == pytest.approx(threshold, rel=0.12)


@pytest.mark.parametrize("bad", [(-1, 1, 1), (10, 0, 1), (10, 1, float("nan"))])
def test_smallest_focus_of_nonsense_is_refused(bad: tuple[float, float, float]) -> None:
    with pytest.raises(MeasurementError):
        smallest_trusted_mm(*bad)


def test_no_focus_stands_out_when_it_is_too_faint() -> None:
    with pytest.raises(MeasurementError, match="no focus"):
        smallest_trusted_mm(10, 1, 0.7, contrast_hu=30)
