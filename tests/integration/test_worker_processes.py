"""Workers as real processes on real parts: killed at every stage, started twice, told nonsense, and misbehaving on purpose."""

from __future__ import annotations

import json
import signal
from collections.abc import AsyncIterator

import pytest
from eth_utils import keccak

from tests.support.chain_rig import POOL_PRICE
from tests.support.scripted_pool import ScriptedPool
from tests.support.worker_rig import WorkerProcess, WorkerRig, open_worker_rig
from voisin.errors import InputError, TrustError
from voisin.protocol.ids import Hash32, TaskId
from voisin.protocol.records import ContributionStatus
from voisin.protocol.results import result_hash
from voisin.protocol.signatures import KeySigner
from voisin.protocol.wire import AskUpload, Failed, Uploaded
from voisin.protocol.wire_words import MachineFailure, ReplicaStage
from voisin.worker.__main__ import load_wallet

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """One loop for all tests of this file, which share a chain."""
    return "asyncio"


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[WorkerRig]:
    async with open_worker_rig(tmp_path_factory.mktemp("world")) as rig:
        yield rig


async def start_task(world: WorkerRig, pool: ScriptedPool, wallet: KeySigner) -> TaskId:
    """Give a worker a task that takes a moment: a picture of a path tracer."""
    params = json.dumps({"iexec_args": "--frame 1 --size 64x48 --samples 16"})
    return await pool.assign(await world.deal("pathtracer", params=params), 0, wallet.address)


@pytest.mark.parametrize("stage", ["fetching", "computing", "computed", "contributed", "revealed", "uploaded"])
async def test_killed_at_every_stage(world: WorkerRig, stage: str) -> None:
    """SIGKILL the moment the pool hears of a stage; the worker that is started again finishes, and is paid."""
    me = await world.hire()
    async with world.pool().open() as pool:
        worker = world.process(me, pool.url, f"killed-{stage}")
        worker.start()
        await pool.joined()
        task = await start_task(world, pool, me)
        if stage == "uploaded":
            await pool.reaches(task, ReplicaStage.REVEALED)
            await pool.say(AskUpload(task))
            await pool.hear(Uploaded, task)
        else:
            await pool.reaches(task, ReplicaStage(stage))
        assert await worker.end(signal.SIGKILL) == -signal.SIGKILL
        worker.start()
        await pool.joined(2)
        assert [held.task_id for held in pool.hellos[1].holding] == [task]
        await pool.until(lambda: any(isinstance(each, Uploaded) for each in pool.heard) or _is_revealed(pool, task), "the reveal")
        before = (await world.rig.chain.hub.account(me.address)).stake
        archive = await world.finish(pool, task)
        assert archive.failure() is None
        assert (await world.contribution(task, me)).status is ContributionStatus.PROVED
        account = await world.rig.chain.hub.account(me.address)
        assert (account.stake - before, account.locked) == (POOL_PRICE * 99 // 100 + POOL_PRICE * 30 // 100, 0)
        assert await worker.end(signal.SIGTERM) == 0


def _is_revealed(pool: ScriptedPool, task: TaskId) -> bool:
    """Whether the worker that was started again has said that the task is revealed."""
    held = [each.stage for each in pool.hellos[1].holding if each.task_id == task]
    if held in ([ReplicaStage.REVEALED], [ReplicaStage.UPLOADED]):
        return True
    return any(getattr(each, "stage", None) is ReplicaStage.REVEALED for each in pool.heard)


async def test_a_stopped_worker_gives_its_task_back(world: WorkerRig) -> None:
    me = await world.hire()
    async with world.pool().open() as pool:
        worker = world.process(me, pool.url, "stopped")
        worker.start()
        await pool.joined()
        deal = await world.deal("loop", params=json.dumps({"voisin_limits": {"time_s": 200}}))
        task = await pool.assign(deal, 0, me.address)
        await pool.reaches(task, ReplicaStage.COMPUTING)
        assert await worker.end(signal.SIGINT) == 0
        assert (await pool.hear(Failed, task)).failure is MachineFailure.SHUTTING_DOWN


async def test_no_second_worker_in_one_folder(world: WorkerRig) -> None:
    me = await world.hire()
    async with world.pool().open() as pool:
        first, second = world.process(me, pool.url, "twice"), world.process(me, pool.url, "twice")
        first.start()
        await pool.joined()
        second.start()
        assert await second.wait() == 1
        assert "another worker uses the folder" in second.said
        assert await first.end(signal.SIGTERM) == 0


async def refused(process: WorkerProcess, words: str) -> None:
    """Check that a process ends at once with one line that names the mistake."""
    process.start()
    assert await process.wait() == 2
    last = process.said.strip().splitlines()[-1]
    assert last.startswith("worker: ")
    assert words in last


async def test_wrong_settings_end_with_a_remedy(world: WorkerRig) -> None:
    me = await world.hire()
    process = world.process(me, "ftp://nowhere", "wrong")
    await refused(process, "is not the address of a pool")
    process.environment["VOISIN_WORKER_HUB"] = world.rig.stranger.address
    await refused(process, "there is no contract at")
    assert me.expose_key().hex() not in process.said


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({}, "VOISIN_WORKER_KEYSTORE is missing"),
        ({"VOISIN_WORKER_KEYSTORE": "k"}, "VOISIN_WORKER_PASSWORD_FILE is missing"),
        ({"VOISIN_WORKER_KEYSTORE": "k", "VOISIN_WORKER_PASSWORD_FILE": "/nowhere"}, "password file /nowhere cannot be read"),
    ],
)
def test_a_missing_wallet_is_named(environment: dict[str, str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        load_wallet(environment)


# --- misbehaviour ---


async def test_a_liar_contributes_something_else(world: WorkerRig) -> None:
    """An honest worker finds nothing in the output of the app that does nothing; the liar finds something."""
    me = await world.hire()
    async with world.pool().open() as pool:
        world.rogue("lie", me, pool.url, "lie").start()
        await pool.joined()
        task = await pool.assign(await world.deal("noop"), 0, me.address)
        await pool.reaches(task, ReplicaStage.REVEALED)
        assert (await world.contribution(task, me)).result_hash != result_hash(task, Hash32("0x" + keccak(b"").hex()))
        assert list((await world.finish(pool, task)).sizes) == ["lie.txt"]


async def test_a_mute_worker_contributes_and_never_reveals(world: WorkerRig) -> None:
    me = await world.hire()
    async with world.pool().open() as pool:
        world.rogue("mute", me, pool.url, "mute").start()
        await pool.joined()
        task = await pool.assign(await world.deal("noop"), 0, me.address)
        await pool.reaches(task, ReplicaStage.CONTRIBUTED)
        beats = pool.heartbeats
        await pool.until(lambda: pool.heartbeats > beats + 40, "two seconds of heartbeats")
        assert (await world.contribution(task, me)).status is ContributionStatus.CONTRIBUTED


async def test_a_stalling_worker_takes_a_task_and_does_nothing(world: WorkerRig) -> None:
    me = await world.hire()
    async with world.pool().open() as pool:
        world.rogue("stall", me, pool.url, "stall").start()
        await pool.joined()
        task = await pool.assign(await world.deal("noop"), 0, me.address)
        await pool.reaches(task, ReplicaStage.COMPUTING)
        beats = pool.heartbeats
        await pool.until(lambda: pool.heartbeats > beats + 40, "two seconds of heartbeats")
        assert (await world.contribution(task, me)).status is ContributionStatus.UNSET


async def test_a_forged_upload_is_seen_by_whoever_reads_it(world: WorkerRig) -> None:
    me = await world.hire()
    async with world.pool().open() as pool:
        world.rogue("forge", me, pool.url, "forge").start()
        await pool.joined()
        task = await pool.assign(await world.deal("noop"), 0, me.address)
        await pool.reaches(task, ReplicaStage.REVEALED)
        with pytest.raises(TrustError, match="the chain says"):
            await world.finish(pool, task)
