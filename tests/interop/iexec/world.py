"""
One box for all of these tests, whichever of pytest's processes they run in: real processes, reached only from outside.

What was done once is not done again: a chapter runs in the process that asks for it first, and the others read what came of it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import signal
import subprocess
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import anyio

from tests.e2e.conftest import COMMAND_S, ROOT, START_S, VOISIN, environment
from voisin.chain import Call, Sender, calls, open_chain
from voisin.chain.functions import function
from voisin.protocol.signatures import KeySigner
from voisin.units import NRLC, Wei

SDK = Path(__file__).parent / "sdk"
WITNESS = ROOT / "tests" / "guests" / "witness.wasm"
CHAPTER_S, STOP_S = 240, 120
RLC = 10**9
COINS = Wei(10 * 10**18)


@dataclass(frozen=True)
class Wallet:
    """An account of a test's own, with money."""

    key: str
    address: str


@dataclass(frozen=True)
class World:
    """
    The box, and what its users know of it.

    Attributes:
        folder: What all of pytest's processes share.
    """

    folder: Path

    @cached_property
    def config(self) -> dict[str, Any]:
        """What `voisin box config --for iexec --json` tells."""
        return json.loads(self.voisin("box", "config", "--for", "iexec", "--json"))

    def voisin(self, *command: str) -> str:
        """Run our own command line against the box."""
        words = [*VOISIN, *command, "--home", str(self.home)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=COMMAND_S, cwd=ROOT, env=environment(), check=False)
        assert done.returncode == 0, f"voisin {' '.join(command)}: {done.stdout}{done.stderr}"
        return done.stdout

    @property
    def home(self) -> Path:
        """The box's home folder."""
        return self.folder / "home"

    def wallets(self, count: int, *, rlc: int = 1_000) -> list[Wallet]:
        """Make accounts with coins and RLC in them, paid by the account that is there for it."""
        signers = [KeySigner(secrets.token_bytes(32)) for _ in range(count)]
        with alone(self.folder / "purse"):
            anyio.run(self._pay, [signer.address for signer in signers], NRLC(rlc * RLC))
        return [Wallet("0x" + signer.expose_key().hex(), signer.address) for signer in signers]

    async def _pay(self, receivers: Sequence[str], amount: NRLC) -> None:
        purse = KeySigner(bytes.fromhex(self.config["funded_private_key"][2:]))
        async with open_chain(self.config["rpc_url"], self.config["hub"]) as chain:
            sender = Sender(chain, purse)
            for receiver in receivers:
                await sender.send(Call(receiver, b"", "coins", value=COINS, gas=21_000))
                await sender.send(calls.transfer(chain.token_address, receiver, amount))

    def witness(self) -> dict[str, str]:
        """Store an app that writes down all that it is given; answers its identifier and checksum."""

        def store() -> dict[str, str]:
            added = json.loads(self.voisin("storage", "add", str(WITNESS), "--json"))
            return {"cid": added["cid"], "checksum": "0x" + hashlib.sha256(WITNESS.read_bytes()).hexdigest()}

        found: dict[str, str] = self.once("witness", store)
        return found

    def blink(self) -> int:
        """Make a category whose deals are over in ten seconds, unless this session has; answers its number."""
        return int(self.once("blink", lambda: anyio.run(self._blink)))

    async def _blink(self) -> int:
        owner = KeySigner(bytes.fromhex(self.config["hub_owner_private_key"][2:]))
        async with open_chain(self.config["rpc_url"], self.config["hub"]) as chain:
            with self.as_owner():
                data = function("Hub", "createCategory").encode("blink", "ten seconds", 1)
                await Sender(chain, owner).send(Call(chain.hub_address, data, "createCategory"))
                return len(await chain.hub.categories()) - 1

    @contextmanager
    def as_owner(self) -> Iterator[None]:
        """Sign as the hub's owner, one at a time."""
        with alone(self.folder / "owner"):
            yield

    def once(self, name: str, work: Callable[[], Any]) -> Any:
        """Do something once in a session, whoever asks; answers what came of it, or fails as it failed."""
        path = self.folder / f"{name}.json"
        with alone(self.folder / f"{name}.lock"):
            if not path.exists():
                try:
                    document = {"result": work()}
                except AssertionError:
                    document = {"failure": traceback.format_exc()}
                path.write_text(json.dumps(document))
        found = json.loads(path.read_text())
        assert "failure" not in found, found["failure"]
        return found["result"]

    def sdk(self, chapter: str, **more: Any) -> Any:
        """Run a chapter of the SDK's; answers which methods it used, and what it told."""
        folder = self.folder / f"sdk-{chapter}"
        folder.mkdir()
        given, result = folder / "given.json", folder / "result.json"
        given.write_text(json.dumps({"config": self.config, **more}))
        command = ["node", str(SDK / f"{chapter}.mjs"), str(given), str(result)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=CHAPTER_S, cwd=folder, check=False)
        assert done.returncode == 0, f"{chapter}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
        return json.loads(result.read_text())


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold a lock of all of pytest's processes."""
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def shared_world(folder: Path) -> Iterator[World]:
    """Start the box for the first who comes, and stop it when the last one leaves."""
    folder.mkdir(exist_ok=True)
    users = folder / "users"
    with alone(folder / "box.lock"):
        count = int(users.read_text()) if users.exists() else 0
        if not count:
            _start(folder)
        users.write_text(str(count + 1))
    try:
        yield World(folder)
    finally:
        with alone(folder / "box.lock"):
            left = int(users.read_text()) - 1
            users.write_text(str(left))
            if not left:
                _stop(folder)


def _start(folder: Path) -> None:
    """Start a box that belongs to no process of pytest's."""
    command = [*VOISIN, "up", "--home", str(folder / "home"), "--port", "0", "--workers", "2", "--slots", "2"]
    shell = ["sh", "-c", '"$@" >"$0" 2>&1 & echo $!', str(folder / "box.log"), *command]
    done = subprocess.run(shell, capture_output=True, text=True, cwd=ROOT, env=environment(), check=True)
    (folder / "pid").write_text(done.stdout)
    _wait_for_pid(folder, lambda pid: pid == _pid(folder), START_S)


def _stop(folder: Path) -> None:
    os.kill(_pid(folder), signal.SIGINT)
    _wait_for_pid(folder, lambda pid: pid == 0, STOP_S)


def _pid(folder: Path) -> int:
    return int((folder / "pid").read_text())


def _wait_for_pid(folder: Path, is_so: Callable[[int], bool], patience_s: float) -> None:
    """Wait until the box's own file names a process, or none any more."""
    path, end = folder / "home" / "box.json", time.monotonic() + patience_s
    while not (path.exists() and is_so(json.loads(path.read_text()).get("pid", 0))):
        assert time.monotonic() < end, f"the box: {(folder / 'box.log').read_text()[-3000:]}"
        threading.Event().wait(0.05)
