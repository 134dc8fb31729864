"""
Turns of the scheduler's wallet, which all schedulers of a pool send from: a lock of the database for as long as one of them numbers and
sends a transaction.

That a turn was taken is written down before anything is sent, so that what a process sent that was killed right after is counted.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from sqlalchemy import func, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from voisin.chain import OwnTurns, Turn, Turns
from voisin.pool.database import schema
from voisin.pool.database.opening import RECORDS
from voisin.protocol.ids import Address

WAIT_S = 30
"""How long a turn is waited for [s]."""


def turns_in(engine: AsyncEngine, wallet: Address) -> Turns:
    """
    Give the turns of a wallet: on SQLite there is one scheduler, which has it for itself.

    Args:
        engine: The pool's database.
        wallet: The wallet.
    """
    return DatabaseTurns(engine, wallet) if engine.dialect.name == "postgresql" else OwnTurns()


class DatabaseTurns:
    """Turns that processes take with one another; see `voisin.chain.Turns`."""

    def __init__(self, engine: AsyncEngine, wallet: Address) -> None:
        """
        Args:
            engine: A PostgreSQL database.
            wallet: The wallet.
        """
        self._engine = engine
        self._wallet = wallet
        self._process = secrets.token_hex(16)
        self._key = func.hashtextextended(f"voisin turns of {wallet}", 0)

    @asynccontextmanager
    async def take(self) -> AsyncIterator[Turn]:
        """Wait for a turn."""
        with RECORDS.answering():
            async with self._engine.connect() as raw:
                connection = await raw.execution_options(isolation_level="AUTOCOMMIT")
                await connection.execute(select(func.set_config("lock_timeout", f"{WAIT_S}s", False)))
                await connection.execute(select(func.pg_advisory_lock(self._key)))
                try:
                    yield Turn(is_in_a_row=await self._begin(connection))
                finally:
                    with anyio.CancelScope(shield=True):
                        await self._end(connection)

    async def _begin(self, connection: AsyncConnection) -> bool:
        """Write down whose turn it is, and tell whether the last one was this process's too."""
        table = schema.turns
        before = (await connection.execute(select(table.c.taken_by).where(table.c.wallet == self._wallet))).scalar()
        if before != self._process:
            mine = postgresql.insert(table).values(wallet=self._wallet, taken_by=self._process)
            await connection.execute(mine.on_conflict_do_update(index_elements=["wallet"], set_={"taken_by": self._process}))
        return before == self._process

    async def _end(self, connection: AsyncConnection) -> None:
        """Let the next one; a connection that fails has lost its lock anyway."""
        try:
            await connection.execute(select(func.pg_advisory_unlock(self._key)))
        except BaseException:
            await connection.invalidate()
            raise
