"""How far the chain is recorded, and where pools answer"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "follower",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("chain_id", sa.BigInteger(), nullable=False),
        sa.Column("hub", sa.String(42), nullable=False),
        sa.Column("start_block", sa.BigInteger(), nullable=False),
        sa.Column("next_block", sa.BigInteger(), nullable=False),
        sa.Column("last_hash", sa.String(66), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_follower"),
    )
    op.create_table(
        "listings",
        sa.Column("workerpool", sa.String(42), nullable=False),
        sa.Column("owner", sa.String(42), nullable=False),
        sa.Column("statement", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("workerpool", name="pk_listings"),
    )


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("listings")
    op.drop_table("follower")
