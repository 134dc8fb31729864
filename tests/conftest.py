"""
What every test shares: the loop, logs that end with their test, and hypothesis without wall-clock judgements.

The profile `night` (`make night`) has ten times the examples, in the tests that ask `tests.support.nights` how many they should try.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings

settings.register_profile("voisin", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("night", settings.get_profile("voisin"))
settings.load_profile("voisin")


@pytest.fixture
def anyio_backend() -> str:
    """The loop our services run on."""
    return "asyncio"


@pytest.fixture(autouse=True)
def logs_as_they_were() -> Iterator[None]:
    """Undo what a command under test did to the logs: its standard error is gone when the next test writes to it."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)
