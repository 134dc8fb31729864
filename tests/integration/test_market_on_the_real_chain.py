"""A market on the embedded chain with the real contracts: from the first order to the finished task, over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import anyio
import httpx
import msgspec
import pytest

from tests.support.chain_rig import APP_PRICE, POOL_PRICE, RLC, Rig, open_rig
from tests.support.patience import a_moment
from voisin.chain import Admission, calls
from voisin.errors import InputError
from voisin.market import MarketSettings, Wish, open_market, sign_wish
from voisin.protocol.api import (
    DealEntry,
    DealPage,
    OrderPage,
    OrderStatus,
    Problem,
    PublishedAppOrder,
    PublishedDatasetOrder,
    PublishedOrder,
    PublishedRequestOrder,
    PublishedWorkerpoolOrder,
    TaskEntry,
    TaskPage,
)
from voisin.protocol.eip712 import Operation, order_hash, sign_order
from voisin.protocol.events import OrdersMatched
from voisin.protocol.ids import ZERO_ADDRESS, ZERO_HASH, Address, DealId, Hash32, OrderHash, task_id
from voisin.protocol.orders import AppOrder, Order, RequestOrder, WorkerpoolOrder, order_kind
from voisin.protocol.records import TaskStatus
from voisin.protocol.results import result_hash, result_seal, sign_authorization
from voisin.protocol.signatures import KeySigner
from voisin.units import NRLC, UnixSeconds

pytestmark = pytest.mark.anyio

DEADLINE_S = 120.0
DIGEST = Hash32("0x" + "ab" * 32)
AnswerT = TypeVar("AnswerT")


@dataclass
class Shop:
    """A market, seen by its clients."""

    http: httpx.AsyncClient

    async def get(self, path: str, kind: type[AnswerT]) -> AnswerT:
        """Ask for something that is there."""
        answer = await self.http.get(path)
        assert answer.status_code == 200, answer.text
        return msgspec.json.decode(answer.content, type=kind)

    async def publish(self, order: Order, status: int = 201) -> httpx.Response:
        """Publish an order."""
        answer = await self.http.post("/v1/orders", content=msgspec.json.encode({"kind": order_kind(order).value, "order": order}))
        assert answer.status_code == status, answer.text
        return answer

    async def order(self, name: str) -> PublishedOrder:
        """Look an order up."""
        kinds = PublishedAppOrder | PublishedDatasetOrder | PublishedWorkerpoolOrder | PublishedRequestOrder
        found: PublishedOrder = await self.get(f"/v1/orders/{name}", kinds)  # type: ignore[arg-type]
        return found

    async def until(self, name: str, status: OrderStatus, remaining: int) -> None:
        """Wait until an order stands so."""
        await eventually(lambda: self.order(name), lambda found: (found.status, found.remaining) == (status, remaining))


async def eventually(look: Callable[[], Awaitable[AnswerT]], is_so: Callable[[AnswerT], bool]) -> AnswerT:
    """Look again and again until it is so."""
    with anyio.move_on_after(DEADLINE_S):
        while True:
            found = await look()
            if is_so(found):
                return found
            await a_moment()
    raise AssertionError(f"after {DEADLINE_S} s it is still {found}")


def settings(rig: Rig, folder: Path) -> MarketSettings:
    """Set the market of a rig up."""
    return MarketSettings(
        database_url=f"sqlite:///{folder / 'market.sqlite'}",
        rpc_url=rig.node.rpc_url,
        hub=rig.chain.hub_address,
        start_block=rig.deployment.block,
    )


@asynccontextmanager
async def open_shop(rig: Rig, folder: Path) -> AsyncIterator[Shop]:
    """Open the market of a rig."""
    async with open_market(settings(rig, folder)) as market:
        transport = httpx.ASGITransport(app=market.app)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://market") as http:
            yield Shop(http)


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    """A chain with a hub, and money for requester, scheduler and one worker."""
    async with open_rig() as rig:
        for wallet, amount in ((rig.requester, 100 * RLC), (rig.scheduler, 100 * RLC), (rig.workers[0], 10 * RLC)):
            await rig.fund(wallet, amount)
        yield rig


async def run_task(rig: Rig, deal: DealId, index: int) -> None:
    """Bring a task of a deal of trust 1 to its end."""
    hub, task, worker = rig.chain.hub_address, task_id(deal, index), rig.workers[0]
    await rig.send(rig.stranger, calls.initialize(hub, deal, index))
    contribution = calls.contribute(
        hub,
        task,
        result_hash=result_hash(task, DIGEST),
        result_seal=result_seal(worker.address, task, DIGEST),
        admission=Admission(sign_authorization(rig.scheduler, worker.address, task)),
    )
    await rig.send(worker, contribution)
    await rig.send(worker, calls.reveal(hub, task, DIGEST))
    await rig.send(rig.scheduler, calls.finalize(hub, task, b"\x01\x02"))


async def test_from_orders_to_a_finished_task_across_a_restart(rig: Rig, tmp_path: Path) -> None:
    domain, hub = rig.chain.domain, rig.chain.hub_address
    app_entry, pool_entry = await rig.create_app(), await rig.create_pool()
    app, pool, request = rig.orders(app_entry, pool_entry, volume=3, trust=1)
    small = sign_order(msgspec.structs.replace(request, volume=2), domain, rig.requester)
    names = [order_hash(order, domain) for order in (app, pool, small)]
    async with open_shop(rig, tmp_path) as shop:
        for order in (app, pool, small):
            await shop.publish(order)
            await shop.publish(order, 200)
        offers = await shop.get(f"/v1/orders?kind=workerpool&category=0&min_trust=1&max_price={POOL_PRICE}", OrderPage)
        assert [offer.order for offer in offers.orders] == [pool]
        receipt = await rig.send(rig.stranger, calls.match_orders(hub, app, None, pool, small))
        deal_id = next(logged.event.deal_id for logged in receipt.events if isinstance(logged.event, OrdersMatched))
        await shop.until(names[2], OrderStatus.FILLED, 0)
        await shop.until(names[0], OrderStatus.OPEN, 1)
    await run_task(rig, deal_id, 0)  # while the market is closed
    async with open_shop(rig, tmp_path) as shop:
        tasks = await eventually(
            lambda: shop.get(f"/v1/deals/{deal_id}/tasks", TaskPage),
            lambda page: bool(page.tasks) and page.tasks[0].status is TaskStatus.COMPLETED,
        )
        task = task_id(deal_id, 0)
        expected = TaskEntry(
            task_id=task,
            deal_id=deal_id,
            index=0,
            status=TaskStatus.COMPLETED,
            consensus=result_hash(task, DIGEST),
            results="0x0102",
        )
        assert tasks.tasks == (expected,)
        assert await shop.get(f"/v1/tasks/{task}", TaskEntry) == expected
        deals = await shop.get(f"/v1/deals?requester={rig.requester.address}&app={app_entry}&workerpool={pool_entry}", DealPage)
        on_chain = await rig.chain.hub.deal(deal_id)
        assert deals.count == 1
        assert deals.deals[0] == DealEntry(
            deal_id=deal_id,
            app=app_entry,
            dataset=ZERO_ADDRESS,
            workerpool=pool_entry,
            app_owner=rig.app_owner.address,
            dataset_owner=ZERO_ADDRESS,
            workerpool_owner=rig.scheduler.address,
            requester=rig.requester.address,
            beneficiary=rig.requester.address,
            callback=ZERO_ADDRESS,
            params="{}",
            app_price=APP_PRICE,
            dataset_price=NRLC(0),
            workerpool_price=POOL_PRICE,
            app_order=names[0],
            dataset_order=OrderHash(ZERO_HASH),
            workerpool_order=names[1],
            request_order=names[2],
            category=0,
            trust=1,
            tag=on_chain.tag,
            first_index=0,
            volume=2,
            worker_stake=on_chain.worker_stake,
            scheduler_reward_ratio=on_chain.scheduler_reward_ratio,
            start=on_chain.start_time,
            block=receipt.block,
            tx_hash=receipt.tx_hash,
        )


async def test_orders_die_and_come_back_as_the_chain_says(rig: Rig, tmp_path: Path) -> None:
    chain, hub, domain = rig.chain, rig.chain.hub_address, rig.chain.domain
    app, pool, request = rig.orders(await rig.create_app(), await rig.create_pool(), volume=3, trust=1)
    async with open_shop(rig, tmp_path) as shop:
        for order in (app, pool, request):
            await shop.publish(order)
        of_app, of_pool, of_request = (order_hash(order, domain) for order in (app, pool, request))

        await rig.send(rig.requester, calls.withdraw(hub, NRLC(88 * RLC)))  # 12 RLC are left, a task costs 13
        await shop.until(of_request, OrderStatus.DEAD, 3)
        await rig.send(rig.scheduler, calls.withdraw(hub, NRLC(98 * RLC)))  # 2 RLC are left, a task locks 3
        await shop.until(of_pool, OrderStatus.DEAD, 3)
        await rig.fund(rig.requester, RLC)
        await shop.until(of_request, OrderStatus.OPEN, 3)
        await rig.fund(rig.scheduler, RLC)
        await shop.until(of_pool, OrderStatus.OPEN, 3)

        heir = rig.stranger
        await rig.send(
            rig.app_owner, calls.transfer_entry(chain.app_registry, app.app, owner=rig.app_owner.address, recipient=heir.address)
        )
        await shop.until(of_app, OrderStatus.DEAD, 3)
        await rig.send(heir, calls.transfer_entry(chain.app_registry, app.app, owner=heir.address, recipient=rig.app_owner.address))
        await shop.until(of_app, OrderStatus.OPEN, 3)

        for owner, order, name in ((rig.app_owner, app, of_app), (rig.scheduler, pool, of_pool), (rig.requester, request, of_request)):
            await rig.send(owner, calls.manage_order(hub, order, Operation.CLOSE))
            await shop.until(name, OrderStatus.CANCELLED, 0)
        assert (await shop.get("/v1/orders", OrderPage)).count == 0


async def test_what_the_chain_refuses_the_market_refuses(rig: Rig, tmp_path: Path) -> None:
    domain, hub = rig.chain.domain, rig.chain.hub_address
    app_entry, pool_entry = await rig.create_app(), await rig.create_pool()
    app, pool, request = rig.orders(app_entry, pool_entry, volume=3, trust=1)

    def changed(order: Order, signer: KeySigner, **changes: object) -> Order:
        different: AppOrder | WorkerpoolOrder | RequestOrder = msgspec.structs.replace(order, **changes)  # type: ignore[arg-type]
        return sign_order(different, domain, signer)

    async with open_shop(rig, tmp_path) as shop:
        unsigned = msgspec.structs.replace(app, sign="0x")
        for order, status, words in (
            (unsigned, 403, "not signed by"),
            (changed(app, rig.stranger), 403, f"not signed by {rig.app_owner.address}"),
            (msgspec.structs.replace(pool, sign="0x" + "11" * 65), 403, "not signed by"),
            (changed(app, rig.app_owner, app=pool_entry), 400, f"app {pool_entry} is not registered"),
            (changed(app, rig.app_owner, app=Address("0x" + "11" * 20)), 400, "is not registered"),
            (changed(pool, rig.scheduler, category=5), 400, "category 5 does not exist"),
            (changed(request, rig.requester, workerpoolmaxprice=98 * RLC), 409, "1 RLC missing"),
            (changed(pool, rig.scheduler, workerpoolprice=340 * RLC), 409, "2 RLC missing"),
        ):
            problem = msgspec.json.decode((await shop.publish(order, status)).content, type=Problem)
            assert words in problem.detail
        await rig.send(rig.app_owner, calls.manage_order(hub, app, Operation.SIGN))
        await shop.publish(unsigned)  # signed on the chain now


async def test_taking_an_order_out(rig: Rig, tmp_path: Path) -> None:
    app, _, _ = rig.orders(await rig.create_app(), await rig.create_pool())
    name, now = order_hash(app, rig.chain.domain), UnixSeconds(int(await rig.chain.block_time()))
    async with open_shop(rig, tmp_path) as shop:
        await shop.publish(app)
        for signer, status in ((rig.stranger, 403), (rig.app_owner, 200)):
            headers = {"Voisin-Signature": sign_wish(signer, Wish.UNPUBLISH, name, now)}
            assert (await shop.http.delete(f"/v1/orders/{name}", headers=headers)).status_code == status
        assert (await shop.order(name)).status is OrderStatus.REMOVED


async def test_no_hub_or_another_one(rig: Rig, tmp_path: Path) -> None:
    async with open_market(settings(rig, tmp_path)):
        pass
    for changes, words in (
        ({"hub": ZERO_ADDRESS}, "does not know its hub"),
        ({"hub": rig.chain.token_address}, "is not a hub"),
        ({"hub": Address("0x" + "11" * 20)}, "no contract at"),
    ):
        with pytest.raises(InputError, match=words):
            async with open_market(settings(rig, tmp_path).model_copy(update=changes)):
                pass
