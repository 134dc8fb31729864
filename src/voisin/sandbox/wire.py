"""
What parent and child say to each other: length-prefixed JSON over a socket pair, files as descriptors beside it.

Nothing here but the standard library: the child pays for every import at its start. It trusts what its parent says; the parent checks
every field of what a child says (`voisin.sandbox.process`).
"""

from __future__ import annotations

import json
import re
import struct
from dataclasses import asdict, dataclass

LENGTH = struct.Struct("<I")
MAX_ANSWER_BYTES = 64 << 10
COMPILED_NAME = "module.cwasm"
FILES_PER_MESSAGE = 64
"""Descriptors travel in groups of at most this many; the system's own limit is 253."""


@dataclass(frozen=True)
class Compile:
    """Compile the module whose descriptor follows, and write it to `COMPILED_NAME` in the current folder."""

    module_sha256: str
    canonical_nan: bool


@dataclass(frozen=True, kw_only=True)
class Run:
    """Run a compiled module; the descriptors of its inputs follow. The numbers are those of `Job` and `Limits`."""

    compiled: str
    canonical_nan: bool
    args: tuple[str, ...]
    env: dict[str, str]
    seed_hex: str
    clock_unix_s: int
    inputs: tuple[str, ...]
    time_s: float
    instructions: int
    memory_bytes: int
    output_bytes: int
    output_files: int
    log_bytes: int


@dataclass(frozen=True)
class Ready:
    """The child can take a request; `layers` are the walls around it that this system has."""

    layers: tuple[str, ...]


@dataclass(frozen=True)
class Compiled:
    """The answer to `Compile`; `refusal` says what is wrong with the module, empty when nothing is."""

    refusal: str = ""


@dataclass(frozen=True)
class OtherHash:
    """The module is not the one that was to be compiled."""


@dataclass(frozen=True)
class Started:
    """The guest's first instruction is next: its time runs."""


@dataclass(frozen=True, kw_only=True)
class Done:
    """The guest has ended; `cause` is a `Cause` or empty, `peak_memory_bytes` is -1 when it is not known."""

    cause: str
    detail: str
    exit_code: int
    instructions: int
    peak_memory_bytes: int


@dataclass(frozen=True)
class Stale:
    """The compiled module does not fit this engine and must be made anew."""

    detail: str


@dataclass(frozen=True)
class Broken:
    """This machine or this code failed, not the guest."""

    detail: str


Request = Compile | Run
Answer = Ready | Compiled | OtherHash | Started | Done | Stale | Broken
REQUESTS: dict[str, type[Request]] = {kind.__name__: kind for kind in (Compile, Run)}
ANSWERS: dict[str, type[Answer]] = {kind.__name__: kind for kind in (Ready, Compiled, OtherHash, Started, Done, Stale, Broken)}


def encode(message: Request | Answer) -> bytes:
    """
    Write a message as it travels.

    Args:
        message: A request or an answer.

    Returns:
        Its length and its body.
    """
    body = json.dumps({"kind": type(message).__name__} | asdict(message)).encode()
    return LENGTH.pack(len(body)) + body


def one_line(text: str, *, limit: int = 200) -> str:
    """
    Make foreign text safe to show in one line.

    Args:
        text: Anything.
        limit: Most characters to keep.

    Returns:
        Printable text without line breaks.
    """
    flat = re.sub(r"\s+", " ", text).strip()
    return "".join(char if char.isprintable() else "?" for char in flat)[:limit]
