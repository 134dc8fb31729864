"""Enclaves of tasks and workers, exit codes, and what apps print"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_ADDRESS = sa.String(42)
_HASH = sa.String(66)


def upgrade() -> None:
    """Add the columns, and the table of logs."""
    op.add_column("pool_tasks", sa.Column("enclave", sa.String(16), nullable=False, server_default="none"))
    op.add_column("pool_tasks", sa.Column("challenge", _ADDRESS, nullable=True))
    op.add_column("pool_workers", sa.Column("enclave", sa.String(16), nullable=False, server_default="none"))
    op.add_column("pool_replicas", sa.Column("exit_code", sa.Integer(), nullable=True))
    op.create_table(
        "pool_logs",
        sa.Column("task_id", _HASH, nullable=False),
        sa.Column("worker", _ADDRESS, nullable=False),
        sa.Column("stdout", sa.Text(), nullable=False),
        sa.Column("stderr", sa.Text(), nullable=False),
        sa.Column("stdout_end", sa.BigInteger(), nullable=False),
        sa.Column("stderr_end", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("task_id", "worker", name="pk_pool_logs"),
    )
    op.create_index("ix_pool_logs_expires_at", "pool_logs", ["expires_at"])


def downgrade() -> None:
    """Drop them."""
    op.drop_table("pool_logs")
    for table, column in (
        ("pool_replicas", "exit_code"),
        ("pool_workers", "enclave"),
        ("pool_tasks", "challenge"),
        ("pool_tasks", "enclave"),
    ):
        with op.batch_alter_table(table) as batch:
            batch.drop_column(column)
