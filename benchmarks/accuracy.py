"""Detection, mass, interval, thickness and pattern against known truth: phantoms and foci put into real scans.

The rows are computed there and then. Where the folder with real scans is not beside the checkout, the rows that need it
say so and are not ok.

    python benchmarks/accuracy.py --details details.jsonl > rows.jsonl

prints the rows and writes every focus to ``details.jsonl`` for ``benchmarks/plots.py``.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from hepacalc.liver import get_segmenter
from hepacalc.phantom import FocusSpec, Insertion, Phantom, draw_scene, insert_foci, random_specs, scan
from hepacalc.records import PATTERNS, Assessment, Focus, LiverMask, Measured, NotMeasured, Volume
from hepacalc.study import open_study
from matching import NON_CONTRAST, PORTAL, SHARED, Match, expert_liver, match, real_scan, row, walk

SEEDS = (11, 12, 13)
PHANTOMS_MM = {101: 1.0, 102: 1.25, 103: 2.5, 104: 1.0, 105: 2.0, 106: 2.5}
"""Seeds of the phantoms with all patterns, and their slices."""
PHANTOM_SEEDS = tuple(seed + half for seed in PHANTOMS_MM for half in (0, 500))
"""Each is scanned twice, with one half of the patterns."""
THICKNESS_SEEDS = (201, 202, 203, 204)
FOCI_A_SCAN = 14


def rows(
    collect: list[Match] | None = None, false_calls: list[tuple[str, str, float, Focus]] | None = None
) -> list[dict[str, Any]]:
    """Return the rows of the accuracy table; matches are added to ``collect`` for the plots.

    Calcifications where none is go to ``false_calls`` as (scan, phase, slice thickness in mm, focus).
    """
    matches: list[Match] = [] if collect is None else collect
    out = inserted_rows(matches, [] if false_calls is None else false_calls)
    out += as_is_rows()
    out += thickness_rows(matches)
    out += phantom_rows(matches)
    out += mass_rows(matches)
    return out


# ------------------------------------------------------------------ real scans


def inserted_rows(matches: list[Match], false_calls: list[tuple[str, str, float, Focus]]) -> list[dict[str, Any]]:
    """Foci put into real scans: found, and false calcifications a scan."""
    out = []
    for phase, scans, least, most in (("non-contrast", NON_CONTRAST, 0.95, 0.5), ("portal", PORTAL, 0.90, 1.0)):
        name = f"inserted foci >= 3 mm, >= 250 HU above liver, {phase} real scans"
        if not SHARED.is_dir():
            out.append(row(f"{name}: found", None, "share", f">= {least}", False))
            out.append(row(f"{name}: false calcifications", None, "per scan", f"<= {most}", False))
            continue
        mine, false = _insert_all(scans, phase, false_calls)
        matches += mine
        strong = [m for m in mine if m.truth.diameter_mm >= 3 and m.truth.delta_hu >= 250]
        found = float(np.mean([m.found is not None for m in strong]))
        called = float(np.mean([m.found is not None and m.found.kind == "calcification" for m in strong]))
        out.append(row(f"{name}: found", found, "share", f">= {least}", found >= least))
        out.append(row(f"{name}: called calcification", called, "share", "", None))
        rate = float(np.mean(false))
        out.append(row(f"{name}: false calcifications", rate, "per scan", f"<= {most}", rate <= most))
        out.append(row(f"{name}: foci tried", len(strong), "foci", "", None))
    return out


def _insert_all(
    scans: dict[str, str], phase: str, false_calls: list[tuple[str, str, float, Focus]]
) -> tuple[list[Match], list[int]]:
    """Put foci into each scan, for each seed, and assess it as a user would."""
    matches: list[Match] = []
    false: list[int] = []
    for name in scans:
        volume = real_scan(name)
        liver = insertion_liver(name, volume)
        for seed in SEEDS:
            inserted = inserted_scan(name, seed, volume, liver)
            found = walk(inserted.volume)
            part, extra = match(
                inserted.truth.foci,
                found,
                scan=f"{name}, seed {seed}",
                phase=phase,
                thickness_mm=volume.slice_thickness_mm,
                source="inserted",
            )
            matches += part
            false.append(len(extra))
            false_calls += [(f"{name}, seed {seed}", phase, volume.slice_thickness_mm, f) for f in extra]
    return matches, false


def insertion_liver(name: str, volume: Volume) -> np.ndarray:
    """Return the mask inside which foci are put: an expert's where there is one."""
    return expert_liver(volume) if "IRCAD" in name else get_segmenter("embedded").segment(volume).mask


def inserted_scan(name: str, seed: int, volume: Volume, liver: np.ndarray) -> Insertion:
    """Return a real scan with foci put in; the same arguments give the same scan."""
    rng = np.random.default_rng([seed, len(name)])
    specs = random_specs(rng, FOCI_A_SCAN, diameter_mm=(3.0, 20.0), delta_hu=(250.0, 1100.0))
    return insert_foci(volume, liver, specs, rng)


def as_is_rows() -> list[dict[str, Any]]:
    """Real scans as they are: nothing certain, the stent called metal."""
    if not SHARED.is_dir():
        return [row("real scans as they are: certain calcifications", None, "foci", "0", False)]
    certain, called, stent = 0, 0, False
    for path in ("acrin-flt-001", "cptac-c3l-00189", "totalsegmentator/example_ct.nii.gz",
                 "totalsegmentator/example_ct_dicom", "ircadb-01/dicom"):  # fmt: skip
        volume = open_study(SHARED / "ct" / path)[0]
        found = walk(volume)
        certain += sum(f.kind == "calcification" and f.certainty == "certain" for f in found.foci)
        called += sum(f.kind == "calcification" for f in found.foci)
        if "cptac" in path:
            stent = _stent_is_metal(found)
    return [
        row("real scans as they are (5): certain calcifications", certain, "foci", "0", certain == 0),
        row("real scans as they are (5): calcifications of any certainty", called, "foci", "", None),
        row("stent at the hilum called metal", stent, "yes/no", "yes", stent),
    ]


def _stent_is_metal(found: Assessment) -> bool:
    """Whether everything over 1500 HU at the liver is called metal."""
    bright = [
        f
        for f in found.foci
        if isinstance(f.measurements["max_hu"], Measured) and f.measurements["max_hu"].value > 1500
    ]
    return (
        bool(bright)
        and all(f.kind in ("metal", "outside-liver") for f in bright)
        and any(f.kind == "metal" for f in bright)
    )


# ------------------------------------------------------------------ phantoms


def phantom_rows(matches: list[Match]) -> list[dict[str, Any]]:
    """Pattern of phantom foci of 5 mm or more, all twelve patterns, and their masses for the mass rows."""
    mine = [m for seed in PHANTOM_SEEDS for m in _scan_phantom(seed)]
    matches += mine
    large = [m for m in mine if m.truth.diameter_mm >= 5]
    right = float(np.mean([m.pattern == m.truth.pattern for m in large]))
    out = [row("pattern of phantom foci >= 5 mm: dominant class", right, "share right", ">= 0.85", right >= 0.85)]
    for pattern in PATTERNS:
        part = [m for m in large if m.truth.pattern == pattern]
        if part:
            share = float(np.mean([m.pattern == pattern for m in part]))
            out.append(row(f"pattern: {pattern} ({len(part)} foci)", share, "share right", "", None))
    return out


def _spec(pattern: str, rng: np.random.Generator) -> FocusSpec:
    """Return a wish for one focus of a pattern, of a size at which it exists."""
    from hepacalc.phantom import SIZES_MM

    low, high = SIZES_MM[pattern]
    size = float(np.exp(rng.uniform(np.log(max(low, 5.0)), np.log(max(high, 6.0)))))
    return FocusSpec(pattern, size, float(np.exp(rng.uniform(np.log(250), np.log(1100)))))


def pattern_phantom(seed: int) -> Phantom:
    """Return the scan of one of :data:`PHANTOM_SEEDS`: half of the patterns, 5 mm or more."""
    rng = np.random.default_rng(seed % 500)
    specs = [_spec(p, rng) for p in rng.permutation([p for p in PATTERNS if p != "punctate"])]
    scene = draw_scene(seed, foci=specs[6:] if seed > 500 else specs[:6], mimics=())
    return scan(scene, spacing_mm=(PHANTOMS_MM[seed % 500], 0.8, 0.8), noise_hu=12)


def with_true_liver(phantom: Phantom) -> Assessment:
    """Assess a phantom inside its true liver."""
    return walk(phantom.volume, LiverMask(phantom.liver, phantom.volume.geometry, "truth", "", 1.0))


def _scan_phantom(seed: int) -> list[Match]:
    """Draw, scan and assess one phantom with its true liver; a lesion stands for its parts."""
    phantom = pattern_phantom(seed)
    part, _ = match(
        phantom.truth.foci, by_lesion(with_true_liver(phantom)), scan=f"phantom, seed {seed}", phase="non-contrast",
        thickness_mm=phantom.volume.slice_thickness_mm, source="phantom",
    )  # fmt: skip
    return part


def by_lesion(found: Assessment) -> Assessment:
    """Return the assessment with each lesion told as one focus: pattern, place and mass of the whole."""
    from dataclasses import replace

    foci = []
    by_id = {f.id: f for f in found.foci}
    for lesion in found.lesions:
        first = by_id[lesion.focus_ids[0]]
        numbers = first.measurements | {"mass_mg": lesion.mass_mg, "volume_mm3": lesion.volume_mm3}
        numbers |= _together([by_id[k] for k in lesion.focus_ids])
        foci.append(
            replace(
                first, centroid_mm=lesion.centroid_mm, pattern=lesion.pattern, measurements=numbers, kind=lesion.kind
            )
        )
    return replace(found, foci=tuple(foci))


def _together(foci: list[Focus]) -> dict[str, Measured]:
    """Return the fixed-threshold volume and the mean HU of all foci of a lesion, where each has them."""
    fixed = [f.measurements["fixed_130_volume_mm3"] for f in foci]
    mean = [f.measurements["mean_hu"] for f in foci]
    volumes = [m.value for m in fixed if isinstance(m, Measured)]
    means = [m.value for m in mean if isinstance(m, Measured)]
    if len(volumes) < len(foci) or len(means) < len(foci):
        return {}
    total, hu = float(np.sum(volumes)), float(np.average(means, weights=np.maximum(volumes, 1e-6)))
    return {
        "fixed_130_volume_mm3": Measured(total, "mm3", total, total, "voxels over 130 HU"),
        "mean_hu": Measured(hu, "HU", hu, hu, "region at half maximum"),
    }


def thickness_rows(matches: list[Match]) -> list[dict[str, Any]]:
    """The same foci on slices of 1, 2.5 and 5 mm."""
    spreads: list[float] = []
    for seed in THICKNESS_SEEDS:
        rng = np.random.default_rng(seed)
        specs = random_specs(rng, 10, diameter_mm=(3.0, 20.0), delta_hu=(250.0, 1100.0), patterns=["nodular solid"])
        scene = draw_scene(seed, foci=specs, mimics=())
        masses: dict[int, list[float]] = {}
        for slice_mm in (1.0, 2.5, 5.0):
            phantom = scan(scene, spacing_mm=(slice_mm, 0.8, 0.8), noise_hu=12 if slice_mm < 2 else 9)
            found = with_true_liver(phantom)
            part, _ = match(
                phantom.truth.foci, found, scan=f"phantom, seed {seed}", phase="non-contrast", thickness_mm=slice_mm,
                source="phantom",
            )  # fmt: skip
            matches += part
            for m in part:
                if m.mass_error is not None:
                    masses.setdefault(m.truth.id, []).append(1 + m.mass_error)
        for values in masses.values():
            if len(values) == 3:
                spreads.append(float(np.max(np.abs(np.array(values) / np.mean(values) - 1))))
    p90 = float(np.quantile(spreads, 0.9))
    within = float(np.mean([s <= 0.08 for s in spreads]))
    return [
        row("same focus at 1, 2.5, 5 mm: largest departure of mass from its mean, 90th percentile", p90, "fraction",
            "<= 0.08", p90 <= 0.08),
        row("same focus at 1, 2.5, 5 mm: median", float(np.median(spreads)), "fraction", "", None),
        row("same focus at 1, 2.5, 5 mm: foci within 8 %", within, "share", "", None),
        row("same focus at 1, 2.5, 5 mm: foci", len(spreads), "foci", "", None),
    ]  # fmt: skip


# ------------------------------------------------------------------ mass


def mass_rows(matches: list[Match]) -> list[dict[str, Any]]:
    """Mass of all foci of 3-20 mm, and what a fixed threshold makes of the same foci."""
    out = []
    usable = [m for m in matches if 3 <= m.truth.diameter_mm <= 20 and not m.truth.clipped]
    for name, part in (
        ("phantom and inserted", usable),
        ("inserted", [m for m in usable if m.source == "inserted"]),
        ("phantom", [m for m in usable if m.source == "phantom"]),
    ):
        errors = [abs(e) for m in part if (e := m.mass_error) is not None]
        covered = [c for m in part if (c := m.is_covered) is not None]
        if not errors:
            continue
        median, p90, cover = float(np.median(errors)), float(np.quantile(errors, 0.9)), float(np.mean(covered))
        main = name == "phantom and inserted"
        out += [
            row(f"integrated mass, foci 3-20 mm, {name}: median error", median, "fraction", "<= 0.05" if main else "",
                median <= 0.05 if main else None),
            row(f"integrated mass, foci 3-20 mm, {name}: 90th percentile of error", p90, "fraction",
                "<= 0.15" if main else "", p90 <= 0.15 if main else None),
            row(f"90 % intervals of mass, {name}: hold the truth", cover, "share", "0.85-0.95" if main else "",
                0.85 <= cover <= 0.95 if main else None),
            row(f"integrated mass, {name}: foci", len(errors), "foci", "", None),
        ]  # fmt: skip
    out += _fixed_threshold_rows(usable)
    return out


def _fixed_threshold_rows(matches: list[Match]) -> list[dict[str, Any]]:
    """Volume over 130 HU, and mass from it, on the same non-contrast foci."""
    fixed, ours, mass = [], [], []
    for m in matches:
        if m.found is None or m.phase != "non-contrast":
            continue
        over = m.found.measurements["fixed_130_volume_mm3"]
        half = m.found.measurements["volume_mm3"]
        mean = m.found.measurements["mean_hu"]
        if isinstance(over, Measured) and isinstance(half, Measured) and isinstance(mean, Measured):
            fixed.append(abs(over.value / m.truth.volume_mm3 - 1))
            ours.append(abs(half.value / m.truth.volume_mm3 - 1))
            mass.append(abs(agatston_type_mg(over, mean) / m.truth.mass_mg - 1))
    if not fixed:
        return []
    return [
        row("fixed 130 HU: volume, median error, same foci", float(np.median(fixed)), "fraction", "beside ours", None),
        row("half maximum: volume, median error, same foci", float(np.median(ours)), "fraction", "beside theirs", None),
        row("Agatston-type mass (130 HU, mean HU), median error, same foci", float(np.median(mass)), "fraction",
            "beside ours", None),
    ]  # fmt: skip


def agatston_type_mg(over: Measured, mean: Measured) -> float:
    """Agatston-type mass: volume over 130 HU x mean HU x slope at 120 kV, no background taken off."""
    return over.value * mean.value * 0.8e-3


# ------------------------------------------------------------------ every focus, for the plots


def detail(m: Match) -> dict[str, Any]:
    """Return one true focus and what was made of it; None where there is no number, with the reason."""
    scan, _, seed = m.scan.rpartition(", seed ")
    t, f = m.truth, m.found
    mass, volume, over, mean = (
        f.measurements[name] if f else NotMeasured("not found")
        for name in ("mass_mg", "volume_mm3", "fixed_130_volume_mm3", "mean_hu")
    )
    both = isinstance(over, Measured) and isinstance(mean, Measured)
    return {
        "source": m.source, "scan": scan, "phase": m.phase, "seed": int(seed), "slice_mm": m.thickness_mm,
        "true_id": t.id, "pattern": t.pattern, "size_mm": t.diameter_mm, "delta_hu": t.delta_hu,
        "true_mg": t.mass_mg, "true_mm3": t.volume_mm3, "clipped": t.clipped, "found": f is not None,
        "kind": f.kind if f else None, "certainty": f.certainty if f else None, "pattern_found": m.pattern,
        "mass_mg": mass.value if isinstance(mass, Measured) else None,
        "low": mass.low if isinstance(mass, Measured) else None,
        "high": mass.high if isinstance(mass, Measured) else None,
        "mass_reason": mass.reason if isinstance(mass, NotMeasured) else None,
        "volume_mm3": volume.value if isinstance(volume, Measured) else None,
        "fixed_130_mm3": over.value if isinstance(over, Measured) else None,
        "agatston_type_mg": agatston_type_mg(over, mean) if both else None,
    }  # fmt: skip


def false_detail(scan: str, phase: str, slice_mm: float, focus: Focus) -> dict[str, Any]:
    """Return a calcification that was called where none was put; it has no true mass."""
    name, _, seed = scan.rpartition(", seed ")
    mass = focus.measurements["mass_mg"]
    return {
        "source": "false", "scan": name, "phase": phase, "seed": int(seed), "slice_mm": slice_mm,
        "kind": focus.kind, "certainty": focus.certainty, "centroid_mm": list(focus.centroid_mm),
        "mass_mg": mass.value if isinstance(mass, Measured) else None, "reasons": list(focus.reasons),
    }  # fmt: skip


def main() -> None:
    """Print the rows; write every focus when asked."""
    parser = argparse.ArgumentParser(description="Accuracy against known truth; one JSON row a line.")
    parser.add_argument("--details", type=Path, metavar="FILE", help="write one JSON object a focus here")
    details = parser.parse_args().details
    matches: list[Match] = []
    false_calls: list[tuple[str, str, float, Focus]] = []
    for line in rows(matches, false_calls):
        sys.stdout.write(json.dumps(line) + "\n")
    if details is not None:
        lines = [*map(detail, matches), *(false_detail(*call) for call in false_calls)]
        details.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")


if __name__ == "__main__":
    main()
