"""
What the apps of a bag print, for the pool to show: live from a task that runs alone, together from those of a series.

Showing it must not cost more than doing it. Whoever prints more than fits is cut short here; the result has all of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import anyio

from voisin.protocol.bag_wire import Print, Prints
from voisin.protocol.ids import DealId, TaskId
from voisin.protocol.wire import Printed
from voisin.protocol.wire_words import Stream
from voisin.sandbox import Outcome
from voisin.worker.printing import PIECE_CHARS, Printer

PER_S: Final = 20.0
"""Messages a second that may be sent for series; a pool takes some hundred of all kinds."""
_PER_TASK_CHARS: Final = 2_000
_OVERHEAD_CHARS: Final = 40
"""What a piece takes in a message beside its text, in the measure of `PIECE_CHARS`, of which each may become six bytes."""


class Printing:
    """
    Tells the pool what the apps of bags print.

    Args:
        say: Takes messages for the pool.
    """

    def __init__(self, say: Callable[[Printed | Prints], None]) -> None:
        self._say = say
        self._pieces: list[Print] = []
        self._chars = 0
        self._next_s = 0.0

    def printer(self, task_id: TaskId) -> Printer:
        """Give a printer for a task that runs alone."""
        return Printer(task_id, self._say)

    def tell(self, deal_id: DealId, index: int, outcome: Outcome) -> None:
        """Take what a task of a series has printed."""
        for stream, data in ((Stream.STDOUT, outcome.stdout), (Stream.STDERR, outcome.stderr)):
            if not data:
                continue
            text = data[: 4 * _PER_TASK_CHARS].decode(errors="replace")[:_PER_TASK_CHARS]
            if self._chars + len(text) + _OVERHEAD_CHARS > PIECE_CHARS:
                self.flush(deal_id)
            self._pieces.append(Print(index, stream, text))
            self._chars += len(text) + _OVERHEAD_CHARS

    def flush(self, deal_id: DealId) -> None:
        """Send what was taken for a deal, unless there was a message just now."""
        pieces, self._pieces, self._chars = tuple(self._pieces), [], 0
        now_s = anyio.current_time()
        if pieces and now_s >= self._next_s:
            self._next_s = max(now_s - 1.0, self._next_s) + 1 / PER_S
            self._say(Prints(deal_id, pieces))
