"""Run by Alembic: the migrations, in the transaction of the connection that is handed over."""

from __future__ import annotations

from alembic import context

from hepacalc.registry.tables import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
context.run_migrations()
