"""Marks of former values"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the table."""
    op.create_table("former", sa.Column("mark", sa.String(64), nullable=False), sa.PrimaryKeyConstraint("mark", name="pk_former"))


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("former")
