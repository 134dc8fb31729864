"""What one of the schedulers that share a pool does for all of them: keeping its offers, announcing it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio


class Duty:
    """Something that one of the schedulers does for all of them: done while it is this one's turn."""

    def __init__(self) -> None:
        self._turn = anyio.Event()
        self._scopes: set[anyio.CancelScope] = set()

    def assign(self, *, is_mine: bool) -> None:
        """Begin with it, or leave it to another."""
        if is_mine:
            self._turn.set()
            return
        if self._turn.is_set():
            self._turn = anyio.Event()
        for scope in self._scopes:
            scope.cancel()

    async def run(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do work that never ends by itself whenever it is this scheduler's turn, until cancelled."""
        while True:
            await self._turn.wait()
            with anyio.CancelScope() as scope:
                self._scopes.add(scope)
                try:
                    await work()
                finally:
                    self._scopes.discard(scope)
