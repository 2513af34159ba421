"""Patients, exams, assessments, lesions, plans and their steps, and the log that they follow from."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


KEPT = ("event", "wording")
REFUSED = "the audit trail only grows: rows of % are never changed"


def _keep(table: str) -> None:
    """Let the database itself refuse to change or take away what was recorded."""
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("update", "delete"):
            op.execute(
                f"create trigger keep_{table}_{verb} before {verb} on {table} "
                f"begin select raise(abort, '{REFUSED.replace('%', table)}'); end"
            )
        return
    op.execute(
        f"create function keep_{table}() returns trigger language plpgsql as "
        f"$$ begin raise exception '{REFUSED.replace('%', table)}'; end $$"
    )
    op.execute(
        f"create trigger keep_{table} before update or delete or truncate on {table} "
        f"for each statement execute function keep_{table}()"
    )


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "event",
        sa.Column("seq", ID, autoincrement=False, nullable=False),
        sa.Column("at", sa.String(length=32), nullable=False),
        sa.Column("by", sa.String(length=80), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("patient", ID, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_event"),
    )
    op.create_index("ix_event_patient", "event", ["patient", "seq"], unique=False)
    op.create_table(
        "wording",
        sa.Column("digest", sa.String(length=32), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_wording"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "patient",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("follow_up", sa.String(length=8), nullable=False),
        sa.Column("why", sa.String(length=32), nullable=True),
        sa.Column("since", ID, nullable=False),
        sa.CheckConstraint("follow_up in ('none', 'open', 'finished')", name="ck_patient_follow_up"),
        sa.ForeignKeyConstraint(["id"], ["event.seq"], name="fk_patient_id"),
        sa.ForeignKeyConstraint(["since"], ["event.seq"], name="fk_patient_since"),
        sa.ForeignKeyConstraint(["why"], ["wording.digest"], name="fk_patient_why"),
        sa.PrimaryKeyConstraint("id", name="pk_patient"),
        sa.UniqueConstraint("key", name="uq_patient_key"),
    )
    op.create_table(
        "exam",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("patient", ID, nullable=False),
        sa.Column("study_uid", sa.String(length=64), nullable=True),
        sa.Column("series_uid", sa.String(length=80), nullable=True),
        sa.Column("day", sa.Date(), nullable=True),
        sa.Column("modality", sa.String(length=16), nullable=True),
        sa.ForeignKeyConstraint(["id"], ["event.seq"], name="fk_exam_id"),
        sa.ForeignKeyConstraint(["patient"], ["patient.id"], name="fk_exam_patient"),
        sa.PrimaryKeyConstraint("id", name="pk_exam"),
        sa.UniqueConstraint("study_uid", name="uq_exam_study_uid"),
    )
    op.create_index("ix_exam_patient", "exam", ["patient"], unique=False)
    op.create_table(
        "assessment",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("exam", ID, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("made", sa.String(length=40), nullable=False),
        sa.Column("hepacalc", sa.String(length=40), nullable=False),
        sa.Column("knowledge", sa.String(length=80), nullable=True),
        sa.Column("versions", sa.Text(), nullable=False),
        sa.Column("phase", sa.String(length=16), nullable=False),
        sa.Column("calcifications", sa.Integer(), nullable=False),
        sa.Column("certain", sa.Integer(), nullable=False),
        sa.Column("indeterminate", sa.Integer(), nullable=False),
        sa.Column("mimics", sa.Integer(), nullable=False),
        sa.Column("mass_mg", sa.Float(), nullable=True),
        sa.Column("mass_low_mg", sa.Float(), nullable=True),
        sa.Column("mass_high_mg", sa.Float(), nullable=True),
        sa.Column("mass_why", sa.Text(), nullable=True),
        sa.Column("volume_mm3", sa.Float(), nullable=True),
        sa.Column("volume_low_mm3", sa.Float(), nullable=True),
        sa.Column("volume_high_mm3", sa.Float(), nullable=True),
        sa.Column("volume_why", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["exam"], ["exam.id"], name="fk_assessment_exam"),
        sa.ForeignKeyConstraint(["id"], ["event.seq"], name="fk_assessment_id"),
        sa.PrimaryKeyConstraint("id", name="pk_assessment"),
        sa.UniqueConstraint("digest", name="uq_assessment_digest"),
    )
    op.create_index("ix_assessment_exam", "assessment", ["exam"], unique=False)
    op.create_table(
        "lesion",
        sa.Column("uid", sa.String(length=64), nullable=False),
        sa.Column("patient", ID, nullable=False),
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("first", ID, nullable=False),
        sa.Column("same_as", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(["first"], ["exam.id"], name="fk_lesion_first"),
        sa.ForeignKeyConstraint(["patient"], ["patient.id"], name="fk_lesion_patient"),
        sa.ForeignKeyConstraint(["same_as"], ["lesion.uid"], name="fk_lesion_same_as"),
        sa.PrimaryKeyConstraint("uid", name="pk_lesion"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_lesion_patient", "lesion", ["patient"], unique=False)
    op.create_table(
        "plan",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("patient", ID, nullable=False),
        sa.Column("assessment", ID, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("knowledge", sa.String(length=80), nullable=False),
        sa.Column("stop", sa.String(length=32), nullable=True),
        sa.Column("flags", sa.Text(), nullable=False),
        sa.CheckConstraint("state in ('current', 'superseded')", name="ck_plan_state"),
        sa.ForeignKeyConstraint(["assessment"], ["assessment.id"], name="fk_plan_assessment"),
        sa.ForeignKeyConstraint(["id"], ["event.seq"], name="fk_plan_id"),
        sa.ForeignKeyConstraint(["patient"], ["patient.id"], name="fk_plan_patient"),
        sa.ForeignKeyConstraint(["stop"], ["wording.digest"], name="fk_plan_stop"),
        sa.PrimaryKeyConstraint("id", name="pk_plan"),
    )
    op.create_index("ix_plan_assessment", "plan", ["assessment"], unique=False)
    op.create_index("ix_plan_patient", "plan", ["patient"], unique=False)
    op.create_table(
        "sighting",
        sa.Column("assessment", ID, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("lesion", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("certainty", sa.String(length=16), nullable=False),
        sa.Column("segment", sa.String(length=16), nullable=True),
        sa.Column("pattern", sa.String(length=32), nullable=True),
        sa.Column("mass_mg", sa.Float(), nullable=True),
        sa.Column("mass_low_mg", sa.Float(), nullable=True),
        sa.Column("mass_high_mg", sa.Float(), nullable=True),
        sa.Column("mass_why", sa.Text(), nullable=True),
        sa.Column("volume_mm3", sa.Float(), nullable=True),
        sa.Column("volume_low_mm3", sa.Float(), nullable=True),
        sa.Column("volume_high_mm3", sa.Float(), nullable=True),
        sa.Column("volume_why", sa.Text(), nullable=True),
        sa.Column("extent_mm", sa.Float(), nullable=True),
        sa.Column("extent_low_mm", sa.Float(), nullable=True),
        sa.Column("extent_high_mm", sa.Float(), nullable=True),
        sa.Column("extent_why", sa.Text(), nullable=True),
        sa.Column("x_mm", sa.Float(), nullable=False),
        sa.Column("y_mm", sa.Float(), nullable=False),
        sa.Column("z_mm", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["assessment"], ["assessment.id"], name="fk_sighting_assessment"),
        sa.ForeignKeyConstraint(["lesion"], ["lesion.uid"], name="fk_sighting_lesion"),
        sa.PrimaryKeyConstraint("assessment", "number", name="pk_sighting"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_sighting_lesion", "sighting", ["lesion"], unique=False)
    op.create_table(
        "step",
        sa.Column("plan", ID, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("patient", ID, nullable=False),
        sa.Column("rule", sa.String(length=64), nullable=False),
        sa.Column("urgency", sa.String(length=12), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=True),
        sa.Column("last_day", sa.Date(), nullable=True),
        sa.Column("every", sa.String(length=24), nullable=True),
        sa.Column("provided", sa.Boolean(), nullable=False),
        sa.Column("wording", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("closed", ID, nullable=True),
        sa.Column("done_on", sa.Date(), nullable=True),
        sa.Column("result", sa.String(length=12), nullable=True),
        sa.CheckConstraint("(state = 'open') = (closed is null)", name="ck_step_closed"),
        sa.CheckConstraint("state in ('open', 'done', 'declined', 'superseded', 'ended')", name="ck_step_state"),
        sa.ForeignKeyConstraint(["closed"], ["event.seq"], name="fk_step_closed"),
        sa.ForeignKeyConstraint(["patient"], ["patient.id"], name="fk_step_patient"),
        sa.ForeignKeyConstraint(["plan"], ["plan.id"], name="fk_step_plan"),
        sa.ForeignKeyConstraint(["wording"], ["wording.digest"], name="fk_step_wording"),
        sa.PrimaryKeyConstraint("plan", "number", name="pk_step"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_step_due",
        "step",
        ["last_day", "first_day", "plan", "number", "patient", "rule", "urgency", "wording", "state"],
        unique=False,
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_index("ix_step_patient", "step", ["patient"], unique=False)
    for table in KEPT:
        _keep(table)
