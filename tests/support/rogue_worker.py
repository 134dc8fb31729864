"""
A worker that misbehaves, as a process: the real worker with one of its parts replaced.

    python -m tests.support.rogue_worker --mode lie --pool-url URL --rpc-url URL --name NAME --folder PATH ...

Modes:
    lie     flips one bit of the result before it is packed, and contributes that
    mute    contributes honestly and never reveals
    stall   takes tasks and never finishes one
    forge   is honest on the chain, and uploads another result than the one agreed on
    honest  does nothing wrong; to compare with
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from voisin.chain.keystore import load_keystore
from voisin.protocol.archive import pack_files
from voisin.protocol.cid import Cid
from voisin.protocol.ids import Hash32, TaskId
from voisin.protocol.signatures import KeySigner
from voisin.sandbox import Job, OnOutput, Outcome, Series, ShortRun
from voisin.worker import Parts, Runner, Storage, WorkerSettings, open_worker
from voisin.worker.ledger import ChainLedger


class LyingRunner:
    """Runs apps and spoils what they give."""

    def __init__(self, honest: Runner) -> None:
        self._honest = honest

    async def run(self, job: Job, *, on_output: OnOutput | None = None) -> Outcome:
        """Run, and flip a bit."""
        outcome = await self._honest.run(job, on_output=on_output)
        await anyio.to_thread.run_sync(_flip_a_bit, job.output_dir)
        if outcome.cause is not None:
            return Outcome(cause=outcome.cause, detail=f"{outcome.detail}!", instructions=1)
        return outcome

    async def run_series(self, series: Series) -> list[ShortRun]:
        """Run, and flip a bit of each result."""
        return [replace(run, files=_flipped(run.files)) for run in await self._honest.run_series(series)]


def _flip_a_bit(folder: Path) -> None:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size) if folder.is_dir() else []
    if files:
        data = bytearray(files[0].read_bytes())
        data[len(data) // 2] ^= 1
        files[0].write_bytes(bytes(data))
    else:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "lie.txt").write_bytes(b"1")


def _flipped(files: Mapping[str, bytes]) -> dict[str, bytes]:
    name = min((path for path, data in files.items() if data), default="lie.txt")
    data = bytearray(files.get(name, b"1"))
    data[len(data) // 2] ^= 1
    return {**files, name: bytes(data)}


class StallingRunner:
    """Never finishes anything."""

    async def run(self, _job: Job, *, on_output: OnOutput | None = None) -> Outcome:
        """Wait for ever."""
        await anyio.sleep_forever()
        raise AssertionError("unreachable")

    async def run_series(self, _series: Series) -> list[ShortRun]:
        """Wait for ever."""
        await anyio.sleep_forever()
        raise AssertionError("unreachable")


class SlowRunner:
    """Runs apps as a slower machine would, without keeping this one busy."""

    def __init__(self, quick: Runner, run_s: float) -> None:
        """
        Args:
            quick: What runs them.
            run_s: How long each run takes beside what it computes [s].
        """
        self._quick = quick
        self._run_s = run_s

    async def run(self, job: Job, *, on_output: OnOutput | None = None) -> Outcome:
        """Run, slowly."""
        await anyio.sleep(self._run_s)
        outcome = await self._quick.run(job, on_output=on_output)
        return replace(outcome, wall_s=outcome.wall_s + self._run_s)

    async def run_series(self, series: Series) -> list[ShortRun]:
        """Run the first of a series, slowly: it is none for a machine like this."""
        await anyio.sleep(self._run_s)
        runs = await self._quick.run_series(replace(series, turns=series.turns[:1]))
        return [replace(run, outcome=replace(run.outcome, wall_s=run.outcome.wall_s + self._run_s)) for run in runs]


class MuteLedger(ChainLedger):
    """Contributes and never reveals."""

    def __init__(self, honest: ChainLedger) -> None:
        vars(self).update(vars(honest))

    async def reveal(self, task_id: TaskId, digest: Hash32) -> None:
        """Wait for ever."""
        await anyio.sleep_forever()


class ForgingStorage:
    """Uploads another result."""

    def __init__(self, honest: Storage) -> None:
        self._honest = honest

    async def get_bytes(self, cid: Cid, *, max_bytes: int) -> bytes:
        """Fetch honestly."""
        return await self._honest.get_bytes(cid, max_bytes=max_bytes)

    async def get_file(self, cid: Cid, path: Path, *, max_bytes: int) -> int:
        """Fetch honestly."""
        return await self._honest.get_file(cid, path, max_bytes=max_bytes)

    async def put_result(self, path: Path) -> Cid:
        """Store something else."""
        forged = path.with_name("forged.zip")
        await anyio.to_thread.run_sync(forged.write_bytes, pack_files({"forged.txt": b"not what was agreed"}))
        return await self._honest.put_result(forged)


def _lie(parts: Parts) -> Parts:
    return replace(parts, runner=LyingRunner(parts.runner))


def _mute(parts: Parts) -> Parts:
    assert isinstance(parts.ledger, ChainLedger)
    return replace(parts, ledger=MuteLedger(parts.ledger))


def _stall(parts: Parts) -> Parts:
    return replace(parts, runner=StallingRunner())


def _forge(parts: Parts) -> Parts:
    @asynccontextmanager
    async def open_forging(url: str) -> AsyncIterator[Storage]:
        async with parts.open_storage(url) as honest:
            yield ForgingStorage(honest)

    return replace(parts, open_storage=open_forging)


MODES: Mapping[str, Callable[[Parts], Parts]] = {
    "lie": _lie,
    "mute": _mute,
    "stall": _stall,
    "forge": _forge,
    "honest": lambda parts: parts,
}


async def work(settings: WorkerSettings, wallet: KeySigner, mode: str, run_s: float = 0.0) -> None:
    """Misbehave until a signal comes; each run of an app takes `run_s` [s] more than it would."""

    def change(parts: Parts) -> Parts:
        return MODES[mode](replace(parts, runner=SlowRunner(parts.runner, run_s)) if run_s else parts)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_stop_on_signal, tasks.cancel_scope)
        async with open_worker(settings, wallet, change=change) as worker:
            await worker.run()


async def _stop_on_signal(scope: anyio.CancelScope) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            scope.cancel()
            return


def main() -> None:
    """Read the command line and misbehave."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mode", choices=sorted(MODES), required=True)
    parser.add_argument("--pool-url", required=True)
    parser.add_argument("--rpc-url", required=True)
    parser.add_argument("--hub", default="")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--keystore", type=Path, required=True)
    parser.add_argument("--password-file", type=Path, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--slots", type=int, default=1)
    parser.add_argument("--max-retry-s", type=float, default=30.0)
    parser.add_argument("--run-s", type=float, default=0.0)
    given = parser.parse_args()
    told: dict[str, Any] = {"name": given.name, "slots": given.slots, "max_retry_s": given.max_retry_s}
    settings = WorkerSettings(pool_url=given.pool_url, rpc_url=given.rpc_url, hub=given.hub, folder=given.folder, watch_s=1.0, **told)
    wallet = load_keystore(given.keystore, given.password_file.read_text().strip())
    anyio.run(work, settings, wallet, given.mode, given.run_s)


if __name__ == "__main__":
    sys.exit(main())
