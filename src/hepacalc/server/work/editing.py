"""``edit``: a person confirmed, renamed, drew or took away foci; they are measured again in the liver that was found.

Edits are applied in their order, each to what the one before left::

    {"op": "confirm", "focus": 3}                       it is what the program took it for
    {"op": "relabel", "focus": 3, "kind": "vessel"}     it is something else
    {"op": "delete",  "focus": 3}                       there is nothing
    {"op": "draw",    "focus": 3, "runs": [[i, n], ..], "kind": "calcification"}     its voxels; focus 0 is a new one
    {"op": "threshold", "focus": 0, "seed": [z, y, x], "hu": 150, "radius_mm": 10, "kind": "calcification"}

Voxels are counted in the viewer's array (axes to head, back, left): run ``[i, n]`` is n voxels from flat index i.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hepacalc.assess import assess_volume
from hepacalc.days import today
from hepacalc.errors import MeasurementError
from hepacalc.foci.drawn import DrawnFoci
from hepacalc.interop.foci_file import FociMask
from hepacalc.records import Assessment, Kind, Volume
from hepacalc.server.jobs import Job
from hepacalc.server.work import Site, Tell
from hepacalc.server.work.assessing import Assess
from hepacalc.server.work.earlier import comparing_with
from hepacalc.server.work.facts import stored_with_scan
from hepacalc.server.work.output import knowledge_of, patient_of, write_arrays, write_result
from hepacalc.server.work.storing import study_request

__all__ = ["Edit", "edited"]

LARGEST_RADIUS_MM = 80.0


class Edit(Assess):
    """Measure corrected foci."""

    def request(self, site: Site, job: Job) -> dict[str, Any]:
        """Return folders, facts and edits."""
        return study_request(site, job)

    def run(self, request: dict[str, Any], out: Path, tell: Tell) -> dict[str, Any]:
        """Apply the edits, measure, reason and write everything.

        Raises:
            MeasurementError: an edit names a focus that is not there, or voxels that cannot be measured.
        """
        stored = stored_with_scan(request, tell)
        mask = edited(stored, stored.volume, request["payload"]["edits"])
        moment, earlier, files = datetime.now(UTC), request["earlier"], Path(request["files"])
        tell("finding and measuring foci", 0.0)
        found = assess_volume(
            stored.volume,
            stored.series,
            liver_mask=stored.liver_mask,
            foci_mask=mask,
            calibration=stored.calibration,
            patient=patient_of(request, today(moment)),
            knowledge=knowledge_of(request),
            compared=comparing_with(earlier, files, out, moment) if earlier else None,
            now=moment,
        )
        tell("finding and measuring foci", 1.0)
        write_arrays(found.volume, found.liver_mask, found.labels, out)
        told = write_result(
            found, out, study=files if request["kind"] == "dicom" else None, seg_type=request["seg_type"], tell=tell
        )
        return {**told, "priors": earlier if found.followup is not None else []}


def edited(stored: Assessment, volume: Volume, edits: list[dict[str, Any]]) -> FociMask:
    """Return the foci of an assessment with a person's edits.

    Args:
        stored: the assessment.
        volume: its scan.
        edits: see above; their form was checked when they came in.

    Raises:
        MeasurementError: a focus is not there, or a contour lies outside the scan or is empty.
    """
    turn = volume.geometry.canonical()
    labels = np.array(turn.apply(stored.labels))
    kinds: dict[int, Kind] = {focus.id: focus.kind for focus in stored.foci}
    stated: dict[int, Kind] = {}
    for edit in edits:
        focus = int(edit["focus"])
        if focus and not (labels == focus).any():
            raise MeasurementError(f"focus {focus} is not there.", hint="Look at the newest state of the study.")
        if edit["op"] == "delete":
            labels[labels == focus] = 0
            stated.pop(focus, None)
        elif edit["op"] == "confirm":
            stated[focus] = kinds.get(focus, "calcification")
        elif edit["op"] == "relabel":
            stated[focus] = edit["kind"]
        else:
            drawn = _runs(edit, labels) if edit["op"] == "draw" else _grown(edit, volume, labels)
            focus = focus or int(labels.max()) + 1
            labels[labels == focus] = 0
            labels[drawn & (labels == 0)] = focus
            if not (labels == focus).any():
                raise MeasurementError("the contour that was drawn is empty.", hint="Draw it again.")
            stated[focus] = edit.get("kind") or kinds.get(focus, "calcification")
    tracking = {f.id: f.tracking_uid for f in stored.foci if f.tracking_uid and (labels == f.id).any()}
    back = np.ascontiguousarray(turn.undo(labels)).astype(np.uint16)
    return FociMask(DrawnFoci(back, stated, are_foci=False), "edited in hepacalc", tracking)


def _runs(edit: dict[str, Any], labels: NDArray[np.uint16]) -> NDArray[np.bool_]:
    """Return the voxels that runs of flat indices name."""
    out = np.zeros(labels.size, np.bool_)
    for start, count in edit["runs"]:
        if start < 0 or count < 1 or start + count > labels.size:
            raise MeasurementError("a contour lies outside the scan.", hint="Load the study again.")
        out[start : start + count] = True
    return out.reshape(labels.shape)


def _grown(edit: dict[str, Any], volume: Volume, labels: NDArray[np.uint16]) -> NDArray[np.bool_]:
    """Return what is at least as bright as a threshold and connected to a seed, within a ball around it."""
    turn = volume.geometry.canonical()
    hu, spacing = turn.apply(volume.hu), np.array(turn.geometry.spacing_mm)
    seed = np.array(edit["seed"], int)
    if (seed < 0).any() or (seed >= hu.shape).any():
        raise MeasurementError("the seed lies outside the scan.", hint="Load the study again.")
    radius = min(float(edit["radius_mm"]), LARGEST_RADIUS_MM)
    reach = np.ceil(radius / spacing).astype(int)
    low, high = np.maximum(seed - reach, 0), np.minimum(seed + reach + 1, hu.shape)
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    steps = np.indices(high - low).reshape(3, -1).T + low - seed
    ball = (np.linalg.norm(steps * spacing, axis=1) <= radius).reshape(high - low)
    parts, _ = ndimage.label((hu[box] >= float(edit["hu"])) & ball)
    part = parts[tuple(seed - low)]
    if part == 0:
        raise MeasurementError(
            f"the voxel that was pointed at is below {edit['hu']} HU.",
            hint="Point at the focus, or lower it.",
        )
    out = np.zeros(labels.shape, np.bool_)
    out[box] = parts == part
    return out
