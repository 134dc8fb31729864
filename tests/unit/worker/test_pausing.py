"""A worker that closes keeps what runs, hands back what waits, and never drops what is on the chain."""

from __future__ import annotations

import pytest

from tests.unit.worker.words import after, assign, replica, state, task
from voisin.protocol.wire import Failed
from voisin.protocol.wire_words import MachineFailure
from voisin.worker.vocabulary import EARLY, Command, Drop, Fetched, Limited, Phase, Run, Say

CLOSED = Limited(0, 1_000, "its owner has paused it")


def handed_back(commands: list[Command]) -> list[str]:
    return [
        command.message.task_id
        for command in commands
        if isinstance(command, Say) and isinstance(command.message, Failed) and command.message.failure is MachineFailure.PAUSED
    ]


@pytest.mark.parametrize("phase", list(Phase))
def test_what_becomes_of_each_phase(phase: Phase) -> None:
    is_kept = phase not in EARLY or phase in (Phase.RUNNING, Phase.STORING)
    end, commands = after(state(replica(phase)), CLOSED)
    assert (task(0) in end.replicas, handed_back(commands)) == (is_kept, [] if is_kept else [task(0)])
    assert [command for command in commands if isinstance(command, Drop)] == ([] if is_kept else [Drop(task(0))])


@pytest.mark.parametrize("phase", list(Phase))
def test_what_becomes_of_each_phase_when_it_is_urgent(phase: Phase) -> None:
    end, commands = after(state(replica(phase)), Limited(0, 1_000, "now", is_urgent=True))
    assert (task(0) in end.replicas, handed_back(commands)) == (phase not in EARLY, [task(0)] if phase in EARLY else [])


def test_nothing_is_taken_until_it_opens_again() -> None:
    end, commands = after(state(), CLOSED, assign(1))
    assert (dict(end.replicas), handed_back(commands)) == ({}, [task(1)])
    end, commands = after(end, Limited(2, 1_000), assign(1))
    assert (list(end.replicas), handed_back(commands)) == ([task(1)], [])


def test_fewer_slots_let_what_runs_go_on_and_start_nothing() -> None:
    start = state(replica(Phase.RUNNING, 0), replica(Phase.RUNNING, 1), replica(Phase.FETCHING, 2))
    end, commands = after(start, Limited(1, 1_000), Fetched(task(2)))
    assert not [command for command in commands if isinstance(command, Run)]
    assert end.replicas[task(2)].phase is Phase.QUEUED
    _, commands = after(end, Limited(3, 1_000))
    assert [command.replica.task_id for command in commands if isinstance(command, Run)] == [task(2)]
