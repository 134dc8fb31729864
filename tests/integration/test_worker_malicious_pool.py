"""Whatever a pool says, the worker lives on, does honest work afterwards, and not a nRLC of its stake is touched meanwhile."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import anyio
import pytest
from msgspec.structs import replace

from tests.support.worker_bench import APP, Bench, changed, key, open_bench, outcome_of
from voisin.chain import Admission
from voisin.errors import InputError
from voisin.protocol.cid import digest_of
from voisin.protocol.ids import ZERO_ADDRESS, DealId, Hash32, TaskId, as_address, from_hex
from voisin.protocol.records import Account, Resource, TaskStatus
from voisin.protocol.results import sign_authorization
from voisin.protocol.tags import tag_of
from voisin.protocol.wire import Abort, AskReveal, AskUpload, Challenge, Failed, Refused, Release, Welcome
from voisin.protocol.wire_words import MachineFailure, ReplicaStage
from voisin.sandbox import Job
from voisin.units import NRLC, UnixSeconds
from voisin.worker.link import MAX_NONSENSE, read_message
from voisin.worker.vocabulary import Disconnected, Moved, Phase, Settled

pytestmark = pytest.mark.anyio
STRANGER = as_address("0x" + "99" * 20)


async def refused(bench: Bench, deal: DealId, index: int = 0, **changes: Any) -> Failed:
    """Assign a task that is not to be accepted; nothing may be sent to the chain for it."""
    task = await bench.pool.assign(deal, index, bench.me, **changes)
    failure = await bench.pool.hear(Failed, task)
    assert outcome_of(bench, "contribute") == []
    assert bench.account == Account(NRLC(100), NRLC(0))
    assert bench.runner.jobs == []
    return failure


async def test_tasks_that_the_chain_does_not_confirm(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench, bench.working():
        await bench.pool.joined()
        unknown = DealId(Hash32("0x" + "ee" * 32))
        failure = await refused(bench, unknown)
        assert (failure.failure, "unknown deal" in failure.detail) == (MachineFailure.TASK_NOT_ACTIVE, True)

        deal = bench.deal()
        failure = await refused(bench, deal, task_id=TaskId(Hash32("0x" + "12" * 32)))
        assert "does not belong" in failure.detail

        failure = await refused(bench, bench.deal(initialize=False))
        assert (failure.failure, "unknown task" in failure.detail) == (MachineFailure.TASK_NOT_ACTIVE, True)

        failure = await refused(bench, bench.deal(bot_first=5), 4)
        assert "has no task 4" in failure.detail

        for status in (TaskStatus.REVEALING, TaskStatus.COMPLETED, TaskStatus.FAILED):
            deal = bench.deal()
            for task in [task for task, each in bench.hub.tasks.items() if each.deal_id == deal]:
                bench.hub.tasks[task] = replace(bench.hub.tasks[task], status=status)
            assert (await refused(bench, deal)).failure is MachineFailure.TASK_NOT_ACTIVE
        await bench.does_a_task()


async def test_forged_authorisations(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench, bench.working():
        await bench.pool.joined()
        forger = key("forger")
        deal = bench.deal()
        task = bench.pool.assignment(deal, 0, bench.me).task_id
        for forged in (
            sign_authorization(forger, bench.me, task),
            sign_authorization(bench.scheduler, STRANGER, task),
            sign_authorization(bench.scheduler, bench.me, TaskId(Hash32("0x" + "11" * 32))),
            "0x",
            "0x" + "00" * 65,
        ):
            count = len(bench.pool.heard)
            await bench.pool.assign(deal, 0, bench.me, authorization=forged)
            await bench.until(lambda count=count: len(bench.pool.heard) > count)  # type: ignore[misc]
            last = bench.pool.heard[-1]
            assert isinstance(last, Failed)
            assert (last.failure, "not signed by the deal's scheduler" in last.detail) == (MachineFailure.CHAIN_REFUSED, True)
        assert outcome_of(bench, "contribute") == []
        await bench.does_a_task()


async def test_tasks_of_others_or_not_worth_it(tmp_path: Path) -> None:
    async with (
        open_bench(tmp_path) as bench,
        bench.working(
            parts=dataclasses.replace(bench.parts, enclaves=None),
            min_price=10,
            memory_bytes=600 << 20,
            max_output_bytes=65 << 20,
        ),
    ):
        await bench.pool.joined()
        scheduler = bench.scheduler.address
        failure = await refused(bench, bench.deal(workerpool=Resource(STRANGER, scheduler, NRLC(10))))
        assert (failure.failure, "belongs to workerpool" in failure.detail) == (MachineFailure.CHAIN_REFUSED, True)
        failure = await refused(bench, bench.deal(tag=tag_of(["tee", "tdx"])))
        assert (failure.failure, "tee, tdx" in failure.detail) == (MachineFailure.NO_RESOURCES, True)
        failure = await refused(bench, bench.deal(tag=tag_of(["gpu"])))
        assert "gpu" in failure.detail
        failure = await refused(bench, bench.deal(), enclave_challenge=STRANGER)
        assert "enclave" in failure.detail
        failure = await refused(bench, bench.deal(params='{"voisin_limits": {"memory_bytes": 700000000}}'))
        assert (failure.failure, "memory" in failure.detail) == (MachineFailure.NO_RESOURCES, True)
        failure = await refused(bench, bench.deal(params='{"voisin_limits": {"output_bytes": 70000000}}'))
        assert (failure.failure, "write" in failure.detail) == (MachineFailure.NO_RESOURCES, True)
        pool = bench.hub.deals[bench.deal()].workerpool
        failure = await refused(bench, bench.deal(workerpool=Resource(pool.pointer, scheduler, NRLC(9))))
        assert (failure.failure, "this worker wants" in failure.detail) == (MachineFailure.NOT_WANTED, True)
        bench.hub.time_s = 1_000 + 7 * 300 - 30
        failure = await refused(bench, bench.deal())
        assert (failure.failure, "contributions end in 30 s" in failure.detail) == (MachineFailure.TASK_NOT_ACTIVE, True)
        bench.hub.time_s = 1_000
        await bench.does_a_task()


async def test_apps_that_are_not_what_they_seem(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench, bench.working():
        await bench.pool.joined()
        honest = bench.hub.apps[APP]
        changed(bench.hub, APP, type="DOCKER", multiaddr=b"registry/app:1")
        failure = await refused(bench, bench.deal())
        assert (failure.failure, "'DOCKER'" in failure.detail) == (MachineFailure.APP_UNAVAILABLE, True)
        for multiaddr in (b"http://example.org/app.wasm", b"/ipfs/../../etc/passwd", b"\xff\xfe", b""):
            changed(bench.hub, APP, type="WASM", multiaddr=multiaddr)
            failure = await refused(bench, bench.deal())
            assert (failure.failure, "/ipfs/<cid> only" in failure.detail) == (MachineFailure.APP_UNAVAILABLE, True)
        bench.hub.apps[APP] = replace(honest, checksum=Hash32("0x" + "55" * 32))
        assert (await refused(bench, bench.deal())).failure is MachineFailure.WRONG_HASH
        missing = bench.storage.add(b"something else")
        del bench.storage.blobs[missing]
        bench.hub.apps[APP] = replace(honest, multiaddr=f"/ipfs/{missing}".encode(), checksum=Hash32("0x" + digest_of(missing).hex()))
        failure = await refused(bench, bench.deal())
        assert (failure.failure, "the app cannot be fetched" in failure.detail) == (MachineFailure.APP_UNAVAILABLE, True)
        bench.storage.blobs[missing] = b"replaced by the storage"
        assert (await refused(bench, bench.deal())).failure is MachineFailure.WRONG_HASH
        bench.hub.apps[APP] = honest
        await bench.does_a_task()


async def test_entries_as_the_protocols_own_client_writes_them(tmp_path: Path) -> None:
    """It knows the type `DOCKER` alone, and keeps of an address the hash alone; the bytes are what counts."""
    async with open_bench(tmp_path) as bench, bench.working():
        await bench.pool.joined()
        digest = from_hex(bench.hub.apps[APP].checksum)
        changed(bench.hub, APP, type="DOCKER", multiaddr=b"\xa5\x03\x22\x12\x20" + digest)
        await bench.does_a_task()


async def test_no_reveal_before_the_chain_agrees(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench, bench.working():
        await bench.pool.joined()
        task = await bench.pool.assign(bench.deal(trust=4), 0, bench.me)
        await bench.pool.reaches(task, ReplicaStage.CONTRIBUTED)
        mine = bench.hub.contributions[task, bench.me].result_hash
        for _ in range(5):
            await bench.pool.say(AskReveal(task_id=task, consensus=mine, reveal_deadline=UnixSeconds(2**40)))
            await bench.pool.say(AskUpload(task))
            await bench.does_a_task()
        assert task not in outcome_of(bench, "reveal")
        assert Moved(task, Phase.UPLOADING) not in bench.news


async def test_no_reveal_of_a_result_that_lost(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench, bench.working():
        await bench.pool.joined()
        task = await bench.pool.assign(bench.deal(trust=4), 0, bench.me)
        await bench.pool.reaches(task, ReplicaStage.CONTRIBUTED)
        wrong = Hash32("0x" + "66" * 32)
        for name in ("one", "two", "three", "four"):
            other = key(name).address
            bench.hub.accounts[other] = Account(NRLC(100), NRLC(0))
            if bench.hub.tasks[task].status is TaskStatus.ACTIVE:
                bench.hub.contribute(task, other, wrong, Admission(sign_authorization(bench.scheduler, other, task)))
        assert bench.hub.tasks[task].status is TaskStatus.REVEALING
        await bench.pool.say(AskReveal(task_id=task, consensus=bench.hub.tasks[task].consensus, reveal_deadline=UnixSeconds(2**40)))
        await bench.does_a_task()
        assert task not in outcome_of(bench, "reveal")
        bench.hub.finish(task, TaskStatus.COMPLETED)
        await bench.until(lambda: Settled(task, "slashed") in bench.news)


async def test_a_contribution_is_not_given_up_because_the_pool_says_so(tmp_path: Path) -> None:
    """A pool that wants the stake slashed tells the worker to forget its result before the reveal."""
    async with open_bench(tmp_path) as bench, bench.working():
        await bench.pool.joined()
        task = await bench.pool.assign(bench.deal(trust=4), 0, bench.me)
        await bench.pool.reaches(task, ReplicaStage.CONTRIBUTED)
        await bench.pool.say(Release(task))
        await bench.pool.say(Abort(task, "forget it"))
        await bench.does_a_task()
        other = key("other").address
        bench.hub.accounts[other] = Account(NRLC(100), NRLC(0))
        digest = bench.result(task).digest()
        bench.hub.contribute(task, other, digest, Admission(sign_authorization(bench.scheduler, other, task)))
        await bench.reaches(task, Phase.REVEALED)


async def test_an_abort_stops_the_run_and_frees_the_slot(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench:

        async def first_hangs(job: Job) -> dict[str, bytes]:
            if len(bench.runner.jobs) == 1:
                await anyio.sleep_forever()
            return {"done": b""}

        bench.runner.guest = first_hangs
        async with bench.working(slots=1):
            await bench.pool.joined()
            task = await bench.pool.assign(bench.deal(), 0, bench.me)
            await bench.reaches(task, Phase.RUNNING)
            await bench.pool.say(Abort(task, "enough others"))
            await bench.does_a_task()
            assert not (tmp_path / "tasks" / task).exists()
            assert (bench.runner.running, outcome_of(bench, "contribute").count(task)) == (0, 0)


async def test_a_flood_of_assignments(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench, bench.working(slots=1):
        await bench.pool.joined()
        deals = [DealId(Hash32(f"0x{number:064x}")) for number in range(1, 1_001)]
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_flood, bench, deals)
            await bench.until(lambda: len({each.task_id for each in bench.pool.heard if isinstance(each, Failed)}) == 1_000)
        assert outcome_of(bench, "contribute") == []
        await bench.does_a_task()


async def _flood(bench: Bench, deals: list[DealId]) -> None:
    for deal in deals:
        await bench.pool.assign(deal, 0, bench.me)


NONSENSE = [
    "",
    "null",
    "{}",
    '{"type": "assign"}',
    '{"type": "unknown"}',
    '{"type": "release", "task_id": "../../../../etc"}',
    '{"type": "release", "task_id": "0x12"}',
    '{"type": "abort", "task_id": 5, "reason": ""}',
    "[" * 100_000,
    b"\xff\xfe\x00",
    '{"type": "ask-upload", "task_id": "' + "0x" + "AB" * 31 + 'zz"}',
]


@pytest.mark.parametrize("data", NONSENSE)
def test_nonsense_is_refused(data: str | bytes) -> None:
    with pytest.raises(InputError):
        read_message(data)


def test_ids_are_made_canonical() -> None:
    message = read_message('{"type": "release", "task_id": "0x' + "AB" * 32 + '"}')
    assert isinstance(message, Release)
    assert message.task_id == "0x" + "ab" * 32


@pytest.mark.parametrize(
    "spoiled",
    [
        {"task_id": "../x"},
        {"deal_id": "0x"},
        {"index": -1},
        {"index": 2**256},
        {"authorization": "zz"},
        {"authorization": "0x" + "00" * 10_000},
        {"enclave_challenge": "nobody"},
    ],
)
def test_a_spoiled_assignment_is_refused(spoiled: dict[str, object]) -> None:
    fields = {
        "type": "assign",
        "deal_id": "0x" + "11" * 32,
        "index": 0,
        "task_id": "0x" + "22" * 32,
        "enclave_challenge": ZERO_ADDRESS,
        "authorization": "0x00",
        "contribution_deadline": 5,
    }
    read_message(json.dumps(fields))
    with pytest.raises(InputError):
        read_message(json.dumps({**fields, **spoiled}))


async def test_a_pool_that_talks_nonsense_is_left_and_tried_again(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench, bench.working():
        await bench.pool.joined()
        for _ in range(MAX_NONSENSE - 1):
            await bench.pool.say_raw('{"type": "nonsense"}')
        await bench.does_a_task()
        assert len(bench.pool.hellos) == 1
        await bench.pool.say_raw('{"type": "nonsense"}')
        await bench.pool.joined(2)
        await bench.pool.say_raw("x" * (2 << 20))
        await bench.pool.joined(3)
        challenge = Challenge(nonce=Hash32("0x" + "00" * 32), workerpool=STRANGER, chain_id=1)
        await bench.pool.say(challenge)
        await bench.pool.say(Welcome(hub=STRANGER, storage_url="http://evil", heartbeat_s=0))
        await bench.does_a_task()


async def left(bench: Bench, reason: str) -> None:
    """Wait until the worker turns away from its pool for a reason."""
    await bench.until(lambda: any(isinstance(each, Disconnected) and reason in each.reason for each in bench.news), reason)


async def test_the_wrong_pool_gets_no_signature(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench:
        bench.pool.chain_id = 1
        async with bench.working():
            await left(bench, "works on chain 1")
            assert bench.pool.hellos == []
            bench.pool.chain_id = bench.hub.chain_id
            await bench.pool.joined()
            await bench.does_a_task()
            bench.pool.workerpool = STRANGER
            await bench.pool.drop()
            await left(bench, "this worker works for")
            assert len(bench.pool.hellos) == 1


async def test_a_pool_of_another_hub_is_left(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench:
        bench.pool.hub = STRANGER
        async with bench.working():
            await left(bench, "works for hub")
            bench.pool.hub = bench.hub.address
            await bench.pool.joined(2)
            await bench.does_a_task()


async def test_a_pool_that_refuses_is_asked_again(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench:
        bench.pool.refusal = Refused("closed", "we are \x1b[31mfull\x07", "come back tomorrow")
        async with bench.working():
            await left(bench, "we are  [31mfull : come back tomorrow")
            bench.pool.refusal = None
            await bench.does_a_task()


async def test_a_pool_that_says_nothing_is_left(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench:
        bench.pool.is_mute = True
        async with bench.working(handshake_s=0.05):
            await left(bench, "did not greet within")
            bench.pool.is_mute = False
            await bench.does_a_task()
