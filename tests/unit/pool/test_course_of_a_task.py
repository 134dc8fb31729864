"""A task's good course, step by step: each fact brings exactly the commands that follow from it, once."""

from __future__ import annotations

from tests.unit.pool.conftest import CID, START, Scene, assigned, digest_of, foreign_task, hash_of, told, wallet
from voisin.pool.heart.commands import AssignReplica, CheckUpload, Finalize, Initialize, Tell
from voisin.pool.heart.facts import WorkerHeard
from voisin.protocol.events import TaskInitialized
from voisin.protocol.ids import ZERO_ADDRESS, as_address
from voisin.protocol.wire import AskReveal
from voisin.protocol.wire_words import ReplicaStage

CALLBACK = as_address("0x" + "ca" * 20)


def test_one_worker(scene: Scene) -> None:
    scene.join("alice")
    (task,) = scene.found(trust=1)
    deal_id = scene.machine.book.tasks[task].record.deal_id
    assert scene.log == [Initialize(deal_id, (0,), True)]

    started = scene.tell(TaskInitialized(task, ZERO_ADDRESS))
    assert started == [AssignReplica(wallet("alice"), deal_id, 0, task, START + 7 * 300)]

    assert scene.contribute("alice", task) == []
    (ask,) = scene.agree(task)
    assert ask == Tell(wallet("alice"), AskReveal(task_id=task, consensus=hash_of(task, "right"), reveal_deadline=START + 2 * 300))

    assert told(scene.reveal("alice", task)) == [("alice", "AskUpload")]
    (check,) = scene.upload("alice", task)
    assert check == CheckUpload(
        worker=wallet("alice"),
        task_id=task,
        cid=CID,
        callback_data="0x",
        digest=digest_of("right"),
        has_callback=False,
        is_encrypted=False,
    )

    (finalize,) = scene.checked("alice", task)
    assert finalize == Finalize(
        deal_id=deal_id,
        index=0,
        task_id=task,
        cid=CID,
        callback_data="0x",
        has_callback=False,
        contributors=1,
        is_certain=True,
    )
    assert told(scene.finalized(task)) == [("alice", "Release")]
    assert scene.phase(task) == "end"


def test_two_workers_both_reveal_before_the_task_is_finalised(scene: Scene) -> None:
    scene.join("alice")
    scene.join("bob")
    (task,) = scene.deal(trust=4)
    scene.contribute("alice", task)
    assert scene.contribute("bob", task) == []
    assert sorted(told(scene.agree(task))) == [("alice", "AskReveal"), ("bob", "AskReveal")]
    assert told(scene.reveal("bob", task)) == [("bob", "AskUpload")]
    scene.upload("bob", task)
    assert scene.checked("bob", task) == []
    (finalize,) = scene.reveal("alice", task)
    assert isinstance(finalize, Finalize)
    assert finalize.contributors == 2


def test_a_worker_still_computing_when_the_others_agree_is_stopped(scene: Scene) -> None:
    for name in ("alice", "bob"):
        scene.join(name)
    (task,) = scene.deal(trust=3)
    scene.contribute("alice", task)
    assert ("bob", "Abort") in told(scene.agree(task))
    assert scene.outcomes(task) == {"alice": "running", "bob": "aborted"}


def test_all_events_at_once_ask_for_nothing_that_is_past(scene: Scene) -> None:
    """A worker with its own authorisation may do all in one transaction."""
    scene.join("alice")
    (task,) = scene.deal(trust=1)
    book = scene.machine.book
    book.is_live = False
    scene.contribute("alice", task)
    scene.agree(task)
    scene.reveal("alice", task)
    book.is_live = True
    commands = scene.finalized(task)
    assert commands[-1:] == [c for c in commands if told([c]) == [("alice", "Release")]]
    assert not [c for c in commands if isinstance(c, Finalize)]


def test_facts_told_twice_change_nothing(scene: Scene) -> None:
    scene.join("alice")
    (task,) = scene.deal(trust=1)
    scene.contribute("alice", task)
    assert scene.contribute("alice", task, "another") == []
    scene.agree(task)
    assert scene.agree(task) == []
    scene.reveal("alice", task)
    assert scene.reveal("alice", task) == []
    scene.upload("alice", task)
    assert scene.upload("alice", task) == []
    scene.checked("alice", task)
    assert scene.checked("alice", task) == []
    scene.finalized(task)
    assert scene.finalized(task) == []
    assert scene.contribute("bob", task) == []


def test_facts_of_other_pools_change_nothing(scene: Scene) -> None:
    scene.join("alice")
    task = foreign_task()
    for commands in (
        scene.contribute("alice", task),
        scene.agree(task),
        scene.reveal("alice", task),
        scene.reopened(task),
        scene.finalized(task),
        scene.claimed(task),
        scene.upload("alice", task),
        scene.checked("alice", task),
    ):
        assert commands == []


def test_a_callback_deal_needs_the_agreed_callback_data(scene: Scene) -> None:
    scene.join("alice")
    (task,) = scene.deal(trust=1, callback=CALLBACK)
    scene.contribute("alice", task, "answer")
    scene.agree(task, "answer")
    scene.reveal("alice", task, "answer")
    assert not [c for c in scene.upload("alice", task, callback="0x1234") if isinstance(c, CheckUpload)]
    assert not [c for c in scene.upload("alice", task, callback="not hex") if isinstance(c, CheckUpload)]
    data = "0x" + b"answer".hex()
    (check,) = [c for c in scene.upload("alice", task, callback=data) if isinstance(c, CheckUpload)]
    assert check.has_callback
    (finalize,) = scene.checked("alice", task, callback=data)
    assert isinstance(finalize, Finalize)
    assert (finalize.callback_data, finalize.has_callback) == (data, True)


def test_callback_data_without_callback_are_left_out_because_the_hub_refuses_them(scene: Scene) -> None:
    scene.join("alice")
    (task,) = scene.deal(trust=1)
    scene.contribute("alice", task)
    scene.agree(task)
    scene.reveal("alice", task)
    (check,) = scene.upload("alice", task, callback="0x1234")
    assert isinstance(check, CheckUpload)
    assert check.callback_data == "0x"


def test_progress_frees_the_slot_when_the_result_is_computed(scene: Scene) -> None:
    scene.join("alice")
    first, _second = scene.deal(2, trust=1)
    assert scene.stage("alice", first, ReplicaStage.COMPUTING) == []
    assert assigned(scene.stage("alice", first, ReplicaStage.COMPUTED)) == [("alice", 1)]


def test_progress_never_goes_back_nor_claims_what_only_the_chain_knows(scene: Scene) -> None:
    scene.join("alice")
    (task,) = scene.deal(trust=1)
    scene.stage("alice", task, ReplicaStage.COMPUTED)
    scene.stage("alice", task, ReplicaStage.FETCHING)
    scene.stage("alice", task, ReplicaStage.CONTRIBUTED)
    assert scene.machine.book.tasks[task].replicas[wallet("alice")].stage == "computed"
    assert scene.phase(task) == "running"


def test_progress_of_a_task_that_the_worker_does_not_have_is_answered_with_release(scene: Scene) -> None:
    scene.join("alice")
    (task,) = scene.deal(trust=1)
    scene.join("bob")
    assert told(scene.stage("bob", task, ReplicaStage.COMPUTING)) == [("bob", "Release")]
    assert scene.tell(WorkerHeard(wallet("bob"))) == []


def test_the_story_tells_it_in_order(scene: Scene) -> None:
    scene.join("alice")
    (task,) = scene.deal(trust=1)
    scene.stage("alice", task, ReplicaStage.COMPUTING)
    scene.contribute("alice", task)
    scene.agree(task)
    scene.reveal("alice", task)
    story = [line.moment.what for line in scene.machine.book.tasks[task].story]
    assert story == [
        "the deal was made",
        "opened on the chain",
        "assigned",
        "computing",
        "contributed",
        "agreed",
        "revealed",
        "asked to upload",
    ]
