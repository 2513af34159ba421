"""A digital patient on one page: a scene is drawn from a seed, then scanned."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hepacalc.errors import UsageError
from hepacalc.foci.calibration import calibration_for
from hepacalc.geometry import Geometry
from hepacalc.phantom.anatomy import Anatomy, build_anatomy
from hepacalc.phantom.fields import Brush, Field
from hepacalc.phantom.foci import HOST_HU, PlacedFocus, focus_truth, place_foci, sampled_share
from hepacalc.phantom.habit import USUAL, Habit
from hepacalc.phantom.mimics import Mimics, add_mimics
from hepacalc.phantom.organs import Layer
from hepacalc.phantom.placement import Placer
from hepacalc.phantom.scanner import (
    KERNELS,
    Item,
    KernelName,
    Scanner,
    add_streaks,
    noise_slices,
    render_anatomy,
    render_item,
)
from hepacalc.phantom.segments import draw_plan
from hepacalc.phantom.tissue import LIVERS, Tissue, tissues
from hepacalc.phantom.truth import FocusSpec, Truth
from hepacalc.records import PHASES, Acquisition, PhaseName, Volume

__all__ = ["DEFAULT_MIMICS", "Phantom", "Scene", "default_foci", "draw_scene", "make_patient", "scan"]

SCHEMA_VERSION = "1"
HU_RANGE = (-1024, 3071)
DEFAULT_MIMICS: tuple[str, ...] = ("gallstone", "costal cartilage", "enhanced vessel")


@dataclass(frozen=True, eq=False, slots=True)
class Phantom:
    """A scan of a digital patient, and what is true of him.

    Args:
        volume: the scan; int16 HU, or float32 when not rounded.
        truth: what is known for certain.
        liver: bool ``(z, y, x)``, the liver on the scan's grid: voxels whose centre lies in it.
        labels: uint16 ``(z, y, x)``, ``id`` of the focus where it fills at least half of its own maximum.
    """

    volume: Volume
    truth: Truth
    liver: NDArray[np.bool_]
    labels: NDArray[np.uint16]


@dataclass(frozen=True, eq=False, slots=True)
class Scene:
    """A patient before he is scanned; the same scene can be scanned on many grids."""

    seed: int
    phase: PhaseName
    kvp: float
    slope: float
    liver_kind: str
    tissue: dict[str, Tissue]
    anatomy: Anatomy
    foci: tuple[PlacedFocus, ...]
    mimics: Mimics


def default_foci(rng: np.random.Generator) -> list[FocusSpec]:
    """Return a mixed set of ten foci, 2 to 40 mm."""
    sizes = {
        "punctate": 2.5, "nodular solid": 9.0, "rim complete": 26.0, "rim incomplete": 18.0, "curvilinear": 14.0,
        "central stellate": 14.0, "amorphous": 14.0, "branching duct": 22.0, "capsular plaque": 16.0, "comma": 8.0,
    }  # fmt: skip
    return [
        FocusSpec(
            name,
            size * float(rng.uniform(0.85, 1.15)),
            float(rng.uniform(350, 750)) * (0.6 if name == "amorphous" else 1.0),
        )
        for name, size in sizes.items()
    ]


def draw_scene(
    seed: int,
    *,
    phase: str = "non-contrast",
    kvp: float = 120,
    foci: Sequence[FocusSpec] | None = None,
    mimics: Sequence[str] = DEFAULT_MIMICS,
    liver: str = "normal",
    gallbladder: bool = True,
    hosts: bool = True,
    calibration_sd: float | None = None,
    table: bool = True,
    habit: Habit = USUAL,
    liver_shift_hu: float = 0.0,
    varied: bool = False,
) -> Scene:
    """Return a patient drawn from a seed; arguments as in :func:`make_patient`.

    ``habit`` is what is unusual about the body, ``liver_shift_hu`` is added to the CT number of the liver.
    """
    name = {"portal": "portal venous", "native": "non-contrast"}.get(phase, phase)
    if name not in PHASES or liver not in LIVERS:
        raise UsageError(
            f"wanted a phase and a kind of liver that the phantom knows, found {phase!r} and {liver!r}.",
            hint=f"Phases: {', '.join(PHASES)}. Livers: {', '.join(LIVERS)}.",
        )
    chosen: PhaseName = PHASES[PHASES.index(name)]
    slope = scanner_slope(seed, kvp, calibration_sd)
    tissue = tissues(chosen, kvp, liver, stream(seed, "tissue"))
    tissue["liver"] = replace(tissue["liver"], hu=tissue["liver"].hu + liver_shift_hu)
    anatomy = build_anatomy(
        stream(seed, "anatomy"),
        tissue,
        gallbladder=gallbladder and "surgical clip" not in mimics,
        calcified_cartilage="costal cartilage" in mimics,
        table=table,
        habit=habit,
        habit_seed=int(stream(seed, "habit").integers(2**31)),
        plan=draw_plan(stream(seed, "segments")) if varied else None,
    )
    trees = anatomy.trees
    lines = [(a, b) for a, b, r, _ in (*trees.portal_rods, *trees.hepatic_rods) if 1.5 < r < 5]
    rng = stream(seed, "foci")
    placer = Placer(anatomy.liver, rng, lines=lines)
    specs = default_foci(rng) if foci is None else list(foci)
    placed = place_foci(specs, placer, rng, hosts=hosts)
    extra = add_mimics(mimics, anatomy, placer, stream(seed, "mimics"))
    return Scene(seed, chosen, float(kvp), slope, liver, tissue, anatomy, tuple(placed), extra)


def scan(
    scene: Scene,
    *,
    spacing_mm: tuple[float, float, float] = (2.5, 0.8, 0.8),
    slice_thickness_mm: float | None = None,
    noise_hu: float = 12.0,
    kernel: KernelName = "soft",
    z_range_mm: tuple[float, float] = (-255.0, 45.0),
    matrix: int | None = None,
    cut_top_mm: float | None = None,
    cut_bottom_mm: float | None = None,
    calcium: bool = True,
    rounded: bool = True,
) -> Phantom:
    """Return a scan of a scene; arguments as in :func:`make_patient`.

    ``calcium=False`` leaves the calcium of the foci out (their hosts stay), ``rounded=False`` gives unclipped
    float32 HU: the difference of two such scans is exactly what the foci add.
    """
    geometry = _scan_grid(scene, spacing_mm, z_range_mm, matrix, cut_top_mm, cut_bottom_mm)
    thickness = float(slice_thickness_mm or spacing_mm[0])
    scanner = Scanner(geometry, thickness, KERNELS[kernel].sigma_mm)
    layers = [*scene.anatomy.layers, *scene.mimics.layers, *_hosts(scene)]
    hu = render_anatomy(layers, scene.anatomy.textures, scanner)
    for item in scene.mimics.items:
        render_item(hu, item, scanner)
    streaks = stream(scene.seed, "streaks")
    for centre, reach, strength in scene.mimics.streaks:
        add_streaks(hu, centre, reach, scanner, strength, streaks)
    labels = np.zeros(geometry.shape, np.uint16)
    share_at = np.zeros(geometry.shape, np.float32) if len(scene.foci) else None
    truths = []
    for number, focus in enumerate(scene.foci, 1):
        centroid = (focus.place.centre_zyx + focus.occupancy.centroid_mm)[::-1]
        known = focus_truth(focus, number, scene.slope, centroid_lps=centroid)
        item = Item(focus.occupancy, focus.place.centre_zyx, known.delta_hu if calcium else 0.0)
        box, share = render_item(hu, item, scanner)
        assert share_at is not None
        known = replace(known, sampled=sampled_share(share, geometry, focus.occupancy))
        if share.size and share.max() > 0:
            mine = (share >= 0.5 * share.max()) & (share > share_at[box])
            labels[box][mine] = number
            share_at[box][mine] = share[mine]
            if rounded and calcium and float(hu[box].max()) > HU_RANGE[1]:
                known = replace(known, clipped=True)
        truths.append(known)
    del share_at
    if noise_hu > 0:
        _add_noise(hu, scene, scanner, noise_hu, kernel, thickness)
    liver, complete, volume_ml = _true_liver(scene, scanner)
    values = _rounded(hu) if rounded else hu
    truth = Truth(
        SCHEMA_VERSION, "phantom", scene.seed, scene.phase, scene.kvp, scene.slope, scanner.sigma_mm, thickness,
        noise_hu, kernel, volume_ml, scene.tissue["liver"].hu, complete, tuple(truths), tuple(scene.mimics.truths),
    )  # fmt: skip
    identity = f"{scene.seed}|{scene.phase}|{scene.kvp}|{geometry.shape}|{spacing_mm}|{thickness}|{kernel}|{noise_hu}"
    contrast = None if scene.phase == "non-contrast" else "PHANTOM IODINE"
    acquisition = Acquisition(
        modality="CT", kvp=scene.kvp, slice_thickness_mm=thickness, convolution_kernel=KERNELS[kernel].name,
        contrast_bolus_agent=contrast, manufacturer="hepacalc", manufacturer_model_name="digital phantom",
        series_description=f"PHANTOM {scene.phase} {thickness:g} mm {kernel}", body_part_examined="ABDOMEN",
        image_type=("ORIGINAL", "PRIMARY", "AXIAL"), patient_position="HFS", study_date="20000101",
        study_instance_uid=uid(f"study|{scene.seed}"), series_instance_uid=uid(f"series|{identity}"),
        frame_of_reference_uid=uid(f"frame|{scene.seed}"),
    )  # fmt: skip
    sops = tuple(uid(f"instance|{identity}|{k}") for k in range(geometry.shape[0]))
    return Phantom(Volume(values, geometry, acquisition, sop_instance_uids=sops), truth, liver, labels)


def make_patient(
    seed: int,
    *,
    phase: str = "non-contrast",
    kvp: float = 120,
    spacing_mm: tuple[float, float, float] = (2.5, 0.8, 0.8),
    slice_thickness_mm: float | None = None,
    noise_hu: float = 12.0,
    kernel: KernelName = "soft",
    foci: Sequence[FocusSpec] | None = None,
    mimics: Sequence[str] = DEFAULT_MIMICS,
    liver: str = "normal",
    gallbladder: bool = True,
    hosts: bool = True,
    calibration_sd: float | None = None,
    table: bool = True,
    varied: bool = False,
    z_range_mm: tuple[float, float] = (-255.0, 45.0),
    matrix: int | None = None,
    cut_top_mm: float | None = None,
    cut_bottom_mm: float | None = None,
) -> Phantom:
    """Return a digital patient's scan with known truth; the same arguments give the same bytes.

    Args:
        seed: draws everything that is random.
        phase: ``non-contrast``, ``arterial``, ``portal venous`` or ``delayed``.
        kvp: tube voltage in kV.
        spacing_mm: ``(z, y, x)``.
        slice_thickness_mm: None: as the slice spacing.
        noise_hu: standard deviation of one voxel of liver.
        kernel: ``soft`` or ``sharp``.
        foci: what to put in; None: :func:`default_foci`; an empty list: none.
        mimics: from :data:`hepacalc.phantom.MIMICS`. ``surgical clip`` takes the gallbladder out.
        liver: ``normal``, ``fatty``, ``iron`` or ``amiodarone``.
        gallbladder: whether there is one.
        hosts: whether cysts and masses lie in or around the foci.
        calibration_sd: relative standard deviation of this scanner's slope about the table; None: the table's own.
        table: whether the patient lies on one.
        varied: whether the liver is divided, turned and stretched by a plan drawn from the seed, with its veins along
            the planes: ``draw_scene(...).anatomy.segments`` then knows the Couinaud segments.
        z_range_mm: LPS z of the lower and upper edge of the scan; the right dome is about 0.
        matrix: pixels a side; None: enough for 400 mm, at most 512.
        cut_top_mm: this much of the liver lies above the scan.
        cut_bottom_mm: this much of the liver lies below the scan.

    Raises:
        UsageError: an unknown name, or no room for the foci.
    """
    scene = draw_scene(
        seed, phase=phase, kvp=kvp, foci=foci, mimics=mimics, liver=liver, gallbladder=gallbladder, hosts=hosts,
        calibration_sd=calibration_sd, table=table, varied=varied,
    )  # fmt: skip
    return scan(
        scene, spacing_mm=spacing_mm, slice_thickness_mm=slice_thickness_mm, noise_hu=noise_hu, kernel=kernel,
        z_range_mm=z_range_mm, matrix=matrix, cut_top_mm=cut_top_mm, cut_bottom_mm=cut_bottom_mm,
    )  # fmt: skip


def scanner_slope(seed: int, kvp: float, relative_sd: float | None = None) -> float:
    """Return this scanner's own calibration slope in mg/mL per HU, drawn about the table's.

    Args:
        seed: of the patient.
        kvp: tube voltage.
        relative_sd: spread about the table; None: the table's own, 0: the table exactly.
    """
    line = calibration_for(kvp)
    sd = line.relative_sd if relative_sd is None else relative_sd
    return line.mg_per_ml_per_hu * (1 + sd * float(np.clip(stream(seed, "slope").normal(), -2.5, 2.5)))


def uid(text: str) -> str:
    """Return a DICOM UID that depends on nothing but ``text`` (PS3.5 B.2)."""
    return "2.25." + str(int.from_bytes(hashlib.sha256(text.encode()).digest()[:15], "big"))


def stream(seed: int, name: str) -> np.random.Generator:
    """Return the random numbers of one part of a patient."""
    return np.random.default_rng([seed, int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")])


def _scan_grid(
    scene: Scene,
    spacing_mm: tuple[float, float, float],
    z_range_mm: tuple[float, float],
    matrix: int | None,
    cut_top_mm: float | None,
    cut_bottom_mm: float | None,
) -> Geometry:
    inside = np.flatnonzero((scene.anatomy.liver.values < 0).any(axis=(1, 2)))
    low, high = (scene.anatomy.liver.origin_mm[0] + scene.anatomy.liver.step_mm * int(k) for k in inside[[0, -1]])
    bottom = z_range_mm[0] if cut_bottom_mm is None else low + cut_bottom_mm
    top = z_range_mm[1] if cut_top_mm is None else high - cut_top_mm
    dz, dy, dx = spacing_mm
    nz = round((top - bottom) / dz)
    if nz < 1:
        raise UsageError(
            f"wanted at least one slice, found {top - bottom:.1f} mm to scan at {dz} mm.", hint="Cut less of the liver."
        )
    ny, nx = (matrix or min(512, 2 * round(200 / d)) for d in (dy, dx))
    affine = np.eye(4)
    affine[:3, :3] = [[0, 0, dx], [0, dy, 0], [dz, 0, 0]]
    affine[:3, 3] = (-(nx - 1) / 2 * dx, 8 - (ny - 1) / 2 * dy, bottom + dz / 2)
    return Geometry((nz, ny, nx), affine)


def _hosts(scene: Scene) -> list[Layer]:
    out = []
    liver = scene.tissue["liver"]
    for focus in scene.foci:
        if focus.cavity is None:
            continue
        z, y, x = (float(c + o) for c, o in zip(focus.place.centre_zyx, focus.cavity.origin_mm, strict=True))
        step = focus.cavity.step_mm
        distance = focus.shape.cavity
        assert distance is not None
        line = np.arange(focus.cavity.values.shape[0], dtype=np.float32) * step + focus.cavity.origin_mm[0]
        grid = np.meshgrid(line, line, line, indexing="ij")
        turn = focus.place.rotation.astype(np.float32)
        local = [sum(turn[j, k] * grid[j] for j in range(3)) for k in range(3)]
        field = Field(np.asarray(distance(*local), np.float32), (z, y, x), step)
        hu = HOST_HU["fluid"] if focus.host == "fluid" else liver.hu + HOST_HU[focus.host]
        out.append(Layer(focus.host, field, Tissue(hu, 1.5 if focus.host == "fluid" else 4.0)))
    return out


def _add_noise(
    hu: NDArray[np.float32], scene: Scene, scanner: Scanner, noise_hu: float, kernel: KernelName, thickness: float
) -> None:
    """Add noise in place: strongest deep in the body, weak in the air around it."""
    z_mm, y_mm, x_mm = scanner.lines_mm
    brush = Brush(scene.anatomy.body, y_mm, x_mm)
    sdf = scene.anatomy.liver
    inside = np.argwhere(sdf.values < 0)
    depth = -scene.anatomy.body.at(np.array(sdf.origin_mm) + sdf.step_mm * inside)
    usual = float(np.sqrt(np.mean(_loudness(depth) ** 2)))
    dz, dy, _ = scanner.geometry.spacing_mm
    slices = noise_slices(
        hu.shape, dy, kernel=KERNELS[kernel], overlap=max(1.0, thickness / dz), rng=stream(scene.seed, "noise")
    )
    for k, unit in enumerate(slices):
        level = np.full(hu.shape[1:], np.float32(0.35))
        values = brush.values(float(z_mm[k]))
        if values is not None:
            level[brush.rows, brush.columns] = _loudness(-values)
        hu[k] += unit * level * np.float32(noise_hu / usual)


def _loudness(depth_mm: NDArray[np.floating]) -> NDArray[np.float32]:
    return np.asarray(0.35 + 0.65 * np.clip(depth_mm / 90 + 0.25, 0, 1), np.float32)


def _true_liver(scene: Scene, scanner: Scanner) -> tuple[NDArray[np.bool_], bool, float]:
    z_mm, y_mm, x_mm = scanner.lines_mm
    field = scene.anatomy.liver
    brush = Brush(field, y_mm, x_mm)
    out = np.zeros(scanner.geometry.shape, bool)
    for k, z in enumerate(z_mm):
        found = brush.cover(float(z), scanner.geometry.spacing_mm[1])
        if found is not None:
            out[k][found[0]] = found[1] > 0.5
    share = np.clip(0.5 - field.values / field.step_mm, 0, 1)
    height = np.flatnonzero((field.values < 0).any(axis=(1, 2))) * field.step_mm + field.origin_mm[0]
    complete = bool(height[0] >= z_mm[0] - 2 and height[-1] <= z_mm[-1] + 2)
    return out, complete, float(share.sum(dtype=np.float64)) * field.step_mm**3 / 1000


def _rounded(hu: NDArray[np.float32]) -> NDArray[np.int16]:
    out = np.empty(hu.shape, np.int16)
    for k in range(hu.shape[0]):
        out[k] = np.clip(np.rint(hu[k]), *HU_RANGE)
    return out
