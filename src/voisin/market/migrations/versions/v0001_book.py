"""The book, deals and tasks"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_UINT256 = sa.String(78)
_ADDRESS = sa.String(42)
_HASH = sa.String(66)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "follower",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("chain_id", sa.BigInteger(), nullable=False),
        sa.Column("hub", _ADDRESS, nullable=False),
        sa.Column("next_block", sa.BigInteger(), nullable=False),
        sa.Column("last_hash", _HASH, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_follower"),
    )
    _make_book()
    _make_deals()
    op.create_table(
        "tasks",
        sa.Column("task_id", _HASH, nullable=False),
        sa.Column("deal_id", _HASH, nullable=False),
        sa.Column("index", _UINT256, nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("consensus", _HASH, nullable=True),
        sa.Column("results", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("task_id", name="pk_tasks"),
    )
    op.create_index("ix_tasks_deal_id_index", "tasks", ["deal_id", "index"])


def downgrade() -> None:
    """Drop the tables."""
    for table in ("tasks", "deals", "moments", "orders", "follower"):
        op.drop_table(table)


def _make_book() -> None:
    op.create_table(
        "orders",
        sa.Column("hash", _HASH, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("signer", _ADDRESS, nullable=False),
        sa.Column("resource", _ADDRESS, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("rank", _UINT256, nullable=False),
        sa.Column("price", _UINT256, nullable=False),
        sa.Column("remaining", _UINT256, nullable=False),
        sa.Column("category", _UINT256, nullable=True),
        sa.Column("trust", _UINT256, nullable=True),
        sa.Column("tag", sa.String(256), nullable=False),
        sa.Column("app", _ADDRESS, nullable=False),
        sa.Column("dataset", _ADDRESS, nullable=False),
        sa.Column("workerpool", _ADDRESS, nullable=False),
        sa.Column("requester", _ADDRESS, nullable=False),
        sa.Column("published_at", sa.BigInteger(), nullable=False),
        sa.Column("owner", _ADDRESS, nullable=False),
        sa.Column("stake", _UINT256, nullable=False),
        sa.Column("is_closed", sa.Boolean(), nullable=False),
        sa.Column("is_removed", sa.Boolean(), nullable=False),
        sa.Column("proven_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name="pk_orders"),
    )
    listing = ["status", "kind", "rank", "published_at", "hash", "app", "dataset", "workerpool", "requester"]
    op.create_index("ix_orders_listing", "orders", listing)
    op.create_index("ix_orders_signer_status", "orders", ["signer", "status"])
    op.create_index("ix_orders_resource_status", "orders", ["resource", "status"])
    op.create_table(
        "moments",
        sa.Column("order_hash", _HASH, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("what", sa.String(32), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["order_hash"], ["orders.hash"], name="fk_moments_order_hash"),
        sa.PrimaryKeyConstraint("order_hash", "number", name="pk_moments"),
    )


def _make_deals() -> None:
    op.create_table(
        "deals",
        sa.Column("deal_id", _HASH, nullable=False),
        sa.Column("app", _ADDRESS, nullable=False),
        sa.Column("dataset", _ADDRESS, nullable=False),
        sa.Column("workerpool", _ADDRESS, nullable=False),
        sa.Column("requester", _ADDRESS, nullable=False),
        sa.Column("beneficiary", _ADDRESS, nullable=False),
        sa.Column("app_price", _UINT256, nullable=False),
        sa.Column("dataset_price", _UINT256, nullable=False),
        sa.Column("workerpool_price", _UINT256, nullable=False),
        sa.Column("app_order", _HASH, nullable=False),
        sa.Column("dataset_order", _HASH, nullable=False),
        sa.Column("workerpool_order", _HASH, nullable=False),
        sa.Column("request_order", _HASH, nullable=False),
        sa.Column("category", _UINT256, nullable=False),
        sa.Column("trust", _UINT256, nullable=False),
        sa.Column("tag", _HASH, nullable=False),
        sa.Column("first_index", _UINT256, nullable=False),
        sa.Column("volume", _UINT256, nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("block", sa.BigInteger(), nullable=False),
        sa.Column("tx_hash", _HASH, nullable=False),
        sa.Column("log_index", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("deal_id", name="pk_deals"),
    )
    op.create_index("ix_deals_block_log_index", "deals", ["block", "log_index"])
    for column in ("requester", "app", "workerpool"):
        op.create_index(f"ix_deals_{column}", "deals", [column])
