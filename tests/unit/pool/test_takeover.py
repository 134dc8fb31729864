"""Deals that come from another scheduler: what its workers hold is asked before anybody else is given it, and nothing is begun twice."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.pool.conftest import Scene, assigned, told, wallet
from voisin.pool.heart.commands import Retire
from voisin.pool.heart.facts import DealsLost, DealsTaken, HoldingTold, WorkerHeard, WorkersCaught
from voisin.pool.heart.records import Taken, TaskFile, WorkerRecord
from voisin.pool.heart.takeover import SETTLE_S
from voisin.protocol.ids import TaskId
from voisin.protocol.wire import Held
from voisin.protocol.wire_words import ReplicaStage


def written(scene: Scene) -> tuple[Taken, ...]:
    """What a scheduler has written down of its deals."""
    book = scene.machine.book
    return tuple(
        Taken(
            deal=deal.record,
            epoch=2,
            from_block=1,
            tasks=tuple(TaskFile(task=t.record, replicas=tuple(t.replicas.values()), story=tuple(t.story)) for t in deal.tasks.values()),
        )
        for deal in book.deals.values()
    )


def with_a_deal(volume: int = 1, **terms: int) -> tuple[Scene, list[TaskId]]:
    """A scheduler with a deal whose tasks are open, and nobody to do them."""
    scene = Scene()
    return scene, scene.deal(volume, **terms)


def test_workers_are_asked_before_a_task_is_given_to_anybody() -> None:
    dead, _ = with_a_deal()
    heir = Scene()
    heir.join("alice")
    heir.join("bob")
    commands = heir.tell(DealsTaken(written(dead)))
    assert told(commands) == [("alice", "AskHolding"), ("bob", "AskHolding")]
    assert assigned(commands) == []
    assert assigned(heir.tell(HoldingTold(wallet("alice"), ()))) == [], "bob has not answered yet"
    assert len(assigned(heir.tell(HoldingTold(wallet("bob"), ())))) == 1


def test_a_worker_goes_on_with_what_was_not_written_down() -> None:
    """The scheduler died between the assignment and its record: the task is not given to another."""
    dead, (task,) = with_a_deal()
    heir = Scene()
    heir.join("alice")
    heir.join("bob")
    heir.tell(DealsTaken(written(dead)))
    assert assigned(heir.tell(HoldingTold(wallet("bob"), (Held(task, ReplicaStage.COMPUTING),)))) == [("bob", 0)]
    assert assigned(heir.tell(HoldingTold(wallet("alice"), ()))) == []
    assert heir.outcomes(task) == {"bob": "running"}


def test_what_a_worker_was_to_have_and_has_not_is_given_to_another() -> None:
    dead, (task,) = with_a_deal()
    dead.join("alice")
    heir = Scene()
    heir.join("alice")
    heir.join("bob")
    heir.tell(DealsTaken(written(dead)))
    heir.tell(HoldingTold(wallet("bob"), ()))
    assert assigned(heir.tell(HoldingTold(wallet("alice"), ()))) == [("bob", 0)]
    assert heir.outcomes(task) == {"alice": "lost", "bob": "running"}


def test_who_does_not_answer_is_not_waited_for() -> None:
    dead, _ = with_a_deal()
    heir = Scene()
    heir.join("alice")
    heir.tell(DealsTaken(written(dead)))
    assert assigned(heir.after(SETTLE_S - 0.1)) == []
    assert assigned(heir.after(0.2)) == [("alice", 0)]


def test_who_leaves_is_not_waited_for() -> None:
    dead, _ = with_a_deal()
    heir = Scene()
    heir.join("alice")
    heir.join("bob")
    heir.tell(DealsTaken(written(dead)))
    heir.tell(HoldingTold(wallet("alice"), ()))
    assert assigned(heir.leave("bob")) == [("alice", 0)]


def test_tasks_that_were_not_written_down_are_begun_and_those_at_an_end_are_not() -> None:
    dead, tasks = with_a_deal(3)
    (taken,) = written(dead)
    heir = Scene()
    heir.tell(DealsTaken((replace(taken, tasks=taken.tasks[:1], ended=frozenset({1})),)))
    assert [heir.phase(task) for task in tasks] == ["running", "end", "new"]


def test_a_deal_with_nothing_left_to_do_is_over() -> None:
    dead, _ = with_a_deal()
    (taken,) = written(dead)
    heir = Scene()
    heir.tell(DealsTaken((replace(taken, tasks=(), ended=frozenset({0})),)))
    assert heir.machine.take_changes().over == {taken.deal.deal_id}
    assert not heir.machine.book.deals


def test_nothing_is_written_about_deals_that_are_lost() -> None:
    scene, (task,) = with_a_deal()
    scene.join("alice")
    deal = scene.machine.book.tasks[task].record.deal_id
    scene.tell(DealsLost((deal,)))
    changes = scene.machine.take_changes()
    assert (changes.touched, changes.tasks, changes.replicas, changes.story) == (set(), {}, {}, [])
    assert not scene.machine.book.worker(wallet("alice")).computing


def test_a_worker_keeps_what_another_scheduler_works_on() -> None:
    """Whether its task is over, the records say, not this scheduler's memory."""
    scene, (task,) = with_a_deal()
    scene.join("alice")
    scene.tell(DealsLost((scene.machine.book.tasks[task].record.deal_id,)))
    assert scene.stage("alice", task, ReplicaStage.COMPUTED) == [Retire(wallet("alice"), task)]


def test_slots_that_work_for_another_scheduler_are_busy() -> None:
    scene = Scene()
    scene.join("alice", slots=2)
    scene.tell(WorkerHeard(wallet("alice"), 1))
    scene.deal(2)
    assert len(scene.machine.book.worker(wallet("alice")).computing) == 1
    assert assigned(scene.tell(WorkerHeard(wallet("alice"), 0))) == [("alice", 1)]


def test_who_another_scheduler_caught_gets_nothing_here_either() -> None:
    scene = Scene()
    scene.join("alice", score=7)
    liar = scene.machine.book.workers[wallet("alice")].record
    scene.machine.take_changes()
    scene.tell(WorkersCaught((replace(liar, score=0, ban="it lied"), WorkerRecord(address=wallet("bob"), name="bob", slots=1, ban="too"))))
    records = {name: scene.machine.book.workers[wallet(name)].record for name in ("alice", "bob")}
    assert (records["alice"].ban, records["alice"].score, records["bob"].ban) == ("it lied", 7, "too")
    assert not scene.machine.take_changes(), "it is written down already"
    scene.deal()
    assert not assigned(scene.log)
    scene.join("bob")
    assert not assigned(scene.log)


def test_faults_seen_by_several_are_one_too_many_together() -> None:
    scene = Scene(faulty_max=3)
    scene.join("alice", slots=5)
    tasks = scene.deal(2)
    for task in tasks:
        scene.fined("alice", task)
    record = scene.machine.book.workers[wallet("alice")].record
    scene.tell(WorkersCaught((replace(record, faulty=1),)))
    record = scene.machine.book.workers[wallet("alice")].record
    assert (record.faulty, record.ban) == (2, ""), "one that is behind takes nothing back"
    scene.tell(WorkersCaught((replace(record, faulty=3),)))
    assert scene.machine.book.workers[wallet("alice")].record.ban.startswith("3 wrong or unrevealed contributions")
    assert scene.machine.take_changes().workers[wallet("alice")].ban
