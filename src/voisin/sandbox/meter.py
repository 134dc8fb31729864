"""
Counting what a guest uses, in numbers that are the same on every machine.

The engine counts WebAssembly instructions. A system call costs nothing there although it costs time, so it is charged here: a fixed
price plus one instruction for each byte it moves. The guest's clock is this count too, one instruction a nanosecond, plus what the
guest slept; it never waits for real, because nothing outside can happen that would be worth waiting for.
"""

from __future__ import annotations

from wasmtime import Store

from voisin.sandbox.job import Cause

CALL_INSTRUCTIONS = 10_000
"""The price of a system call; about what a machine could compute in the few microseconds one takes."""


class StopError(Exception):
    """
    The guest is over.

    Attributes:
        cause: Why; None when it asked to exit.
        detail: One line for a person.
        exit_code: What it exited with.
    """

    def __init__(self, cause: Cause | None, detail: str = "", exit_code: int = 0) -> None:
        super().__init__(detail)
        self.cause, self.detail, self.exit_code = cause, detail, exit_code


class Meter:
    """
    The count of one guest.

    Args:
        store: Where the engine keeps its own count.
        instructions: What the guest may use.
        time_s: How long it may sleep in all [s].
    """

    def __init__(self, store: Store, *, instructions: int, time_s: float) -> None:
        self._store = store
        self.instructions = instructions
        self._time_s = time_s
        self._slept_ns = 0
        store.set_fuel(instructions)

    def used(self) -> int:
        """Instructions used so far."""
        return self.instructions - self._store.get_fuel()

    def charge(self, instructions: int) -> None:
        """
        Take instructions off.

        Args:
            instructions: How many.

        Raises:
            StopError: There are not that many left.
        """
        left = self._store.get_fuel()
        self._store.set_fuel(max(0, left - instructions))
        if left < instructions:
            raise out_of_instructions(self.instructions)

    def elapsed_ns(self) -> int:
        """The guest's own time since it started [ns]."""
        return self.used() + self._slept_ns

    def sleep(self, duration_ns: int) -> None:
        """
        Let the guest's clock run ahead.

        Args:
            duration_ns: How long the guest wants to sleep [ns].

        Raises:
            StopError: It has slept longer than it may run.
        """
        self._slept_ns += duration_ns
        if self._slept_ns > self._time_s * 1e9:
            raise StopError(Cause.TIME_LIMIT, f"slept longer than {self._time_s:g} s")


def out_of_instructions(limit: int) -> StopError:
    """
    Name the end of a guest that used all its instructions.

    Args:
        limit: How many it had.

    Returns:
        The reason, ready to raise.
    """
    return StopError(Cause.INSTRUCTION_LIMIT, f"used more than {limit} instructions")
