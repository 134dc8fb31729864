"""An app that fails, and a request that nobody could carry out, end as results with the cause named; a machine that fails does not."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from eth_utils import keccak
from msgspec.structs import replace

from tests.support.worker_bench import Bench, open_bench, outcome_of
from voisin.errors import UnavailableError
from voisin.protocol.ids import TaskId, as_address
from voisin.protocol.params import Bag, BagEntry, encode_bag
from voisin.protocol.records import DatasetInfo, Resource
from voisin.protocol.results import GuestFailure
from voisin.protocol.wire import AskUpload, Failed, Uploaded
from voisin.protocol.wire_words import MachineFailure
from voisin.sandbox import Cause, Job, Outcome
from voisin.units import NRLC
from voisin.worker.vocabulary import Phase

pytestmark = pytest.mark.anyio
DATASET = as_address("0x" + "d5" * 20)


async def failed_result(bench: Bench, task: TaskId) -> GuestFailure:
    """Wait for a task's end, and read its failure; the digest on the chain must be that of the failure."""
    await bench.reaches(task, Phase.REVEALED)
    archive = bench.result(task)
    line = f"{hashlib.sha256(archive.read('error.json')).hexdigest()}  error.json\n".encode()
    assert bench.hub.tasks[task].result_digest == "0x" + keccak(line).hex()
    failure = archive.failure()
    assert failure is not None
    return failure


@pytest.mark.parametrize("cause", [cause for cause in Cause if cause is not Cause.TIME_LIMIT])
async def test_a_failing_app_is_contributed_with_its_cause(tmp_path: Path, cause: Cause) -> None:
    async with open_bench(tmp_path) as bench:

        async def fails(_job: Job) -> Outcome:
            return Outcome(cause=cause, detail="as it does", instructions=5, stdout=b"hello", stderr=b"help")

        bench.runner.guest = fails
        async with bench.working():
            await bench.pool.joined()
            task = await bench.pool.assign(bench.deal(), 0, bench.me)
            assert await failed_result(bench, task) == GuestFailure(cause.value, "as it does")
            archive = bench.result(task)
            assert (archive.read("stdout.txt"), archive.read("stderr.txt")) == (b"hello", b"help")


async def test_an_app_that_sleeps_too_long_has_failed_and_a_slow_machine_has_not(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench:
        instructions = 5

        async def late(_job: Job) -> Outcome:
            return Outcome(cause=Cause.TIME_LIMIT, detail="too long", instructions=instructions)

        bench.runner.guest = late
        async with bench.working():
            await bench.pool.joined()
            task = await bench.pool.assign(bench.deal(), 0, bench.me)
            assert (await failed_result(bench, task)).cause == "time-limit"
            instructions = 0  # killed by the clock: another machine might have finished
            task = await bench.pool.assign(bench.deal(), 0, bench.me)
            failure = await bench.pool.hear(Failed, task)
            assert (failure.failure, "too slow" in failure.detail) == (MachineFailure.NO_RESOURCES, True)
            assert len(outcome_of(bench, "contribute")) == 1


@pytest.mark.parametrize("broken", [1, 2])
async def test_a_broken_sandbox_gets_a_second_try(tmp_path: Path, broken: int) -> None:
    async with open_bench(tmp_path) as bench:

        async def breaks(job: Job) -> dict[str, bytes]:
            assert not job.output_dir.exists()
            if len(bench.runner.jobs) <= broken:
                job.output_dir.mkdir()
                raise UnavailableError("the sandbox process was killed")
            return {"done": b""}

        bench.runner.guest = breaks
        async with bench.working():
            await bench.pool.joined()
            task = await bench.pool.assign(bench.deal(), 0, bench.me)
            if broken == 1:
                await bench.reaches(task, Phase.REVEALED)
            else:
                assert (await bench.pool.hear(Failed, task)).failure is MachineFailure.SANDBOX_BROKEN
                assert outcome_of(bench, "contribute") == []
            await bench.does_a_task()


async def test_an_unforeseen_error_costs_one_task_only(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench:

        async def breaks(_job: Job) -> dict[str, bytes]:
            if len(bench.runner.jobs) == 1:
                raise ZeroDivisionError("with a secret in it")
            return {"done": b""}

        bench.runner.guest = breaks
        async with bench.working():
            await bench.pool.joined()
            task = await bench.pool.assign(bench.deal(), 0, bench.me)
            failure = await bench.pool.hear(Failed, task)
            assert failure.detail == "an internal error (ZeroDivisionError)"
            await bench.does_a_task()


CALLBACK = as_address("0x" + "cb" * 20)


@pytest.mark.parametrize(
    ("files", "deal", "detail"),
    [
        ({"computed.json": b"nonsense"}, {}, "computed.json is malformed"),
        ({"computed.json": b'{"x": ' + b"[" * 100_000}, {}, "computed.json is malformed"),
        ({"computed.json": b'{"deterministic-output-path": "/iexec_out/x"}'}, {}, "computed.json names '/iexec_out/x'"),
        ({"a": b""}, {"callback": CALLBACK}, "no computed.json with callback-data"),
        ({"a\nb": b""}, {}, "control character"),
    ],
)
async def test_output_that_is_no_result(tmp_path: Path, files: dict[str, bytes], deal: dict[str, Any], detail: str) -> None:
    async with open_bench(tmp_path) as bench:

        async def writes(_job: Job) -> dict[str, bytes]:
            return files

        bench.runner.guest = writes
        async with bench.working():
            await bench.pool.joined()
            task = await bench.pool.assign(bench.deal(**deal), 0, bench.me)
            failure = await failed_result(bench, task)
            assert failure.cause == "bad-output"
            assert detail in failure.detail


async def test_a_failed_callback_can_be_finalised(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench:

        async def fails(_job: Job) -> Outcome:
            return Outcome(cause=Cause.EXIT_CODE, exit_code=3, detail="exit code 3", instructions=1)

        bench.runner.guest = fails
        async with bench.working():
            task = await _given(bench, callback=CALLBACK)
            await bench.pool.say(AskUpload(task))
            uploaded = await bench.pool.hear(Uploaded, task)
            assert bench.hub.tasks[task].result_digest == "0x" + keccak(bytes.fromhex(uploaded.callback_data[2:])).hex()


async def _given(bench: Bench, **deal: Any) -> TaskId:
    await bench.pool.joined()
    task = await bench.pool.assign(bench.deal(**deal), 0, bench.me)
    await bench.reaches(task, Phase.REVEALED)
    return task


BAD_REQUESTS = [
    ('{"iexec_args": 5}', "the deal's parameters are malformed"),
    ('{"x": ' + "[" * 100_000 + "]" * 100_000 + "}", "the deal's parameters are malformed"),
    ('{"iexec_args": "\'open"}', "a quotation mark is never closed"),
    ('{"iexec_args": "a\\u0000b"}', "an argument holds a NUL character"),
    (json.dumps({"iexec_args": "x" * 200_000}), "longer than 100000 bytes"),
    ('{"iexec_result_encryption": true}', "encrypted result"),
    ('{"bulk_cid": "bafy"}', "many datasets"),
    ('{"voisin_limits": {"time_s": -1}}', "negative"),
    ('{"voisin_limits": {"memory_bytes": 5000000000}}', "more memory"),
    ('{"voisin_bag": "bafy"}', "the address of the bag of tasks is malformed"),
    ('{"voisin_inputs": {"../x": "bafy"}}', "is no file name"),
    ('{"voisin_inputs": {"a/b": "bafy"}}', "has a folder in it"),
    ('{"voisin_inputs": {"": "bafy"}}', "is no file name"),
    ('{"voisin_inputs": {"x": "nothing"}}', "the address of the input 'x' is malformed"),
    ('{"iexec_input_files": ["https://name:password@example.org/data"]}', "no address that a worker fetches"),
    ('{"iexec_result_storage_provider": "dropbox"}', "another storage"),
    ('{"iexec_secrets": {"1": "key"}}', "only an enclave can keep"),
    ('{"iexec_input_files": ["ftp://example.org/data"]}', "malformed"),
]


@pytest.mark.parametrize(("params", "detail"), BAD_REQUESTS)
async def test_a_request_that_nobody_can_carry_out(tmp_path: Path, params: str, detail: str) -> None:
    async with open_bench(tmp_path) as bench, bench.working():
        await bench.pool.joined()
        task = await bench.pool.assign(bench.deal(params=params), 0, bench.me)
        failure = await failed_result(bench, task)
        assert failure.cause == "bad-request"
        assert detail in failure.detail
        assert bench.runner.jobs == []


@pytest.mark.parametrize(
    ("bag", "detail"),
    [
        (b"nonsense", "the bag of tasks is malformed"),
        (b'{"tasks": ' + b"[" * 100_000, "the bag of tasks is malformed"),
        (b'{"tasks": [{"args": ["\xff"]}]}', "the bag of tasks is malformed"),
        (encode_bag(Bag((BagEntry(), BagEntry()))), "the bag has 2 tasks, and this is task 2"),
        (encode_bag(Bag(())), "the bag has 0 tasks"),
        (encode_bag(Bag((BagEntry(), BagEntry(), BagEntry(inputs={"a/../b": "x"})))), "no file name"),
        (encode_bag(Bag((BagEntry(), BagEntry(), BagEntry(inputs={f"f{n}": "x" for n in range(500)})))), "500 input files"),
    ],
)
async def test_a_bad_bag(tmp_path: Path, bag: bytes, detail: str) -> None:
    async with open_bench(tmp_path) as bench, bench.working():
        await bench.pool.joined()
        deal = bench.deal(params=json.dumps({"voisin_bag": bench.storage.add(bag)}), bot_size=3)
        task = await bench.pool.assign(deal, 2, bench.me)
        failure = await failed_result(bench, task)
        assert failure.cause == "bad-request"
        assert detail in failure.detail


async def test_inputs_that_cannot_be_had_are_the_machines_failure(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench, bench.working(max_input_bytes=1_000):
        await bench.pool.joined()
        gone = bench.storage.add(b"gone")
        spoiled = bench.storage.add(b"spoiled")
        large = bench.storage.add(b"x" * 600)
        larger = bench.storage.add(b"y" * 600)
        del bench.storage.blobs[gone]
        bench.storage.blobs[spoiled] = b"something else"
        for inputs, expected in (
            ({"a": gone}, MachineFailure.INPUT_UNAVAILABLE),
            ({"a": spoiled}, MachineFailure.WRONG_HASH),
            ({"a": large, "b": larger}, MachineFailure.INPUT_UNAVAILABLE),
        ):
            task = await bench.pool.assign(bench.deal(params=json.dumps({"voisin_inputs": inputs})), 0, bench.me)
            assert (await bench.pool.hear(Failed, task)).failure is expected
        task = await bench.pool.assign(bench.deal(params=json.dumps({"voisin_bag": gone})), 0, bench.me)
        assert (await bench.pool.hear(Failed, task)).failure is MachineFailure.INPUT_UNAVAILABLE
        await bench.does_a_task()


async def test_an_app_that_cannot_be_had_is_the_machines_failure(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench, bench.working():
        await bench.pool.joined()
        bench.storage.is_silent = True
        task = await bench.pool.assign(bench.deal(), 0, bench.me)
        assert (await bench.pool.hear(Failed, task)).failure is MachineFailure.APP_UNAVAILABLE
        bench.storage.is_silent = False
        await bench.does_a_task()


async def test_a_dataset_lies_under_its_address(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench:
        found: dict[str, bytes] = {}

        async def look(job: Job) -> dict[str, bytes]:
            assert job.input_dir is not None
            found.update({path.name: path.read_bytes() for path in job.input_dir.iterdir()})
            assert job.env["IEXEC_DATASET_ADDRESS"] == job.env["IEXEC_DATASET_FILENAME"] == DATASET
            assert job.env["IEXEC_INPUT_FILES_NUMBER"] == "0"
            return {"done": b""}

        bench.runner.guest = look
        cid = bench.storage.add(b"rows")
        honest = DatasetInfo(
            owner=bench.scheduler.address,
            name="rows",
            multiaddr=f"ipfs://{cid}".encode(),
            checksum=f"0x{hashlib.sha256(b'rows').hexdigest()}",  # type: ignore[arg-type]
        )
        bench.hub.datasets[DATASET] = honest
        dataset = Resource(DATASET, bench.scheduler.address, NRLC(0))
        async with bench.working():
            await _given(bench, dataset=dataset)
            assert found == {DATASET: b"rows"}
            bench.hub.datasets[DATASET] = replace(honest, checksum="0x" + "00" * 32)
            await _given(bench, dataset=dataset)
            url = "https://example.org/rows"
            on_web = {"multiaddr": url.encode()}
            bench.hub.datasets[DATASET] = replace(honest, **on_web)
            bench.web.pages[url] = b"rows"
            found.clear()
            await _given(bench, dataset=dataset)
            assert found == {DATASET: b"rows"}
            for change, expected in (
                ({"checksum": "0x" + "11" * 32}, MachineFailure.WRONG_HASH),
                (on_web | {"checksum": "0x" + "11" * 32}, MachineFailure.WRONG_HASH),
                (on_web | {"checksum": "0x" + "00" * 32}, MachineFailure.INPUT_UNAVAILABLE),
                ({"multiaddr": b"https://example.org/other"}, MachineFailure.INPUT_UNAVAILABLE),
                ({"multiaddr": b"ftp://example.org/rows"}, MachineFailure.INPUT_UNAVAILABLE),
            ):
                bench.hub.datasets[DATASET] = replace(honest, **change)
                task = await bench.pool.assign(bench.deal(dataset=dataset), 0, bench.me)
                assert (await bench.pool.hear(Failed, task)).failure is expected
            del bench.hub.datasets[DATASET]
            task = await bench.pool.assign(bench.deal(dataset=dataset), 0, bench.me)
            assert (await bench.pool.hear(Failed, task)).failure is MachineFailure.INPUT_UNAVAILABLE
