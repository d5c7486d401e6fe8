"""Alembic's way in: runs the migrations on the connection that the store has opened and locked."""

from __future__ import annotations

from alembic import context

from mxprobe.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
