"""Workers whose owners want less than their machines can do are given what they want, and nothing else."""

from __future__ import annotations

import pytest

from tests.unit.pool.conftest import Scene, assigned, wallet
from voisin.pool.heart.facts import TakesChanged
from voisin.pool.selling.offers import offered_trust
from voisin.pool.wire.words import worker_view
from voisin.protocol.ids import as_address
from voisin.protocol.wire import Takes
from voisin.protocol.wire_words import MachineFailure
from voisin.units import NRLC

ANYTHING = {"slots": 4, "memory_bytes": 2**30, "disk_bytes": 2**30}


def rules(name: str, **changes: object) -> TakesChanged:
    return TakesChanged(wallet(name), Takes(**{**ANYTHING, **changes}))


def test_a_paused_worker_gets_nothing_until_it_goes_on(scene: Scene) -> None:
    scene.join("alice", slots=4)
    scene.tell(rules("alice", slots=0, why="its owner paused it"))
    scene.deal(2)
    assert assigned(scene.log) == []
    assert "its owner paused it" in worker_view(scene.machine.book, wallet("alice"), "").note
    assert assigned(scene.tell(rules("alice"))) == [("alice", 0), ("alice", 1)]


def test_an_owner_may_want_fewer_at_a_time(scene: Scene) -> None:
    scene.join("alice", slots=4)
    scene.tell(rules("alice", slots=1))
    scene.deal(3)
    assert assigned(scene.log) == [("alice", 0)]


@pytest.mark.parametrize(
    "wish",
    [
        {"min_price": NRLC(10**12)},
        {"min_price_per_hour": NRLC(10**15)},
        {"allowed_apps": (as_address("0x" + "77" * 20),)},
        {"denied_requesters": "the deal's"},
        {"denied_apps": "the deal's"},
    ],
    ids=lambda wish: next(iter(wish)),
)
def test_a_task_that_its_owner_does_not_want_goes_to_another(scene: Scene, wish: dict[str, object]) -> None:
    scene.join("alice")
    (probe,) = scene.found()
    deal = scene.machine.book.tasks[probe].deal.record.deal
    named = {"denied_requesters": (deal.requester,), "denied_apps": (deal.app.pointer,)}
    scene.tell(rules("alice", **{name: named[name] if value == "the deal's" else value for name, value in wish.items()}))
    assert assigned(scene.opened(probe)) == []
    assert assigned(scene.join("bob")) == [("bob", 0)]


def test_a_refusal_by_rule_counts_against_nobody(scene: Scene) -> None:
    scene.join("alice")
    (task,) = scene.deal()
    scene.fail("alice", task, MachineFailure.NOT_WANTED, "its owner does not want the app")
    assert scene.machine.book.tasks[task].record.failures == 0
    assert assigned(scene.after(3600)) == [], "the same worker is not asked again"


def test_paused_workers_do_not_count_for_the_offered_trust(scene: Scene) -> None:
    for name in ("alice", "bob"):
        scene.join(name)
    assert offered_trust(scene.machine.book, scene.settings, scene.wall) == 4
    scene.tell(rules("bob", slots=0, why="night"))
    assert offered_trust(scene.machine.book, scene.settings, scene.wall) == 2


def test_rules_end_with_the_connection(scene: Scene) -> None:
    scene.join("alice")
    scene.tell(rules("alice", slots=0, why="paused"))
    scene.leave("alice")
    scene.deal()
    assert assigned(scene.join("alice")) == [("alice", 0)]
