"""
Our client on the original contracts, as they stand on the public networks: it reads them, and makes and ends a deal there.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest

from tests.support.chain_rig import APP_PRICE, DIGEST, POOL_PRICE, RLC, Rig
from tests.support.npm import requires_npm
from tests.support.original import PACKAGES
from tests.support.original_chain import original_on
from voisin.chain import calls, events_of, open_chain
from voisin.chain.devnet import DevnetSettings, serve_devnet
from voisin.chain.keystore import create_keystore
from voisin.cli import main
from voisin.client import Network, connect_async, save_network
from voisin.errors import RevertError, StateError
from voisin.protocol.eip712 import Operation, order_hash
from voisin.protocol.events import CategoryCreated, OrdersMatched, TaskFinalized
from voisin.protocol.ids import ZERO_ADDRESS, task_id
from voisin.protocol.orders import OrderKind
from voisin.protocol.records import Account, ContributionStatus, TaskStatus
from voisin.units import NRLC

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    """A chain with the original contracts."""
    requires_npm(*PACKAGES)
    async with serve_devnet(DevnetSettings()) as node:
        deployment = await original_on(node)
        async with open_chain(node.rpc_url, deployment.hub) as chain:
            yield Rig(node, chain, deployment)


def network(rig: Rig) -> Network:
    """The market as a public network is described: a chain, a hub, and no order book."""
    return Network(chain_id=31337, rpc_url=rig.node.rpc_url, hub=rig.chain.hub_address, market_url="", storage_url="http://127.0.0.1:9")


async def test_everything_is_read(rig: Rig, tmp_path: Path) -> None:
    chain, deployment = rig.chain, rig.deployment
    contracts = (deployment.hub, deployment.app_registry, deployment.dataset_registry, deployment.workerpool_registry, deployment.token)
    assert chain.contracts == contracts
    assert (chain.domain.name, chain.domain.version, chain.domain.chain_id) == ("iExecODB", "5.0.0", 31337)
    assert [(each.name, each.time_ref_s) for each in await chain.hub.categories()] == [
        ("XS", 300), ("S", 1200), ("M", 3600), ("L", 10_800), ("XL", 36_000),
    ]  # fmt: skip
    assert await chain.hub.callback_gas() == 200_000
    deal_id = await rig.deal(volume=2, trust=3)
    task = await rig.complete(deal_id)
    deal = await chain.hub.deal(deal_id)
    assert (deal.app.price, deal.workerpool.price, deal.bot_size, deal.trust) == (APP_PRICE, POOL_PRICE, 2, 3)
    done = await chain.hub.task(task)
    assert (done.status, done.result_digest, done.results) == (TaskStatus.COMPLETED, DIGEST, b"over there")
    worker = rig.workers[0].address
    assert (await chain.hub.contribution(task, worker)).status is ContributionStatus.PROVED
    assert await chain.hub.scores([worker, rig.stranger.address]) == [1, 0]
    assert await chain.hub.account(rig.requester.address) == Account(NRLC(974 * RLC), NRLC(13 * RLC))
    assert await chain.registries.is_app(deal.app.pointer)
    assert (await chain.registries.app(deal.app.pointer)).multiaddr == b"/ipfs/x"
    assert (await chain.registries.workerpool(deal.workerpool.pointer)).description == "pool"
    assert await chain.registries.owned(OrderKind.APP, rig.app_owner.address) == [deal.app.pointer]
    assert await chain.registries.owner_of(deal.app.pointer) == rig.app_owner.address
    logged = [each.event for each in await events_of(chain, 0, await chain.block_number(), with_token=True)]
    assert sum(isinstance(each, CategoryCreated) for each in logged) == 5
    assert TaskFinalized(task, b"over there") in logged
    assert any(isinstance(each, OrdersMatched) for each in logged)
    for question in (chain.hub.task(task_id(deal_id, 1)), chain.registries.app(rig.stranger.address)):
        with pytest.raises(StateError, match=r"unknown task|there is no app"):
            await question
    async with connect_async(tmp_path, network(rig)) as cloud:
        invoice = await cloud.invoice(deal_id)
        assert (invoice.deal_id, invoice.price, len(invoice.tasks)) == (deal_id, APP_PRICE + POOL_PRICE, 2)
        assert (await cloud.deal(deal_id)).progress().completed == 1
        sheet = await cloud.balances()
        assert sheet.total == 87_000_000 * RLC
        with pytest.raises(StateError, match="this network has no market that Voisin can ask") as caught:
            await cloud.links.book.app_offers()
        assert "market_url" in caught.value.hint


async def test_everything_is_written(rig: Rig) -> None:
    chain, hub = rig.chain, rig.chain.hub_address
    app, pool, request = rig.orders(await rig.create_app(), await rig.create_pool())
    await rig.send(rig.app_owner, calls.manage_order(hub, app, Operation.SIGN))
    assert await chain.hub.presigned(order_hash(app, chain.domain)) == rig.app_owner.address
    await rig.send(rig.requester, calls.manage_order(hub, request, Operation.CLOSE))
    assert await chain.hub.consumed(order_hash(request, chain.domain)) == request.volume
    digest = bytes.fromhex(order_hash(pool, chain.domain)[2:])
    assert await chain.is_signed_by(rig.scheduler.address, digest, pool.sign)
    assert not await chain.is_signed_by(rig.stranger.address, digest, pool.sign)
    assert await chain.is_authorized(ZERO_ADDRESS, rig.stranger.address)
    with pytest.raises(RevertError, match="not locked"):
        await rig.send(rig.stranger, calls.withdraw(hub, NRLC(1)))
    await rig.fund(rig.stranger, 5 * RLC)
    await rig.send(rig.stranger, calls.withdraw(hub, NRLC(5 * RLC)))
    assert await chain.token.balance(rig.stranger.address) == 5 * RLC


async def test_a_deal_that_fails_is_claimed(rig: Rig) -> None:
    deal = await rig.deal(volume=2)
    await rig.node.request("evm_increaseTime", [3001])
    await rig.node.request("evm_mine", [])
    await rig.send(rig.stranger, calls.initialize_and_claim_array(rig.chain.hub_address, [(deal, 0), (deal, 1)]))
    assert await rig.chain.hub.account(rig.requester.address) == Account(NRLC(1000 * RLC), NRLC(0))


async def test_the_command_line_reads_it(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    deal = await rig.deal(volume=1, trust=3)
    task = await rig.complete(deal)
    save_network(tmp_path, network(rig))
    create_keystore(tmp_path / "wallets" / "me.json", "pw", key=rig.requester.expose_key(), strength="light")

    async def answer(*words: str, code: int = 0) -> Any:
        capsys.readouterr()
        assert await anyio.to_thread.run_sync(main, [*words, "--home", str(tmp_path), "--json"]) == code
        printed = capsys.readouterr()
        return json.loads(printed.out) if code == 0 else printed.err

    assert (await answer("deal", "show", deal))["spent"] == APP_PRICE + POOL_PRICE
    assert (await answer("task", "show", task))["status"] == "completed"
    assert (await answer("wallet", "balance"))["stake"] == 987 * RLC
    assert (await answer("app", "list", "--owner", rig.app_owner.address)) != []
    assert "this network has no market that Voisin can ask" in await answer("order", "list", "app", code=1)
