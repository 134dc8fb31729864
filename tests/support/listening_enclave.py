"""`voisin enclave run --listen` as a process of its own, simulated."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PATIENCE_S = 60.0


@dataclass(frozen=True)
class ListeningEnclave:
    """
    A program that is an enclave for each connection.

    Attributes:
        address: Where it listens.
        process: Its process.
    """

    address: str
    process: subprocess.Popen[str]

    @property
    def enclaves(self) -> list[int]:
        """The enclaves that are there now."""
        listed = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return [int(child) for thread in listed for child in thread.read_text().split()]


@contextmanager
def listening_enclave(address: str, *, slots: int = 1) -> Iterator[ListeningEnclave]:
    """Start it, and stop it with SIGTERM in the end."""
    command = [sys.executable, "-m", "voisin", "enclave", "run", "--simulated", "--listen", address, "--slots", str(slots)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ready, _, place = process.stdout.readline().partition(";")[0].partition(" ")
        assert ready == "ready:"
        try:
            yield ListeningEnclave(place, process)
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=PATIENCE_S)
