"""One worker uploads; when it cannot, the next one does; a bad upload is never taken."""

from __future__ import annotations

from tests.unit.pool.conftest import Scene, told, wallet
from voisin.pool.heart.commands import CheckUpload, Finalize
from voisin.protocol.wire_words import MachineFailure


def both_revealed(scene: Scene) -> str:
    """A task that alice and bob agreed on and revealed, alice first."""
    for name in ("alice", "bob"):
        scene.join(name)
    (task,) = scene.deal(trust=3)
    for name in ("alice", "bob"):
        scene.contribute(name, task)
    scene.agree(task)
    assert told(scene.reveal("alice", task)) == [("alice", "AskUpload")]
    assert scene.reveal("bob", task) == []
    return task


def test_after_two_minutes_the_next_is_asked(scene: Scene) -> None:
    both_revealed(scene)
    assert scene.after(119) == []
    assert told(scene.after(1)) == [("bob", "AskUpload")]
    assert scene.after(119) == []
    assert scene.after(1) == [], "alice was asked before: a pause first"
    assert told(scene.after(5)) == [("alice", "AskUpload")]


def test_an_uploader_that_leaves_is_replaced_at_once(scene: Scene) -> None:
    both_revealed(scene)
    assert told(scene.leave("alice")) == [("bob", "AskUpload")]


def test_an_uploader_that_gives_up_is_replaced_at_once(scene: Scene) -> None:
    task = both_revealed(scene)
    assert told(scene.fail("alice", task, MachineFailure.STORAGE_UNREACHABLE, "503")) == [("bob", "AskUpload")]
    assert scene.outcomes(task) == {"alice": "running", "bob": "running"}


def test_a_bad_upload_is_not_taken(scene: Scene) -> None:
    task = both_revealed(scene)
    scene.upload("alice", task)
    commands = scene.checked("alice", task, problem="it is not in storage")
    assert told(commands) == [("bob", "AskUpload")]
    assert not [c for c in commands if isinstance(c, Finalize)]
    scene.upload("bob", task)
    assert [type(c) for c in scene.checked("bob", task)] == [Finalize]


def test_a_late_upload_of_a_replaced_uploader_is_taken_when_it_is_good(scene: Scene) -> None:
    task = both_revealed(scene)
    scene.after(120)
    scene.upload("alice", task)
    assert [type(c) for c in scene.checked("alice", task)] == [Finalize]
    assert scene.upload("bob", task) == []


def test_a_worker_that_did_not_win_cannot_upload(scene: Scene) -> None:
    for name in ("alice", "bob", "carol"):
        scene.join(name)
    (task,) = scene.deal(trust=3)
    scene.contribute("carol", task, "wrong")
    scene.contribute("alice", task)
    scene.contribute("bob", task)
    scene.agree(task)
    scene.reveal("alice", task)
    assert scene.upload("carol", task) == []
    assert scene.upload("dave", task) == []


def test_an_upload_told_before_its_reveal_was_read_is_looked_at_then(scene: Scene) -> None:
    scene.join("alice")
    (task,) = scene.deal()
    scene.contribute("alice", task)
    scene.agree(task)
    assert scene.upload("alice", task) == []
    assert [type(c) for c in scene.reveal("alice", task)] == [CheckUpload], "nobody is asked for what is there"
    assert [type(c) for c in scene.checked("alice", task)] == [Finalize]


def test_an_upload_of_another_worker_does_not_count_for_the_one_that_revealed(scene: Scene) -> None:
    for name in ("alice", "bob"):
        scene.join(name)
    (task,) = scene.deal(trust=3)
    for name in ("alice", "bob"):
        scene.contribute(name, task)
    scene.agree(task)
    assert scene.upload("bob", task) == []
    assert told(scene.reveal("alice", task)) == [("alice", "AskUpload")]


def test_all_who_revealed_are_away_and_one_comes_back(scene: Scene) -> None:
    task = both_revealed(scene)
    scene.leave("alice")
    scene.leave("bob")
    assert scene.after(300) == []
    assert ("bob", "AskUpload") in told(scene.join("bob", holding={task: "revealed"}) + scene.after(60))


def test_nobody_uploads_and_the_task_fails_with_that_cause(scene: Scene) -> None:
    task = both_revealed(scene)
    scene.upload("alice", task)
    scene.checked("alice", task, problem="it is not in storage")
    scene.after(3000)
    assert scene.phase(task) == "failed"
    assert scene.machine.book.tasks[task].record.reason.startswith("no worker uploaded the agreed result")
    assert scene.machine.book.tasks[task].replicas[wallet("bob")].outcome == "running"
