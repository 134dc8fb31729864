"""What is known of a task while it runs: stages only grow, repeated events change nothing, and nobody waits for ever."""

from __future__ import annotations

import anyio
import pytest

from tests.unit.client import stories as s
from voisin.client.watch import Stage, Watched
from voisin.errors import UnavailableError
from voisin.protocol.events import (
    ConsensusReached,
    TaskClaimed,
    TaskContributed,
    TaskFinalized,
    TaskInitialized,
    TaskReopened,
    TaskRevealed,
)

pytestmark = pytest.mark.anyio

LIFE = [
    (TaskInitialized(s.TASK_0, s.POOL), Stage.STARTED),
    (TaskContributed(s.TASK_0, s.WORKER_A, s.GOOD), Stage.ANSWERED),
    (TaskContributed(s.TASK_0, s.WORKER_B, s.GOOD), Stage.ANSWERED),
    (ConsensusReached(s.TASK_0, s.GOOD), Stage.AGREED),
    (TaskRevealed(s.TASK_0, s.WORKER_A, s.GOOD), Stage.SHOWN),
    (TaskFinalized(s.TASK_0, b""), Stage.COMPLETED),
]


async def test_a_life_in_order() -> None:
    watched = Watched()
    for event, stage in LIFE:
        watched.apply(event)
        assert watched.stage is stage
        assert watched.is_settled == stage.is_final
    assert (watched.contributors, watched.provers) == ([s.WORKER_A, s.WORKER_B], [s.WORKER_A])


async def test_events_seen_twice_change_nothing() -> None:
    watched = Watched()
    for event, _ in LIFE * 2:
        watched.apply(event)
    assert (watched.stage, watched.contributors, watched.provers) == (Stage.COMPLETED, [s.WORKER_A, s.WORKER_B], [s.WORKER_A])


async def test_a_reopened_task_starts_again_but_a_finished_one_does_not() -> None:
    watched = Watched()
    for event, _ in LIFE[:4]:
        watched.apply(event)
    watched.apply(TaskReopened(s.TASK_0))
    assert watched.stage is Stage.STARTED
    watched.apply(TaskFinalized(s.TASK_0, b""))
    watched.apply(TaskReopened(s.TASK_0))
    assert watched.stage is Stage.COMPLETED


async def test_a_claimed_task_has_failed() -> None:
    watched = Watched()
    watched.apply(TaskClaimed(s.TASK_0))
    with anyio.fail_after(120):
        assert await watched.final() is Stage.FAILED


async def test_who_waits_is_told_when_nothing_more_will_be_heard() -> None:
    watched, done = Watched(), Watched()
    done.apply(TaskFinalized(s.TASK_0, b""))
    for each in (watched, done):
        each.give_up(UnavailableError("the node is gone"))
    with anyio.fail_after(120):
        assert await done.final() is Stage.COMPLETED
        with pytest.raises(UnavailableError, match="the node is gone"):
            await watched.final()
