"""The worker against the real chain, contracts, storage and sandbox; only the pool is scripted, over a real WebSocket."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest

from tests.support.chain_rig import POOL_PRICE, RLC
from tests.support.scripted_pool import ScriptedPool
from tests.support.worker_rig import WorkerRig, open_worker_rig
from voisin.chain import calls
from voisin.protocol.ids import Address
from voisin.protocol.records import Account, ContributionStatus, TaskStatus
from voisin.protocol.signatures import KeySigner
from voisin.protocol.wire import Failed
from voisin.protocol.wire_words import MachineFailure, ReplicaStage
from voisin.units import NRLC
from voisin.worker import News, run_worker
from voisin.worker.vocabulary import Settled

pytestmark = pytest.mark.anyio
STAKE = POOL_PRICE * 30 // 100


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """One loop for all tests of this file, which share a chain."""
    return "asyncio"


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[WorkerRig]:
    async with open_worker_rig(tmp_path_factory.mktemp("world")) as rig:
        yield rig


@dataclass
class Shift:
    """One worker at work in this process, and its pool."""

    pool: ScriptedPool
    wallet: KeySigner
    news: list[News] = field(default_factory=list)

    @property
    def me(self) -> Address:
        """The worker's address."""
        return self.wallet.address

    def hear(self, news: News) -> None:
        """Note what the worker tells."""
        self.news.append(news)
        self.pool.wake()


@asynccontextmanager
async def working(world: WorkerRig, wallet: KeySigner | None = None, **changes: Any) -> AsyncIterator[Shift]:
    """Let a worker work in this process, for a pool of its own."""
    async with world.pool().open() as pool, anyio.create_task_group() as tasks:
        shift = Shift(pool, wallet or await world.hire())
        settings = world.settings(pool.url, shift.me, **changes)

        async def work() -> None:
            await run_worker(settings, shift.wallet, on_event=shift.hear)

        tasks.start_soon(work)
        await pool.joined()
        yield shift
        tasks.cancel_scope.cancel()


async def test_a_word_count_is_computed_revealed_and_paid(world: WorkerRig) -> None:
    text = await world.storage.put_bytes(b"the cat and the dog and the bird")
    async with working(world) as shift:
        pool, me = shift.pool, shift.wallet
        before = await world.rig.chain.hub.account(me.address)
        deal = await world.deal("wordcount", params=json.dumps({"voisin_inputs": {"text.txt": text}}))
        task = await pool.assign(deal, 0, me.address)
        await pool.reaches(task, ReplicaStage.REVEALED)
        assert await world.rig.chain.hub.account(me.address) == Account(NRLC(before.stake - STAKE), STAKE)
        archive = await world.finish(pool, task)
        assert archive.read("counts.txt").splitlines()[:2] == [b"3 the", b"2 and"]
        await pool.until(lambda: Settled(task, "paid") in shift.news)
        # The worker alone gets the pool's price less the scheduler's 1 %, and its stake back.
        assert await world.rig.chain.hub.account(me.address) == Account(NRLC(before.stake + POOL_PRICE * 99 // 100), NRLC(0))
        assert not (world.folder / me.address / "tasks" / task).exists()


FAILING = [
    ("loop", {"voisin_limits": {"time_s": 0.05}}, "instruction-limit"),
    ("memory", {"voisin_limits": {"memory_bytes": 32 << 20}}, "memory-limit"),
    ("one_file", {"iexec_args": "100000000", "voisin_limits": {"output_bytes": 1 << 20}}, "output-limit"),
    ("sleep", {"iexec_args": "100", "voisin_limits": {"time_s": 1}}, "time-limit"),
    ("exit_code", {"iexec_args": "3"}, "exit-code"),
    ("trap", {}, "trap"),
]


async def test_apps_that_misbehave_end_as_failed_tasks_and_the_worker_goes_on(world: WorkerRig) -> None:
    async with working(world) as shift:
        pool, me = shift.pool, shift.wallet
        for app, params, cause in FAILING:
            deal = await world.deal(app, params=json.dumps(params))
            task = await pool.assign(deal, 0, me.address)
            await pool.reaches(task, ReplicaStage.REVEALED)
            failure = (await world.finish(pool, task)).failure()
            assert failure is not None
            assert failure.cause == cause, f"{app}: {failure}"
        task = await pool.assign(await world.deal("noop"), 0, me.address)
        await pool.reaches(task, ReplicaStage.REVEALED)
        assert (await world.finish(pool, task)).failure() is None


async def test_a_forged_authorisation_costs_nothing(world: WorkerRig) -> None:
    async with working(world) as shift:
        pool, me = shift.pool, shift.wallet
        before = await world.rig.chain.hub.account(me.address), await world.rig.chain.native_balance(me.address)
        deal = await world.deal("noop")
        forger = ScriptedPool(world.rig.stranger, pool.workerpool, pool.hub, pool.chain_id)
        forged = forger.assignment(deal, 0, me.address)
        await pool.say(forged)
        assert (await pool.hear(Failed, forged.task_id)).failure is MachineFailure.CHAIN_REFUSED
        assert (await world.rig.chain.hub.account(me.address), await world.rig.chain.native_balance(me.address)) == before


async def test_stake_is_deposited_from_the_wallet(world: WorkerRig) -> None:
    me, chain = await world.hire(), world.rig.chain
    account = await chain.hub.account(me.address)
    await world.rig.send(me, calls.withdraw(chain.hub_address, account.stake))
    async with working(world, me, deposit_cap=5 * RLC) as shift:
        pool = shift.pool
        task = await pool.assign(await world.deal("noop"), 0, me.address)
        await pool.reaches(task, ReplicaStage.REVEALED)
        assert await chain.hub.account(me.address) == Account(NRLC(0), STAKE)
        assert await chain.token.balance(me.address) == account.stake - STAKE
        other = await pool.assign(await world.deal("noop"), 0, me.address)
        assert (await pool.hear(Failed, other)).failure is MachineFailure.STAKE_TOO_LOW


async def test_a_dead_pool_cannot_trap_the_stake(world: WorkerRig) -> None:
    """The pool vanishes after the reveal; ten periods later the worker claims by itself."""
    chain = world.rig.chain
    async with working(world) as shift:
        pool, me = shift.pool, shift.wallet
        task = await pool.assign(await world.deal("noop"), 0, me.address)
        await pool.reaches(task, ReplicaStage.REVEALED)
        await pool.stop()
        assert (await chain.hub.account(me.address)).locked == STAKE
        await chain.rpc.call("evm_increaseTime", 3_001)
        await chain.rpc.call("evm_mine")
        await pool.until(lambda: Settled(task, "refunded") in shift.news)
        assert (await chain.hub.account(me.address)).locked == 0
        assert (await chain.hub.task(task)).status is TaskStatus.FAILED


async def test_workers_learn_the_hub_from_the_pool_when_they_were_not_told(world: WorkerRig) -> None:
    async with working(world, hub="") as shift:
        task = await shift.pool.assign(await world.deal("noop"), 0, shift.me)
        await shift.pool.reaches(task, ReplicaStage.REVEALED)
        await world.finish(shift.pool, task)
    async with working(world, shift.wallet, hub="") as again:
        task = await again.pool.assign(await world.deal("noop"), 0, again.me)
        await again.pool.reaches(task, ReplicaStage.REVEALED)
    assert (await world.contribution(task, shift.wallet)).status is ContributionStatus.PROVED
