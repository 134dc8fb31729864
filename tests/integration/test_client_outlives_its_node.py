"""A client that waits while its node is stopped and started again hears everything that happened, once it is back."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from voisin.chain import Chain, Sender, calls, deployment_plan, execute_plan, open_chain
from voisin.chain.devnet import DevnetSettings, development_keys, serve_devnet
from voisin.chain.rpc import Rpc
from voisin.client.apps import AppFile, app_info, predicted
from voisin.client.requester import new_salt
from voisin.client.watch import Stage, Watch
from voisin.errors import UnavailableError
from voisin.protocol.eip712 import sign_order
from voisin.protocol.events import OrdersMatched
from voisin.protocol.ids import DealId, task_id
from voisin.protocol.orders import AppOrder, RequestOrder, WorkerpoolOrder
from voisin.protocol.signatures import KeySigner
from voisin.units import NRLC

pytestmark = pytest.mark.anyio

OWNER = development_keys()[0]


async def free_deal(chain: Chain, owner: KeySigner) -> DealId:
    """Make a deal of two tasks in which one owner plays every role and nothing costs anything."""
    sender, me = Sender(chain, owner), owner.address
    info = app_info(me, AppFile("app", b"\0asm\1\0\0\0", None))
    app, pool = await predicted(chain, info), await chain.registries.predict_workerpool(me, "pool")
    await sender.send(calls.create_app(chain.app_registry, info))
    await sender.send(calls.create_workerpool(chain.workerpool_registry, me, "pool"))
    free, shared = NRLC(0), {"volume": 2, "salt": new_salt()}
    offers = (
        sign_order(AppOrder(app=app, appprice=free, **shared), chain.domain, owner),
        sign_order(WorkerpoolOrder(workerpool=pool, workerpoolprice=free, category=0, trust=1, **shared), chain.domain, owner),
        sign_order(
            RequestOrder(
                app=app, appmaxprice=free, workerpoolmaxprice=free, requester=me, category=0, trust=1, beneficiary=me, params="", **shared
            ),
            chain.domain,
            owner,
        ),
    )
    receipt = await sender.send(calls.match_orders(chain.hub_address, offers[0], None, offers[1], offers[2]))
    return next(logged.event.deal_id for logged in receipt.events if isinstance(logged.event, OrdersMatched))


async def test_a_restarted_node_loses_no_news(tmp_path: Path) -> None:
    settings = DevnetSettings(db=tmp_path / "chain.db", port=0)
    async with serve_devnet(settings) as node:
        port = int(node.rpc_url.rsplit(":", 1)[1])
        async with Rpc(node.rpc_url) as rpc:
            hub = (await execute_plan(Sender(rpc, OWNER), deployment_plan(OWNER.address, 31337))).hub
        async with open_chain(node.rpc_url, hub) as chain:
            deal = await free_deal(chain, OWNER)
    again = DevnetSettings(db=tmp_path / "chain.db", port=port)
    async with anyio.create_task_group() as tasks:
        async with serve_devnet(again) as node:
            chain = await tasks.start(_hold_chain, node.rpc_url, hub)
            watch = Watch(chain)
            tasks.start_soon(watch.run)
            first, second = task_id(deal, 0), task_id(deal, 1)
            watched = await watch.add([first, second])
            await Sender(chain, OWNER).send(calls.initialize(hub, deal, 0))
            await _until(watch, lambda: watched[first].stage is Stage.STARTED)
        with pytest.raises(UnavailableError):
            await chain.block_number()
        assert watched[second].stage is Stage.WAITING
        async with serve_devnet(again) as node:
            await Sender(chain, OWNER).send(calls.initialize(hub, deal, 1))
            await _until(watch, lambda: watched[second].stage is Stage.STARTED)
            tasks.cancel_scope.cancel()


async def test_a_node_that_stays_away_is_told_to_those_who_wait(tmp_path: Path) -> None:
    settings = DevnetSettings(db=tmp_path / "chain.db", port=0)
    async with anyio.create_task_group() as tasks:
        async with serve_devnet(settings) as node:
            async with Rpc(node.rpc_url) as rpc:
                hub = (await execute_plan(Sender(rpc, OWNER), deployment_plan(OWNER.address, 31337))).hub
            chain = await tasks.start(_hold_chain, node.rpc_url, hub)
            watch = Watch(chain, patience_s=0.1)
            tasks.start_soon(watch.run)
            (watched,) = (await watch.add([task_id(DealId(new_salt()), 0)])).values()
        with anyio.fail_after(60), pytest.raises(UnavailableError):
            await watched.final()
        tasks.cancel_scope.cancel()


async def _hold_chain(rpc_url: str, hub: object, *, task_status: anyio.abc.TaskStatus[Chain]) -> None:
    async with open_chain(rpc_url, hub) as chain:  # type: ignore[arg-type]
        task_status.started(chain)
        await anyio.sleep_forever()


async def _until(watch: Watch, holds: object) -> None:
    with anyio.fail_after(60):
        while not holds():  # type: ignore[operator]
            await watch.changed()
