"""The entities, each with the blocks from and to which it holds"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

# name of the table: its columns, and those that are searched; u is a number of 256 bits, i one of 64, t text, ? may be null
TABLES = {
    "account": (
        "balance:u frozen:u score:u",
        "",
    ),
    "transaction": (
        "from:t? to:t? value:u gasLimit:u gasUsed:u gasPrice:u timestamp:u blockNumber:u",
        "from to timestamp",
    ),
    "transfer": (
        "transaction:t timestamp:u from:t to:t value:u",
        "transaction timestamp from to",
    ),
    "token_transfer": (
        "transaction:t timestamp:u from:t to:t value:u",
        "transaction timestamp from to",
    ),
    "reward": (
        "transaction:t timestamp:u account:t value:u task:t?",
        "transaction timestamp account task",
    ),
    "seize": (
        "transaction:t timestamp:u account:t value:u task:t?",
        "transaction timestamp account task",
    ),
    "lock": (
        "transaction:t timestamp:u account:t value:u",
        "transaction timestamp account",
    ),
    "unlock": (
        "transaction:t timestamp:u account:t value:u",
        "transaction timestamp account",
    ),
    "accurate_contribution": (
        "transaction:t timestamp:u account:t contribution:t score:u",
        "transaction timestamp account contribution",
    ),
    "faulty_contribution": (
        "transaction:t timestamp:u account:t contribution:t score:u",
        "transaction timestamp account contribution",
    ),
    "app": (
        "owner:t name:t type:t multiaddr:t checksum:t mrenclave:t timestamp:u",
        "owner timestamp",
    ),
    "dataset": (
        ("owner:t name:t multiaddr:t checksum:t timestamp:u creationTimestamp:u creationBlock:u creationTransaction:t"),
        "owner timestamp",
    ),
    "workerpool": (
        "owner:t description:t workerStakeRatio:u schedulerRewardRatio:u timestamp:u",
        "owner timestamp",
    ),
    "app_transfer": (
        "transaction:t timestamp:u app:t from:t to:t",
        "transaction timestamp app from to",
    ),
    "dataset_transfer": (
        "transaction:t timestamp:u dataset:t from:t to:t",
        "transaction timestamp dataset from to",
    ),
    "workerpool_transfer": (
        "transaction:t timestamp:u workerpool:t from:t to:t",
        "transaction timestamp workerpool from to",
    ),
    "scheduler_notice": (
        "transaction:t timestamp:u workerpool:t deal:t",
        "transaction timestamp workerpool deal",
    ),
    "app_order": (
        ("app:t appprice:u volume:u? tag:t? datasetrestrict:t? workerpoolrestrict:t? requesterrestrict:t? salt:t? sign:t?"),
        "app",
    ),
    "dataset_order": (
        ("dataset:t? datasetprice:u volume:u? tag:t? apprestrict:t? workerpoolrestrict:t? requesterrestrict:t? salt:t? sign:t?"),
        "dataset",
    ),
    "workerpool_order": (
        (
            "workerpool:t workerpoolprice:u volume:u? tag:t? category:t? trust:u? apprestrict:t? datasetrestrict:t? "
            "requesterrestrict:t? salt:t? sign:t?"
        ),
        "workerpool category",
    ),
    "request_order": (
        (
            "app:t? appmaxprice:u? dataset:t? datasetmaxprice:u? workerpool:t? workerpoolmaxprice:u? requester:t "
            "volume:u? tag:t? category:t? trust:u? beneficiary:t? callback:t? params:t? salt:t? sign:t?"
        ),
        "app dataset workerpool requester category beneficiary callback",
    ),
    "category": (
        "name:t description:t workClockTimeRef:u timestamp:u",
        "timestamp",
    ),
    "deal": (
        (
            "app:t appOwner:t appPrice:u dataset:t? datasetOwner:t datasetPrice:u workerpool:t workerpoolOwner:t "
            "workerpoolPrice:u trust:u category:t tag:t requester:t beneficiary:t callback:t params:t startTime:u "
            "botFirst:u botSize:u completedTasksCount:u claimedTasksCount:u workerStake:u schedulerRewardRatio:u "
            "sponsor:t timestamp:u apporder:t? datasetorder:t? workerpoolorder:t? requestorder:t? bulk:t?"
        ),
        (
            "app appOwner dataset datasetOwner workerpool workerpoolOwner category requester beneficiary callback "
            "sponsor timestamp apporder datasetorder workerpoolorder requestorder bulk"
        ),
    ),
    "task": (
        (
            "status:t deal:t index:u requester:t contributions:t consensus:t? resultDigest:t? results:t? "
            "resultsCallback:t? contributionDeadline:u revealDeadline:u? finalDeadline:u timestamp:u"
        ),
        "deal requester timestamp",
    ),
    "contribution": (
        "status:t timestamp:i task:t worker:t hash:t seal:t challenge:t",
        "timestamp task worker",
    ),
    "orders_matched": (
        "transaction:t timestamp:u deal:t",
        "transaction timestamp deal",
    ),
    "task_initialize": (
        "transaction:t timestamp:u task:t workerpool:t",
        "transaction timestamp task workerpool",
    ),
    "task_contribute": (
        "transaction:t timestamp:u task:t worker:t hash:t",
        "transaction timestamp task worker",
    ),
    "task_consensus": (
        "transaction:t timestamp:u task:t consensus:t",
        "transaction timestamp task",
    ),
    "task_reveal": (
        "transaction:t timestamp:u task:t worker:t digest:t",
        "transaction timestamp task worker",
    ),
    "task_reopen": (
        "transaction:t timestamp:u task:t",
        "transaction timestamp task",
    ),
    "task_finalize": (
        "transaction:t timestamp:u task:t results:t",
        "transaction timestamp task",
    ),
    "task_claimed": (
        "transaction:t timestamp:u task:t",
        "transaction timestamp task",
    ),
    "bulk": (
        "hash:t",
        "",
    ),
    "bulk_slice": (
        "task:t? hash:t bulk:t index:u datasets:t datasetOrders:t",
        "task bulk",
    ),
    "protocol": (
        (
            "categoriesCount:u appsCount:u datasetsCount:u workerpoolsCount:u dealsCount:u tasksCount:u "
            "completedTasksCount:u claimedTasksCount:u tvl:u"
        ),
        "",
    ),
    "schema_entry": (
        "path:t? type:t?",
        "",
    ),
}


def upgrade() -> None:
    """Make the tables."""
    for name, (columns, searched) in TABLES.items():
        op.create_table(
            name,
            sa.Column("id", _text(), nullable=False),
            sa.Column("to_block", sa.BigInteger(), autoincrement=False, nullable=False),
            sa.Column("from_block", sa.BigInteger(), nullable=False),
            *map(_column, columns.split()),
            sa.PrimaryKeyConstraint("id", "to_block", name=f"pk_{name}"),
        )
        for column in searched.split():
            op.create_index(f"ix_{name}_{column}".lower(), name, [column])
    op.create_table(
        "anchors",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.String(66), nullable=False),
        sa.Column("timestamp", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_anchors"),
    )
    op.create_table(
        "bulks_wanted",
        sa.Column("deal_id", sa.String(66), nullable=False),
        sa.Column("block", sa.BigInteger(), nullable=False),
        sa.Column("cid", sa.String(128), nullable=False),
        sa.Column("first_index", sa.String(78), nullable=False),
        sa.Column("size", sa.String(78), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("retry_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("deal_id", name="pk_bulks_wanted"),
    )
    op.create_index("ix_bulks_wanted_retry_at", "bulks_wanted", ["retry_at"])


def downgrade() -> None:
    """Drop the tables."""
    for name in ("bulks_wanted", "anchors", *TABLES):
        op.drop_table(name)


def _column(spelled: str) -> sa.Column[Any]:
    name, kind = spelled.removesuffix("?").split(":")
    column_type = sa.String(78) if kind == "u" else sa.BigInteger() if kind == "i" else _text()
    return sa.Column(name, column_type, nullable=spelled.endswith("?"), quote=True)


def _text() -> sa.Text:
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
