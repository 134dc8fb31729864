"""Ten thousand connections that say nothing, or begin a request and stop, at each service of a box: others are served as before."""

from __future__ import annotations

import time
from collections.abc import Callable

import httpx
import pytest

from tests.e2e.conftest import RunningBox
from tests.support.crowds import DEADLINE_S, allow_files, crowd, resident_bytes, usual_wait_s

CROWD = 10_000
MOST_BYTES = 32 * 1024
"""Of memory for a connection that waits; uvicorn's own state of one is most of it."""
SLOWER = 5
"""How many times longer an answer may take with the crowd than without."""


@pytest.mark.slow
def test_nobody_else_notices(box_factory: Callable[..., RunningBox]) -> None:
    allow_files(CROWD)
    box = box_factory("--workers", "1")
    assert box.process is not None
    urls = {name: url for name, url in box.network.items() if name.endswith("_url") and url}
    assert {"rpc_url", "market_url", "pool_url", "storage_url"} <= set(urls)
    for number, (name, url) in enumerate(sorted(urls.items())):
        before = resident_bytes(box.process.pid)
        wait_s = usual_wait_s(url)
        with crowd(url, CROWD, says=b"GET / HTTP/1.1\r\nx: " if number % 2 else b""):
            httpx.get(url, timeout=DEADLINE_S)  # those that came before have been accepted
            grown = resident_bytes(box.process.pid) - before
            assert grown < CROWD * MOST_BYTES, name
            until = time.monotonic() + DEADLINE_S  # other tests may run beside this one
            while (crowded_s := usual_wait_s(url)) > SLOWER * wait_s:
                assert time.monotonic() < until, (name, crowded_s, wait_s)
    assert all(service["is_up"] for service in box.json("status")["services"])
