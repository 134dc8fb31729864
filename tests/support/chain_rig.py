"""An embedded chain with a market on it, and the people of the market with their wallets, for the tests of the chain client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from voisin.chain import Admission, Call, Chain, Deployment, Receipt, Rpc, Sender, calls, deployment_plan, execute_plan, open_chain
from voisin.chain.devnet import Devnet, DevnetSettings, development_keys, serve_devnet
from voisin.protocol.eip712 import sign_order
from voisin.protocol.events import EntryTransferred, OrdersMatched
from voisin.protocol.ids import ZERO_ADDRESS, Address, DealId, Hash32, TaskId, task_id
from voisin.protocol.orders import AppOrder, RequestOrder, WorkerpoolOrder
from voisin.protocol.records import AppInfo
from voisin.protocol.results import result_hash, result_seal, sign_authorization
from voisin.protocol.signatures import KeySigner
from voisin.units import NRLC

RLC = 10**9
SALT = Hash32("0x" + "5a" * 32)
DIGEST = Hash32("0x" + "ab" * 32)
APP_PRICE, POOL_PRICE = NRLC(3 * RLC), NRLC(10 * RLC)


@dataclass
class Rig:
    """A running chain and its people; the owner made the contracts and holds all tokens."""

    node: Devnet
    chain: Chain
    deployment: Deployment

    def __post_init__(self) -> None:
        self.owner, self.requester, self.scheduler, self.app_owner, self.stranger, *self.workers = development_keys(10)
        self.senders = {wallet.address: Sender(self.chain, wallet) for wallet in development_keys(10)}

    async def send(self, wallet: KeySigner, call: Call) -> Receipt:
        """Carry a call out as somebody."""
        return await self.senders[wallet.address].send(call)

    async def fund(self, wallet: KeySigner, amount: int) -> None:
        """Give somebody money inside the hub [nRLC]."""
        await self.send(self.owner, calls.transfer(self.chain.token_address, wallet.address, NRLC(amount)))
        await self.send(wallet, calls.approve_and_call(self.chain.token_address, self.chain.hub_address, NRLC(amount)))

    async def create_app(self) -> Address:
        """Enter the app owner's app."""
        info = AppInfo(owner=self.app_owner.address, name="app", type="WASM", multiaddr=b"/ipfs/x", checksum=SALT, mrenclave=b"")
        return _entry(await self.send(self.app_owner, calls.create_app(self.chain.app_registry, info)))

    async def create_pool(self) -> Address:
        """Enter the scheduler's workerpool."""
        return _entry(
            await self.send(self.scheduler, calls.create_workerpool(self.chain.workerpool_registry, self.scheduler.address, "pool"))
        )

    def orders(
        self, app: Address, pool: Address, *, volume: int = 3, trust: int = 4, params: str = "{}", callback: Address = ZERO_ADDRESS
    ) -> tuple[AppOrder, WorkerpoolOrder, RequestOrder]:
        """Signed orders that fit."""
        domain = self.chain.domain
        request = RequestOrder(
            app=app, appmaxprice=APP_PRICE, workerpool=pool, workerpoolmaxprice=POOL_PRICE, requester=self.requester.address,
            volume=volume, category=0, trust=trust, beneficiary=self.requester.address, params=params,
            callback=callback, salt=SALT,
        )  # fmt: skip
        return (
            sign_order(AppOrder(app=app, appprice=APP_PRICE, volume=volume, salt=SALT), domain, self.app_owner),
            sign_order(
                WorkerpoolOrder(workerpool=pool, workerpoolprice=POOL_PRICE, volume=volume, category=0, trust=trust, salt=SALT),
                domain,
                self.scheduler,
            ),
            sign_order(request, domain, self.requester),
        )

    async def deal(self, *, volume: int = 3, trust: int = 4, params: str = "{}", callback: Address = ZERO_ADDRESS) -> DealId:
        """Make a deal with everything that it needs."""
        await self.fund(self.requester, 1000 * RLC)
        await self.fund(self.scheduler, 1000 * RLC)
        for worker in self.workers:
            await self.fund(worker, 100 * RLC)
        entries = await self.create_app(), await self.create_pool()
        app, pool, request = self.orders(*entries, volume=volume, trust=trust, params=params, callback=callback)
        receipt = await self.send(self.stranger, calls.match_orders(self.chain.hub_address, app, None, pool, request))
        return next(logged.event.deal_id for logged in receipt.events if isinstance(logged.event, OrdersMatched))

    async def complete(self, deal: DealId, index: int = 0, *, digest: Hash32 = DIGEST) -> TaskId:
        """Have the first two workers agree on a task of trust 3 at most, and settle it."""
        hub, task, crew = self.chain.hub_address, task_id(deal, index), self.workers[:2]
        await self.send(self.stranger, calls.initialize(hub, deal, index))
        for worker in crew:
            seal = result_seal(worker.address, task, digest)
            admission = Admission(sign_authorization(self.scheduler, worker.address, task))
            call = calls.contribute(hub, task, result_hash=result_hash(task, digest), result_seal=seal, admission=admission)
            await self.send(worker, call)
        for worker in crew:
            await self.send(worker, calls.reveal(hub, task, digest))
        await self.send(self.scheduler, calls.finalize(hub, task, b"over there"))
        return task


def _entry(receipt: Receipt) -> Address:
    (logged,) = receipt.events
    assert isinstance(logged.event, EntryTransferred)
    assert logged.event.sender == ZERO_ADDRESS
    return logged.event.entry


@asynccontextmanager
async def deployed(rpc_url: str) -> AsyncIterator[tuple[Chain, Deployment]]:
    """Put a market on a chain and connect to it."""
    owner = development_keys(1)[0]
    async with Rpc(rpc_url) as rpc:
        sender = Sender(rpc, owner)
        deployment = await execute_plan(sender, deployment_plan(owner.address, await sender.chain_id()))
    async with open_chain(rpc_url, deployment.hub) as chain:
        yield chain, deployment


@asynccontextmanager
async def open_rig(settings: DevnetSettings | None = None) -> AsyncIterator[Rig]:
    """Start a chain with a market."""
    async with serve_devnet(settings or DevnetSettings()) as node, deployed(node.rpc_url) as (chain, deployment):
        yield Rig(node, chain, deployment)
