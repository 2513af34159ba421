"""What a worker does with one study: the stages that are not done yet, from what is stored or from the scan."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from hepacalc.assess import assess_volume
from hepacalc.cohort.find import SEVERAL
from hepacalc.cohort.inputs import dicomweb, opened
from hepacalc.cohort.rows import rows_of
from hepacalc.cohort.store import Store, open_store
from hepacalc.cohort.versions import StageVersions
from hepacalc.consult import consult
from hepacalc.errors import NoUsableLiver, SeveralStudies
from hepacalc.knowledge import Knowledge, load_knowledge
from hepacalc.liver import get_segmenter, read_liver_mask
from hepacalc.patient.read import patient_from_data
from hepacalc.records import Assessment, LiverMask, Volume
from hepacalc.report.schema import document, document_json
from hepacalc.report.stored import read_stored
from hepacalc.study import open_study, write_mask_nifti
from hepacalc.study.calibration_file import read_calibration
from hepacalc.study.quality import require_ct_numbers

__all__ = ["assess_one", "warm"]

FILES = ("assessment.json", "liver.nii.gz", "foci.nii.gz")


def warm() -> None:
    """Load what the first study would wait for: the modules come with this one, the knowledge takes half a second."""
    _knowledge(None)


def assess_one(argument: dict[str, Any]) -> dict[str, Any]:
    """Assess one study as far as it is not done yet. Work of an executor.

    Args:
        argument: ``root``, ``source``, ``extra``, ``dicomweb`` (as of :func:`hepacalc.cohort.inputs.probe`); ``key``
            (hash of the input); ``store`` (address); ``versions`` (wanted, one hash a stage); ``options``; ``patient``
            (plain fields, or None) with ``patient_hash``; ``today``.

    Returns:
        ``stages`` that were done now, with commas; ``rows`` of the tables.

    Raises:
        HepacalcError: the study cannot be assessed.
    """
    if (argument.get("extra") or {}).get("problem") == SEVERAL:
        raise SeveralStudies(
            "one study is wanted, but this folder mixes the images of several.",
            hint="Sort them into one folder a study, or name them in a manifest.",
        )
    store, key = open_store(argument["store"]), str(argument["key"])
    wanted = StageVersions(*argument["versions"])
    today = date.fromisoformat(argument["today"])
    person = argument.get("patient")
    patient = None if person is None else patient_from_data(person, today=today)
    before = store.stamp(key) or {}
    if before.get("foci") != wanted.foci:
        kept = before.get("liver") == wanted.liver
        stages = "foci,reason" if kept else "liver,foci,reason"
        found = _measured(argument, store if kept else None)
    else:
        with store.held(key) as folder:
            found = read_stored(folder)
        if before.get("reason") == wanted.reason and before.get("patient") == argument.get("patient_hash"):
            return {"stages": "", "rows": rows_of(document(found))}
        stages = "reason"
    reasoning = None
    if patient is not None:
        reasoning = consult(patient, _knowledge(argument["options"].get("knowledge")), today=today, assessment=found)
    found = replace(found, reasoning=reasoning)
    stamp = wanted._asdict() | {"patient": argument.get("patient_hash"), "hepacalc": version("hepacalc")}
    doc = _write(found, store, key, stamp, masks=stages != "reason")
    return {"stages": stages, "rows": rows_of(doc)}


def _measured(argument: dict[str, Any], stored: Store | None) -> Assessment:
    """Read the scan, find its liver (or take the stored one) and measure what is in it."""
    options, extra = argument["options"], argument.get("extra") or {}
    root = Path(argument["root"])
    seconds: list[tuple[str, float]] = []
    with ExitStack() as stack:
        path = stack.enter_context(_opened(root, argument))
        start = time.perf_counter()
        volume, choice = open_study(path, series=extra.get("series"), allow_gaps=bool(options.get("allow_gaps")))
        seconds.append(("reading the study", round(time.perf_counter() - start, 3)))
    require_ct_numbers(volume)
    start = time.perf_counter()
    before: Assessment | None = None
    if extra.get("liver_mask"):
        liver = read_liver_mask(root / extra["liver_mask"], volume)
    elif stored is not None:
        with stored.held(str(argument["key"])) as folder:
            before = read_stored(folder)
        liver = _again(before, volume)
    else:
        liver = get_segmenter(str(options.get("segmenter") or "embedded")).segment(volume)
    seconds.append(("finding the liver", round(time.perf_counter() - start, 3)))
    calibration = options.get("calibration")
    found = assess_volume(
        volume,
        choice,
        liver_mask=liver,
        calibration=None if calibration is None else read_calibration(Path(calibration), volume.acquisition.kvp),
        agatston=bool(options.get("agatston")),
        now=datetime.now(UTC),
    )
    if before is not None:
        # the probability of each voxel is not stored, what was made of it is
        found = replace(found, liver=replace(found.liver, volume_ml=before.liver.volume_ml))
    rest = tuple(one for one in found.run.seconds if one[0] != "finding the liver")
    return replace(found, run=replace(found.run, seconds=(*seconds, *rest)))


def _opened(root: Path, argument: dict[str, Any]) -> AbstractContextManager[Path]:
    """Give the study, fetched first where it lies on a DICOMweb server."""
    if not argument.get("dicomweb"):
        return opened(root, argument["source"])
    web = dicomweb()
    found: AbstractContextManager[Path] = web.fetched(
        web.remote_of(*argument["dicomweb"]), argument["source"], argument.get("extra") or {}, str(argument["key"])
    )
    return found


def _again(before: Assessment, volume: Volume) -> LiverMask:
    """Return the stored liver for a scan that was read again."""
    if not before.geometry.same_grid(volume.geometry, tolerance_mm=0.05):
        raise NoUsableLiver(
            "the stored liver lies on another grid than the scan that is read now.",
            hint="Take the result out of the store; the study is then assessed from the beginning.",
        )
    return replace(before.liver_mask, geometry=volume.geometry)


@cache
def _knowledge(overlay: str | None) -> Knowledge:
    return load_knowledge(None if overlay is None else Path(overlay))


def _write(found: Assessment, store: Store, key: str, stamp: dict[str, Any], *, masks: bool) -> dict[str, Any]:
    """Write a result and return its document."""
    doc = document(found)
    with store.filled(key, stamp) as folder:
        (folder / FILES[0]).write_text(document_json(doc), "utf-8", newline="\n")
        if masks:
            write_mask_nifti(found.liver_mask.mask, found.volume, folder / FILES[1])
            write_mask_nifti(found.labels, found.volume, folder / FILES[2])
    return doc
