"""A made-up assessment for the tests of the report: a body, a liver and bright balls of known place."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from hepacalc.geometry import Geometry
from hepacalc.records import (
    MEASUREMENTS,
    PATTERNS,
    Acquisition,
    Assessment,
    Burden,
    Calibration,
    Focus,
    Lesion,
    Liver,
    LiverMask,
    Measured,
    Measurement,
    NotMeasured,
    Pattern,
    Phase,
    QualityFinding,
    Run,
    Segment,
    SeriesChoice,
    SeriesSummary,
    Surroundings,
    Volume,
)

UNITS = {"volume_mm3": "mm3", "mass_mg": "mg", "total_hu_mm3": "HU.mm3", "fixed_130_volume_mm3": "mm3"}

# where (z, y, x as a share of the grid), radius mm, HU, kind
BALLS: tuple[tuple[tuple[float, float, float], float, float, str], ...] = (
    ((0.55, 0.45, 0.32), 7.0, 620.0, "calcification"),
    ((0.62, 0.38, 0.44), 4.0, 480.0, "calcification"),
    ((0.45, 0.55, 0.26), 2.6, 320.0, "calcification"),
    ((0.50, 0.36, 0.52), 2.2, 210.0, "indeterminate"),
    ((0.38, 0.48, 0.38), 3.0, 2400.0, "metal"),
    ((0.48, 0.46, 0.41), 3.5, 190.0, "vessel"),
    ((0.50, 0.30, 0.14), 4.0, 500.0, "outside-liver"),
)


def upright(
    shape: tuple[int, int, int] = (60, 160, 200), spacing: tuple[float, float, float] = (3.0, 1.5, 1.5)
) -> Geometry:
    """A grid in the standard orientation, z up, y back, x left."""
    affine = np.zeros((4, 4))
    affine[2, 0], affine[1, 1], affine[0, 2] = spacing
    affine[:3, 3] = (-150.0, -110.0, -420.0)
    affine[3, 3] = 1
    return Geometry(shape, affine)


def make_example(
    *,
    balls: Any = BALLS,
    geometry: Geometry | None = None,
    contrast: bool = False,
    unmeasured: bool = False,
    complete: bool = True,
    severe: bool = False,
    text: str = "Abdomen native 3.0 B30f",
    per_lesion: int = 1,
) -> Assessment:
    """Return an assessment with one focus for each ball; ``per_lesion`` foci make one lesion."""
    base = upright()
    geometry = geometry or base
    rng = np.random.default_rng(7)
    turn = geometry.canonical()
    grid = turn.geometry
    z, y, x = np.meshgrid(*[np.linspace(0, 1, n) for n in grid.shape], indexing="ij", sparse=True)
    hu = np.full(grid.shape, -1000.0, np.float32)
    hu[(((x - 0.5) / 0.47) ** 2 + ((y - 0.5) / 0.45) ** 2 + 0 * z) < 1] = -90
    hu[(((x - 0.5) / 0.44) ** 2 + ((y - 0.5) / 0.41) ** 2 + 0 * z) < 1] = 45
    hu[((x - 0.5) ** 2 + (y - 0.78) ** 2 * 1.3 + 0 * z) < 0.005] = 260
    liver = (((x - 0.32) / 0.24) ** 2 + ((y - 0.45) / 0.27) ** 2 + ((z - 0.52) / 0.42) ** 2) < 1
    liver |= (((x - 0.48) / 0.16) ** 2 + ((y - 0.36) / 0.13) ** 2 + ((z - 0.58) / 0.25) ** 2) < 1
    hu[liver] = 110 if contrast else 58
    hu += rng.normal(0, 14, hu.shape)
    labels = np.zeros(grid.shape, np.uint16)
    foci: list[Focus] = []
    steps = [np.arange(n) for n in grid.shape]
    for number, (share, radius, peak, kind) in enumerate(balls, 1):
        centre = [round(s * (n - 1)) for s, n in zip(share, grid.shape, strict=True)]
        near = [
            slice(max(0, c - int(radius / s) - 2), min(n, c + int(radius / s) + 3))
            for c, s, n in zip(centre, grid.spacing_mm, grid.shape, strict=True)
        ]
        away = sum(
            ((steps[k][near[k]] - centre[k]) * grid.spacing_mm[k]).reshape([-1 if j == k else 1 for j in range(3)]) ** 2
            for k in range(3)
        )
        inside = np.asarray(away) <= max(radius, 0.51 * min(grid.spacing_mm)) ** 2
        hu[tuple(near)][inside] = peak
        labels[tuple(near)][inside] = number
        foci.append(_focus(number, centre, labels, grid, turn, radius, peak, kind, unmeasured))
    lesions, foci = _lesions(foci, per_lesion)
    hu_file = np.ascontiguousarray(turn.undo(np.clip(hu, -1024, 3071).astype(np.int16)))
    mask = LiverMask(np.ascontiguousarray(turn.undo(liver)), geometry, "embedded", "1", 0.94)
    acquisition = Acquisition(
        modality="CT",
        kvp=120.0,
        slice_thickness_mm=3.0,
        convolution_kernel="B30f",
        manufacturer="SIEMENS",
        manufacturer_model_name="Sensation 64",
        series_description=text,
        study_date="20240517",
        study_instance_uid="1.2.826.0.1.3680043.8.498.45787841905473114233124723359129632652",
        series_instance_uid="1.2.826.0.1.3680043.8.498.10707109287136183287621214366712340934",
    )
    volume = Volume(hu_file, geometry, acquisition)
    calcified = [le for le in lesions if le.kind == "calcification"]
    no = NotMeasured("the scan gives no liver to measure it in")
    return Assessment(
        schema_version="1.1",
        run=Run("0.1.0", "2026-11-22T10:42:00+00:00", (("numpy", "2.4.6"), ("liver weights", "baseline-1")),
                (("segmenter", "embedded"),), (("read", 1.234567), ("liver", 7.5), ("foci", 0.8))),
        series=SeriesChoice(
            SeriesSummary(acquisition.series_instance_uid or "", text, "CT", 60, 8.25, ("non-contrast", "soft kernel")),
            (SeriesSummary("1.2.3.4", "Lung 1.0 B70f", "CT", 180, 2.5, ("sharp kernel",)),
             SeriesSummary("1.2.3.5", None, "PT", 99, None, ("not CT",))),
            (("scout", 2), ("not DICOM", 3)),
        ),
        acquisition=acquisition,
        geometry=geometry,
        transforms=("Padding outside the field of view was set to -1024 HU.",),
        quality=(
            QualityFinding("QC-MOD", "ok", "Modality CT."),
            QualityFinding("QC-THICK", "warning", "Slices are 3.0 mm thick: foci under 2 mm can be missed.",
                           "Reconstruct at 1 mm if the raw data are still there."),
            QualityFinding("QC-KERNEL", "note", "Kernel B30f: soft.", ""),
        ) + ((QualityFinding("QC-HU", "severe", "The air peak lies at -850 HU instead of -1000 HU.",
                             "Ask for the scan without post-processing."),) if severe else ()),
        phase=Phase("portal venous", 0.91, True, Measured(172.4, "HU", 165, 180, "mean of the aorta"),
                    ("aorta 172 HU", "portal vein 181 HU")) if contrast
        else Phase("non-contrast", 0.985, False, Measured(41.3, "HU", 37.0, 45.6, "mean of the aorta"),
                   ("aorta 41 HU",)),
        calibration=Calibration(120.0, 0.79, 0.04, "table by kVp; McCollough 2007, Radiology 243:527"),
        liver=Liver("embedded 1", 0.94, no if unmeasured else Measured(1512.2, "mL", 1440, 1580, "voxel count"),
                    no if unmeasured else Measured(57.9, "HU", 57.5, 58.3, "robust mean"),
                    no if unmeasured else Measured(14.2, "HU", 14.0, 14.4, "robust standard deviation"), complete),
        burden=Burden(
            len(calcified), sum(le.certainty == "certain" for le in calcified), len(lesions) - len(calcified),
            sum(f.lesion is None for f in foci), _total(calcified, "mass_mg", "mg"),
            _total(calcified, "volume_mm3", "mm3"),
            no if unmeasured else Measured(2.34, "mm", 2.0, 2.81, "5 noise deviations after blur"),
        ),
        lesions=tuple(lesions),
        foci=tuple(foci),
        limits=("Slices are 3.0 mm thick: foci under 2 mm can be missed.",),
        volume=volume,
        liver_mask=mask,
        labels=np.ascontiguousarray(turn.undo(labels)),
    )  # fmt: skip


def _focus(
    number: int,
    centre: Any,
    labels: Any,
    grid: Geometry,
    turn: Any,
    radius: float,
    peak: float,
    kind: Any,
    unmeasured: bool,
) -> Focus:
    found = np.argwhere(labels == number)
    box, index = [(0, 1)] * 3, [0, 0, 0]
    for new, (old, flip) in enumerate(zip(turn.axes, turn.flips, strict=True)):
        low, high, count = int(found[:, new].min()), int(found[:, new].max()) + 1, grid.shape[new]
        box[old] = (count - high, count - low) if flip else (low, high)
        index[old] = count - 1 - centre[new] if flip else centre[new]
    volume = 4.18879 * radius**3
    values = {
        "volume_mm3": volume, "mass_mg": volume * (peak - 58) * 0.79 / 1000, "max_hu": peak + 20, "mean_hu": peak,
        "background_hu": 58.2, "total_hu_mm3": volume * (peak - 58), "diameter_mm": 2 * radius,
        "diameter_2_mm": 1.9 * radius,
        "diameter_3_mm": 1.8 * radius, "sphericity": 0.91234567, "elongation": 1.07, "hollowness": 0.32, "parts": 1,
        "capsule_distance_mm": 12.345678, "hilum_distance_mm": 43.2, "vessel_distance_mm": 5.1,
        "fixed_130_volume_mm3": volume * 1.2,
    }  # fmt: skip
    measurements: dict[str, Measurement] = {}
    for name in MEASUREMENTS:
        if unmeasured or name not in values:
            measurements[name] = NotMeasured("it was not asked for" if name == "agatston" else "too few voxels")
            continue
        value = values[name]
        width = 0.0 if name == "parts" else abs(value) * 0.09
        unit = UNITS.get(name) or ("HU" if name.endswith("_hu") else "mm" if name.endswith("_mm") else "1")
        measurements[name] = Measured(value, unit, value - width, value + width, f"method of {name}")
    weights = np.array([0.5**k for k in range(len(PATTERNS))])
    names = PATTERNS[number % 12 :] + PATTERNS[: number % 12]
    pattern = Pattern(
        tuple(zip(names, (weights / weights.sum()).tolist(), strict=True)), ("compact, sphericity 0.91", "solid centre")
    )
    calcified = kind == "calcification"
    return Focus(
        id=number,
        lesion=None,
        kind=kind,
        certainty=("certain", "probable", "possible")[number % 3] if calcified else "possible",
        score=0.93 if calcified else 0.4,
        mimic=("enhanced vessel",) if calcified else ("surgical clip",) if kind == "metal" else ("vessel", "noise"),
        reasons=(f"{peak:.0f} HU above the liver", "does not continue along a vessel"),
        centroid_mm=tuple(float(v) for v in grid.to_world(centre)),  # type: ignore[arg-type]
        peak_index=(index[0], index[1], index[2]),
        box=(box[0], box[1], box[2]),
        measurements=measurements,
        pattern=NotMeasured("too few voxels") if unmeasured else pattern,
        segment=NotMeasured("no segments") if unmeasured else Segment(
            (("VIII", 0.52), ("V", 0.41), ("IV", 0.07)) if number == 2 else (("VI", 0.83), ("VII", 0.17)),
            "planes through veins",
        ),
        surroundings=NotMeasured("too close to the capsule") if unmeasured else Surroundings(
            0.81, 0.12, 0.07, Measured(56.1, "HU", 53, 59, "mean of the shell"), ("like the rest of this liver",)
        ),
    )  # fmt: skip


def _lesions(foci: list[Focus], per_lesion: int) -> tuple[list[Lesion], list[Focus]]:
    counted = [f for f in foci if f.kind in ("calcification", "indeterminate")]
    groups = [counted[k : k + per_lesion] for k in range(0, len(counted), per_lesion)]
    lesions, member = [], {}
    for number, group in enumerate(groups, 1):
        member |= {f.id: number for f in group}
        first = group[0]
        lesions.append(
            Lesion(
                id=number,
                focus_ids=tuple(f.id for f in group),
                kind=first.kind,
                certainty=first.certainty,
                centroid_mm=first.centroid_mm,
                volume_mm3=_sum([f.measurements["volume_mm3"] for f in group], "mm3"),
                mass_mg=_sum([f.measurements["mass_mg"] for f in group], "mg"),
                extent_mm=first.measurements["diameter_mm"],
                pattern=first.pattern,
                segment=first.segment,
                surroundings=first.surroundings,
                reasons=("one focus",) if len(group) == 1 else ("its foci lie on one shell",),
            )
        )
    return lesions, [replace(f, lesion=member.get(f.id)) for f in foci]


def _sum(parts: list[Measurement], unit: str) -> Measurement:
    known = [p for p in parts if isinstance(p, Measured)]
    if len(known) < len(parts) or not known:
        return NotMeasured("one of its foci was not measured")
    return Measured(sum(p.value for p in known), unit, sum(p.low for p in known), sum(p.high for p in known), "sum")


def _total(lesions: list[Lesion], name: str, unit: str) -> Measurement:
    return (
        _sum([getattr(le, name) for le in lesions], unit) if lesions else Measured(0.0, unit, 0.0, 0.0, "nothing found")
    )
