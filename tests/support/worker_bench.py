"""One worker in a world of twins: hub, storage and sandbox in memory, the pool over a real WebSocket, the files on a real disk."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import anyio
import msgspec

from tests.support.scripted_pool import ScriptedPool
from voisin.protocol.archive import ResultArchive, open_archive
from voisin.protocol.consent import VaultId
from voisin.protocol.ids import Address, DealId, Hash32, TaskId, as_address, hash32_of
from voisin.protocol.records import Account, AppInfo
from voisin.protocol.results import sha256
from voisin.protocol.signatures import KeySigner
from voisin.sandbox import Job
from voisin.units import NRLC
from voisin.worker import News, Parts, Worker, WorkerSettings
from voisin.worker.memory_bags import MemoryBags
from voisin.worker.memory_hub import MemoryHub, make_deal
from voisin.worker.memory_world import MemoryEnclaves, MemoryStorage, MemoryVault, MemoryWeb, ScriptedRunner
from voisin.worker.store import WorkerFolder
from voisin.worker.vocabulary import Failed, Moved, Phase

MODULE = b"\0asm fake module"
APP = as_address("0x" + "a1" * 20)
WORKERPOOL = as_address("0x" + "b2" * 20)


def key(name: str) -> KeySigner:
    """A wallet of somebody."""
    return KeySigner(hashlib.sha256(name.encode()).digest())


async def echo(job: Job) -> dict[str, bytes]:
    """An app that writes down what it was given."""
    return {"args.txt": "\n".join(job.args).encode(), "task.txt": job.env["IEXEC_TASK_INDEX"].encode()}


@dataclass
class Bench:
    """
    The world of the tests.

    Attributes:
        folder: The worker's folder.
        pool: Its pool.
        news: Everything the worker told.
    """

    folder: Path
    pool: ScriptedPool
    hub: MemoryHub = field(default_factory=MemoryHub)
    storage: MemoryStorage = field(default_factory=MemoryStorage)
    runner: ScriptedRunner = field(default_factory=lambda: ScriptedRunner(echo))
    wallet: KeySigner = field(default_factory=lambda: key("worker"))
    scheduler: KeySigner = field(default_factory=lambda: key("scheduler"))
    web: MemoryWeb = field(default_factory=MemoryWeb)
    news: list[News] = field(default_factory=list)
    deals: int = 0

    def __post_init__(self) -> None:
        """Make the vault for this worker, and enclaves that run the same apps."""
        self.vault = MemoryVault(self.wallet, VaultId(vault=key("vault").address, chain_id=self.hub.chain_id, hub=self.hub.address))
        self.enclaves = MemoryEnclaves(self.runner)
        self.bags = MemoryBags(self.hub)

    @property
    def me(self) -> Address:
        """The worker's address."""
        return self.wallet.address

    @property
    def account(self) -> Account:
        """The worker's money at the hub."""
        return self.hub.accounts[self.me]

    def deal(self, *, initialize: bool = True, **changes: Any) -> DealId:
        """Make a deal, and open its tasks."""
        self.deals += 1
        name = DealId(hash32_of(b"deal", str(self.deals).encode()))
        self.hub.deals[name] = make_deal(APP, WORKERPOOL, self.scheduler.address, **changes)
        for index in range(self.hub.deals[name].bot_size if initialize else 0):
            self.hub.initialize(name, self.hub.deals[name].bot_first + index)
        return name

    def settings(self, **changes: Any) -> WorkerSettings:
        """What the worker is told: impatient, so that tests are fast."""
        told: dict[str, Any] = {
            "pool_url": self.pool.url,
            "rpc_url": "http://127.0.0.1:1",
            "folder": self.folder,
            "hub": self.hub.address,
            "name": "tester",
            "slots": 2,
            "watch_s": 0.02,
            "retry_s": 0.01,
            "max_retry_s": 0.05,
            "handshake_s": 60.0,
        }
        return WorkerSettings(**{**told, **changes})

    @property
    def parts(self) -> Parts:
        """The worker's world."""
        return Parts(
            ledger=self.hub.ledger(self.me),
            bag_ledger=self.bags.ledger(self.me),
            runner=self.runner,
            open_storage=self.storage.open,
            sessions=self.vault.open,
            enclaves=self.enclaves,
            web=self.web,
            random=lambda: 0.5,
        )

    @asynccontextmanager
    async def working(self, *, parts: Parts | None = None, **changes: Any) -> AsyncIterator[Worker]:
        """Let the worker work meanwhile; afterwards it is stopped in an orderly way."""
        folder = WorkerFolder(self.folder)
        worker = Worker(self.settings(**changes), self.wallet, folder=folder, parts=parts or self.parts, on_news=self._hear)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(worker.run)
            yield worker
            tasks.cancel_scope.cancel()

    def _hear(self, news: News) -> None:
        self.news.append(news)
        self.pool.wake()

    async def until(self, condition: Callable[[], bool], what: str = "what the test waits for") -> None:
        """Wait until something is so; looked at whenever the worker or the pool says something."""
        await self.pool.until(condition, f"{what} (news: {self.news[-5:]})")

    async def reaches(self, task: TaskId, phase: Phase, count: int = 1) -> None:
        """Wait until the worker's replica is in a phase for the count-th time."""
        await self.until(lambda: self.news.count(Moved(task, phase)) >= count, f"{phase} of {task}")

    async def fails(self, task: TaskId) -> Failed:
        """Wait until the worker gives a task up."""
        await self.until(lambda: any(isinstance(each, Failed) and each.task_id == task for each in self.news), f"failure of {task}")
        return next(each for each in self.news if isinstance(each, Failed) and each.task_id == task)

    def result(self, task: TaskId) -> ResultArchive:
        """Open the result that the worker has on its disk."""
        return open_archive((self.folder / "tasks" / task / "result.zip").read_bytes())

    async def does_a_task(self) -> TaskId:
        """Check that the worker goes on: give it an ordinary task, and see it revealed."""
        await self.pool.joined()
        task = await self.pool.assign(self.deal(), 0, self.me)
        await self.reaches(task, Phase.REVEALED)
        return task


def outcome_of(bench: Bench, what: str) -> list[TaskId | None]:
    """The tasks of all transactions of a kind that the worker sent."""
    return [task for kind, worker, task in bench.hub.sent if kind == what and worker == bench.me]


@asynccontextmanager
async def open_bench(folder: Path, **changes: Any) -> AsyncIterator[Bench]:
    """Make a world with a worker that has 100 nRLC in the hub."""
    hub = MemoryHub()
    pool = ScriptedPool(key("scheduler"), WORKERPOOL, hub.address, hub.chain_id, storage_url="memory://")
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(pool.open())
        bench = replace(Bench(folder, pool, hub=hub), **changes)
        hub.accounts[bench.me] = Account(NRLC(100), NRLC(0))
        app = bench.storage.add(MODULE)
        hub.apps[APP] = AppInfo(
            owner=bench.scheduler.address,
            name="echo",
            type="WASM",
            multiaddr=f"/ipfs/{app}".encode(),
            checksum=Hash32("0x" + sha256(MODULE).hex()),
            mrenclave=b"",
        )
        yield bench


def changed(hub: MemoryHub, app: Address, **changes: Any) -> None:
    """Change an app's entry."""
    hub.apps[app] = msgspec.structs.replace(hub.apps[app], **changes)
