"""A worker and an honest pool: a task's whole life over a real WebSocket."""

from __future__ import annotations

import hashlib
from pathlib import Path

import anyio
import pytest
from eth_utils import keccak
from msgspec.structs import replace

from tests.support.worker_bench import MODULE, key, open_bench, outcome_of
from voisin.chain import Admission
from voisin.protocol.ids import ZERO_ADDRESS
from voisin.protocol.params import Bag, BagEntry, DealParams, encode_bag, encode_params
from voisin.protocol.records import Account, ContributionStatus, TaskStatus
from voisin.protocol.results import sign_authorization
from voisin.protocol.tags import tag_of
from voisin.protocol.wire import AskReveal, AskUpload, Failed, Progress, Release, Resources, Uploaded
from voisin.protocol.wire_words import EnclaveKind, MachineFailure, ReplicaStage
from voisin.sandbox import Job, Limits
from voisin.units import NRLC, UnixSeconds
from voisin.worker.vocabulary import Phase, Settled

pytestmark = pytest.mark.anyio


async def test_a_task_from_assignment_to_release(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench, bench.working():
        await bench.pool.joined()
        deal = bench.deal(params=encode_params(DealParams(iexec_args="--size 'a b'")))
        task = await bench.pool.assign(deal, 0, bench.me)
        await bench.pool.reaches(task, ReplicaStage.REVEALED)
        digest = bench.result(task).digest()
        assert bench.hub.tasks[task].result_digest == digest
        assert bench.result(task).read("args.txt") == b"--size\na b"
        await bench.pool.say(AskReveal(task_id=task, consensus=bench.hub.tasks[task].consensus, reveal_deadline=UnixSeconds(1)))
        await bench.pool.say(AskUpload(task))
        uploaded = await bench.pool.hear(Uploaded, task)
        stored = bench.storage.blobs[uploaded.cid]  # type: ignore[index]
        assert hashlib.sha256(stored).digest() == hashlib.sha256((tmp_path / "tasks" / task / "result.zip").read_bytes()).digest()
        bench.hub.finish(task, TaskStatus.COMPLETED)
        await bench.pool.say(Release(task))
        await bench.until(lambda: Settled(task, "paid") in bench.news)
        assert not (tmp_path / "tasks" / task).exists()
        assert (bench.account.stake, bench.account.locked) == (100, 0)
        stages = [message.stage for message in bench.pool.heard if isinstance(message, Progress)]
        order = ["fetching", "computing", "computed", "contributed", "revealed"]
        assert [stage for stage in stages if stage != "assigned"] == order


async def test_the_greeting_says_who_offers_what(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench, bench.working(slots=3, memory_bytes=5 << 30, disk_bytes=7 << 30, tag="gpu", region="eu-fr"):
        await bench.pool.joined()
        hello = bench.pool.hellos[0]
        assert (hello.worker, hello.name, hello.holding) == (bench.me, "tester", ())
        machine = Resources(slots=3, memory_bytes=5 << 30, disk_bytes=7 << 30, tag="gpu", region="eu-fr")
        assert hello.resources == replace(machine, enclave=EnclaveKind.SIMULATED)
        await bench.until(lambda: bench.pool.heartbeats >= 3)


async def test_a_machine_with_a_gpu_takes_tasks_that_ask_for_one(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench, bench.working(tag="gpu"):
        await bench.pool.joined()
        task = await bench.pool.assign(bench.deal(tag=tag_of(["gpu"])), 0, bench.me)
        await bench.pool.reaches(task, ReplicaStage.FETCHING)


async def test_the_greeting_names_what_the_cache_holds(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench:
        async with bench.working():
            await bench.does_a_task()
        async with bench.working():
            await bench.pool.joined()
            (module,) = bench.pool.hellos[-1].resources.content
            assert (tmp_path / "cache" / "content" / module).exists()


async def test_what_the_app_is_given(tmp_path: Path) -> None:
    """The job of a task, spelled out: arguments, variables, inputs, limits, seed, clock."""
    async with open_bench(tmp_path) as bench:
        laid_out: dict[str, bytes] = {}

        async def look(job: Job) -> dict[str, bytes]:
            assert job.input_dir is not None
            laid_out.update({path.name: path.read_bytes() for path in job.input_dir.iterdir()})
            return {"done": b""}

        bench.runner.guest = look
        foreign = bench.storage.add(b"foreign")
        bag = Bag((BagEntry(), BagEntry(args=("--frame", "1"), inputs={"scene.txt": bench.storage.add(b"scene")})))
        params = DealParams(
            iexec_args="render",
            iexec_input_files=(f"/ipfs/{foreign}",),
            voisin_bag=bench.storage.add(encode_bag(bag)),
            voisin_inputs={"texture.bin": bench.storage.add(b"texture"), "scene.txt": bench.storage.add(b"other scene")},
        )
        async with bench.working():
            await bench.pool.joined()
            deal = bench.deal(params=encode_params(params), bot_size=2)
            task = await bench.pool.assign(deal, 1, bench.me)
            await bench.reaches(task, Phase.REVEALED)
        (job,) = bench.runner.jobs
        foreign_name = "0x" + hashlib.sha256(f"/ipfs/{foreign}".encode()).hexdigest()
        assert job.args == ("render", "--frame", "1")
        assert laid_out == {"scene.txt": b"scene", "texture.bin": b"texture", foreign_name: b"foreign"}
        assert job.env == {
            "IEXEC_TASK_ID": task,
            "IEXEC_DEAL_ID": deal,
            "IEXEC_TASK_INDEX": "1",
            "IEXEC_IN": "/iexec_in",
            "IEXEC_OUT": "/iexec_out",
            "IEXEC_DATASET_ADDRESS": ZERO_ADDRESS,
            "IEXEC_DATASET_FILENAME": "",
            "IEXEC_INPUT_FILES_FOLDER": "/iexec_in",
            "IEXEC_INPUT_FILES_NUMBER": "3",
            "IEXEC_INPUT_FILE_NAME_1": foreign_name,
            "IEXEC_INPUT_FILE_NAME_2": "scene.txt",
            "IEXEC_INPUT_FILE_NAME_3": "texture.bin",
            "IEXEC_BOT_SIZE": "2",
            "IEXEC_BOT_FIRST_INDEX": "0",
            "IEXEC_BOT_TASK_INDEX": "1",
        }
        assert job.module_sha256 == hashlib.sha256(MODULE).hexdigest()
        assert job.limits == Limits(time_s=900.0, instructions=1_200_000_000_000, memory_bytes=512 << 20, output_bytes=64 << 20)
        assert (job.seed, job.clock_unix_s) == (bytes.fromhex(task[2:]), 1_000)


async def test_a_callback_gets_its_data(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench:

        async def oracle(_job: Job) -> dict[str, bytes]:
            return {"computed.json": b'{"callback-data": "0xc0ffee"}'}

        bench.runner.guest = oracle
        async with bench.working():
            await bench.pool.joined()
            task = await bench.pool.assign(bench.deal(callback=bench.scheduler.address), 0, bench.me)
            await bench.reaches(task, Phase.REVEALED)
            await bench.pool.say(AskUpload(task))
            assert (await bench.pool.hear(Uploaded, task)).callback_data == "0xc0ffee"
        assert bench.hub.tasks[task].result_digest == "0x" + keccak(bytes.fromhex("c0ffee")).hex()


async def test_many_tasks_share_the_slots(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench, bench.working(slots=2):
        await bench.pool.joined()
        deal = bench.deal(bot_size=20)
        tasks = []
        for index in range(20):
            tasks.append(await bench.pool.assign(deal, index, bench.me))
            if index % 4 == 3:
                await bench.reaches(tasks[-1], Phase.REVEALED)
        for task in tasks:
            await bench.reaches(task, Phase.REVEALED)
        assert bench.runner.most_running <= 2
        assert sorted(outcome_of(bench, "reveal"), key=str) == sorted(tasks, key=str)
        assert len(set(bench.storage.asked)) == len(bench.storage.asked), "the app is fetched once"


async def test_a_worker_that_stops_says_so(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench:

        async def never(job: Job) -> dict[str, bytes]:
            await anyio.sleep_forever()
            return {}

        bench.runner.guest = never
        async with bench.working():
            await bench.pool.joined()
            task = await bench.pool.assign(bench.deal(), 0, bench.me)
            await bench.reaches(task, Phase.RUNNING)
        assert (await bench.pool.hear(Failed, task)).failure is MachineFailure.SHUTTING_DOWN
        assert bench.runner.running == 0
        assert list((tmp_path / "tasks").iterdir()) == []


async def test_a_worker_waits_for_the_others(tmp_path: Path) -> None:
    """With trust 4 two workers must agree; the first one reveals only after the second has contributed."""
    async with open_bench(tmp_path / "one") as bench, bench.working():
        await bench.pool.joined()
        deal = bench.deal(trust=4)
        task = await bench.pool.assign(deal, 0, bench.me)
        await bench.reaches(task, Phase.CONTRIBUTED)
        assert bench.hub.tasks[task].status is TaskStatus.ACTIVE
        other = key("other").address
        bench.hub.accounts[other] = Account(NRLC(100), NRLC(0))
        digest = bench.result(task).digest()
        bench.hub.contribute(task, other, digest, Admission(sign_authorization(bench.scheduler, other, task)))
        await bench.reaches(task, Phase.REVEALED)
        assert bench.hub.contributions[task, bench.me].status is ContributionStatus.PROVED
