"""Alembic's entry: migrates the connection it is given, inside that connection's transaction."""

from __future__ import annotations

from alembic import context

from voisin.pool.database.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table="pool_version",
)
with context.begin_transaction():
    context.run_migrations()
