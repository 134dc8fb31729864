"""Crowds of connections that do nothing, and what they cost the process that has them."""

from __future__ import annotations

import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

import httpx
import pytest

SPARE = 1.4
"""How many times its connections the files are that a process of ours wants to be allowed."""
ASKED = 20
DEADLINE_S = 120.0


@contextmanager
def crowd(url: str, count: int, *, says: bytes = b"") -> Iterator[list[socket.socket]]:
    """
    Connect many times, say the same each time, and leave it at that as long as the context lasts.

    Args:
        url: The service.
        count: How many connections.
        says: What each of them begins with.
    """
    parts = urlsplit(url)
    with ExitStack() as stack:
        found = []
        for _ in range(count):
            connection = stack.enter_context(socket.create_connection((parts.hostname, parts.port), timeout=DEADLINE_S))
            if says:
                connection.sendall(says)
            found.append(connection)
        yield found


def allow_files(count: int) -> None:
    """Have room for so many connections in this process and its children, or skip the test."""
    needed = int(count * SPARE)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        pytest.skip(f"a process may have {hard} open files here at most, {needed} are needed (ulimit -Hn)")
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def usual_wait_s(url: str) -> float:
    """How long an answer usually takes, with a connection of its own [s]."""

    def once() -> float:
        started = time.monotonic()
        with httpx.Client(timeout=DEADLINE_S) as http:
            http.get(url)
        return time.monotonic() - started

    return median(once() for _ in range(ASKED))


def resident_bytes(pid: int) -> int:
    """Memory of a process that is in use [bytes]; skips where no `/proc` tells it."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        pytest.skip("no /proc tells how much memory a process uses")
    return 1024 * next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmRSS"))
