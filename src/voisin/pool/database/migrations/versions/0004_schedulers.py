"""Several schedulers on one database: who lives, who works on which deal, whose turn it is to send"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_ENDS = ("completed", "claimed")


def upgrade() -> None:
    """Make the tables, and say of each deal whether it is over."""
    op.create_table(
        "pool_schedulers",
        sa.Column("session", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("name", sa.String(64), nullable=True),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("alive_until", sa.Float(), nullable=False),
        sa.Column("next_block", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("session", name="pk_pool_schedulers"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_pool_schedulers_name", "pool_schedulers", ["name"], unique=True)
    op.create_table(
        "pool_duties",
        sa.Column("duty", sa.String(16), nullable=False),
        sa.Column("holder", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("duty", name="pk_pool_duties"),
    )
    op.create_table(
        "pool_turns",
        sa.Column("wallet", sa.String(42), nullable=False),
        sa.Column("taken_by", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("wallet", name="pk_pool_turns"),
    )
    op.add_column("pool_position", sa.Column("is_draining", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("pool_deals", sa.Column("holder", sa.BigInteger(), nullable=True))
    op.add_column("pool_deals", sa.Column("epoch", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("pool_deals", sa.Column("from_block", sa.BigInteger(), nullable=True))
    op.add_column("pool_deals", sa.Column("is_over", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_index("ix_pool_deals_is_over_holder", "pool_deals", ["is_over", "holder"])
    deals = sa.table("pool_deals", sa.column("deal_id"), sa.column("is_over"), sa.column("from_block"))
    tasks, place = sa.table("pool_tasks", sa.column("deal_id"), sa.column("phase")), sa.table("pool_position", sa.column("next_block"))
    open_tasks = sa.select(tasks.c.deal_id).where(tasks.c.phase.not_in(_ENDS))
    op.execute(
        deals.update().values(is_over=deals.c.deal_id.not_in(open_tasks), from_block=sa.select(place.c.next_block).scalar_subquery())
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_index("ix_pool_deals_is_over_holder", "pool_deals")
    for column in ("is_over", "from_block", "epoch", "holder"):
        op.drop_column("pool_deals", column)
    op.drop_column("pool_position", "is_draining")
    op.drop_table("pool_turns")
    op.drop_table("pool_duties")
    op.drop_table("pool_schedulers")
