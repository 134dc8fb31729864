"""A market as a process of its own: it says what is wrong with its settings, serves, and ends well when asked to."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import httpx
import pytest

from tests.support.chain_rig import Rig, open_rig
from tests.support.patience import a_moment

pytestmark = pytest.mark.anyio

START_S, STOP_S = 120.0, 60.0


def environment(**settings: object) -> dict[str, str]:
    """Set a market up by its variables alone."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("VOISIN_")}
    return kept | {f"VOISIN_MARKET_{name.upper()}": str(value) for name, value in settings.items()}


def run(**settings: object) -> subprocess.CompletedProcess[str]:
    """Run a market that will not last."""
    command = [sys.executable, "-m", "voisin.market"]
    return subprocess.run(command, env=environment(**settings), capture_output=True, text=True, timeout=START_S, check=False)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """One loop for all tests of this file, which share a chain."""
    return "asyncio"


@pytest.fixture(scope="module")
async def rig() -> AsyncIterator[Rig]:
    """A chain with a hub."""
    async with open_rig() as rig:
        yield rig


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_serves_and_ends_when_asked_to(rig: Rig, tmp_path: Path, number: signal.Signals) -> None:
    given = environment(hub=rig.chain.hub_address, rpc_url=rig.node.rpc_url, port=0, database_url=f"sqlite:///{tmp_path / 'book.sqlite'}")
    log = tmp_path / "log"
    process = start(given, log)
    try:
        url = await address_in(log, process)
        async with httpx.AsyncClient() as http:
            health = (await http.get(f"{url}/v1/health")).json()
            assert (health["hub"], health["chain_id"]) == (rig.chain.hub_address, 31337)
            assert (await http.get(f"{url}/v1/orders")).json() == {"orders": [], "count": 0, "next": None}
        process.send_signal(number)
        assert await anyio.to_thread.run_sync(lambda: process.wait(STOP_S)) == 0
    finally:
        process.kill()
        process.wait()
    assert "Traceback" not in said(log)
    assert "market_closing" in said(log)


def start(given: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    """Start a market that writes into a log."""
    with log.open("w") as out:
        return subprocess.Popen([sys.executable, "-m", "voisin.market"], env=given, stdout=out, stderr=out)


def said(log: Path) -> str:
    """Read a log without its colours."""
    return re.sub(r"\x1b\[\d*m", "", log.read_text())


async def address_in(log: Path, process: subprocess.Popen[bytes]) -> str:
    """Wait until the log tells the market's address."""
    started = time.monotonic()
    while time.monotonic() < started + START_S:
        found = re.search(r"url=(http://[\w.:]+)", said(log))
        if found is not None:
            return found[1]
        assert process.poll() is None, said(log)
        await a_moment()
    raise AssertionError(f"the market did not start: {said(log)}")


def test_no_hub() -> None:
    done = run()
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "the market does not know its hub: set VOISIN_MARKET_HUB to the hub's address\n"


def test_hub_that_is_no_address() -> None:
    done = run(hub="0x12")
    assert done.returncode == 2
    assert "'0x12' is not an address" in done.stderr
    assert "Traceback" not in done.stderr


def test_port_that_is_no_number() -> None:
    done = run(port="many")
    assert done.returncode == 2
    assert "port" in done.stderr
    assert "Traceback" not in done.stderr


async def test_port_that_is_taken(rig: Rig, tmp_path: Path) -> None:
    port = rig.node.rpc_url.rsplit(":", 1)[1]
    done = await anyio.to_thread.run_sync(
        lambda: run(hub=rig.chain.hub_address, rpc_url=rig.node.rpc_url, port=port, database_url=f"sqlite:///{tmp_path / 'b.sqlite'}")
    )
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "Traceback" not in done.stderr
