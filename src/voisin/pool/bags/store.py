"""Where bags are remembered; every save is one transaction, however many tasks it is about."""

from __future__ import annotations

from functools import lru_cache
from typing import Protocol

import anyio
import msgspec
from sqlalchemy import Executable, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from voisin.pool.bags import schema
from voisin.pool.bags.records import BagChanges, BagRecord, BagSnapshot, EndedTask, Vote
from voisin.pool.database.claims import Lease, fence
from voisin.pool.database.opening import RECORDS
from voisin.pool.database.schema import deals
from voisin.pool.heart.records import DealRecord
from voisin.protocol.bag_api import BagStage
from voisin.protocol.bag_settlement import Dissent, PostedBag, pack_agreed, pack_others
from voisin.protocol.ids import Address, DealId, Hash32, TaskId, as_address, from_hex, task_id, to_hex
from voisin.service.databases import Spelled, writing
from voisin.units import NRLC

_WORKER, _VOTE = 20, 52

Row = dict[str, object]


class BagStore(Protocol):
    """The records of bags; every method raises `UnavailableError` when the database fails."""

    async def save(self, changes: BagChanges, lease: Lease) -> set[DealId]:
        """
        Remember changes, all or nothing; what is remembered already stays as it is.

        Args:
            changes: What changed. What is about deals that the lease does not cover any more is left out.
            lease: What the writer holds.

        Returns:
            The deals that the lease does not cover any more.
        """
        ...

    async def record(self, deal_id: DealId) -> BagRecord | None:
        """Find a bag."""
        ...

    async def load(self, deal_id: DealId) -> BagSnapshot | None:
        """Give what is needed to go on with a bag."""
        ...

    async def ended(self, deal_id: DealId) -> list[EndedTask]:
        """List the tasks of a bag that have ended, by index."""
        ...

    async def ended_after(self, deal_id: DealId, place: int, limit: int) -> list[EndedTask]:
        """List some of those that ended after the `place`-th, in the order in which they did."""
        ...

    async def count(self, deal_id: DealId) -> tuple[int, int]:
        """Count the tasks of a bag that have ended, with and without a result."""
        ...

    async def ended_task(self, task: TaskId) -> tuple[DealId, EndedTask] | None:
        """Find a task that has ended."""
        ...

    async def votes(self, deal_id: DealId, index: int) -> list[Vote]:
        """List what was said of a task."""
        ...

    async def earned(self, deal_id: DealId) -> dict[Address, NRLC]:
        """Tell what each worker was told that it has earned [nRLC]."""
        ...


class SqlBagStore:
    """Bags in a database; see `BagStore`."""

    def __init__(self, engine: AsyncEngine) -> None:
        """
        Args:
            engine: A pool's database, whose tables are up to date.
        """
        self._engine = engine
        new = postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert
        self._begin = new(schema.bags).on_conflict_do_nothing()
        self._vote = Spelled(engine, new(schema.votes).on_conflict_do_nothing())
        self._end = Spelled(engine, new(schema.ended).on_conflict_do_nothing())
        amount = new(schema.earned)
        pay = amount.on_conflict_do_update(index_elements=["deal", "worker"], set_={"amount": amount.excluded.amount})
        self._pay = Spelled(engine, pay)

    async def save(self, changes: BagChanges, lease: Lease) -> set[DealId]:
        """Remember changes, all or nothing; never cancelled half-way."""
        with anyio.CancelScope(shield=True), RECORDS.answering():
            async with writing(self._engine) as connection:
                lost = await fence(connection, lease, changes.touched)
                changes.strike(lost)
                await self._save(connection, changes)
        return lost

    async def _save(self, connection: AsyncConnection, changes: BagChanges) -> None:
        for record in changes.bags.values():
            row = _bag_row(record)
            await connection.execute(self._begin, row)
            await connection.execute(update(schema.bags).where(schema.bags.c.deal == row["deal"]).values(row))
            if record.is_over:
                await connection.execute(delete(schema.votes).where(schema.votes.c.deal == row["deal"]))
                over = update(deals).where(deals.c.deal_id == record.deal_id)
                await connection.execute(over.values(is_over=True, holder=None))
        if changes.votes:
            await self._vote.write(connection, (_vote_row(_raw(deal), vote) for deal, vote in changes.votes))
        if changes.ended:
            await self._end.write(connection, (_ended_row(deal, task) for deal, task in changes.ended))
        if changes.earned:
            earned = ((_raw(deal), _raw(worker), amount) for (deal, worker), amount in changes.earned.items())
            await self._pay.write(connection, ({"deal": deal, "worker": worker, "amount": amount} for deal, worker, amount in earned))

    async def record(self, deal_id: DealId) -> BagRecord | None:
        """Find a bag."""
        found = await self._rows(select(schema.bags).where(schema.bags.c.deal == from_hex(deal_id)))
        return _bag(found[0]) if found else None

    async def load(self, deal_id: DealId) -> BagSnapshot | None:
        """Give what is needed to go on with a bag."""
        record, deal = await self.record(deal_id), from_hex(deal_id)
        if record is None:
            return None
        ends = select(schema.ended.c.index, schema.ended.c.digest).where(schema.ended.c.deal == deal)
        ended = {row["index"]: any(row["digest"]) for row in await self._rows(ends)}
        is_open = ~select(schema.ended.c.index).where(schema.ended.c.deal == deal, schema.ended.c.index == schema.votes.c.index).exists()
        votes = [_vote(row) for row in await self._rows(select(schema.votes).where(schema.votes.c.deal == deal, is_open))]
        lacks_votes = any(ended.values()) and not await self._rows(select(schema.votes.c.index).where(schema.votes.c.deal == deal).limit(1))
        return BagSnapshot(record=record, ended=ended, votes=tuple(votes), earned=await self.earned(deal_id), lacks_votes=lacks_votes)

    async def ended(self, deal_id: DealId) -> list[EndedTask]:
        """List the tasks of a bag that have ended, by index."""
        chosen = select(schema.ended).where(schema.ended.c.deal == from_hex(deal_id)).order_by(schema.ended.c.index)
        return [_ended(row) for row in await self._rows(chosen)]

    async def ended_after(self, deal_id: DealId, place: int, limit: int) -> list[EndedTask]:
        """List some of those that ended after the `place`-th, in the order in which they did."""
        chosen = select(schema.ended).where(schema.ended.c.deal == from_hex(deal_id), schema.ended.c.place > place)
        return [_ended(row) for row in await self._rows(chosen.order_by(schema.ended.c.place).limit(limit))]

    async def count(self, deal_id: DealId) -> tuple[int, int]:
        """Count the tasks of a bag that have ended, with and without a result."""
        is_done = schema.ended.c.reason == ""
        chosen = select(is_done.label("is_done"), func.count().label("tasks")).where(schema.ended.c.deal == from_hex(deal_id))
        counts = {bool(row["is_done"]): row["tasks"] for row in await self._rows(chosen.group_by(is_done))}
        return counts.get(True, 0), counts.get(False, 0)

    async def ended_task(self, task: TaskId) -> tuple[DealId, EndedTask] | None:
        """Find a task that has ended."""
        found = await self._rows(select(schema.ended).where(schema.ended.c.task_id == from_hex(task)))
        return (DealId(Hash32(to_hex(found[0]["deal"]))), _ended(found[0])) if found else None

    async def votes(self, deal_id: DealId, index: int) -> list[Vote]:
        """List what was said of a task."""
        chosen = select(schema.votes).where(schema.votes.c.deal == from_hex(deal_id), schema.votes.c.index == index)
        return [_vote(row) for row in await self._rows(chosen)]

    async def earned(self, deal_id: DealId) -> dict[Address, NRLC]:
        """Tell what each worker was told that it has earned [nRLC]."""
        chosen = select(schema.earned).where(schema.earned.c.deal == from_hex(deal_id))
        return {_address(row["worker"]): NRLC(row["amount"]) for row in await self._rows(chosen)}

    async def _rows(self, chosen: Executable) -> list[RowMapping]:
        with RECORDS.answering():
            async with self._engine.connect() as connection:
                return list((await connection.execute(chosen)).mappings())


_raw = lru_cache(maxsize=4096)(from_hex)
"""Bytes of what many rows share: deals, workers, and often digests and locations."""


def _bag_row(record: BagRecord) -> Row:
    posted = None if record.posted is None else msgspec.json.encode(record.posted).decode()
    row: Row = {"deal": from_hex(record.deal_id), "terms": msgspec.json.encode(record.terms).decode(), "posted": posted}
    return row | {"stage": record.stage.value, "is_over": record.is_over, "why": record.why}


def _vote_row(deal: bytes, vote: Vote) -> Row:
    who = {"deal": deal, "index": vote.index, "worker": _raw(vote.worker)}
    return who | {"said": from_hex(vote.said), "signature": from_hex(vote.signature)}


def _ended_row(deal: DealId, task: EndedTask) -> Row:
    return {
        "deal": _raw(deal),
        "index": task.index,
        "place": task.place,
        "task_id": from_hex(task_id(deal, task.index)),
        "digest": _raw(task.digest),
        "location": _raw(task.location),
        "agreed": pack_agreed(task.agreed),
        "others": pack_others(task.others),
        "exit_code": task.exit_code,
        "reason": task.reason,
        "callback_data": from_hex(task.callback_data or "0x"),
    }


def _bag(row: RowMapping) -> BagRecord:
    posted = None if row["posted"] is None else msgspec.json.decode(row["posted"], type=PostedBag)
    terms = msgspec.json.decode(row["terms"], type=DealRecord)
    return BagRecord(terms=terms, stage=BagStage(row["stage"]), posted=posted, is_over=row["is_over"], why=row["why"])


def _vote(row: RowMapping) -> Vote:
    return Vote(row["index"], _address(row["worker"]), _hash(row["said"]), to_hex(row["signature"]))


def _ended(row: RowMapping) -> EndedTask:
    agreed, others = row["agreed"], row["others"]
    return EndedTask(
        index=row["index"],
        place=row["place"],
        digest=_hash(row["digest"]),
        location=_hash(row["location"]),
        agreed=tuple(_address(agreed[at : at + _WORKER]) for at in range(0, len(agreed), _WORKER)),
        others=tuple(Dissent(_hash(others[at : at + 32]), _address(others[at + 32 : at + _VOTE])) for at in range(0, len(others), _VOTE)),
        exit_code=row["exit_code"],
        reason=row["reason"],
        callback_data=to_hex(row["callback_data"]) if row["callback_data"] else "",
    )


@lru_cache(maxsize=4096)
def _address(raw: bytes) -> Address:
    return as_address(to_hex(raw))


def _hash(raw: bytes) -> Hash32:
    return Hash32(to_hex(raw))
