"""Sandboxes and guests for tests: modules from the tests' C sources or from WebAssembly text, and jobs that run them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import anyio
from wasmtime import wat2wasm

from tests.support.patience import a_moment
from voisin.sandbox import Job, Limits, Outcome, Sandbox

ROOT: Final = Path(__file__).resolve().parents[2]
GUESTS: Final = ROOT / "tests" / "guests"
APPS: Final = ROOT / "apps"
PATIENCE_S: Final = 120.0

TIGHT: Final = Limits(
    time_s=20.0,
    instructions=2_000_000_000,
    memory_bytes=32 << 20,
    output_bytes=1 << 20,
    output_files=400,
    log_bytes=2_000,
)
"""Enough for every well-behaved guest, and soon reached by every other."""


def guest(name: str) -> Path:
    """Find the module of a guest, or of an app."""
    app = APPS / name / f"{name}.wasm"
    return app if app.is_file() else GUESTS / f"{name}.wasm"


def from_text(folder: Path, text: str) -> Path:
    """Make a module from WebAssembly text."""
    path = folder / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.wasm"
    path.write_bytes(bytes(wat2wasm(text)))
    return path


def job(module: Path, output: Path, *args: str, limits: Limits = TIGHT, inputs: Path | None = None) -> Job:
    """Make a job for a module."""
    sha256 = hashlib.sha256(module.read_bytes()).hexdigest()
    return Job(module=module, module_sha256=sha256, output_dir=output, limits=limits, args=args, input_dir=inputs, seed=b"seed")


class Bench:
    """A sandbox and a folder for its outputs, each run with a fresh one."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self.sandbox, self.folder = sandbox, folder
        self.runs = 0

    @property
    def output(self) -> Path:
        """The output folder of the latest run."""
        return self.folder / f"out{self.runs}"

    def job(self, module: str | Path, *args: str, limits: Limits = TIGHT, inputs: Path | None = None) -> Job:
        """Make a job with a fresh output folder."""
        self.runs += 1
        return job(guest(module) if isinstance(module, str) else module, self.output, *args, limits=limits, inputs=inputs)

    async def run(self, module: str | Path, *args: str, limits: Limits = TIGHT, inputs: Path | None = None) -> Outcome:
        """Run a guest by its name, or a module by its path."""
        return await self.sandbox.run(self.job(module, *args, limits=limits, inputs=inputs))

    async def still_works(self) -> None:
        """Check that the next job runs as if nothing had happened."""
        outcome = await self.run("exit_code", "0")
        assert (outcome.cause, outcome.stdout) == (None, b"to standard output\n")


def tighter(**changes: float) -> Limits:
    """The usual limits with some of them changed."""
    return replace(TIGHT, **changes)  # type: ignore[arg-type]


async def until(claim: Callable[[], bool]) -> None:
    """Wait until something is so."""
    with anyio.fail_after(PATIENCE_S):
        while not claim():
            await a_moment()


def is_running(pid: int) -> bool:
    """Tell whether a process exists and has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
