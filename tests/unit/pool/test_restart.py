"""Killed at any step and started again, from its records or from nothing but the chain, the pool goes on as if it never stopped."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.pool.conftest import Scene, told, wallet
from voisin.pool.heart.commands import AssignReplica, CheckUpload, Claim, Finalize, Initialize, Reopen
from voisin.pool.heart.facts import CaughtUp
from voisin.protocol.wire_words import ReplicaStage

HELD = {
    "assigned": ReplicaStage.ASSIGNED,
    "contributed": ReplicaStage.CONTRIBUTED,
    "agreed": ReplicaStage.CONTRIBUTED,
    "revealed": ReplicaStage.REVEALED,
    "uploaded": ReplicaStage.UPLOADED,
}


def run_to(scene: Scene, step: str) -> str:
    """Bring a task of one worker to a step."""
    scene.join("alice")
    (task,) = scene.found()
    for name, go in (
        ("assigned", lambda: scene.opened(task)),
        ("contributed", lambda: scene.contribute("alice", task)),
        ("agreed", lambda: scene.agree(task)),
        ("revealed", lambda: scene.reveal("alice", task)),
        ("uploaded", lambda: (scene.upload("alice", task), scene.checked("alice", task))),
    ):
        if step == "found":
            break
        go()
        if step == name:
            break
    return task


def kinds(scene: Scene) -> list[str]:
    """What a pool asked for: kinds of commands, and of messages."""
    return [type(c).__name__ for c in scene.log if not told([c])] + [kind for _, kind in told(scene.log)]


@pytest.mark.parametrize(
    ("step", "asked"),
    [
        ("found", ["Initialize"]),
        ("assigned", ["AssignReplica"]),
        ("contributed", []),
        ("agreed", ["AskReveal"]),
        ("revealed", ["AskUpload"]),
        ("uploaded", ["Finalize"]),
    ],
)
def test_from_its_records_it_asks_for_what_is_open(scene: Scene, step: str, asked: list[str]) -> None:
    task = run_to(scene, step)
    again = scene.restarted()
    again.join("alice", holding={task: HELD[step]} if step in HELD else {})
    assert kinds(again) == asked


@pytest.mark.parametrize("step", ["found", "assigned", "contributed", "agreed", "revealed", "uploaded"])
def test_and_comes_to_the_same_end(scene: Scene, step: str) -> None:
    task = run_to(scene, step)
    again = scene.restarted()
    again.join("alice", holding={task: HELD[step]} if step in HELD else {})
    again.opened(task)
    again.contribute("alice", task)
    again.agree(task)
    again.reveal("alice", task)
    again.upload("alice", task)
    again.checked("alice", task)
    finalize = [c for c in again.log if isinstance(c, Finalize)]
    assert len(finalize) == 1
    assert told(again.finalized(task)) == [("alice", "Release")]


def test_steps_after_a_restart_ask_the_chain_before_they_spend(scene: Scene) -> None:
    run_to(scene, "uploaded")
    (finalize,) = [c for c in scene.restarted().log if isinstance(c, Finalize)]
    assert not finalize.is_certain
    other = Scene()
    other.found()
    (opening,) = [c for c in other.restarted().log if isinstance(c, Initialize)]
    assert not opening.is_certain


def test_nothing_is_asked_before_the_chain_is_caught_up_with(scene: Scene) -> None:
    task = run_to(scene, "assigned")
    late = scene.restarted(wait=True)
    late.contribute("alice", task)
    late.agree(task)
    late.reveal("alice", task)
    assert late.log == []
    late.tell(CaughtUp())
    late.join("alice", holding={task: ReplicaStage.REVEALED})
    assert told(late.log) == [("alice", "AskUpload")]


def test_an_upload_that_was_being_looked_at_is_asked_for_again(scene: Scene) -> None:
    task = run_to(scene, "revealed")
    scene.upload("alice", task)
    again = scene.restarted()
    assert told(again.join("alice", holding={task: ReplicaStage.UPLOADED})) == [("alice", "AskUpload")]
    assert [type(c) for c in again.upload("alice", task)] == [CheckUpload]


def test_replicas_failures_and_bans_are_remembered(new_scene: Callable[..., Scene]) -> None:
    scene = new_scene(faulty_max=1)
    scene.join("bob", score=30)
    (task,) = scene.deal(trust=9)
    scene.fined("bob", task)
    again = scene.restarted()
    record = again.machine.book.workers[wallet("bob")].record
    assert (record.score, record.faulty, bool(record.ban)) == (20, 1, True)
    assert again.machine.book.tasks[task].story[-1].moment.what == "fined"


def test_deadlines_that_passed_meanwhile_have_their_consequence(scene: Scene) -> None:
    run_to(scene, "assigned")
    again = scene.restarted(wait=True)
    again.wall, again.chain = again.wall + 3000, again.chain + 3000
    again.tell(CaughtUp())
    assert [type(c) for c in again.log] == [Claim]


def test_a_reopening_in_flight_is_asked_for_again(scene: Scene) -> None:
    run_to(scene, "agreed")
    assert [type(c) for c in scene.after(600)] == [Reopen]
    again = scene.restarted()
    assert [type(c) for c in again.log] == [Reopen]


@pytest.mark.parametrize("step", ["assigned", "contributed", "agreed", "revealed", "uploaded"])
def test_from_nothing_but_the_chain_it_reaches_the_same_state(scene: Scene, step: str) -> None:
    task = run_to(scene, step)
    book = scene.machine.book
    rebuilt = Scene(live=False)
    rebuilt.found()
    rebuilt.opened(task)
    if step != "assigned":
        rebuilt.contribute("alice", task)
    if step in ("agreed", "revealed", "uploaded"):
        rebuilt.agree(task)
    if step in ("revealed", "uploaded"):
        rebuilt.reveal("alice", task)
    assert rebuilt.log == []
    rebuilt.tell(CaughtUp())
    rebuilt.join("alice", holding={task: HELD[step]})
    new, old = rebuilt.machine.book.tasks[task].record, book.tasks[task].record
    assert (new.phase, new.consensus, new.digest) == (old.phase, old.consensus, old.digest)
    assert rebuilt.outcomes(task) == scene.outcomes(task)
    wanted = {"assigned": AssignReplica, "contributed": None, "agreed": None, "revealed": None, "uploaded": None}[step]
    assert [type(c) for c in rebuilt.log if isinstance(c, AssignReplica)] == ([wanted] if wanted else [])
