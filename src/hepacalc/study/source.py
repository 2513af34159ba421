"""The headers of the images that a volume was made of, for objects that must refer to them."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pydicom

from hepacalc.errors import DamagedFile, OtherStudy, StudyNotFound
from hepacalc.records import Volume
from hepacalc.study.archive import is_zip, unpacked
from hepacalc.study.guard import parsing, quiet
from hepacalc.study.scan import scan_files
from hepacalc.study.slices import shown_uid

__all__ = ["read_headers"]


def read_headers(path: Path | str, volume: Volume) -> tuple[pydicom.Dataset, ...]:
    """Return the headers of a volume's source images, without pixel data.

    Args:
        path: the study, as for :func:`hepacalc.study.open_study`.
        volume: what was read from it.

    Returns:
        One data set for each file in slice order; none for NIfTI, or where images have no SOPInstanceUID. They hold
        the identity of the patient.

    Raises:
        OtherStudy: an image of the volume is not there any more.
        DamagedFile: a header cannot be read.
    """
    wanted = tuple(dict.fromkeys(volume.sop_instance_uids))
    if not wanted or "" in wanted:
        return ()
    path = Path(path)
    with ExitStack() as stack:
        stack.enter_context(quiet())
        with parsing(StudyNotFound("The path cannot be opened.", hint="Check its spelling and permissions.")):
            packed = path.is_file() and is_zip(path)
        if packed:
            path = stack.enter_context(unpacked(path))
        series = volume.acquisition.series_instance_uid
        files: dict[str, Path] = {}
        for one in scan_files(path).slices:
            if series is None or one.head.series_uid == series:
                files.setdefault(one.head.sop_uid, one.head.path)
        missing = [uid for uid in wanted if uid not in files]
        if missing:
            raise OtherStudy(
                f"Image {shown_uid(missing[0])} of series {shown_uid(series)} was measured, but is not there.",
                hint="Give the study as it was when it was assessed.",
            )
        damaged = DamagedFile(f"A header of series {shown_uid(series)} cannot be read.", hint="Copy the files again.")
        with parsing(damaged):
            return tuple(pydicom.dcmread(files[uid], stop_before_pixels=True, force=True) for uid in wanted)
