"""A pool among real parts: embedded chain with contracts, storage, its own HTTP port; workers are those of `pool_worker`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import httpx
from anyio.abc import TaskGroup
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.support.bag_worker import BagWorker
from tests.support.chain_rig import APP_PRICE, POOL_PRICE, RLC, Rig, open_rig
from tests.support.pool_worker import DEADLINE_S, ChainHand, TestWorker
from voisin.chain import calls, follow
from voisin.pool import Pool, PoolSettings, open_pool
from voisin.pool.heart.records import ENDS
from voisin.pool.running.desk import ClosedError
from voisin.pool.wire.words import PoolWorkerView
from voisin.protocol.api import PoolTaskView
from voisin.protocol.codec import decode
from voisin.protocol.eip712 import sign_order
from voisin.protocol.events import EntryTransferred, Event, OrdersMatched
from voisin.protocol.ids import ZERO_ADDRESS, Address, DealId, Hash32, TaskId, task_id
from voisin.protocol.orders import AppOrder, RequestOrder, WorkerpoolOrder
from voisin.service.serving import serve_app
from voisin.storage import BlobStore, StorageClient, create_storage_app

POLL_S = 0.02


@dataclass
class WsLine:
    """A worker's end of a real WebSocket."""

    socket: ClientConnection

    async def send(self, text: str) -> None:
        try:
            await self.socket.send(text)
        except ConnectionClosed:
            raise ClosedError from None

    async def receive(self) -> str:
        try:
            data = await self.socket.recv()
        except ConnectionClosed:
            raise ClosedError from None
        assert isinstance(data, str)
        return data


@dataclass
class Running:
    """A pool that is being served."""

    pool: Pool
    url: str
    http: httpx.AsyncClient

    async def task(self, task: TaskId) -> PoolTaskView:
        """What the pool says of a task over HTTP."""
        return decode((await self.http.get(f"/v1/tasks/{task}")).raise_for_status().content, PoolTaskView, "the view")

    async def ended(self, task: TaskId) -> PoolTaskView:
        """What the pool says of a task once it has heard of its end, which may be a moment after the chain."""
        with anyio.fail_after(DEADLINE_S):
            while True:
                view = await self.task(task)
                if view.phase in ENDS:
                    return view
                await anyio.sleep(POLL_S)

    async def fined(self, name: str) -> int:
        """How often the pool has seen a worker fined, once that is not never."""
        with anyio.fail_after(DEADLINE_S):
            while True:
                shown = decode((await self.http.get("/v1/workers")).content, list[PoolWorkerView], "the view")
                if faults := {view.name: view.faulty for view in shown}[name]:
                    return faults
                await anyio.sleep(POLL_S)


@dataclass
class PoolRig:
    """Everything around a pool."""

    rig: Rig
    folder: Path
    storage: StorageClient
    storage_url: str
    app: Address
    workerpool: Address = ZERO_ADDRESS
    made: int = 0
    named: int = 0
    workers: dict[int, TestWorker] = field(default_factory=dict)

    async def refresh(self, folder: Path) -> None:
        """Enter another workerpool, with records of its own and workers that hold nothing."""
        self.made += 1
        self.named = self.made
        self.folder, self.workers = folder, {}
        call = calls.create_workerpool(self.rig.chain.workerpool_registry, self.rig.scheduler.address, f"pool {self.made}")
        (created, *_) = (await self.rig.send(self.rig.scheduler, call)).events
        assert isinstance(created.event, EntryTransferred)
        self.workerpool = created.event.entry

    @asynccontextmanager
    async def pool(self, **changes: object) -> AsyncIterator[Running]:
        """Run the pool on its database until the context ends."""
        fields: dict[str, object] = {
            "database_url": f"sqlite:///{self.folder}/pool.sqlite",
            "rpc_url": self.rig.node.rpc_url,
            "hub": self.rig.deployment.hub,
            "start_block": self.rig.deployment.block,
            "workerpool": self.workerpool,
            "storage_url": self.storage_url,
            "price": POOL_PRICE,
            "heartbeat_s": 1000,
            "tick_s": 0.05,
            "step_pause_s": 0.05,
        }
        settings = PoolSettings(**(fields | changes))
        async with (
            open_pool(settings, self.rig.scheduler) as pool,
            serve_app(pool.app, max_message_bytes=settings.max_message_bytes) as url,
            httpx.AsyncClient(base_url=url) as http,
        ):
            pool.service.answer_at(url)
            yield Running(pool, url, http)

    def worker(self, number: int, **changes: object) -> TestWorker:
        """A worker by number, with its wallet on the chain."""
        if number not in self.workers:
            wallet = self.rig.workers[number]
            hand = ChainHand(self.rig.chain, self.rig.senders[wallet.address], wallet)
            self.workers[number] = TestWorker(wallet, hand, self._put, name=f"worker-{number}", **changes)
        return self.workers[number]

    async def _put(self, data: bytes) -> str:
        return await self.storage.put_bytes(data)

    async def deal(
        self, volume: int = 1, *, trust: int = 1, callback: Address = ZERO_ADDRESS, category: int = 0, params: str = "{}"
    ) -> list[TaskId]:
        """Match orders of a fresh deal; answers its tasks."""
        made = await self._match(volume, trust=trust, callback=callback, category=category, params=params)
        return [task_id(made, index) for index in range(volume)]

    async def _match(self, volume: int, *, trust: int, callback: Address, category: int, params: str) -> DealId:
        self.made += 1
        salt, domain, rig = Hash32(f"0x{self.made:064x}"), self.rig.chain.domain, self.rig
        app = AppOrder(app=self.app, appprice=APP_PRICE, volume=volume, salt=salt)
        pool = WorkerpoolOrder(
            workerpool=self.workerpool, workerpoolprice=POOL_PRICE, volume=volume, category=category, trust=trust, salt=salt
        )
        request = RequestOrder(
            app=self.app,
            appmaxprice=APP_PRICE,
            workerpool=self.workerpool,
            workerpoolmaxprice=POOL_PRICE,
            requester=rig.requester.address,
            volume=volume,
            category=category,
            trust=trust,
            beneficiary=rig.requester.address,
            callback=callback,
            params=params,
            salt=salt,
        )
        orders = sign_order(app, domain, rig.app_owner), sign_order(pool, domain, rig.scheduler), sign_order(request, domain, rig.requester)
        call = calls.match_orders(rig.chain.hub_address, orders[0], None, orders[1], orders[2])
        receipt = await rig.send(rig.stranger, call)
        return DealId(next(logged.event.deal_id for logged in receipt.events if isinstance(logged.event, OrdersMatched)))

    async def bag(self, volume: int, *, window_s: int = 0, trust: int = 1, callback: Address = ZERO_ADDRESS) -> DealId:
        """Match orders of a fresh deal that is settled as a bag."""
        params = f'{{"voisin_window":"{window_s:06d}"}}'
        return await self._match(volume, trust=trust, callback=callback, category=0, params=params)

    def bag_worker(self, number: int, **changes: object) -> BagWorker:
        """A worker of bags, with a wallet on the chain."""
        wallet, domain = self.rig.workers[number], self.rig.chain.domain
        return BagWorker(wallet, domain, self.rig.scheduler.address, self._put, name=f"worker-{number}", **changes)

    async def seen(self, kind: type[Event], *tasks: TaskId) -> None:
        """Wait until the hub has logged an event of a kind for each of some tasks."""
        missing = set(tasks)
        with anyio.fail_after(DEADLINE_S):
            async for stretch in follow(self.rig.chain, self.rig.deployment.block):
                missing -= {getattr(logged.event, "task_id", None) for logged in stretch.events if isinstance(logged.event, kind)}
                if not missing:
                    return

    async def travel(self, seconds: int) -> None:
        """Send the chain into the future."""
        await self.rig.chain.rpc.call("evm_increaseTime", seconds)
        await self.rig.chain.rpc.call("evm_mine")


async def connected(worker: TestWorker | BagWorker, url: str) -> None:
    """Have a worker connect and work until its pool is gone."""
    async with connect(url.replace("http", "ws") + "/v1/worker", proxy=None) as socket:
        await worker.run(WsLine(socket))


def join(tasks: TaskGroup, running: Running, *workers: TestWorker | BagWorker) -> None:
    """Have workers connect."""
    for worker in workers:
        tasks.start_soon(connected, worker, running.url)


@asynccontextmanager
async def open_pool_rig(folder: Path) -> AsyncIterator[PoolRig]:
    """Start chain and storage, enter an app, and give everybody money."""
    async with (
        open_rig() as rig,
        serve_app(create_storage_app(BlobStore(folder / "blobs"))) as storage_url,
        StorageClient(storage_url) as storage,
    ):
        for wallet in (rig.requester, rig.scheduler, *rig.workers):
            await rig.fund(wallet, 10_000 * RLC)
        yield PoolRig(rig, folder, storage, storage_url, await rig.create_app())
