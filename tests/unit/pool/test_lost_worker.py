"""A worker that vanishes, stalls, or comes back: its work is given to others at once, and taken up again where it helps."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.pool.conftest import START, Scene, assigned, foreign_task, told, wallet
from voisin.pool.heart.commands import AssignReplica, Drop, Finalize, Retire
from voisin.pool.heart.facts import StageReached
from voisin.protocol.wire_words import ReplicaStage


def test_what_a_lost_worker_had_not_contributed_goes_to_another_at_once(scene: Scene) -> None:
    scene.join("alice")
    scene.deal()
    scene.join("bob")
    assert assigned(scene.leave("alice")) == [("bob", 0)]


def test_what_it_had_contributed_stays(scene: Scene) -> None:
    scene.join("alice")
    (task,) = scene.deal()
    scene.contribute("alice", task)
    scene.join("bob")
    assert scene.leave("alice") == []
    scene.agree(task)
    assert told(scene.join("alice", holding={task: ReplicaStage.CONTRIBUTED})) == [("alice", "AskReveal")]


def test_silence_of_three_heartbeats_is_loss(scene: Scene) -> None:
    scene.join("alice")
    scene.deal()
    assert scene.silence(6.0) == []
    scene.machine.book.workers[wallet("alice")].heard_at -= 0.1
    commands = scene.silence(0.0)
    assert commands == [Drop(wallet("alice"), "not heard for 6 s")]
    assert not scene.machine.book.workers[wallet("alice")].is_online
    assert assigned(scene.join("bob")) == [("bob", 0)]


def test_any_message_is_a_sign_of_life(scene: Scene) -> None:
    scene.join("alice")
    (task,) = scene.deal()
    scene.silence(5.0)
    scene.tell(StageReached(wallet("alice"), task, ReplicaStage.FETCHING))
    assert scene.silence(5.0) == []


def test_a_worker_that_restarted_without_its_disk_gets_the_task_again(scene: Scene) -> None:
    scene.join("alice")
    scene.deal()
    assert assigned(scene.join("alice")) == [("alice", 0)]
    assert assigned(scene.join("alice")) == [("alice", 0)]
    assert assigned(scene.join("alice")) == [], "three attempts are enough"


def test_a_worker_whose_line_broke_goes_on(scene: Scene) -> None:
    scene.join("alice")
    (task,) = scene.deal()
    (again,) = scene.join("alice", holding={task: ReplicaStage.COMPUTING})
    assert isinstance(again, AssignReplica)
    assert scene.machine.book.tasks[task].replicas[wallet("alice")].stage == "computing"
    scene.leave("alice")
    assert assigned(scene.join("alice", holding={task: ReplicaStage.COMPUTED})) == [("alice", 0)]
    assert scene.outcomes(task) == {"alice": "running"}


def test_a_replaced_worker_that_comes_back_is_stopped(scene: Scene) -> None:
    scene.join("alice")
    (task,) = scene.deal()
    scene.leave("alice")
    scene.join("bob")
    assert told(scene.join("alice", holding={task: ReplicaStage.COMPUTED})) == [("alice", "Abort")]


def test_unless_its_contribution_may_be_on_its_way_to_the_chain(scene: Scene) -> None:
    scene.join("alice")
    (task,) = scene.deal()
    scene.leave("alice")
    scene.join("bob")
    assert scene.join("alice", holding={task: ReplicaStage.CONTRIBUTED}) == []
    scene.contribute("alice", task)
    commands = told(scene.agree(task))
    assert sorted(commands) == [("alice", "AskReveal"), ("bob", "Abort")]


def test_a_worker_holding_a_task_that_is_over_may_forget_it(scene: Scene) -> None:
    foreign = foreign_task()
    assert Retire(wallet("alice"), foreign) in scene.join("alice", holding={foreign: ReplicaStage.CONTRIBUTED})


def test_a_pool_that_lost_its_database_takes_up_what_workers_hold(scene: Scene) -> None:
    (task,) = scene.deal(trust=1)
    (again,) = scene.join("alice", holding={task: ReplicaStage.COMPUTED})
    assert isinstance(again, AssignReplica)
    assert scene.outcomes(task) == {"alice": "running"}
    assert assigned(scene.join("bob")) == []


def test_a_stalled_worker_is_replaced(scene: Scene) -> None:
    scene.join("alice")
    (task,) = scene.deal()
    scene.join("bob")
    assert scene.after(359) == []
    commands = scene.after(1)
    assert assigned(commands) == [("bob", 0)]
    assert told(commands) == [("alice", "Abort")]
    assert "stalled" in scene.machine.book.tasks[task].replicas[wallet("alice")].cause


def test_a_deal_with_a_shorter_limit_is_not_waited_for_as_long(scene: Scene) -> None:
    scene.join("alice")
    scene.deal(params='{"voisin_limits": {"time_s": 10}}')
    scene.join("bob")
    assert scene.after(69) == []
    assert assigned(scene.after(1)) == [("bob", 0)]


@pytest.mark.parametrize("params", ['{"voisin_limits": {"time_s": 9999}}', '{"voisin_limits": 7}', "--plain arguments"])
def test_no_limit_is_longer_than_the_category(scene: Scene, params: str) -> None:
    scene.join("alice")
    scene.deal(params=params)
    scene.join("bob")
    assert assigned(scene.after(360)) == [("bob", 0)]


def test_a_stalled_worker_that_contributes_after_all_counts(scene: Scene) -> None:
    scene.join("alice")
    (task,) = scene.deal()
    scene.after(360)
    scene.contribute("alice", task)
    scene.agree(task)
    scene.reveal("alice", task)
    scene.upload("alice", task)
    assert [type(c) for c in scene.checked("alice", task)] == [Finalize]


def test_after_a_restart_replicas_wait_for_their_workers(scene: Scene, new_scene: Callable[..., Scene]) -> None:
    scene.join("alice")
    (task,) = scene.deal()
    again = scene.restarted()
    assert again.join("bob") == []
    assert assigned(again.join("alice", holding={task: ReplicaStage.COMPUTING})) == [("alice", 0)]

    third = scene.restarted()
    third.join("bob")
    assert third.after(9.9) == []
    assert assigned(third.after(0.2)) == [("bob", 0)]


def test_leaving_twice_is_leaving_once(scene: Scene) -> None:
    scene.join("alice")
    scene.deal()
    scene.leave("alice")
    assert scene.leave("alice") == []
    assert scene.wall == START
