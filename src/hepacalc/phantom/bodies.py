"""Test bodies: digital patients with the livers and the scans that segmenters fail on, truth by construction.

>>> from hepacalc.phantom.bodies import BODIES, make_body
>>> body = make_body("cirrhotic", 1, spacing_mm=(10.0, 2.5, 2.5))
>>> bool(body.liver.any())
True
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hepacalc.errors import UsageError
from hepacalc.phantom.habit import USUAL, Habit
from hepacalc.phantom.patient import HU_RANGE, Phantom, draw_scene, scan, stream
from hepacalc.phantom.scanner import KernelName
from hepacalc.phantom.truth import FocusSpec
from hepacalc.records import Volume

__all__ = ["BODIES", "Body", "arm_streaks", "make_body", "mirrored"]

FIELD_MM = 400.0


@dataclass(frozen=True, slots=True)
class Body:
    """One kind of test body.

    Args:
        phases: contrast phases it is seen in; the seed chooses.
        liver: tissue of the liver, one of :data:`hepacalc.phantom.tissue.LIVERS`.
        shift_hu: range of what is added to the CT number of the liver.
        habit: what is unusual about the body.
        slice_mm: range of the slice spacing.
        noise_hu: range of the noise.
        kernel: of the reconstruction.
        is_mirrored: whether left and right are exchanged.
        streaks_hu: strength of the streaks between the arms.
    """

    phases: tuple[str, ...] = ("non-contrast", "portal venous")
    liver: str = "normal"
    shift_hu: tuple[float, float] = (0.0, 0.0)
    habit: Habit = USUAL
    slice_mm: tuple[float, float] = (2.5, 5.0)
    noise_hu: tuple[float, float] = (9.0, 15.0)
    kernel: KernelName = "soft"
    is_mirrored: bool = False
    streaks_hu: float = 0.0


BODIES: dict[str, Body] = {
    "non-contrast": Body(("non-contrast",)),
    "portal venous": Body(("portal venous",)),
    "arterial": Body(("arterial",)),
    "fatty": Body(("non-contrast",), "fatty", (-12.0, 8.0)),
    "fatty, enhanced": Body(("portal venous",), "fatty", (-12.0, 8.0)),
    "iron": Body(("non-contrast",), "iron", (5.0, 40.0)),
    "amiodarone": Body(("non-contrast",), "amiodarone", (5.0, 20.0)),
    "cirrhotic": Body(habit=Habit("cirrhotic", spleen=1.35, ascites_mm=6.0)),
    "right hepatectomy": Body(habit=Habit("right hepatectomy")),
    "left hepatectomy": Body(habit=Habit("left hepatectomy")),
    "Riedel lobe": Body(habit=Habit("Riedel lobe")),
    "ascites": Body(habit=Habit(ascites_mm=26.0)),
    "large tumour": Body(habit=Habit(tumour_mm=110.0)),
    "situs inversus": Body(is_mirrored=True),
    "arms down": Body(habit=Habit(arms=True), streaks_hu=16.0, slice_mm=(2.0, 3.0)),
    "low dose": Body(("non-contrast",), noise_hu=(32.0, 42.0), slice_mm=(1.5, 2.5)),
    "slices 0.5 mm": Body(slice_mm=(0.5, 0.5), noise_hu=(22.0, 28.0)),
    "slices 8 mm": Body(slice_mm=(8.0, 8.0), noise_hu=(6.0, 8.0)),
    "child": Body(habit=Habit(size=0.66, fat_mm=6.0), slice_mm=(2.0, 3.0)),
}
"""Test bodies by name."""


def make_body(
    name: str,
    seed: int,
    *,
    spacing_mm: tuple[float, float, float] | None = None,
    foci: tuple[FocusSpec, ...] = (),
) -> Phantom:
    """Return a scan of a test body; the same arguments give the same bytes.

    Args:
        name: one of :data:`BODIES`.
        seed: draws everything that is random.
        spacing_mm: ``(z, y, x)``; None draws slices as usual for this body, with pixels of 1.6 mm.
        foci: calcified foci to put in.

    Raises:
        UsageError: an unknown name, or no room for the foci.
    """
    if name not in BODIES:
        raise UsageError(f"wanted a test body, found {name!r}.", hint=f"Test bodies: {', '.join(BODIES)}.")
    body = BODIES[name]
    rng = stream(seed, f"body {name}")
    phase = body.phases[int(rng.integers(len(body.phases)))]
    gallbladder = "hepatectomy" not in body.habit.liver and bool(rng.random() < 0.85)
    shift, slice_mm, noise_hu = (float(rng.uniform(*r)) for r in (body.shift_hu, body.slice_mm, body.noise_hu))
    scene = draw_scene(
        seed, phase=phase, liver=body.liver, foci=foci, mimics=("costal cartilage",) if rng.random() < 0.5 else (),
        gallbladder=gallbladder, habit=body.habit, liver_shift_hu=shift,
    )  # fmt: skip
    spacing = spacing_mm or (round(slice_mm, 2), 1.6 * body.habit.size, 1.6 * body.habit.size)
    wide = 500.0 if body.habit.arms else FIELD_MM * body.habit.size
    bottom, top = (-310.0 if body.habit.liver == "Riedel lobe" else -255.0), 45.0
    made = scan(
        scene,
        spacing_mm=spacing,
        noise_hu=noise_hu,
        kernel=body.kernel,
        z_range_mm=(bottom * body.habit.size, top * body.habit.size),
        matrix=2 * round(wide / spacing[1] / 2),
    )
    if body.streaks_hu:
        hu = arm_streaks(made.volume, body.streaks_hu * float(rng.uniform(0.8, 1.2)), rng)
        made = replace(made, volume=replace(made.volume, hu=hu))
    return mirrored(made) if body.is_mirrored else made


def mirrored(phantom: Phantom) -> Phantom:
    """Return a patient with left and right exchanged (situs inversus totalis)."""
    hu = np.asarray(phantom.volume.hu[:, :, ::-1], np.int16, order="C")
    # the grid lies symmetrically about the midline, so only what is in it changes sides
    foci = tuple(
        replace(f, centroid_mm=(-f.centroid_mm[0], f.centroid_mm[1], f.centroid_mm[2])) for f in phantom.truth.foci
    )
    mimics = tuple(
        replace(m, centroid_mm=(-m.centroid_mm[0], m.centroid_mm[1], m.centroid_mm[2])) for m in phantom.truth.mimics
    )
    return Phantom(
        replace(phantom.volume, hu=hu),
        replace(phantom.truth, foci=foci, mimics=mimics),
        np.asarray(phantom.liver[:, :, ::-1], bool, order="C"),
        np.asarray(phantom.labels[:, :, ::-1], np.uint16, order="C"),
    )


def arm_streaks(volume: Volume, strength_hu: float, rng: np.random.Generator) -> NDArray[np.int16]:
    """Return the scan with what arms beside the body do to it: streaks from side to side, and a dark band.

    Few photons pass through both arms and the trunk, so noise is drawn out along that line, and the beam hardens
    between the bones. Strongest in the middle third of the body's depth.

    Args:
        volume: axes ``(z, y, x)`` along LPS.
        strength_hu: standard deviation of the streaks in the middle of the body.
        rng: the only source of randomness.
    """
    hu = np.asarray(volume.hu, np.float32)
    _, dy, dx = volume.geometry.spacing_mm
    ny, nx = hu.shape[1:]
    y: NDArray[np.float64] = (np.arange(ny) - ny / 2) * dy
    depth = np.exp(-(((y - 15) / 45) ** 2)).astype(np.float32)[:, None]
    out = np.empty(hu.shape, np.int16)
    band = np.zeros(hu.shape[1:], np.float32)
    for k in range(len(hu)):
        lines = ndimage.gaussian_filter(rng.standard_normal((ny, nx), np.float32), (0.8 / dy, 55 / dx), mode="nearest")
        fine = ndimage.gaussian_filter(rng.standard_normal((ny, nx), np.float32), (0.6 / dy, 12 / dx), mode="nearest")
        slow = ndimage.gaussian_filter1d(rng.standard_normal(ny, np.float32), 9 / dy)
        band = 0.85 * band + 0.5 * (slow / slow.std())[:, None]
        inside = np.asarray(hu[k] > -300, np.float32)
        streaks = lines / lines.std() + 0.6 * fine / fine.std() + 0.6 * band - np.float32(0.8)
        out[k] = np.clip(np.rint(hu[k] + strength_hu * depth * inside * streaks), *HU_RANGE)
    return out
