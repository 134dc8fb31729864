"""What every test shares: the loop, and hypothesis without wall-clock judgements, for machines that are busy."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("voisin", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("voisin")


@pytest.fixture
def anyio_backend() -> str:
    """The loop our services run on."""
    return "asyncio"
