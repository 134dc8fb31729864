"""A node that does not answer, or refuses: what is at stake is kept until the chain has spoken."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from tests.support.worker_bench import Bench, key, open_bench, outcome_of
from voisin.chain import Admission
from voisin.errors import FundsError, RevertError, UnavailableError
from voisin.protocol.ids import Hash32, TaskId
from voisin.protocol.records import Account, ContributionStatus
from voisin.protocol.results import sign_authorization
from voisin.protocol.wire import Failed
from voisin.protocol.wire_words import MachineFailure
from voisin.sandbox import Job
from voisin.units import NRLC
from voisin.worker.memory_hub import MemoryLedger
from voisin.worker.ports import Parts
from voisin.worker.vocabulary import Phase

pytestmark = pytest.mark.anyio


async def test_a_silent_node_at_the_check_gives_the_task_back(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench, bench.working():
        await bench.pool.joined()
        deal = bench.deal()
        bench.hub.is_silent = True
        task = await bench.pool.assign(deal, 0, bench.me)
        assert (await bench.pool.hear(Failed, task)).failure is MachineFailure.CHAIN_UNREACHABLE
        bench.hub.is_silent = False
        await bench.does_a_task()


async def test_a_silent_node_after_the_run_is_waited_for(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench:

        async def and_then_the_node_is_gone(_job: Job) -> dict[str, bytes]:
            bench.hub.is_silent = True
            return {"done": b""}

        bench.runner.guest = and_then_the_node_is_gone
        async with bench.working():
            await bench.pool.joined()
            task = await bench.pool.assign(bench.deal(), 0, bench.me)
            await bench.reaches(task, Phase.CONTRIBUTING)
            beats = bench.pool.heartbeats
            await bench.until(lambda: bench.pool.heartbeats > beats + 5)
            assert bench.hub.sent == []
            bench.hub.is_silent = False
            await bench.reaches(task, Phase.REVEALED)


class Moody(MemoryLedger):
    """A ledger whose transactions fail as a test says, each after it was or was not carried out."""

    def __init__(self, bench: Bench, *moods: tuple[str, bool, Exception]) -> None:
        super().__init__(bench.hub, bench.me)
        self.moods = list(moods)
        self.calls = 0

    def _mood(self, what: str) -> tuple[bool, Exception | None]:
        self.calls += 1
        if self.moods and self.moods[0][0] == what:
            _, is_done, error = self.moods.pop(0)
            return is_done, error
        return True, None

    async def contribute(self, task_id: TaskId, digest: Hash32, admission: Admission) -> bool:
        is_done, error = self._mood("contribute")
        is_agreed = await super().contribute(task_id, digest, admission) if is_done else False
        if error:
            raise error
        return is_agreed

    async def reveal(self, task_id: TaskId, digest: Hash32) -> None:
        is_done, error = self._mood("reveal")
        if is_done:
            await super().reveal(task_id, digest)
        if error:
            raise error


def with_ledger(bench: Bench, ledger: MemoryLedger) -> Parts:
    return replace(bench.parts, ledger=ledger)


LOST = UnavailableError("it was not mined in time; it may still be")


@pytest.mark.parametrize(
    "moods",
    [
        [("contribute", True, LOST)],
        [("contribute", False, LOST), ("contribute", False, LOST)],
        [("contribute", False, RevertError("refused once"))],
        [("contribute", True, RevertError("already there"))],
        [("reveal", True, LOST)],
        [("reveal", False, LOST), ("reveal", False, RevertError("refused once"))],
        [("contribute", True, LOST), ("reveal", True, RevertError("already there"))],
        [("reveal", False, RevertError("refused"))] * 6,
    ],
)
async def test_an_unsure_transaction_is_looked_up_and_not_sent_twice(tmp_path: Path, moods: list[tuple[str, bool, Exception]]) -> None:
    async with open_bench(tmp_path) as bench, bench.working(parts=with_ledger(bench, Moody(bench, *moods))):
        await bench.pool.joined()
        task = await bench.pool.assign(bench.deal(), 0, bench.me)
        await bench.reaches(task, Phase.REVEALED)
        assert (outcome_of(bench, "contribute"), outcome_of(bench, "reveal")) == ([task], [task])
        assert bench.hub.contributions[task, bench.me].status is ContributionStatus.PROVED


@pytest.mark.parametrize("error", [RevertError("the hub says no"), FundsError("the wallet cannot pay the gas")])
async def test_a_contribution_that_is_refused_for_good_is_given_up(tmp_path: Path, error: Exception) -> None:
    async with open_bench(tmp_path) as bench:
        ledger = Moody(bench, *[("contribute", False, error)] * 4)
        async with bench.working(parts=with_ledger(bench, ledger)):
            await bench.pool.joined()
            task = await bench.pool.assign(bench.deal(), 0, bench.me)
            failure = await bench.pool.hear(Failed, task)
            assert failure.failure is MachineFailure.CHAIN_REFUSED
            assert str(error) in failure.detail
            assert bench.account == Account(NRLC(100), NRLC(0))
            await bench.does_a_task()


async def test_a_contribution_that_may_still_arrive_is_kept(tmp_path: Path) -> None:
    """The transaction got no receipt and the chain refuses another one; then the first arrives after all."""
    async with open_bench(tmp_path) as bench:
        refusals: list[tuple[str, bool, Exception]] = [("contribute", False, RevertError("no")) for _ in range(12)]
        ledger = Moody(bench, ("contribute", False, LOST), *refusals)
        async with bench.working(parts=with_ledger(bench, ledger)):
            await bench.pool.joined()
            task = await bench.pool.assign(bench.deal(), 0, bench.me)
            await bench.reaches(task, Phase.CONTRIBUTED)
            assert (task, bench.me) not in bench.hub.contributions
            await bench.reaches(task, Phase.REVEALED)


async def test_consensus_without_this_worker_ends_its_task(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench:

        async def too_late(_job: Job) -> dict[str, bytes]:
            other = key("other").address
            task = next(iter(bench.hub.tasks))
            bench.hub.accounts[other] = Account(NRLC(100), NRLC(0))
            signature = sign_authorization(bench.scheduler, other, task)
            bench.hub.contribute(task, other, Hash32("0x" + "77" * 32), Admission(signature))
            return {"done": b""}

        bench.runner.guest = too_late
        async with bench.working():
            await bench.pool.joined()
            task = await bench.pool.assign(bench.deal(), 0, bench.me)
            failure = await bench.pool.hear(Failed, task)
            assert (failure.failure, "the task is revealing" in failure.detail) == (MachineFailure.TASK_NOT_ACTIVE, True)
            assert bench.account == Account(NRLC(100), NRLC(0))


async def test_a_run_that_would_miss_the_deadline_is_stopped(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench:

        async def endless(_job: Job) -> dict[str, bytes]:
            await anyio.sleep_forever()
            return {}

        bench.runner.guest = endless
        bench.hub.time_s = 1_000 + 7 * 300 - 31
        async with bench.working(margin_s=30.9):
            await bench.pool.joined()
            task = await bench.pool.assign(bench.deal(), 0, bench.me)
            failure = await bench.pool.hear(Failed, task)
            assert (failure.failure, "not done in time" in failure.detail) == (MachineFailure.TASK_NOT_ACTIVE, True)
            assert bench.runner.running == 0
