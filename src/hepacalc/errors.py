"""Every error that hepacalc raises on purpose, in one tree.

::

    HepacalcError
    ├── InputError                 what was sent cannot be used
    │   ├── StudyNotFound          IN-01   the path does not exist or cannot be opened
    │   ├── NotAStudy              IN-02   nothing in it is a CT image
    │   ├── UnsupportedModality    IN-03   images, but not CT
    │   ├── SeriesNotFound         IN-04   the series asked for is not there
    │   ├── NoSuitableSeries       IN-05   CT, but no series that can be measured
    │   ├── DamagedFile            IN-06   truncated, bit-flipped or undecodable
    │   ├── UnsafeArchive          IN-07   zip bomb, path traversal, encrypted
    │   ├── InvalidPixelValues     IN-08   NaN, infinite, not a CT number
    │   ├── InvalidPatient         IN-09   a field of the patient file is wrong or contradicts another
    │   ├── InvalidObject          IN-10   a DICOM object that is not what is wanted
    │   ├── InvalidAssessment      IN-11   a stored assessment is damaged or of another version
    │   ├── OtherStudy             IN-12   two things that belong to different studies or patients
    │   ├── SeveralStudies         IN-14   one folder with the images of several studies
    │   └── InvalidReport          IN-16   a report, or a table of reports, cannot be read
    ├── GeometryError              where the voxels lie cannot be trusted
    │   ├── TooFewSlices           GEO-01
    │   ├── InconsistentSlices     GEO-02  sizes, orientations or positions disagree
    │   ├── UnsupportedGeometry    GEO-03  missing or uneven slices
    │   ├── GridMismatch           GEO-04  a mask on another grid than the scan
    │   └── NoOverlap              GEO-05  two exams whose livers cannot be laid on each other
    ├── LiverError
    │   ├── NoUsableLiver          LIV-01  no liver in view
    │   ├── InvalidLiverMask       LIV-02  empty, not a mask
    │   └── SegmenterUnavailable   LIV-03  unknown name, or its weights are not there
    ├── MeasurementError           MEA-01  a number was asked of voxels that cannot give it
    │   └── InvalidCalibration     MEA-02  the site's calibration file
    ├── KnowledgeError             KNO-01  the knowledge base cannot be used
    │   └── InvalidOverlay         KNO-02  a site's own knowledge file cannot be used
    ├── OutputError                OUT-01  the results cannot be written
    ├── RegistryError              REG-01  the registry cannot be used
    │   ├── NewerRegistry          REG-02  written by a newer version
    │   ├── RegistryBusy           REG-03  another program holds it
    │   ├── NotInRegistry          REG-04  no such patient or step
    │   └── DamagedRegistry        REG-05  it, or an export of it, does not hold together
    ├── MissingDependency          DEP-01  an optional part is not installed
    ├── RunError                   RUN-00  a run over many studies
    │   ├── OutOfMemory            RUN-01  a study needs more memory than it may have
    │   ├── OutOfTime              RUN-02  a study takes longer than it may
    │   ├── WorkerLost             RUN-03  the process or the machine that worked on it is gone
    │   ├── UnexpectedFault        RUN-04  a fault of hepacalc
    │   └── LedgerError            RUN-05  the ledger of a cohort cannot be used
    ├── ServerError                SRV-00  a request that is not served, here or by a DICOMweb server that is asked
    │   ├── NotThere               SRV-03  it does not exist, or not for this user
    │   ├── TooLarge               SRV-04  more bytes, files or pixels than are taken
    │   ├── Unavailable            SRV-07  database, disk or partner cannot be used just now
    │   ├── InvalidRequest         SRV-09  a field of a request is wrong
    │   └── PeerRefused            SRV-10  a PACS or archive refuses; those of the server alone: server/faults.py
    └── UsageError                 USE-01  arguments that contradict each other

Messages say what was wanted, what was found and, in ``hint``, what to do. They may carry DICOM UIDs,
never names. ``STATUS`` maps each branch to the exit status of the command line, the HTTP status and
the FHIR issue type.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple

__all__ = [
    "STATUS",
    "DamagedFile",
    "DamagedRegistry",
    "GeometryError",
    "GridMismatch",
    "HepacalcError",
    "InconsistentSlices",
    "InputError",
    "InvalidAssessment",
    "InvalidCalibration",
    "InvalidLiverMask",
    "InvalidObject",
    "InvalidOverlay",
    "InvalidPatient",
    "InvalidPixelValues",
    "InvalidReport",
    "InvalidRequest",
    "KnowledgeError",
    "LedgerError",
    "LiverError",
    "MeasurementError",
    "MissingDependency",
    "NewerRegistry",
    "NoOverlap",
    "NoSuitableSeries",
    "NoUsableLiver",
    "NotAStudy",
    "NotInRegistry",
    "NotThere",
    "OtherStudy",
    "OutOfMemory",
    "OutOfTime",
    "OutputError",
    "PeerRefused",
    "RegistryBusy",
    "RegistryError",
    "RunError",
    "SegmenterUnavailable",
    "SeriesNotFound",
    "ServerError",
    "SeveralStudies",
    "Status",
    "StudyNotFound",
    "TooFewSlices",
    "TooLarge",
    "Unavailable",
    "UnexpectedFault",
    "UnsafeArchive",
    "UnsupportedGeometry",
    "UnsupportedModality",
    "UsageError",
    "WorkerLost",
]


class Status(NamedTuple):
    """How one branch of the tree is told to a shell, to HTTP and to FHIR."""

    exit_status: int
    http: int
    fhir: str


STATUS: dict[str, Status] = {
    "IN": Status(3, 422, "invalid"),
    "GEO": Status(4, 422, "structure"),
    "LIV": Status(5, 422, "not-found"),
    "MEA": Status(6, 422, "value"),
    "KNO": Status(9, 500, "exception"),
    "OUT": Status(7, 507, "no-store"),
    "REG": Status(10, 409, "conflict"),
    "DEP": Status(8, 501, "not-supported"),
    "RUN": Status(11, 500, "incomplete"),
    "USE": Status(2, 400, "required"),
    "SRV": Status(12, 500, "exception"),
    "SRV-01": Status(12, 401, "login"),
    "SRV-02": Status(12, 403, "forbidden"),
    "SRV-03": Status(12, 404, "not-found"),
    "SRV-04": Status(12, 413, "too-long"),
    "SRV-05": Status(12, 429, "throttled"),
    "SRV-06": Status(12, 409, "conflict"),
    "SRV-07": Status(12, 503, "transient"),
    "SRV-09": Status(12, 422, "invalid"),
    "SRV-10": Status(12, 502, "processing"),
}


class HepacalcError(Exception):
    """Root of the tree.

    Args:
        message: what was wanted and what was found, one sentence, no patient data.
        hint: what to do about it.
    """

    code: ClassVar[str] = "GEN-00"

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    @property
    def status(self) -> Status:
        """Exit status, HTTP status and FHIR issue type of this error."""
        return STATUS.get(self.code) or STATUS[self.code.split("-")[0]]

    def __str__(self) -> str:
        return f"{self.code} {type(self).__name__}: {self.message} {self.hint}"


class InputError(HepacalcError):
    """What was sent cannot be used."""

    code = "IN-00"


class StudyNotFound(InputError):
    """The path does not exist or cannot be opened."""

    code = "IN-01"


class NotAStudy(InputError):
    """Nothing at the path is a CT image."""

    code = "IN-02"


class UnsupportedModality(InputError):
    """There are images, but not CT."""

    code = "IN-03"


class SeriesNotFound(InputError):
    """The series that was asked for is not in the study."""

    code = "IN-04"


class NoSuitableSeries(InputError):
    """There is CT, but no series that can be measured."""

    code = "IN-05"


class DamagedFile(InputError):
    """A file is truncated, altered or cannot be decoded."""

    code = "IN-06"


class UnsafeArchive(InputError):
    """An archive expands too far, leaves its folder or is encrypted."""

    code = "IN-07"


class InvalidPixelValues(InputError):
    """Voxels are NaN, infinite or cannot be CT numbers."""

    code = "IN-08"


class InvalidPatient(InputError):
    """What was said of the patient is wrong or contradicts itself.

    The message names the field, never what a text field holds.
    """

    code = "IN-09"


class InvalidObject(InputError):
    """A DICOM object is not what is wanted, or its segments contradict each other."""

    code = "IN-10"


class InvalidAssessment(InputError):
    """A stored assessment is damaged, of another version, or its masks do not fit it."""

    code = "IN-11"


class OtherStudy(InputError):
    """Two things that are to be used together belong to different studies or patients.

    The message shows both UIDs, never names.
    """

    code = "IN-12"


class SeveralStudies(InputError):
    """One folder holds the images of several studies, so none can be told apart by its path."""

    code = "IN-14"


class InvalidReport(InputError):
    """The text of a report, or a table of reports, cannot be read, or does not say what is wanted of it."""

    code = "IN-16"


class GeometryError(HepacalcError):
    """Where the voxels lie cannot be trusted."""

    code = "GEO-00"


class TooFewSlices(GeometryError):
    """Too few slices for a volume."""

    code = "GEO-01"


class InconsistentSlices(GeometryError):
    """Sizes, orientations or positions of the slices disagree."""

    code = "GEO-02"


class UnsupportedGeometry(GeometryError):
    """Slices are missing or unevenly spaced."""

    code = "GEO-03"


class GridMismatch(GeometryError):
    """A mask lies on another grid than the scan."""

    code = "GEO-04"


class NoOverlap(GeometryError):
    """Two exams whose livers cannot be laid on each other."""

    code = "GEO-05"


class LiverError(HepacalcError):
    """The liver could not be had."""

    code = "LIV-00"


class NoUsableLiver(LiverError):
    """No usable liver is in view."""

    code = "LIV-01"


class InvalidLiverMask(LiverError):
    """The mask that was given is empty or no mask."""

    code = "LIV-02"


class SegmenterUnavailable(LiverError):
    """The segmenter that was asked for is unknown or lacks its weights."""

    code = "LIV-03"


class MeasurementError(HepacalcError):
    """A number was asked of voxels that cannot give it."""

    code = "MEA-01"


class InvalidCalibration(MeasurementError):
    """The site's calibration file cannot be used."""

    code = "MEA-02"


class KnowledgeError(HepacalcError):
    """The knowledge base cannot be used."""

    code = "KNO-01"


class InvalidOverlay(KnowledgeError):
    """A site's own knowledge file cannot be used."""

    code = "KNO-02"


class OutputError(HepacalcError):
    """The results cannot be written."""

    code = "OUT-01"


class RegistryError(HepacalcError):
    """The registry cannot be used."""

    code = "REG-01"


class NewerRegistry(RegistryError):
    """The registry was written by a newer version of hepacalc."""

    code = "REG-02"


class RegistryBusy(RegistryError):
    """Another program held the registry for too long."""

    code = "REG-03"


class NotInRegistry(RegistryError):
    """What was asked for is not in the registry."""

    code = "REG-04"


class DamagedRegistry(RegistryError):
    """The registry, or an export of it, does not hold together."""

    code = "REG-05"


class MissingDependency(HepacalcError):
    """An optional part of hepacalc is not installed."""

    code = "DEP-01"


class RunError(HepacalcError):
    """A run over many studies, or one study of it, did not end as it should."""

    code = "RUN-00"


class OutOfMemory(RunError):
    """A study needs more memory than one may have."""

    code = "RUN-01"


class OutOfTime(RunError):
    """A study takes longer than one may."""

    code = "RUN-02"


class WorkerLost(RunError):
    """The process or the machine that worked on a study is gone."""

    code = "RUN-03"


class UnexpectedFault(RunError):
    """A fault of hepacalc; please report it."""

    code = "RUN-04"


class LedgerError(RunError):
    """The ledger of a cohort is damaged, of another version, or in use."""

    code = "RUN-05"


class ServerError(HepacalcError):
    """A request that is not served."""

    code = "SRV-00"


class NotThere(ServerError):
    """It does not exist, or not for this user: the answer is the same."""

    code = "SRV-03"


class TooLarge(ServerError):
    """More bytes, files or pixels than this site takes."""

    code = "SRV-04"


class Unavailable(ServerError):
    """The database or the disk cannot be used just now; trying again later may help."""

    code = "SRV-07"


class InvalidRequest(ServerError):
    """A field of a request is wrong; the message names the field, never what it holds."""

    code = "SRV-09"


class PeerRefused(ServerError):
    """A PACS or archive does not take what it is sent, or does not give what it is asked for."""

    code = "SRV-10"


class UsageError(HepacalcError):
    """The arguments contradict each other."""

    code = "USE-01"
