"""Orders that must not get into the book, and what their publishers are told."""

from __future__ import annotations

import msgspec
import pytest

from tests.support.order_book import NOW, RLC, Desk, Trade, open_desk, somewhere
from voisin.errors import FundsError, InputError, StateError, TrustError
from voisin.protocol.api import OrderStatus
from voisin.protocol.eip712 import Domain, order_hash, sign_order
from voisin.protocol.ids import ZERO_ADDRESS
from voisin.protocol.orders import Order
from voisin.protocol.signatures import KeySigner

pytestmark = pytest.mark.anyio


async def assert_refused(desk: Desk, order: Order, error: type[Exception], words: str) -> None:
    """See that an order is refused with these words, and leaves no trace."""
    with pytest.raises(error) as caught:
        await desk.service.publish(order)
    assert type(caught.value) is error
    assert words in str(caught.value)
    assert await desk.service.store.entry(order_hash(order, desk.trade.ledger.domain)) is None


async def test_one_of_each_is_published_once(desk: Desk, trade: Trade) -> None:
    for order in trade.one_of_each():
        published, is_new = await desk.service.publish(order)
        assert is_new
        assert published.order == order
        assert (published.status, published.remaining, published.published_at) == (OrderStatus.OPEN, order.volume, NOW)
        assert published.hash == order_hash(order, trade.ledger.domain)
        assert await desk.service.publish(order) == (published, False)


async def test_signer_is_the_present_owner(desk: Desk, trade: Trade) -> None:
    order = trade.app_order()
    trade.ledger.transfer_entry(trade.app, trade.stranger.address)
    await assert_refused(desk, order, TrustError, f"not signed by {trade.stranger.address}")
    bought = sign_order(order, trade.ledger.domain, trade.stranger)
    published, _ = await desk.service.publish(bought)
    assert published.signer == trade.stranger.address


@pytest.mark.parametrize("kind", [0, 1, 2, 3])
async def test_forged_signature(desk: Desk, trade: Trade, kind: int) -> None:
    order = trade.one_of_each()[kind]
    await assert_refused(desk, sign_order(order, trade.ledger.domain, trade.stranger), TrustError, "is not signed by")


@pytest.mark.parametrize("sign", ["0x", "0x12", "0x" + "00" * 65, "0x" + "ff" * 65])
async def test_malformed_signature(desk: Desk, trade: Trade, sign: str) -> None:
    await assert_refused(desk, msgspec.structs.replace(trade.pool_order(), sign=sign), TrustError, "is not signed by")


async def test_signature_for_another_hub_or_chain(desk: Desk, trade: Trade) -> None:
    home = trade.ledger.domain
    for domain in (Domain(chain_id=home.chain_id + 1, hub=home.hub), Domain(chain_id=home.chain_id, hub=somewhere(0xBB))):
        await assert_refused(desk, sign_order(trade.pool_order(), domain, trade.scheduler), TrustError, "is not signed by")


async def test_signed_on_the_chain(desk: Desk, trade: Trade) -> None:
    order = msgspec.structs.replace(trade.request_order(), sign="0x")
    await assert_refused(desk, order, TrustError, "is not signed by")
    trade.ledger.presign(order)
    published, _ = await desk.service.publish(order)
    assert published.signer == trade.requester.address


async def test_presignature_of_a_former_owner_counts_no_more(desk: Desk, trade: Trade) -> None:
    order = msgspec.structs.replace(trade.app_order(), sign="0x")
    trade.ledger.presign(order)
    trade.ledger.transfer_entry(trade.app, trade.stranger.address)
    await assert_refused(desk, order, TrustError, "is not signed by")


async def test_signed_by_a_contract(desk: Desk, trade: Trade) -> None:
    contract = somewhere(0xC0)
    order = trade.request_order(requester=contract, sign="0xc0ffee")
    trade.ledger.deposit(contract, 13 * RLC)
    order = msgspec.structs.replace(order, sign="0xc0ffee")
    await assert_refused(desk, order, TrustError, "is not signed by")
    trade.ledger.approve(contract, order_hash(order, trade.ledger.domain))
    assert (await desk.service.publish(order))[1]


async def test_resource_in_no_registry(desk: Desk, trade: Trade) -> None:
    nowhere = somewhere(0x99)
    await assert_refused(desk, trade.app_order(app=nowhere), InputError, f"app {nowhere} is not registered")
    await assert_refused(desk, trade.dataset_order(dataset=nowhere), InputError, f"dataset {nowhere} is not registered")
    await assert_refused(desk, trade.pool_order(workerpool=nowhere), InputError, f"workerpool {nowhere} is not registered")
    await assert_refused(desk, trade.request_order(app=nowhere), InputError, f"app {nowhere} is not registered")
    await assert_refused(desk, trade.request_order(dataset=nowhere), InputError, f"dataset {nowhere} is not registered")


async def test_resource_of_another_kind(desk: Desk, trade: Trade) -> None:
    await assert_refused(desk, trade.app_order(app=trade.workerpool), InputError, f"app {trade.workerpool} is not registered")


async def test_zero_addresses(desk: Desk, trade: Trade) -> None:
    # the hub takes any malformed signature for the zero address' own: nobody may trade as nobody
    order = msgspec.structs.replace(trade.request_order(), requester=ZERO_ADDRESS, sign="0x" + "00" * 65)
    await assert_refused(desk, order, InputError, "names the zero address: name the requester")
    await assert_refused(desk, trade.dataset_order(dataset=ZERO_ADDRESS), InputError, "names the zero address")


async def test_category_that_does_not_exist(desk: Desk, trade: Trade) -> None:
    assert (await desk.service.publish(trade.pool_order(category=4)))[1]
    await assert_refused(desk, trade.pool_order(category=5), InputError, "category 5 does not exist")
    await assert_refused(desk, trade.request_order(category=2**256 - 1), InputError, "does not exist")


async def test_no_volume(desk: Desk, trade: Trade) -> None:
    for order in (trade.app_order(volume=0), trade.request_order(volume=0)):
        await assert_refused(desk, order, InputError, "volume is 0")


async def test_cancelled_before_it_was_published(desk: Desk, trade: Trade) -> None:
    order = trade.app_order()
    trade.ledger.close(order)
    await assert_refused(desk, order, StateError, "nothing is left of the order's volume")


async def test_half_matched_before_it_was_published(desk: Desk, trade: Trade) -> None:
    app, pool = trade.app_order(volume=10), trade.pool_order(volume=10)
    trade.ledger.match(app, None, pool, trade.request_order(volume=4))
    published, _ = await desk.service.publish(app)
    assert published.remaining == 6


async def test_requester_without_money_is_told_how_much_is_missing(desk: Desk, trade: Trade) -> None:
    trade.ledger.withdraw(trade.requester.address, 990 * RLC)
    assert (await desk.service.publish(trade.request_order(workerpoolmaxprice=7 * RLC)))[1]  # 3 + 7 is what is left
    dear = trade.request_order(workerpoolmaxprice=8 * RLC + 1)
    await assert_refused(desk, dear, FundsError, "1.000000001 RLC missing")
    dataset_too = trade.request_order(dataset=trade.dataset, datasetmaxprice=5 * RLC, workerpoolmaxprice=7 * RLC)
    await assert_refused(desk, dataset_too, FundsError, "5 RLC missing")


async def test_requester_needs_money_for_one_task_only(desk: Desk, trade: Trade) -> None:
    trade.ledger.withdraw(trade.requester.address, 987 * RLC)
    assert (await desk.service.publish(trade.request_order(volume=1_000_000)))[1]


async def test_scheduler_without_stake_is_told_how_much_is_missing(desk: Desk, trade: Trade) -> None:
    trade.ledger.withdraw(trade.scheduler.address, 997 * RLC)
    assert (await desk.service.publish(trade.pool_order(price=10 * RLC)))[1]
    await assert_refused(desk, trade.pool_order(price=20 * RLC), FundsError, "3 RLC missing")


async def test_prices_that_no_supply_could_pay(desk: Desk, trade: Trade) -> None:
    most = 2**256 - 1
    await assert_refused(desk, trade.request_order(workerpoolmaxprice=most, appmaxprice=most), FundsError, "RLC missing")
    published, _ = await desk.service.publish(trade.app_order(price=most, volume=most))
    assert published.remaining == most


async def test_a_nul_in_the_params(trade: Trade) -> None:
    """PostgreSQL keeps no such text, and an order that is not kept as it was signed is none."""
    await assert_refused(open_desk(trade), trade.request_order(params='{"iexec_args":"a\0b"}'), InputError, "NUL character")


async def test_long_texts(trade: Trade) -> None:
    desk = open_desk(trade, max_params_bytes=10, max_sign_bytes=65)
    assert (await desk.service.publish(trade.request_order(params="0123456789")))[1]
    await assert_refused(desk, trade.request_order(params="012345678é"), InputError, "params are 11 bytes, at most 10")
    long = msgspec.structs.replace(trade.app_order(), sign="0x" + "11" * 66)
    await assert_refused(desk, long, InputError, "signature is longer than 65 bytes")


async def test_too_many_open_orders_of_one_signer(trade: Trade) -> None:
    desk = open_desk(trade, max_open_orders=2)
    first, second, third = trade.app_order(), trade.app_order(), trade.app_order()
    for order in (first, second):
        await desk.service.publish(order)
    await assert_refused(desk, third, StateError, "has 2 open orders")
    assert (await desk.service.publish(trade.dataset_order()))[1]  # somebody else's do not count
    trade.ledger.close(first)
    await desk.catch_up()
    assert (await desk.service.publish(third))[1]


async def test_filled_and_cancelled_orders_do_not_come_back(desk: Desk, trade: Trade) -> None:
    app, request = trade.app_order(), trade.request_order(volume=4)
    for order in (app, request):
        await desk.service.publish(order)
    trade.ledger.match(app, None, trade.pool_order(), request)
    trade.ledger.close(app)
    await desk.catch_up()
    with pytest.raises(StateError, match=r"the order is filled: its whole volume is matched: sign a new order"):
        await desk.service.publish(request)
    with pytest.raises(StateError, match=r"the order is cancelled: its signer closed it on the chain"):
        await desk.service.publish(app)


async def test_keys_never_show(trade: Trade) -> None:
    signer: KeySigner = trade.developer
    assert signer.expose_key().hex() not in repr(trade)
