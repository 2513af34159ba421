"""Which foci a phantom or an insertion holds: random wishes, and wishes turned into shapes at places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepacalc.geometry import Geometry
from hepacalc.phantom.patterns import SIZES_MM, build_shape, usual_host
from hepacalc.phantom.placement import Place, Placer
from hepacalc.phantom.shapes import Occupancy, Shape, sample, sample_cavity
from hepacalc.phantom.truth import FocusSpec, FocusTruth, Host
from hepacalc.records import PATTERNS

__all__ = ["HOST_HU", "PlacedFocus", "focus_truth", "place_foci", "random_specs", "sampled_share"]

HOST_HU: dict[Host, float] = {"parenchyma": 0.0, "fluid": 10.0, "soft-tissue mass": -14.0}
"""CT number of fluid; of a mass, its difference from the liver around it."""


@dataclass(frozen=True, eq=False, slots=True)
class PlacedFocus:
    """A focus with its shape and its place.

    Args:
        spec: what was asked for.
        shape: its shape.
        place: where it is.
        occupancy: the shape as it lies in the patient.
        host: what surrounds or fills it.
        cavity: where the host lies; None for plain parenchyma.
    """

    spec: FocusSpec
    shape: Shape
    place: Place
    occupancy: Occupancy
    host: Host
    cavity: Occupancy | None


def random_specs(
    rng: np.random.Generator,
    count: int,
    *,
    diameter_mm: tuple[float, float] = (1.0, 20.0),
    delta_hu: tuple[float, float] = (100.0, 1200.0),
    patterns: Sequence[str] | None = None,
) -> list[FocusSpec]:
    """Return wishes for foci, sizes and contrasts spread evenly on a log scale.

    Args:
        rng: the only source of randomness.
        count: how many.
        diameter_mm: smallest and largest outer diameter (length for linear foci).
        delta_hu: smallest and largest HU above what surrounds it.
        patterns: names to draw from evenly; None draws from those that exist at the drawn size.
    """
    out = []
    for _ in range(count):
        size = float(np.exp(rng.uniform(*np.log(diameter_mm))))
        names = list(patterns) if patterns else [p for p in PATTERNS if SIZES_MM[p][0] <= size <= SIZES_MM[p][1]]
        name = str(rng.choice(names or ["punctate" if size < 3 else "nodular solid"]))
        out.append(FocusSpec(name, size, float(np.exp(rng.uniform(*np.log(delta_hu))))))
    return out


def place_foci(
    specs: Sequence[FocusSpec], placer: Placer, rng: np.random.Generator, *, hosts: bool = True
) -> list[PlacedFocus]:
    """Return the foci, largest placed first, in the order of ``specs``.

    Raises:
        UsageError: unknown pattern, or no room is left.
    """
    shapes = [build_shape(s.pattern, s.diameter_mm, rng) for s in specs]
    chosen: list[Host] = [(s.host or usual_host(s.pattern, rng)) if hosts else "parenchyma" for s in specs]
    chosen = [h if shape.cavity is not None else "parenchyma" for h, shape in zip(chosen, shapes, strict=True)]
    reach = [
        max(shape.reach_mm, shape.cavity_reach_mm if host != "parenchyma" else 0.0)
        for shape, host in zip(shapes, chosen, strict=True)
    ]
    order = sorted(range(len(specs)), key=lambda k: (specs[k].centre_mm is None, -reach[k]))
    places: dict[int, Place] = {}
    for k in order:
        wish = specs[k].centre_mm
        if wish is not None:
            centre = np.array(wish[::-1], float)
            places[k] = Place(centre, placer.rotation_at(specs[k].pattern, centre))
            placer.block(centre, reach[k])
        else:
            places[k] = placer.place(specs[k].pattern, reach[k])
    out = []
    for k, (spec, shape) in enumerate(zip(specs, shapes, strict=True)):
        turn = places[k].rotation
        cavity = sample_cavity(shape, turn) if chosen[k] != "parenchyma" else None
        out.append(PlacedFocus(spec, shape, places[k], sample(shape, turn), chosen[k], cavity))
    return out


def focus_truth(focus: PlacedFocus, number: int, slope: float, *, centroid_lps: NDArray[np.float64]) -> FocusTruth:
    """Return what is true of a placed focus.

    Args:
        focus: the focus.
        number: its id.
        slope: the scanner's own calibration slope in mg/mL per HU.
        centroid_lps: LPS ``(x, y, z)`` of its centre of mass.
    """
    spec = focus.spec
    concentration = spec.delta_hu * slope if spec.concentration_mg_ml is None else spec.concentration_mg_ml
    volume = focus.occupancy.volume_mm3
    x, y, z = (float(v) for v in centroid_lps)
    return FocusTruth(
        id=number,
        lesion=number if spec.lesion is None else spec.lesion,
        pattern=spec.pattern,
        centroid_mm=(x, y, z),
        volume_mm3=volume,
        mass_mg=concentration * volume / 1000,
        concentration_mg_ml=concentration,
        delta_hu=concentration / slope,
        diameter_mm=focus.occupancy.diameter_mm,
        host=focus.host,
    )


def sampled_share(share: NDArray[np.float32], geometry: Geometry, occupancy: Occupancy) -> float:
    """Return how much of a shape's volume the voxels of a scan add up to, 1 when all."""
    return float(share.sum(dtype=np.float64)) * geometry.voxel_mm3 / occupancy.volume_mm3
