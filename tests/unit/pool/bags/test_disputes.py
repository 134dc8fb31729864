"""Workers that the pool knows contradict new ones: more known ones are asked, and where there are none there is no result, and no lie."""

from __future__ import annotations

from collections.abc import Callable

from tests.unit.pool.bags.conftest import RICH, Scene, wallet, words
from voisin.pool.bags.commands import BagCommand
from voisin.pool.heart.facts import WorkerJoined


def know(scene: Scene, name: str) -> list[BagCommand]:
    """Have a worker join that is not new."""
    return scene.tell(WorkerJoined(worker=wallet(name), name=name, slots=1, score=12, version=2, stake=RICH))


def disputed(new_scene: Callable[..., Scene], trust: int) -> Scene:
    """A bag of one task: two new workers have said the same, and a known one that came meanwhile has it now."""
    scene = new_scene(1, trust=trust, probation=10)
    scene.join("bob", "carol")
    scene.say("carol", 0, answer="wrong")
    know(scene, "alice")
    assert words(scene.say("bob", 0, answer="wrong")) == ["bob Receipts 0", "alice GiveTasks 0"]
    return scene


def test_a_new_worker_does_a_task_with_a_known_one(new_scene: Callable[..., Scene]) -> None:
    scene = new_scene(1, trust=3, probation=10)
    assert words(scene.join("bob")) == ["bob GiveTasks 0"]
    know(scene, "alice")
    assert words(scene.join("carol")) == []
    assert [set(task.holders) for task in scene.machine.book.bags[scene.terms.deal_id].open.values()] == [{wallet("alice"), wallet("bob")}]


def test_where_a_known_worker_stands_alone_against_new_ones_there_is_no_result(new_scene: Callable[..., Scene]) -> None:
    """At trust 2 the two of them have 4 x 2 > 1 + 4 + 2, and the known one has not 2 x 2 > 1 + 2 + 4."""
    scene = disputed(new_scene, trust=2)
    scene.say("alice", 0)
    (ended,) = scene.kept.ended.values()
    assert (ended.has_result, len(ended.others)) == (False, 3)
    assert "contradict" in ended.reason


def test_a_known_worker_against_new_liars_gets_another_known_one_to_help(new_scene: Callable[..., Scene]) -> None:
    scene = disputed(new_scene, trust=1)
    scene.join("dave")
    know(scene, "erin")
    assert words(scene.say("alice", 0)) == ["alice Receipts 0", "erin GiveTasks 0"], "dave is new"
    assert words(scene.say("erin", 0)) == ["erin Receipts 0", "alice AskDigests 0", "erin AskDigests 0"]
    for name in ("alice", "erin"):
        scene.show(name, 0)
    scene.good()
    (ended,) = scene.kept.ended.values()
    assert set(ended.agreed) == {wallet("alice"), wallet("erin")}
    assert [bool(scene.pool.book.worker(wallet(name)).record.ban) for name in ("alice", "bob", "carol")] == [False, True, True]
