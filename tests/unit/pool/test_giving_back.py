"""Tasks that will have no result: the requester is refunded at once, with the reason, where the hub can do it (SPEC 8.7)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.pool.conftest import START, Scene, assigned, told, wallet
from voisin.pool.heart.commands import Claim, Command, GiveBack, Initialize
from voisin.pool.heart.facts import Step, StepFailed, TakesChanged
from voisin.pool.wire.words import open_task_view
from voisin.protocol.ids import ZERO_ADDRESS, TaskId, as_address
from voisin.protocol.records import Resource
from voisin.protocol.tags import as_tag
from voisin.protocol.wire import Takes
from voisin.protocol.wire_words import MachineFailure
from voisin.units import NRLC

TWO_GB = '{"voisin_limits":{"memory_bytes":2147483648}}'
PRICED = Resource(ZERO_ADDRESS, as_address("0x" + "50" * 20), NRLC(1000))


@pytest.fixture
def scene(new_scene: Callable[..., Scene]) -> Scene:
    """A pool on a hub that takes tasks back."""
    return new_scene(gives_back=True, unfit_s=2)


def given_back(commands: list[Command]) -> list[tuple[int, ...]]:
    return [command.indexes for command in commands if isinstance(command, GiveBack)]


def reason(scene: Scene, task: TaskId) -> str:
    return scene.machine.book.tasks[task].record.reason


def test_what_no_machine_has_the_memory_for_is_given_back_within_seconds(scene: Scene) -> None:
    scene.join("alice", memory_bytes=2**30)
    tasks = scene.found(3, params=TWO_GB, workerpool=PRICED)
    assert [c for c in scene.log if isinstance(c, Initialize)] == [], "it is not even opened"
    assert given_back(scene.after(1.9)) == []
    (command,) = scene.after(0.2)
    deal_id = scene.machine.book.tasks[tasks[0]].record.deal_id
    assert command == GiveBack(deal_id=deal_id, indexes=(0, 1, 2), stake=NRLC(300), start=START, time_ref_s=300, is_direct=False)
    lack = "the task may use 2,147 MB of memory, and the machine offers 1,074 MB"
    assert reason(scene, tasks[0]) == f"the only known worker cannot do it: {lack}"
    assert assigned(scene.log) == []


def test_its_end_keeps_the_reason(scene: Scene) -> None:
    scene.join("alice", memory_bytes=2**30)
    (task,) = scene.found(params=TWO_GB)
    scene.after(2.1)
    view = open_task_view(scene.machine.book, scene.machine.book.tasks[task], scene.chain)
    assert view.why.endswith("it is being given back, so that the requester is refunded")
    scene.opened(task)
    scene.claimed(task)
    (file,) = scene.machine.book.closed.values()
    assert "2,147 MB of memory" in file.record.reason
    assert [line.moment.what for line in file.story] == ["the deal was made", "given up", "given back"]


def test_a_machine_that_fits_and_comes_in_time_gets_it(scene: Scene) -> None:
    scene.join("alice", memory_bytes=2**30)
    (task,) = scene.deal(params=TWO_GB)
    scene.after(1)
    assert assigned(scene.join("bob", memory_bytes=2**31)) == [("bob", 0)]
    assert given_back(scene.after(30)) == []
    assert scene.phase(task) == "running"


def test_a_machine_that_fits_and_was_here_a_moment_ago_is_waited_for(scene: Scene) -> None:
    scene.join("bob", memory_bytes=2**31)
    scene.join("alice", memory_bytes=2**30)
    scene.leave("bob")
    scene.found(params=TWO_GB)
    assert given_back(scene.after(500)) == []
    scene.after(120)
    assert len(given_back(scene.after(3))) == 1, "bob has been away for more than ten minutes"


@pytest.mark.parametrize(
    ("deal", "words"),
    [
        ({"tag": as_tag("gpu")}, "the task needs gpu"),
        ({"params": '{"voisin_limits":{"output_bytes":3000000000}}'}, "the task may write 3,000 MB"),
        ({"params": '{"voisin_region":"eu"}'}, "the task must be done in eu, and the machine is in us-east"),
    ],
)
def test_whatever_else_no_machine_has(scene: Scene, deal: dict[str, object], words: str) -> None:
    scene.join("alice", memory_bytes=2**30, region="us-east")
    (task,) = scene.found(**deal)
    assert given_back(scene.after(2.1)) == [(0,)]
    assert words in reason(scene, task)


def test_what_pays_less_than_every_owner_wants(scene: Scene) -> None:
    scene.join("alice", memory_bytes=2**30)
    scene.tell(TakesChanged(wallet("alice"), Takes(slots=1, memory_bytes=2**30, disk_bytes=2**30, min_price=NRLC(1001))))
    (task,) = scene.found(workerpool=PRICED)
    assert given_back(scene.after(2.1)) == [(0,)]
    assert "this worker wants" in reason(scene, task)


def test_an_owner_that_only_pauses_is_waited_for(scene: Scene) -> None:
    scene.join("alice", memory_bytes=2**30)
    scene.tell(TakesChanged(wallet("alice"), Takes(slots=0, memory_bytes=2**30, disk_bytes=2**30, why="at night only")))
    scene.found()
    assert given_back(scene.after(60)) == []


def test_deals_that_the_pool_refuses_are_given_back_at_once(scene: Scene) -> None:
    (task,) = scene.found(tag=as_tag("tee,tdx"))
    assert given_back(scene.log) == [(0,)]
    assert "enclave" in reason(scene, task)


def test_a_deal_of_another_owner_cannot_be_given_back(scene: Scene) -> None:
    scene.found(workerpool=Resource(ZERO_ADDRESS, as_address("0x" + "22" * 20), NRLC(0)))
    scene.after(2999)
    assert given_back(scene.log) == []
    assert [type(c) for c in scene.after(1)] == [Claim]


def test_an_app_that_nobody_can_fetch(scene: Scene) -> None:
    scene.join("alice")
    (task,) = scene.deal()
    (command,) = scene.fail("alice", task, MachineFailure.APP_UNAVAILABLE, "404")
    assert isinstance(command, GiveBack)
    assert reason(scene, task) == "the only worker that could do it has tried, the last with app-unavailable: 404"


def test_every_worker_may_try_until_three_have_found_the_same_fault(scene: Scene) -> None:
    names = ("alice", "bob", "carol", "dave")
    for name in names:
        scene.join(name)
    (task,) = scene.deal()
    found: list[Command] = []
    for _ in range(3):
        assert given_back(found) == []
        worker = next(name for name, outcome in scene.outcomes(task).items() if outcome == "running")
        found = scene.fail(worker, task, MachineFailure.WRONG_HASH)
    assert given_back(found) == [(0,)]
    assert reason(scene, task) == "3 workers have tried, the last with wrong-hash"


def test_a_machine_that_broke_is_given_its_attempts(scene: Scene) -> None:
    scene.join("alice")
    (task,) = scene.deal()
    for pause in (5, 10):
        assert given_back(scene.fail("alice", task, MachineFailure.SANDBOX_BROKEN)) == []
        assert assigned(scene.after(pause)) == [("alice", 0)]
    assert given_back(scene.fail("alice", task, MachineFailure.SANDBOX_BROKEN)) == [(0,)]


def test_a_contribution_in_between_is_followed(scene: Scene) -> None:
    scene.join("alice")
    (task,) = scene.deal()
    deal_id = scene.machine.book.tasks[task].record.deal_id
    scene.fail("alice", task, MachineFailure.WRONG_HASH)
    scene.contribute("alice", task)
    assert told(scene.agree(task)) == [("alice", "AskReveal")]
    scene.tell(StepFailed(Step.GIVE_BACK, deal_id, (0,), "not-open"))
    assert given_back(scene.after(300)) == []
    assert scene.phase(task) == "revealing"


def test_what_the_hub_refuses_is_tried_again_and_claimed_at_the_deadline(scene: Scene) -> None:
    scene.join("alice")
    (task,) = scene.deal()
    deal_id = scene.machine.book.tasks[task].record.deal_id
    scene.fail("alice", task, MachineFailure.WRONG_HASH)
    scene.tell(StepFailed(Step.GIVE_BACK, deal_id, (0,), "no coins for gas"))
    view = open_task_view(scene.machine.book, scene.machine.book.tasks[task], scene.chain)
    assert view.why.endswith("the hub refused it: no coins for gas")
    assert given_back(scene.after(1)) == [(0,)]
    scene.tell(StepFailed(Step.GIVE_BACK, deal_id, (0,), "no coins for gas"))
    assert [type(c) for c in scene.after(3000)] == [Claim]


def test_undecided_tasks_at_the_deadline_for_contributions(scene: Scene) -> None:
    scene.join("alice")
    (task,) = scene.deal(trust=4)
    scene.contribute("alice", task)
    assert given_back(scene.after(2100)) == [(0,)]
    assert "1 contributed, which is not enough for trust 4" in reason(scene, task)


def test_an_agreed_result_is_never_given_back(scene: Scene) -> None:
    scene.join("alice")
    (task,) = scene.deal()
    scene.contribute("alice", task)
    scene.agree(task)
    scene.after(2999)
    assert given_back(scene.log) == []


def test_a_pool_without_workers_waits_for_some(scene: Scene) -> None:
    (task,) = scene.deal()
    assert given_back(scene.after(599)) == []
    assert given_back(scene.after(2)) == [(0,)]
    assert reason(scene, task) == "no worker has been connected for 600 s"


def test_too_little_trust_waits_for_more_workers(scene: Scene) -> None:
    scene.join("alice")
    (task,) = scene.found(trust=4)
    assert given_back(scene.after(599)) == []
    assert given_back(scene.after(2)) == [(0,)]
    assert reason(scene, task) == "its trust of 4 needs more workers: those that could do it reach 2 together"


def test_where_the_hub_cannot_everything_waits_for_the_deadline(new_scene: Callable[..., Scene]) -> None:
    scene = new_scene(gives_back=False)
    scene.join("alice", memory_bytes=2**30)
    (task,) = scene.deal(params=TWO_GB)
    scene.after(2099)
    assert scene.phase(task) == "running"
    assert assigned(scene.log) == [], "but nobody is given what it cannot do"


def test_a_restarted_pool_gives_back_what_it_had_not(scene: Scene) -> None:
    scene.join("alice", memory_bytes=2**30)
    scene.found(params=TWO_GB)
    scene.after(2.1)
    assert given_back(scene.restarted().log) == [(0,)]
