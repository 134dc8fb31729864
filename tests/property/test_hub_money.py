"""No sequence of steps makes or loses money, leaves it locked without reason, or a deal without an end (SPEC 14)."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import settings

from tests.support.hub_machine import HubMachine
from tests.support.market import open_market
from voisin.chain.artifacts import load_artifact

ACCOUNTS_SLOT = load_artifact("Hub").layout["accounts"].slot
HALF = 2**128 - 1


class OurHub(HubMachine):
    """On our hub alone."""

    open_market = staticmethod(cache(open_market))

    def account(self, account: str) -> tuple[int, int]:
        """Read from where the hub keeps it, which is quicker than to ask, and compare with the answer now and then."""
        word = self.market.evm.mapping(self.market.hub.address, ACCOUNTS_SLOT, account)
        if self.count % 8 == 0:
            assert super().account(account) == (word & HALF, word >> 128)
        return word & HALF, word >> 128


TestOurHub = pytest.mark.timeout(240)(OurHub.TestCase)
TestOurHub.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
