"""Terms of use, their deals and uses, evidence, and what must never be forgotten"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_ADDRESS = sa.String(42)
_HASH = sa.String(66)
_NO_HASH = "0x" + "00" * 32


def upgrade() -> None:
    """Make the tables."""
    with op.batch_alter_table("vault") as vault:
        for name in ("serial", "restored_at", "read_block"):
            vault.add_column(sa.Column(name, sa.BigInteger(), nullable=False, server_default="0"))
        vault.add_column(sa.Column("read_hash", _HASH, nullable=False, server_default=_NO_HASH))
    _make_orders()
    _make_matches()
    _make_uses()
    op.create_table(
        "released",
        sa.Column("task_id", _HASH, nullable=False),
        sa.Column("released_by", _ADDRESS, nullable=False),
        sa.Column("released_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("task_id", name="pk_released"),
    )


def downgrade() -> None:
    """Drop the tables."""
    for table in ("released", "evidence", "uses", "served", "matches", "orders"):
        op.drop_table(table)
    with op.batch_alter_table("vault") as vault:
        for name in ("read_hash", "read_block", "restored_at", "serial"):
            vault.drop_column(name)


def _make_orders() -> None:
    op.create_table(
        "orders",
        sa.Column("order_hash", _HASH, nullable=False),
        sa.Column("dataset", _ADDRESS, nullable=False),
        sa.Column("order", sa.Text(), nullable=False),
        sa.Column("terms", sa.Text(), nullable=False),
        sa.Column("pushed_by", _ADDRESS, nullable=False),
        sa.Column("pushed_at", sa.BigInteger(), nullable=False),
        sa.Column("from_block", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("order_hash", name="pk_orders"),
    )
    op.create_index("ix_orders_dataset_pushed_at", "orders", ["dataset", "pushed_at"])


def _make_matches() -> None:
    op.create_table(
        "matches",
        sa.Column("deal_id", _HASH, nullable=False),
        sa.Column("order_hash", _HASH, nullable=False),
        sa.Column("dataset", _ADDRESS, nullable=False),
        sa.Column("requester", _ADDRESS, nullable=False),
        sa.Column("volume", sa.BigInteger(), nullable=False),
        sa.Column("block", sa.BigInteger(), nullable=False),
        sa.Column("place", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("deal_id", name="pk_matches"),
    )
    op.create_index("ix_matches_order_hash_block_place", "matches", ["order_hash", "block", "place"])
    op.create_index("ix_matches_dataset_requester", "matches", ["dataset", "requester"])


def _make_uses() -> None:
    op.create_table(
        "served",
        sa.Column("task_id", _HASH, nullable=False),
        sa.Column("worker", _ADDRESS, nullable=False),
        sa.Column("session_key", _HASH, nullable=False),
        sa.PrimaryKeyConstraint("task_id", name="pk_served"),
    )
    op.create_table(
        "uses",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("task_id", _HASH, nullable=False),
        sa.Column("dataset", _ADDRESS, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("use", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_uses"),
    )
    op.create_index("ix_uses_task_id_dataset", "uses", ["task_id", "dataset"], unique=True)
    op.create_index("ix_uses_dataset_id", "uses", ["dataset", "id"])
    op.create_table(
        "evidence",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("task_id", _HASH, nullable=False),
        sa.Column("session_key", _HASH, nullable=False),
        sa.Column("session", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_evidence"),
    )
    op.create_index("ix_evidence_task_id_session_key", "evidence", ["task_id", "session_key"], unique=True)
