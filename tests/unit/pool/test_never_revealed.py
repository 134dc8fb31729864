"""Winners that do not reveal: some of them, and the task is finalised without; all of them, and it is reopened."""

from __future__ import annotations

import pytest

from tests.unit.pool.conftest import START, Scene, assigned, told, wallet
from voisin.pool.heart.commands import Finalize, ReadDeadline, Reopen
from voisin.pool.heart.facts import DeadlineRead, Step, StepFailed
from voisin.units import UnixSeconds


def agreed(scene: Scene, *names: str, trust: int = 3) -> str:
    """A task that these workers agreed on."""
    for name in names:
        scene.join(name, slots=2)
    (task,) = scene.deal(trust=trust)
    for name in names:
        scene.contribute(name, task)
    scene.agree(task)
    return task


def test_one_silent_winner_delays_the_end_until_the_reveal_deadline(scene: Scene) -> None:
    task = agreed(scene, "alice", "bob")
    scene.reveal("alice", task)
    scene.upload("alice", task)
    assert scene.checked("alice", task) == []
    assert scene.after(599) == []
    (finalize,) = scene.after(1)
    assert isinstance(finalize, Finalize)
    assert not finalize.is_certain, "the hub's clock decides, so it is asked first"
    scene.finalized(task)
    saved = scene.machine.take_changes().replicas
    assert saved[task, wallet("alice")].outcome == "proved"
    assert saved[task, wallet("bob")].outcome == "faulty"
    assert saved[task, wallet("bob")].cause == "did not reveal"


def test_all_silent_and_the_task_is_reopened_for_others(scene: Scene) -> None:
    task = agreed(scene, "alice", "bob")
    deal_id = scene.machine.book.tasks[task].record.deal_id
    assert scene.after(599) == []
    assert scene.after(1) == [Reopen(deal_id, 0, task)]
    assert scene.after(1) == [], "it is under way"
    for name in ("carol", "dave"):
        scene.join(name)
    assert sorted(assigned(scene.reopened(task))) == [("carol", 0), ("dave", 0)]
    assert scene.outcomes(task) == {"alice": "faulty", "bob": "faulty", "carol": "running", "dave": "running"}


def test_those_who_lost_before_a_reopening_may_win_after_it(scene: Scene) -> None:
    for name in ("alice", "bob", "carol"):
        scene.join(name)
    (task,) = scene.deal(trust=2)
    scene.contribute("alice", task, "other")
    scene.contribute("bob", task, "right")
    scene.contribute("carol", task, "right")
    scene.agree(task, "right")
    scene.after(600)
    scene.reopened(task)
    scene.join("dave")
    scene.contribute("dave", task, "other")
    assert sorted(told(scene.agree(task, "other"))) == [("alice", "AskReveal"), ("dave", "AskReveal")]


def test_too_late_for_others_and_the_task_fails(scene: Scene) -> None:
    for name in ("alice", "bob"):
        scene.join(name)
    (task,) = scene.deal(trust=3)
    scene.contribute("alice", task)
    scene.contribute("bob", task)
    scene.after(2000)
    scene.agree(task)
    scene.after(599)
    assert scene.phase(task) == "revealing"
    scene.after(1)
    assert scene.phase(task) == "failed"
    assert "none of them revealed" in scene.machine.book.tasks[task].record.reason


def test_a_winner_that_is_away_is_asked_when_it_comes_back(scene: Scene) -> None:
    task = agreed(scene, "alice", trust=1)
    scene.leave("alice")
    assert told(scene.join("alice", holding={task: "contributed"})) == [("alice", "AskReveal")]
    assert scene.after(1) == []


@pytest.mark.parametrize("step", [Step.REOPEN, Step.FINALIZE])
def test_a_step_that_the_hub_finds_too_early_waits_for_the_exact_deadline(scene: Scene, step: Step) -> None:
    task = agreed(scene, "alice", "bob")
    if step is Step.FINALIZE:
        scene.reveal("alice", task)
        scene.upload("alice", task)
        scene.checked("alice", task)
    (first,) = scene.after(600)
    assert scene.tell(DeadlineRead(task, UnixSeconds(START + 603))) == []
    assert scene.after(2) == []
    assert scene.after(1) == [first]


def test_a_refused_step_is_tried_again_after_pauses_that_grow(scene: Scene) -> None:
    task = agreed(scene, "alice", "bob")
    deal_id = scene.machine.book.tasks[task].record.deal_id
    (reopen,) = scene.after(600)
    for pause in (1, 2, 4):
        assert scene.tell(StepFailed(Step.REOPEN, deal_id, (0,), "the node is away")) == []
        assert scene.after(pause - 0.5) == []
        assert scene.after(0.5) == [reopen]


def test_after_a_restart_without_the_deadline_it_is_read_from_the_chain(scene: Scene) -> None:
    scene.machine.book.is_live = False
    task = agreed(scene, "alice", "bob")
    again = scene.restarted(wait=True)
    again.join("alice")
    assert [c for c in again.log if isinstance(c, ReadDeadline)] == []
    third = scene.restarted()
    assert [c for c in third.log if isinstance(c, ReadDeadline)] == [ReadDeadline(task)]
    third.tell(DeadlineRead(task, UnixSeconds(START + 100)))
    assert [type(c) for c in third.after(100)] == [Reopen]
