"""What the ecosystem's clients ask for: owners and terms of deals, categories, beneficiaries, bulk orders, challenges"""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_UINT256 = sa.String(78)
_ADDRESS = sa.String(42)
_HASH = sa.String(66)
_NOBODY = "0x" + "00" * 20
_BULK_VOLUME = 2**53 - 2
_NEW_DEAL_INDEXES = (
    *("dataset", "app_owner", "dataset_owner", "workerpool_owner"),
    *("app_order", "dataset_order", "workerpool_order", "request_order"),
)


def upgrade() -> None:
    """Make the columns and tables, and have the chain recorded anew: what deals and categories now tell was not kept before."""
    _describe_orders()
    op.execute(sa.text("DELETE FROM tasks"))
    op.execute(sa.text("DELETE FROM deals"))
    op.execute(sa.text("UPDATE follower SET next_block = -1, last_hash = NULL"))
    is_sqlite = op.get_bind().dialect.name == "sqlite"  # which adds no column that must have a value, unless the table is made anew
    with op.batch_alter_table("deals", recreate="always" if is_sqlite else "never") as table:
        for name in ("app_owner", "dataset_owner", "workerpool_owner", "callback"):
            table.add_column(sa.Column(name, _ADDRESS, nullable=False))
        table.add_column(sa.Column("params", sa.Text(), nullable=False))
        table.add_column(sa.Column("worker_stake", _UINT256, nullable=False))
        table.add_column(sa.Column("scheduler_reward_ratio", _UINT256, nullable=False))
    for column in _NEW_DEAL_INDEXES:
        op.create_index(f"ix_deals_{column}", "deals", [column])
    op.create_table(
        "categories",
        sa.Column("number", _UINT256, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("time_ref_s", _UINT256, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("block", sa.BigInteger(), nullable=False),
        sa.Column("tx_hash", _HASH, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_categories"),
    )
    op.create_table(
        "challenges",
        sa.Column("digest", _HASH, nullable=False),
        sa.Column("address", _ADDRESS, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_challenges"),
    )
    for column in ("address", "expires_at"):
        op.create_index(f"ix_challenges_{column}", "challenges", [column])


def downgrade() -> None:
    """Drop what was made."""
    op.drop_table("challenges")
    op.drop_table("categories")
    for column in _NEW_DEAL_INDEXES:
        op.drop_index(f"ix_deals_{column}", "deals")
    with op.batch_alter_table("deals") as table:
        for name in ("app_owner", "dataset_owner", "workerpool_owner", "callback", "params", "worker_stake", "scheduler_reward_ratio"):
            table.drop_column(name)
    op.drop_column("orders", "beneficiary")
    op.drop_column("orders", "is_bulk")


def _describe_orders() -> None:
    op.add_column("orders", sa.Column("beneficiary", _ADDRESS, nullable=False, server_default=_NOBODY))
    op.add_column("orders", sa.Column("is_bulk", sa.Boolean(), nullable=False, server_default=sa.false()))
    orders = sa.table(
        "orders",
        sa.column("hash", _HASH),
        sa.column("content", sa.Text()),
        sa.column("beneficiary", _ADDRESS),
        sa.column("is_bulk", sa.Boolean()),
    )
    connection = op.get_bind()
    for name, content in connection.execute(sa.select(orders.c.hash, orders.c.content)).all():
        order = json.loads(content)
        is_bulk = "datasetprice" in order and order["datasetprice"] == 0 and order["volume"] >= _BULK_VOLUME
        described = {"beneficiary": order.get("beneficiary", _NOBODY), "is_bulk": is_bulk}
        connection.execute(sa.update(orders).where(orders.c.hash == name).values(described))
