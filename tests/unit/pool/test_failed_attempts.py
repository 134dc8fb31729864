"""Attempts that fail on the workers' side: another worker tries, the same one later, and not for ever."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.pool.conftest import NAMES, Scene, assigned, foreign_task
from voisin.protocol.wire_words import MachineFailure


def test_another_worker_tries(scene: Scene) -> None:
    scene.join("alice")
    (task,) = scene.deal()
    scene.join("bob")
    assert assigned(scene.fail("alice", task, MachineFailure.APP_UNAVAILABLE, "404")) == [("bob", 0)]
    assert scene.outcomes(task) == {"alice": "failed", "bob": "running"}


def test_the_same_worker_tries_again_after_a_pause_that_grows(scene: Scene) -> None:
    scene.join("alice")
    (task,) = scene.deal()
    scene.fail("alice", task, MachineFailure.APP_UNAVAILABLE)
    assert scene.after(4.9) == []
    assert assigned(scene.after(0.2)) == [("alice", 0)]
    scene.fail("alice", task, MachineFailure.APP_UNAVAILABLE)
    assert scene.after(9.9) == []
    assert assigned(scene.after(0.2)) == [("alice", 0)]
    scene.fail("alice", task, MachineFailure.APP_UNAVAILABLE)
    assert scene.after(2000) == [], "three attempts are enough for one worker"
    assert scene.phase(task) == "running", "another worker may still come"


@pytest.mark.parametrize("failure", [MachineFailure.WRONG_HASH, MachineFailure.CHAIN_REFUSED])
def test_some_failures_are_for_good(scene: Scene, failure: MachineFailure) -> None:
    scene.join("alice")
    (task,) = scene.deal()
    scene.fail("alice", task, failure)
    assert assigned(scene.after(600)) == []
    assert assigned(scene.join("bob")) == [("bob", 0)]


def test_too_many_failures_and_the_task_is_given_up_with_the_cause(new_scene: Callable[..., Scene]) -> None:
    scene = new_scene(failures_max=4)
    for name in NAMES:
        scene.join(name)
    (task,) = scene.deal()
    for _ in range(4):
        worker = next(name for name, outcome in scene.outcomes(task).items() if outcome == "running")
        scene.fail(worker, task, MachineFailure.APP_UNAVAILABLE, "404 not found")
    assert scene.phase(task) == "failed"
    assert scene.machine.book.tasks[task].record.reason == "4 attempts failed, the last with app-unavailable: 404 not found"


@pytest.mark.parametrize("failure", [MachineFailure.SHUTTING_DOWN, MachineFailure.TASK_NOT_ACTIVE])
def test_failures_that_say_nothing_about_the_task_do_not_count(new_scene: Callable[..., Scene], failure: MachineFailure) -> None:
    scene = new_scene(failures_max=1)
    scene.join("alice")
    (task,) = scene.deal()
    scene.fail("alice", task, failure)
    assert scene.phase(task) == "running"
    assert assigned(scene.after(5)) == [("alice", 0)]


def test_lost_workers_do_not_count(new_scene: Callable[..., Scene]) -> None:
    scene = new_scene(failures_max=1)
    scene.join("alice")
    (task,) = scene.deal()
    scene.leave("alice")
    assert scene.phase(task) == "running"


def test_a_failure_of_a_task_that_the_worker_does_not_have_is_nothing(scene: Scene) -> None:
    scene.join("alice")
    (task,) = scene.deal()
    scene.join("bob")
    assert scene.fail("bob", task, MachineFailure.SANDBOX_BROKEN) == []
    foreign = foreign_task()
    assert scene.fail("alice", foreign, MachineFailure.SANDBOX_BROKEN) == []
    assert scene.outcomes(task) == {"alice": "running"}


def test_a_worker_that_cannot_reveal_does_not_undo_its_contribution(scene: Scene) -> None:
    scene.join("alice")
    (task,) = scene.deal()
    scene.contribute("alice", task)
    scene.agree(task)
    assert scene.fail("alice", task, MachineFailure.CHAIN_UNREACHABLE) == []
    assert scene.outcomes(task) == {"alice": "running"}
