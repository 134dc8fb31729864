"""A step that was carried out already, by this pool before it was killed or by somebody else, is success and costs nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from tests.unit.pool.conftest import CID, START, digest_of, make_deal, wallet
from voisin.errors import FundsError, RevertError, UnavailableError
from voisin.pool.chain.clock import PoolClock
from voisin.pool.chain.steps import StepRunner
from voisin.pool.chain.twin import TwinLedger
from voisin.pool.heart.commands import Claim, Finalize, GiveBack, Initialize, ReadDeadline, Reopen
from voisin.pool.heart.facts import DeadlineRead, Step, StepFailed
from voisin.protocol.events import TaskInitialized
from voisin.protocol.ids import DealId, Hash32, task_id
from voisin.protocol.records import TaskStatus
from voisin.protocol.results import decode_link
from voisin.units import NRLC, UnixSeconds

pytestmark = pytest.mark.anyio

DEAL = DealId(Hash32("0x" + "de" * 32))
TASK = task_id(DEAL, 0)


@dataclass
class Desk:
    """A runner on the twin of a chain, with its facts."""

    now: float = float(START)
    told: list[object] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ledger = TwinLedger(lambda: self.now)
        self.ledger.make_deal(DEAL, make_deal(3, 4, START))
        self.runner = StepRunner(self.ledger, PoolClock(lambda: self.now), self.told.append)

    async def agreed(self, *revealing: str) -> None:
        """Have alice and bob agree on the first task, and some of them reveal."""
        await self.ledger.initialize([(DEAL, 0)])
        for name in ("alice", "bob"):
            self.ledger.contribute(TASK, wallet(name), digest_of("right"))
        for name in revealing:
            self.ledger.reveal(TASK, wallet(name), digest_of("right"))
        self.ledger.sent.clear()

    async def status(self) -> TaskStatus | None:
        (task,) = await self.ledger.tasks([TASK])
        return task.status if task else None


def finalize(*, is_certain: bool) -> Finalize:
    return Finalize(
        deal_id=DEAL,
        index=0,
        task_id=TASK,
        cid=CID,
        callback_data="0x",
        has_callback=False,
        contributors=2,
        is_certain=is_certain,
    )


async def test_tasks_are_opened_and_said_to_be() -> None:
    desk = Desk()
    assert await desk.runner.run(Initialize(DEAL, (0, 1), True)) == "sent"
    assert [fact.task_id for fact in desk.told if isinstance(fact, TaskInitialized)] == [task_id(DEAL, 0), task_id(DEAL, 1)]


async def test_tasks_that_are_open_are_not_opened_again() -> None:
    desk = Desk()
    await desk.ledger.initialize([(DEAL, 1)])
    assert await desk.runner.run(Initialize(DEAL, (0, 1, 2), False)) == "sent"
    assert await desk.runner.run(Initialize(DEAL, (0, 1, 2), False)) == "needless"
    assert desk.ledger.sent == ["initialize", "initialize"]


async def test_somebody_was_faster_and_the_chunk_is_tried_again_without_it() -> None:
    desk = Desk()
    await desk.ledger.initialize([(DEAL, 1)])
    assert await desk.runner.run(Initialize(DEAL, (0, 1, 2), True)) == "refused"
    assert desk.told == [StepFailed(Step.INITIALIZE, DEAL, (0, 1, 2), "the hub refused")]


async def test_a_task_is_finalised_once() -> None:
    desk = Desk()
    await desk.agreed("alice", "bob")
    assert await desk.runner.run(finalize(is_certain=True)) == "sent"
    (task,) = await desk.ledger.tasks([TASK])
    assert task is not None
    assert decode_link(task.results) == CID
    assert await desk.runner.run(finalize(is_certain=False)) == "needless"
    assert desk.ledger.sent == ["finalize"]


async def test_a_partial_reveal_is_finalised_when_the_hub_allows_it() -> None:
    desk = Desk()
    await desk.agreed("alice")
    assert await desk.runner.run(finalize(is_certain=False)) == "early"
    assert desk.told == [DeadlineRead(TASK, START + 600)]
    desk.now += 600
    assert await desk.runner.run(finalize(is_certain=False)) == "sent"
    assert await desk.status() is TaskStatus.COMPLETED


async def test_a_task_that_the_hub_does_not_see_as_agreed_is_not_finalised() -> None:
    desk = Desk()
    await desk.ledger.initialize([(DEAL, 0)])
    assert await desk.runner.run(finalize(is_certain=False)) == "refused"
    assert isinstance(desk.told[-1], StepFailed)


async def test_a_task_is_reopened_only_after_its_deadline_and_when_nobody_revealed() -> None:
    desk = Desk()
    await desk.agreed()
    reopen = Reopen(DEAL, 0, TASK)
    assert await desk.runner.run(reopen) == "early"
    desk.now += 600
    assert await desk.runner.run(reopen) == "sent"
    assert await desk.runner.run(reopen) == "needless"
    other = Desk()
    await other.agreed("alice")
    other.now += 600
    assert await other.runner.run(reopen) == "needless"
    assert other.ledger.sent == []


async def test_claims_take_each_task_as_it_is() -> None:
    desk = Desk()
    await desk.ledger.initialize([(DEAL, 0), (DEAL, 1)])
    desk.now += 3000
    await desk.ledger.claim([task_id(DEAL, 1)])
    assert await desk.runner.run(Claim(DEAL, (0, 1, 2))) == "sent"
    assert [task.status for task in await desk.ledger.tasks([task_id(DEAL, n) for n in range(3)]) if task] == [TaskStatus.FAILED] * 3
    assert await desk.runner.run(Claim(DEAL, (0, 1, 2))) == "needless"


async def test_a_deadline_is_read() -> None:
    desk = Desk()
    await desk.agreed()
    await desk.runner.run(ReadDeadline(TASK))
    assert desk.told == [DeadlineRead(TASK, START + 600)]
    await desk.runner.run(ReadDeadline(task_id(DEAL, 2)))
    assert len(desk.told) == 1


@pytest.mark.parametrize(
    "error",
    [UnavailableError("the node is away"), RevertError("the hub refused"), FundsError("no coins for gas", hint="send some")],
)
async def test_every_failure_is_told_with_its_reason(error: Exception) -> None:
    desk = Desk()
    desk.ledger.failures.append(error)
    assert await desk.runner.run(Initialize(DEAL, (0,), True)) == "refused"
    assert desk.told == [StepFailed(Step.INITIALIZE, DEAL, (0,), str(error))]
    assert desk.runner.trouble == str(error)
    assert await desk.runner.run(Initialize(DEAL, (0,), True)) == "sent"
    assert desk.runner.trouble == ""


def test_the_chains_clock_is_this_machines_or_ahead_of_it() -> None:
    now = 1000.0
    clock = PoolClock(lambda: now)
    assert clock.now().chain == 1000
    clock.see_block(900, is_fresh=True)
    assert clock.now().chain == 1000, "a chain that seems behind has made no block for a while"
    clock.see_block(1600, is_fresh=True)
    now = 1010.0
    assert clock.now().chain == 1610
    clock.see_block(1011, is_fresh=True)
    assert clock.now().chain == 1600, "time never goes back"
    clock.see_block(5000, is_fresh=False)
    assert (clock.now().chain, clock.now().wall) == (5000, 1010.0)


def give_back(*indexes: int, stake: int = 300) -> GiveBack:
    return GiveBack(deal_id=DEAL, indexes=indexes, stake=NRLC(stake), start=UnixSeconds(START), time_ref_s=300, is_direct=False)


async def test_tasks_are_given_back_once() -> None:
    desk = Desk()
    await desk.ledger.initialize([(DEAL, 0)])
    assert await desk.runner.run(give_back(0, 1)) == "sent"
    assert await desk.status() is TaskStatus.FAILED
    assert await desk.runner.run(give_back(0, 1)) == "needless"
    assert await desk.runner.run(give_back(0, 1, 2)) == "sent"
    assert desk.ledger.sent == ["initialize", "give_back", "give_back"]


async def test_what_is_agreed_by_now_is_not_given_back() -> None:
    desk = Desk()
    await desk.agreed()
    assert await desk.runner.run(give_back(0)) == "needless"


async def test_giving_back_costs_at_most_what_it_should() -> None:
    """The bound is what it costs a minute later; only what somebody contributed to may cost the whole stake."""
    desk, seen = Desk(), list[tuple[int, int]]()

    async def note(_deal: DealId, _indexes: Sequence[int], *, most: int, contributors: int) -> None:
        seen.append((most, contributors))

    desk.ledger.give_back = note  # type: ignore[method-assign]
    await desk.runner.run(give_back(0, 1))
    desk.now += 1440
    await desk.runner.run(give_back(0, 1))
    await desk.ledger.initialize([(DEAL, 0)])
    desk.ledger.contribute(TASK, wallet("alice"), digest_of("right"))
    await desk.runner.run(give_back(0, 1))
    desk.now += 10_000
    await desk.runner.run(give_back(1))
    assert seen == [(12, 0), (300, 0), (450, 1), (300, 0)]
