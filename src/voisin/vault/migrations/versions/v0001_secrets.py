"""Secrets, challenges, nonces and uses"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_ADDRESS = sa.String(42)
_HASH = sa.String(66)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "vault",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("chain_id", sa.BigInteger(), nullable=False),
        sa.Column("hub", _ADDRESS, nullable=False),
        sa.Column("address", _ADDRESS, nullable=True),
        sa.Column("key_id", sa.String(16), nullable=True),
        sa.Column("box", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_vault"),
    )
    _make_sealed()
    op.create_table(
        "nonces",
        sa.Column("signer", _ADDRESS, nullable=False),
        sa.Column("nonce", _HASH, nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("signer", "nonce", name="pk_nonces"),
    )
    op.create_index("ix_nonces_until", "nonces", ["until"])
    _make_releases()


def downgrade() -> None:
    """Drop the tables."""
    for table in ("releases", "nonces", "challenges", "secrets", "vault"):
        op.drop_table(table)


def _make_sealed() -> None:
    op.create_table(
        "secrets",
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("holder", _ADDRESS, nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("pushed_by", _ADDRESS, nullable=False),
        sa.Column("pushed_at", sa.BigInteger(), nullable=False),
        sa.Column("key_id", sa.String(16), nullable=False),
        sa.Column("box", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "holder", "name", name="pk_secrets"),
    )
    op.create_index("ix_secrets_pushed_by", "secrets", ["pushed_by"])
    op.create_table(
        "challenges",
        sa.Column("task_id", _HASH, nullable=False),
        sa.Column("challenge", _ADDRESS, nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("key_id", sa.String(16), nullable=False),
        sa.Column("box", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("task_id", name="pk_challenges"),
    )
    op.create_index("ix_challenges_expires_at", "challenges", ["expires_at"])


def _make_releases() -> None:
    op.create_table(
        "releases",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("owner", _ADDRESS, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("holder", _ADDRESS, nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("task_id", _HASH, nullable=False),
        sa.Column("deal_id", _HASH, nullable=False),
        sa.Column("app", _ADDRESS, nullable=False),
        sa.Column("workerpool", _ADDRESS, nullable=False),
        sa.Column("requester", _ADDRESS, nullable=False),
        sa.Column("worker", _ADDRESS, nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_releases"),
    )
    op.create_index("ix_releases_owner_id", "releases", ["owner", "id"])
