"""A result waits for one more worker only where one is there that could do the task: by its memory, its owner's price, its apps."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.pool.bags.conftest import RICH, Scene, wallet, words
from tests.unit.pool.conftest import make_resources
from voisin.pool.heart.facts import TakesChanged, WorkerJoined
from voisin.protocol.wire import Takes
from voisin.units import NRLC

PARAMS = '{"voisin_window":"000005","voisin_limits":{"memory_bytes":600000000}}'


def joined(scene: Scene, name: str, memory_bytes: int) -> None:
    """A new worker with so much memory."""
    machine = make_resources(1, memory_bytes=memory_bytes)
    scene.tell(WorkerJoined(worker=wallet(name), name=name, slots=1, score=0, version=2, stake=RICH, resources=machine))


@pytest.mark.parametrize(("memory_bytes", "said"), [(500_000_000, ["alice AskDigests 0"]), (700_000_000, ["bob GiveTasks 0"])])
def test_a_machine_that_is_too_small_is_not_waited_for(new_scene: Callable[..., Scene], memory_bytes: int, said: list[str]) -> None:
    scene = new_scene(1, probation=10, params=PARAMS)
    joined(scene, "alice", 10**9)
    joined(scene, "bob", memory_bytes)
    assert words(scene.say("alice", 0)) == ["alice Receipts 0", *said]


def test_nor_is_one_whose_owner_wants_a_higher_price(new_scene: Callable[..., Scene]) -> None:
    scene = new_scene(1, probation=10)
    joined(scene, "alice", 10**9)
    joined(scene, "bob", 10**9)
    dear = Takes(slots=1, memory_bytes=10**9, disk_bytes=10**9, min_price=NRLC(10**12))
    scene.pool.handle(TakesChanged(wallet("bob"), dear), at=scene.at)
    assert words(scene.say("alice", 0)) == ["alice Receipts 0", "alice AskDigests 0"]
