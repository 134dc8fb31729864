"""
Taking turns with a wallet that several processes send from: who sends next, and whether anybody else has sent meanwhile.

A process alone has every turn. Where there are several, whoever has the turn is the only one that numbers and sends a transaction.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Turn:
    """
    One turn.

    Attributes:
        is_in_a_row: Whether nobody else has had a turn since the last one of this process: its own count of nonces is still right.
    """

    is_in_a_row: bool


class Turns(Protocol):
    """Gives turns."""

    def take(self) -> AbstractAsyncContextManager[Turn]:
        """
        Wait for a turn, and have it as long as the context lasts.

        Raises:
            UnavailableError: Whoever gives turns does not answer.
        """
        ...


class OwnTurns:
    """The turns of a process that has the wallet for itself."""

    @asynccontextmanager
    async def take(self) -> AsyncIterator[Turn]:
        """Have a turn."""
        yield Turn(is_in_a_row=True)
