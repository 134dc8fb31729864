"""Money and disk that a worker risks are bounded by what its owner said."""

from __future__ import annotations

import json
from pathlib import Path

import anyio
import pytest

from tests.support.worker_bench import Bench, open_bench, outcome_of
from voisin.protocol.records import Account
from voisin.protocol.wire import AskUpload, Failed, Uploaded
from voisin.protocol.wire_words import MachineFailure
from voisin.sandbox import Job
from voisin.units import NRLC
from voisin.worker.store import Spent, WorkerFolder
from voisin.worker.vocabulary import Phase

pytestmark = pytest.mark.anyio


def poor(bench: Bench, *, stake: int, wallet: int) -> None:
    """Give the worker that much in the hub, and that much in its wallet [nRLC]."""
    bench.hub.accounts[bench.me] = Account(NRLC(stake), NRLC(0))
    bench.hub.balances[bench.me] = NRLC(wallet)


async def test_missing_stake_is_deposited(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench, bench.working(deposit_cap=50):
        poor(bench, stake=1, wallet=10)
        task = await bench.does_a_task()
        assert [what for what, _, _ in bench.hub.sent] == ["deposit", "contribute", "reveal"]
        assert bench.account == Account(NRLC(0), NRLC(3))
        assert bench.hub.balances[bench.me] == 8
        assert WorkerFolder(tmp_path).spent() == Spent(NRLC(2))
        assert task in outcome_of(bench, "contribute")


@pytest.mark.parametrize(
    ("cap", "wallet", "settings", "words"),
    [
        (1, 10, {}, "would pass the cap of 0.000000001 RLC"),
        (50, 1, {}, "the wallet holds 0.000000001 RLC"),
        (0, 10, {}, "would pass the cap of 0 RLC"),
        (50, 10, {"hub": ""}, "would pass the cap of 0 RLC"),
    ],
)
async def test_no_deposit_beyond_what_was_allowed(tmp_path: Path, cap: int, wallet: int, settings: dict[str, str], words: str) -> None:
    """Without a hub that the owner named, the pool chose the hub: no money goes there."""
    async with open_bench(tmp_path) as bench, bench.working(deposit_cap=cap, **settings):
        poor(bench, stake=1, wallet=wallet)
        await bench.pool.joined()
        task = await bench.pool.assign(bench.deal(), 0, bench.me)
        failure = await bench.pool.hear(Failed, task)
        assert failure.failure is MachineFailure.STAKE_TOO_LOW
        assert words in failure.detail
        assert bench.hub.sent == []


async def test_the_cap_counts_over_restarts(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench:
        poor(bench, stake=0, wallet=100)
        async with bench.working(deposit_cap=5):
            await bench.does_a_task()
        async with bench.working(deposit_cap=5):
            await bench.pool.joined(2)
            task = await bench.pool.assign(bench.deal(), 0, bench.me)
            assert (await bench.pool.hear(Failed, task)).failure is MachineFailure.STAKE_TOO_LOW
        assert bench.hub.balances[bench.me] == 97


async def test_stake_is_not_promised_twice(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench:
        gate = anyio.Event()

        async def guest(_job: Job) -> dict[str, bytes]:
            await gate.wait()
            return {"done": b""}

        bench.runner.guest = guest
        poor(bench, stake=7, wallet=0)
        async with bench.working(slots=3):
            await bench.pool.joined()
            first, second, third = [await bench.pool.assign(bench.deal(), 0, bench.me) for _ in range(3)]
            failure = next(iter([await bench.fails(task) for task in (third,)]))
            assert failure.failure is MachineFailure.STAKE_TOO_LOW
            gate.set()
            await bench.reaches(first, Phase.REVEALED)
            await bench.reaches(second, Phase.REVEALED)
            assert bench.account == Account(NRLC(1), NRLC(6))


async def test_a_refused_deposit_is_the_stakes_failure(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench, bench.working():
        poor(bench, stake=1, wallet=10)
        bench.hub.refusal = "no deposits today"
        await bench.pool.joined()
        task = await bench.pool.assign(bench.deal(), 0, bench.me)
        failure = await bench.pool.hear(Failed, task)
        assert (failure.failure, "no deposits today" in failure.detail) == (MachineFailure.STAKE_TOO_LOW, True)


async def test_a_free_pool_needs_no_stake(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench, bench.working():
        poor(bench, stake=0, wallet=0)
        await bench.pool.joined()
        task = await bench.pool.assign(bench.deal(worker_stake=NRLC(0)), 0, bench.me)
        await bench.reaches(task, Phase.REVEALED)


async def test_tasks_keep_to_the_disk_they_were_given(tmp_path: Path) -> None:
    """Output twice (folder and archive) and a little more are set aside for each task that is not done."""
    limits = json.dumps({"voisin_limits": {"output_bytes": 4 << 20}})
    async with open_bench(tmp_path) as bench:
        gate = anyio.Event()

        async def guest(_job: Job) -> dict[str, bytes]:
            await gate.wait()
            return {"noise": bytes(range(256)) * 4_000}

        bench.runner.guest = guest
        async with bench.working(slots=4, disk_bytes=20 << 20):
            await bench.pool.joined()
            tasks = [await bench.pool.assign(bench.deal(params=limits), 0, bench.me) for _ in range(3)]
            failure = await bench.fails(tasks[2])
            assert (failure.failure, "bytes of disk are needed" in failure.detail) == (MachineFailure.NO_RESOURCES, True)
            gate.set()
            for task in tasks[:2]:
                await bench.reaches(task, Phase.REVEALED)
            await bench.reaches(await bench.pool.assign(bench.deal(params=limits), 0, bench.me), Phase.REVEALED)
            assert not list((tmp_path / "tasks").glob("*/output")), "a run's folders are gone once its result is packed"
            assert not list((tmp_path / "tasks").glob("*/input"))


async def test_a_result_that_is_gone_cannot_be_uploaded_but_is_revealed(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench, bench.working():
        await bench.does_a_task()  # the app is in the cache
        bench.storage.is_silent = True
        task = await bench.does_a_task()
        assert (await bench.pool.hear(Failed, task)).failure is MachineFailure.STORAGE_UNREACHABLE
        bench.storage.is_silent = False
        (tmp_path / "tasks" / task / "result.zip").unlink()
        await bench.pool.say(AskUpload(task))
        assert "gone from the disk" in (await bench.pool.hear(Failed, task, 2)).detail


async def test_an_upload_is_tried_again_and_then_told(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench, bench.working():
        await bench.does_a_task()  # the app is in the cache
        bench.storage.is_silent = True
        task = await bench.does_a_task()
        assert (await bench.pool.hear(Failed, task)).failure is MachineFailure.STORAGE_UNREACHABLE
        bench.storage.is_silent = False
        await bench.pool.say(AskUpload(task))
        assert (await bench.pool.hear(Uploaded, task)).cid in bench.storage.blobs
