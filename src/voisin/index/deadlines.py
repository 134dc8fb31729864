"""A limit on the time that the database spends on one query: a question that takes too long is broken off inside the database."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiosqlite import Connection as SqliteConnection
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_STEPS = 20_000
"""How many steps of its machine SQLite takes between two looks at the clock: some milliseconds."""


@asynccontextmanager
async def limited(connection: AsyncConnection, seconds: float) -> AsyncIterator[None]:
    """
    Limit what is asked on a connection inside the context; a question that is broken off fails as the database says it.

    Args:
        connection: The connection.
        seconds: The limit: for all questions together on SQLite, for each of them on PostgreSQL [s].
    """
    if connection.dialect.name == "postgresql":
        await connection.execute(text(f"SET LOCAL statement_timeout = {int(seconds * 1000) or 1}"))
        yield
        return
    driver = (await connection.get_raw_connection()).driver_connection
    assert isinstance(driver, SqliteConnection)
    deadline_s = time.monotonic() + seconds
    await driver.set_progress_handler(lambda: int(time.monotonic() > deadline_s), _STEPS)
    try:
        yield
    finally:
        await driver.set_progress_handler(lambda: 0, 1 << 30)
