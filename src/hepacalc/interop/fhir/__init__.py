"""An assessment as one FHIR R4 transaction Bundle, made of our own JSON.

``docs/reference/fhir.md`` says what stands where. No name, birth date or number of the patient goes in unless an
identifier is given; every reference leads to an entry of the bundle.
"""

from __future__ import annotations

import json
from pathlib import Path

from hepacalc.interop.fhir.bundle import fhir_bundle
from hepacalc.records import Assessment
from hepacalc.report.writers import ExportContext

__all__ = ["FhirWriter", "fhir_bundle"]


class FhirWriter:
    """Writes ``bundle.fhir.json``."""

    name = "fhir"
    needs_source = False

    def files(self, assessment: Assessment) -> tuple[str, ...]:
        """Return the name of the bundle."""
        return ("bundle.fhir.json",)

    def write(self, assessment: Assessment, folder: Path, context: ExportContext) -> None:
        """Write the bundle as compact JSON.

        Raises:
            UsageError: ``context.patient_id`` is no identifier.
        """
        made = fhir_bundle(assessment, language=context.language, patient_id=context.patient_id)
        text = json.dumps(made, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        (folder / "bundle.fhir.json").write_text(text + "\n", "utf-8", newline="\n")
