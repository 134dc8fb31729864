"""The course of a bag as lists of facts and commands: given, said, shown, checked, paid, posted, settled."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.pool.bags.conftest import DEAL, Scene, digest_of, wallet, words
from voisin.pool.bags.facts import BagStep
from voisin.pool.heart.facts import WorkerJoined
from voisin.protocol.bag_api import BagStage
from voisin.protocol.bag_settlement import is_trusted
from voisin.protocol.events import BagClaimed, BagSettled, BagSlashed, LeafAnswered, LeafDemanded
from voisin.protocol.ids import Address
from voisin.protocol.wire import Resources
from voisin.protocol.wire_words import MachineFailure
from voisin.units import NRLC, UnixSeconds

Make = Callable[..., Scene]
SOMEBODY = Address("0x" + "de" * 20)


def test_a_task_goes_its_way(new_scene: Make, share: int) -> None:
    scene = new_scene(1)
    assert words(scene.join("alice")) == ["alice GiveTasks 0"]
    assert words(scene.say("alice", 0)) == ["alice Receipts 0", "alice AskDigests 0"]
    assert words(scene.show("alice", 0)) == ["CheckArchives"]
    assert words(scene.good()) == [f"alice Statement {share}", "PostBag"]
    assert scene.kept.ended[0].agreed == (wallet("alice"),)
    assert scene.kept.ended[0].digest == digest_of("right")


def test_an_archive_is_looked_at_once(new_scene: Make) -> None:
    scene = new_scene(4, trust=1)
    scene.join("alice", slots=4)
    scene.say("alice", 0, 1, 2, 3)
    assert words(scene.show("alice", 0, 1)) == ["CheckArchives"]
    assert words(scene.show("alice", 2)) == []
    scene.good()
    assert words(scene.show("alice", 3))[0].startswith("alice Statement")
    assert sorted(scene.kept.ended) == [0, 1, 2, 3]


def test_workers_of_the_first_version_are_given_no_bags(new_scene: Make) -> None:
    assert words(new_scene().join("alice", version=1)) == []


def test_trust_takes_several_workers_of_different_owners(new_scene: Make) -> None:
    # 2^m x 4 > (1 + 2^m) x 3 holds for m = 2 workers: 16 > 15
    scene = new_scene(1, trust=4, same_owner=((wallet("alice"), wallet("bob")),))
    assert words(scene.join("alice", "bob")) in (["alice GiveTasks 0"], ["bob GiveTasks 0"])
    assert words(scene.join("carol")) == ["carol GiveTasks 0"]
    assert words(scene.say("carol", 0)) == ["carol Receipts 0"]


def test_a_liar_is_outvoted_and_goes_unpaid(new_scene: Make, share: int) -> None:
    # against one liar, trust 3 takes 2^m x 3 > (1 + 2 + 2^m) x 2, so 2^m > 6: three workers
    scene = new_scene(1, trust=3)
    for name in ("alice", "bob", "carol", "dave"):
        scene.join(name)
    scene.say("alice", 0, answer="wrong")
    for name in ("bob", "carol"):
        assert not [each for each in words(scene.say(name, 0)) if "AskDigests" in each]
    assert [each for each in words(scene.say("dave", 0)) if "AskDigests" in each] == [
        "bob AskDigests 0",
        "carol AskDigests 0",
        "dave AskDigests 0",
    ]
    for name in ("bob", "carol", "dave"):
        scene.show(name, 0)
    scene.good()
    ended = scene.kept.ended[0]
    assert is_trusted(scene.kept.closing().leaves[0], 3)
    assert [vote.worker for vote in ended.others] == [wallet("alice")]
    assert scene.kept.earned == dict.fromkeys(ended.agreed, share // 3)
    assert set(ended.agreed) == {wallet("bob"), wallet("carol"), wallet("dave")}


def test_who_shows_something_else_counts_against_the_result(new_scene: Make) -> None:
    scene = new_scene(1)
    scene.join("alice")
    scene.join("bob")
    scene.say("alice", 0)
    assert "bob GiveTasks 0" in words(scene.show("alice", 0, answer="another"))
    scene.say("bob", 0)
    scene.show("bob", 0)
    scene.good()
    leaf = scene.kept.closing().leaves[0]
    assert leaf.agreed == (wallet("bob"),)
    assert [vote.worker for vote in leaf.others] == [wallet("alice")], "its receipt says that it said the same"
    assert wallet("alice") not in scene.kept.earned


def test_who_shows_nothing_in_time_is_replaced(new_scene: Make) -> None:
    scene = new_scene(1, upload_lease_s=10)
    scene.join("alice")
    scene.join("bob")
    scene.say("alice", 0)
    assert words(scene.after(9)) == []
    assert words(scene.after(2)) == ["bob GiveTasks 0"]
    scene.say("bob", 0)
    assert words(scene.show("alice", 0)) == [], "the archive of those that show waits for the other"
    scene.show("bob", 0)
    scene.good()
    assert set(scene.kept.ended[0].agreed) == {wallet("alice"), wallet("bob")}, "late is not too late"


def test_who_was_away_when_it_was_asked_shows_once_it_is_back(new_scene: Make) -> None:
    # otherwise its word stays one against the others', and a few such words leave nobody who could outvote them
    scene = new_scene(1, reconnect_s=5)
    scene.join("alice")
    scene.say("alice", 0)
    scene.leave("alice")
    scene.join("bob")
    assert words(scene.after(6)) == ["bob GiveTasks 0"]
    scene.join("alice")
    assert words(scene.hold("alice", said=(0,))) == ["alice Receipts 0", "alice AskDigests 0"]
    assert words(scene.show("alice", 0)) == ["bob TakeBack 0", "CheckArchives"]
    scene.good()
    assert scene.kept.ended[0].agreed == (wallet("alice"),)


def test_who_showed_bad_archives_is_asked_no_more(new_scene: Make) -> None:
    scene = new_scene(1)
    scene.join("alice")
    scene.say("alice", 0)
    for _ in range(3):
        scene.show("alice", 0)
        scene.good(problem="it is not in storage")
    assert words(scene.hold("alice", said=(0,))) == ["alice Receipts 0"]
    assert words(scene.show("alice", 0)) == []


@pytest.mark.parametrize(("failure", "patience_s"), [(MachineFailure.SANDBOX_BROKEN, 0), (MachineFailure.CHAIN_UNREACHABLE, 50)])
def test_a_world_that_is_away_is_waited_for(new_scene: Make, failure: MachineFailure, patience_s: float) -> None:
    scene = new_scene(1, bag_patience_s=50, retry_pause_s=1)
    scene.join("alice")
    asked: list[str] = []
    begun = scene.wall
    while "GiveBackBag" not in asked:
        asked += words(scene.give_up("alice", 0, failure=failure))
        asked += words(scene.after(10))
        assert scene.wall < begun + 300
    assert scene.wall - begun >= patience_s


def test_a_bad_archive_is_asked_for_again_and_then_counts_as_silence(new_scene: Make) -> None:
    scene = new_scene(1)
    scene.join("alice")
    scene.join("bob")
    scene.say("alice", 0)
    for _ in range(2):
        scene.show("alice", 0)
        assert words(scene.good(problem="it is not in storage")) == ["alice AskDigests 0"]
    scene.show("alice", 0)
    assert words(scene.good(problem="it is not in storage")) == ["bob GiveTasks 0"]


def test_what_is_said_twice_gets_the_same_receipt(new_scene: Make) -> None:
    scene = new_scene(1, trust=4)
    scene.join("alice")
    first = scene.say("alice", 0)
    again = scene.say("alice", 0, answer="something else")
    assert words(first) == words(again) == ["alice Receipts 0"]
    assert first == again


def test_what_was_not_given_does_not_count(new_scene: Make) -> None:
    scene = new_scene(2)
    scene.join("alice")
    assert words(scene.say("bob", 0)) == ["bob TakeBack 0"]
    assert words(scene.say("alice", 7)) == ["alice TakeBack 7"]
    assert not scene.kept.votes


def test_tasks_of_a_lost_worker_move_and_it_may_go_on(new_scene: Make) -> None:
    scene = new_scene(2)
    scene.join("alice", slots=2)
    scene.leave("alice")
    assert words(scene.join("bob", slots=2)) == ["bob GiveTasks 0 1"]
    scene.join("alice", slots=2)
    assert words(scene.hold("alice", 1, said=(0,))) == ["alice Receipts 0", "alice AskDigests 0", "bob TakeBack 0"]
    assert wallet("alice") in scene.machine.book.bags[DEAL].open[1].holders


def test_a_restart_forgets_no_word(new_scene: Make) -> None:
    scene = new_scene(3, trust=4)
    scene.join("alice", "bob", slots=3)
    scene.say("alice", 0, 1)
    scene.restart()
    assert "alice Receipts 0 1" not in words(scene.join("alice", "bob", slots=3))
    assert words(scene.hold("alice", 2, said=(0, 1))) == ["alice Receipts 0 1"]
    assert "bob AskDigests 0" in words(scene.hold("bob", 1, 2, said=(0,)))


def test_what_fails_goes_to_others_and_then_ends_with_its_reason(new_scene: Make) -> None:
    scene = new_scene(2, failures_max=2, retry_pause_s=1)
    scene.join("alice")
    scene.join("bob")
    scene.say("bob", 1)
    scene.show("bob", 1)
    scene.good()
    scene.give_up("alice", 0)
    scene.give_up("bob", 0)
    assert scene.kept.ended[0].reason == "2 attempts failed, the last with sandbox-broken: as the test wants"
    assert scene.kept.closing().done == 1


def test_a_deal_that_no_worker_can_do_is_given_back(new_scene: Make) -> None:
    scene = new_scene(100, retry_pause_s=1)
    scene.join("alice")
    assert words(scene.give_up("alice", 0, failure=MachineFailure.WRONG_HASH)) == ["GiveBackBag"]
    assert all("wrong-hash" in task.reason for task in scene.kept.ended.values())


def test_without_any_worker_the_deal_is_given_back_after_a_while(new_scene: Make) -> None:
    scene = new_scene(3, bag_patience_s=60)
    assert words(scene.after(59)) == []
    assert words(scene.after(2)) == ["GiveBackBag"]
    assert scene.kept.ended[0].reason == "no worker is connected that could do it"


def test_past_the_time_for_work_the_rest_ends_without_result(new_scene: Make, share: int) -> None:
    scene = new_scene(2, grace_s=10_000)
    scene.join("alice")
    scene.say("alice", 0)
    scene.show("alice", 0)
    scene.good()
    assert "PostBag" in words(scene.after(7 * 300))
    assert scene.kept.ended[1].reason.startswith("it had no result when the time for its work was over")
    assert scene.kept.earned == {wallet("alice"): NRLC(share)}


def test_a_refused_step_is_tried_again_later(new_scene: Make) -> None:
    scene = new_scene(1, bag_patience_s=1, step_pause_s=2)
    assert words(scene.after(1)) == ["GiveBackBag"]
    assert words(scene.refused(BagStep.GIVE_BACK, "too busy")) == []
    assert words(scene.after(1)) == []
    assert words(scene.after(1)) == ["GiveBackBag"]


def done(scene: Scene, volume: int) -> Scene:
    """Have alice do everything."""
    scene.join("alice", slots=volume)
    scene.say("alice", *range(volume))
    scene.show("alice", *range(volume))
    scene.good()
    return scene


def test_demands_are_answered_and_the_bag_settled_after_its_window(new_scene: Make) -> None:
    scene = done(new_scene(2), 2)
    assert words(scene.posted(window_s=5)) == []
    assert words(scene.tell(LeafDemanded(DEAL, 1, SOMEBODY, UnixSeconds(0)))) == ["AnswerDemand"]
    assert words(scene.after(6)) == [], "a demand is open"
    assert words(scene.tell(LeafAnswered(DEAL, 1))) == ["SettleBag"]
    assert words(scene.tell(BagSettled(DEAL, 2))) == ["alice BagOver"]
    assert scene.kept.record is not None
    assert (scene.kept.record.stage, scene.kept.record.is_over) == (BagStage.SETTLED, True)
    assert DEAL not in scene.machine.book.bags


@pytest.mark.parametrize(
    ("event", "stage"), [(BagSlashed(DEAL, SOMEBODY, 1, NRLC(1)), BagStage.PUNISHED), (BagClaimed(DEAL), BagStage.CLAIMED)]
)
def test_other_ends(new_scene: Make, event: BagSlashed | BagClaimed, stage: BagStage) -> None:
    scene = done(new_scene(2), 2)
    scene.posted()
    assert words(scene.tell(event)) == ["alice BagOver"]
    assert scene.kept.record is not None
    assert (scene.kept.record.stage, scene.kept.record.is_over) == (stage, True)


def test_slow_tasks_at_the_tail_go_to_another_worker_too(new_scene: Make) -> None:
    scene = new_scene(3)
    scene.join("alice")
    scene.join("bob")
    scene.wall += 1
    assert "alice GiveTasks 2" in words(scene.say("alice", 0))
    scene.wall += 1
    scene.say("alice", 2)
    assert "alice GiveTasks 1" in words(scene.after(10))
    assert "bob TakeBack 1" in words(scene.say("alice", 1))


def test_a_bag_that_fits_no_machine_is_given_back_in_seconds(new_scene: Make) -> None:
    scene = new_scene(3, params='{"voisin_window":"000005","voisin_limits":{"memory_bytes":2000000000}}')
    small = Resources(slots=1, memory_bytes=10**9, disk_bytes=10**12)
    assert words(scene.tell(WorkerJoined(worker=wallet("alice"), name="alice", slots=1, score=0, resources=small))) == []
    assert words(scene.after(1)) == []
    assert words(scene.after(2)) == ["GiveBackBag"]
    assert "2,000 MB of memory, and the machine offers 1,000 MB" in scene.kept.ended[0].reason
