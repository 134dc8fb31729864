"""A worker that is killed at any stage goes on from what is on its disk, and does nothing twice that costs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from tests.support.worker_bench import Bench, key, open_bench, outcome_of
from voisin.chain import Admission
from voisin.errors import InputError, StateError
from voisin.protocol.ids import TaskId, as_address
from voisin.protocol.records import Account, ContributionStatus
from voisin.protocol.results import sign_authorization
from voisin.protocol.wire import AskUpload, Uploaded
from voisin.sandbox import Job
from voisin.units import NRLC
from voisin.worker import Worker
from voisin.worker.membership import check_owner
from voisin.worker.memory_hub import MemoryLedger
from voisin.worker.store import Identity, WorkerFolder
from voisin.worker.vocabulary import Phase, Settled

pytestmark = pytest.mark.anyio


class Killed(BaseException):
    """The process is gone."""


class KilledAt(MemoryLedger):
    """A ledger in whose first call of a kind the process dies, before or after the chain has it."""

    def __init__(self, bench: Bench, what: str, *, is_done: bool) -> None:
        super().__init__(bench.hub, bench.me)
        self.what, self.is_done = what, is_done

    async def _act(self, what: str, task_id: TaskId | None = None):  # type: ignore[no-untyped-def]
        if what == self.what and not self.is_done:
            raise Killed
        return await super()._act(what, task_id)

    async def contribute(self, task_id, digest, admission):  # type: ignore[no-untyped-def]
        is_agreed = await super().contribute(task_id, digest, admission)
        if self.what == "contribute":
            raise Killed
        return is_agreed

    async def reveal(self, task_id, digest):  # type: ignore[no-untyped-def]
        await super().reveal(task_id, digest)
        if self.what == "reveal":
            raise Killed


async def run_until_killed(bench: Bench, ledger: MemoryLedger, *, trust: int = 1) -> TaskId:
    """Give a worker a task, and let it run until its process dies; no goodbye, no clean-up."""
    parts = replace(bench.parts, ledger=ledger)
    worker = Worker(bench.settings(), bench.wallet, folder=WorkerFolder(bench.folder), parts=parts)
    task = TaskId(next(iter(bench.hub.tasks)) if bench.hub.tasks else _first(bench, trust))
    joined = len(bench.pool.hellos) + 1
    deal = bench.hub.tasks[task].deal_id

    async def live() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(worker.run)
            await bench.pool.joined(joined)
            await bench.pool.assign(deal, 0, bench.me)

    with pytest.raises(BaseExceptionGroup) as died:
        await live()
    assert died.value.subgroup(Killed) is not None
    return task


def _first(bench: Bench, trust: int) -> TaskId:
    deal = bench.deal(trust=trust)
    return next(task for task, each in bench.hub.tasks.items() if each.deal_id == deal)


@pytest.mark.parametrize("is_done", [False, True])
@pytest.mark.parametrize("what", ["contribute", "reveal"])
async def test_killed_in_the_middle_of_a_transaction(tmp_path: Path, what: str, is_done: bool) -> None:
    async with open_bench(tmp_path) as bench:
        task = await run_until_killed(bench, KilledAt(bench, what, is_done=is_done))
        async with bench.working():
            await bench.reaches(task, Phase.REVEALED)
            assert (outcome_of(bench, "contribute"), outcome_of(bench, "reveal")) == ([task], [task])
            assert len(bench.runner.jobs) == 1
            await bench.pool.joined(2)
            await bench.pool.say(AskUpload(task))
            await bench.pool.hear(Uploaded, task)


async def test_killed_while_the_app_runs(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench:

        async def dies(job: Job) -> dict[str, bytes]:
            if len(bench.runner.jobs) == 1:
                job.output_dir.mkdir()
                (job.output_dir / "half").write_bytes(b"x")
                raise Killed
            return {"done": b""}

        bench.runner.guest = dies
        task = await run_until_killed(bench, bench.hub.ledger(bench.me))
        async with bench.working():
            await bench.reaches(task, Phase.REVEALED)
            assert list(bench.result(task).sizes) == ["done"]
            assert len(bench.runner.jobs) == 2


async def test_killed_while_the_others_are_waited_for(tmp_path: Path) -> None:
    """The consensus comes while the worker is dead; it reveals as soon as it is back, with its pool gone for good."""
    async with open_bench(tmp_path) as bench:
        async with bench.working() as worker:
            await bench.pool.joined()
            task = await bench.pool.assign(bench.deal(trust=4), 0, bench.me)
            await bench.reaches(task, Phase.CONTRIBUTED)
            assert worker is not None
        await bench.pool.stop()
        other = key("other").address
        bench.hub.accounts[other] = Account(NRLC(100), NRLC(0))
        digest = bench.result(task).digest()
        bench.hub.contribute(task, other, digest, Admission(sign_authorization(bench.scheduler, other, task)))
        async with bench.working():
            await bench.reaches(task, Phase.REVEALED)
        assert bench.hub.contributions[task, bench.me].status is ContributionStatus.PROVED


async def test_leftovers_are_removed_and_damaged_records_do_not_stop_the_worker(tmp_path: Path) -> None:
    tasks = tmp_path / "tasks"
    for name, record in (
        ("0x" + "11" * 32, b"not json"),
        ("0x" + "22" * 32, None),
        ("0x" + "33" * 32, b"{}"),
        ("strange", b"{}"),
    ):
        (tasks / name).mkdir(parents=True)
        if record is not None:
            (tasks / name / "replica.json").write_bytes(record)
    (tasks / "a file").write_bytes(b"")
    (tmp_path / "cache" / "content").mkdir(parents=True)
    (tmp_path / "cache" / "content" / "bafy.123.part").write_bytes(b"half")
    async with open_bench(tmp_path) as bench, bench.working():
        await bench.does_a_task()
    assert len(list(tasks.iterdir())) == 1
    assert sorted(path.name for path in (tmp_path / "damaged").iterdir()) == ["0x" + "11" * 32, "0x" + "33" * 32, "strange"]
    assert not list((tmp_path / "cache" / "content").glob("*.part"))


def test_one_folder_has_one_worker(tmp_path: Path) -> None:
    with WorkerFolder(tmp_path).hold(), pytest.raises(StateError, match="another worker uses"), WorkerFolder(tmp_path).hold():
        pass
    with WorkerFolder(tmp_path).hold():
        pass


async def test_a_folder_belongs_to_one_wallet_and_one_hub(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench:
        folder = WorkerFolder(tmp_path)
        assert check_owner(folder, bench.settings(), bench.me) is None
        async with bench.working():
            await bench.does_a_task()
        known = check_owner(folder, bench.settings(), bench.me)
        assert known == Identity(
            worker=bench.me,
            chain_id=bench.hub.chain_id,
            hub=bench.hub.address,
            workerpool=bench.pool.workerpool,
            storage_url="memory://",
        )
        with pytest.raises(StateError, match="belongs to worker"):
            check_owner(folder, bench.settings(), key("another").address)
        with pytest.raises(InputError, match="belongs to hub"):
            check_owner(folder, bench.settings(hub=as_address("0x" + "77" * 20)), bench.me)
        (tmp_path / "identity.json").write_bytes(b"{")
        with pytest.raises(InputError, match="malformed"):
            check_owner(folder, bench.settings(), bench.me)


async def test_a_chain_that_was_set_back_to_nothing_is_not_mourned_for_ever(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench:
        async with bench.working():
            task = await bench.does_a_task()
        bench.hub.tasks.clear()
        bench.hub.contributions.clear()
        async with bench.working():
            await bench.does_a_task()
            assert (tmp_path / "tasks" / task).exists()
            bench.hub.time_s = 1_000 + 10 * 300
            await bench.until(lambda: Settled(task, "refunded") in bench.news)
