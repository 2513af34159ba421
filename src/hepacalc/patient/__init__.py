"""What is said of a patient: a file typed in, or a FHIR bundle, in; evidence for the reasoning, out.

Unknown is never negative: every question has three answers, yes, no and not asked.
"""

from __future__ import annotations

from hepacalc.patient.fhir_in import FhirPatient, patient_from_fhir
from hepacalc.patient.read import read_patient, read_patient_file
from hepacalc.patient.schema import Patient
from hepacalc.patient.template import patient_template
from hepacalc.patient.to_findings import PatientFindings, patient_findings

__all__ = [
    "FhirPatient",
    "Patient",
    "PatientFindings",
    "patient_findings",
    "patient_from_fhir",
    "patient_template",
    "read_patient",
    "read_patient_file",
]
