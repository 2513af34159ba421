"""The tables: one log that only grows, and what follows from it.

``event`` is the truth: every change is one row, chained by hashes, never altered. All other tables (but ``wording``,
which holds texts by the hash of their content) are derived from it in the same transaction, and can be derived again.
Row ids are the numbers of the events that made them, so deriving again gives the same rows.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    text,
)

__all__ = [
    "ABOUT", "DERIVED", "METADATA", "assessment", "event", "exam", "lesion", "link", "patient", "plan", "sighting",
    "step", "wording",
]  # fmt: skip

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)
ABOUT = "about"
_ID = BigInteger().with_variant(Integer(), "sqlite")
_DIGEST = String(32)


def _by(name: str = "id") -> Column[int]:
    return Column(
        name,
        _ID,
        ForeignKey("event.seq"),
        primary_key=True,
        autoincrement=False,
        doc="number of the event that made it",
    )


def _patient(*, index: bool = False) -> Column[int]:
    return Column("patient", _ID, ForeignKey("patient.id"), nullable=False, index=index, doc="whose")


def _measured(name: str, unit: str, what: str) -> tuple[Column[float], Column[float], Column[float], Column[str]]:
    """Columns of a measured number: value, 90 % interval, and why there is none."""
    return (
        Column(f"{name}_{unit}", Float, doc=f"{what} in {unit}; empty where it could not be measured"),
        Column(f"{name}_low_{unit}", Float, doc="lower end of its 90 % interval"),
        Column(f"{name}_high_{unit}", Float, doc="upper end of its 90 % interval"),
        Column(f"{name}_why", Text, doc="why it could not be measured; empty where it was"),
    )


event = Table(
    "event",
    METADATA,
    Column("seq", _ID, primary_key=True, autoincrement=False, doc="1, 2, 3 ... without a gap"),
    Column("at", String(32), nullable=False, doc="when it was recorded, UTC, ISO 8601"),
    Column("by", String(80), nullable=False, doc="who recorded it: a user or a program"),
    Column("kind", String(16), nullable=False, doc="registered, assessed, linked, done, ended"),
    Column("patient", _ID, nullable=False, doc="whose: number of the event that registered the patient"),
    Column("body", Text, nullable=False, doc="what changed, JSON"),
    Column("hash", String(64), nullable=False, doc="SHA-256 of the hash before it and of this row"),
    Index("ix_event_patient", "patient", "seq"),
    info={ABOUT: "The audit trail: every change, in order."},
)
wording = Table(
    "wording",
    METADATA,
    Column("digest", _DIGEST, primary_key=True, doc="first 32 hexadecimal digits of the SHA-256 of the body"),
    Column("body", Text, nullable=False, doc="texts for readers in each language, sources and status, JSON"),
    info={ABOUT: "Texts, each once, named by the hash of their content."},
    sqlite_with_rowid=False,
)
patient = Table(
    "patient",
    METADATA,
    _by(),
    Column("key", String(64), nullable=False, unique=True, doc="pseudonym; never a name or a number of the hospital"),
    Column("follow_up", String(8), nullable=False, doc="none, open or finished"),
    Column("why", _DIGEST, ForeignKey("wording.digest"), doc="why it stands so"),
    Column("since", _ID, ForeignKey("event.seq"), nullable=False, doc="event that set this"),
    CheckConstraint("follow_up in ('none', 'open', 'finished')", name="follow_up"),
    info={ABOUT: "A patient, by pseudonym."},
)
exam = Table(
    "exam",
    METADATA,
    _by(),
    _patient(index=True),
    Column("study_uid", String(64), unique=True, doc="StudyInstanceUID; empty for NIfTI"),
    Column("series_uid", String(80), doc="SeriesInstanceUID of the series that was measured"),
    Column("day", Date, doc="StudyDate; empty where the scan does not say"),
    Column("modality", String(16), doc="Modality"),
    info={ABOUT: "A study."},
)
assessment = Table(
    "assessment",
    METADATA,
    _by(),
    Column("exam", _ID, ForeignKey("exam.id"), nullable=False, index=True, doc="of which study"),
    Column("digest", String(64), nullable=False, unique=True, doc="SHA-256 of the values of assessment.json"),
    Column("made", String(40), nullable=False, doc="when it was assessed, ISO 8601"),
    Column("hepacalc", String(40), nullable=False, doc="version of hepacalc"),
    Column("knowledge", String(80), doc="version of the knowledge base; empty without a plan"),
    Column("versions", Text, nullable=False, doc="versions of what else decides the numbers, JSON"),
    Column("phase", String(16), nullable=False, doc="contrast phase"),
    Column("calcifications", Integer, nullable=False, doc="number of lesions called calcification"),
    Column("certain", Integer, nullable=False, doc="of these, certain"),
    Column("indeterminate", Integer, nullable=False, doc="number of lesions called indeterminate"),
    Column("mimics", Integer, nullable=False, doc="number of foci called anything else"),
    *_measured("mass", "mg", "calcium of all calcifications"),
    *_measured("volume", "mm3", "volume of all calcifications"),
    info={ABOUT: "One run of hepacalc on a study."},
)
lesion = Table(
    "lesion",
    METADATA,
    Column("uid", String(64), primary_key=True, doc="DICOM Tracking UID"),
    _patient(index=True),
    Column("name", String(32), nullable=False, doc="Tracking Identifier: short, for people"),
    Column("first", _ID, ForeignKey("exam.id"), nullable=False, doc="exam in which it was first seen"),
    Column(
        "same_as", String(64), ForeignKey("lesion.uid"), doc="earliest lesion that it was found to be; empty: itself"
    ),
    info={ABOUT: "A lesion, followed over time."},
    sqlite_with_rowid=False,
)
sighting = Table(
    "sighting",
    METADATA,
    Column("assessment", _ID, ForeignKey("assessment.id"), nullable=False, doc="in which assessment"),
    Column("number", Integer, nullable=False, doc="id of the lesion in that assessment"),
    Column("lesion", String(64), ForeignKey("lesion.uid"), nullable=False, index=True, doc="which lesion"),
    Column("kind", String(16), nullable=False, doc="calcification or indeterminate"),
    Column("certainty", String(16), nullable=False, doc="certain, probable or possible"),
    Column("segment", String(16), doc="most probable Couinaud segment; empty where it could not be told"),
    Column("pattern", String(32), doc="most probable pattern; empty where it could not be told"),
    *_measured("mass", "mg", "calcium"),
    *_measured("volume", "mm3", "volume"),
    *_measured("extent", "mm", "largest distance between its outer edges"),
    Column("x_mm", Float, nullable=False, doc="centroid, LPS, of that scan"),
    Column("y_mm", Float, nullable=False, doc="centroid, LPS, of that scan"),
    Column("z_mm", Float, nullable=False, doc="centroid, LPS, of that scan"),
    PrimaryKeyConstraint("assessment", "number"),
    info={ABOUT: "A lesion in one assessment."},
    sqlite_with_rowid=False,
)
link = Table(
    "link",
    METADATA,
    Column("event", _ID, ForeignKey("event.seq"), nullable=False, doc="event that recorded it"),
    Column("number", Integer, nullable=False, doc="1, 2, 3 ... in that event"),
    _patient(index=True),
    Column("prior", String(64), ForeignKey("lesion.uid"), doc="lesion of the earlier exam; empty: none there"),
    Column("current", String(64), ForeignKey("lesion.uid"), doc="lesion of the later exam; empty: none there"),
    Column("status", String(16), nullable=False, doc="what the comparison says: new, gone, merged, split, grew ..."),
    PrimaryKeyConstraint("event", "number"),
    info={ABOUT: "What a comparison says of two lesions."},
    sqlite_with_rowid=False,
)
plan = Table(
    "plan",
    METADATA,
    _by(),
    _patient(index=True),
    Column("assessment", _ID, ForeignKey("assessment.id"), nullable=False, index=True, doc="from which assessment"),
    Column("day", Date, nullable=False, doc="day from which its intervals run"),
    Column("state", String(12), nullable=False, doc="current, or superseded by a later plan"),
    Column("knowledge", String(80), nullable=False, doc="version of the knowledge base"),
    Column("stop", _DIGEST, ForeignKey("wording.digest"), doc="where the work-up ends; empty: not said"),
    Column("flags", Text, nullable=False, doc="red flags that are raised: id and digest of the text, JSON"),
    CheckConstraint("state in ('current', 'superseded')", name="state"),
    info={ABOUT: "A plan."},
)
step = Table(
    "step",
    METADATA,
    Column("plan", _ID, ForeignKey("plan.id"), nullable=False, doc="of which plan"),
    Column("number", Integer, nullable=False, doc="1, 2, 3 ... in that plan"),
    _patient(index=True),
    Column(
        "rule", String(64), nullable=False, doc="id of the rule that asks for it; replan where no rule names a step"
    ),
    Column("urgency", String(12), nullable=False, doc="emergency, urgent, soon, routine or none"),
    Column("first_day", Date, doc="earliest day; empty where it cannot be dated"),
    Column("last_day", Date, doc="latest day; empty where it cannot be dated"),
    Column("every", String(24), doc="after how long it is repeated; empty: once"),
    Column("provided", Boolean, nullable=False, doc="whether it holds only under answers to open questions"),
    Column("wording", _DIGEST, ForeignKey("wording.digest"), nullable=False, doc="action, reasons, sources"),
    Column("state", String(12), nullable=False, doc="open, done, declined, superseded or ended"),
    Column("closed", _ID, ForeignKey("event.seq"), doc="event that closed it"),
    Column("done_on", Date, doc="day on which it was done"),
    Column("result", String(12), doc="unchanged, changed or unclear; empty where it is not known"),
    PrimaryKeyConstraint("plan", "number"),
    CheckConstraint("state in ('open', 'done', 'declined', 'superseded', 'ended')", name="state"),
    CheckConstraint("(state = 'open') = (closed is null)", name="closed"),
    info={ABOUT: "A step of a plan."},
    sqlite_with_rowid=False,
)
# what is due is read from this index alone, in the order in which it is listed
Index(
    "ix_step_due",
    step.c.last_day,
    step.c.first_day,
    step.c.plan,
    step.c.number,
    step.c.patient,
    step.c.rule,
    step.c.urgency,
    step.c.wording,
    step.c.state,
    sqlite_where=text("state = 'open'"),
    postgresql_where=text("state = 'open'"),
)
DERIVED: tuple[Table, ...] = (patient, exam, assessment, lesion, sighting, link, plan, step)
"""What follows from the log, each table after those that it points to."""
