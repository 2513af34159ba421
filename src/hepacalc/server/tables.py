"""The tables of the server: SQLAlchemy core, the same on SQLite and PostgreSQL.

Times are seconds since 1970 UTC. Ids are random and say nothing. Patient names stand in ``studies`` and ``terms``
only, as in any archive; never in ``jobs``, ``audit`` or a log line.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

__all__ = [
    "SCHEMA_VERSION",
    "assessments",
    "attempts",
    "audit",
    "cds_cards",
    "comparison_priors",
    "comparisons",
    "decisions",
    "facts",
    "instances",
    "jobs",
    "metadata",
    "pseudonyms",
    "schema",
    "sessions",
    "studies",
    "terms",
    "tokens",
    "uploads",
    "users",
]

SCHEMA_VERSION = 2
metadata = MetaData()

schema = Table("server_schema", metadata, Column("version", Integer, primary_key=True))

users = Table(
    "users",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(80), nullable=False, unique=True),
    Column("role", String(8), nullable=False),  # read, assess, admin
    Column("team", String(80), nullable=False, default=""),
    Column("password", String(200)),  # argon2; None signs in elsewhere
    Column("subject", String(300), unique=True),  # issuer and sub of OIDC
    Column("is_disabled", Boolean, nullable=False, default=False),
    Column("created", Float, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("digest", String(64), primary_key=True),  # SHA-256 of the cookie
    Column("user_id", String(32), ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("csrf", String(64), nullable=False),
    Column("language", String(2)),
    Column("created", Float, nullable=False),
    Column("seen", Float, nullable=False),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("digest", String(64), nullable=False, unique=True),
    Column("user_id", String(32), ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("name", String(80), nullable=False),
    Column("scopes", String(200), nullable=False),  # with spaces
    Column("created", Float, nullable=False),
    Column("expires", Float, nullable=False),
    Column("used", Float),
)

attempts = Table(
    "attempts",
    metadata,
    Column("key", String(64), primary_key=True),  # SHA-256 of a name or an address
    Column("failures", Integer, nullable=False),
    Column("until", Float, nullable=False),
    Column("last", Float, nullable=False),
)

studies = Table(
    "studies",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("uid", String(128), nullable=False),  # StudyInstanceUID; a digest of the file for NIfTI
    Column("team", String(80), nullable=False, default=""),
    Column("folder", String(64), nullable=False, unique=True),
    Column("kind", String(8), nullable=False),  # dicom, nifti, form (without a scan)
    Column("patient_name", String(330), nullable=False, default=""),
    Column("patient_id", String(80), nullable=False, default=""),
    Column("birth_date", String(10), nullable=False, default=""),
    Column("sex", String(4), nullable=False, default=""),
    Column("study_date", String(10), nullable=False, default=""),
    Column("study_time", String(16), nullable=False, default=""),
    Column("accession", String(40), nullable=False, default=""),
    Column("study_id", String(40), nullable=False, default=""),
    Column("referrer", String(330), nullable=False, default=""),
    Column("description", String(200), nullable=False, default=""),
    Column("modalities", String(80), nullable=False, default=""),
    Column("instance_count", Integer, nullable=False, default=0),
    Column("bytes", BigInteger, nullable=False, default=0),
    Column("digest", String(64), nullable=False, default=""),  # of which instances are there
    Column("state", String(12), nullable=False),  # waiting, assessing, assessed, failed
    Column("assessment_id", String(32)),
    Column("headline", JSON),  # summary in both languages, numbers of the worklist
    Column("due", String(10), nullable=False, default=""),  # next dated step that nobody has closed
    Column("error_code", String(12), nullable=False, default=""),
    Column("error", Text, nullable=False, default=""),
    Column("created", Float, nullable=False),
    Column("updated", Float, nullable=False),
    UniqueConstraint("uid", "team"),
    Index("studies_updated", "team", "updated", "id"),
    Index("studies_all_updated", "updated", "id"),  # of administrators, who see every team
    Index("studies_state", "state", "updated", "id"),
    Index("studies_due", "team", "due", "id"),
    Index("studies_all_due", "due", "id"),
    Index("studies_patient", "patient_id"),
)

terms = Table(
    "terms",
    metadata,
    Column("study_id", String(32), ForeignKey("studies.id", ondelete="CASCADE"), primary_key=True),
    # by code points, so that the words with one beginning stand together
    Column("term", String(80).with_variant(String(80, collation="C"), "postgresql"), primary_key=True),
    Index("terms_term", "term", "study_id"),
)

instances = Table(
    "instances",
    metadata,
    Column("study_id", String(32), ForeignKey("studies.id", ondelete="CASCADE"), primary_key=True),
    Column("sop_uid", String(128), primary_key=True),
    Column("series_uid", String(128), nullable=False),
    Column("sop_class", String(64), nullable=False),
    Column("modality", String(16), nullable=False),
    Column("series_number", Integer),
    Column("series_description", String(200), nullable=False, default=""),
    Column("number", Integer),
    Column("rows", Integer),
    Column("columns", Integer),
    Column("frames", Integer, nullable=False, default=1),
    Column("transfer_syntax", String(64), nullable=False),
    Column("path", String(200), nullable=False),  # below the study's folder
    Column("bytes", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("assessment_id", String(32)),  # made by us; None was received
    Index("instances_series", "series_uid"),
    Index("instances_sop", "sop_uid"),
)

uploads = Table(
    "uploads",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("user_id", String(32)),
    Column("team", String(80), nullable=False, default=""),
    Column("source", String(120), nullable=False),  # web, api, stow, dicom:AETITLE
    Column("idempotency_key", String(200)),
    Column("digest", String(64), nullable=False, default=""),
    Column("state", String(12), nullable=False),  # open, received, filed, failed
    Column("files", Integer, nullable=False, default=0),
    Column("bytes", BigInteger, nullable=False, default=0),
    Column("study_ids", JSON),
    Column("passed_over", Integer, nullable=False, default=0),
    Column("error_code", String(12), nullable=False, default=""),
    Column("error", Text, nullable=False, default=""),
    Column("created", Float, nullable=False),
    UniqueConstraint("user_id", "idempotency_key"),
    Index("uploads_open", "source", "digest", "state"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("kind", String(16), nullable=False),  # see server/work
    Column("key", String(200), nullable=False, unique=True),  # the same work is never queued twice
    Column("study_id", String(32), index=True),
    Column("upload_id", String(32), index=True),
    Column("user_id", String(32)),
    Column("payload", JSON, nullable=False),
    Column("state", String(8), nullable=False),  # queued, running, done, failed
    Column("priority", Integer, nullable=False, default=0),
    Column("not_before", Float, nullable=False, default=0.0),
    Column("tries", Integer, nullable=False, default=0),  # processes that died of it
    Column("starts", Integer, nullable=False, default=0),
    Column("worker", String(80)),
    Column("lease_until", Float),
    Column("stage", String(80), nullable=False, default=""),
    Column("share", Float, nullable=False, default=0.0),
    Column("error_code", String(12), nullable=False, default=""),
    Column("error", Text, nullable=False, default=""),
    Column("hint", Text, nullable=False, default=""),
    Column("result", JSON),
    Column("created", Float, nullable=False),
    Column("started", Float),
    Column("finished", Float),
    Column("trace", String(55)),  # traceparent of what queued it; None where traces are off
    Index("jobs_next", "state", "priority", "created"),
)

assessments = Table(
    "assessments",
    metadata,
    Column("id", String(32), primary_key=True),  # that of its job: one job, one assessment
    Column("study_id", String(32), ForeignKey("studies.id", ondelete="CASCADE"), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("kind", String(16), nullable=False),  # assess, edit, facts
    Column("parent_id", String(32)),
    Column("user_id", String(32)),
    Column("folder", String(200), nullable=False),  # below the study's folder
    Column("series_uid", String(128), nullable=False, default=""),
    Column("edits", JSON),  # what a person changed
    Column("headline", JSON, nullable=False),
    Column("created", Float, nullable=False),
    UniqueConstraint("study_id", "revision"),
)

facts = Table(
    "facts",
    metadata,
    Column("study_id", String(32), ForeignKey("studies.id", ondelete="CASCADE"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("patient", JSON, nullable=False),  # a patient file
    Column("user_id", String(32)),
    Column("created", Float, nullable=False),
)

decisions = Table(
    "decisions",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("study_id", String(32), ForeignKey("studies.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("assessment_id", String(32), nullable=False),
    Column("item", String(120), nullable=False),  # rule of the plan
    Column("verdict", String(12), nullable=False),  # accepted, changed, declined, done
    Column("due", String(10), nullable=False, default=""),
    Column("reason", Text, nullable=False, default=""),
    Column("user_id", String(32), nullable=False),
    Column("created", Float, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", Float, nullable=False, index=True),
    Column("user_id", String(32)),
    Column("action", String(40), nullable=False),
    Column("object_id", String(64), nullable=False, default=""),
    Column("outcome", String(12), nullable=False),  # ok, refused
    Column("address", String(64), nullable=False, default=""),
    Column("request_id", String(32), nullable=False, default=""),
)

comparisons = Table(
    "comparisons",
    metadata,
    Column("id", String(32), primary_key=True),  # that of its job
    Column("study_id", String(32), ForeignKey("studies.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("assessment_id", String(32), nullable=False),  # of the later exam
    Column("folder", String(200), nullable=False),  # below the study's folder
    Column("created", Float, nullable=False),
)

comparison_priors = Table(
    "comparison_priors",
    metadata,
    Column("comparison_id", String(32), ForeignKey("comparisons.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),  # as in comparison.json, the latest first
    Column("study_id", String(32), nullable=False, index=True),
    Column("assessment_id", String(32), nullable=False),
)

pseudonyms = Table(
    "pseudonyms",
    metadata,
    Column("key", String(64), primary_key=True),  # of the registry
    Column("team", String(80), nullable=False),
    Column("number", String(120), nullable=False),  # patient_id; "study ID" where there is none
    UniqueConstraint("team", "number"),
)

cds_cards = Table(
    "cds_cards",
    metadata,
    Column("uuid", String(36), primary_key=True),
    Column("study_id", String(32), ForeignKey("studies.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("assessment_id", String(32), nullable=False),
    Column("service", String(40), nullable=False),
    Column("created", Float, nullable=False),
    Column("outcome", String(12), nullable=False, default=""),  # accepted, overridden; empty while nobody has said
    Column("decided", Float),
    Column("reason", String(40), nullable=False, default=""),
    Column("comment", Text, nullable=False, default=""),
)
