"""Whatever happens in whatever order, stake is not lost by the worker's own doing, and limits hold."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.worker.words import DIGEST, assign, committed, seen, state, task
from voisin.protocol.ids import Hash32
from voisin.protocol.records import ContributionStatus, TaskStatus
from voisin.protocol.wire_words import MachineFailure
from voisin.units import NRLC, UnixSeconds
from voisin.worker.machine import step
from voisin.worker.vocabulary import (
    EARLY,
    Aborted,
    Approved,
    Claimed,
    ClaimFailed,
    Computed,
    Contribute,
    Contributed,
    Drop,
    Event,
    Fetched,
    GaveUp,
    Joined,
    Observed,
    Phase,
    Released,
    Replica,
    Restored,
    Reveal,
    RevealAsked,
    Revealed,
    RevealMissed,
    Run,
    Save,
    Stored,
    Upload,
    UploadAsked,
    UploadFailed,
    Vanished,
)

TASKS = st.integers(0, 4)
OTHER = Hash32("0x" + "77" * 32)


@st.composite
def observations(draw: st.DrawFn) -> Observed:
    number = draw(TASKS)
    hashes = st.sampled_from([committed(task(number)), OTHER])
    return seen(
        number,
        status=draw(st.sampled_from([TaskStatus.ACTIVE, TaskStatus.REVEALING, TaskStatus.COMPLETED, TaskStatus.FAILED])),
        consensus=draw(hashes),
        own=draw(st.sampled_from(ContributionStatus)),
        own_hash=draw(hashes),
        now=UnixSeconds(draw(st.sampled_from([1_000, 3_500, 5_000]))),
    )


EVENTS: st.SearchStrategy[Event] = st.one_of(
    observations(),
    TASKS.map(lambda number: assign(number, is_direct=number % 2 == 1)),
    TASKS.map(lambda number: Approved(task(number), 300, NRLC(5), UnixSeconds(4_000))),
    TASKS.map(lambda number: Fetched(task(number))),
    TASKS.map(lambda number: Computed(task(number), DIGEST, "0x")),
    TASKS.map(lambda number: GaveUp(task(number), MachineFailure.CHAIN_REFUSED, "no")),
    TASKS.map(lambda number: Contributed(task(number))),
    TASKS.map(lambda number: Revealed(task(number))),
    TASKS.map(lambda number: RevealMissed(task(number), "no")),
    TASKS.map(lambda number: Stored(task(number), "bafy")),
    TASKS.map(lambda number: UploadFailed(task(number), "no")),
    TASKS.map(lambda number: Claimed(task(number))),
    TASKS.map(lambda number: ClaimFailed(task(number), "no")),
    TASKS.map(lambda number: RevealAsked(task(number))),
    TASKS.map(lambda number: UploadAsked(task(number))),
    TASKS.map(lambda number: Aborted(task(number), "no")),
    TASKS.map(lambda number: Released(task(number))),
    TASKS.map(lambda number: Vanished(task(number), UnixSeconds(3_999))),
    st.just(Joined()),
)


def may_end(replica: Replica, event: Event) -> bool:
    """Whether a replica may be dropped now."""
    if replica.phase in EARLY:
        return True
    if isinstance(event, GaveUp):
        return replica.phase is Phase.CONTRIBUTING and not replica.is_committed
    is_over = isinstance(event, Observed) and event.status in (TaskStatus.COMPLETED, TaskStatus.FAILED)
    return is_over or isinstance(event, Claimed)


@given(st.lists(EVENTS, max_size=60))
def test_nothing_at_stake_is_lost(events: list[Event]) -> None:
    now = state(slots=2, memory_bytes=700)
    for event in events:
        before = now
        now, commands = step(now, event)
        saved: set[Replica] = set()
        for command in commands:
            match command:
                case Save(replica):
                    saved.add(replica)
                case Drop(task_id):
                    assert may_end(before.replicas[task_id], event)
                    assert task_id not in now.replicas
                case Contribute(replica):
                    assert replica in saved, "a result goes to the chain only after it is on the disk"
                    assert replica.digest is not None
                    assert replica.cid or not replica.is_direct, "a task that is finished at once has its result in storage before"
                case Reveal(replica):
                    assert isinstance(event, Observed)
                    assert event.status is TaskStatus.REVEALING
                    assert event.consensus == event.own_hash == committed(replica.task_id)
                case Upload(replica) if replica.phase is Phase.STORING:
                    assert replica.is_direct
                    assert isinstance(event, Computed)
                case Upload(replica):
                    assert before.replicas[replica.task_id].phase in (Phase.REVEALED, Phase.REVEALING, Phase.CONTRIBUTED)
                    assert isinstance(event, UploadAsked | Revealed) or (
                        isinstance(event, Observed) and event.own is ContributionStatus.PROVED
                    )
        running = now.in_phase(Phase.RUNNING)
        assert len(running) <= 2
        assert sum(replica.memory_bytes for replica in running) <= 700
        assert all(replica.digest is not None for replica in now.replicas.values() if replica.phase not in EARLY)


@given(st.lists(EVENTS, max_size=40))
def test_a_restart_at_any_time_keeps_what_is_at_stake(events: list[Event]) -> None:
    """Only what was saved comes back, as after SIGKILL."""
    now = state(slots=2, memory_bytes=700)
    disk: dict[str, Replica] = {}
    for event in events:
        now, commands = step(now, event)
        for command in commands:
            if isinstance(command, Save):
                disk[command.replica.task_id] = command.replica
            elif isinstance(command, Drop):
                disk.pop(command.task_id, None)
    back, commands = step(state(slots=2, memory_bytes=700), Restored(tuple(disk.values())))
    assert set(back.replicas) == set(now.replicas)
    for task_id, replica in now.replicas.items():
        assert (back.replicas[task_id].phase in EARLY) == (replica.phase in EARLY)
        assert back.replicas[task_id].digest == (replica.digest if replica.phase not in EARLY else None)
        assert back.replicas[task_id].is_committed == (replica.phase not in EARLY)
    assert len(commands) == len(disk)
    assert not any(isinstance(command, Run | Drop) for command in commands)
