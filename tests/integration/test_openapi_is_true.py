"""Every service answers whatever is made of its own description, never with an error of its own, always as it describes."""

from __future__ import annotations

from pathlib import Path

import anyio.to_thread
import pytest

from tests.support.nights import examples
from tests.support.openapi_driver import drive
from tests.support.services import STRANGE, open_services

REQUESTS_EACH = 3


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.anyio
@pytest.mark.filterwarnings("ignore:Do not use the `random` module:hypothesis.errors.HypothesisDeprecationWarning")
async def test_every_answer_is_described(tmp_path: Path) -> None:
    async with open_services(tmp_path) as services:
        for name, url in services.urls.items():
            seen = await anyio.to_thread.run_sync(
                lambda url=url: drive(url, [services.known, STRANGE], requests_each=examples(REQUESTS_EACH))
            )
            assert any(status < 300 for _, status in seen), name
