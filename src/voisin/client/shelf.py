"""Small results that were fetched and checked a moment ago: the tasks of a bag often have the same, and one look at it is enough."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import anyio

from voisin.protocol.archive import ResultArchive
from voisin.protocol.cid import Cid
from voisin.protocol.ids import Address, Hash32

MAX_BYTES: Final = 64 << 10
MAX_KEPT: Final = 128


@dataclass(frozen=True, slots=True)
class Opened:
    """A checked result: its archive as bytes, as it was opened, and as it is read."""

    data: bytes
    archive: ResultArchive


@dataclass(frozen=True, slots=True)
class Wanted:
    """A result: where it lies, what it must hash to, whether it has callback data, and for whom it may be sealed."""

    cid: Cid
    digest: Hash32
    has_callback: bool
    reader: Address


class Shelf:
    """The results that were used last, and those that are being fetched."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Wanted, Opened] = OrderedDict()
        self._turns: dict[Wanted, anyio.Lock] = {}

    async def get(self, wanted: Wanted, fetch: Callable[[], Awaitable[Opened]]) -> Opened:
        """
        Give a result.

        Args:
            wanted: Which.
            fetch: Gets and checks it, if it is not here.

        Raises:
            VoisinError: What `fetch` raises.
        """
        found = self._kept.get(wanted)
        if found is not None:
            self._kept.move_to_end(wanted)
            return found
        turn = self._turns.setdefault(wanted, anyio.Lock())
        try:
            async with turn:
                if wanted in self._kept:
                    return self._kept[wanted]
                made = await fetch()
                if len(made.data) <= MAX_BYTES:
                    self._kept[wanted] = made
                    while len(self._kept) > MAX_KEPT:
                        self._kept.popitem(last=False)
                return made
        finally:
            if not turn.statistics().tasks_waiting:
                self._turns.pop(wanted, None)
