"""Objects for other systems: DICOM, FHIR, calendars."""
