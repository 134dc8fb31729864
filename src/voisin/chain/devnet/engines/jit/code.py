"""
Code, and what was learnt about it: where it may be jumped to, which of its places are hot, and their traces.

Translation costs about as much as interpreting the same instructions sixty times. So a place is translated only when it was entered
several times, and only out of a budget that cold entries fill: code that is never the same twice cannot make translation the work.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from voisin.chain.devnet.values import delegate_of

if TYPE_CHECKING:
    from voisin.chain.devnet.engines.jit.frame import Frame

Trace = Callable[["Frame"], int]
"""Runs a piece of code in a frame; gives the next place, or a signal of `frame` below zero."""

PADDING: Final = bytes(33)
"""Behind the end of code, everything reads as STOP; a PUSH32 on the last byte reads 32 of them."""
_MAX_CODES: Final = 512
_MAX_TRANSLATED: Final = 150_000
"""Most instructions in all traces together; a trace costs some hundred bytes for each."""
_MAX_COUNTED: Final = 1_000
"""Places of one code whose entries are counted at a time."""
_BUDGET: Final = 20_000
_EARNED_BY_ENTRY: Final = 0.25
_PUSHES: Final = b"|".join(re.escape(bytes([opcode])) + b"(?s:.{%d})" % (opcode - 0x5F) for opcode in range(0x60, 0x80))
_TO_NEXT_JUMPDEST: Final = re.compile(rb"(?:[^\x5b\x60-\x7f]++|" + _PUSHES + rb")*+\x5b")


class Code:
    """
    One code.

    Args:
        raw: Its bytes.

    Attributes:
        raw: Its bytes.
        padded: Its bytes and some STOPs.
        delegate: Address whose code runs in its place (EIP-7702); None for usual code.
        traces: Traces by the place where they begin.
        entries: How often each place without a trace was entered.
        translated: Instructions in all traces.
    """

    __slots__ = ("_jump_destinations", "delegate", "entries", "padded", "raw", "traces", "translated")

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.padded = raw + PADDING
        self.delegate = delegate_of(raw)
        self.traces: dict[int, Trace] = {}
        self.entries: dict[int, int] = {}
        self.translated = 0
        self._jump_destinations: frozenset[int] | None = None

    @property
    def jump_destinations(self) -> frozenset[int]:
        """Places of all JUMPDESTs that are no data of a PUSH."""
        if self._jump_destinations is None:
            self._jump_destinations = frozenset(_find_jump_destinations(self.padded))
        return self._jump_destinations


def _find_jump_destinations(padded: bytes) -> Iterator[int]:
    end = 0
    while (found := _TO_NEXT_JUMPDEST.match(padded, end)) is not None:  # each from where the last ended: a search would skip bytes
        end = found.end()
        yield end - 1


class CodeBook:
    """
    The codes that were used lately, and the decision which of their places are worth a trace.

    Args:
        entries_until_hot: A place is hot when it was entered so often.
        budget: Instructions that may be translated at once; cold entries fill it up again to this.
    """

    def __init__(self, *, entries_until_hot: int = 4, budget: float = _BUDGET) -> None:
        self._entries_until_hot = entries_until_hot
        self._budget = self._left = budget
        self._translated = 0
        self._codes: OrderedDict[bytes, Code] = OrderedDict()

    def find(self, code_hash: bytes, read: Callable[[bytes], bytes]) -> Code:
        """
        Find a code with what was learnt about it.

        Args:
            code_hash: Its hash.
            read: Reads its bytes when it is not known.

        Returns:
            The code.
        """
        found = self._codes.get(code_hash)
        if found is None:
            found = self._codes[code_hash] = Code(read(code_hash))
            if len(self._codes) > _MAX_CODES:
                self._drop_traces(self._codes.popitem(last=False)[1])
        else:
            self._codes.move_to_end(code_hash)
        return found

    def is_hot(self, code: Code, place: int) -> bool:
        """
        Count an entry into a place that has no trace.

        Args:
            code: The code.
            place: Where execution goes on.

        Returns:
            Whether it is time to translate it.
        """
        self._left = min(self._left + _EARNED_BY_ENTRY, self._budget)
        if len(code.entries) >= _MAX_COUNTED:
            code.entries.clear()
        entries = code.entries[place] = code.entries.get(place, 0) + 1
        return entries >= self._entries_until_hot and self._left > 0

    def keep(self, code: Code, place: int, trace: Trace, *, length: int) -> None:
        """
        Keep a trace, and make room for it.

        Args:
            code: The code.
            place: Where the trace begins.
            trace: The trace.
            length: Instructions in it.
        """
        code.traces[place] = trace
        code.entries.pop(place, None)
        code.translated += length
        self._left -= length
        self._translated += length
        if self._translated > _MAX_TRANSLATED:
            for oldest in [*self._codes.values(), code]:
                if self._translated > _MAX_TRANSLATED // 2:
                    self._drop_traces(oldest)

    def _drop_traces(self, code: Code) -> None:
        self._translated -= code.translated
        code.translated = 0
        code.traces.clear()
