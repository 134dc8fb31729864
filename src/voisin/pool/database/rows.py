"""Records as rows of the database, and back."""

from __future__ import annotations

from dataclasses import fields

import msgspec
from sqlalchemy import RowMapping, Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from voisin.pool.database import schema
from voisin.pool.database.logs import AppLog
from voisin.pool.heart.records import DealRecord, ReplicaRecord, StoryLine, TaskFile, TaskRecord, WorkerRecord
from voisin.protocol.api import Moment
from voisin.protocol.ids import TaskId
from voisin.protocol.records import Deal

Row = dict[str, object]


async def read_files(connection: AsyncConnection, chosen: Select[tuple[object, ...]]) -> list[TaskFile]:
    """Read tasks with their replicas and stories."""
    ids = chosen.with_only_columns(schema.tasks.c.task_id)
    rows = (await connection.execute(chosen.order_by(schema.tasks.c.deal_id, schema.tasks.c.index))).mappings()
    tasks = [task_of_row(row) for row in rows]
    replicas: dict[TaskId, list[ReplicaRecord]] = {}
    for row in (await connection.execute(select(schema.replicas).where(schema.replicas.c.task_id.in_(ids)))).mappings():
        replicas.setdefault(row["task_id"], []).append(replica_of_row(row))
    story: dict[TaskId, list[StoryLine]] = {}
    lines = select(schema.story).where(schema.story.c.task_id.in_(ids)).order_by(schema.story.c.id)
    for row in (await connection.execute(lines)).mappings():
        story.setdefault(row["task_id"], []).append(line_of_row(row))
    return [TaskFile(task=t, replicas=tuple(replicas.get(t.task_id, ())), story=tuple(story.get(t.task_id, ()))) for t in tasks]


def record_row(record: TaskRecord | ReplicaRecord | WorkerRecord | AppLog) -> Row:
    """Lay a record out as a row."""
    return {field.name: getattr(record, field.name) for field in fields(record)}


def deal_row(deal: DealRecord) -> Row:
    """Lay a deal out as a row; who holds it is not part of the record."""
    place: Row = {"deal_id": deal.deal_id, "seq": deal.seq, "block": deal.block, "time_ref_s": deal.time_ref_s}
    return place | {"deal": msgspec.json.encode(deal.deal).decode()}


def line_row(line: StoryLine) -> Row:
    """Lay a line of a story out as a row."""
    moment = line.moment
    return {"task_id": line.task_id, "worker": line.worker, "at": moment.at, "what": moment.what, "detail": moment.detail}


def deal_of_row(row: RowMapping) -> DealRecord:
    """Read a deal."""
    deal = msgspec.json.decode(row["deal"], type=Deal)
    return DealRecord(deal_id=row["deal_id"], seq=row["seq"], block=row["block"], time_ref_s=row["time_ref_s"], deal=deal)


def task_of_row(row: RowMapping) -> TaskRecord:
    """Read a task."""
    return msgspec.convert(plain(row), TaskRecord)


def replica_of_row(row: RowMapping) -> ReplicaRecord:
    """Read a replica."""
    return msgspec.convert(plain(row), ReplicaRecord)


def worker_of_row(row: RowMapping) -> WorkerRecord:
    """Read a worker."""
    return msgspec.convert(plain(row), WorkerRecord)


def plain(row: RowMapping) -> Row:
    """Give a row with plain text for keys; SQLAlchemy's own are a kind of text that msgspec refuses."""
    return {str(key): value for key, value in row.items()}


def line_of_row(row: RowMapping) -> StoryLine:
    """Read a line of a story."""
    return StoryLine(task_id=row["task_id"], worker=row["worker"], moment=Moment(row["at"], row["what"], row["detail"]))
