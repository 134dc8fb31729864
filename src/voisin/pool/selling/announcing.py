"""
Announcing a pool: its owner's signed statement of where it answers, put into a directory and renewed from time to time.

A directory that is away is asked again; a pool works without it, only nobody finds it by its workerpool's address.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import httpx
import msgspec
import structlog

from voisin.errors import UnavailableError, VoisinError
from voisin.pool.selling.duty import Duty
from voisin.pool.settings import PoolSettings
from voisin.protocol.api import Problem, error_of
from voisin.protocol.codec import encode
from voisin.protocol.compass import PoolStatement, sign_statement
from voisin.protocol.eip712 import Domain
from voisin.protocol.signatures import Signer
from voisin.service.background import beside
from voisin.units import UnixSeconds

TIMEOUT_S = 10
VALID_PERIODS = 6
"""For how many periods of renewal a statement counts: a directory that is away for less keeps the pool listed."""
FIRST_PAUSE_S, LAST_PAUSE_S = 1.0, 60.0

_log = structlog.get_logger()


class Announcer:
    """Keeps one pool in a directory."""

    def __init__(self, settings: PoolSettings, domain: Domain, scheduler: Signer, http: httpx.AsyncClient) -> None:
        """
        Args:
            settings: The pool, the directory's address, and how often the statement is renewed.
            domain: The hub and the chain of the workerpool.
            scheduler: The wallet that owns the workerpool.
            http: Asks the directory; it stays the caller's.
        """
        self._settings = settings
        self._domain = domain
        self._scheduler = scheduler
        self._http = http

    async def run(self, url: str, wall: Callable[[], float]) -> None:
        """
        Announce the pool until cancelled.

        Args:
            url: Where it answers.
            wall: Tells the time [Unix s].
        """
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                await self.announce(url, UnixSeconds(int(wall())))
            except VoisinError as error:
                _log.warning("pool_not_announced", index=self._settings.index_url, reason=str(error))
                await anyio.sleep(pause_s * random.uniform(0.5, 1))  # noqa: S311  (jitter, not a secret)
                pause_s = min(2 * pause_s, LAST_PAUSE_S)
                continue
            pause_s = FIRST_PAUSE_S
            await anyio.sleep(self._settings.announce_s)

    async def announce(self, url: str, now: UnixSeconds) -> PoolStatement:
        """
        Announce the pool once.

        Raises:
            VoisinError: The directory refuses the statement; what it says.
            UnavailableError: It does not answer.
        """
        statement = sign_statement(
            PoolStatement(
                chain_id=self._domain.chain_id,
                hub=self._domain.hub,
                workerpool=self._settings.workerpool,
                api_url=url,
                issued_at=now,
                expires_at=UnixSeconds(now + int(VALID_PERIODS * self._settings.announce_s)),
            ),
            self._scheduler,
        )
        where = f"{self._settings.index_url.rstrip('/')}/v1/workerpools/{statement.workerpool}"
        try:
            answer = await self._http.put(where, content=encode(statement), headers={"Content-Type": "application/json"})
        except httpx.HTTPError as error:
            raise UnavailableError(f"the index at {self._settings.index_url} does not answer: {error or type(error).__name__}") from None
        if answer.is_success:
            return statement
        try:
            problem = msgspec.json.decode(answer.content, type=Problem)
        except msgspec.MsgspecError:
            raise UnavailableError(f"the index at {self._settings.index_url} answers {answer.status_code}") from None
        raise error_of(problem)


@asynccontextmanager
async def announced(
    settings: PoolSettings, domain: Domain, scheduler: Signer, url: str, *, wall: Callable[[], float], duty: Duty | None = None
) -> AsyncIterator[None]:
    """
    Keep a pool announced beside the context's body, if its settings name a directory.

    Args:
        settings: How the pool is set up; its `public_url` comes before `url`.
        domain: The hub and the chain of the workerpool.
        scheduler: The wallet that owns the workerpool.
        url: Where the pool is served.
        wall: Tells the time [Unix s].
        duty: Whose turn it is to announce, where several schedulers share the pool.
    """
    if not settings.index_url:
        yield
        return
    async with httpx.AsyncClient(timeout=TIMEOUT_S) as http:
        announcer = Announcer(settings, domain, scheduler, http)

        async def announce() -> None:
            """Announce the pool for as long as it is this process's turn."""
            await announcer.run(settings.public_url or url, wall)

        async def run() -> None:
            """Announce it whenever that is so."""
            await (duty.run(announce) if duty is not None else announce())

        async with beside(run):
            yield
