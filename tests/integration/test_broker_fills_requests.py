"""A broker on a real chain with a real market: requests are filled without their requesters, once, at the asked price, for nothing."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import msgspec
import pytest

from tests.support.broker_rig import DEADLINE_S, FUNDS, BrokerRig, open_broker_rig
from tests.support.chain_rig import RLC
from tests.support.patience import a_moment
from voisin.broker.ledger import ChainLedger, MadeDeal
from voisin.broker.reading import HttpBook
from voisin.broker.service import BrokerService
from voisin.chain import Sender, calls
from voisin.chain.keystore import create_keystore
from voisin.policy.matching import Lot
from voisin.protocol.api import OrderStatus
from voisin.protocol.eip712 import sign_order

pytestmark = pytest.mark.anyio


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[BrokerRig]:
    async with open_broker_rig(tmp_path) as opened:
        yield opened


async def test_a_request_is_filled_at_the_asked_price_and_the_broker_takes_nothing(rig: BrokerRig) -> None:
    await rig.offer_app(price=2 * RLC)
    await rig.offer_pool(price=7 * RLC)
    cheap = await rig.offer_pool(price=5 * RLC, volume=2)
    before = await rig.accounts()
    request = await rig.request(most=9 * RLC, app_most=4 * RLC, volume=3)
    async with rig.broker() as (_, url):
        await rig.until_consumed([request], 3)
        with anyio.fail_after(DEADLINE_S):
            while (view := await rig.view(url, request)).status is not OrderStatus.FILLED or len(view.deals) < 2:
                await a_moment()
    assert sorted((deal.volume, deal.price) for deal in view.deals) == [(1, 9 * RLC), (2, 7 * RLC)]
    assert (view.remaining, view.why) == (0, "")
    assert next(deal for deal in view.deals if deal.volume == 2).workerpool_order == cheap
    after = await rig.accounts()
    spent, staked = (2 * 7 + 9) * RLC, 2 * (5 * RLC * 30 // 100) + 7 * RLC * 30 // 100
    assert before["requester"] == (FUNDS, 0, 0)
    assert after["requester"] == (FUNDS - spent, spent, 0)
    assert after["scheduler"] == (FUNDS - staked, staked, 0)
    assert after["broker"] == before["broker"] == (0, 0, 0)
    assert {name: money for name, money in after.items() if name not in ("requester", "scheduler")} == {
        name: money for name, money in before.items() if name not in ("requester", "scheduler")
    }


async def test_who_is_not_filled_can_read_why_and_is_filled_when_that_is_mended(rig: BrokerRig) -> None:
    await rig.offer_app()
    await rig.offer_pool(price=5 * RLC)
    request = await rig.request(most=2 * RLC)
    async with rig.broker() as (_, url):
        view = await rig.until_explained(url, request, "the request pays at most 2 RLC: 3 RLC too little")
        assert (view.status, view.remaining, view.hint) == (OrderStatus.OPEN, 1, "allow a price of 5 RLC a task")
        await rig.offer_pool(price=2 * RLC)
        await rig.until_consumed([request], 1)
        unknown = await rig.http.get(f"{url}/v1/broker/requests/0x{'77' * 32}")
        assert (unknown.status_code, unknown.json()["code"]) == (409, "wrong-state")
        assert (await rig.http.get(f"{url}/v1/health")).json()["deals"] == 1


async def test_what_the_hub_would_take_must_be_paid_in_full(rig: BrokerRig) -> None:
    """1,000 RLC pay for one task, so the book takes the request, but not for all that the hub would take at once."""
    await rig.offer_app()
    await rig.offer_pool(price=300 * RLC, volume=10)
    request = await rig.request(most=300 * RLC, volume=4)
    async with rig.broker() as (_, url):
        await rig.until_explained(url, request, "does not suffice")
        await rig.offer_pool(price=300 * RLC, volume=3)  # the hub can take no more than 3 tasks of this one
        await rig.until_consumed([request], 3)


async def test_two_brokers_fill_every_request_once(rig: BrokerRig) -> None:
    await rig.offer_app()
    requests = [await rig.request(most=RLC + number) for number in range(12)]
    for number in range(4):
        await rig.offer_pool(price=RLC - number, volume=3)
    async with rig.broker(), rig.broker(rig.rig.workers[1]):
        await rig.until_consumed(requests, 1)
    assert await rig.rig.chain.hub.consumptions(requests) == [1] * 12
    locked = 3 * (4 * RLC - 6)
    assert (await rig.accounts())["requester"] == (FUNDS - locked, locked, 0)


async def test_an_offer_that_others_take_first_is_replaced_by_what_is_left(rig: BrokerRig) -> None:
    """Between the broker's look and its match, a rival uses the cheap offer up; the match is refused before it costs gas."""
    await rig.offer_app()
    await rig.offer_pool(price=RLC, volume=2)
    await rig.offer_pool(price=2 * RLC, volume=5)
    request = await rig.request(most=3 * RLC, volume=2)
    ledger = Outrun(rig)
    service = BrokerService(rig.poorest.address, HttpBook(rig.http, rig.market_url, max_orders=100), ledger, rig.settings())
    assert await service.look() == 0
    nonce = await rig.rig.chain.nonce(rig.poorest.address)
    assert await service.look() == 1
    assert [(deal.volume, deal.price) for deal in (await service.view(request)).deals] == [(2, 2 * RLC)]
    assert (nonce, await rig.rig.chain.nonce(rig.poorest.address)) == (0, 1)
    assert await rig.rig.chain.hub.consumptions([request]) == [2]


class Outrun(ChainLedger):
    """The chain, on which a rival matches the broker's first choice a moment before the broker does."""

    def __init__(self, rig: BrokerRig) -> None:
        super().__init__(rig.rig.chain, Sender(rig.rig.chain, rig.poorest))
        self._rig = rig
        self._is_first = True

    async def match(self, lot: Lot) -> MadeDeal:
        if self._is_first:
            self._is_first = False
            rival = msgspec.structs.replace(lot.bid.request, salt=self._rig.salt())
            signed = sign_order(rival, self.domain, self._rig.rig.requester)
            hub = self._rig.rig.chain.hub_address
            await self._rig.rig.send(self._rig.rig.stranger, calls.match_orders(hub, lot.app.order, None, lot.workerpool.order, signed))
        return await super().match(lot)


async def test_a_broker_that_is_killed_goes_on_where_it_was(rig: BrokerRig, tmp_path: Path) -> None:
    await rig.offer_app()
    requests = [await rig.request(most=RLC) for _ in range(30)]
    for _ in range(10):
        await rig.offer_pool(price=RLC, volume=3)
    (tmp_path / "password").write_text("a password")
    keystore = tmp_path / "broker.json"
    create_keystore(keystore, "a password", strength="light", key=rig.poorest.expose_key())
    settings = rig.settings()
    environment = {
        **os.environ,
        "VOISIN_BROKER_MARKET_URL": settings.market_url,
        "VOISIN_BROKER_RPC_URL": settings.rpc_url,
        "VOISIN_BROKER_HUB": settings.hub,
        "VOISIN_BROKER_PORT": "0",
        "VOISIN_BROKER_POLL_S": "0.05",
        "VOISIN_BROKER_PARALLEL": "1",
        "VOISIN_BROKER_KEYSTORE": str(keystore),
        "VOISIN_BROKER_PASSWORD_FILE": str(tmp_path / "password"),
    }
    async with await anyio.open_process([sys.executable, "-m", "voisin.broker"], env=environment, stdout=None, stderr=None) as process:
        with anyio.fail_after(DEADLINE_S):
            while sum(await rig.rig.chain.hub.consumptions(requests)) < 3:
                await a_moment()
        process.send_signal(signal.SIGKILL)
    async with rig.broker():
        await rig.until_consumed(requests, 1)
    assert await rig.rig.chain.hub.consumptions(requests) == [1] * 30
    assert (await rig.accounts())["requester"] == (FUNDS - 30 * RLC, 30 * RLC, 0)
