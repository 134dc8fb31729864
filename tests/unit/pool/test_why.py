"""At every phase a task says, in words a person understands, why it is not done yet and what would help."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.pool.conftest import Scene, wallet
from voisin.pool.heart.facts import Step, StepFailed
from voisin.pool.heart.records import Outcome, Phase, ReplicaRecord, TaskFile, TaskRecord
from voisin.pool.wire.words import closed_task_view, open_task_view, worker_view
from voisin.protocol.ids import DealId, Hash32, TaskId
from voisin.protocol.wire_words import MachineFailure, ReplicaStage


def why(scene: Scene, task: TaskId) -> str:
    return open_task_view(scene.machine.book, scene.machine.book.tasks[task], scene.chain).why


def test_not_on_the_chain_yet(scene: Scene) -> None:
    first, *_, last = scene.found(60)
    assert why(scene, first) == "it is being opened on the chain"
    assert why(scene, last) == "waits its turn: 0 tasks before it wait for a worker"
    scene.opened(first)
    assert why(scene, last) == "waits its turn: 1 task before it waits for a worker"
    deal_id = scene.machine.book.tasks[first].record.deal_id
    scene.tell(StepFailed(Step.INITIALIZE, deal_id, tuple(range(1, 20)), "the wallet cannot pay gas"))
    assert why(scene, last) == "it could not be opened on the chain yet: the wallet cannot pay gas"


def test_still_reading(new_scene: Callable[..., Scene]) -> None:
    scene = new_scene(live=False)
    (task,) = scene.found()
    assert why(scene, task) == "the pool is still reading the chain"


def test_no_worker(scene: Scene) -> None:
    (task,) = scene.deal()
    assert why(scene, task) == "waits for a first worker: none is connected (`voisin worker join` adds one)"


def test_all_workers_are_busy(scene: Scene) -> None:
    scene.join("alice")
    scene.deal()
    (task,) = scene.deal()
    assert why(scene, task) == "waits for a first worker: 1 other connected, all busy"
    scene.join("bob")
    scene.deal()
    (last,) = scene.deal()
    assert why(scene, last) == "waits for a first worker: 2 others connected, all busy"


def test_one_of_two(scene: Scene) -> None:
    scene.join("alice")
    (task,) = scene.deal(trust=4)
    assert why(scene, task) == "1 worker at work: alice (assigned); waits for a second worker: 1 of 2 connected"
    scene.contribute("alice", task)
    assert why(scene, task) == "1 worker contributed; waits for a second worker: 1 of 2 connected"
    scene.join("bob")
    scene.stage("bob", task, ReplicaStage.COMPUTING)
    assert why(scene, task) == "1 worker contributed, 1 worker at work: bob (computing)"


def test_workers_that_disagree(scene: Scene) -> None:
    for name in ("alice", "bob"):
        scene.join(name)
    (task,) = scene.deal(trust=4)
    scene.contribute("alice", task, "this")
    scene.contribute("bob", task, "that")
    assert why(scene, task) == "2 workers contributed 2 different results; waits for a third worker: 2 of 4 connected"


def test_all_have_tried(scene: Scene) -> None:
    scene.join("alice")
    (task,) = scene.deal()
    scene.fail("alice", task, MachineFailure.APP_UNAVAILABLE, "404 not found")
    expected = "waits for a first worker: the only one that is connected has tried, the last with app-unavailable: 404 not found"
    assert why(scene, task) == expected


def test_banned_workers_do_not_count(new_scene: Callable[..., Scene]) -> None:
    scene = new_scene(faulty_max=1)
    scene.join("alice")
    (task,) = scene.deal()
    scene.fined("alice", task)
    scene.leave("alice")
    scene.join("alice")
    assert "none is connected" in why(scene, task)
    note = worker_view(scene.machine.book, wallet("alice"), "").note
    assert note.startswith("gets no more tasks: 1 wrong or unrevealed contributions")


def test_the_end_of_a_good_task(scene: Scene) -> None:
    for name in ("alice", "bob"):
        scene.join(name)
    (task,) = scene.deal(trust=4)
    for name in ("alice", "bob"):
        scene.contribute(name, task)
    scene.agree(task)
    first, second = (scene.machine.book.workers[replica.worker].record.name for replica in scene.machine.book.tasks[task].winners())
    reveals = "agreed by 2 workers, waits for reveals"
    assert why(scene, task) == f"{reveals}: 0 of 2 revealed, {first}, {second} not yet, 10 min left"
    scene.after(510)
    scene.reveal(first, task)
    waiting = f"{reveals}: 1 of 2 revealed, {second} not yet, 90 s left; waits for {first} to upload the result"
    assert why(scene, task) == waiting
    scene.reveal(second, task)
    assert why(scene, task) == f"agreed by 2 workers and revealed; waits for {first} to upload the result"
    scene.upload(first, task)
    assert why(scene, task) == "agreed by 2 workers and revealed; the upload is being looked at"
    scene.checked(first, task, problem="it is not in storage")
    problem = f"waits for {second} to upload the result (before: it is not in storage)"
    assert why(scene, task) == f"agreed by 2 workers and revealed; {problem}"
    scene.upload(second, task)
    scene.checked(second, task)
    assert why(scene, task) == "agreed by 2 workers, revealed and uploaded; is being finalised"
    deal_id = scene.machine.book.tasks[task].record.deal_id
    scene.tell(StepFailed(Step.FINALIZE, deal_id, (0,), "no coins for gas"))
    assert why(scene, task) == "agreed by 2 workers, revealed and uploaded; could not be finalised yet: no coins for gas"


def test_nobody_is_there_to_upload(scene: Scene) -> None:
    scene.join("alice")
    (task,) = scene.deal()
    scene.contribute("alice", task)
    scene.agree(task)
    scene.reveal("alice", task)
    scene.leave("alice", "the connection closed")
    away = "waits for a worker that revealed to come back and upload the result (before: the connection closed)"
    assert why(scene, task) == f"agreed by 1 worker and revealed; {away}"


def test_a_failed_task_says_when_the_money_comes_back(scene: Scene) -> None:
    (task,) = scene.deal()
    scene.after(2100)
    reason = "no worker was free for it before the deadline for contributions"
    assert why(scene, task) == f"{reason}; the requester is refunded in 15 min"
    scene.after(840)
    assert why(scene, task) == f"{reason}; the requester is refunded in 60 s"
    scene.after(60)
    assert why(scene, task) == f"{reason}; the requester is refunded now, as soon as the claim is on the chain"


@pytest.mark.parametrize(
    ("phase", "reason", "outcomes", "words"),
    [
        (Phase.COMPLETED, "", [Outcome.PROVED], "completed: 1 worker agreed and was paid"),
        (Phase.COMPLETED, "", [Outcome.PROVED, Outcome.PROVED, Outcome.LOST], "completed: 2 workers agreed and were paid"),
        (Phase.COMPLETED, "", [Outcome.PROVED, Outcome.FAULTY], "completed: 1 worker agreed and was paid, 1 worker fined"),
        (Phase.CLAIMED, "nobody came", [], "the requester has the money back: nobody came"),
    ],
)
def test_tasks_at_an_end(scene: Scene, phase: Phase, reason: str, outcomes: list[Outcome], words: str) -> None:
    task_id = TaskId(Hash32("0x" + "7a" * 32))
    task = TaskRecord(task_id=task_id, deal_id=DealId(task_id), index=0, phase=phase, reason=reason, cid="bafk")
    replicas = [ReplicaRecord(task_id=task_id, worker=wallet(str(n)), outcome=outcome) for n, outcome in enumerate(outcomes)]
    view = closed_task_view(scene.machine.book, TaskFile(task=task, replicas=tuple(replicas)))
    assert (view.phase, view.why, view.result) == (phase, words, "bafk")
    assert [replica.outcome for replica in view.replicas] == outcomes


def test_each_replica_has_its_own_story(scene: Scene) -> None:
    scene.join("alice")
    (task,) = scene.deal()
    scene.stage("alice", task, ReplicaStage.FETCHING)
    view = open_task_view(scene.machine.book, scene.machine.book.tasks[task], scene.chain)
    assert [moment.what for moment in view.story] == ["the deal was made", "opened on the chain"]
    (replica,) = view.replicas
    assert (replica.worker_name, replica.stage, replica.outcome) == ("alice", "fetching", "running")
    assert [moment.what for moment in replica.story] == ["assigned", "fetching"]


def test_a_worker_as_it_is_shown(scene: Scene) -> None:
    scene.join("alice", slots=3, score=7)
    scene.deal()
    view = worker_view(scene.machine.book, wallet("alice"), "has no native coin")
    assert (view.name, view.online, view.slots, view.busy, view.score, view.note) == ("alice", True, 3, 1, 7, "has no native coin")
    scene.after(5)
    scene.leave("alice")
    scene.after(100)
    gone = worker_view(scene.machine.book, wallet("alice"), "")
    assert (gone.online, gone.busy, gone.last_seen) == (False, 0, scene.chain - 100)


def test_a_story_does_not_grow_for_ever(scene: Scene) -> None:
    (task,) = scene.deal()
    for _ in range(400):
        scene.join("alice")
        scene.leave("alice")
        scene.machine.book.tasks[task].replicas.clear()
    assert len(scene.machine.book.tasks[task].story) <= 500
