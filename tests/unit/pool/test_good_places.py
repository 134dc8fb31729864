"""Who should have a task of those who may: machines that stay, that hold it already, that are fast; and copies of what takes too long."""

from __future__ import annotations

from collections.abc import Callable

from tests.unit.pool.conftest import Scene, assigned, wallet
from voisin.protocol.ids import ZERO_ADDRESS, as_address
from voisin.protocol.records import Resource
from voisin.protocol.wire_words import ReplicaStage
from voisin.units import NRLC

HOUR_S = 3600
LONG = {"category": 4}
APP = Resource(as_address("0x" + "a9" * 20), ZERO_ADDRESS, NRLC(0))
CID = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"


def test_tasks_share_the_memory_of_a_machine(scene: Scene) -> None:
    scene.join("alice", slots=4, memory_bytes=10**9)
    scene.deal(3, params='{"voisin_limits":{"memory_bytes":400000000}}')
    assert assigned(scene.log) == [("alice", 0), ("alice", 1)]


def test_a_machine_that_holds_the_data_comes_first(scene: Scene) -> None:
    scene.join("alice", memory_bytes=2**30)
    scene.join("bob", memory_bytes=2**30, content=(CID,))
    scene.deal(params=f'{{"voisin_inputs":{{"data":"{CID}"}}}}')
    assert assigned(scene.log) == [("bob", 0)]


def test_who_has_run_an_app_has_it_at_hand(scene: Scene) -> None:
    scene.join("alice")
    (first,) = scene.deal(app=APP)
    scene.join("bob")
    scene.stage("alice", first, ReplicaStage.COMPUTED)
    scene.log.clear()
    scene.deal(app=APP)
    assert assigned(scene.log) == [("alice", 0)]


def test_a_straggler_gets_a_copy_on_another_machine(scene: Scene) -> None:
    for name in ("alice", "bob"):
        scene.join(name)
    tasks = scene.deal(4)
    for task in tasks[:3]:
        scene.after(10)
        name = next(name for name, outcome in scene.outcomes(task).items() if outcome == "running")
        scene.contribute(name, task)
        scene.agree(task)
        scene.log.clear()
    (slow,) = scene.outcomes(tasks[3])
    assert assigned(scene.after(15)) == []
    others = assigned(scene.after(40))
    assert [(name != slow, index) for name, index in others] == [(True, 3)]
    assert assigned(scene.after(40)) == [], "one copy is enough"


def test_no_copy_where_there_is_no_other_owner(new_scene: Callable[..., Scene]) -> None:
    scene = new_scene(same_owner=((wallet("alice"), wallet("bob")),))
    for name in ("alice", "bob"):
        scene.join(name)
    tasks = scene.deal(4)
    for task in tasks[:3]:
        scene.after(10)
        name = next(name for name, outcome in scene.outcomes(task).items() if outcome == "running")
        scene.contribute(name, task)
        scene.agree(task)
    scene.log.clear()
    scene.after(60)
    assert assigned(scene.log) == []
