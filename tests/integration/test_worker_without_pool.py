"""A pool that dies, lies low or comes back: the worker goes on, and its stake does not depend on the pool."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from tests.support.worker_bench import Bench, open_bench, outcome_of
from voisin.protocol.ids import TaskId
from voisin.protocol.records import Account, ContributionStatus, TaskStatus
from voisin.protocol.wire import AskUpload, Held, Progress, Uploaded
from voisin.protocol.wire_words import ReplicaStage
from voisin.sandbox import Job
from voisin.units import NRLC
from voisin.worker.vocabulary import Disconnected, Phase, Settled

pytestmark = pytest.mark.anyio


async def start_one(bench: Bench, gate: anyio.Event) -> TaskId:
    """Give the worker a task whose app runs until the gate opens."""

    async def guest(_job: Job) -> dict[str, bytes]:
        await gate.wait()
        return {"done": b""}

    bench.runner.guest = guest
    await bench.pool.joined()
    task = await bench.pool.assign(bench.deal(), 0, bench.me)
    await bench.reaches(task, Phase.RUNNING)
    return task


async def test_the_pool_dies_while_the_app_runs(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench, bench.working():
        gate = anyio.Event()
        task = await start_one(bench, gate)
        await bench.pool.stop()
        gate.set()
        await bench.reaches(task, Phase.UPLOADED)
        assert bench.hub.contributions[task, bench.me].status is ContributionStatus.PROVED
        await bench.pool.start()
        await bench.pool.joined(2)
        assert bench.pool.hellos[1].holding == (Held(task, ReplicaStage.UPLOADED),)
        await bench.pool.hear(Uploaded, task)
        await bench.pool.say(AskUpload(task))
        await bench.pool.hear(Uploaded, task, 2)
        await bench.pool.drop()
        await bench.pool.joined(3)
        assert bench.pool.hellos[2].holding == (Held(task, ReplicaStage.UPLOADED),)
        await bench.pool.hear(Uploaded, task, 3)


async def test_the_pool_is_not_there_at_first(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench:
        await bench.pool.stop()
        async with bench.working():
            await bench.until(lambda: len([each for each in bench.news if isinstance(each, Disconnected)]) >= 3)
            pauses = [each.retry_s for each in bench.news if isinstance(each, Disconnected)][:3]
            assert pauses == pytest.approx([0.0075, 0.015, 0.03], abs=0.001)  # 0.01 doubled, at three quarters
            await bench.pool.start()
            await bench.does_a_task()


async def test_a_short_break_is_not_a_new_life(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench, bench.working():
        gate = anyio.Event()
        task = await start_one(bench, gate)
        for count in (2, 3, 4):
            await bench.pool.drop()
            await bench.pool.joined(count)
            assert bench.pool.hellos[-1].holding == (Held(task, ReplicaStage.COMPUTING),)
            await bench.pool.reaches(task, ReplicaStage.COMPUTING, count)
        assert len(bench.runner.jobs) == 1
        gate.set()
        await bench.reaches(task, Phase.REVEALED)


async def test_a_task_that_is_given_twice_runs_once(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench, bench.working():
        gate = anyio.Event()
        task = await start_one(bench, gate)
        deal = bench.hub.tasks[task].deal_id
        for count in (2, 3):
            await bench.pool.assign(deal, 0, bench.me)
            await bench.pool.hear(Progress, task, count)
        gate.set()
        await bench.pool.hear(Uploaded, task)
        await bench.pool.assign(deal, 0, bench.me)
        await bench.pool.hear(Uploaded, task, 2)
        assert (len(bench.runner.jobs), outcome_of(bench, "contribute")) == (1, [task])


async def test_a_silent_pool_cannot_trap_the_stake(tmp_path: Path) -> None:
    """Nobody asks for the reveal and nobody finalises: the worker reveals by itself, and claims at the final deadline."""
    async with open_bench(tmp_path) as bench, bench.working():
        await bench.pool.joined()
        task = await bench.pool.assign(bench.deal(), 0, bench.me)
        await bench.reaches(task, Phase.REVEALED)
        await bench.pool.stop()
        assert bench.account == Account(NRLC(97), NRLC(3))
        bench.hub.time_s = 1_000 + 10 * 300
        await bench.until(lambda: Settled(task, "refunded") in bench.news)
        assert bench.account == Account(NRLC(100), NRLC(0))
        assert not (tmp_path / "tasks" / task).exists()


async def test_a_task_that_never_agrees_is_claimed(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench, bench.working():
        await bench.pool.joined()
        task = await bench.pool.assign(bench.deal(trust=100), 0, bench.me)
        await bench.reaches(task, Phase.CONTRIBUTED)
        bench.hub.time_s = 1_000 + 10 * 300
        await bench.until(lambda: Settled(task, "refunded") in bench.news)
        assert bench.account == Account(NRLC(100), NRLC(0))


async def test_a_task_that_somebody_else_claims_is_over(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench, bench.working():
        await bench.pool.joined()
        task = await bench.pool.assign(bench.deal(trust=100), 0, bench.me)
        await bench.reaches(task, Phase.CONTRIBUTED)
        bench.hub.finish(task, TaskStatus.FAILED)
        await bench.until(lambda: Settled(task, "refunded") in bench.news)
        assert outcome_of(bench, "claim") == []
