"""Objects for other systems, out and in: DICOM SEG, SR and key objects, FHIR, calendar; DICOMweb as a client."""
