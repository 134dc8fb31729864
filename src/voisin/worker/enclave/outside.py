"""Simulated enclaves as their worker sees them: processes that are started, given an order, and never asked for what they know."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import anyio
from anyio.abc import Process

from voisin.enclave.words import Finished, Introduce, Refused
from voisin.protocol.evidence import SimulatedEvidence
from voisin.protocol.introduction import Introduction
from voisin.protocol.wire_words import EnclaveKind
from voisin.sandbox import OnOutput
from voisin.worker.enclave.errand import Errand
from voisin.worker.enclave.talk import Talk

LAST_WORDS_S: Final = 1.0
_COMMAND: Final = (sys.executable, "-I", "-m", "voisin.enclave", "--simulated")


class ProcessEnclaves:
    """
    Simulated enclaves: a process of this machine for each task.

    Attributes:
        kind: What they are.
    """

    kind: Final = EnclaveKind.SIMULATED

    def __init__(self, folder: Path, cache: Path) -> None:
        """
        Args:
            folder: Where they start; created when missing, and nothing is written there.
            cache: Where they keep compiled modules.
        """
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder
        self._cache = cache
        self._processes: set[int] = set()

    @property
    def process_ids(self) -> tuple[int, ...]:
        """The processes that are there now."""
        return tuple(sorted(self._processes))

    async def introduce(self, wanted: Introduce) -> Introduction:  # noqa: ARG002
        """Say that they are simulated; no process is needed for that."""
        return Introduction(SimulatedEvidence(), 1)

    async def run(self, errand: Errand, on_output: OnOutput) -> Finished | Refused:
        """Do a task in a fresh enclave; see `voisin.worker.ports.Enclaves`."""
        async with self._started() as process:
            assert process.stdin is not None
            assert process.stdout is not None
            return await Talk(process.stdout, process.stdin, death=lambda: _how_it_ended(process)).run(errand, on_output)

    @asynccontextmanager
    async def _started(self) -> AsyncIterator[Process]:
        command = (*_COMMAND, "--cache", str(self._cache))
        process = await anyio.open_process(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=self._folder, env={}
        )
        self._processes.add(process.pid)
        try:
            yield process
        finally:
            with anyio.CancelScope(shield=True):
                if process.returncode is None:
                    process.kill()
                await process.aclose()
            self._processes.discard(process.pid)


async def _how_it_ended(process: Process) -> str:
    with anyio.move_on_after(LAST_WORDS_S):
        await process.wait()
    code = process.returncode
    how = "closed its pipe" if code is None else f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
    return f"the enclave's process {how}"
