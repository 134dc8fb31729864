"""No more runs than slots and memory allow, and no more tasks than can be worked on."""

from __future__ import annotations

from tests.unit.worker.words import DIGEST, after, assign, kinds, replica, state, task
from voisin.protocol.wire import Failed
from voisin.protocol.wire_words import MachineFailure
from voisin.units import NRLC, UnixSeconds
from voisin.worker.vocabulary import Approved, Check, Computed, Drop, Fetched, GaveUp, Phase, Run, Save, Say, Stopping


def test_a_new_task_is_written_down_before_it_is_checked() -> None:
    end, commands = after(state(), assign(0))
    assert kinds(commands) == ["Save", "Tell", "Check"]
    assert commands[0] == Save(end.replicas[task(0)])
    assert commands[2] == Check(end.replicas[task(0)])
    assert end.replicas[task(0)].phase is Phase.CHECKING


def test_a_flood_of_tasks_is_refused_beyond_twice_the_slots() -> None:
    end, commands = after(state(slots=2), *(assign(number) for number in range(10)))
    assert list(end.replicas) == [task(number) for number in range(4)]
    refused = [command.message for command in commands if isinstance(command, Say)]
    assert [(message.task_id, message.failure) for message in refused if isinstance(message, Failed)] == [
        (task(number), MachineFailure.NO_RESOURCES) for number in range(4, 10)
    ]


def test_contributed_tasks_take_no_slot() -> None:
    late = [replica(Phase.CONTRIBUTED, number) for number in range(10, 20)]
    end, _ = after(state(*late, slots=1), assign(0), Approved(task(0), 10, NRLC(0), UnixSeconds(9)), Fetched(task(0)))
    assert end.replicas[task(0)].phase is Phase.RUNNING


def fetched(*numbers: int, slots: int, memory_bytes: int) -> tuple[list[int], object]:
    waiting = [replica(Phase.FETCHING, number, memory_bytes=400) for number in numbers]
    end, commands = after(state(*waiting, slots=slots, memory_bytes=memory_bytes), *(Fetched(task(number)) for number in numbers))
    return [command.replica.index for command in commands if isinstance(command, Run)], end


def test_runs_start_in_order_until_the_slots_are_full() -> None:
    assert fetched(3, 1, 2, slots=2, memory_bytes=10_000)[0] == [3, 1]


def test_runs_start_until_the_memory_is_full() -> None:
    assert fetched(0, 1, 2, slots=3, memory_bytes=1_000)[0] == [0, 1]


def test_a_small_task_does_not_overtake_a_large_one_for_ever() -> None:
    start = state(
        replica(Phase.RUNNING, 0, memory_bytes=700),
        replica(Phase.QUEUED, 1, memory_bytes=600),
        replica(Phase.QUEUED, 2, memory_bytes=100),
        slots=3,
    )
    end, commands = after(start, Fetched(task(9)))
    assert commands == []
    end, commands = after(end, Computed(task(0), DIGEST, "0x"))
    assert [command.replica.index for command in commands if isinstance(command, Run)] == [1, 2]


def test_the_next_run_starts_when_one_ends_badly() -> None:
    start = state(replica(Phase.RUNNING, 0), replica(Phase.QUEUED, 1), slots=1)
    _, commands = after(start, GaveUp(task(0), MachineFailure.SANDBOX_BROKEN, "it broke"))
    assert kinds(commands) == ["Say", "Drop", "Tell", "Tell", "Say", "Run"]


def test_stopping_gives_back_what_has_nothing_at_stake() -> None:
    start = state(*(replica(phase, number) for number, phase in enumerate(Phase)), slots=1)
    end, commands = after(start, Stopping())
    early = [0, 1, 2, 3, 4]
    assert [command.task_id for command in commands if isinstance(command, Drop)] == [task(number) for number in early]
    said = [command.message for command in commands if isinstance(command, Say)]
    assert [message.failure for message in said if isinstance(message, Failed)] == [MachineFailure.SHUTTING_DOWN] * 5
    assert len(end.replicas) == len(Phase) - 5
