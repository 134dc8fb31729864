"""Reports name the stage the replica is really in, and are said again after every reconnect and restart."""

from __future__ import annotations

import pytest

from tests.unit.worker.words import DIGEST, after, replica, seen, state, task
from voisin.protocol.records import ContributionStatus, TaskStatus
from voisin.protocol.wire import Failed, Progress, Uploaded
from voisin.protocol.wire_words import MachineFailure, ReplicaStage
from voisin.units import NRLC, UnixSeconds
from voisin.worker.vocabulary import (
    Approved,
    Computed,
    Contributed,
    Fetched,
    GaveUp,
    Joined,
    Look,
    Phase,
    Restored,
    Revealed,
    RevealMissed,
    Say,
    Settled,
    Stored,
    Tell,
    UploadAsked,
    UploadFailed,
)

T = task(0)


def said(commands: list[object]) -> list[object]:
    return [command.message for command in commands if isinstance(command, Say)]


def test_a_good_life_is_told_stage_by_stage() -> None:
    life = [
        Approved(T, 100, NRLC(7), UnixSeconds(9)),
        Fetched(T),
        Computed(T, DIGEST, "0x00ff"),
        Contributed(T),
        seen(),
        Revealed(T),
        UploadAsked(T),
        Stored(T, "bafy"),
    ]
    end, commands = after(state(replica(Phase.CHECKING)), *life)
    stages = [ReplicaStage.FETCHING, ReplicaStage.COMPUTING, ReplicaStage.COMPUTED, ReplicaStage.CONTRIBUTED, ReplicaStage.REVEALED]
    assert said(commands) == [
        *(Progress(task_id=T, stage=stage) for stage in stages),
        Uploaded(task_id=T, cid="bafy", callback_data="0x00ff"),
    ]
    last = end.replicas[T]
    assert (last.memory_bytes, last.worker_stake, last.digest, last.cid) == (100, 7, DIGEST, "bafy")


def test_a_result_that_was_wanted_early_is_uploaded_once_it_is_revealed() -> None:
    end, commands = after(state(replica(Phase.CONTRIBUTED)), UploadAsked(T), seen(), Revealed(T))
    assert end.replicas[T].phase is Phase.UPLOADING
    assert [type(command).__name__ for command in commands if type(command).__name__ in ("Reveal", "Upload")] == ["Reveal", "Upload"]


def test_a_contribution_that_settles_the_task_is_revealed_without_another_look() -> None:
    for is_alone in (True, False):
        computed = replica(Phase.CONTRIBUTING, is_alone=is_alone)
        end, commands = after(state(computed), Contributed(T, is_agreed=True))
        assert end.replicas[T].phase is Phase.REVEALING
        assert end.replicas[T].is_committed
        assert end.replicas[T].is_upload_wanted is is_alone, "of several winners the pool asks one"
        assert not [command for command in commands if isinstance(command, Look)]


def test_a_result_that_was_stored_beside_its_reveal_is_told_at_once() -> None:
    end, commands = after(state(replica(Phase.REVEALING, is_upload_wanted=True)), Revealed(T, cid="bafy"))
    assert end.replicas[T].phase is Phase.UPLOADED
    assert said(commands) == [
        Progress(task_id=T, stage=ReplicaStage.REVEALED),
        Uploaded(task_id=T, cid="bafy", callback_data="0x"),
    ]
    assert "Upload" not in [type(command).__name__ for command in commands]


def test_nothing_is_uploaded_before_it_is_revealed() -> None:
    for phase in (Phase.CHECKING, Phase.FETCHING, Phase.RUNNING, Phase.CONTRIBUTING, Phase.CONTRIBUTED, Phase.REVEALING):
        _, commands = after(state(replica(phase)), UploadAsked(T), UploadAsked(T))
        assert "Upload" not in [type(command).__name__ for command in commands]


def test_a_failed_upload_is_told_and_can_be_asked_again() -> None:
    end, commands = after(state(replica(Phase.UPLOADING)), UploadFailed(T, "full"))
    assert Failed(task_id=T, failure=MachineFailure.STORAGE_UNREACHABLE, detail="full") in said(commands)
    assert after(end, UploadAsked(T))[0].replicas[T].phase is Phase.UPLOADING


@pytest.mark.parametrize(
    ("phase", "stage"),
    [
        (Phase.CHECKING, ReplicaStage.ASSIGNED),
        (Phase.FETCHING, ReplicaStage.FETCHING),
        (Phase.RUNNING, ReplicaStage.COMPUTING),
        (Phase.CONTRIBUTING, ReplicaStage.COMPUTED),
        (Phase.CONTRIBUTED, ReplicaStage.CONTRIBUTED),
        (Phase.REVEALING, ReplicaStage.CONTRIBUTED),
        (Phase.REVEALED, ReplicaStage.REVEALED),
        (Phase.UPLOADING, ReplicaStage.REVEALED),
    ],
)
def test_after_a_reconnect_every_replica_is_reported(phase: Phase, stage: ReplicaStage) -> None:
    assert said(after(state(replica(phase)), Joined())[1]) == [Progress(task_id=T, stage=stage)]


def test_after_a_reconnect_an_uploaded_result_is_reported_with_its_place() -> None:
    assert said(after(state(replica(Phase.UPLOADED)), Joined())[1]) == [Uploaded(task_id=T, cid="bafy")]


@pytest.mark.parametrize(
    ("phase", "goes_on_in", "with_what"),
    [
        (Phase.CHECKING, Phase.CHECKING, "Check"),
        (Phase.FETCHING, Phase.CHECKING, "Check"),
        (Phase.QUEUED, Phase.CHECKING, "Check"),
        (Phase.RUNNING, Phase.CHECKING, "Check"),
        (Phase.CONTRIBUTING, Phase.CONTRIBUTING, "Contribute"),
        (Phase.CONTRIBUTED, Phase.CONTRIBUTED, "Look"),
        (Phase.REVEALING, Phase.CONTRIBUTED, "Look"),
        (Phase.REVEALED, Phase.REVEALED, "Look"),
        (Phase.UPLOADING, Phase.UPLOADING, "Upload"),
        (Phase.UPLOADED, Phase.UPLOADED, "Look"),
        (Phase.CLAIMING, Phase.CONTRIBUTED, "Look"),
    ],
)
def test_a_restart_goes_on_where_the_chain_can_tell(phase: Phase, goes_on_in: Phase, with_what: str) -> None:
    end, commands = after(state(), Restored((replica(phase),)))
    assert end.replicas[T].phase is goes_on_in
    assert [type(command).__name__ for command in commands] == [with_what]


def test_a_contribution_that_may_be_on_its_way_is_never_dropped() -> None:
    """A worker that was killed while it contributed does not know whether the transaction went out."""
    end, _ = after(state(), Restored((replica(Phase.CONTRIBUTING),)))
    end, commands = after(end, GaveUp(T, MachineFailure.CHAIN_REFUSED, "no"))
    assert end.replicas[T].phase is Phase.CONTRIBUTED
    assert "Drop" not in [type(command).__name__ for command in commands]


def test_a_missed_reveal_is_looked_at_again_and_not_hammered() -> None:
    end, commands = after(state(replica(Phase.REVEALING)), RevealMissed(T, "no"))
    assert not [command for command in commands if isinstance(command, Look)]
    assert after(end, seen())[0].replicas[T].phase is Phase.REVEALING


@pytest.mark.parametrize(
    ("status", "own", "outcome"),
    [
        (TaskStatus.COMPLETED, ContributionStatus.PROVED, "paid"),
        (TaskStatus.COMPLETED, ContributionStatus.CONTRIBUTED, "slashed"),
        (TaskStatus.COMPLETED, ContributionStatus.REJECTED, "slashed"),
        (TaskStatus.COMPLETED, ContributionStatus.UNSET, "refunded"),
        (TaskStatus.FAILED, ContributionStatus.CONTRIBUTED, "refunded"),
        (TaskStatus.FAILED, ContributionStatus.PROVED, "refunded"),
    ],
)
def test_the_end_is_named(status: TaskStatus, own: ContributionStatus, outcome: str) -> None:
    _, commands = after(state(replica(Phase.CONTRIBUTED)), seen(status=status, own=own))
    assert commands[1] == Tell(Settled(T, outcome))
