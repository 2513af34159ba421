"""Finding the liver: how near the truth, on what bodies, what it says of itself, how fast.

Every row is computed there and then. Rows that need the folder with real scans, or weights trained without a scan,
have no value and are not ok where those are not there. ``python benchmarks/segmentation.py --bodies FILE`` also writes
each test body as a line of JSON.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from child import cost
from hepacalc.errors import NoUsableLiver
from hepacalc.geometry import Geometry
from hepacalc.liver import liver_coverage
from hepacalc.liver.embedded import EmbeddedSegmenter
from hepacalc.phantom import FocusSpec, insert_foci, make_body, make_patient, random_specs
from hepacalc.records import LiverMask, Volume
from liver_runs import POOR, Run, all_bodies, dice, run_all, segmented
from matching import SHARED, expert_liver, real_scan, row
from warped import Case, labelled_scan, noisy, thicker

ROOT = Path(__file__).resolve().parents[1]
LEFT_OUT = {"acrin001": 0.93, "cptac": 0.93, "ts": 0.92}
PHANTOM_SEEDS = (1,)
WARP_SEEDS = (1,)
MB = 1e6


def rows(collect: list[Run] | None = None) -> list[dict[str, Any]]:
    """Return the rows of the segmentation table; what was found on each body is added to ``collect``."""
    runs = run_all(all_bodies(PHANTOM_SEEDS, WARP_SEEDS))
    if collect is not None:
        collect += runs
    out = expert_rows() + left_out_rows() + body_rows(runs)
    out += calcium_rows() + harder_rows() + cost_rows() + refusal_rows()
    if importlib.util.find_spec("couinaud_rows") is not None:
        out += importlib.import_module("couinaud_rows").rows()
    return [*out, wheel_row()]


# ------------------------------------------------------------------ real scans


def _mask(found: LiverMask | NoUsableLiver, like: np.ndarray) -> np.ndarray:
    return found.mask if isinstance(found, LiverMask) else np.zeros(like.shape, bool)


def expert_rows() -> list[dict[str, Any]]:
    """The one scan with an expert's mask that is here, never trained on."""
    mine, mean = (
        "Dice on 3D-IRCADb-01 (expert mask, never trained or tuned on)",
        ("mean Dice on unseen portal venous scans (only 3D-IRCADb-01 is here; the others are measured elsewhere)"),
    )
    if not SHARED.is_dir():
        return [row(mine, None, "", ">= 0.958", False), row(mean, None, "", ">= 0.955", False)]
    volume = real_scan("3D-IRCADb-01")
    liver = expert_liver(volume)
    found = dice(_mask(segmented(volume), liver), liver)
    return [
        row(mine, found, "1", ">= 0.958", found >= 0.958),
        row(mean, found, "1", ">= 0.955", found >= 0.955),
    ]


def left_out_rows() -> list[dict[str, Any]]:
    """Scans segmented by weights that were trained without them; their labels are no expert's."""
    out = []
    for name, least in LEFT_OUT.items():
        title = f"Dice on {name} by weights trained without it (pseudo-labels)"
        weights = ROOT / "training" / "leave-one-out" / f"{name}.onnx"
        if not weights.is_file() or not SHARED.is_dir():
            out.append(row(title, None, "", f">= {least}", False))
            continue
        case = labelled_scan(name)
        found = dice(_mask(segmented(case.volume, weights=weights), case.liver), case.liver)
        out.append(row(title, found, "1", f">= {least}", found >= least))
    return out


# ------------------------------------------------------------------ test bodies


def body_rows(runs: list[Run]) -> list[dict[str, Any]]:
    """Dice on the test bodies, and whether poor masks are told."""
    every = np.array([r.dice for r in runs])
    poor = [r for r in runs if r.dice < POOR]
    silent = [r for r in poor if not r.is_flagged]
    good = [r for r in runs if r.dice >= POOR]
    title = f"{len(runs)} test bodies"
    median = float(np.median(every))
    quiet = min((r.dice for r in runs if not r.is_flagged), default=1.0)
    share = 1 - len(silent) / len(poor) if poor else None
    out = [
        row(f"{title}: median Dice", median, "1", ">= 0.94", median >= 0.94),
        row(f"{title}: worst Dice without a warning", quiet, "1", f">= {POOR}", quiet >= POOR),
        row(f"{title}: masks under {POOR} (or none found)", len(poor), "bodies", "", None),
        row(f"{title}: of these told to be checked", share, "share", ">= 0.9", share is None or share >= 0.9),
        row(f"{title}: masks of {POOR} or more told to be checked needlessly",
            float(np.mean([r.is_flagged for r in good])) if good else None, "share", "", None),
    ]  # fmt: skip
    held = [r.interval[0] <= 1 <= r.interval[1] for r in runs if r.interval is not None]
    wide = [(r.interval[1] - r.interval[0]) / 2 for r in runs if r.interval is not None]
    out += [
        row(f"{title}: 90 % intervals of the volume hold the true volume", float(np.mean(held)), "share", "", None),
        row(f"{title}: half width of the interval, median", float(np.median(wide)), "of the volume", "", None),
    ]
    for source in ("phantom", "real"):
        part = [r.dice for r in runs if (r.source == "phantom") == (source == "phantom")]
        if part:
            title = "digital patients" if source == "phantom" else "bent real scans (trained on)"
            out.append(row(f"test bodies, {title}: median Dice", float(np.median(part)), "1", "", None))
    for body in dict.fromkeys(r.body for r in runs):
        part = [r.dice for r in runs if r.body == body]
        out.append(row(f"test bodies, {body} ({len(part)}): lowest Dice", min(part), "1", "", None))
    return out


# ------------------------------------------------------------------ calcium stays inside


def calcium_rows() -> list[dict[str, Any]]:
    """Share of calcified voxels in the true liver that lie in the mask."""
    kept = {"solid, rims and others": [0, 0], "large plaques of the capsule": [0, 0], "large rims": [0, 0]}
    for seed in (1, 2, 3):
        rng = np.random.default_rng([seed, 4])
        phase = ("non-contrast", "portal venous", "non-contrast")[seed - 1]
        plaques = [FocusSpec("capsular plaque", float(d), float(rng.uniform(400, 900))) for d in (18, 25, 32, 38)]
        large = [FocusSpec("rim complete", float(rng.uniform(30, 50)), 600), FocusSpec("septal", 45, 500)]
        mixed = random_specs(rng, 10, diameter_mm=(4.0, 20.0), delta_hu=(250.0, 1100.0))
        for kind, specs in zip(reversed(kept), (large, plaques, mixed), strict=True):
            made = make_patient(300 + seed, phase=phase, foci=specs, spacing_mm=(2.5, 1.2, 1.2), mimics=())
            _count(kept[kind], made.labels > 0, made.liver, made.volume)
    real = [0, 0]
    if SHARED.is_dir():
        for name, seed in (("acrin001", 1), ("cptac", 2), ("ts", 3)):
            case = labelled_scan(name)
            rng = np.random.default_rng([seed, 5])
            specs = random_specs(rng, 12, diameter_mm=(4.0, 20.0), delta_hu=(250.0, 1100.0))
            made_in = insert_foci(case.volume, case.liver, specs, rng)
            _count(real, made_in.labels > 0, case.liver, made_in.volume)
    out = []
    total = np.sum([*kept.values(), real], axis=0)
    share = float(total[0] / total[1])
    title = "calcified voxels in the true liver kept by the mask"
    out.append(row(title, share, "share", ">= 0.98", share >= 0.98))
    for kind, (inside, count) in [*kept.items(), ("put into real scans", real)]:
        value = inside / count if count else None
        out.append(row(f"{title}: {kind}", value, "share", ">= 0.98", value is not None and value >= 0.98))
    return out


def _count(counts: list[int], calcium: np.ndarray, liver: np.ndarray, volume: Volume) -> None:
    true = calcium & liver
    counts[0] += int(np.count_nonzero(true & _mask(segmented(volume), liver)))
    counts[1] += int(np.count_nonzero(true))


# ------------------------------------------------------------------ harder than it was


def harder_rows() -> list[dict[str, Any]]:
    """Dice lost by noise, thick slices and a third cut off; for the cuts, within what is left."""
    cases = []
    if SHARED.is_dir():
        expert = real_scan("3D-IRCADb-01")
        turn = expert.geometry.canonical()
        standard = replace(expert, hu=np.ascontiguousarray(turn.apply(expert.hu)), geometry=turn.geometry,
                           sop_instance_uids=())  # fmt: skip
        labels = np.ascontiguousarray(turn.apply(expert_liver(expert))).astype(np.uint8)
        cases = [Case("3D-IRCADb-01", standard, labels), labelled_scan("acrin001"), labelled_scan("ts")]
    body = make_body("portal venous", 5, spacing_mm=(1.25, 1.0, 1.0))
    cases.append(Case("phantom", body.volume, body.liver.astype(np.uint8)))
    ways: dict[str, Callable[[Case], tuple[Case, slice]]] = {
        "noise of 35 HU added": lambda c: (
            replace(c, volume=noisy(c.volume, 35.0, np.random.default_rng(7))), slice(None)),
        "slices of 5 mm": lambda c: (thicker(c, 5.0), slice(None)),
        "top third of the liver cut off": lambda c: _cut(c, top=True),
        "bottom third of the liver cut off": lambda c: _cut(c, top=False),
    }  # fmt: skip
    usual = {c.name: _mask(segmented(c.volume), c.labels) for c in cases}
    out = []
    for title, way in ways.items():
        lost = {}
        for case in cases:
            changed, left = way(case)
            before = dice(usual[case.name][left], case.liver[left])
            lost[case.name] = before - dice(_mask(segmented(changed.volume), changed.labels), changed.liver)
        mean, worst = float(np.mean(list(lost.values()))), max(lost, key=lambda n: lost[n])
        out.append(row(f"{title}: Dice lost, mean of {len(lost)} scans", mean, "1", "<= 0.01", mean <= 0.01))
        out.append(row(f"{title}: Dice lost, worst ({worst})", lost[worst], "1", "", None))
    return out


def _cut(case: Case, *, top: bool) -> tuple[Case, slice]:
    """Return a scan that shows two thirds of the liver's height."""
    levels = np.flatnonzero(case.liver.any((1, 2)))
    third = (levels[-1] - levels[0]) // 3
    left = slice(0, int(levels[-1] - third)) if top else slice(int(levels[0] + third), len(case.labels))
    geometry = case.volume.geometry.crop((left, slice(None), slice(None)))
    part = replace(case.volume, hu=np.ascontiguousarray(case.volume.hu[left]), geometry=geometry)
    return Case(case.name, part, case.labels[left]), left


# ------------------------------------------------------------------ time and memory


def cost_rows() -> list[dict[str, Any]]:
    """Wall time and peak memory of the segmenter in a process of its own, the scan read from a file of raw voxels."""
    out = []
    made = make_patient(
        77, phase="portal", foci=[], spacing_mm=(1.0, 0.78, 0.78), matrix=512, z_range_mm=(-254.5, 45.0)
    )
    for slices, seconds, megabytes in ((300, 3.0, 650.0), (1000, 8.0, None)):
        hu = made.volume.hu[np.arange(slices) * len(made.volume.hu) // slices]
        with tempfile.TemporaryDirectory() as folder:
            np.save(Path(folder) / "hu.npy", hu)
            command = [sys.executable, str(Path(__file__).resolve()), "--time", folder, str(300 / slices)]
            _, peak_bytes, said = cost(command)
        best = min(float(t) for t in said.split())
        title = f"liver of 512x512x{slices}, 2 threads, reading apart"
        peak = peak_bytes / MB
        out.append(row(f"{title}: time, best of 3", best, "s", f"<= {seconds:g}", best <= seconds))
        out.append(
            row(f"{title}: peak memory of the process, scan included", peak, "MB",
                f"<= {megabytes:g}" if megabytes else "", peak <= megabytes if megabytes else None)
        )  # fmt: skip
    return out


def _time(folder: Path, slice_mm: float) -> None:
    """Segment a scan three times and print the seconds of each."""
    hu = np.load(folder / "hu.npy")
    affine = np.zeros((4, 4))
    affine[[2, 1, 0, 3], [0, 1, 2, 3]] = (slice_mm, 0.78, 0.78, 1)
    volume = Volume(hu, Geometry(hu.shape, affine))
    for _ in range(3):
        start = time.perf_counter()
        EmbeddedSegmenter().segment(volume)
        print(time.perf_counter() - start, flush=True)


# ------------------------------------------------------------------ what is no liver


def refusal_rows() -> list[dict[str, Any]]:
    """Scans without a usable liver: refused, no mask, no crash."""
    body = make_patient(61, foci=[], mimics=(), spacing_mm=(3.0, 1.5, 1.5), phase="portal", z_range_mm=(-320.0, 85.0))
    volume, liver = body.volume, body.liver
    levels = np.flatnonzero(liver.any((1, 2)))
    shape = volume.hu.shape
    rng = np.random.default_rng(3)
    z, y, x = np.indices(shape)
    spacing = volume.geometry.spacing_mm
    away = np.hypot((y - shape[1] / 2) * spacing[1], (x - shape[2] / 2) * spacing[2])

    def part(low: int, high: int) -> Volume:
        box = (slice(low, high), slice(None), slice(None))
        return replace(volume, hu=np.ascontiguousarray(volume.hu[box]), geometry=volume.geometry.crop(box))

    def filled(hu: np.ndarray) -> Volume:
        return replace(volume, hu=hu.astype(np.int16), sop_instance_uids=())

    head = np.where(np.hypot(away, (z - 60) * 3.0) < 95, 35.0, -1000.0)
    head[(np.hypot(away, (z - 60) * 3.0) < 95) & (np.hypot(away, (z - 60) * 3.0) > 86)] = 900
    thigh = [np.hypot((y - shape[1] / 2) * 1.5, (x - shape[2] / 2) * 1.5 - s * 95) for s in (-1, 1)]
    nearest = np.minimum(*thigh)
    legs = np.select([nearest < 9, nearest < 15, nearest < 68, nearest < 85], [60, 1100, 55, -100], -1000).astype(float)
    nothing = {
        "chest only": part(int(levels[-1]) + 2, shape[0]),
        "below the liver": part(0, int(levels[0]) - 1),
        "head": filled(head + rng.normal(0, 8, shape)),
        "legs": filled(legs + rng.normal(0, 10, shape)),
        "empty": filled(np.full(shape, -1000.0)),
        "one value": filled(np.full(shape, 60.0)),
        "cylinder of water": filled(np.where(away < 110, 0, -1000) + rng.normal(0, 8, shape)),
        "cylinder like liver": filled(np.where(away < 90, 60, -1000) + rng.normal(0, 8, shape)),
    }
    refused = {name: isinstance(segmented(scan), NoUsableLiver) for name, scan in nothing.items()}
    wrong = [name for name, ok in refused.items() if not ok]
    title = f"scans without a liver ({', '.join(nothing)}): refused"
    if wrong:
        title += f"; not refused: {', '.join(wrong)}"
    out = [row(title, sum(refused.values()), "scans", str(len(refused)), not wrong)]
    middle = shape[2] // 2
    box = (slice(None), slice(None), slice(0, middle))
    right = replace(volume, hu=np.ascontiguousarray(volume.hu[box]), geometry=volume.geometry.crop(box))
    box = (slice(None), slice(None), slice(middle + 20, None))
    left = replace(volume, hu=np.ascontiguousarray(volume.hu[box]), geometry=volume.geometry.crop(box))
    for side, half, true in (("right", right, liver[:, :, :middle]), ("left", left, liver[:, :, middle + 20 :])):
        found = segmented(half)
        if isinstance(found, NoUsableLiver):
            out.append(row(f"{side} half of a body", "refused", "", "refused, or a part with a warning", True))
        else:
            near = dice(found.mask, true)
            ok = bool(liver_coverage(found, half).cuts) and near > 0.7
            out.append(row(f"{side} half of a body: Dice of the part, told to be cut", near, "1", "> 0.7", ok))
    return out


def wheel_row() -> dict[str, Any]:
    """Size of the wheel with the weights, built from this checkout."""
    with tempfile.TemporaryDirectory() as folder:
        tree, out = Path(folder) / "tree", Path(folder) / "out"
        shutil.copytree(ROOT / "src", tree / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, tree / name)
        command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "--wheel-dir", str(out), str(tree)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        size = next(out.glob("*.whl")).stat().st_size / MB
    return row("wheel with weights", size, "MB", "<= 12", size <= 12)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))  # as scripts/bench does
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bodies", type=Path, help="write each test body to this file")
    parser.add_argument("--time", nargs=2, metavar=("FOLDER", "SLICE_MM"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.time:
        _time(Path(given.time[0]), float(given.time[1]))
    else:
        runs: list[Run] = []
        for line in rows(runs):
            print(json.dumps(line), flush=True)
        if given.bodies:
            given.bodies.write_text("".join(json.dumps(asdict(r)) + "\n" for r in runs), "utf-8")
