"""A study that is NIfTI: one file, or a folder of them of which one is the CT."""

from __future__ import annotations

from collections.abc import Callable

from hepacalc.errors import HepacalcError, SeriesNotFound
from hepacalc.records import SeriesChoice, SeriesSummary, Volume
from hepacalc.study.nifti import read_nifti_volume
from hepacalc.study.slices import Scan

__all__ = ["open_nifti"]

_CT_AIR_HU = -200


def open_nifti(
    scan: Scan, *, series: str | None, progress: Callable[[str, float], None] | None
) -> tuple[Volume, SeriesChoice]:
    """Read the NIfTI file that is a CT: of several, the first with the most slices that holds air.

    Args:
        scan: what was found.
        series: file name, or its ending.
        progress: see :func:`hepacalc.study.open_study`.

    Raises:
        SeriesNotFound: no file, or more than one, of that name.
        InputError: the file cannot be used.
        GeometryError: its grid cannot be used.
    """
    paths = scan.nifti
    if series is not None:
        paths = [p for p in scan.nifti if p.name == series] or [p for p in scan.nifti if p.name.endswith(series)]
        if len(paths) != 1:
            there = "; ".join(p.name for p in scan.nifti)
            raise SeriesNotFound(
                f"File {series!r} is {'not there' if not paths else 'not one file only'}. There are: {there}.",
                hint="Give one of these names, or an ending that only one of them has.",
            )
    best: tuple[tuple[bool, int], Volume, str] | None = None
    problem: HepacalcError | None = None
    others: list[SeriesSummary] = []
    for path in paths:
        try:
            volume = read_nifti_volume(path, progress=progress)
        except HepacalcError as error:
            problem = problem or error
            others.append(SeriesSummary(path.name, None, None, 0, None, (f"{error.code}: {error.message}",)))
            continue
        is_ct = bool(volume.hu.min() < _CT_AIR_HU)
        rank = is_ct, volume.geometry.shape[volume.slice_axis]
        if best is None or rank > best[0]:
            if best is not None:
                others.append(_summary(best[2], best[1], chosen=False))
            best = rank, volume, path.name
        else:
            others.append(_summary(path.name, volume, chosen=False))
    if best is None:
        assert problem is not None
        raise problem
    others += [SeriesSummary(p.name, None, None, 0, None, ("not asked for",)) for p in scan.nifti if p not in paths]
    chosen = _summary(best[2], best[1], chosen=True)
    return best[1], SeriesChoice(chosen, tuple(others), tuple(sorted(scan.passed_over.items())))


def _summary(name: str, volume: Volume, *, chosen: bool) -> SeriesSummary:
    step = volume.geometry.spacing_mm[volume.slice_axis]
    count = volume.geometry.shape[volume.slice_axis]
    reasons = [f"{count} slices {step:.3g} mm apart", "NIfTI keeps no word on contrast, kernel or tube voltage"]
    is_ct = bool(volume.hu.min() < _CT_AIR_HU)
    if not is_ct:
        reasons.append("no air in it, so it may be a mask or another modality")
    return SeriesSummary(name, None, None, count, float(is_ct), tuple(reasons))
