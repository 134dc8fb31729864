"""
What parent and child say to each other: length-prefixed JSON over a socket pair, files as descriptors beside it.

Nothing here but the standard library: the child pays for every import at its start. It trusts what its parent says; the parent checks
every field of what a child says (`voisin.sandbox.process`).
"""

from __future__ import annotations

import base64
import json
import re
import struct
from dataclasses import dataclass

LENGTH = struct.Struct("<I")
MAX_ANSWER_BYTES = 64 << 10
COMPILED_NAME = "module.cwasm"
CONTENTS, SHORT_CONTENTS = "contents", "short"
"""Where the contents of a guest's files are kept meanwhile; a process runs series and single guests in turn."""
SERIES_S = 0.25
"""A series makes a pause after this [s], so that nobody waits long for its first results."""
SHORT_BYTES = 64 << 10
"""Most output of a run in a series [bytes]."""
SERIES_BYTES = 1 << 20
"""A series makes a pause when its outputs are as large as this together [bytes]."""
MAX_SERIES_ANSWER_BYTES = 4 << 20
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
class RunSeries:
    """Run a module several times; the descriptors of its inputs follow. `run` is a `Run`, each turn its own args, env and seed."""

    run: dict[str, object]
    turns: tuple[tuple[tuple[str, ...], dict[str, str], str], ...]


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
class Short:
    """One run of a series that has ended: as `Done`, with all that it left behind in base64; `is_whole` as in `ShortRun`."""

    cause: str
    detail: str
    exit_code: int
    instructions: int
    peak_memory_bytes: int
    stdout: bytes
    stderr: bytes
    entries: int
    files: dict[str, bytes]
    is_whole: bool


@dataclass(frozen=True)
class Ran:
    """The first runs of a series, and how long they took [s]; the rest is to be asked for again."""

    runs: tuple[Short, ...]
    took_s: float


@dataclass(frozen=True)
class Stale:
    """The compiled module does not fit this engine and must be made anew."""

    detail: str


@dataclass(frozen=True)
class Broken:
    """This machine or this code failed, not the guest."""

    detail: str


Request = Compile | Run | RunSeries
Answer = Ready | Compiled | OtherHash | Started | Done | Ran | Stale | Broken
REQUESTS: dict[str, type[Request]] = {kind.__name__: kind for kind in (Compile, Run, RunSeries)}
ANSWERS: dict[str, type[Answer]] = {kind.__name__: kind for kind in (Ready, Compiled, OtherHash, Started, Done, Ran, Stale, Broken)}


def encode(message: Request | Answer) -> bytes:
    """
    Write a message as it travels.

    Args:
        message: A request or an answer.

    Returns:
        Its length and its body.
    """
    fields = _fields_of_series(message) if isinstance(message, Ran) else vars(message)
    body = json.dumps({"kind": type(message).__name__, **fields}).encode()
    return LENGTH.pack(len(body)) + body


def _fields_of_series(ran: Ran) -> dict[str, object]:
    runs = []
    for short in ran.runs:
        fields: dict[str, object] = dict(vars(short))
        fields["stdout"], fields["stderr"] = _text(short.stdout), _text(short.stderr)
        fields["files"] = {path: _text(data) for path, data in short.files.items()}
        runs.append(fields)
    return {"runs": runs, "took_s": ran.took_s}


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


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
