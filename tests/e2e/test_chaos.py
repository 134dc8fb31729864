"""
Everything is killed, again and again; every task still ends with the right result, exactly once, and the money adds up.

`make chaos` does the same with a bag of 500 tasks, and a kill every few seconds for minutes.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.chaos import run
from tests.support.chaos_plan import Plan
from tests.support.postgres import Cluster

pytestmark = pytest.mark.anyio


async def test_a_market_that_is_killed_all_over(postgres: Cluster, tmp_path: Path) -> None:
    plan = Plan(bag=60, bags=1, tasks=6, deals=3, workers=6, run_s=0.5, window_s=8, every_s=4.0, kill_s=20.0, within_s=300.0, seed=11)
    with postgres.database() as pool, postgres.database() as market:
        killed = await run(plan, tmp_path, pool, market)
    assert killed.total() >= 2
