"""The records of data with terms of use in a database; see `voisin.vault.terms_records.TermsStore`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final

import msgspec
from sqlalchemy import ColumnElement, Row, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from voisin.protocol.codec import decode, encode
from voisin.protocol.data_terms import DataTerms
from voisin.protocol.ids import ZERO_HASH, Address, DealId, Hash32, OrderHash, TaskId
from voisin.protocol.orders import DatasetOrder
from voisin.protocol.vault_terms import DataRefusal, DataUse, SessionEvidence, TermsEntry
from voisin.units import UnixSeconds
from voisin.vault.database import Transactions
from voisin.vault.schema import evidence, matches, orders, refusals, released, releases, served, uses, vault
from voisin.vault.terms_records import MatchRecord, Position, ReleaseRecord, Serving, Standing, Turnout, UsesBefore

_MOST_NAMED: Final = 500


class SqlTermsStore:
    """These records in a database. Changes that must never be forgotten lock the one row of `vault`, so they run one after another."""

    def __init__(self, database: Transactions) -> None:
        """
        Args:
            database: The way into it.
        """
        self._write, self._read, self._insert = database.write, database.read, database.insert

    async def add_order(self, entry: TermsEntry, from_block: int) -> bool:
        """Add an order with its terms; answers False, and changes nothing, when it is there."""
        row = {
            "order_hash": entry.order_hash,
            "dataset": entry.terms.dataset,
            "order": encode(entry.order).decode(),
            "terms": encode(entry.terms).decode(),
            "pushed_by": entry.pushed_by,
            "pushed_at": entry.pushed_at,
            "from_block": from_block,
            "revoked_at": entry.revoked_at,
        }
        async with self._write() as connection:
            return (await connection.execute(self._insert(orders).values(row).on_conflict_do_nothing())).rowcount == 1

    async def count_change(self) -> int:
        """Count a change that must never be forgotten; answers its serial."""
        async with self._write() as connection:
            return await _next_serial(connection)

    async def confirm_order(self, order_hash: OrderHash, at: UnixSeconds) -> bool:
        """Note that an owner stands by an order still; answers False, and changes nothing, when it is revoked or not there."""
        change = update(orders).where(orders.c.order_hash == order_hash, orders.c.revoked_at == 0).values(pushed_at=at)
        async with self._write() as connection:
            return (await connection.execute(change)).rowcount == 1

    async def order(self, order_hash: OrderHash) -> TermsEntry | None:
        """Find an order."""
        async with self._read() as connection:
            row = (await connection.execute(select(orders).where(orders.c.order_hash == order_hash))).one_or_none()
        return None if row is None else _entry(row)

    async def has_orders(self, dataset: Address) -> bool:
        """Tell whether there is an order of a dataset, be it revoked."""
        async with self._read() as connection:
            return (await connection.execute(select(orders.c.order_hash).where(orders.c.dataset == dataset).limit(1))).first() is not None

    async def orders_of(self, dataset: Address) -> list[TermsEntry]:
        """List the orders of a dataset, revoked ones too, the oldest first."""
        chosen = select(orders).where(orders.c.dataset == dataset).order_by(orders.c.pushed_at, orders.c.order_hash)
        async with self._read() as connection:
            return [_entry(row) for row in await connection.execute(chosen)]

    async def revoke(self, order_hashes: Sequence[OrderHash], at: UnixSeconds) -> int:
        """Revoke orders; answers the serial of this change, or 0 when all were revoked before."""
        change = update(orders).where(orders.c.order_hash.in_(order_hashes), orders.c.revoked_at == 0).values(revoked_at=at)
        async with self._write() as connection:
            serial = await _next_serial(connection)
            if (await connection.execute(change)).rowcount == 0:
                await connection.rollback()
                return 0
            return serial

    async def standing(self) -> Standing:
        """Tell how many changes were made that must never be forgotten, and whether some were."""
        async with self._read() as connection:
            row = (await connection.execute(select(vault.c.serial, vault.c.restored_at))).one()
        return Standing(row.serial, UnixSeconds(row.restored_at))

    async def note_restored(self, serial: int, at: UnixSeconds) -> None:
        """Note that the records are older than they should be; the serial goes on from where it was."""
        async with self._write() as connection:
            await connection.execute(update(vault).values(restored_at=at))
            await connection.execute(update(vault).where(vault.c.serial < serial).values(serial=serial))

    async def position(self) -> Position:
        """Tell up to which block the chain's deals are here."""
        async with self._read() as connection:
            row = (await connection.execute(select(vault.c.read_block, vault.c.read_hash))).one()
        return Position(row.read_block, Hash32(row.read_hash))

    async def first_block(self) -> int | None:
        """Tell from which block on deals matter; None while there is no order."""
        async with self._read() as connection:
            found = (await connection.execute(select(func.min(orders.c.from_block)))).scalar()
        return None if found is None else int(found)

    async def known(self, order_hashes: Sequence[OrderHash]) -> dict[OrderHash, Address]:
        """Name those of the orders that are here, with their datasets."""
        found: dict[OrderHash, Address] = {}
        async with self._read() as connection:
            for some in batched(set(order_hashes)):
                chosen = select(orders.c.order_hash, orders.c.dataset).where(orders.c.order_hash.in_(some))
                found |= {OrderHash(row.order_hash): Address(row.dataset) for row in await connection.execute(chosen)}
        return found

    async def add_matches(self, records: Sequence[MatchRecord], over: Position, upto: Position) -> bool:
        """Add deals up to a block; answers False, and changes nothing, when somebody else went on from `over` meanwhile."""
        rows = [{name: getattr(record, name) for name in MatchRecord.__slots__} for record in records]
        async with self._write() as connection:
            if not await _move(connection, over, upto):
                return False
            if rows:
                await connection.execute(self._insert(matches).on_conflict_do_nothing(), rows)
            return True

    async def forget_matches(self, over: Position) -> None:
        """Drop all deals, unless somebody else went on from `over` meanwhile: the chain is another one."""
        async with self._write() as connection:
            if await _move(connection, over, Position(0, ZERO_HASH)):
                await connection.execute(delete(matches))

    async def match(self, deal_id: DealId) -> MatchRecord | None:
        """Find a deal."""
        async with self._read() as connection:
            row = (await connection.execute(select(matches).where(matches.c.deal_id == deal_id))).one_or_none()
        return None if row is None else MatchRecord(**row._mapping)

    async def uses_before(self, found: MatchRecord) -> UsesBefore:
        """Count the uses that come before a deal's."""
        total, earlier = func.sum(matches.c.volume).label("total"), _before(found)
        of_order = select(total).where(matches.c.order_hash == found.order_hash, earlier)
        is_theirs = (matches.c.dataset == found.dataset, matches.c.requester == found.requester, earlier)
        of_requester = select(matches.c.order_hash, total).where(*is_theirs).group_by(matches.c.order_hash)
        async with self._read() as connection:
            number = (await connection.execute(of_order)).scalar() or 0
            theirs = {OrderHash(row.order_hash): int(row.total) for row in await connection.execute(of_requester)}
        return UsesBefore(int(number), theirs)

    async def serve(self, serving: Serving) -> tuple[Turnout, int]:
        """Record that a task gets its keys, if no other enclave got them and no order was revoked; answers the serial too."""
        to = (serving.worker, serving.session_key)
        row = {"task_id": serving.task_id, "worker": serving.worker, "session_key": serving.session_key}
        wanted = {use.order_hash for use in serving.uses}
        async with self._write() as connection:
            serial = await _next_serial(connection)  # from here on, nobody else serves or revokes
            standing = select(func.count()).where(orders.c.order_hash.in_(wanted), orders.c.revoked_at == 0)
            if (await connection.execute(standing)).scalar() != len(wanted):
                await connection.rollback()
                return Turnout.REVOKED, 0
            if (await connection.execute(self._insert(served).values(row).on_conflict_do_nothing())).rowcount == 0:
                holder = await _served_to(connection, serving.task_id)
                await connection.rollback()
                return (Turnout.REPEATED if holder == to else Turnout.TAKEN), 0
            await connection.execute(self._insert(uses).on_conflict_do_nothing(), [_use_row(use) for use in serving.uses])
            await self._note(connection, serving.task_id, serving.evidence, serving.releases)
            return Turnout.SERVED, serial

    async def served_to(self, task_id: TaskId) -> tuple[Address, Hash32] | None:
        """Tell which worker and enclave key a task was served to."""
        async with self._read() as connection:
            return await _served_to(connection, task_id)

    async def add_evidence(self, task_id: TaskId, session: SessionEvidence, records: Sequence[ReleaseRecord]) -> None:
        """Record a session without data that has terms."""
        async with self._write() as connection:
            await self._note(connection, task_id, session, records)

    async def evidence_of(self, task_id: TaskId) -> list[SessionEvidence]:
        """List what enclaves showed that got the secrets of a task, the oldest first."""
        chosen = select(evidence.c.session).where(evidence.c.task_id == task_id).order_by(evidence.c.id)
        async with self._read() as connection:
            return [decode(row.session, SessionEvidence, "the evidence") for row in await connection.execute(chosen)]

    async def uses_of(self, dataset: Address, *, since: UnixSeconds, before: int | None, limit: int) -> list[DataUse]:
        """List uses of a dataset, newest first; only those from `since` on, and numbered below `before`."""
        chosen = select(uses).where(uses.c.dataset == dataset, uses.c.at >= since).order_by(uses.c.id.desc()).limit(limit)
        if before is not None:
            chosen = chosen.where(uses.c.id < before)
        async with self._read() as connection:
            found = [(row.id, decode(row.use, DataUse, "the use")) for row in await connection.execute(chosen)]
        return [msgspec.structs.replace(use, id=number) for number, use in found]

    async def refuse(self, refusal: DataRefusal) -> None:
        """Record that terms refused a use; the first of a task and dataset stays."""
        row = {"task_id": refusal.task_id, "dataset": refusal.dataset, "at": refusal.at, "refusal": encode(refusal).decode()}
        async with self._write() as connection:
            await connection.execute(self._insert(refusals).values(row).on_conflict_do_nothing())

    async def refusals_of(self, dataset: Address, *, since: UnixSeconds, before: int | None, limit: int) -> list[DataRefusal]:
        """List refused uses of a dataset, newest first; only those from `since` on, and numbered below `before`."""
        chosen = select(refusals).where(refusals.c.dataset == dataset, refusals.c.at >= since).order_by(refusals.c.id.desc()).limit(limit)
        if before is not None:
            chosen = chosen.where(refusals.c.id < before)
        async with self._read() as connection:
            found = [(row.id, decode(row.refusal, DataRefusal, "the refusal")) for row in await connection.execute(chosen)]
        return [msgspec.structs.replace(each, id=number) for number, each in found]

    async def release(self, task_id: TaskId, by: Address, at: UnixSeconds) -> UnixSeconds:
        """Release the result of a task; answers since when it is released."""
        row = {"task_id": task_id, "released_by": by, "released_at": at}
        async with self._write() as connection:
            await connection.execute(self._insert(released).values(row).on_conflict_do_nothing())
            return await _released_at(connection, task_id)

    async def released_at(self, task_id: TaskId) -> UnixSeconds:
        """Tell since when the result of a task is released; 0 for not."""
        async with self._read() as connection:
            return await _released_at(connection, task_id)

    async def _note(self, connection: AsyncConnection, task_id: TaskId, session: SessionEvidence, records: Sequence[ReleaseRecord]) -> None:
        row = {"task_id": task_id, "session_key": session.session_key, "session": encode(session).decode()}
        await connection.execute(self._insert(evidence).values(row).on_conflict_do_nothing())
        if records:
            await connection.execute(insert(releases), [release_row(record) for record in records])


def batched(names: Collection[OrderHash]) -> Iterator[list[OrderHash]]:
    """Cut names into lists that a query may hold."""
    every = list(names)
    return (every[first : first + _MOST_NAMED] for first in range(0, len(every), _MOST_NAMED))


def release_row(record: ReleaseRecord) -> dict[str, object]:
    """Give the row of a use of a secret."""
    values = {name: getattr(record.release, name) for name in record.release.__struct_fields__}
    return {"owner": record.owner, **values, "kind": record.release.kind.value}


async def _next_serial(connection: AsyncConnection) -> int:
    await connection.execute(update(vault).values(serial=vault.c.serial + 1))
    return int((await connection.execute(select(vault.c.serial))).scalar_one())


async def _move(connection: AsyncConnection, over: Position, upto: Position) -> bool:
    where = (vault.c.read_block == over.block, vault.c.read_hash == over.name)
    return (await connection.execute(update(vault).where(*where).values(read_block=upto.block, read_hash=upto.name))).rowcount == 1


async def _served_to(connection: AsyncConnection, task_id: TaskId) -> tuple[Address, Hash32] | None:
    row = (await connection.execute(select(served).where(served.c.task_id == task_id))).one_or_none()
    return None if row is None else (Address(row.worker), Hash32(row.session_key))


async def _released_at(connection: AsyncConnection, task_id: TaskId) -> UnixSeconds:
    found = (await connection.execute(select(released.c.released_at).where(released.c.task_id == task_id))).scalar()
    return UnixSeconds(found or 0)


def _before(found: MatchRecord) -> ColumnElement[bool]:
    is_in_block = (matches.c.block == found.block) & (matches.c.place < found.place)
    return or_(matches.c.block < found.block, is_in_block)


def _use_row(use: DataUse) -> dict[str, object]:
    return {"task_id": use.task_id, "dataset": use.dataset, "at": use.at, "use": encode(use).decode()}


def _entry(row: Row[tuple[object, ...]]) -> TermsEntry:
    return TermsEntry(
        order_hash=row.order_hash,
        order=decode(row.order, DatasetOrder, "the order"),
        terms=decode(row.terms, DataTerms, "the terms of use"),
        pushed_by=row.pushed_by,
        pushed_at=row.pushed_at,
        revoked_at=row.revoked_at,
    )
