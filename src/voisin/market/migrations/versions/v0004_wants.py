"""Requests that want offers in the book"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the column and the table."""
    op.add_column("orders", sa.Column("lacks", sa.Text(), nullable=False, server_default=""))
    op.create_table(
        "wants",
        sa.Column("order_hash", sa.String(66), nullable=False),
        sa.Column("resource", sa.String(42), nullable=False),
        sa.ForeignKeyConstraint(["order_hash"], ["orders.hash"], name="fk_wants_order_hash"),
        sa.PrimaryKeyConstraint("order_hash", "resource", name="pk_wants"),
    )
    op.create_index("ix_wants_resource", "wants", ["resource"])


def downgrade() -> None:
    """Drop what was made."""
    op.drop_table("wants")
    op.drop_column("orders", "lacks")
