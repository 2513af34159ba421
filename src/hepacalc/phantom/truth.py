"""What is known for certain about a digital patient or an inserted focus: the words of ``truth.json``."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from hepacalc.records import PhaseName

__all__ = ["FocusSpec", "FocusTruth", "Host", "MimicTruth", "Truth"]

Host = Literal["parenchyma", "fluid", "soft-tissue mass"]


@dataclass(frozen=True, slots=True)
class FocusSpec:
    """A focus that is asked for.

    Args:
        pattern: one of :data:`hepacalc.records.PATTERNS`.
        diameter_mm: largest outer diameter (length for linear, branching and curved foci), roughly.
        delta_hu: HU of the solid calcified part above the tissue around it, at the scan's own tube voltage.
        concentration_mg_ml: calcium hydroxyapatite in the solid part; takes the place of ``delta_hu``, so that one
            scene can be scanned at several voltages.
        centre_mm: LPS ``(x, y, z)``; None draws a place inside the liver.
        host: what surrounds or fills it; None takes what is usual for the pattern.
        lesion: id of the lesion it belongs to; None makes a lesion of its own.
    """

    pattern: str
    diameter_mm: float
    delta_hu: float = 400.0
    concentration_mg_ml: float | None = None
    centre_mm: tuple[float, float, float] | None = None
    host: Host | None = None
    lesion: int | None = None


@dataclass(frozen=True, slots=True)
class FocusTruth:
    """A focus that is there.

    Args:
        id: its label in the truth labels, from 1.
        lesion: lesion it belongs to.
        pattern: one of :data:`hepacalc.records.PATTERNS`.
        centroid_mm: LPS ``(x, y, z)`` centre of calcium mass.
        volume_mm3: volume of the calcified substance (not of what it encloses).
        mass_mg: calcium hydroxyapatite.
        concentration_mg_ml: within the calcified substance.
        delta_hu: CT number of the calcified substance above what it lies in, before any blur.
        diameter_mm: largest distance between two of its points.
        host: what surrounds or fills it.
        clipped: whether the scanner's largest CT number cut some of its signal off.
        sampled: share of its mass that the slices of this scan add up to. 1 where the slice thickness is a whole
            number of slice spacings; a little off elsewhere (a small focus lies in one slice more or fewer), and
            below 1 where the edge of the scan cuts it.
    """

    id: int
    lesion: int
    pattern: str
    centroid_mm: tuple[float, float, float]
    volume_mm3: float
    mass_mg: float
    concentration_mg_ml: float
    delta_hu: float
    diameter_mm: float
    host: Host
    clipped: bool = False
    sampled: float = 1.0


@dataclass(frozen=True, slots=True)
class MimicTruth:
    """Something bright (or dark) that is no liver calcification.

    Args:
        id: from 1.
        name: one of :data:`hepacalc.phantom.MIMICS`.
        kind: what it should be called, one of :data:`hepacalc.records.KINDS`; None when it is no bright focus.
        centroid_mm: LPS ``(x, y, z)``.
        extent_mm: largest distance between two of its points.
        hu: its CT number before any blur.
        in_liver: whether it lies within the outline of the liver.
    """

    id: int
    name: str
    kind: str | None
    centroid_mm: tuple[float, float, float]
    extent_mm: float
    hu: float
    in_liver: bool


@dataclass(frozen=True, slots=True)
class Truth:
    """Everything known about a phantom, or about what was inserted into a scan.

    Args:
        schema_version: of ``truth.json``.
        source: ``phantom`` or ``inserted``.
        seed: of the phantom; None for an insertion.
        phase: contrast phase; None when not known (insertion).
        kvp: tube voltage; None when the scan does not say.
        slope_mg_per_ml_per_hu: this scanner's own calibration slope, by which the masses were turned into HU.
        in_plane_sigma_mm: standard deviation of the in-plane point spread.
        slice_thickness_mm: width of the slice profile.
        noise_hu: standard deviation of one voxel of liver; None for an insertion.
        kernel: ``soft``, ``sharp``; None for an insertion.
        liver_volume_ml: of the whole liver (phantom) or of the mask given (insertion).
        liver_hu: of plain parenchyma.
        liver_is_complete: False when the scan cuts it at top or bottom.
        foci: the calcified foci.
        mimics: what is there besides.
    """

    schema_version: str
    source: Literal["phantom", "inserted"]
    seed: int | None
    phase: PhaseName | None
    kvp: float | None
    slope_mg_per_ml_per_hu: float
    in_plane_sigma_mm: float
    slice_thickness_mm: float
    noise_hu: float | None
    kernel: str | None
    liver_volume_ml: float
    liver_hu: float
    liver_is_complete: bool
    foci: tuple[FocusTruth, ...]
    mimics: tuple[MimicTruth, ...] = ()

    @property
    def total_mass_mg(self) -> float:
        """Sum over the foci."""
        return float(sum(f.mass_mg for f in self.foci))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; lengths and masses keep six digits."""
        rounded = _rounded(asdict(self))
        assert isinstance(rounded, dict)
        return rounded


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(v) for v in value]
    return value
