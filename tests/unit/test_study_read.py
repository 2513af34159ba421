"""What comes out of open_study on good input."""

from __future__ import annotations

import logging
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pydicom
import pytest

from hepacalc.study import choose_series, group_series, load_series, open_study, scan_files
from study_files import EXPLICIT, ct_slice, enhanced, picture, save, volume_of, write_nifti, write_series


def test_a_series_is_read_exactly(tmp_path: Path) -> None:
    volume, choice = open_study(write_series(tmp_path / "s"))
    np.testing.assert_array_equal(volume.hu, volume_of())
    assert volume.hu.dtype == np.int16
    assert volume.geometry.spacing_mm == pytest.approx((2.5, 0.8, 0.7))
    np.testing.assert_allclose(volume.geometry.to_world((1, 2, 3)), [-100 + 3 * 0.7, -80 + 2 * 0.8, 42.5])
    assert volume.source_geometry is None
    assert volume.slice_axis == 0
    assert volume.sop_instance_uids == tuple(f"1.2.3.4.{k}" for k in range(1, 7))
    assert choice.chosen.series_instance_uid == "1.2.3.4"
    assert volume.transforms == ()


def test_headers_reach_the_acquisition_without_identity(tmp_path: Path) -> None:
    write_series(tmp_path / "s", ConvolutionKernel=["Br38f", "3"], ContrastBolusAgent="", SeriesDescription="Abdomen")
    volume, choice = open_study(tmp_path)
    a = volume.acquisition
    assert (a.kvp, a.slice_thickness_mm, a.convolution_kernel) == (120.0, 2.5, "Br38f\\3")
    assert a.contrast_bolus_agent is None
    assert a.image_type == ("ORIGINAL", "PRIMARY", "AXIAL")
    assert a.has_lossy_compression is False
    for word in ("Nobody", "SECRET", "Secret"):
        assert word not in repr(volume) + repr(choice)


@pytest.mark.parametrize("reverse", [False, True])
def test_order_comes_from_positions(tmp_path: Path, reverse: bool) -> None:
    """Neither file names nor instance numbers decide, and stale spacing tags are not believed."""
    write_series(
        tmp_path / "s",
        each=lambda k: {"InstanceNumber": 6 - k if reverse else k + 1},
        SpacingBetweenSlices=9.0,
        SliceThickness=7.0,
        name="z",
    )
    volume, _ = open_study(tmp_path)
    np.testing.assert_array_equal(volume.hu, volume_of())
    assert volume.geometry.spacing_mm[0] == pytest.approx(2.5)
    assert volume.slice_thickness_mm == 7.0


def test_rescale_of_each_slice_counts(tmp_path: Path) -> None:
    write_series(tmp_path / "s", each=lambda k: {"RescaleIntercept": -1024 + k, "RescaleSlope": 1 + k % 2})
    volume, _ = open_study(tmp_path)
    assert np.abs(volume.hu.astype(int) - volume_of()).max() <= 1  # an odd HU at slope 2
    assert volume.hu.dtype == np.int16


def test_fractional_rescale_gives_float(tmp_path: Path) -> None:
    write_series(tmp_path / "s", RescaleSlope=0.5)
    volume, _ = open_study(tmp_path)
    assert volume.hu.dtype == np.float32
    np.testing.assert_allclose(volume.hu, volume_of())


def test_values_beyond_int16_give_float(tmp_path: Path) -> None:
    bright = picture(2).astype(float)
    bright[3, 4] = 40000
    write_series(
        tmp_path / "s",
        each=lambda k: {"hu": bright} if k == 2 else {},
        BitsStored=16,
        HighBit=15,
    )
    volume, _ = open_study(tmp_path)
    assert volume.hu.dtype == np.float32
    assert volume.hu[2, 3, 4] == 40000


def test_signed_twelve_bits_without_sign_extension(tmp_path: Path) -> None:
    def twelve(k: int) -> dict[str, object]:
        raw = (picture(k).astype("<i2") & 0x0FFF).astype("<u2")
        return {"PixelData": raw.tobytes()}

    write_series(tmp_path / "s", each=twelve, PixelRepresentation=1, RescaleIntercept=0, BitsStored=12, HighBit=11)
    volume, _ = open_study(tmp_path)
    np.testing.assert_array_equal(volume.hu, volume_of())


def test_overlay_bits_above_the_stored_ones_are_cleared(tmp_path: Path) -> None:
    write_series(tmp_path / "s", each=lambda k: {"PixelData": ((picture(k) + 1024).astype("<u2") | 0x8000).tobytes()})
    volume, _ = open_study(tmp_path)
    np.testing.assert_array_equal(volume.hu, volume_of())


@pytest.mark.parametrize("syntax", [EXPLICIT, "1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"])
def test_uncompressed_syntaxes(tmp_path: Path, syntax: str) -> None:
    little = syntax != "1.2.840.10008.1.2.2"
    for k in range(4):
        dataset = ct_slice(k, syntax=syntax)
        if little:
            save(dataset, tmp_path / f"{k}.dcm")
        else:
            plain = pydicom.Dataset(dataset)
            plain.file_meta = dataset.file_meta
            plain.PixelData = (picture(k) + 1024).astype(">u2").tobytes()
            pydicom.dcmwrite(tmp_path / f"{k}.dcm", plain, implicit_vr=False, little_endian=False, force_encoding=True)
    volume, _ = open_study(tmp_path)
    np.testing.assert_array_equal(volume.hu, volume_of(4))


@pytest.mark.parametrize("implicit", [False, True])
def test_no_file_meta_and_no_preamble(tmp_path: Path, implicit: bool) -> None:
    for k in range(4):
        dataset = pydicom.Dataset(ct_slice(k))
        pydicom.dcmwrite(
            tmp_path / f"{k}", dataset, implicit_vr=implicit, little_endian=True, enforce_file_format=False
        )
    volume, _ = open_study(tmp_path)
    np.testing.assert_array_equal(volume.hu, volume_of(4))


def test_rle_through_the_helper_process(tmp_path: Path) -> None:
    from pydicom.encaps import encapsulate
    from pydicom.pixels import get_encoder

    for k in range(4):
        dataset = ct_slice(k, syntax="1.2.840.10008.1.2.5")
        source = np.frombuffer(dataset.PixelData, "<u2").reshape(16, 20)
        dataset.PixelData = encapsulate(
            [
                get_encoder("1.2.840.10008.1.2.5").encode(
                    source,
                    rows=16,
                    columns=20,
                    samples_per_pixel=1,
                    bits_allocated=16,
                    bits_stored=12,
                    pixel_representation=0,
                    photometric_interpretation="MONOCHROME2",
                    number_of_frames=1,
                )
            ]
        )
        dataset["PixelData"].is_undefined_length = True
        save(dataset, tmp_path / f"{k}.dcm")
    volume, _ = open_study(tmp_path)
    np.testing.assert_array_equal(volume.hu, volume_of(4))


def test_enhanced_multi_frame(tmp_path: Path) -> None:
    volume, choice = open_study(save(enhanced(5), tmp_path / "enhanced.dcm"))
    np.testing.assert_array_equal(volume.hu, volume_of(5))
    assert volume.geometry.spacing_mm == pytest.approx((2.5, 0.8, 0.7))
    assert choice.chosen.instances == 5
    assert len(volume.sop_instance_uids) == 5


def test_a_zip_and_a_path_with_spaces_and_chinese_letters(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "肝脏 CT (平扫)" / "系列 1")
    plain, _ = open_study(tmp_path / "肝脏 CT (平扫)")
    packed = tmp_path / "研究 1.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in folder.iterdir():
            archive.write(file, f"患者/{file.name}")
        archive.writestr("autorun.inf", "x")
    zipped, choice = open_study(packed)
    np.testing.assert_array_equal(plain.hu, zipped.hu)
    assert choice.passed_over == (("not DICOM", 1),)


def test_a_zipped_nifti(tmp_path: Path) -> None:
    write_nifti(tmp_path / "a.nii.gz", volume_of())
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(tmp_path / "a.nii.gz", "in/a.nii.gz")
    volume, choice = open_study(tmp_path / "a.zip")
    np.testing.assert_array_equal(volume.hu, volume_of())
    assert choice.chosen.series_instance_uid == "a.nii.gz"


def test_the_stages_by_themselves(tmp_path: Path) -> None:
    write_series(tmp_path / "s")
    scan = scan_files(tmp_path)
    groups = group_series(scan)
    group, choice = choose_series(groups, scan)
    assert choice.chosen.instances == 6
    np.testing.assert_array_equal(load_series(group).hu, volume_of())


def test_progress_is_told_and_ends_at_one(tmp_path: Path) -> None:
    told: list[tuple[str, float]] = []
    open_study(write_series(tmp_path / "s", 20), progress=lambda stage, share: told.append((stage, share)))
    assert {stage for stage, _ in told} == {"reading headers", "reading slices"}
    assert told[-1][1] == 1.0
    assert all(0 < share <= 1 for _, share in told)


def test_nothing_is_printed_or_logged(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write_series(
            tmp_path / "s", StudyDate="not a date", SeriesDescription="Bauch nativ ä", SpecificCharacterSet="ISO_IR 100"
        )
    caplog.clear()
    with caplog.at_level(logging.DEBUG):
        open_study(tmp_path)
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")
    assert caplog.records == []


def test_padding_by_tag_becomes_air_and_is_counted(tmp_path: Path) -> None:
    def padded(k: int) -> dict[str, object]:
        hu = picture(k)
        hu[:4] = -3024
        return {"hu": hu}

    write_series(tmp_path / "s", each=padded, PixelRepresentation=1, PixelPaddingValue=-2000, RescaleIntercept=-1024)
    volume, _ = open_study(tmp_path)
    assert volume.hu.min() >= -1024
    assert (volume.hu[:, :4] == -1024).all()
    np.testing.assert_array_equal(volume.hu[:, 4:], volume_of()[:, 4:])
    assert volume.acquisition.padding_fraction == pytest.approx(0.25)
    assert any("padding" in note for note in volume.transforms)


@pytest.mark.parametrize("tag", [None, -500, 0])
def test_padding_without_or_against_the_tag(tmp_path: Path, tag: int | None) -> None:
    """The tag is absent, or names a tissue value: the pixels decide."""

    def padded(k: int) -> dict[str, object]:
        hu = picture(k, 64, 64)
        y, x = np.mgrid[:64, :64] - 31.5
        hu[y**2 + x**2 > 32**2] = -2048
        hu[30, 30] = -1100  # noise in air stays
        return {"hu": hu}

    more = {} if tag is None else {"PixelPaddingValue": tag}
    write_series(tmp_path / "s", each=padded, PixelRepresentation=1, RescaleIntercept=0, **more)
    volume, _ = open_study(tmp_path)
    assert (volume.hu[:, 0, 0] == -1024).all()
    assert (volume.hu[:, 30, 30] == -1100).all()
    assert volume.hu[3, 20, 25] == picture(3, 64, 64)[20, 25]
    assert volume.acquisition.padding_fraction == pytest.approx(1 - np.pi / 4, abs=0.03)


def test_padding_beyond_int16_is_still_int16(tmp_path: Path) -> None:
    def padded(k: int) -> dict[str, object]:
        stored = (picture(k) + 1024).astype("<i2")
        stored[:2] = -32768
        return {"PixelData": stored.tobytes()}

    write_series(tmp_path / "s", each=padded, PixelRepresentation=1, PixelPaddingValue=-32768)
    volume, _ = open_study(tmp_path)
    assert volume.hu.dtype == np.int16
    assert (volume.hu[:, :2] == -1024).all()


def test_a_wrong_transfer_syntax_in_the_file_meta(tmp_path: Path) -> None:
    """Labelled implicit, written explicit: pydicom finds out, and so do we."""
    write_series(tmp_path / "s", 4)
    for file in (tmp_path / "s").iterdir():
        data = file.read_bytes()
        assert data.count(b"1.2.840.10008.1.2.1\0") == 1
        file.write_bytes(data.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2\0\0\0"))
    volume, _ = open_study(tmp_path)
    np.testing.assert_array_equal(volume.hu, volume_of(4))


@pytest.mark.parametrize(
    ("character_set", "words"),
    [
        ("ISO_IR 100", "Bauch überlappend"),
        ("GB18030", "上腹部平扫"),
        ("ISO_IR 192", "肝臓 単純"),
        ("ISO_IR 192", "Печень"),
    ],
)
def test_descriptions_in_any_letters(tmp_path: Path, character_set: str, words: str) -> None:
    write_series(tmp_path / "s", 4, SpecificCharacterSet=character_set, SeriesDescription=words)
    volume, choice = open_study(tmp_path)
    assert volume.acquisition.series_description == words == choice.chosen.description


def test_undefined_length_sequences_in_the_header(tmp_path: Path) -> None:
    def nested(k: int) -> dict[str, object]:
        inner, outer = pydicom.Dataset(), pydicom.Dataset()
        inner.ReferencedSOPInstanceUID = "1.2"
        outer.ReferencedImageSequence = [inner]
        return {"ReferencedStudySequence": [outer], "SourceImageSequence": [inner, inner]}

    folder = tmp_path / "s"
    folder.mkdir()
    for k in range(4):
        dataset = ct_slice(k, **nested(k))
        for element in dataset.iterall():
            if element.VR == "SQ":
                element.is_undefined_length = True
                for item in element.value:
                    item.is_undefined_length_sequence_item = True
        save(dataset, folder / f"{k}.dcm")
    volume, _ = open_study(folder)
    np.testing.assert_array_equal(volume.hu, volume_of(4))


def test_a_lossy_series_is_noted(tmp_path: Path) -> None:
    write_series(tmp_path / "s", LossyImageCompression="01")
    volume, choice = open_study(tmp_path)
    assert volume.acquisition.has_lossy_compression is True
    assert any("with loss" in note for note in volume.transforms)
    assert "compressed with loss" in choice.chosen.reasons
