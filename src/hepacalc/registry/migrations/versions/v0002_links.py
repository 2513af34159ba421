"""What a comparison says of two lesions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "link",
        sa.Column("event", ID, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("patient", ID, nullable=False),
        sa.Column("prior", sa.String(length=64), nullable=True),
        sa.Column("current", sa.String(length=64), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(["current"], ["lesion.uid"], name="fk_link_current"),
        sa.ForeignKeyConstraint(["event"], ["event.seq"], name="fk_link_event"),
        sa.ForeignKeyConstraint(["patient"], ["patient.id"], name="fk_link_patient"),
        sa.ForeignKeyConstraint(["prior"], ["lesion.uid"], name="fk_link_prior"),
        sa.PrimaryKeyConstraint("event", "number", name="pk_link"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_link_patient", "link", ["patient"], unique=False)
