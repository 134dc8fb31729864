"""Deals, tasks, replicas, workers and stories"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_ADDRESS = sa.String(42)
_HASH = sa.String(66)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "pool_position",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("chain_id", sa.BigInteger(), nullable=False),
        sa.Column("hub", _ADDRESS, nullable=False),
        sa.Column("workerpool", _ADDRESS, nullable=False),
        sa.Column("next_block", sa.BigInteger(), nullable=False),
        sa.Column("last_hash", _HASH, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_pool_position"),
    )
    op.create_table(
        "pool_deals",
        sa.Column("deal_id", _HASH, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("block", sa.BigInteger(), nullable=False),
        sa.Column("time_ref_s", sa.BigInteger(), nullable=False),
        sa.Column("deal", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("deal_id", name="pk_pool_deals"),
    )
    op.create_index("ix_pool_deals_seq", "pool_deals", ["seq"])
    op.create_table(
        "pool_workers",
        sa.Column("address", _ADDRESS, nullable=False),
        sa.Column("name", sa.String(256), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("score", sa.BigInteger(), nullable=False),
        sa.Column("faulty", sa.Integer(), nullable=False),
        sa.Column("ban", sa.Text(), nullable=False),
        sa.Column("last_seen", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("address", name="pk_pool_workers"),
    )
    _make_tasks()


def downgrade() -> None:
    """Drop the tables."""
    for table in ("pool_story", "pool_replicas", "pool_tasks", "pool_workers", "pool_deals", "pool_position"):
        op.drop_table(table)


def _make_tasks() -> None:
    op.create_table(
        "pool_tasks",
        sa.Column("task_id", _HASH, nullable=False),
        sa.Column("deal_id", _HASH, nullable=False),
        sa.Column("index", sa.BigInteger(), nullable=False),
        sa.Column("phase", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("consensus", _HASH, nullable=True),
        sa.Column("digest", _HASH, nullable=True),
        sa.Column("reveal_deadline", sa.BigInteger(), nullable=False),
        sa.Column("cid", sa.String(128), nullable=False),
        sa.Column("callback_data", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["deal_id"], ["pool_deals.deal_id"], name="fk_pool_tasks_deal_id"),
        sa.PrimaryKeyConstraint("task_id", name="pk_pool_tasks"),
    )
    op.create_index("ix_pool_tasks_deal_id_index", "pool_tasks", ["deal_id", "index"])
    op.create_index("ix_pool_tasks_phase", "pool_tasks", ["phase"])
    op.create_table(
        "pool_replicas",
        sa.Column("task_id", _HASH, nullable=False),
        sa.Column("worker", _ADDRESS, nullable=False),
        sa.Column("stage", sa.String(16), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("result_hash", _HASH, nullable=True),
        sa.Column("weight", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.Float(), nullable=False),
        sa.Column("not_before", sa.Float(), nullable=False),
        sa.Column("is_barred", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["pool_tasks.task_id"], name="fk_pool_replicas_task_id"),
        sa.PrimaryKeyConstraint("task_id", "worker", name="pk_pool_replicas"),
    )
    op.create_table(
        "pool_story",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("task_id", _HASH, nullable=False),
        sa.Column("worker", sa.String(42), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("what", sa.String(64), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["pool_tasks.task_id"], name="fk_pool_story_task_id"),
        sa.PrimaryKeyConstraint("id", name="pk_pool_story"),
    )
    op.create_index("ix_pool_story_task_id_id", "pool_story", ["task_id", "id"])
