"""Extents and mean HU of what the scan has blurred: near the truth, and their intervals hold it."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from foci_scenes import add_ball, as_liver, as_volume, block_liver
from hepacalc.foci.aperture import measure_signal
from hepacalc.foci.bodies import BlurredBody
from hepacalc.foci.calibration import calibration_for
from hepacalc.foci.detect import detect
from hepacalc.foci.diameters import Diameters, measure_diameters, model_extents
from hepacalc.foci.form import measure_form
from hepacalc.foci.measure import measure_focus
from hepacalc.foci.scene import Scene, look_at
from hepacalc.foci.shape import Body, describe_shape, extents, fine_body
from hepacalc.foci.window import open_window
from hepacalc.records import Measured


def scene(slice_mm: float, diameter: float = 0.0, seed: int = 0) -> Scene:
    hu, mask, geometry = block_liver(spacing=(slice_mm, 0.8, 0.8), seed=seed, extent_mm=(50.0, 60.0, 60.0))
    at = np.array([(n - 1) / 2 * d for n, d in zip(geometry.shape, geometry.spacing_mm, strict=True)])
    at += np.random.default_rng(seed).uniform(-0.5, 0.5, 3) * geometry.spacing_mm
    if diameter:
        add_ball(hu, geometry, at, diameter, 700, sigma_mm=0.75)
    return look_at(as_volume(hu, geometry), as_liver(mask, geometry), 0.75)


@pytest.mark.parametrize(
    ("diameter", "slice_mm", "error_mm"),
    [(4.0, 1.25, 0.6), (4.0, 5.0, 1.2), (8.0, 5.0, 1.2), (16.0, 1.25, 0.8), (16.0, 5.0, 2.5)],
)
def test_a_ball(diameter: float, slice_mm: float, error_mm: float) -> None:
    seen = scene(slice_mm, diameter, seed=int(diameter))
    candidate = detect(seen, floor_hu=0.0, vessel_hu=None)[0][0]
    window = open_window(seen, candidate.box, candidate.region, np.zeros(seen.hu.shape, bool), candidate.peak_hu)
    found, body, shape = measure_focus(
        seen, candidate, window, measure_signal(seen, window), calibration_for(120.0), is_contrast=False
    )
    assert shape == describe_shape(body)
    for name in ("diameter_mm", "diameter_2_mm", "diameter_3_mm"):
        number = found[name]
        assert isinstance(number, Measured)
        assert number.low <= diameter <= number.high
        # half height shows a ball of 4 mm on slices of 5 mm 6 mm tall and more
        assert number.value == pytest.approx(diameter, abs=error_mm)
        assert number.high - number.low < 2.0 + 1.5 * slice_mm
    for name, truth in (("sphericity", 1.0), ("elongation", 0.0), ("hollowness", 0.0)):
        number = found[name]
        assert isinstance(number, Measured)
        assert number.low <= truth + 0.02
        assert number.high >= truth - 1e-9
        assert number.low <= number.value <= number.high
    mean = found["mean_hu"]
    assert isinstance(mean, Measured)
    # a small focus has no plain middle: where it ends decides its mean, and noise alone is a small part of the doubt
    assert mean.high - mean.low > 3.29 * seen.curve.at(float(window.region.sum()) * seen.voxel_mm3)


def shell(spacing: float = 0.6) -> Body:
    index = (np.indices((40, 40, 40)) - 19.5) * spacing
    radius = np.sqrt((index**2).sum(axis=0))
    hu = np.where(np.abs(radius - 9) < 1.0, 500.0, 0.0).astype(np.float32)
    return fine_body(hu, hu > 250, (spacing, spacing, spacing))


def test_thick_slices_and_thin_walls_are_doubt() -> None:
    rim = shell()
    shape = describe_shape(rim)
    thin, thick = (measure_diameters(scene(mm), rim, shape) for mm in (1.25, 5.0))
    assert thin.mm == pytest.approx(thick.mm)
    upright = np.abs(extents(rim.mask, (rim.step_mm,) * 3)[1][:, 0]).argmax()
    assert thick.down_mm[upright] > 2 * thin.down_mm[upright]
    full = measure_diameters(scene(5.0), rim, replace(shape, hollowness=0.0))
    assert (full.down_mm < thick.down_mm).all()
    assert full.up_mm == pytest.approx(thick.up_mm)
    form = measure_form(scene(5.0), rim, shape, thick)
    assert form["hollowness"].high - form["hollowness"].low > 0.05


def test_what_fades_is_doubt_upwards() -> None:
    body = Body(np.zeros((30, 30, 30), bool), 0.6, (0.0, 0.0, 0.0), np.zeros((30, 30, 30), np.float32), None)  # type: ignore[arg-type]
    body.mask[12:18, 12:18, 12:18] = True
    tail = body.mask.copy()
    tail[14:16, 14:16, 3:27] = True
    shape = describe_shape(replace(body, faint=body.mask))
    short, long = (measure_diameters(scene(1.25), replace(body, faint=f), shape) for f in (body.mask, tail))
    assert long.up_mm[0] > short.up_mm[0] + 5
    assert long.down_mm[0] == short.down_mm[0]


def test_models_are_averaged_by_their_weight() -> None:
    def model(n: int) -> BlurredBody:
        mask = np.zeros((24, 24, 24), bool)
        mask[2 : 2 + n, 2:6, 2:4] = True
        return BlurredBody(np.zeros((1, 1, 1), np.float32), 0.5, 1.0, 1.0, 1.0, mask, (1.0, 1.0, 1.0))

    alone = extents(model(8).body, (1.0, 1.0, 1.0))[0]
    assert model_extents([model(8), model(20)], np.array([1.0, 0.0])).mm == pytest.approx(alone)
    both = model_extents([model(8), model(20)], np.array([0.5, 0.5]))
    assert both.mm[0] > alone[0] + 4
    assert both.sd_mm[0] == pytest.approx(both.mm[0] - alone[0])
    assert ndimage.label(model(8).body)[1] == 1


def test_elongation_of_what_is_known_exactly() -> None:
    nothing = np.zeros(3)
    assert Diameters(np.array([10.0, 4.0, 3.0]), nothing, nothing).elongation() == (0.6, 0.0)
    sd = np.ones(3)
    assert Diameters(np.array([10.0, 4.0, 3.0]), sd, sd).elongation()[1] == pytest.approx(0.0833, abs=0.01)
