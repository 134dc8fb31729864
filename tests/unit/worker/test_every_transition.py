"""What each event does in each phase, written down a second time by hand; every pair that is not listed does nothing."""

from __future__ import annotations

from itertools import product

import pytest

from tests.unit.worker.words import ACTIVE, DIGEST, after, assign, kinds, replica, seen, state, task
from voisin.protocol.records import ContributionStatus, TaskStatus
from voisin.protocol.wire_words import MachineFailure
from voisin.units import NRLC, UnixSeconds
from voisin.worker.machine import step
from voisin.worker.vocabulary import (
    Aborted,
    Approved,
    Claimed,
    ClaimFailed,
    Computed,
    Contributed,
    Fetched,
    GaveUp,
    Phase,
    Released,
    RevealAsked,
    Revealed,
    RevealMissed,
    Stored,
    TaskEvent,
    UploadAsked,
    UploadFailed,
    Vanished,
)

T = task(0)
EVENTS: dict[str, TaskEvent] = {
    "assigned": assign(0),
    "approved": Approved(T, 100, NRLC(5), UnixSeconds(4_000)),
    "fetched": Fetched(T),
    "computed": Computed(T, DIGEST, "0x"),
    "gave up": GaveUp(T, MachineFailure.NO_RESOURCES, "no room"),
    "contributed": Contributed(T),
    "revealed": Revealed(T),
    "reveal missed": RevealMissed(T, "too late"),
    "stored": Stored(T, "bafy"),
    "upload failed": UploadFailed(T, "no storage"),
    "claimed": Claimed(T),
    "claim failed": ClaimFailed(T, "too early"),
    "reveal asked": RevealAsked(T),
    "upload asked": UploadAsked(T),
    "aborted": Aborted(T, "enough others"),
    "released": Released(T),
    "agreed": seen(),
    "open": seen(**ACTIVE),
    "open, forgotten": seen(**ACTIVE, own=ContributionStatus.UNSET),
    "agreed, forgotten": seen(own=ContributionStatus.UNSET),
    "agreed on another": seen(consensus="0x" + "77" * 32),
    "agreed, other own": seen(own_hash="0x" + "77" * 32),
    "agreed, too late": seen(now=UnixSeconds(3_000)),
    "proved": seen(own=ContributionStatus.PROVED),
    "rejected": seen(**ACTIVE, own=ContributionStatus.REJECTED),
    "overdue": seen(now=UnixSeconds(4_000)),
    "completed": seen(status=TaskStatus.COMPLETED, own=ContributionStatus.PROVED),
    "failed": seen(status=TaskStatus.FAILED),
    "vanished": Vanished(T, UnixSeconds(3_999)),
    "vanished for good": Vanished(T, UnixSeconds(4_000)),
}
GONE = None

# (phase, event) -> (next phase, commands)
EXPECTED: dict[tuple[str, str], tuple[str | None, list[str]]] = {
    ("checking", "assigned"): ("checking", ["Say"]),
    ("checking", "approved"): ("fetching", ["Tell", "Say", "Fetch"]),
    ("checking", "gave up"): (GONE, ["Say", "Drop", "Tell"]),
    ("checking", "aborted"): (GONE, ["Drop"]),
    ("checking", "released"): (GONE, ["Drop"]),
    ("fetching", "assigned"): ("fetching", ["Say"]),
    ("fetching", "fetched"): ("running", ["Tell", "Tell", "Say", "Run"]),
    ("fetching", "gave up"): (GONE, ["Say", "Drop", "Tell"]),
    ("fetching", "aborted"): (GONE, ["Drop"]),
    ("fetching", "released"): (GONE, ["Drop"]),
    ("running", "assigned"): ("running", ["Say"]),
    ("running", "computed"): ("contributing", ["Save", "Tell", "Say", "Contribute"]),
    ("running", "gave up"): (GONE, ["Say", "Drop", "Tell"]),
    ("running", "aborted"): (GONE, ["Drop"]),
    ("running", "released"): (GONE, ["Drop"]),
    ("storing", "assigned"): ("storing", ["Say"]),
    ("storing", "stored"): ("contributing", ["Save", "Tell", "Contribute"]),
    ("storing", "upload failed"): (GONE, ["Say", "Drop", "Tell"]),
    ("storing", "aborted"): (GONE, ["Drop"]),
    ("storing", "released"): (GONE, ["Drop"]),
    ("contributing", "assigned"): ("contributing", ["Say"]),
    ("contributing", "contributed"): ("contributed", ["Save", "Tell", "Say", "Look"]),
    ("contributing", "gave up"): (GONE, ["Say", "Drop", "Tell"]),
    ("contributed", "assigned"): ("contributed", ["Say"]),
    ("contributed", "reveal asked"): ("contributed", ["Look"]),
    ("contributed", "upload asked"): ("contributed", ["Save", "Look"]),
    ("contributed", "aborted"): ("contributed", ["Look"]),
    ("contributed", "released"): ("contributed", ["Look"]),
    ("contributed", "agreed"): ("revealing", ["Save", "Tell", "Reveal"]),
    ("contributed", "open, forgotten"): ("contributing", ["Save", "Tell", "Say", "Contribute"]),
    ("contributed", "proved"): ("revealed", ["Save", "Tell", "Say"]),
    ("contributed", "overdue"): ("claiming", ["Save", "Tell", "Claim"]),
    ("contributed", "completed"): (GONE, ["Drop", "Tell"]),
    ("contributed", "failed"): (GONE, ["Drop", "Tell"]),
    ("revealing", "assigned"): ("revealing", ["Say"]),
    ("revealing", "revealed"): ("revealed", ["Save", "Tell", "Say"]),
    ("revealing", "reveal missed"): ("contributed", ["Save", "Tell"]),
    ("revealing", "upload asked"): ("revealing", ["Save", "Look"]),
    ("revealed", "assigned"): ("revealed", ["Say"]),
    ("revealed", "upload asked"): ("uploading", ["Save", "Tell", "Upload"]),
    ("revealed", "reveal asked"): ("revealed", ["Look"]),
    ("revealed", "aborted"): ("revealed", ["Look"]),
    ("revealed", "released"): ("revealed", ["Look"]),
    ("revealed", "agreed"): ("revealing", ["Save", "Tell", "Say", "Reveal"]),
    ("revealed", "overdue"): ("claiming", ["Save", "Tell", "Say", "Claim"]),
    ("revealed", "completed"): (GONE, ["Drop", "Tell"]),
    ("revealed", "failed"): (GONE, ["Drop", "Tell"]),
    ("uploading", "assigned"): ("uploading", ["Say"]),
    ("uploading", "stored"): ("uploaded", ["Save", "Tell", "Say"]),
    ("uploading", "upload failed"): ("revealed", ["Save", "Tell", "Say", "Tell"]),
    ("uploading", "reveal asked"): ("uploading", ["Look"]),
    ("uploading", "aborted"): ("uploading", ["Look"]),
    ("uploading", "released"): ("uploading", ["Look"]),
    ("uploading", "completed"): (GONE, ["Drop", "Tell"]),
    ("uploading", "failed"): (GONE, ["Drop", "Tell"]),
    ("uploaded", "assigned"): ("uploaded", ["Say"]),
    ("uploaded", "upload asked"): ("uploaded", ["Say"]),
    ("uploaded", "reveal asked"): ("uploaded", ["Look"]),
    ("uploaded", "aborted"): ("uploaded", ["Look"]),
    ("uploaded", "released"): ("uploaded", ["Look"]),
    ("uploaded", "agreed"): ("revealing", ["Save", "Tell", "Say", "Reveal"]),
    ("uploaded", "overdue"): ("claiming", ["Save", "Tell", "Say", "Claim"]),
    ("uploaded", "completed"): (GONE, ["Drop", "Tell"]),
    ("uploaded", "failed"): (GONE, ["Drop", "Tell"]),
    ("contributed", "vanished for good"): (GONE, ["Drop", "Tell"]),
    ("revealed", "vanished for good"): (GONE, ["Drop", "Tell"]),
    ("uploading", "vanished for good"): (GONE, ["Drop", "Tell"]),
    ("uploaded", "vanished for good"): (GONE, ["Drop", "Tell"]),
    ("claiming", "assigned"): ("claiming", ["Say"]),
    ("claiming", "claimed"): (GONE, ["Drop", "Tell"]),
    ("claiming", "claim failed"): ("contributed", ["Save", "Tell"]),
}
PHASES = [phase for phase in Phase if phase is not Phase.QUEUED]


@pytest.mark.parametrize(("phase", "event"), list(product(PHASES, EVENTS)))
def test_transition(phase: Phase, event: str) -> None:
    start = state(replica(phase))
    end, commands = after(start, EVENTS[event])
    expected_phase, expected_commands = EXPECTED.get((phase.value, event), (phase.value, []))
    assert (end.replicas[T].phase if T in end.replicas else GONE) == expected_phase
    assert kinds(commands) == expected_commands


@pytest.mark.parametrize("event", EVENTS)
def test_a_queued_replica_only_waits_or_goes(event: str) -> None:
    full = state(replica(Phase.RUNNING, 1), replica(Phase.QUEUED, 0), slots=1)
    end, commands = after(full, EVENTS[event])
    expected = {"assigned": ["Say"], "aborted": ["Drop"], "released": ["Drop"]}.get(event, [])
    assert kinds(commands) == expected
    assert (T in end.replicas) == ("Drop" not in expected)


@pytest.mark.parametrize("event", [event for event in EVENTS if event != "assigned"])
def test_an_unknown_task_is_ignored(event: str) -> None:
    assert after(state(), EVENTS[event]) == (state(), [])


@pytest.mark.parametrize(("winners", "then"), [(1, Phase.UPLOADING), (2, Phase.REVEALED)])
def test_a_result_that_nobody_else_could_upload_is_not_waited_to_be_asked_for(winners: int, then: Phase) -> None:
    revealing, _ = step(state(replica(Phase.CONTRIBUTED)), seen(winners=winners))
    assert revealing.replicas[T].phase is Phase.REVEALING
    revealed, _ = step(revealing, Revealed(T))
    assert revealed.replicas[T].phase is then
