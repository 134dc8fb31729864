"""`voisin enclave run --listen` as a process of its own, simulated."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio

from tests.support.pool_rig import DEADLINE_S, POLL_S

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


def enclaves_of(pid: int) -> list[int]:
    """The processes of enclaves that a process has started."""
    return [child for child in children_of(pid) if b"voisin.enclave" in Path(f"/proc/{child}/cmdline").read_bytes()]


def children_of(pid: int) -> list[int]:
    """The processes that a process has started."""
    try:
        return [int(child) for thread in Path(f"/proc/{pid}/task").iterdir() for child in (thread / "children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):  # a thread, or all of it, ended meanwhile
        return []


async def enclave_at_work(pid: int) -> int:
    """Wait until an enclave that a process has started runs a guest: it has a process of its own by then."""
    with anyio.fail_after(DEADLINE_S):
        while True:
            for enclave in enclaves_of(pid):
                if children_of(enclave):
                    return enclave
            await anyio.sleep(POLL_S)


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
