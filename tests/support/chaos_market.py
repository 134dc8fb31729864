"""A market of real processes that may be killed at any time: chain, storage, market, schedulers on one PostgreSQL database, workers."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import anyio

from tests.support.chain_rig import RLC, deployed
from tests.support.chaos_plan import Plan
from tests.support.guests import ROOT, guest
from voisin.chain import Call, Chain, Deployment, Sender, calls
from voisin.chain.devnet import development_keys
from voisin.chain.keystore import create_keystore
from voisin.protocol.cid import digest_of
from voisin.protocol.events import EntryTransferred
from voisin.protocol.ids import Address, Hash32, to_hex
from voisin.protocol.records import AppInfo
from voisin.protocol.signatures import KeySigner
from voisin.storage import StorageClient
from voisin.units import NRLC, Wei

PASSWORD = "a password for tests"
APP_PRICE, POOL_PRICE = NRLC(3 * RLC), NRLC(10 * RLC)
DEPOSIT, STAKES = NRLC(100_000 * RLC), NRLC(50_000 * RLC)
START_S, POLL_S = 60.0, 0.1


@dataclass
class Program:
    """A process that is started again whenever it was killed, always at the same place."""

    name: str
    command: list[str]
    environment: dict[str, str]
    log: Path
    port: int = 0
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0

    def start(self) -> None:
        """Start it."""
        self.starts += 1
        environment = {name: value for name, value in os.environ.items() if not name.startswith("VOISIN_")} | self.environment
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=ROOT, start_new_session=True
            )

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        """Kill it, with all its children."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, how)
            self.process.wait()

    @property
    def has_ended(self) -> bool:
        """Whether it is not running."""
        return self.process is None or self.process.poll() is not None

    async def answers(self) -> None:
        """Wait until it listens."""
        with anyio.fail_after(START_S):
            while self.port:
                try:
                    async with await anyio.connect_tcp("127.0.0.1", self.port):
                        return
                except OSError:
                    assert not self.has_ended, f"{self.name} ended:\n{self.log.read_text()[-2000:]}"
                    await anyio.sleep(POLL_S)


@dataclass(frozen=True)
class Market:
    """Everything that runs, and who takes part."""

    plan: Plan
    folder: Path
    chain: Chain
    deployment: Deployment
    programs: dict[str, Program]
    storage_url: str
    scheduler_urls: tuple[str, ...]
    people: dict[str, KeySigner]
    workerpool: Address
    app: Address

    @property
    def liars(self) -> set[Address]:
        """Who lies."""
        return {self.people[f"worker-{number}"].address for number in range(self.plan.liars)}


def free_port() -> int:
    """Find a port that nobody uses."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def running(programs: dict[str, Program]) -> Iterator[None]:
    """End all programs with the context."""
    try:
        yield
    finally:
        for program in programs.values():
            program.kill()


@asynccontextmanager
async def open_market(plan: Plan, folder: Path, pool_database: str, market_database: str) -> AsyncIterator[Market]:
    """Start everything, with money where it is needed."""
    programs: dict[str, Program] = {}
    ports = {name: free_port() for name in ("chain", "storage", "market", *(f"scheduler-{number}" for number in range(plan.schedulers)))}
    urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}

    def start(name: str, module: list[str], **environment: str) -> None:
        program = Program(name, [sys.executable, "-m", *module], environment, folder / f"{name}.log", ports.get(name, 0))
        programs[name] = program
        program.start()

    (folder / "password").write_text(PASSWORD)
    with running(programs):
        start("chain", ["voisin.chain.devnet", "--db", str(folder / "chain.sqlite"), "--port", str(ports["chain"])])
        start("storage", ["voisin.storage"], VOISIN_STORAGE_FOLDER=str(folder / "blobs"), VOISIN_STORAGE_PORT=str(ports["storage"]))
        for program in programs.values():
            await program.answers()
        async with deployed(urls["chain"]) as (chain, deployment):
            place = {"RPC_URL": urls["chain"], "HUB": deployment.hub, "START_BLOCK": str(deployment.block)}
            market = place | {"DATABASE_URL": market_database, "PORT": str(ports["market"])}
            start("market", ["voisin.market"], **{f"VOISIN_MARKET_{name}": value for name, value in market.items()})
            people = await _people(chain, plan, folder)
            workerpool, app = await _entries(chain, people, urls["storage"])
            pool = place | _pool(folder, workerpool, urls) | {"DATABASE_URL": pool_database}
            for number in range(plan.schedulers):
                name = f"scheduler-{number}"
                own = pool | {"SCHEDULER": name, "PORT": str(ports[name])}
                start(name, ["voisin.pool"], **{f"VOISIN_POOL_{key}": value for key, value in own.items()})
            for number in range(plan.workers):
                start(f"worker-{number}", _worker(plan, number, folder, urls, deployment))
            for program in programs.values():
                await program.answers()
            schedulers = tuple(url for name, url in urls.items() if name.startswith("scheduler"))
            yield Market(plan, folder, chain, deployment, programs, urls["storage"], schedulers, people, workerpool, app)


def _pool(folder: Path, workerpool: Address, urls: dict[str, str]) -> dict[str, str]:
    """What all schedulers are told: whatever is lost is tried again soon, and as often as it takes."""
    return {
        "WORKERPOOL": workerpool,
        "STORAGE_URL": urls["storage"],
        "MARKET_URL": urls["market"],
        "PRICE": str(POOL_PRICE),
        "HEARTBEAT_S": "1",
        "KEYSTORE": str(folder / "scheduler.json"),
        "PASSWORD_FILE": str(folder / "password"),
        "RETRY_PAUSE_S": "1",
        "RESEND_S": "10",
        "UPLOAD_LEASE_S": "15",
        "GRACE_S": "30",
        "ATTEMPTS_MAX": "100",
        "FAILURES_MAX": "1000",
    }


def _worker(plan: Plan, number: int, folder: Path, urls: dict[str, str], deployment: Deployment) -> list[str]:
    options = {
        "mode": "lie" if number < plan.liars else "honest",
        "pool-url": urls[f"scheduler-{number % plan.schedulers}"],
        "rpc-url": urls["chain"],
        "hub": deployment.hub,
        "folder": str(folder / f"worker-{number}"),
        "keystore": str(folder / f"worker-{number}.json"),
        "password-file": str(folder / "password"),
        "name": f"worker-{number}",
        "slots": "2",
        "max-retry-s": "2",
        "run-s": str(plan.run_s),
    }
    return ["tests.support.rogue_worker", *(word for key, value in options.items() for word in (f"--{key}", value))]


async def _people(chain: Chain, plan: Plan, folder: Path) -> dict[str, KeySigner]:
    """Give everybody a wallet, coins for gas, and money in the hub."""
    owner, requester, app_owner, stranger, *_ = development_keys(10)
    people = {"requester": requester, "app-owner": app_owner, "stranger": stranger}
    dice = random.Random(plan.seed + 1)
    for name in ("scheduler", *(f"worker-{number}" for number in range(plan.workers))):
        people[name] = create_keystore(folder / f"{name}.json", PASSWORD, key=dice.randbytes(32), strength="light")
    purse = Sender(chain, owner)
    for name, wallet in people.items():
        await purse.send(Call(wallet.address, b"", "give gas money", value=Wei(10**20)))
        if name not in ("app-owner", "stranger"):
            amount = DEPOSIT if name == "requester" else STAKES
            await purse.send(calls.transfer(chain.token_address, wallet.address, amount))
            await Sender(chain, wallet).send(calls.approve_and_call(chain.token_address, chain.hub_address, amount))
    return people


async def _entries(chain: Chain, people: dict[str, KeySigner], storage_url: str) -> tuple[Address, Address]:
    """Enter the workerpool and the app."""
    async with StorageClient(storage_url) as storage:
        cid = await storage.put_file(guest("witness"))
    scheduler, owner = people["scheduler"], people["app-owner"]
    made = await Sender(chain, scheduler).send(calls.create_workerpool(chain.workerpool_registry, scheduler.address, "chaos"))
    link, checksum = f"/ipfs/{cid}".encode(), Hash32(to_hex(digest_of(cid)))
    info = AppInfo(owner=owner.address, name="witness", type="WASM", multiaddr=link, checksum=checksum, mrenclave=b"")
    entered = await Sender(chain, owner).send(calls.create_app(chain.app_registry, info))
    pool, app = (next(each.event.entry for each in r.events if isinstance(each.event, EntryTransferred)) for r in (made, entered))
    return pool, app
