"""Whether this machine is used by somebody else: its load, and when somebody last typed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

TERMINALS = ("pts/[0-9]*", "tty[0-9]*")


class MachineUse(Protocol):
    """How much a machine is used."""

    def load(self) -> float:
        """Give the average number of processes that ran or wanted to, over the last minute."""
        ...

    def idle_s(self) -> float | None:
        """Tell for how long nobody has typed [s]; None where that cannot be known."""
        ...


class ThisMachine:
    """
    The machine that this process runs on.

    Args:
        devices: Where its terminals are.
    """

    def __init__(self, devices: Path = Path("/dev")) -> None:
        self._devices = devices

    def load(self) -> float:
        """Give the load average of the last minute."""
        return os.getloadavg()[0]

    def idle_s(self) -> float | None:
        """
        Tell for how long no terminal was typed at [s]; None without any.

        The kernel notes when a terminal was last read. Desktops that keep their keyboard to themselves are not seen.
        """
        typed = [*_read_times(path for pattern in TERMINALS for path in self._devices.glob(pattern))]
        return max(0.0, time.time() - max(typed)) if typed else None


def _read_times(paths: Iterable[Path]) -> Iterable[float]:
    for path in paths:
        try:
            yield path.stat().st_atime
        except OSError:
            continue  # it was closed meanwhile
