"""
A market of real processes that are killed without warning: chain, storage, market, schedulers on one PostgreSQL database, workers.

    python -m tests.support.chaos --tasks 500 --workers 6 --every 3 --seed 7

Everything random comes from one seed: who is killed, and when. What a run may not do is in `Market.judge`.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import anyio

from tests.support.chain_rig import RLC, deployed
from tests.support.guests import ROOT, guest
from tests.support.postgres import open_cluster
from voisin.chain import Call, Chain, Deployment, Sender, calls, events_of
from voisin.chain.devnet import development_keys
from voisin.chain.keystore import create_keystore
from voisin.errors import VoisinError
from voisin.protocol.archive import unpack_files
from voisin.protocol.cid import Cid, digest_of
from voisin.protocol.eip712 import sign_order
from voisin.protocol.events import EntryTransferred, FaultyContribution, OrdersMatched, TaskClaimed, TaskFinalized
from voisin.protocol.ids import Address, DealId, Hash32, TaskId, task_id, to_hex
from voisin.protocol.orders import AppOrder, RequestOrder, WorkerpoolOrder
from voisin.protocol.records import AppInfo, TaskStatus
from voisin.protocol.results import decode_link
from voisin.protocol.rules import KITTY_ADDRESS
from voisin.protocol.signatures import KeySigner
from voisin.storage import StorageClient
from voisin.units import NRLC, Wei

PASSWORD = "a password for tests"
APP_PRICE, POOL_PRICE = NRLC(3 * RLC), NRLC(10 * RLC)
TRUST = 3
START_S, LOOK_S, POLL_S, WATCH_S = 60.0, 0.5, 0.1, 1.0
PLACES = re.compile(rb"0x[0-9a-f]{64}|(?<==)\d+$", re.MULTILINE)
"""What differs between the results of tasks of one deal: ids and indexes."""


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


def free_port() -> int:
    """Find a port that nobody uses."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@dataclass(frozen=True, kw_only=True)
class Plan:
    """
    What a run does.

    Attributes:
        tasks: Tasks in all, over several deals.
        deals: Deals that they are in.
        workers: Workers; the first of every ten, and at least one, lies.
        schedulers: Schedulers that share the pool.
        every_s: Mean time between two kills [s].
        kill_s: How long processes are killed [s].
        within_s: How long the whole may take [s].
        seed: Where everything random comes from.
    """

    tasks: int
    deals: int
    workers: int
    schedulers: int = 2
    every_s: float = 3.0
    kill_s: float = 420.0
    within_s: float = 600.0
    seed: int = 0

    def kills(self) -> list[tuple[float, str]]:
        """Say who is killed and when [s since the start]: one of the kinds of processes, and then one of that kind."""
        dice, at, found = random.Random(self.seed), 0.0, []
        kinds = [
            ["chain"],
            ["storage"],
            ["market"],
            [f"scheduler-{number}" for number in range(self.schedulers)],
            [f"scheduler-{number}" for number in range(self.schedulers)],
            [f"worker-{number}" for number in range(self.workers)],
            [f"worker-{number}" for number in range(self.workers)],
        ]
        while True:
            at += self.every_s * dice.uniform(0.5, 1.5)
            if at >= self.kill_s:
                return found
            found.append((at, dice.choice(dice.choice(kinds))))

    @property
    def liars(self) -> int:
        """How many workers lie."""
        return max(1, self.workers // 10)


@dataclass
class Market:
    """Everything that runs, and what it has to come to."""

    plan: Plan
    folder: Path
    chain: Chain
    deployment: Deployment
    programs: dict[str, Program]
    storage_url: str
    people: dict[str, KeySigner]
    workerpool: Address
    app: Address
    tasks: list[TaskId] = field(default_factory=list)
    killed: Counter[str] = field(default_factory=Counter)

    async def sell(self) -> None:
        """Make the deals, one after the other while things are killed; each once, whatever happens to the chain meanwhile."""
        size, rest = divmod(self.plan.tasks, self.plan.deals)
        begun, pause_s = anyio.current_time(), SOLD_BY * self.plan.kill_s / self.plan.deals
        for number in range(self.plan.deals):
            await anyio.sleep_until(begun + number * pause_s)
            while len(await self._made()) <= number:
                try:
                    await self._match(number, size + (1 if number < rest else 0))
                except VoisinError as error:
                    sys.stderr.write(f"deal {number} is tried again: {error.message[:200]}\n")
                    await anyio.sleep(LOOK_S)
        for made in await self._made():
            self.tasks += [task_id(made, index) for index in range((await self.chain.hub.deal(made)).bot_size)]

    async def _made(self) -> list[DealId]:
        """List the deals on the chain."""
        while True:
            try:
                events = await events_of(self.chain, self.deployment.block, await self.chain.block_number())
                return [DealId(logged.event.deal_id) for logged in events if isinstance(logged.event, OrdersMatched)]
            except VoisinError:
                await anyio.sleep(LOOK_S)

    async def _match(self, number: int, volume: int) -> None:
        chain, people, salt = self.chain, self.people, Hash32(f"0x{number + 1:064x}")
        terms = {"volume": volume, "category": 0, "trust": TRUST, "salt": salt}
        requester = people["requester"].address
        request = RequestOrder(
            app=self.app, appmaxprice=APP_PRICE, workerpool=self.workerpool, workerpoolmaxprice=POOL_PRICE, requester=requester,
            beneficiary=requester, params="{}", **terms,
        )  # fmt: skip
        app = sign_order(AppOrder(app=self.app, appprice=APP_PRICE, volume=volume, salt=salt), chain.domain, people["app-owner"])
        pool = WorkerpoolOrder(workerpool=self.workerpool, workerpoolprice=POOL_PRICE, **terms)
        orders = app, None, sign_order(pool, chain.domain, people["scheduler"]), sign_order(request, chain.domain, people["requester"])
        await Sender(chain, people["stranger"]).send(calls.match_orders(chain.hub_address, *orders))

    async def torment(self) -> None:
        """Kill processes by the plan, and start them again."""
        begun = anyio.current_time()
        for at, name in self.plan.kills():
            await anyio.sleep_until(begun + at)
            program = self.programs[name]
            await anyio.to_thread.run_sync(program.kill)
            self.killed[name.split("-")[0]] += 1
            program.start()

    async def watch(self) -> None:
        """Start again whoever ended by itself, as whoever runs a service has it done."""
        while True:
            for program in self.programs.values():
                if program.has_ended:
                    program.start()
            await anyio.sleep(WATCH_S)

    async def finished(self) -> None:
        """Wait until all tasks are at an end on the chain."""
        told = 0.0
        while True:
            try:
                found = await self.chain.hub.tasks(self.tasks)
            except VoisinError:
                await anyio.sleep(LOOK_S)
                continue
            over = sum(1 for task in found if task is not None and task.status in (TaskStatus.COMPLETED, TaskStatus.FAILED))
            if time.monotonic() - told > 10:
                told = time.monotonic()
                sys.stderr.write(f"{over} of {len(found)} tasks are over; killed {dict(self.killed)}\n")
            if over == len(found):
                return
            await anyio.sleep(LOOK_S)

    # --- what has to be true in the end ---

    async def judge(self) -> list[str]:
        """List what is wrong; nothing should be."""
        chain = self.chain
        events = [logged.event for logged in await events_of(chain, self.deployment.block, await chain.block_number())]
        finalized = Counter(event.task_id for event in events if isinstance(event, TaskFinalized))
        claimed = [event.task_id for event in events if isinstance(event, TaskClaimed)]
        wrong = [f"{task} ended {finalized[task]} times" for task in self.tasks if finalized[task] != 1]
        wrong += [f"{task} was refunded" for task in claimed]
        wrong += await self._wrong_results()
        wrong += await self._wrong_money()
        liars = {self.people[f"worker-{number}"].address for number in range(self.plan.liars)}
        fined = {event.worker for event in events if isinstance(event, FaultyContribution)}
        wrong += [f"honest {worker} was fined" for worker in sorted(fined - liars)]
        return wrong

    async def _wrong_results(self) -> list[str]:
        """Every result is there, is what was agreed, and is what its task gives: all of a deal are alike but for ids and indexes."""
        wrong, shapes = [], Counter[bytes]()
        texts: dict[TaskId, bytes] = {}
        async with StorageClient(self.storage_url) as storage:
            for known, task in zip(self.tasks, await self.chain.hub.tasks(self.tasks), strict=True):
                if task is None or task.status is not TaskStatus.COMPLETED:
                    wrong.append(f"{known} is not completed")
                    continue
                files = unpack_files(await storage.get_bytes(Cid(decode_link(task.results)), max_bytes=1 << 20))
                text = b"".join(files[name] for name in sorted(files) if name != "computed.json")
                if f"IEXEC_TASK_ID={known}".encode() not in text:
                    wrong.append(f"{known} has the result of another task")
                texts[known] = PLACES.sub(b"", text)
                shapes[texts[known]] += 1
        usual = shapes.most_common(1)[0][0] if shapes else b""
        return wrong + [f"{task} has a wrong result" for task, text in texts.items() if text != usual]

    async def _wrong_money(self) -> list[str]:
        hub = self.chain.hub
        everybody = {wallet.address for wallet in [*self.people.values(), *development_keys(10)]}
        accounts = dict(zip(sorted(everybody), await hub.accounts(sorted(everybody)), strict=True))
        wrong = [f"{account.locked} nRLC of {owner} are locked" for owner, account in accounts.items() if account.locked]
        inside = sum(account.stake + account.locked for account in accounts.values())
        kitty = await hub.account(KITTY_ADDRESS)
        held = await self.chain.token.balance(self.chain.hub_address)
        if inside + kitty.stake + kitty.locked != held:
            wrong.append(f"the hub holds {held} nRLC, and owes {inside} and a kitty of {kitty.stake + kitty.locked}")
        paid = (APP_PRICE + POOL_PRICE) * len(self.tasks)
        requester = accounts[self.people["requester"].address]
        if requester.stake != DEPOSIT - paid:
            wrong.append(f"the requester has {requester.stake} nRLC and should have {DEPOSIT - paid}")
        return wrong


DEPOSIT = NRLC(100_000 * RLC)
STAKES = NRLC(50_000 * RLC)
SOLD_BY = 0.8
"""The part of the torment after which all deals are made."""


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
            pool = place | {
                "DATABASE_URL": pool_database,
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
            for number in range(plan.schedulers):
                name = f"scheduler-{number}"
                own = pool | {"SCHEDULER": name, "PORT": str(ports[name])}
                start(name, ["voisin.pool"], **{f"VOISIN_POOL_{key}": value for key, value in own.items()})
            for number in range(plan.workers):
                start(f"worker-{number}", _worker(plan, number, folder, urls, deployment))
            for program in programs.values():
                await program.answers()
            yield Market(plan, folder, chain, deployment, programs, urls["storage"], people, workerpool, app)


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


async def run(plan: Plan, folder: Path, pool_database: str, market_database: str) -> Counter[str]:
    """
    Run a market through its torment, and judge it; answers how often what was killed.

    Raises:
        AssertionError: Something is wrong in the end, or it did not end in time.
    """
    sys.stderr.write(f"chaos with seed {plan.seed}: {plan}\n")
    async with AsyncExitStack() as stack:
        market = await stack.enter_async_context(open_market(plan, folder, pool_database, market_database))
        with anyio.move_on_after(plan.within_s) as limit:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(market.torment)
                tasks.start_soon(market.watch)
                await market.sell()
                await market.finished()
                tasks.cancel_scope.cancel()
            wrong = await market.judge()
        assert not limit.cancelled_caught, f"seed {plan.seed}: not all tasks were over within {plan.within_s:g} s; logs in {folder}"
        assert not wrong, f"seed {plan.seed}: " + "; ".join(wrong)
        return market.killed


def main() -> int:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=500)
    parser.add_argument("--deals", type=int, default=10)
    parser.add_argument("--workers", type=int, default=6)
    parser.add_argument("--every", type=float, default=3.0)
    parser.add_argument("--kill", type=float, default=420.0)
    parser.add_argument("--within", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    given = parser.parse_args()
    plan = Plan(
        tasks=given.tasks, deals=given.deals, workers=given.workers, every_s=given.every, kill_s=given.kill, within_s=given.within,
        seed=given.seed,
    )  # fmt: skip
    folder = Path(tempfile.mkdtemp(prefix="voisin-chaos-"))
    begun = time.monotonic()
    with open_cluster() as cluster, cluster.database() as pool, cluster.database() as market:
        killed = anyio.run(run, plan, folder, pool, market)
    sys.stdout.write(f"seed {plan.seed}: {plan.tasks} tasks right in {time.monotonic() - begun:.0f} s; killed {dict(killed)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
