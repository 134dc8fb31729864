"""
A pool's records in a database; `voisin.pool.database.memory` has them in memory, for tests and simulations.

One call of `save` is one transaction: what a pool did and how far it has read the chain are remembered together or not at all.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Protocol

import anyio
import msgspec
from sqlalchemy import ColumnElement, Insert, Table, case, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from voisin.chain import Turns
from voisin.pool.bags.store import BagStore, SqlBagStore
from voisin.pool.database import schema
from voisin.pool.database.claims import Claims, Lease, SqlClaims, fence
from voisin.pool.database.logs import AppLog
from voisin.pool.database.opening import RECORDS, open_database
from voisin.pool.database.rows import deal_of_row, deal_row, line_row, plain, read_files, record_row, worker_of_row
from voisin.pool.database.turns import turns_in
from voisin.pool.heart.records import (
    ENDS,
    Changes,
    DealRecord,
    Position,
    ReplicaRecord,
    Snapshot,
    TaskFile,
    TaskRecord,
    WorkerRecord,
)
from voisin.protocol.eip712 import Domain
from voisin.protocol.ids import Address, DealId, Hash32, TaskId
from voisin.service.databases import writing
from voisin.units import UnixSeconds

_OPEN = schema.tasks.c.phase.not_in([phase.value for phase in ENDS])


class PoolStore(Protocol):
    """Where a pool remembers."""

    @property
    def claims(self) -> Claims:
        """Who works on which deal."""
        ...

    @property
    def bags(self) -> BagStore:
        """Where bags are remembered."""
        ...

    async def load(self, *, with_deals: bool = True) -> Snapshot:
        """Give everything that is not at an end, or only the place on the chain and the workers."""
        ...

    async def save(self, changes: Changes, position: Position | None, lease: Lease | None = None) -> set[DealId]:
        """
        Remember changes, and how far the chain is taken in if that changed, all or nothing.

        Args:
            changes: What changed. What is about deals that the lease does not cover any more is left out.
            position: How far the chain is taken in; None when that did not change.
            lease: What the writer holds; None when nobody else can write.

        Returns:
            The deals that the lease does not cover any more.
        """
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
        """Keep logs; see `voisin.pool.database.logs.LogStore`."""
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
    Open the records in a database; arguments and errors are `voisin.pool.database.opening.open_database`'s.

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
        self._claims = SqlClaims(engine)
        self._bags = SqlBagStore(engine)

    def turns(self, wallet: Address) -> Turns:
        """Give the turns of the scheduler's wallet, which all schedulers of the pool send from."""
        return turns_in(self._engine, wallet)

    @property
    def claims(self) -> Claims:
        """Who works on which deal."""
        return self._claims

    @property
    def bags(self) -> BagStore:
        """Where bags are remembered."""
        return self._bags

    async def load(self, *, with_deals: bool = True) -> Snapshot:
        """Give everything that is not at an end, or only the place on the chain and the workers."""
        with RECORDS.answering():
            async with self._engine.connect() as connection:
                place = (await connection.execute(select(schema.position))).one()
                workers = [worker_of_row(row) for row in (await connection.execute(select(schema.workers))).mappings()]
                deals, tasks = await self._open(connection) if with_deals else ((), ())
        return Snapshot(position=Position(place.next_block, place.last_hash), deals=deals, tasks=tasks, workers=tuple(workers))

    async def _open(self, connection: AsyncConnection) -> tuple[tuple[DealRecord, ...], tuple[TaskFile, ...]]:
        open_deals = select(schema.tasks.c.deal_id).where(_OPEN).distinct()
        found = select(schema.deals).where(schema.deals.c.deal_id.in_(open_deals)).order_by(schema.deals.c.seq)
        deals = tuple(deal_of_row(row) for row in (await connection.execute(found)).mappings())
        return deals, tuple(await read_files(connection, select(schema.tasks).where(_OPEN)))

    async def save(self, changes: Changes, position: Position | None, lease: Lease | None = None) -> set[DealId]:
        """Remember changes, all or nothing; never cancelled half-way."""
        lost: set[DealId] = set()
        with anyio.CancelScope(shield=True), RECORDS.answering():
            async with writing(self._engine) as connection:
                if lease is not None and changes.touched:
                    lost = await fence(connection, lease, changes.touched)
                    changes.strike(lost)
                await self._write(connection, changes)
                if position is not None:
                    await _move(connection, position, lease)
        return lost

    async def _write(self, connection: AsyncConnection, changes: Changes) -> None:
        """Write in an order that is the same for everybody, so that two writers never wait for each other."""
        if changes.deals:
            await connection.execute(
                self._insert(schema.deals).on_conflict_do_nothing(), [deal_row(each) for each in changes.deals.values()]
            )
        await self._put(connection, schema.tasks, changes.tasks.values())
        await self._put(connection, schema.replicas, changes.replicas.values())
        if changes.story:
            await connection.execute(insert(schema.story), [line_row(line) for line in changes.story])
        if changes.over:
            over = update(schema.deals).where(schema.deals.c.deal_id.in_(changes.over))
            await connection.execute(over.values(is_over=True, holder=None))
        await self._put_workers(connection, changes)

    async def _put_workers(self, connection: AsyncConnection, changes: Changes) -> None:
        """Write workers down; what is known of their faults is added up, as other schedulers see faults too."""
        known = [changes.workers[address] for address in sorted(changes.workers)]
        await self._put(connection, schema.workers, [replace(each, faulty=each.faulty - changes.faults[each.address]) for each in known])
        for address, count in sorted(changes.faults.items()):
            more = update(schema.workers).where(schema.workers.c.address == address)
            await connection.execute(more.values(faulty=schema.workers.c.faulty + count))

    async def task(self, task_id: TaskId) -> TaskFile | None:
        """Find a task, whatever its phase."""
        with RECORDS.answering():
            async with self._engine.connect() as connection:
                found = await read_files(connection, select(schema.tasks).where(schema.tasks.c.task_id == task_id))
        return found[0] if found else None

    async def deal(self, deal_id: DealId) -> list[TaskFile]:
        """List the tasks of a deal by index."""
        with RECORDS.answering():
            async with self._engine.connect() as connection:
                return await read_files(connection, select(schema.tasks).where(schema.tasks.c.deal_id == deal_id))

    async def deal_record(self, deal_id: DealId) -> DealRecord | None:
        """Find a deal, whatever became of its tasks."""
        with RECORDS.answering():
            async with self._engine.connect() as connection:
                row = (await connection.execute(select(schema.deals).where(schema.deals.c.deal_id == deal_id))).mappings().one_or_none()
        return None if row is None else deal_of_row(row)

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
                return [msgspec.convert(plain(row), AppLog) for row in (await connection.execute(chosen)).mappings()]

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
        rows = [record_row(record) for record in records]
        if rows:
            await connection.execute(self._upserts[table.name], rows)


async def _move(connection: AsyncConnection, position: Position, lease: Lease | None) -> None:
    """Say how far the chain is taken in: by the holder of the lease, and so by the pool if nobody was further."""
    table, place = schema.position, {"next_block": position.next_block, "last_hash": position.last_hash}
    if lease is not None:
        own = update(schema.schedulers).where(schema.schedulers.c.session == lease.session)
        await connection.execute(own.values(next_block=position.next_block))
    further = update(table).where(table.c.next_block < position.next_block) if lease is not None else update(table)
    await connection.execute(further.values(place))


def _upsert(new: postgresql.Insert | sqlite.Insert) -> Insert:
    """Write a row, or replace the one that has its key; a worker's faults are added up elsewhere, and a ban stays."""
    keys = [column.name for column in new.table.primary_key]
    rest: dict[str, ColumnElement[object]] = {column.name: new.excluded[column.name] for column in new.table.c if column.name not in keys}
    if new.table is schema.workers:
        del rest["faulty"]
        rest["ban"] = case((new.excluded.ban != "", new.excluded.ban), else_=schema.workers.c.ban)
    return new.on_conflict_do_update(index_elements=keys, set_=rest)
