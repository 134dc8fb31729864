"""What integration tests share: a sandbox with a cache of compiled modules that lives as long as the test session."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.guests import Bench
from voisin.sandbox import Sandbox


@pytest.fixture(scope="session")
def sandbox_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where each module is compiled only once in a session."""
    return tmp_path_factory.mktemp("sandbox-cache")


@pytest.fixture
async def bench(sandbox_cache: Path, tmp_path: Path) -> AsyncIterator[Bench]:
    """A sandbox with one slot."""
    async with Sandbox(sandbox_cache) as sandbox:
        yield Bench(sandbox, tmp_path)
