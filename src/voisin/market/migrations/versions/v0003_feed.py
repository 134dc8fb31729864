"""The order in which orders were published, and the live feed's last events"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the column and the table."""
    op.add_column("orders", sa.Column("number", sa.BigInteger(), nullable=False, server_default="0"))
    op.create_index("ix_orders_number", "orders", ["number"])
    op.create_table(
        "feed",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("topic", sa.String(16), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_feed"),
    )


def downgrade() -> None:
    """Drop what was made."""
    op.drop_table("feed")
    op.drop_index("ix_orders_number", "orders")
    op.drop_column("orders", "number")
