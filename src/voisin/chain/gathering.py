"""How long whoever follows a chain waits for more blocks before it reads those that are there."""

from __future__ import annotations

import anyio


class Gathering:
    """
    A pause that can be cut short.

    Args:
        longest_s: How long it is if nobody is in a hurry [s].
    """

    def __init__(self, longest_s: float = 0.0) -> None:
        self._longest_s = longest_s
        self._hurried: anyio.Event | None = None
        self._is_hurried = False

    async def wait(self) -> None:
        """Wait for as long as it takes, or until somebody is in a hurry; not at all if somebody was since the pause before."""
        if self._longest_s and not self._is_hurried:
            self._hurried = anyio.Event()
            with anyio.move_on_after(self._longest_s):
                await self._hurried.wait()
        self._hurried, self._is_hurried = None, False

    def hurry(self) -> None:
        """End the pause, or leave out the next one."""
        self._is_hurried = True
        if self._hurried is not None:
            self._hurried.set()
