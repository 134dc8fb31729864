"""
Everything is killed, again and again; every task still ends with the right result, exactly once, and the money adds up.

`make chaos` does the same with 500 tasks, six workers and a kill every few seconds for minutes.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.chaos import Plan, run
from tests.support.postgres import Cluster

pytestmark = pytest.mark.anyio


async def test_a_market_that_is_killed_all_over(postgres: Cluster, tmp_path: Path) -> None:
    plan = Plan(tasks=10, deals=5, workers=4, every_s=4.0, kill_s=16.0, within_s=300.0, seed=11)
    with postgres.database() as pool, postgres.database() as market:
        killed = await run(plan, tmp_path, pool, market)
    assert sum(killed.values()) >= 2
