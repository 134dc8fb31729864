"""
The tables of a market's database.

A tag is kept as 256 characters `0` and `1`, highest bit first, so that conditions on its bits are patterns.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    false,
    literal_column,
)

from voisin.protocol.ids import ZERO_ADDRESS
from voisin.protocol.tags import Tag, tag_bits
from voisin.service.columns import Uint256

TAG_PLACES = 256
SHORT_PLACES = 62
"""How many of a tag's bits stand in its short form each for itself."""


def tag_text(tag: Tag) -> str:
    """Write a tag as it is kept."""
    return format(tag_bits(tag), f"0{TAG_PLACES}b")


def short_tag(bits: int) -> int:
    """Write a tag, or a mask of tags, in 63 bits: its lowest 62, and one for all the others."""
    return bits % (1 << SHORT_PLACES) | (bits >> SHORT_PLACES > 0) << SHORT_PLACES


def needs_pattern(bits: int) -> str:
    """Write the `LIKE` pattern of tags that have all of these bits."""
    return format(bits, f"0{TAG_PLACES}b").replace("0", "_")


def within_pattern(bits: int) -> str:
    """Write the `LIKE` pattern of tags that have none but these bits."""
    return format(bits, f"0{TAG_PLACES}b").replace("1", "_")


_ADDRESS = String(42)
_HASH = String(66)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
    }
)

follower = Table(
    "follower",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("chain_id", BigInteger, nullable=False),
    Column("hub", _ADDRESS, nullable=False),
    Column("next_block", BigInteger, nullable=False),
    Column("last_hash", _HASH),
    Column("first_block", BigInteger),
)
"""
One row: which hub the records are about, the first block that is not in them yet, the hash of the one before, and the first block that is
in them.
"""

NOT_OPEN: ColumnElement[bool] = literal_column("status != 'open'")
"""As both databases must read it in a question to see that the index of the lists serves it: word by word as the index has it."""

orders = Table(
    "orders",
    metadata,
    Column("hash", _HASH, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("content", Text, nullable=False),
    Column("signer", _ADDRESS, nullable=False),
    Column("resource", _ADDRESS, nullable=False),
    Column("status", String(16), nullable=False),
    Column("rank", Uint256, nullable=False),
    Column("price", Uint256, nullable=False),
    Column("remaining", Uint256, nullable=False),
    Column("category", Uint256),
    Column("trust", Uint256),
    Column("tag", String(TAG_PLACES), nullable=False),
    Column("short_tag", BigInteger, nullable=False, server_default="0"),
    Column("app", _ADDRESS, nullable=False),
    Column("dataset", _ADDRESS, nullable=False),
    Column("workerpool", _ADDRESS, nullable=False),
    Column("requester", _ADDRESS, nullable=False),
    Column("beneficiary", _ADDRESS, nullable=False, server_default=ZERO_ADDRESS),
    Column("is_bulk", Boolean, nullable=False, server_default=false()),
    Column("published_at", BigInteger, nullable=False),
    Column("owner", _ADDRESS, nullable=False),
    Column("stake", Uint256, nullable=False),
    Column("is_closed", Boolean, nullable=False),
    Column("is_removed", Boolean, nullable=False),
    Column("proven_at", BigInteger, nullable=False),
    Column("number", BigInteger, nullable=False, server_default="0"),
    Column("lacks", Text, nullable=False, server_default=""),
    Index(
        "ix_orders_listing",
        *("status", "kind", "rank", "published_at", "hash"),
        sqlite_where=NOT_OPEN,
        postgresql_where=NOT_OPEN,
    ),
    Index("ix_orders_of_resource", "resource", "status", "kind"),
    Index(None, "signer", "status"),
    Index(None, "number"),
)
"""
The book. `content` is the order as JSON; the columns after it serve to find and judge it. Open orders are listed in memory, so a new order
has few indexes to enter.
"""

moments = Table(
    "moments",
    metadata,
    Column("order_hash", _HASH, ForeignKey(orders.c.hash), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("what", String(32), nullable=False),
    Column("detail", Text, nullable=False),
)
"""The story of each order: when its status changed, and why."""

DEAL_INDEXES = (
    *("requester", "app", "dataset", "workerpool", "app_owner", "dataset_owner", "workerpool_owner"),
    *("app_order", "dataset_order", "workerpool_order", "request_order"),
)
"""The columns by which deals are looked for."""

deals = Table(
    "deals",
    metadata,
    Column("deal_id", _HASH, primary_key=True),
    Column("app", _ADDRESS, nullable=False),
    Column("dataset", _ADDRESS, nullable=False),
    Column("workerpool", _ADDRESS, nullable=False),
    Column("app_owner", _ADDRESS, nullable=False),
    Column("dataset_owner", _ADDRESS, nullable=False),
    Column("workerpool_owner", _ADDRESS, nullable=False),
    Column("requester", _ADDRESS, nullable=False),
    Column("beneficiary", _ADDRESS, nullable=False),
    Column("callback", _ADDRESS, nullable=False),
    Column("params", Text, nullable=False),
    Column("app_price", Uint256, nullable=False),
    Column("dataset_price", Uint256, nullable=False),
    Column("workerpool_price", Uint256, nullable=False),
    Column("app_order", _HASH, nullable=False),
    Column("dataset_order", _HASH, nullable=False),
    Column("workerpool_order", _HASH, nullable=False),
    Column("request_order", _HASH, nullable=False),
    Column("category", Uint256, nullable=False),
    Column("trust", Uint256, nullable=False),
    Column("tag", _HASH, nullable=False),
    Column("first_index", Uint256, nullable=False),
    Column("volume", Uint256, nullable=False),
    Column("worker_stake", Uint256, nullable=False),
    Column("scheduler_reward_ratio", Uint256, nullable=False),
    Column("start", BigInteger, nullable=False),
    Column("block", BigInteger, nullable=False),
    Column("tx_hash", _HASH, nullable=False),
    Column("log_index", BigInteger, nullable=False),
    Index(None, "block", "log_index"),
    *(Index(None, column) for column in DEAL_INDEXES),
)
"""Deals, as their event and the hub's record say."""

categories = Table(
    "categories",
    metadata,
    Column("number", Uint256, primary_key=True),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("time_ref_s", Uint256, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("block", BigInteger, nullable=False),
    Column("tx_hash", _HASH, nullable=False),
)
"""Categories, as their events say."""

challenges = Table(
    "challenges",
    metadata,
    Column("digest", _HASH, primary_key=True),
    Column("address", _ADDRESS, nullable=False),
    Column("text", Text, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index(None, "address"),
    Index(None, "expires_at"),
)
"""What was given out to be signed by an address, once, until it expires."""

wants = Table(
    "wants",
    metadata,
    Column("order_hash", _HASH, ForeignKey(orders.c.hash), primary_key=True),
    Column("resource", _ADDRESS, primary_key=True),
    Index(None, "resource"),
)
"""Requests that are to be in the book only while it has offers of their app and dataset, which are the resources."""

used = Table("used_orders", metadata, Column("order_hash", _HASH, primary_key=True))
"""Orders of which something was used or closed on the chain, whether they are in the book or not."""

feed = Table(
    "feed",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("topic", String(16), nullable=False),
    Column("content", Text, nullable=False),
)
"""The last things that happened, as the live feed tells them: `content` is an event as JSON."""

tasks = Table(
    "tasks",
    metadata,
    Column("task_id", _HASH, primary_key=True),
    Column("deal_id", _HASH, nullable=False),
    Column("index", Uint256, nullable=False),
    Column("status", Integer, nullable=False),
    Column("consensus", _HASH),
    Column("results", Text, nullable=False),
    Index(None, "deal_id", "index"),
)
"""Tasks that were initialised, as their events say."""
