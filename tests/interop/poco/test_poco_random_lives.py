"""Random lives of a market on both hubs at once: every step must do the same on both, and what the books say."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import settings

from tests.support.hub_machine import HubMachine
from tests.support.market import Market, furnish
from tests.support.npm import requires_npm
from tests.support.original import PACKAGES
from tests.support.twin import twin_market


def _open_twin() -> Market:
    return furnish(twin_market())


class BothHubs(HubMachine):
    """Our hub and the original, over the registries of the original."""

    open_market = staticmethod(cache(_open_twin))


class TestBothHubs(BothHubs.TestCase):  # type: ignore[misc, name-defined]
    """The machine as a test, which needs the original's package."""

    settings = settings(max_examples=12, stateful_step_count=25, deadline=None)

    @pytest.fixture(autouse=True)
    def _original(self) -> None:
        requires_npm(*PACKAGES)
