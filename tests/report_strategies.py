"""Any assessment that could be: measured or not, odd numbers, odd texts; for tests of what is written of it."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from hypothesis import settings
from hypothesis import strategies as st

from hepacalc.records import MEASUREMENTS, Assessment, Measured, Measurement, NotMeasured
from report_example import BALLS, make_example

SETTINGS = settings(max_examples=25, deadline=None, derandomize=True)
UNITS = {"volume_mm3": "mm3", "mass_mg": "mg", "total_hu_mm3": "HU.mm3", "fixed_130_volume_mm3": "mm3", "parts": "1"}

numbers = st.one_of(
    st.floats(-1e4, 1e5, allow_nan=False),
    st.sampled_from([0.0, -0.0, 1e-9, 0.5, 99.999999]),
    st.integers(0, 50).map(float),
)
texts = st.text(st.characters(codec=None), max_size=30)
reasons = texts.filter(lambda t: bool(t.strip())).map(lambda t: "why " + t)


@st.composite
def measurements(draw: st.DrawFn, unit: str) -> Measurement:
    if draw(st.booleans()):
        return NotMeasured(draw(reasons))
    low, value, high = sorted(draw(st.tuples(numbers, numbers, numbers)))
    return Measured(value, unit, low, high, draw(texts))


@cache
def base() -> Assessment:
    return make_example(balls=BALLS[:2] + BALLS[4:5])


def unit_of(name: str) -> str:
    return UNITS.get(name) or ("HU" if name.endswith("_hu") else "mm" if name.endswith("_mm") else "1")


@st.composite
def assessments(draw: st.DrawFn) -> Assessment:
    scan = base()
    foci = tuple(
        replace(
            f,
            measurements={n: draw(measurements(unit_of(n))) for n in MEASUREMENTS},
            reasons=tuple(draw(st.lists(texts, max_size=2))),
            mimic=tuple(draw(st.lists(texts, max_size=2))),
            score=draw(st.floats(0, 1)),
        )
        for f in scan.foci
    )
    lesions = tuple(
        replace(
            le,
            volume_mm3=draw(measurements("mm3")),
            mass_mg=draw(measurements("mg")),
            extent_mm=draw(measurements("mm")),
            kind=draw(st.sampled_from(["calcification", "indeterminate"])),
        )
        for le in scan.lesions
    )
    return replace(
        scan,
        foci=foci,
        lesions=lesions,
        limits=tuple(draw(st.lists(texts, max_size=3))),
        burden=replace(
            scan.burden,
            total_mass_mg=draw(measurements("mg")),
            total_volume_mm3=draw(measurements("mm3")),
            smallest_trusted_mm=draw(measurements("mm")),
        ),
        phase=replace(scan.phase, probability=draw(st.floats(0, 1)), vessel_hu=draw(measurements("HU"))),
    )
