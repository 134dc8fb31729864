"""Who gets what: first come first served, different workers for each task, as many as the trust asks for and no more."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.pool.conftest import Scene, assigned, told, wallet
from voisin.protocol.wire_words import ReplicaStage


def test_deals_are_served_in_order_then_indexes(scene: Scene) -> None:
    first, _ = scene.deal(2), scene.deal(1)
    assert assigned(scene.join("alice", slots=2)) == [("alice", 0), ("alice", 1)]
    commands = scene.stage("alice", first[0], ReplicaStage.COMPUTED)
    assert len(assigned(commands)) == 1
    assert commands[0].deal_id != scene.machine.book.tasks[first[0]].record.deal_id


def test_a_worker_is_never_twice_on_one_task(scene: Scene) -> None:
    (task,) = scene.deal(trust=4)
    assert assigned(scene.join("alice", slots=5)) == [("alice", 0)]
    assert scene.contribute("alice", task) == []
    assert assigned(scene.join("bob", slots=5)) == [("bob", 0)]


def test_workers_of_one_owner_never_share_a_task(new_scene: Callable[..., Scene]) -> None:
    scene = new_scene(same_owner=((wallet("alice"), wallet("bob")),))
    (task,) = scene.deal(trust=4)
    assert assigned(scene.join("alice")) == [("alice", 0)]
    assert assigned(scene.join("bob")) == []
    assert assigned(scene.join("carol")) == [("carol", 0)]
    scene.leave("alice")
    assert scene.outcomes(task) == {"alice": "lost", "bob": "running", "carol": "running"}


def test_nor_when_one_of_them_comes_back_with_its_part(new_scene: Callable[..., Scene]) -> None:
    scene = new_scene(same_owner=((wallet("alice"), wallet("bob")),))
    scene.join("alice")
    (task,) = scene.deal(trust=4)
    scene.leave("alice")
    scene.join("bob")
    scene.join("alice", holding={task: ReplicaStage.COMPUTED})
    assert scene.outcomes(task) == {"alice": "lost", "bob": "running"}


def test_as_many_as_the_trust_asks_for(scene: Scene) -> None:
    for name in ("alice", "bob", "carol", "dave"):
        scene.join(name)
    scene.deal(trust=5)
    assert len(assigned(scene.log)) == 3, "workers of weight 2: 2 x 2 x 2 is the first product of at least 5"


def test_a_heavy_worker_is_enough_alone(scene: Scene) -> None:
    scene.join("alice", score=18)
    scene.join("bob", score=18)
    scene.deal(trust=5)
    assert len(assigned(scene.log)) == 1, "score 18 weighs 18 // 3 - 1 = 5"


def test_the_least_busy_first_then_in_turn(scene: Scene) -> None:
    scene.join("alice", slots=4)
    scene.join("bob", slots=2)
    scene.deal(6)
    names = [name for name, _ in assigned(scene.log)]
    assert sorted(names[:2]) == ["alice", "bob"]
    assert (names.count("alice"), names.count("bob")) == (4, 2)


def test_no_more_than_the_slots(scene: Scene) -> None:
    scene.join("alice", slots=2)
    scene.deal(5)
    assert len(assigned(scene.log)) == 2


def test_a_worker_without_slots_gets_nothing(scene: Scene) -> None:
    scene.join("alice", slots=0)
    scene.deal()
    assert assigned(scene.log) == []


def test_a_task_that_waits_for_another_worker_does_not_hold_up_the_next(scene: Scene) -> None:
    scene.join("alice")
    one, _two = scene.deal(2, trust=4)
    assert assigned(scene.contribute("alice", one)) == [("alice", 1)]
    assert assigned(scene.join("bob")) == [("bob", 0)], "the first task is served first"


def test_how_far_the_pool_looks_ahead_is_bounded(new_scene: Callable[..., Scene]) -> None:
    scene = new_scene(lookahead=2)
    scene.join("alice")
    tasks = scene.deal(4, trust=4)
    scene.contribute("alice", tasks[0])
    scene.contribute("alice", tasks[1])
    assert assigned(scene.log) == [("alice", 0), ("alice", 1)]


def test_a_late_contribution_stops_the_other_worker_of_its_owner(new_scene: Callable[..., Scene]) -> None:
    scene = new_scene(same_owner=((wallet("alice"), wallet("bob")),))
    scene.join("alice")
    (task,) = scene.deal(trust=4)
    scene.join("bob")
    scene.after(360)
    assert scene.outcomes(task) == {"alice": "failed", "bob": "running"}
    assert told(scene.contribute("alice", task)) == [("bob", "Abort")]
    assert scene.outcomes(task) == {"alice": "running", "bob": "aborted"}


@pytest.mark.parametrize("known", ["alice", "bob", "carol"])
def test_new_workers_do_not_decide_a_task_among_themselves_while_a_known_one_is_free(scene: Scene, known: str) -> None:
    for name in ("alice", "bob", "carol"):
        scene.join(name, score=12 if name == known else 0)
    scene.deal(trust=3)
    assert assigned(scene.log)[0] == (known, 0)


def test_where_results_differ_known_workers_are_asked_before_new_ones(scene: Scene) -> None:
    for name in ("alice", "bob"):
        scene.join(name)
    (task,) = scene.deal(trust=3)
    scene.join("carol")
    scene.join("dave", score=12)
    scene.contribute("alice", task, "wrong")
    scene.log.clear()
    scene.contribute("bob", task)
    assert assigned(scene.log)[0] == ("dave", 0)
