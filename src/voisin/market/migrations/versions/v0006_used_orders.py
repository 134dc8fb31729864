"""Which orders were used or closed on the chain; the chain is followed anew to know it of all"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_ANEW = -1


def upgrade() -> None:
    """Make the table and the column."""
    op.create_table(
        "used_orders",
        sa.Column("order_hash", sa.String(66), nullable=False),
        sa.PrimaryKeyConstraint("order_hash", name="pk_used_orders"),
    )
    op.add_column("follower", sa.Column("first_block", sa.BigInteger()))
    op.execute(sa.update(sa.table("follower", sa.column("next_block"))).values(next_block=_ANEW))


def downgrade() -> None:
    """Drop what was made."""
    op.drop_column("follower", "first_block")
    op.drop_table("used_orders")
