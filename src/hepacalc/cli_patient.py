"""``hepacalc patient``: write a file to fill in, check one, turn a FHIR bundle into one."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from hepacalc.cli_options import AsJson, Debug
from hepacalc.days import today
from hepacalc.errors import OutputError, UsageError
from hepacalc.terminal import write_line

__all__ = ["patient"]


def patient(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[PATIENT]", help="A patient file to check: YAML or JSON.", show_default=False),
    ] = None,
    new: Annotated[bool, typer.Option("--new", help="Write a file to fill in, with every question.")] = False,
    fetus: Annotated[bool, typer.Option("--fetus", help="With --new: the file of a fetus.")] = False,
    fhir: Annotated[
        Path | None, typer.Option("--fhir", metavar="BUNDLE", help="Turn a FHIR R4 bundle into a patient file.")
    ] = None,
    output: Annotated[Path | None, typer.Option("--out", "-o", help="Where to write it; else standard output.")] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Write a patient file to fill in (--new), check one, or make one from a FHIR bundle (--fhir)."""
    if sum([file is not None, new, fhir is not None]) != 1:
        raise UsageError("wanted one of PATIENT, --new, --fhir.", hint="See `hepacalc patient --help`.")
    if new:
        from hepacalc.patient.template import patient_template

        _write(patient_template("fetal" if fetus else "adult"), output)
    elif fhir is not None:
        _from_fhir(fhir, output)
    elif file is not None:
        _check(file, as_json=as_json)


def _check(file: Path, *, as_json: bool) -> None:
    """Tell what a file says and which setting it leads to."""
    from hepacalc.knowledge import load_knowledge
    from hepacalc.patient.read import read_patient_file
    from hepacalc.patient.to_findings import patient_findings
    from hepacalc.reason.records import as_plain

    day = today()
    found = patient_findings(read_patient_file(file, today=day), load_knowledge(), today=day)
    if as_json:
        told = {
            "network": found.network,
            "setting": as_plain(found.setting),
            "warnings": list(found.warnings),
            "facts": dict(found.facts),
            "history": dict(found.history),
            "laboratory": {name: as_plain(lab) for name, lab in found.labs.items()},
            "findings": [as_plain(item) for item in found.findings],
        }
        sys.stdout.write(json.dumps(told, ensure_ascii=False) + "\n")
        return
    write_line(f"Setting: {found.setting.id} ({found.setting.chosen_by}: {found.setting.why}).")
    for item in found.findings:
        of = f", lesion {item.lesion}" if item.lesion else ""
        unused = "; not used" if item.overruled else ""
        write_line(f"{item.block}{of}: {item.text} [{item.by}{unused}]")
    if not found.findings:
        write_line("It says nothing: every question is open.")
    for warning in found.warnings:
        write_line(f"Warning: {warning}.")


def _from_fhir(path: Path, output: Path | None) -> None:
    from hepacalc.patient.fhir_in import LARGEST_BUNDLE, patient_from_fhir
    from hepacalc.patient.read import read_small_text

    text = read_small_text(path, "the bundle", LARGEST_BUNDLE)
    found = patient_from_fhir(text, today=today())
    plain = found.patient.model_dump(exclude_unset=True, mode="json")
    _write(
        json.dumps({"schema_version": found.patient.schema_version, **plain}, indent=2, ensure_ascii=False) + "\n",
        output,
    )
    for line in found.passed_over:
        sys.stderr.write(f"Passed over: {line}\n")


def _write(text: str, output: Path | None) -> None:
    if output is None:
        sys.stdout.write(text)
        return
    try:
        with output.open("x", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError:
        raise OutputError("the file exists already.", hint="Choose another name; nothing is overwritten.") from None
    except OSError as fault:
        raise OutputError(f"cannot write: {fault.strerror or 'no reason'}.", hint="Check the folder.") from None
    write_line(f"Written: {output.name}")
