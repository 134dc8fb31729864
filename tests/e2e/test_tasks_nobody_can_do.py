"""What no machine can do is refunded within seconds with the reason; what one can do never goes to another."""

from __future__ import annotations

import time
from pathlib import Path

import anyio
import pytest

from tests.e2e.test_fresh_machine import Machine
from voisin.box.service import open_box
from voisin.box.settings import BoxSettings
from voisin.client import connect_async
from voisin.errors import StateError
from voisin.protocol.params import RunLimits

pytestmark = pytest.mark.anyio
APP = Path(__file__).parents[2] / "apps" / "noop"
GIB = 1 << 30
REFUND_S = 5.0
"""How long a task that nobody can do may hold its requester's money [s]."""
PATIENCE_S = 120


async def test_a_task_too_large_for_every_machine(tmp_path: Path) -> None:
    home = tmp_path / "box"
    async with open_box(BoxSettings(home=home, workers=2, worker_memory_bytes=GIB, port=0)), connect_async(home) as cloud:
        await cloud.run(APP, replicas=1)
        for count in (1, 3):
            before = await cloud.balances()
            job = await cloud.start(await cloud.quote(APP, [()] * count, replicas=1, limits=RunLimits(memory_bytes=2 * GIB)))
            matched = time.monotonic()
            with anyio.fail_after(PATIENCE_S), pytest.raises(StateError, match="memory"):
                await job.results()
            assert time.monotonic() - matched < REFUND_S
            with anyio.fail_after(PATIENCE_S):
                await job.settled()
            after = await cloud.balances()
            changes, requester = before.changes(after), await cloud.requester()
            assert requester.address not in changes
            assert sum(changes.values()) == 0, "what giving back costs the pool is in the kitty"
            assert [holding.locked for holding in after.holdings if holding.owner == requester.address] == [0]


@pytest.mark.timeout(600)
async def test_a_task_goes_to_the_one_machine_that_is_large_enough(tmp_path: Path) -> None:
    home, machine = tmp_path / "box", Machine(tmp_path / "machine")
    machine.home.mkdir()
    async with open_box(BoxSettings(home=home, workers=2, worker_memory_bytes=GIB, port=0)), connect_async(home) as cloud:
        pool = cloud.links.network.pool_url
        try:
            joined = await anyio.to_thread.run_sync(lambda: machine.json("worker", "join", pool, "--memory", "3072", "--detach"))
            for count in (1, 4):
                with anyio.fail_after(PATIENCE_S):
                    results = await cloud.map(APP, [()] * count, replicas=1, limits=RunLimits(memory_bytes=2 * GIB))
                assert [result.workers for result in results] == [(joined["worker"],)] * count
        finally:
            await anyio.to_thread.run_sync(lambda: machine.run("worker", "leave", check=False))
