"""Bags: what workers said, how tasks ended, what was earned"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "pool_bags",
        sa.Column("deal", sa.LargeBinary(32), nullable=False),
        sa.Column("terms", sa.Text(), nullable=False),
        sa.Column("stage", sa.String(16), nullable=False),
        sa.Column("posted", sa.Text(), nullable=True),
        sa.Column("is_over", sa.Boolean(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("deal", name="pk_pool_bags"),
    )
    op.create_index("ix_pool_bags_is_over", "pool_bags", ["is_over"])
    op.create_table(
        "pool_bag_votes",
        sa.Column("deal", sa.LargeBinary(32), nullable=False),
        sa.Column("index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("worker", sa.LargeBinary(20), nullable=False),
        sa.Column("said", sa.LargeBinary(32), nullable=False),
        sa.Column("signature", sa.LargeBinary(65), nullable=False),
        sa.PrimaryKeyConstraint("deal", "index", "worker", name="pk_pool_bag_votes"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "pool_bag_tasks",
        sa.Column("deal", sa.LargeBinary(32), nullable=False),
        sa.Column("index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("place", sa.BigInteger(), nullable=False),
        sa.Column("task_id", sa.LargeBinary(32), nullable=False),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("location", sa.LargeBinary(32), nullable=False),
        sa.Column("agreed", sa.LargeBinary(), nullable=False),
        sa.Column("others", sa.LargeBinary(), nullable=False),
        sa.Column("exit_code", sa.Integer(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("callback_data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("deal", "index", name="pk_pool_bag_tasks"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_pool_bag_tasks_deal_place", "pool_bag_tasks", ["deal", "place"])
    op.create_index("ix_pool_bag_tasks_task_id", "pool_bag_tasks", ["task_id"])
    op.create_table(
        "pool_bag_earnings",
        sa.Column("deal", sa.LargeBinary(32), nullable=False),
        sa.Column("worker", sa.LargeBinary(20), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("deal", "worker", name="pk_pool_bag_earnings"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Drop them."""
    for table in ("pool_bag_earnings", "pool_bag_tasks", "pool_bag_votes", "pool_bags"):
        op.drop_table(table)
