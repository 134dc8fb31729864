"""The index of the lists leaves open orders out: those are listed in memory, and each new one had to enter it"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_COLUMNS = ["status", "kind", "rank", "published_at", "hash"]
_NOT_OPEN = sa.text("status != 'open'")


def upgrade() -> None:
    """Make the index anew, without open orders."""
    op.drop_index("ix_orders_listing", "orders")
    op.create_index("ix_orders_listing", "orders", _COLUMNS, sqlite_where=_NOT_OPEN, postgresql_where=_NOT_OPEN)


def downgrade() -> None:
    """Make it with all orders."""
    op.drop_index("ix_orders_listing", "orders")
    op.create_index("ix_orders_listing", "orders", _COLUMNS)
