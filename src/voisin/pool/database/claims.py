"""
Which scheduler works on which deal, when several share a pool and its database.

Each scheduler is a session with a lease that it renews; a deal has a holder and an epoch that grows with each change of holder. A deal
is taken under a lock of its row, and whoever writes about one proves in the same transaction that it still holds it in that epoch: a
scheduler that was thought dead and comes back can write nothing about what another has taken over. Times go by the database's clock.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import anyio
from sqlalchemy import ColumnElement, Float, RowMapping, Select, cast, delete, exists, extract, func, insert, literal, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from voisin.errors import InputError, StateError
from voisin.pool.database import schema
from voisin.pool.database.opening import RECORDS
from voisin.pool.database.rows import deal_of_row, deal_row, read_files, worker_of_row
from voisin.pool.heart.records import ENDS, DealRecord, Taken, TaskFile, WorkerRecord
from voisin.protocol.ids import DealId
from voisin.service.databases import writing

LEAD = "lead"
"""The duty of the one scheduler that keeps the offers and announces the pool."""


@dataclass(slots=True)
class Lease:
    """What a scheduler holds: its session, and the epoch in which it took each of its deals."""

    session: int
    epochs: dict[DealId, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Peer:
    """A living scheduler, and where it answers; empty while it does not."""

    session: int
    name: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Company:
    """
    What a scheduler learns when it renews its lease.

    Attributes:
        peers: All living schedulers, itself included, the oldest first.
        held: The deals that it holds, with their epochs.
        leads: Whether it is the one that keeps the offers and announces the pool.
        is_draining: Whether the pool takes no new deals.
        caught: The workers that some scheduler saw do wrong: how often, and who gets no more tasks.
    """

    peers: tuple[Peer, ...]
    held: dict[DealId, int]
    leads: bool
    is_draining: bool
    caught: tuple[WorkerRecord, ...] = ()


class Claims(Protocol):
    """
    Where schedulers agree on who works on what.

    Attributes:
        is_sole: Whether there can be one scheduler only.
    """

    is_sole: bool

    async def join(self, name: str, lease_s: float) -> int:
        """
        Begin a session; whoever had the name before loses it.

        Raises:
            InputError: The database is for one scheduler only, and another one lives.
        """
        ...

    async def renew(self, session: int, url: str, lease_s: float) -> Company:
        """
        Renew a lease.

        Raises:
            StateError: Another process took the name.
        """
        ...

    async def find(self, session: int, deals: Sequence[DealRecord], wanted: Collection[DealId]) -> dict[DealId, int]:
        """Write down deals that were found, take those that are wanted and free, and answer which of them are held, with their epochs."""
        ...

    async def take(self, session: int) -> list[Taken]:
        """Take a fair share of the deals that nobody alive works on."""
        ...

    async def leave(self, session: int, next_block: int) -> None:
        """Give everything back and end the session; the records go as far as the block before `next_block`."""
        ...

    async def drain(self, *, is_draining: bool) -> None:
        """Have the pool take no new deals, or take them again."""
        ...


class SqlClaims:
    """Claims in a database; see `Claims`."""

    def __init__(self, engine: AsyncEngine) -> None:
        """
        Args:
            engine: A pool's database, with its tables up to date.
        """
        self._engine = engine
        self._is_shared = engine.dialect.name == "postgresql"
        self.is_sole = not self._is_shared
        self._insert = postgresql.insert if self._is_shared else sqlite.insert

    async def join(self, name: str, lease_s: float) -> int:
        """Begin a session."""
        held = exists().where(schema.deals.c.holder == schema.schedulers.c.session, ~schema.deals.c.is_over)
        with anyio.CancelScope(shield=True), RECORDS.answering():
            async with writing(self._engine) as connection:
                place = (await connection.execute(select(schema.position.c.next_block).with_for_update())).scalar_one()
                await self._require_alone(connection, name)
                same = update(schema.schedulers).where(schema.schedulers.c.name == name)
                await connection.execute(same.values(name=None, alive_until=0))
                await connection.execute(delete(schema.schedulers).where(schema.schedulers.c.alive_until < self._now(), ~held))
                row = {"name": name, "url": "", "next_block": place, "alive_until": self._now() + lease_s}
                made = await connection.execute(insert(schema.schedulers).values(row).returning(schema.schedulers.c.session))
        return int(made.scalar_one())

    async def renew(self, session: int, url: str, lease_s: float) -> Company:
        """Renew a lease."""
        table, deals = schema.schedulers, schema.deals
        own = update(table).where(table.c.session == session, table.c.name.is_not(None))
        living = select(table.c.session, table.c.name, table.c.url).where(table.c.alive_until > self._now()).order_by(table.c.session)
        held = select(deals.c.deal_id, deals.c.epoch).where(deals.c.holder == session, ~deals.c.is_over)
        with anyio.CancelScope(shield=True), RECORDS.answering():
            async with writing(self._engine) as connection:
                if (await connection.execute(own.values(url=url, alive_until=self._now() + lease_s))).rowcount != 1:
                    raise StateError("another process took this scheduler's name", hint="give each its own: VOISIN_POOL_SCHEDULER")
                leads = await self._has_duty(connection, session)
                peers = [Peer(row.session, row.name or "", row.url) for row in await connection.execute(living)]
                mine = {row.deal_id: row.epoch for row in await connection.execute(held)}
                is_draining = (await connection.execute(select(schema.position.c.is_draining))).scalar_one()
                caught = await self._caught(connection) if self._is_shared else ()
        return Company(peers=tuple(peers), held=mine, leads=leads, is_draining=is_draining, caught=caught)

    async def find(self, session: int, deals: Sequence[DealRecord], wanted: Collection[DealId]) -> dict[DealId, int]:
        """Write down deals that were found, and take those that are wanted."""
        table = schema.deals
        ids = [deal.deal_id for deal in deals]
        rows = sorted((deal_row(deal) for deal in deals), key=lambda row: str(row["deal_id"]))
        free = table.c.deal_id.in_(wanted) & table.c.holder.is_(None) & table.c.from_block.is_(None) & ~table.c.is_over
        held = select(table.c.deal_id, table.c.epoch).where(table.c.deal_id.in_(ids), table.c.holder == session, ~table.c.is_over)
        with anyio.CancelScope(shield=True), RECORDS.answering():
            async with writing(self._engine) as connection:
                await connection.execute(self._insert(table).on_conflict_do_nothing(), rows)
                await connection.execute(update(table).where(free).values(holder=session, epoch=table.c.epoch + 1))
                found = {row.deal_id: row.epoch for row in await connection.execute(held)}
        return found

    async def take(self, session: int) -> list[Taken]:
        """Take a fair share of the deals that nobody alive works on."""
        deals, schedulers = schema.deals, schema.schedulers
        living = select(schedulers.c.session).where(schedulers.c.alive_until > self._now())
        orphaned = ~deals.c.is_over & or_(deals.c.holder.is_(None), deals.c.holder.not_in(living) & (deals.c.holder != session))
        written = select(schedulers.c.next_block).where(schedulers.c.session == deals.c.holder).scalar_subquery()
        start = func.coalesce(written, deals.c.from_block, deals.c.block).label("start")
        with anyio.CancelScope(shield=True), RECORDS.answering():
            async with writing(self._engine) as connection:
                count = (await connection.execute(select(func.count()).select_from(deals).where(orphaned))).scalar_one()
                if not count:
                    return []
                others = (await connection.execute(select(func.count()).select_from(living.subquery()))).scalar_one()
                share = -(-count // max(others, 1))
                chosen = select(deals, start).where(orphaned).order_by(deals.c.seq).limit(share).with_for_update(skip_locked=True, of=deals)
                rows = (await connection.execute(chosen)).mappings().all()
                ids = [row["deal_id"] for row in rows]
                taking = update(deals).where(deals.c.deal_id.in_(ids)).values(holder=session, epoch=deals.c.epoch + 1)
                await connection.execute(taking)
                theirs = select(schema.tasks).where(schema.tasks.c.deal_id.in_(ids))
                files = await read_files(connection, theirs.where(schema.tasks.c.phase.not_in(ENDS)))
                over = theirs.with_only_columns(schema.tasks.c.deal_id, schema.tasks.c.index).where(schema.tasks.c.phase.in_(ENDS))
                ended = [(row[0], row[1]) for row in await connection.execute(over)]
        return [_taken(row, files, ended) for row in rows]

    async def leave(self, session: int, next_block: int) -> None:
        """Give everything back and end the session."""
        deals, duties = schema.deals, schema.duties
        with anyio.CancelScope(shield=True), RECORDS.answering():
            async with writing(self._engine) as connection:
                back = update(deals).where(deals.c.holder == session, ~deals.c.is_over)
                await connection.execute(back.values(holder=None, from_block=next_block))
                await connection.execute(update(duties).where(duties.c.holder == session).values(holder=None))
                await connection.execute(delete(schema.schedulers).where(schema.schedulers.c.session == session))

    async def drain(self, *, is_draining: bool) -> None:
        """Have the pool take no new deals, or take them again."""
        with anyio.CancelScope(shield=True), RECORDS.answering():
            async with writing(self._engine) as connection:
                await connection.execute(update(schema.position).values(is_draining=is_draining))

    async def open_deals(self) -> int:
        """Count the deals of the pool that are not over."""
        with RECORDS.answering():
            async with self._engine.connect() as connection:
                count = select(func.count()).select_from(schema.deals).where(~schema.deals.c.is_over)
                found = (await connection.execute(count)).scalar_one()
        return found

    async def peers(self) -> list[Peer]:
        """List the living schedulers, the oldest first."""
        table = schema.schedulers
        living = select(table.c.session, table.c.name, table.c.url).where(table.c.alive_until > self._now()).order_by(table.c.session)
        with RECORDS.answering():
            async with self._engine.connect() as connection:
                found = [Peer(row.session, row.name or "", row.url) for row in await connection.execute(living)]
        return found

    async def _require_alone(self, connection: AsyncConnection, name: str) -> None:
        """On SQLite there is one scheduler: its transactions are not kept apart from those of another process."""
        table = schema.schedulers
        others = select(table.c.name).where(table.c.alive_until > self._now(), table.c.name != name)
        other = None if self._is_shared else (await connection.execute(others)).scalar()
        if other is not None:
            hint = "put the records into PostgreSQL to have several schedulers"
            raise InputError(f"the scheduler {other!r} works on this database already", hint=hint)

    async def _caught(self, connection: AsyncConnection) -> tuple[WorkerRecord, ...]:
        """List the workers that did wrong, as far as it is written down; who works alone on a database knows it by itself."""
        chosen = select(schema.workers).where(or_(schema.workers.c.ban != "", schema.workers.c.faulty > 0))
        rows = (await connection.execute(chosen.order_by(schema.workers.c.address))).mappings()
        return tuple(worker_of_row(row) for row in rows)

    async def _has_duty(self, connection: AsyncConnection, session: int) -> bool:
        """Keep a duty, or take it when nobody alive has it."""
        duties, schedulers = schema.duties, schema.schedulers
        living = select(schedulers.c.session).where(schedulers.c.alive_until > self._now())
        await connection.execute(self._insert(duties).on_conflict_do_nothing(), {"duty": LEAD, "holder": session})
        is_free = or_(duties.c.holder.is_(None), duties.c.holder == session, duties.c.holder.not_in(living))
        done = await connection.execute(update(duties).where(duties.c.duty == LEAD, is_free).values(holder=session))
        return done.rowcount == 1

    def _now(self) -> ColumnElement[float]:
        """The database's clock [Unix s]."""
        if self._is_shared:
            return cast(extract("epoch", func.clock_timestamp()), Float)
        return (func.julianday("now") - literal(2440587.5)) * literal(86400.0)


def _taken(row: RowMapping, files: Sequence[TaskFile], ended: Sequence[tuple[DealId, int]]) -> Taken:
    deal = deal_of_row(row)
    return Taken(
        deal=deal,
        epoch=row["epoch"] + 1,
        from_block=row["start"],
        tasks=tuple(file for file in files if file.task.deal_id == deal.deal_id),
        ended=frozenset(index for owner, index in ended if owner == deal.deal_id),
    )


async def fence(connection: AsyncConnection, lease: Lease, deals: Collection[DealId]) -> set[DealId]:
    """Lock the rows of deals until the transaction ends, and answer which of them the lease does not cover any more."""
    table = schema.deals
    chosen: Select[tuple[DealId, int]] = select(table.c.deal_id, table.c.epoch).where(
        table.c.deal_id.in_(deals), table.c.holder == lease.session
    )
    found = {row.deal_id: row.epoch for row in await connection.execute(chosen.order_by(table.c.deal_id).with_for_update())}
    return {deal for deal in deals if deal not in found or found[deal] != lease.epochs.get(deal)}
