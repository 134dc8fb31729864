"""
The workers of a box: child processes that are started again when they die, and that never outlive the box.

A worker's standard input is a pipe that the box holds open; when the box ends, however it ends, the pipe closes and the
worker stops.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import msgspec
import structlog

from voisin.box.children import FIRST_PAUSE_S, pause_after, stop_child
from voisin.protocol.codec import encode

log = structlog.get_logger()


class WorkerSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a worker process is told, as one line of JSON on its standard input; paths of secrets, never secrets."""

    name: str
    pool_url: str
    rpc_url: str
    hub: str
    folder: str
    keystore: str
    password_file: str
    slots: int
    memory_bytes: int
    disk_bytes: int
    allow_private_web: bool = False


@dataclass(frozen=True)
class Employed:
    """A worker that the box keeps running, and where its log is."""

    spec: WorkerSpec
    log_file: Path


@asynccontextmanager
async def keep_running(workers: list[Employed]) -> AsyncIterator[None]:
    """Run worker processes for as long as the context lasts; on leaving, each gets some seconds to stop by itself."""
    async with anyio.create_task_group() as tasks:
        for worker in workers:
            tasks.start_soon(_employ, worker)
        try:
            yield
        finally:
            tasks.cancel_scope.cancel()


async def _employ(worker: Employed) -> None:
    """Start a worker, again and again, with longer pauses while it keeps dying; one that leaves as it was told to stays away."""
    pause = FIRST_PAUSE_S
    while True:
        began = anyio.current_time()
        code = await _run_once(worker)
        if code == 0:
            log.info("worker_left", worker=worker.spec.name)
            return
        pause = pause_after(pause, began)
        log.warning("worker_died", worker=worker.spec.name, exit_code=code, restart_in_s=pause, log_file=str(worker.log_file))
        await anyio.sleep(pause)


async def _run_once(worker: Employed) -> int:
    worker.log_file.parent.mkdir(parents=True, exist_ok=True)
    with worker.log_file.open("ab") as log_file:
        command = [sys.executable, "-m", "voisin.box.worker_process"]
        process = await anyio.open_process(command, stdin=subprocess.PIPE, stdout=log_file, stderr=log_file, start_new_session=True)
        try:
            assert process.stdin is not None
            await process.stdin.send(encode(worker.spec) + b"\n")
            return await process.wait()
        finally:
            with anyio.CancelScope(shield=True):
                await stop_child(process)
