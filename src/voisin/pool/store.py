"""
A pool's records, in a database or, for tests and simulations, in memory.

One call of `save` is one transaction: what a pool did and how far it has read the chain are remembered together or not at all.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import fields
from typing import Protocol

import anyio
import msgspec
from sqlalchemy import Insert, RowMapping, Select, Table, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from voisin.pool import schema
from voisin.pool.database import RECORDS, open_database
from voisin.pool.logs import AppLog
from voisin.pool.records import (
    ENDS,
    Changes,
    DealRecord,
    Position,
    ReplicaRecord,
    Snapshot,
    StoryLine,
    TaskFile,
    TaskRecord,
    WorkerRecord,
)
from voisin.protocol.api import Moment
from voisin.protocol.eip712 import Domain
from voisin.protocol.ids import Address, DealId, Hash32, TaskId
from voisin.protocol.records import Deal
from voisin.service.databases import writing
from voisin.units import UnixSeconds

Row = dict[str, object]

_OPEN = schema.tasks.c.phase.not_in([phase.value for phase in ENDS])


class PoolStore(Protocol):
    """Where a pool remembers."""

    async def load(self) -> Snapshot:
        """Give everything that is not at an end."""
        ...

    async def save(self, changes: Changes, position: Position | None) -> None:
        """Remember changes, and how far the chain is taken in if that changed, all or nothing."""
        ...

    async def task(self, task_id: TaskId) -> TaskFile | None:
        """Find a task, whatever its phase."""
        ...

    async def deal(self, deal_id: DealId) -> list[TaskFile]:
        """List the tasks of a deal by index; empty for a deal that is not this pool's."""
        ...

    async def deal_record(self, deal_id: DealId) -> DealRecord | None:
        """Find a deal, whatever became of its tasks."""
        ...

    async def save_logs(self, logs: Iterable[AppLog]) -> None:
        """Keep logs; see `voisin.pool.logs.LogStore`."""
        ...

    async def logs(self, task_id: TaskId) -> list[AppLog]:
        """List what was printed for a task, by worker."""
        ...

    async def use_nonce(self, signer: Address, nonce: Hash32, until: UnixSeconds) -> bool:
        """Remember a signature's nonce; False when it was used before."""
        ...

    async def forget_logs(self, now: UnixSeconds) -> None:
        """Forget logs that have expired, and nonces of signatures that count no more."""
        ...


@asynccontextmanager
async def open_store(database_url: str, domain: Domain, workerpool: Address, start_block: int) -> AsyncIterator[SqlStore]:
    """
    Open the records in a database; arguments and errors are `voisin.pool.database.open_database`'s.

    Yields:
        The records.
    """
    async with open_database(database_url, domain, workerpool, start_block) as engine:
        yield SqlStore(engine)


class SqlStore:
    """Records in a database; see `PoolStore`."""

    def __init__(self, engine: AsyncEngine) -> None:
        """
        Args:
            engine: A database whose tables are up to date; `open_store` makes one.
        """
        self._engine = engine
        self._insert = postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert
        self._upserts = {table.name: _upsert(self._insert(table)) for table in (schema.tasks, schema.replicas, schema.workers, schema.logs)}

    async def load(self) -> Snapshot:
        """Give everything that is not at an end."""
        with RECORDS.answering():
            async with self._engine.connect() as connection:
                place = (await connection.execute(select(schema.position))).one()
                open_deals = select(schema.tasks.c.deal_id).where(_OPEN).distinct()
                found = select(schema.deals).where(schema.deals.c.deal_id.in_(open_deals)).order_by(schema.deals.c.seq)
                deals = [_deal(row) for row in (await connection.execute(found)).mappings()]
                last = (await connection.execute(select(func.max(schema.deals.c.seq)))).scalar()
                workers = [_worker(row) for row in (await connection.execute(select(schema.workers))).mappings()]
                tasks = await _files(connection, select(schema.tasks).where(_OPEN))
        return Snapshot(
            position=Position(place.next_block, place.last_hash),
            deals=tuple(deals),
            tasks=tuple(tasks),
            workers=tuple(workers),
            next_seq=0 if last is None else last + 1,
        )

    async def save(self, changes: Changes, position: Position | None) -> None:
        """Remember changes, all or nothing; never cancelled half-way."""
        with anyio.CancelScope(shield=True), RECORDS.answering():
            async with writing(self._engine) as connection:
                if changes.deals:
                    await connection.execute(insert(schema.deals), [_deal_row(deal) for deal in changes.deals.values()])
                await self._put(connection, schema.tasks, changes.tasks.values())
                await self._put(connection, schema.replicas, changes.replicas.values())
                await self._put(connection, schema.workers, changes.workers.values())
                if changes.story:
                    await connection.execute(insert(schema.story), [_line_row(line) for line in changes.story])
                if position is not None:
                    place = {"next_block": position.next_block, "last_hash": position.last_hash}
                    await connection.execute(update(schema.position).values(place))

    async def task(self, task_id: TaskId) -> TaskFile | None:
        """Find a task, whatever its phase."""
        with RECORDS.answering():
            async with self._engine.connect() as connection:
                found = await _files(connection, select(schema.tasks).where(schema.tasks.c.task_id == task_id))
        return found[0] if found else None

    async def deal(self, deal_id: DealId) -> list[TaskFile]:
        """List the tasks of a deal by index."""
        with RECORDS.answering():
            async with self._engine.connect() as connection:
                return await _files(connection, select(schema.tasks).where(schema.tasks.c.deal_id == deal_id))

    async def deal_record(self, deal_id: DealId) -> DealRecord | None:
        """Find a deal, whatever became of its tasks."""
        with RECORDS.answering():
            async with self._engine.connect() as connection:
                row = (await connection.execute(select(schema.deals).where(schema.deals.c.deal_id == deal_id))).mappings().one_or_none()
        return None if row is None else _deal(row)

    async def save_logs(self, logs: Iterable[AppLog]) -> None:
        """Keep logs."""
        with anyio.CancelScope(shield=True), RECORDS.answering():
            async with writing(self._engine) as connection:
                await self._put(connection, schema.logs, logs)

    async def logs(self, task_id: TaskId) -> list[AppLog]:
        """List what was printed for a task, by worker."""
        chosen = select(schema.logs).where(schema.logs.c.task_id == task_id).order_by(schema.logs.c.worker)
        with RECORDS.answering():
            async with self._engine.connect() as connection:
                return [msgspec.convert(_plain(row), AppLog) for row in (await connection.execute(chosen)).mappings()]

    async def use_nonce(self, signer: Address, nonce: Hash32, until: UnixSeconds) -> bool:
        """Remember a signature's nonce."""
        new = self._insert(schema.nonces).on_conflict_do_nothing()
        with anyio.CancelScope(shield=True), RECORDS.answering():
            async with writing(self._engine) as connection:
                done = await connection.execute(new, {"signer": signer, "nonce": nonce, "until": until})
        return done.rowcount == 1

    async def forget_logs(self, now: UnixSeconds) -> None:
        """Forget logs that have expired, and nonces of signatures that count no more."""
        with anyio.CancelScope(shield=True), RECORDS.answering():
            async with writing(self._engine) as connection:
                await connection.execute(delete(schema.logs).where(schema.logs.c.expires_at <= now))
                await connection.execute(delete(schema.nonces).where(schema.nonces.c.until <= now))

    async def _put(
        self, connection: AsyncConnection, table: Table, records: Iterable[TaskRecord | ReplicaRecord | WorkerRecord | AppLog]
    ) -> None:
        rows = [_row(record) for record in records]
        if rows:
            await connection.execute(self._upserts[table.name], rows)


def _upsert(new: postgresql.Insert | sqlite.Insert) -> Insert:
    """Write a row, or replace the one that has its key."""
    keys = [column.name for column in new.table.primary_key]
    rest = {column.name: new.excluded[column.name] for column in new.table.c if column.name not in keys}
    return new.on_conflict_do_update(index_elements=keys, set_=rest)


async def _files(connection: AsyncConnection, chosen: Select[tuple[object, ...]]) -> list[TaskFile]:
    """Read tasks with their replicas and stories."""
    ids = chosen.with_only_columns(schema.tasks.c.task_id)
    rows = (await connection.execute(chosen.order_by(schema.tasks.c.deal_id, schema.tasks.c.index))).mappings()
    tasks = [_task(row) for row in rows]
    replicas: dict[TaskId, list[ReplicaRecord]] = {}
    for row in (await connection.execute(select(schema.replicas).where(schema.replicas.c.task_id.in_(ids)))).mappings():
        replicas.setdefault(row["task_id"], []).append(_replica(row))
    story: dict[TaskId, list[StoryLine]] = {}
    lines = select(schema.story).where(schema.story.c.task_id.in_(ids)).order_by(schema.story.c.id)
    for row in (await connection.execute(lines)).mappings():
        story.setdefault(row["task_id"], []).append(_line(row))
    return [TaskFile(task=t, replicas=tuple(replicas.get(t.task_id, ())), story=tuple(story.get(t.task_id, ()))) for t in tasks]


def _row(record: TaskRecord | ReplicaRecord | WorkerRecord | AppLog) -> Row:
    return {field.name: getattr(record, field.name) for field in fields(record)}


def _deal_row(deal: DealRecord) -> Row:
    place: Row = {"deal_id": deal.deal_id, "seq": deal.seq, "block": deal.block, "time_ref_s": deal.time_ref_s}
    return place | {"deal": msgspec.json.encode(deal.deal).decode()}


def _line_row(line: StoryLine) -> Row:
    moment = line.moment
    return {"task_id": line.task_id, "worker": line.worker, "at": moment.at, "what": moment.what, "detail": moment.detail}


def _deal(row: RowMapping) -> DealRecord:
    deal = msgspec.json.decode(row["deal"], type=Deal)
    return DealRecord(deal_id=row["deal_id"], seq=row["seq"], block=row["block"], time_ref_s=row["time_ref_s"], deal=deal)


def _task(row: RowMapping) -> TaskRecord:
    return msgspec.convert(_plain(row), TaskRecord)


def _replica(row: RowMapping) -> ReplicaRecord:
    return msgspec.convert(_plain(row), ReplicaRecord)


def _worker(row: RowMapping) -> WorkerRecord:
    return msgspec.convert(_plain(row), WorkerRecord)


def _plain(row: RowMapping) -> Row:
    """Give a row with plain text for keys; SQLAlchemy's own are a kind of text that msgspec refuses."""
    return {str(key): value for key, value in row.items()}


def _line(row: RowMapping) -> StoryLine:
    return StoryLine(task_id=row["task_id"], worker=row["worker"], moment=Moment(row["at"], row["what"], row["detail"]))


class MemoryStore:
    """Records in memory, for tests and simulations; see `PoolStore`."""

    def __init__(self, start_block: int = 0) -> None:
        """
        Args:
            start_block: Where the hub's history starts.
        """
        self._position = Position(start_block)
        self._all = Changes()
        self._logs: dict[tuple[TaskId, Address], AppLog] = {}
        self._nonces: dict[tuple[Address, Hash32], UnixSeconds] = {}

    async def load(self) -> Snapshot:
        """Give everything that is not at an end."""
        tasks = [self._file(task) for task in self._all.tasks.values() if task.phase not in ENDS]
        open_deals = {file.task.deal_id for file in tasks}
        deals = sorted((deal for deal in self._all.deals.values() if deal.deal_id in open_deals), key=lambda deal: deal.seq)
        return Snapshot(
            position=self._position,
            deals=tuple(deals),
            tasks=tuple(tasks),
            workers=tuple(self._all.workers.values()),
            next_seq=len(self._all.deals),
        )

    async def save(self, changes: Changes, position: Position | None) -> None:
        """Remember changes."""
        self._all.deals |= changes.deals
        self._all.tasks |= changes.tasks
        self._all.replicas |= changes.replicas
        self._all.workers |= changes.workers
        self._all.story += changes.story
        self._position = position or self._position

    async def task(self, task_id: TaskId) -> TaskFile | None:
        """Find a task, whatever its phase."""
        found = self._all.tasks.get(task_id)
        return None if found is None else self._file(found)

    async def deal(self, deal_id: DealId) -> list[TaskFile]:
        """List the tasks of a deal by index."""
        found: Sequence[TaskRecord] = [task for task in self._all.tasks.values() if task.deal_id == deal_id]
        return [self._file(task) for task in sorted(found, key=lambda task: task.index)]

    async def deal_record(self, deal_id: DealId) -> DealRecord | None:
        """Find a deal, whatever became of its tasks."""
        return self._all.deals.get(deal_id)

    async def save_logs(self, logs: Iterable[AppLog]) -> None:
        """Keep logs."""
        self._logs |= {(log.task_id, log.worker): log for log in logs}

    async def logs(self, task_id: TaskId) -> list[AppLog]:
        """List what was printed for a task, by worker."""
        return [log for (task, _), log in sorted(self._logs.items()) if task == task_id]

    async def use_nonce(self, signer: Address, nonce: Hash32, until: UnixSeconds) -> bool:
        """Remember a signature's nonce."""
        is_new = (signer, nonce) not in self._nonces
        self._nonces[signer, nonce] = until
        return is_new

    async def forget_logs(self, now: UnixSeconds) -> None:
        """Forget logs that have expired, and nonces of signatures that count no more."""
        self._nonces = {key: until for key, until in self._nonces.items() if until > now}
        self._logs = {key: log for key, log in self._logs.items() if log.expires_at > now}

    def _file(self, task: TaskRecord) -> TaskFile:
        replicas = [replica for (task_id, _), replica in self._all.replicas.items() if task_id == task.task_id]
        story = [line for line in self._all.story if line.task_id == task.task_id]
        return TaskFile(task=task, replicas=tuple(replicas), story=tuple(story))
