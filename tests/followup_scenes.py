"""Small exams for tests of the follow-up: a liver of an ellipsoid, lesions as balls."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hepacalc.followup.exam import parts_of
from hepacalc.followup.records import Exam, ExamNote, LiverView, Seen
from hepacalc.geometry import Geometry
from hepacalc.records import Calibration, Measured

SHAPE, STEP = (44, 60, 70), 4.0
NOTE = ExamNote("2020-01-01", None, None, "scan", "non-contrast", 2.0, 120.0, 0)
LINE = Calibration(120.0, 0.8, 0.03, "table by kVp, 120 kV")


def grid(shift_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Geometry:
    affine = np.eye(4)
    affine[:3, :3] = [[0, 0, STEP], [0, STEP, 0], [STEP, 0, 0]]
    affine[:3, 3] = np.array([-140.0, -120.0, -90.0]) + shift_mm
    return Geometry(SHAPE, affine)


def liver() -> np.ndarray:
    z, y, x = np.meshgrid(*(np.arange(n) - n / 2 for n in SHAPE), indexing="ij")
    body = (z / 16) ** 2 + (y / 22) ** 2 + (x / 26) ** 2 < 1
    # no ellipsoid is a liver: a corner is missing
    return body & ~((z > 2) & (x > 8))


def measured(value: float, unit: str, share: float = 0.05) -> Measured:
    half = 1.645 * share * abs(value)
    return Measured(value, unit, value - half, value + half, "test")


def ball(number: int, centre_mm: tuple[float, float, float], *, mass_mg: float = 30.0, radius_mm: float = 5.0) -> Seen:
    fine = Geometry((16, 16, 16), np.diag([1.0, 1.0, 1.0, 1.0]))
    index = np.indices((16, 16, 16)).reshape(3, -1).T
    points = (index - 7.5) * radius_mm / 8
    points = points[np.linalg.norm(points, axis=1) <= radius_mm][:, ::-1] + np.array(centre_mm)
    assert fine.voxel_mm3 == 1
    part = parts_of(np.ones((1, 1, 1), np.uint16), fine)[1]
    part = replace(part, focus_id=number, points_mm=points, radius_mm=radius_mm / 16)
    volume = 4 / 3 * np.pi * radius_mm**3
    return Seen(
        number, "calcification", "certain", centre_mm, (part,), measured(mass_mg, "mg"), measured(volume, "mm3"),
        measured(2 * radius_mm, "mm"), measured(mass_mg / 0.8 * 1000, "HU.mm3"), measured(400.0, "HU"),
        {"nodular solid": 1.0},
    )  # fmt: skip


def exam(lesions: tuple[Seen, ...], *, shift_mm: tuple[float, float, float] = (0.0, 0.0, 0.0), day: int = 1) -> Exam:
    view = LiverView(liver(), grid(shift_mm))
    return Exam(
        lesions, (), view, "non-contrast", False, measured(40.0, "HU"), measured(56.0, "HU"), measured(10.0, "HU"), 2.0,
        LINE, "maker|model", day,
    )  # fmt: skip
