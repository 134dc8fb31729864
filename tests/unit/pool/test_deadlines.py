"""What time does to a task: each deadline has one consequence, and every task comes to an end by waiting."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.pool.conftest import START, Scene, assigned, told, wallet
from voisin.pool.heart.commands import Claim, Finalize, Initialize
from voisin.pool.heart.facts import Step, StepFailed
from voisin.protocol.ids import as_address
from voisin.protocol.records import Resource
from voisin.protocol.tags import as_tag


def reason(scene: Scene, task: str) -> str:
    return scene.machine.book.tasks[task].record.reason


def test_no_worker_before_the_contribution_deadline(scene: Scene) -> None:
    (task,) = scene.deal()
    scene.after(2099)
    assert scene.phase(task) == "running"
    scene.after(1)
    assert scene.phase(task) == "failed"
    assert "no worker was free" in reason(scene, task)
    assert scene.join("alice") == [], "nobody is given a task that is given up"


def test_then_the_pool_claims_at_the_final_deadline(scene: Scene) -> None:
    tasks = scene.deal(3)
    deal_id = scene.machine.book.tasks[tasks[0]].record.deal_id
    scene.after(2100)
    assert scene.after(899) == []
    assert scene.after(1) == [Claim(deal_id, (0, 1, 2))]
    assert scene.after(1) == []
    for task in tasks:
        scene.claimed(task)
        assert scene.phase(task) == "end"


def test_claims_go_in_chunks(scene: Scene) -> None:
    scene.found(45)
    scene.after(2100)
    assert [len(c.indexes) for c in scene.after(900) if isinstance(c, Claim)] == [20, 20, 5]


def test_a_claim_without_effect_is_repeated_after_a_minute(scene: Scene) -> None:
    scene.deal()
    scene.after(2100)
    (claim,) = scene.after(900)
    assert scene.after(59) == []
    assert scene.after(1) == [claim]


def test_too_little_agreement_names_what_was_missing(scene: Scene) -> None:
    for name in ("alice", "bob"):
        scene.join(name)
    one, two = scene.deal(2, trust=4)
    scene.contribute("alice", one, "this")
    scene.contribute("bob", one, "that")
    scene.contribute("alice", two)
    scene.leave("bob", "the connection closed")
    scene.after(2100)
    assert "2 workers gave 2 different results" in reason(scene, one)
    assert "1 contributed, which is not enough for trust 4" in reason(scene, two)
    assert "the connection closed" in reason(scene, two)


def test_a_task_never_opened_fails_and_is_claimed(scene: Scene) -> None:
    (task,) = scene.found()
    scene.tell(StepFailed(Step.INITIALIZE, scene.machine.book.tasks[task].record.deal_id, (0,), "no coins for gas"))
    scene.after(2100)
    assert scene.phase(task) == "failed"
    assert "no coins for gas" in reason(scene, task)
    assert [type(c) for c in scene.after(900)] == [Claim]


def test_a_consensus_against_the_pools_verdict_is_followed(scene: Scene) -> None:
    scene.join("alice")
    (task,) = scene.deal()
    scene.after(2100)
    assert scene.phase(task) == "failed"
    scene.contribute("alice", task)
    assert told(scene.agree(task)) == [("alice", "AskReveal")]
    assert scene.phase(task) == "revealing"


def test_a_result_that_cannot_be_finalised_in_time(scene: Scene) -> None:
    scene.join("alice")
    (task,) = scene.deal()
    deal_id = scene.machine.book.tasks[task].record.deal_id
    scene.contribute("alice", task)
    scene.agree(task)
    scene.reveal("alice", task)
    scene.upload("alice", task)
    assert [type(c) for c in scene.checked("alice", task)] == [Finalize]
    scene.tell(StepFailed(Step.FINALIZE, deal_id, (0,), "no coins for gas"))
    scene.after(3000)
    assert scene.phase(task) == "failed"
    assert reason(scene, task) == "it could not be finalised before its final deadline: no coins for gas"


def test_somebody_else_claims_first(scene: Scene) -> None:
    scene.join("alice")
    (task,) = scene.deal()
    assert told(scene.claimed(task)) == [("alice", "Abort")]
    assert scene.phase(task) == "end"
    assert scene.after(4000) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"workerpool": Resource(as_address("0x" + "11" * 20), as_address("0x" + "22" * 20), 0)}, "owner of that time"),
        ({"tag": as_tag("tee,tdx")}, "enclave"),
    ],
)
def test_deals_that_this_pool_cannot_do_fail_at_once(scene: Scene, changes: dict, words: str) -> None:
    scene.join("alice")
    (task,) = scene.found(**changes)
    assert scene.log == []
    assert words in reason(scene, task)
    scene.after(3000)
    assert [type(c) for c in scene.log] == [Claim]


def test_deadlines_go_by_the_chains_clock_and_leases_by_ours(scene: Scene) -> None:
    scene.join("alice")
    (task,) = scene.deal()
    scene.chain += 2099
    assert scene.tell_time() == []
    assert scene.phase(task) == "running"
    scene.chain += 1
    assert told(scene.tell_time()) == [("alice", "Abort")]
    assert scene.machine.book.workers[wallet("alice")].is_online
    assert scene.wall == START


def test_opening_goes_in_chunks_not_far_ahead_of_the_workers(scene: Scene) -> None:
    tasks = scene.found(100)
    chunks = [c.indexes for c in scene.log if isinstance(c, Initialize)]
    assert chunks == [tuple(range(20)), tuple(range(20, 40))]
    for task in tasks[:40]:
        scene.opened(task)
    assert [c for c in scene.log[2:] if isinstance(c, Initialize)] == []
    scene.join("alice", slots=10)
    more = [c.indexes for c in scene.log[2:] if isinstance(c, Initialize)]
    assert more == [], "ten of forty are taken: as many as a chunk must be missing, or forty are still enough"
    assert len(assigned(scene.log)) == 10


def test_refused_openings_are_tried_again_in_order(scene: Scene) -> None:
    (task, *_rest) = scene.found(30)
    deal_id = scene.machine.book.tasks[task].record.deal_id
    scene.tell(StepFailed(Step.INITIALIZE, deal_id, tuple(range(20)), "somebody was faster"))
    scene.log.clear()
    scene.after(1)
    assert scene.log == [Initialize(deal_id, tuple(range(20)), False)]


def test_openings_without_effect_are_repeated_after_a_minute(new_scene: Callable[..., Scene]) -> None:
    scene = new_scene()
    (task,) = scene.found()
    deal_id = scene.machine.book.tasks[task].record.deal_id
    assert scene.after(59) == []
    assert scene.after(1) == [Initialize(deal_id, (0,), False)]
