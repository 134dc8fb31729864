"""
Looking for secrets where they must not be: in the memory of processes, in files, and in what goes over the loopback.

A secret is found by any 16 bytes of it in a row, in hex by 32 digits, in base64 by 20. Each such window holds one of the secret's blocks
of half its length whole, so those are what is looked for; around each the longest common run is measured.
"""

from __future__ import annotations

import base64
import os
import resource
import select
import socket
import threading
from array import array
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

WINDOW = 16
IN_HEX, IN_BASE64 = " in hex", " in base64 from "
PIECE = 64 << 20
PAGE = resource.getpagesize()
_HELD = 0b11 << 62  # in memory, or swapped out; Linux, Documentation/admin-guide/mm/pagemap.rst
_ETH_P_ALL, _LARGEST_PACKET = 3, 1 << 17


@dataclass(frozen=True)
class Find:
    """A secret that was found: which, where, and how many of its bytes in a row."""

    secret: str
    place: str
    run: int


@dataclass(frozen=True)
class Wanted:
    """
    Secrets that are looked for.

    Attributes:
        secrets: Their bytes by name.
    """

    secrets: Mapping[str, bytes]

    def spelled(self) -> Wanted:
        """Add how text formats would have them: hex, and base64 wherever in it they begin."""
        found = dict(self.secrets)
        for name, secret in self.secrets.items():
            found[f"{name}{IN_HEX}"] = secret.hex().encode()
            for skip in range(3):
                whole = base64.b64encode(bytes(skip) + secret)
                found[f"{name}{IN_BASE64}{skip}"] = whole[4 * ((skip + 2) // 3) : -4]
        return Wanted(found)

    def find(self, data: bytes, place: str) -> Iterator[Find]:
        """Look for them in bytes."""
        for name, secret in self.secrets.items():
            window = 32 if name.endswith(IN_HEX) else 20 if IN_BASE64 in name else WINDOW
            size = window // 2
            for start in range(0, len(secret) - size + 1, size):
                block, at = secret[start : start + size], -1
                while (at := data.find(block, at + 1)) >= 0:
                    if (run := _run(data, at, secret, start)) >= window:
                        yield Find(name, place, run)
                        break


def _run(data: bytes, at: int, secret: bytes, start: int) -> int:
    before = after = 0
    while at - before > 0 and start - before > 0 and data[at - before - 1] == secret[start - before - 1]:
        before += 1
    while at + after < len(data) and start + after < len(secret) and data[at + after] == secret[start + after]:
        after += 1
    return before + after


def in_files(wanted: Wanted, folders: Iterable[Path], *, but: Iterable[Path] = ()) -> list[Find]:
    """Look for secrets in every file below some folders, but in those that may have them."""
    allowed = set(but)
    found: list[Find] = []
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path in allowed or path.is_symlink() or not path.is_file():
                continue
            with suppress(FileNotFoundError):  # a passing file
                found += wanted.find(path.read_bytes(), str(path))
    return found


def in_memory(wanted: Wanted, pid: int) -> tuple[list[Find], int]:
    """
    Look for secrets in all memory of a process that it may read itself, and that it has ever touched.

    Returns:
        What was found, and how much was looked at [bytes].
    """
    found: list[Find] = []
    looked = 0
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:  # noqa: PTH123  (no file, but the memory)
        for start, end, name in _spans(pid):
            for at in range(start, end, PIECE):
                with suppress(OSError, ValueError, OverflowError):  # a page that is not there any more
                    memory.seek(at)
                    data = memory.read(min(PIECE + WINDOW, end - at))
                    looked += len(data)
                    found += wanted.find(data, f"memory of {pid} at {at:#x} {name}")
    return found, looked


def _spans(pid: int) -> Iterator[tuple[int, int, str]]:
    """List the parts of a process's memory that hold anything: from, to, and what is mapped there."""
    with open(f"/proc/{pid}/pagemap", "rb", buffering=0) as pages:  # noqa: PTH123
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, rights, *_, name = line.split()
            start, end = (int(part, 16) for part in span.split("-"))
            if "r" not in rights or "[v" in line:
                continue
            pages.seek(start // PAGE * 8)
            present = array("Q", pages.read((end - start) // PAGE * 8))
            began = None
            for number, entry in enumerate((*present, 0)):
                if entry & _HELD and began is None:
                    began = number
                elif not entry & _HELD and began is not None:
                    yield start + began * PAGE, start + number * PAGE, name
                    began = None


def tree_of(pid: int) -> dict[int, str]:
    """List a process and all below it, with their command lines."""
    found = {}
    with suppress(FileNotFoundError, ProcessLookupError):
        found[pid] = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        for thread in Path(f"/proc/{pid}/task").iterdir():
            for child in (thread / "children").read_text().split():
                found |= tree_of(int(child))
    return found


def outside(pid: int, *, inside: tuple[str, ...]) -> dict[int, str]:
    """List a process and those below it, but for those whose command line has one of some words, and what is below these."""
    whole = tree_of(pid)
    hidden = [each for each, command in whole.items() if any(word in command for word in inside)]
    return {each: command for each, command in whole.items() if not any(each in tree_of(root) for root in hidden) and each not in hidden}


@dataclass
class Packets:
    """What goes over the loopback."""

    data: bytearray = field(default_factory=bytearray)
    count: int = 0


@contextmanager
def recorded_loopback() -> Iterator[Packets]:
    """
    Record every packet of the loopback, as root may.

    Raises:
        PermissionError: This is not root.
    """
    packets, over = Packets(), os.pipe()
    listener = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 20)
    listener.bind(("lo", 0))

    def record() -> None:
        """Take what there is, and the rest once it is over."""
        while True:
            ready, _, _ = select.select([listener.fileno(), over[0]], [], [])
            if listener.fileno() not in ready:
                return
            packets.data += listener.recv(_LARGEST_PACKET)
            packets.count += 1

    recorder = threading.Thread(target=record)
    recorder.start()
    try:
        yield packets
    finally:
        os.write(over[1], b".")
        recorder.join()
        for end in over:
            os.close(end)
        listener.close()
