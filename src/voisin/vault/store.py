"""A vault's records in a database; see `voisin.vault.records.VaultStore`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from sqlalchemy import ColumnElement, Delete, Row, Update, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from voisin.protocol.eip712 import Domain
from voisin.protocol.ids import Address, Hash32, TaskId
from voisin.protocol.secrets import Release, SecretKind, SecretRef
from voisin.units import UnixSeconds
from voisin.vault.database import Transactions, open_database
from voisin.vault.keyring import Box
from voisin.vault.records import ChallengeRecord, IdentityRecord, Resealed, SecretRecord
from voisin.vault.schema import challenges, former, nonces, releases, secrets, vault
from voisin.vault.terms_records import ReleaseRecord
from voisin.vault.terms_store import SqlTermsStore, release_row


@asynccontextmanager
async def open_store(database_url: str, domain: Domain) -> AsyncIterator[SqlStore]:
    """
    Open the records in a database; arguments and errors are `voisin.vault.database.open_database`'s.

    Yields:
        The records.
    """
    async with open_database(database_url, domain) as engine:
        yield SqlStore(engine)


class SqlStore:
    """
    A vault's records in a database. What was answered survives the process: every write is committed before it answers.

    Attributes:
        database: The way into it.
        terms: The records of data with terms of use.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        """
        Args:
            engine: A database whose tables are up to date; `open_store` makes one.
        """
        self.database = Transactions(engine)
        self._write, self._read, self._insert = self.database.write, self.database.read, self.database.insert
        self.terms = SqlTermsStore(self.database)

    async def identity(self) -> IdentityRecord | None:
        """Find the vault's own key; None in a new vault."""
        async with self._read() as connection:
            return await _identity(connection)

    async def add_identity(self, record: IdentityRecord) -> IdentityRecord:
        """Add the vault's own key; answers the one that was there first."""
        async with self._write() as connection:
            await connection.execute(_identity_update(record).where(vault.c.box.is_(None)))
            found = await _identity(connection)
        assert found is not None
        return found

    async def secret(self, ref: SecretRef) -> SecretRecord | None:
        """Find a secret."""
        async with self._read() as connection:
            row = (await connection.execute(select(secrets).where(*_is_at(ref)))).one_or_none()
        return None if row is None else _secret(row)

    async def add_secret(self, record: SecretRecord) -> bool:
        """Add a secret; answers False, and changes nothing, when there is one of that name."""
        place = {"kind": record.ref.kind.value, "holder": record.ref.holder, "name": record.ref.name}
        async with self._write() as connection:
            added = await connection.execute(self._insert(secrets).values(place | _secret_values(record)).on_conflict_do_nothing())
            return added.rowcount == 1

    async def replace_secret(self, record: SecretRecord, *, over: SecretRecord, mark: str) -> bool:
        """Replace a secret, and mark its former value; answers False, and changes nothing, when it is not `over` any more."""
        return await self._change(_secret_update(record).where(secrets.c.box == over.box.data), mark)

    async def delete_secret(self, over: SecretRecord, *, mark: str) -> bool:
        """Delete a secret, and mark its former value; answers False, and changes nothing, when it is not `over` any more."""
        return await self._change(delete(secrets).where(*_is_at(over.ref), secrets.c.box == over.box.data), mark)

    async def is_former(self, mark: str) -> bool:
        """Tell whether a value was marked as former."""
        async with self._read() as connection:
            return (await connection.execute(select(former).where(former.c.mark == mark))).first() is not None

    async def _change(self, change: Update | Delete, mark: str) -> bool:
        async with self._write() as connection:
            is_changed = (await connection.execute(change)).rowcount == 1
            if is_changed:
                await connection.execute(self._insert(former).values({"mark": mark}).on_conflict_do_nothing())
            return is_changed

    async def secrets_of(self, owner: Address) -> list[SecretRecord]:
        """List the secrets that an account pushed, by kind, holder and name."""
        chosen = select(secrets).where(secrets.c.pushed_by == owner)
        async with self._read() as connection:
            found = [_secret(row) for row in await connection.execute(chosen)]
        return sorted(found, key=lambda record: (record.ref.kind, record.ref.holder, record.ref.name))

    async def challenge(self, task_id: TaskId) -> ChallengeRecord | None:
        """Find a task's challenge."""
        async with self._read() as connection:
            return await _challenge(connection, task_id)

    async def add_challenge(self, record: ChallengeRecord) -> ChallengeRecord:
        """Add a task's challenge; answers the one that was there first."""
        row = {"task_id": record.task_id, "challenge": record.challenge, "expires_at": record.expires_at, **_box(record.box)}
        async with self._write() as connection:
            await connection.execute(self._insert(challenges).values(row).on_conflict_do_nothing())
            found = await _challenge(connection, record.task_id)
        assert found is not None
        return found

    async def use_nonce(self, signer: Address, nonce: Hash32, until: UnixSeconds) -> bool:
        """Remember a nonce of a signer; answers False when it was used before."""
        row = {"signer": signer, "nonce": nonce, "until": until}
        async with self._write() as connection:
            return (await connection.execute(self._insert(nonces).values(row).on_conflict_do_nothing())).rowcount == 1

    async def add_releases(self, records: Sequence[ReleaseRecord]) -> None:
        """Record uses of secrets, all or none."""
        if not records:
            return
        async with self._write() as connection:
            await connection.execute(insert(releases), [release_row(record) for record in records])

    async def releases_of(self, owner: Address, *, before: int | None, limit: int) -> list[tuple[int, Release]]:
        """List uses of an account's secrets, newest first, each with its number; only those numbered below `before`."""
        chosen = select(releases).where(releases.c.owner == owner).order_by(releases.c.id.desc()).limit(limit)
        if before is not None:
            chosen = chosen.where(releases.c.id < before)
        async with self._read() as connection:
            return [(row.id, _release(row)) for row in await connection.execute(chosen)]

    async def forget(self, *, wall: UnixSeconds, chain: UnixSeconds) -> int:
        """Delete nonces that ended before `wall` and challenges that ended before `chain`; answers how many challenges."""
        async with self._write() as connection:
            await connection.execute(delete(nonces).where(nonces.c.until < wall))
            return (await connection.execute(delete(challenges).where(challenges.c.expires_at < chain))).rowcount

    async def sealed_otherwise(self, key_id: str) -> list[Resealed]:
        """List what is sealed under another key than this one."""
        async with self._read() as connection:
            identity = await _identity(connection)
            found: list[Resealed] = [] if identity is None or identity.box.key_id == key_id else [identity]
            found += [_secret(row) for row in await connection.execute(select(secrets).where(secrets.c.key_id != key_id))]
            found += [_challenge_of(row) for row in await connection.execute(select(challenges).where(challenges.c.key_id != key_id))]
        return found

    async def reseal(self, records: Sequence[Resealed]) -> None:
        """Replace the boxes of records that are still there, all or none."""
        if not records:
            return
        async with self._write() as connection:
            for record in records:
                await connection.execute(_reseal(record))


def _reseal(record: Resealed) -> Update:
    match record:
        case SecretRecord():
            return _secret_update(record)
        case ChallengeRecord():
            return update(challenges).where(challenges.c.task_id == record.task_id).values(_box(record.box))
        case IdentityRecord():
            return _identity_update(record)


def _identity_update(record: IdentityRecord) -> Update:
    return update(vault).values({"address": record.vault, **_box(record.box)})


def _secret_update(record: SecretRecord) -> Update:
    return update(secrets).where(*_is_at(record.ref)).values(_secret_values(record))


def _is_at(ref: SecretRef) -> tuple[ColumnElement[bool], ...]:
    return secrets.c.kind == ref.kind.value, secrets.c.holder == ref.holder, secrets.c.name == ref.name


def _secret_values(record: SecretRecord) -> dict[str, object]:
    return {"pushed_by": record.pushed_by, "pushed_at": record.pushed_at, **_box(record.box)}


def _box(box: Box) -> dict[str, object]:
    return {"key_id": box.key_id, "box": box.data}


async def _identity(connection: AsyncConnection) -> IdentityRecord | None:
    row = (await connection.execute(select(vault))).one()
    return None if row.box is None else IdentityRecord(Address(row.address), Box(row.key_id, row.box))


async def _challenge(connection: AsyncConnection, task_id: TaskId) -> ChallengeRecord | None:
    row = (await connection.execute(select(challenges).where(challenges.c.task_id == task_id))).one_or_none()
    return None if row is None else _challenge_of(row)


def _challenge_of(row: Row[tuple[object, ...]]) -> ChallengeRecord:
    return ChallengeRecord(row.task_id, row.challenge, row.expires_at, Box(row.key_id, row.box))


def _secret(row: Row[tuple[object, ...]]) -> SecretRecord:
    return SecretRecord(SecretRef(SecretKind(row.kind), row.holder, row.name), row.pushed_by, row.pushed_at, Box(row.key_id, row.box))


def _release(row: Row[tuple[object, ...]]) -> Release:
    values = {name: getattr(row, name) for name in Release.__struct_fields__}
    return Release(**values | {"kind": SecretKind(row.kind)})
