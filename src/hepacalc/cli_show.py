"""``hepacalc show``: what is in a DICOM SEG, SR or key object selection."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hepacalc.cli_options import Debug
from hepacalc.terminal import write_line

if TYPE_CHECKING:
    from hepacalc.interop.read_back import KeyObject, ReportObject, SegObject
    from hepacalc.interop.read_sr import Answer, ReadNumber

__all__ = ["object_lines", "show"]

_MOST_IMAGES = 20
_WIDTH = 400
_UNITS = {"[hnsf'U]": "HU", "1": ""}


def show(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="DICOM SEG, SR or key object selection, of any maker.", show_default=False),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    debug: Debug = False,
) -> None:
    """Say what is in a DICOM segmentation, structured report or key object selection; never who it is of."""
    from hepacalc.interop.read_back import read_object
    from hepacalc.reason.records import as_plain

    found = read_object(file)
    if as_json:
        sys.stdout.write(json.dumps(as_plain(found), indent=2, ensure_ascii=False) + "\n")
        return
    for line in object_lines(found):
        write_line(line)


def object_lines(found: SegObject | ReportObject | KeyObject) -> Iterator[str]:
    """Yield what is in an object, line by line."""
    from hepacalc.interop.read_back import ReportObject, SegObject

    about = found.about
    yield f"{about.kind} {about.sop_instance_uid}"
    yield f"  study {about.study_instance_uid or 'not said'}, series {about.series_instance_uid or 'not said'}"
    yield f"  made by {_plain(about.made_by) or 'not said'}{'; identity removed' if about.is_deidentified else ''}"
    if isinstance(found, SegObject):
        yield from _seg_lines(found)
    elif isinstance(found, ReportObject):
        yield from _report_lines(found)
    else:
        yield from _key_lines(found)


def _plain(text: str) -> str:
    """Return a text of a stranger as one short line that a terminal can hold."""
    from hepacalc.report.schema import plain_text

    line = " ".join(plain_text(text).split())
    return line if len(line) <= _WIDTH else line[: _WIDTH - 4] + " ..."


def _seg_lines(seg: SegObject) -> Iterator[str]:
    spacing = " x ".join(f"{mm:g}" for mm in seg.pixel_spacing_mm)
    step = "at uneven distances" if seg.slice_mm is None else f"{seg.slice_mm:g} mm apart"
    yield f"  {seg.segmentation_type}, {seg.frames} frames of {seg.rows} x {seg.columns} pixels of {spacing} mm, {step}"
    yield f"  of image series {', '.join(seg.source_series) or 'not said'}"
    yield f"{len(seg.segments)} segment{'s' if len(seg.segments) != 1 else ''}:"
    for one in seg.segments:
        size = "volume not known" if one.volume_mm3 is None else f"{one.volume_mm3 / 1000:.3g} mL"
        where = f", {', '.join(map(_plain, one.sites))}" if one.sites else ""
        yield (
            f"  {one.number}  {_plain(one.label) or 'no label'}: {_plain(one.type) or 'not coded'}{where}; "
            f"{one.voxels} voxels on {one.planes} planes, {size}; {_plain(one.algorithm) or 'origin not said'}"
        )
        if one.tracking_uid:
            yield f"     tracked as {_plain(one.tracking_id)} {one.tracking_uid}"
    for first, second, count in seg.overlaps:
        yield f"  segments {first} and {second} share {count} voxels"


def _report_lines(report: ReportObject) -> Iterator[str]:
    template = f" (TID {report.template})" if report.template else ""
    yield f"  {_plain(report.title)}{template}; {', '.join(word.lower() for word in report.complete)}"
    for uid in report.references:
        yield f"  measured on segmentation {uid}"
    yield f"{len(report.groups)} measurement group{'s' if len(report.groups) != 1 else ''}:"
    for group in report.groups:
        segments = f", segment {', '.join(map(str, group.segments))}" if group.segments else ""
        where = f" in {', '.join(map(_plain, group.sites))}" if group.sites else ""
        yield f"  {_plain(group.tracking_id) or 'not tracked'}: {_plain(group.finding) or 'not coded'}{where}{segments}"
        for number in group.numbers:
            yield f"    {_number(number)}"
        for statement in group.statements:
            yield f"    {_plain(statement.name)}: {_plain(statement.value)}"
    if report.answers:
        yield "Beside the groups:"
        for answer in report.answers:
            yield from _answer_lines(answer, 2)


def _number(number: ReadNumber) -> str:
    name = _plain(number.name) + (f", {_plain(number.derivation).lower()}" if number.derivation else "")
    if number.value is None:
        why = _plain("; ".join(word for word in (number.qualifier, number.comment) if word))
        return f"{name}: no value ({why or 'not said why'})"
    out = f"{name}: {number.value:.6g} {_UNITS.get(number.unit, _plain(number.unit))}".rstrip()
    if number.low is not None and number.high is not None:
        out += f" ({number.low:.6g} to {number.high:.6g})"
    return out


def _answer_lines(answer: Answer, indent: int) -> Iterator[str]:
    yield f"{' ' * indent}{_plain(answer.name)}: {_plain(answer.value)}"
    for more in answer.more:
        yield from _answer_lines(more, indent + 2)


def _key_lines(key: KeyObject) -> Iterator[str]:
    yield f"  {_plain(key.title)}: {_plain(key.description) or 'no description'}"
    yield f"{len(key.images)} image{'s' if len(key.images) != 1 else ''}:"
    for uid, frame in key.images[:_MOST_IMAGES]:
        yield f"  {uid}{'' if frame is None else f' frame {frame}'}"
    if len(key.images) > _MOST_IMAGES:
        yield f"  ... and {len(key.images) - _MOST_IMAGES} more"
