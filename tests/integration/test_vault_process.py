"""A vault as a process of its own: killed at any moment it keeps what it said it has, its log tells nothing, and wrong keys stop it."""

from __future__ import annotations

import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.lowlevel
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


@dataclass
class Process:
    """A vault that is started, killed and started again with the same settings."""

    environment: dict[str, str]
    log: Path
    running: subprocess.Popen[bytes] | None = None

    async def start(self) -> str:
        """Start it; gives its address once it answers."""
        seen = len(self.said)
        self.running = self._spawn()
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            if found := re.search(r"url=(http://[\w.:]+)", self.said[seen:]):
                return found[1]
            assert self.running.poll() is None, self.said
            await anyio.lowlevel.checkpoint()
        raise AssertionError(f"the vault did not start: {self.said}")

    def _spawn(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as out:
            return subprocess.Popen([sys.executable, "-m", "voisin.vault"], env=self.environment, stdout=out, stderr=out)

    async def end(self, how: signal.Signals) -> int:
        """Send it a signal and wait for its end."""
        assert self.running is not None
        self.running.send_signal(how)
        return await anyio.to_thread.run_sync(self.running.wait, STOP_S)

    @property
    def said(self) -> str:
        """Its log, without colours."""
        return re.sub(r"\x1b\[\d*m", "", self.log.read_text()) if self.log.exists() else ""


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
    made = Process(given, tmp_path / "log")
    yield made
    if made.running is not None:
        made.running.kill()
        made.running.wait()


def assert_hidden(process: Process, value: str) -> None:
    """Neither log nor disk show a value, and the log does not show the key."""
    assert value not in process.said
    assert Path(process.environment["VOISIN_VAULT_KEY_FILE"]).read_text().strip() not in process.said
    database = Path(process.environment["VOISIN_VAULT_DATABASE_URL"].removeprefix("sqlite:///"))
    on_disk = b"".join(path.read_bytes() for path in database.parent.iterdir())
    assert b"name-1" in on_disk
    assert value.encode() not in on_disk


async def test_killed_while_secrets_are_pushed(rig: Rig, process: Process) -> None:
    wallet = rig.requester
    kept: list[SecretRef] = []
    number = 0

    async def push_until_it_dies(desk: VaultDesk) -> None:
        nonlocal number
        try:
            while True:
                number += 1
                ref = SecretRef(SecretKind.REQUESTER, wallet.address, f"name-{number}")
                await desk.push(wallet, ref, SecretValue(f"swordfish-{number}"))
                kept.append(ref)
        except UnavailableError:
            return

    vaults = set()
    for wanted in (3, 10):
        async with Service("vault", await process.start()) as service, anyio.create_task_group() as tasks:
            desk = VaultDesk(service, time.time)
            vaults.add((await desk.view()).vault)
            assert {(entry.kind, entry.name) for entry in await desk.entries(wallet)} >= {(ref.kind, ref.name) for ref in kept}
            tasks.start_soon(push_until_it_dies, desk)
            with anyio.fail_after(START_S):
                while len(kept) < wanted:
                    await anyio.lowlevel.checkpoint()
            await process.end(signal.SIGKILL)
    async with Service("vault", await process.start()) as service:
        desk = VaultDesk(service, time.time)
        assert {entry.name for entry in await desk.entries(wallet)} >= {ref.name for ref in kept}
        assert len(vaults) == 1
        assert await process.end(signal.SIGTERM) == 0
    assert "vault_closing" in process.said
    assert "Traceback" not in process.said
    assert_hidden(process, "swordfish")


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
