"""What a task's apps printed: read by its requester from the pool, at once or while it is printed."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncGenerator

import httpx

from voisin.client.services import PoolDesk
from voisin.errors import StateError, UnavailableError
from voisin.protocol.api import PrintedText, TaskLogs
from voisin.protocol.codec import decode
from voisin.protocol.consent import CONSENT_HEADER, write_consent
from voisin.protocol.eip712 import Domain
from voisin.protocol.ids import Address, Hash32, TaskId, to_hex
from voisin.protocol.log_access import sign_log_access
from voisin.protocol.signatures import Signer
from voisin.units import UnixSeconds

VALID_S = 120
"""How long a signature for reading logs counts [s]."""
SILENCE_S = 60.0
"""How long a pool that streams may be silent [s]; it gives a sign more often."""
_PRINTED, _END, _DATA = "event: printed", "event: end", "data: "


class LogDesk:
    """The logs of a requester's tasks."""

    def __init__(self, pool: PoolDesk, domain: Domain, requester: Signer) -> None:
        """
        Args:
            pool: The pool that runs the tasks.
            domain: The hub.
            requester: Who bought them.
        """
        self._pool = pool
        self._domain = domain
        self._requester = requester

    async def read(self, task: TaskId) -> TaskLogs:
        """
        Read what was printed so far.

        Raises:
            StateError: The pool does not know the task.
            TrustError: The wallet is not its requester.
            UnavailableError: The pool does not answer.
        """
        return await self._pool.service.call("GET", f"/v1/tasks/{task}/logs", TaskLogs, headers=await self._proof(task))

    async def follow(self, task: TaskId) -> AsyncGenerator[PrintedText, None]:
        """
        Tell what is printed, from the beginning as far as the pool kept it, until the task is over.

        Raises:
            As `read`.
        """
        timeout = httpx.Timeout(SILENCE_S)
        async with self._pool.service.stream(f"/v1/tasks/{task}/logs/stream", await self._proof(task), timeout) as answer:
            event = ""
            async for line in answer.aiter_lines():
                if line == _END:
                    return
                if line.startswith(_DATA) and event == _PRINTED:
                    yield decode(line.removeprefix(_DATA), PrintedText, "what the pool streams")
                event = line
        raise UnavailableError("the pool stopped telling what the task prints", hint="follow it again")

    async def _proof(self, task: TaskId) -> dict[str, str]:
        workerpool = (await self._pool.pool()).workerpool
        nonce, until = Hash32(to_hex(secrets.token_bytes(32))), UnixSeconds(int(time.time()) + VALID_S)
        given = sign_log_access(self._requester, Address(workerpool), self._domain, task, nonce=nonce, until=until)
        return {CONSENT_HEADER: write_consent(given)}


def require_pool(pool: PoolDesk | None) -> PoolDesk:
    """
    Give the pool that is asked for logs.

    Raises:
        StateError: The network names none.
    """
    if pool is None:
        raise StateError("this network names no pool that could be asked for logs", hint="name it as the network's pool_url")
    return pool
