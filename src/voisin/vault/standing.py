"""
What a vault must never forget: which tasks got their keys, and which orders were revoked.

The database counts such changes, and so does a mark outside of it. A database that is behind the mark came back from an old backup;
from then on deals of before are refused, and orders of before until their owners push them again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from voisin.errors import StateError
from voisin.units import UnixSeconds
from voisin.vault.ledger import Ledger
from voisin.vault.mark import Mark
from voisin.vault.terms_records import TermsStore

T = TypeVar("T")

_log = structlog.get_logger()


class Memory:
    """Makes these changes, and notices that some were forgotten."""

    def __init__(self, store: TermsStore, mark: Mark, ledger: Ledger) -> None:
        """
        Args:
            store: The records.
            mark: What the records are held against.
            ledger: Knows the time.
        """
        self._store = store
        self._mark = mark
        self._ledger = ledger

    async def open(self) -> None:
        """
        Hold the records against the mark.

        Raises:
            UnavailableError: The chain or the mark does not answer.
            InputError: The mark is malformed.
        """
        standing, marked = await self._store.standing(), await self._mark.read()
        if marked is None and standing.serial == 0:
            await self._mark.raise_to(0)
        elif marked is None or standing.serial < marked:
            await self._note_restored(max(standing.serial, marked or 0))

    async def restored_at(self) -> UnixSeconds:
        """Tell when records were last found to have forgotten something; 0 for never."""
        return (await self._store.standing()).restored_at

    async def change(self, act: Callable[[], Awaitable[tuple[T, int]]]) -> T:
        """
        Make a change that must never be forgotten.

        Args:
            act: Makes it in the records; answers what came of it and its number there, 0 for no change.

        Returns:
            What came of it; the mark has its number by then.

        Raises:
            StateError: The records were put back while the vault ran.
            UnavailableError: The mark cannot be written.
        """
        before = await self._mark.read() or 0
        answer, serial = await act()
        if serial and serial <= before:
            await self._note_restored(before)
            raise StateError("the vault's records were put back to an older state while it ran", hint="see its log, and restart it")
        if serial:
            await self._mark.raise_to(serial)
        return answer

    async def _note_restored(self, marked: int) -> None:
        at = await self._ledger.now()
        await self._store.note_restored(marked, at)
        await self._mark.raise_to(marked)
        _log.error(
            "records_were_restored",
            at=at,
            consequence="deals of data with terms of use from before are refused, orders until their owners push them again",
        )
