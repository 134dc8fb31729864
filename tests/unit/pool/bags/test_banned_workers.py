"""A worker that was caught, here or by another scheduler of the pool, is not believed any more in bags that are under way."""

from __future__ import annotations

from collections.abc import Callable

from tests.unit.pool.bags.conftest import Scene, wallet, words
from voisin.pool.heart.facts import WorkersCaught
from voisin.pool.heart.records import WorkerRecord


def caught(scene: Scene, name: str) -> list[str]:
    """Have another scheduler say that it caught a worker; answers what follows, in words."""
    fact = WorkersCaught((WorkerRecord(address=wallet(name), name=name, slots=1, ban="it lied"),))
    scene.pool.handle(fact, at=scene.at)
    return words(scene.tell(fact))


def test_what_rests_on_it_is_done_again(new_scene: Callable[..., Scene]) -> None:
    scene = new_scene(1)
    scene.join("alice")
    assert words(scene.say("alice", 0, answer="wrong")) == ["alice Receipts 0", "alice AskDigests 0"]
    assert caught(scene, "alice") == []
    assert words(scene.join("bob")) == ["bob GiveTasks 0"]
    assert words(scene.show("alice", 0, answer="wrong")) == [], "its word does not count again by being shown"
    assert words(scene.say("bob", 0)) == ["bob Receipts 0", "bob AskDigests 0"]
    scene.show("bob", 0)
    scene.good()
    (ended,) = scene.kept.ended.values()
    assert ended.agreed == (wallet("bob"),)
    assert [dissent.worker for dissent in ended.others] == [wallet("alice")]


def test_what_it_brings_afterwards_counts_for_nothing(new_scene: Callable[..., Scene]) -> None:
    scene = new_scene(1)
    scene.join("alice")
    caught(scene, "alice")
    assert words(scene.say("alice", 0, answer="wrong")) == ["alice Receipts 0"], "a receipt is due: the leaf has its word"
    assert words(scene.join("bob")) == ["bob GiveTasks 0"]
    assert words(scene.hold("alice", said=(0,), answer="wrong")) == ["alice Receipts 0"]
    scene.say("bob", 0)
    scene.show("bob", 0)
    scene.good()
    assert scene.kept.ended[0].agreed == (wallet("bob"),)
