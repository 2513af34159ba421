"""CT in: from a folder, a zip, one file or NIfTI to one volume in HU, and masks back out.

``open_study`` is the whole walk; ``scan_files``, ``group_series``, ``choose_series`` and ``load_series`` are its
steps.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hepacalc.records import SeriesChoice, Volume
from hepacalc.study.archive import opened
from hepacalc.study.choose import account_for_damage, choose_series
from hepacalc.study.dicom import load_series
from hepacalc.study.nifti import read_nifti_labels, read_nifti_volume, write_mask_nifti
from hepacalc.study.nifti_study import open_nifti
from hepacalc.study.scan import require_ct, scan_files
from hepacalc.study.series import Series, group_series
from hepacalc.study.slices import Scan

__all__ = [
    "Scan",
    "Series",
    "choose_series",
    "group_series",
    "load_series",
    "open_study",
    "read_nifti_labels",
    "read_nifti_volume",
    "scan_files",
    "write_mask_nifti",
]


def open_study(
    path: Path | str,
    *,
    series: str | None = None,
    allow_gaps: bool = False,
    progress: Callable[[str, float], None] | None = None,
) -> tuple[Volume, SeriesChoice]:
    """Read the series of a study that is fittest for measuring calcium.

    Args:
        path: folder of DICOM files (nested, mixed, as from a CD), a zip of one, a single DICOM file with many
            frames, a DICOMDIR, or NIfTI (``.nii``, ``.nii.gz``).
        series: SeriesInstanceUID (or an ending that only one has; the file name for NIfTI) to read in place of
            the one that would be chosen.
        allow_gaps: with missing or uneven slices, read the largest regular block.
        progress: called with the name of a stage and the share of it done, 0-1.

    Returns:
        The volume, and which series it is, why, and what else there was.

    Raises:
        InputError: nothing that can be used is there, or a file is damaged.
        GeometryError: the slices form no regular grid.
    """
    with opened(path) as folder:
        scan = scan_files(folder, progress=progress)
        if scan.nifti and not scan.slices:
            return open_nifti(scan, series=series, progress=progress)
        for _ in scan.nifti:
            scan.skip("NIfTI file beside DICOM")
        require_ct(scan)
        group, choice = choose_series(group_series(scan), scan, series=series, allow_gaps=allow_gaps)
        account_for_damage(group, scan, allow_gaps=allow_gaps)
        return load_series(group, allow_gaps=allow_gaps, progress=progress), choice
