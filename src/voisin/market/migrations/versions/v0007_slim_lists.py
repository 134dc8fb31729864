"""Open orders are listed in memory: indexes that answered readers' questions by themselves go, or become slim"""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"

_PLACE = ("rank", "published_at", "hash")
_SIEVED = ("remaining", "trust", "short_tag", "app", "dataset", "workerpool", "requester")


def upgrade() -> None:
    """Drop the wide indexes, and make the slim ones."""
    for name in ("listing", "of_category", "of_resource", "of_app"):
        op.drop_index(f"ix_orders_{name}", "orders")
    op.create_index("ix_orders_listing", "orders", ["status", "kind", *_PLACE])
    op.create_index("ix_orders_of_resource", "orders", ["resource", "status", "kind"])


def downgrade() -> None:
    """Put back what was there."""
    for name in ("listing", "of_resource"):
        op.drop_index(f"ix_orders_{name}", "orders")
    op.create_index("ix_orders_listing", "orders", ["status", "kind", *_PLACE, *_SIEVED])
    op.create_index("ix_orders_of_category", "orders", ["status", "kind", "category", *_PLACE, *_SIEVED])
    op.create_index("ix_orders_of_resource", "orders", ["resource", "status", "kind", *_PLACE])
    op.create_index("ix_orders_of_app", "orders", ["app", "status", "kind", *_PLACE, *(name for name in _SIEVED if name != "app")])
