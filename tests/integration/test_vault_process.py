"""A vault as a process of its own: killed at any moment it keeps what it said it has, its log tells nothing, and wrong keys stop it."""

from __future__ import annotations

import os
import queue
import re
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from tests.support.chain_rig import Rig, open_rig
from voisin.client.services import Service
from voisin.client.vault import VaultDesk
from voisin.errors import UnavailableError
from voisin.protocol.secrets import SecretKind, SecretRef, SecretValue
from voisin.vault import create_key_file
from voisin.vault.__main__ import main
from voisin.vault.cabinet import Cabinet
from voisin.vault.keyring import Keyring
from voisin.vault.store import open_store

pytestmark = pytest.mark.anyio

START_S, STOP_S = 120.0, 60.0


class Process:
    """A vault that is started, killed and started again with the same settings."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment
        self.said = ""
        self._running: subprocess.Popen[str] | None = None
        self._listener: threading.Thread | None = None

    async def start(self) -> str:
        """Start it; gives its address once it answers."""
        found: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._running = running = self._spawn()

        def listen() -> None:
            assert running.stdout is not None
            for line in running.stdout:
                self.said += line
                if address := re.search(r"url=(http://[\w.:]+)", re.sub(r"\x1b\[\d*m", "", line)):
                    found.put(address[1])
            found.put("")  # it has ended

        self._listener = threading.Thread(target=listen)
        self._listener.start()
        address = await anyio.to_thread.run_sync(lambda: found.get(timeout=START_S))
        assert address, self.said
        return address

    @property
    def pid(self) -> int:
        """Its number."""
        assert self._running is not None
        return self._running.pid

    def _spawn(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "voisin.vault"]
        return subprocess.Popen(command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    async def end(self, how: signal.Signals) -> int:
        """Send it a signal and wait for its end."""
        return await anyio.to_thread.run_sync(self._end, how)

    def _end(self, how: signal.Signals) -> int:
        if self._running is None or self._listener is None or self._running.stdout is None:
            return 0
        self._running.send_signal(how)
        code = self._running.wait(STOP_S)
        self._listener.join()
        self._running.stdout.close()
        return code

    def kill(self) -> None:
        """End it, if it runs."""
        self._end(signal.SIGKILL)


def settings(**given: object) -> dict[str, str]:
    """Set a vault up by its variables alone."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("VOISIN_")}
    return kept | {f"VOISIN_VAULT_{name.upper()}": str(value) for name, value in given.items()}


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    """A chain with a hub."""
    async with open_rig() as opened:
        yield opened


@pytest.fixture
async def process(rig: Rig, tmp_path: Path) -> AsyncIterator[Process]:
    """A vault beside the chain, not started yet."""
    (tmp_path / "data").mkdir()
    create_key_file(tmp_path / "keys" / "vault.key")
    given = settings(
        hub=rig.chain.hub_address,
        rpc_url=rig.node.rpc_url,
        port=0,
        database_url=f"sqlite:///{tmp_path}/data/vault.sqlite",
        key_file=tmp_path / "keys" / "vault.key",
    )
    made = Process(given)
    yield made
    made.kill()


def assert_hidden(process: Process, value: str) -> None:
    """Neither log nor disk show a value, and the log does not show the key."""
    assert value not in process.said
    assert Path(process.environment["VOISIN_VAULT_KEY_FILE"]).read_text().strip() not in process.said
    database = Path(process.environment["VOISIN_VAULT_DATABASE_URL"].removeprefix("sqlite:///"))
    on_disk = b"".join(path.read_bytes() for path in database.parent.iterdir())
    assert b"name-1" in on_disk
    assert value.encode() not in on_disk


async def test_killed_while_secrets_are_pushed(rig: Rig, process: Process) -> None:
    wallet, kept, enough = rig.requester, list[str](), anyio.Event()

    async def push_until_it_dies(desk: VaultDesk) -> None:
        for number in count(1):
            ref = SecretRef(SecretKind.REQUESTER, wallet.address, f"name-{number}")
            try:
                await desk.push(wallet, ref, SecretValue(f"swordfish-{number}"))
            except UnavailableError:
                return
            kept.append(ref.name)
            if len(kept) == 5:
                enough.set()

    async with Service("vault", await process.start()) as service, anyio.create_task_group() as tasks:
        desk = VaultDesk(service, time.time)
        before = (await desk.view()).vault
        tasks.start_soon(push_until_it_dies, desk)
        with anyio.fail_after(START_S):
            await enough.wait()
        await process.end(signal.SIGKILL)
    async with Service("vault", await process.start()) as service:
        desk = VaultDesk(service, time.time)
        assert (await desk.view()).vault == before
        assert {entry.name for entry in await desk.entries(wallet)} >= set(kept)
    assert await process.end(signal.SIGTERM) == 0
    assert "vault_closing" in process.said
    assert "Traceback" not in process.said
    assert_hidden(process, "swordfish")


async def test_its_memory_is_never_written_to_a_disk(process: Process) -> None:
    """A core dump would have the keys in clear, whatever the account's limit is."""
    await process.start()
    limits = await anyio.Path(f"/proc/{process.pid}/limits").read_text()
    assert re.search(r"Max core file size\s+0\s+0\s", limits), limits


async def test_another_key_stops_it_with_one_line(rig: Rig, process: Process) -> None:
    async with open_store(process.environment["VOISIN_VAULT_DATABASE_URL"], rig.chain.domain) as store:
        await Cabinet(store, Keyring([b"\1" * 32], secrets.token_bytes), rig.chain.domain, secrets.token_bytes).open()
    command = [sys.executable, "-m", "voisin.vault"]
    done = await anyio.run_process(command, env=process.environment, check=False)
    assert (done.returncode, done.stdout) == (1, b"")
    assert re.fullmatch(
        r"the vault's records are sealed under key [0-9a-f]{16}, and the vault was given [0-9a-f]{16}: "
        r"give it the key file that it had before\n",
        done.stderr.decode(),
    )


@pytest.mark.parametrize(
    ("given", "code", "words"),
    [
        ({}, 1, "the vault does not know its hub: set VOISIN_VAULT_HUB to the hub's address\n"),
        ({"hub": "0x12"}, 2, "is not an address"),
        ({"hub": "0x" + "11" * 20, "port": "many"}, 2, "port"),
    ],
)
def test_settings_that_are_wrong(
    given: dict[str, str], code: int, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in (given | {"key": "swordfish"}).items():
        monkeypatch.setenv(f"VOISIN_VAULT_{name.upper()}", value)
    assert main() == code
    said = capsys.readouterr()
    assert words in said.err
    assert "swordfish" not in said.err + said.out
