"""Processes end when they should: on cancellation, on death, on leaving, and when the program that started them is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from tests.support.guests import ROOT, Bench, guest, is_running, job, tighter, until
from voisin.errors import StateError, UnavailableError
from voisin.sandbox import Outcome, Sandbox

pytestmark = pytest.mark.anyio

FOREVER = tighter(time_s=600, instructions=10**15)


def _has_started(pid: int) -> bool:
    """Whether a process is past its own start and computes: it has used more processor time than any start needs."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return int(fields[11]) + int(fields[12]) > 0.6 * os.sysconf("SC_CLK_TCK")


async def test_cancelling_a_run_kills_its_process(bench: Bench) -> None:
    await bench.still_works()
    (warm,) = bench.sandbox.process_ids
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(bench.sandbox.run, bench.job("loop", limits=FOREVER))
        await until(lambda: _has_started(warm))
        tasks.cancel_scope.cancel()
    assert not is_running(warm)
    assert bench.sandbox.process_ids == ()
    await bench.still_works()


async def test_a_killed_process_is_a_failure_of_the_machine(bench: Bench) -> None:
    await bench.still_works()
    (warm,) = bench.sandbox.process_ids

    async def run() -> None:
        with pytest.raises(UnavailableError, match="was killed by signal 9"):
            await bench.run("loop", limits=FOREVER)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        await until(lambda: _has_started(warm))
        os.kill(warm, signal.SIGKILL)
    assert bench.sandbox.process_ids == ()
    await bench.still_works()


async def test_a_process_that_dies_between_runs_is_replaced(bench: Bench) -> None:
    await bench.still_works()
    (warm,) = bench.sandbox.process_ids
    os.kill(warm, signal.SIGKILL)
    await until(lambda: not is_running(warm))
    with anyio.fail_after(60):
        for _ in range(3):  # the loop may learn of the death a little later: at most one run meets it
            try:
                await bench.still_works()
                break
            except UnavailableError:
                continue
    await bench.still_works()


async def test_a_process_is_kept_warm_until_a_guest_meets_a_limit(bench: Bench) -> None:
    await bench.still_works()
    first = bench.sandbox.process_ids
    await bench.run("exit_code", "3")
    await bench.still_works()
    assert bench.sandbox.process_ids == first
    await bench.run("trap", "abort")
    assert bench.sandbox.process_ids == ()
    await bench.still_works()
    assert bench.sandbox.process_ids != first


async def test_leaving_ends_everything(sandbox_cache: Path, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    async with anyio.create_task_group() as tasks:

        async def run(bench: Bench) -> None:
            with pytest.raises(UnavailableError):
                await bench.run("loop", limits=FOREVER)

        async with Sandbox(sandbox_cache, slots=2, scratch_dir=scratch) as sandbox:
            bench = Bench(sandbox, tmp_path)
            await bench.still_works()
            tasks.start_soon(run, bench)
            await until(lambda: any(_has_started(pid) for pid in sandbox.process_ids))
            pids = sandbox.process_ids
    assert pids
    assert not any(is_running(pid) for pid in pids)
    assert list(scratch.iterdir()) == []
    with pytest.raises(StateError, match="not open"):
        await bench.run("noop")


async def test_slots_bound_how_many_run_at_once(sandbox_cache: Path, tmp_path: Path) -> None:
    async with Sandbox(sandbox_cache, slots=2) as sandbox:
        outcomes: list[Outcome] = []

        async def run(number: int) -> None:
            outcomes.append(await sandbox.run(job(guest("exit_code"), tmp_path / str(number), "0")))
            assert len(sandbox.process_ids) <= 2

        async with anyio.create_task_group() as tasks:
            for number in range(8):
                tasks.start_soon(run, number)
        assert [outcome.cause for outcome in outcomes] == [None] * 8


PARENT = """
import sys
from pathlib import Path
import anyio
from tests.support.guests import guest, job, tighter
from voisin.sandbox import Sandbox

async def main():
    cache, scratch, output = map(Path, sys.argv[1:])
    async with Sandbox(cache, scratch_dir=scratch) as sandbox:
        await sandbox.run(job(guest("exit_code"), output / "first", "0"))
        print(*sandbox.process_ids, flush=True)
        await sandbox.run(job(guest("loop"), output / "second", limits=tighter(time_s=600, instructions=10**15)))

anyio.run(main)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent has died")
async def test_killing_the_program_leaves_no_process_and_the_next_one_cleans_up(sandbox_cache: Path, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"}
    command = [sys.executable, "-c", PARENT, str(sandbox_cache), str(scratch), str(tmp_path)]
    async with await anyio.open_process(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL) as parent:
        assert parent.stdout is not None
        pid = int(await parent.stdout.receive())
        await until(lambda: _has_started(pid))
        parent.kill()
        await parent.wait()
    await until(lambda: not is_running(pid))
    assert len(list(scratch.iterdir())) == 2, "the killed program could not remove its folder and lock"
    async with Sandbox(sandbox_cache, scratch_dir=scratch):
        assert len(list(scratch.iterdir())) == 2, "only the new ones are there"
    assert list(scratch.iterdir()) == []
