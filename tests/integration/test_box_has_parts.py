"""The market and the index of a box are a process of their own: it comes back when it dies, and goes with the box."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import anyio
import pytest

from tests.support.capture import tree_of
from tests.support.patience import a_moment
from voisin.box.parts import apart
from voisin.box.service import Box, open_box
from voisin.box.settings import BoxSettings
from voisin.box.status import box_status
from voisin.errors import InputError, UnavailableError
from voisin.market import MarketSettings

pytestmark = pytest.mark.anyio

WAIT_S = 120


def books() -> list[int]:
    """Processes that serve a box's market and index."""
    return [pid for pid, command in tree_of(os.getpid()).items() if "voisin.box.part_process market index" in command]


async def are_up(box: Box) -> bool:
    services = (await box_status(box.network)).services
    return all(service.is_up for service in services if service.name in ("market", "index"))


async def test_services_that_die_come_back_where_they_were_and_go_with_the_box(tmp_path: Path) -> None:
    async with open_box(BoxSettings(home=tmp_path, workers=0, port=0)) as box:
        (first,) = books()
        assert await are_up(box)
        os.kill(first, signal.SIGKILL)
        with anyio.fail_after(WAIT_S):
            while books() in ([], [first]) or not await are_up(box):
                await a_moment()
    assert books() == []


async def test_a_part_that_cannot_start_says_why(tmp_path: Path) -> None:
    async with open_box(BoxSettings(home=tmp_path, workers=0, port=0)) as box:
        taken = int(box.network.market_url.rpartition(":")[2])
        settings = MarketSettings(
            database_url=f"sqlite:///{tmp_path / 'other.db'}", rpc_url=box.network.rpc_url, hub=box.network.hub, port=taken
        )
        log = tmp_path / "logs" / "other.log"
        with pytest.raises(InputError, match=str(taken)):
            async with apart("market", log_file=log) as part, part.serving({"market": settings}):
                pass
        with pytest.raises(UnavailableError, match=r"market did not start: see .*other\.log"):
            async with apart("market", log_file=log) as part, part.serving({}):
                pass
