"""A lease that lapses: what was held back meanwhile is done as soon as it is renewed, whenever in between it lapsed."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import anyio
import anyio.lowlevel
import pytest

from voisin.pool.database.claims import Company, Peer
from voisin.pool.heart.records import DealRecord, Taken
from voisin.pool.running.tenure import Listener, Tenure
from voisin.protocol.ids import DealId

pytestmark = pytest.mark.anyio
LEASE_S = 0.5


class SlowClaims:
    """Claims of one scheduler, whose first renewal takes longer than its lease."""

    def __init__(self) -> None:
        self.tenure: Tenure | None = None
        self.is_slow = True

    async def join(self, name: str, lease_s: float) -> int:
        return 1

    is_sole = True

    async def renew(self, session: int, url: str, lease_s: float) -> Company:
        while self.is_slow and self.tenure is not None and self.tenure.is_valid:
            await anyio.lowlevel.checkpoint()
        self.is_slow = False
        return Company(peers=(Peer(1, "main", ""),), held={}, leads=True, is_draining=False)

    async def find(self, session: int, deals: Sequence[DealRecord], wanted: Collection[DealId]) -> dict[DealId, int]:
        return {}

    async def take(self, session: int) -> list[Taken]:
        return []

    async def leave(self, session: int, next_block: int) -> None:
        return

    async def drain(self, *, is_draining: bool) -> None:
        return


async def _take(_taken: Sequence[Taken]) -> None:
    return


async def test_a_lease_that_lapses_while_it_is_renewed_counts_as_lapsed() -> None:
    claims = SlowClaims()
    tenure = claims.tenure = Tenure(claims, "main", LEASE_S)
    renewed = anyio.Event()
    listener = Listener(
        taken=_take, lost=lambda _deals: None, renewed=renewed.set, company=lambda _company: None, caught=lambda _workers: None
    )
    await tenure.join()
    await anyio.sleep(LEASE_S / 4)  # what is renewed now lasts longer than what is about to lapse
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(tenure.run, listener)
        with anyio.fail_after(5):
            await renewed.wait()
        tasks.cancel_scope.cancel()
