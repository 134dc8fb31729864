"""A kernel's folder of reports, in memory: it answers as the kernel does, with evidence that real hardware made."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field


@dataclass
class MemoryEntries:
    """
    The folder of reports of one machine.

    Attributes:
        provider: What it says its hardware is.
        report: The evidence, once something was written.
        intruders: How many reads somebody else spoils by writing in between.
        failures: What the next writes fail with.
        entries: The files of each entry.
        written: What was written.
    """

    provider: str
    report: bytes
    intruders: int = 0
    failures: list[int] = field(default_factory=list)
    entries: dict[str, dict[str, bytes]] = field(default_factory=dict)
    written: list[bytes] = field(default_factory=list)

    def make(self, name: str) -> None:
        """Make an entry."""
        if not self.provider:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        self.entries[name] = {"provider": f"{self.provider}\n".encode(), "generation": b"0\n"}

    def write(self, name: str, file: str, data: bytes) -> None:
        """Write a file of an entry."""
        if self.failures:
            code = self.failures.pop(0)
            raise OSError(code, os.strerror(code))
        self.written.append(data)
        self._count(name)
        if self.intruders:
            self.intruders -= 1
            self._count(name)
        self.entries[name][file] = data
        self.entries[name]["outblob"] = self.report

    def read(self, name: str, file: str) -> bytes:
        """Read a file of an entry."""
        return self.entries[name][file]

    def remove(self, name: str) -> None:
        """Remove an entry."""
        del self.entries[name]

    def _count(self, name: str) -> None:
        self.entries[name]["generation"] = f"{int(self.entries[name]['generation']) + 1}\n".encode()
