"""Nonces of signatures that were used to read logs"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "pool_nonces",
        sa.Column("signer", sa.String(42), nullable=False),
        sa.Column("nonce", sa.String(66), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("signer", "nonce", name="pk_pool_nonces"),
    )
    op.create_index("ix_pool_nonces_until", "pool_nonces", ["until"])


def downgrade() -> None:
    """Drop it."""
    op.drop_table("pool_nonces")
