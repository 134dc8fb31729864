"""Uses of data that terms refused, for its owner"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "refusals",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("task_id", sa.String(66), nullable=False),
        sa.Column("dataset", sa.String(42), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("refusal", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_refusals"),
    )
    op.create_index("ix_refusals_task_id_dataset", "refusals", ["task_id", "dataset"], unique=True)
    op.create_index("ix_refusals_dataset_id", "refusals", ["dataset", "id"])


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("refusals")
