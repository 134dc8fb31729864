"""What parent and child say to each other: length-prefixed MessagePack over a socket pair, files as descriptors beside it."""

from __future__ import annotations

import re
import struct

import msgspec

LENGTH = struct.Struct("<I")
MAX_REQUEST_BYTES = 8 << 20
MAX_ANSWER_BYTES = 64 << 10
FILES_PER_MESSAGE = 64
"""Descriptors travel in groups of at most this many; the system's own limit is 253."""


class Compile(msgspec.Struct, frozen=True, tag="compile", forbid_unknown_fields=True):
    """Compile the module whose descriptor follows, and write it to `module.cwasm` in the scratch folder."""

    canonical_nan: bool
    module_sha256: str


class Run(msgspec.Struct, frozen=True, tag="run", forbid_unknown_fields=True, kw_only=True):
    """Run a compiled module; the descriptors of its inputs follow."""

    compiled: str
    canonical_nan: bool
    args: tuple[str, ...]
    env: dict[str, str]
    seed: bytes
    clock_unix_s: int
    inputs: tuple[str, ...]
    time_s: float
    instructions: int
    memory_bytes: int
    output_bytes: int
    output_files: int
    log_bytes: int


class Ready(msgspec.Struct, frozen=True, tag="ready", forbid_unknown_fields=True):
    """The child can take a request; `layers` are the walls around it that this system has."""

    layers: tuple[str, ...]


class Compiled(msgspec.Struct, frozen=True, tag="compiled", forbid_unknown_fields=True):
    """The answer to `Compile`; `refusal` says what is wrong with the module, empty when nothing is."""

    refusal: str = ""


class Started(msgspec.Struct, frozen=True, tag="started", forbid_unknown_fields=True):
    """The guest's first instruction is next: its time runs."""


class Done(msgspec.Struct, frozen=True, tag="done", forbid_unknown_fields=True, kw_only=True):
    """The guest has ended; `cause` is a `Cause` or empty."""

    cause: str
    detail: str
    exit_code: int
    instructions: int
    peak_memory_bytes: int


class Stale(msgspec.Struct, frozen=True, tag="stale", forbid_unknown_fields=True):
    """The compiled module does not fit this engine and must be made anew."""

    detail: str


class Broken(msgspec.Struct, frozen=True, tag="broken", forbid_unknown_fields=True):
    """This machine or this code failed, not the guest."""

    detail: str


Request = Compile | Run
Answer = Ready | Compiled | Started | Done | Stale | Broken


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
