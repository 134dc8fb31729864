"""What a sandbox is asked to run, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType

DEFAULT_CLOCK_UNIX_S = 1_577_836_800
"""The start of 2020: some programs refuse a clock at 1970."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """
    What one run may use; passing any of them ends the run with the cause of that name.

    Attributes:
        time_s: Wall time from the start of the guest to its end [s]; also how long it may sleep, in its own time.
        instructions: WebAssembly instructions, plus a charge for every system call; equal on every machine.
        memory_bytes: Linear memory.
        output_bytes: All files below `/iexec_out` together.
        output_files: Files and folders below `/iexec_out`.
        log_bytes: What is kept of each of standard output and standard error: its start and its end, half each; what is between is left
            out, without failing the run.
    """

    time_s: float = 60.0
    instructions: int = 500_000_000_000
    memory_bytes: int = 512 << 20
    output_bytes: int = 256 << 20
    output_files: int = 1_000
    log_bytes: int = 64 << 10


@dataclass(frozen=True, kw_only=True)
class Job:
    """
    One run of one WebAssembly module (WASI preview 1 command).

    The guest sees its inputs read-only as `/iexec_in` and writes to `/iexec_out`; nothing else of the machine. Its clock and its
    random numbers are made from `clock_unix_s` and `seed`, so equal jobs give equal bytes on every machine.

    Attributes:
        module: The `.wasm` file.
        module_sha256: Its SHA-256 as 64 lower-case hex digits; a file with another hash is refused.
        args: Arguments after the program's name.
        env: Environment variables the guest sees.
        input_dir: Regular files below it appear in `/iexec_in`; symbolic links are left out. None: `/iexec_in` is empty.
        output_dir: Filled with the guest's `/iexec_out` when the run succeeds; must be empty or absent. Never holds links.
        limits: What the run may use.
        seed: Where the guest's random numbers come from.
        clock_unix_s: What the guest's clock shows when it starts [Unix s].
    """

    module: Path
    module_sha256: str
    output_dir: Path
    limits: Limits
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    input_dir: Path | None = None
    seed: bytes = b""
    clock_unix_s: int = DEFAULT_CLOCK_UNIX_S


@dataclass(frozen=True, kw_only=True)
class Turn:
    """
    What one run of a series has of its own.

    Attributes:
        args: Arguments after the program's name.
        env: Environment variables beside those of the series.
        seed: Where the guest's random numbers come from.
    """

    args: tuple[str, ...]
    env: Mapping[str, str]
    seed: bytes


@dataclass(frozen=True, kw_only=True)
class Series:
    """
    Short runs of one module, one after the other in one process. What they write is small and comes back in memory.

    A run alone costs folders, messages and changes of threads, which for a guest of a millisecond are most of its price.

    Attributes:
        job: What they have in common; its output folder, arguments and seed are not used.
        turns: The runs.
    """

    job: Job
    turns: tuple[Turn, ...]


class Cause(StrEnum):
    """Why a guest failed. Honest machines agree on all of them but `TIME_LIMIT`, which also depends on how fast they are."""

    INSTRUCTION_LIMIT = "instruction-limit"
    MEMORY_LIMIT = "memory-limit"
    OUTPUT_LIMIT = "output-limit"
    TIME_LIMIT = "time-limit"
    EXIT_CODE = "exit-code"
    TRAP = "trap"
    BAD_MODULE = "bad-module"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """
    What came of a run. A failure of the machine is not an outcome: `Sandbox.run` raises `UnavailableError` for it.

    Attributes:
        cause: Why the guest failed; None when it succeeded.
        exit_code: What it exited with; 0 unless the cause is `EXIT_CODE`.
        detail: One line for a person, for example `"exit code 3"` or `"ran longer than 2 s"`; empty after a success.
        instructions: What it used of `Limits.instructions`; 0 when it was killed.
        wall_s: How long it took on this machine [s].
        peak_memory_bytes: The most linear memory it held; None when it was killed.
        stdout: What it printed, at most `Limits.log_bytes` of it: start and end.
        stderr: The same for standard error.
        output_bytes: Size of all files in the output folder.
        output_files: Number of files and folders in the output folder.
    """

    cause: Cause | None
    exit_code: int = 0
    detail: str = ""
    instructions: int = 0
    wall_s: float = 0.0
    peak_memory_bytes: int | None = None
    stdout: bytes = b""
    stderr: bytes = b""
    output_bytes: int = 0
    output_files: int = 0

    @property
    def is_success(self) -> bool:
        """Whether the guest ended by itself with exit code 0."""
        return self.cause is None


@dataclass(frozen=True, kw_only=True)
class ShortRun:
    """
    What came of one run of a series.

    Attributes:
        outcome: How it ended.
        files: The bytes of each file below `/iexec_out`, by its path.
        is_whole: Whether its files are all there; when they are too large, none is, and the job is to be run alone.
    """

    outcome: Outcome
    files: Mapping[str, bytes]
    is_whole: bool = True
