"""A short form of each order's tag, and indexes that answer the usual questions by themselves"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_PLACE = ("rank", "published_at", "hash")
_SIEVED = ("remaining", "trust", "short_tag", "app", "dataset", "workerpool", "requester")
_PLACES = 62


def upgrade() -> None:
    """Make the column and the index."""
    op.add_column("orders", sa.Column("short_tag", sa.BigInteger(), nullable=False, server_default="0"))
    orders = sa.table("orders", sa.column("hash", sa.String(66)), sa.column("tag", sa.String(256)), sa.column("short_tag", sa.BigInteger()))
    connection = op.get_bind()
    for (tag,) in connection.execute(sa.select(orders.c.tag).distinct()).all():
        bits = int(tag, 2)
        short = bits % (1 << _PLACES) | (bits >> _PLACES > 0) << _PLACES
        connection.execute(sa.update(orders).where(orders.c.tag == tag).values(short_tag=short))
    op.drop_index("ix_orders_listing", "orders")
    op.drop_index("ix_orders_resource_status", "orders")
    op.create_index("ix_orders_listing", "orders", ["status", "kind", *_PLACE, *_SIEVED])
    op.create_index("ix_orders_of_category", "orders", ["status", "kind", "category", *_PLACE, *_SIEVED])
    op.create_index("ix_orders_of_resource", "orders", ["resource", "status", "kind", *_PLACE])
    op.create_index("ix_orders_of_app", "orders", ["app", "status", "kind", *_PLACE, *(name for name in _SIEVED if name != "app")])


def downgrade() -> None:
    """Drop what was made, and put back what was there."""
    for name in ("listing", "of_category", "of_resource", "of_app"):
        op.drop_index(f"ix_orders_{name}", "orders")
    op.create_index("ix_orders_resource_status", "orders", ["resource", "status"])
    op.create_index("ix_orders_listing", "orders", ["status", "kind", *_PLACE, "app", "dataset", "workerpool", "requester"])
    op.drop_column("orders", "short_tag")
