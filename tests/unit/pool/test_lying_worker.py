"""A wrong contribution raises the bar, is fined by the hub, and is remembered."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.pool.conftest import Scene, assigned, foreign_task, told, wallet
from voisin.pool.heart.commands import Finalize
from voisin.protocol.events import AccurateContribution


def test_a_liar_is_outvoted(scene: Scene) -> None:
    for name in ("alice", "bob", "carol"):
        scene.join(name, slots=2)
    (task,) = scene.deal(trust=3)
    working = [name for name, _ in assigned(scene.log)]
    assert len(working) == 2
    liar, honest = working
    third = ({"alice", "bob", "carol"} - set(working)).pop()

    scene.contribute(liar, task, "wrong")
    assert assigned(scene.contribute(honest, task)) == [(third, 0)]
    scene.contribute(third, task)

    # With groups {2} and {4}: 4 x 3 > (1 + 2 + 4) x 2 does not hold, so a fourth is wanted.
    assert scene.phase(task) == "running"
    assert assigned(scene.join("dave")) == [("dave", 0)]
    scene.contribute("dave", task)
    asked = told(scene.agree(task))
    assert sorted(asked) == sorted([(honest, "AskReveal"), (third, "AskReveal"), ("dave", "AskReveal")])

    for name in (honest, third, "dave"):
        scene.reveal(name, task)
    scene.upload(honest, task)
    assert [type(c) for c in scene.checked(honest, task)] == [Finalize]
    scene.fined(liar, task)
    released = told(scene.finalized(task))
    assert sorted(released) == sorted((name, "Release") for name in (liar, honest, third, "dave"))
    saved = scene.machine.take_changes()
    outcome = {address: record.outcome for (_, address), record in saved.replicas.items()}
    assert outcome == {wallet(liar): "faulty", wallet(honest): "proved", wallet(third): "proved", wallet("dave"): "proved"}


def test_a_contribution_that_lost_keeps_its_result_until_the_end(scene: Scene) -> None:
    """After a reopening it may win, so it is not told to forget."""
    for name in ("alice", "bob"):
        scene.join(name)
    (task,) = scene.deal(trust=1)
    first = assigned(scene.log)[0][0]
    scene.contribute(first, task)
    assert told(scene.agree(task)) == [(first, "AskReveal")]


@pytest.mark.parametrize(("score", "after"), [(0, 0), (10, 6), (12, 8), (100, 66)])
def test_a_fine_lowers_the_score_to_two_thirds(scene: Scene, score: int, after: int) -> None:
    scene.join("alice", score=score)
    (task,) = scene.deal()
    scene.fined("alice", task)
    assert scene.machine.book.workers[wallet("alice")].record.score == after


def test_accurate_contributions_anywhere_raise_the_score(scene: Scene) -> None:
    scene.join("alice", score=11)
    foreign = foreign_task()
    scene.tell(AccurateContribution(wallet("alice"), foreign))
    assert scene.machine.book.workers[wallet("alice")].weight == 3


def test_too_many_faults_and_a_worker_gets_no_more_tasks(new_scene: Callable[..., Scene]) -> None:
    scene = new_scene(faulty_max=2)
    scene.join("alice", slots=5)
    tasks = scene.deal(2)
    scene.fined("alice", tasks[0])
    assert scene.machine.book.workers[wallet("alice")].record.ban == ""
    scene.fined("alice", tasks[1])
    ban = scene.machine.book.workers[wallet("alice")].record.ban
    assert ban.startswith("2 wrong or unrevealed contributions")
    scene.deal()
    assert assigned(scene.log) == [("alice", 0), ("alice", 1)]


def test_faults_in_other_pools_lower_the_score_and_do_not_ban(new_scene: Callable[..., Scene]) -> None:
    scene = new_scene(faulty_max=1)
    scene.join("alice", score=30)
    foreign = foreign_task()
    scene.fined("alice", foreign)
    record = scene.machine.book.workers[wallet("alice")].record
    assert (record.score, record.faulty, record.ban) == (20, 0, "")


def test_an_agreement_that_the_chain_does_not_see_is_doubted(scene: Scene) -> None:
    """A score that is counted too high here would otherwise leave the task waiting until its deadline."""
    scene.join("alice", score=30)
    scene.join("bob")
    (task,) = scene.deal(trust=5)
    assert assigned(scene.log) in ([("alice", 0)], [("bob", 0), ("alice", 0)])
    scene.leave("bob")
    scene.contribute("alice", task)
    assert scene.after(4.9) == []
    scene.after(0.2)
    assert assigned(scene.join("carol")) == [("carol", 0)]
    assert assigned(scene.join("dave")) == []
    scene.contribute("carol", task)
    assert assigned(scene.after(5)) == [("dave", 0)]
