"""Taking an order out of the book: only its signer may, and no proof works twice."""

from __future__ import annotations

import pytest

from tests.support.order_book import NOW, Desk, Trade, somewhere
from voisin.errors import StateError, TrustError
from voisin.market.proof import Proof, Wish, read_proof, sign_wish, wish_digest
from voisin.market.service import UnknownError
from voisin.protocol.api import OrderStatus
from voisin.protocol.eip712 import order_hash
from voisin.protocol.ids import Hash32, OrderHash, to_hex
from voisin.protocol.orders import Order
from voisin.protocol.signatures import KeySigner, recover_signer
from voisin.units import UnixSeconds

pytestmark = pytest.mark.anyio

UNPUBLISH, PUBLISH = Wish.UNPUBLISH, Wish.PUBLISH


def proof_of(trade: Trade, order: Order, signer: KeySigner, *, wish: Wish = UNPUBLISH, at: int = NOW) -> Proof:
    """Prove a wish about an order."""
    found = read_proof(sign_wish(signer, wish, order_hash(order, trade.ledger.domain), UnixSeconds(at)))
    assert found is not None
    return found


@pytest.fixture
async def order(desk: Desk, trade: Trade) -> Order:
    """An order in the book."""
    order = trade.app_order()
    await desk.service.publish(order)
    return order


def test_what_is_signed_is_spelled_as_documented(trade: Trade) -> None:
    from eth_account import Account
    from eth_account.messages import encode_defunct

    name = OrderHash(Hash32("0x" + "ab" * 32))
    said = encode_defunct(text=f"Voisin unpublish {name} 1800000000")
    signature = Account.sign_message(said, trade.developer.expose_key()).signature.to_0x_hex()
    assert sign_wish(trade.developer, UNPUBLISH, name, NOW) == f"1800000000:{signature}"
    assert recover_signer(wish_digest(UNPUBLISH, name, NOW), signature) == trade.developer.address


async def test_signer_takes_an_order_out_and_again_changes_nothing(desk: Desk, trade: Trade, order: Order) -> None:
    name = order_hash(order, trade.ledger.domain)
    proof = proof_of(trade, order, trade.developer)
    removed = await desk.service.unpublish(name, proof)
    assert (removed.status, removed.remaining) == (OrderStatus.REMOVED, 10)
    assert await desk.service.unpublish(name, proof) == removed
    story = await desk.service.store.story(name)
    assert [(moment.at, moment.what, moment.detail) for moment in story] == [
        (NOW, "open", ""),
        (NOW, "removed", "its signer took it out of the book"),
    ]


async def test_nobody_else_may(desk: Desk, trade: Trade, order: Order) -> None:
    name = order_hash(order, trade.ledger.domain)
    with pytest.raises(TrustError, match="only its signer may"):
        await desk.service.unpublish(name, None)
    with pytest.raises(TrustError, match=f"not signed by {trade.developer.address}"):
        await desk.service.unpublish(name, proof_of(trade, order, trade.stranger))
    for wrong in (proof_of(trade, trade.app_order(), trade.developer), proof_of(trade, order, trade.developer, wish=PUBLISH)):
        with pytest.raises(TrustError):
            await desk.service.unpublish(name, wrong)
    backdated = Proof(UnixSeconds(NOW + 1), proof_of(trade, order, trade.developer).signature)
    with pytest.raises(TrustError):
        await desk.service.unpublish(name, backdated)


@pytest.mark.parametrize(("off_s", "is_taken"), [(-301, False), (-300, True), (300, True), (301, False)])
async def test_old_and_future_proofs(desk: Desk, trade: Trade, order: Order, off_s: int, is_taken: bool) -> None:
    name = order_hash(order, trade.ledger.domain)
    proof = proof_of(trade, order, trade.developer, at=NOW + off_s)
    if is_taken:
        assert (await desk.service.unpublish(name, proof)).status is OrderStatus.REMOVED
    else:
        with pytest.raises(TrustError, match="301 s away"):
            await desk.service.unpublish(name, proof)


async def test_stranger_cannot_put_it_back(desk: Desk, trade: Trade, order: Order) -> None:
    name = order_hash(order, trade.ledger.domain)
    removal = proof_of(trade, order, trade.developer)
    await desk.service.unpublish(name, removal)
    with pytest.raises(StateError, match="taken out of the book by its signer"):
        await desk.service.publish(order)
    with pytest.raises(TrustError):
        await desk.service.publish(order, proof_of(trade, order, trade.stranger, wish=PUBLISH, at=NOW + 1))
    with pytest.raises(StateError, match="not newer"):
        await desk.service.publish(order, proof_of(trade, order, trade.developer, wish=PUBLISH))

    comeback = proof_of(trade, order, trade.developer, wish=PUBLISH, at=NOW + 1)
    back, is_new = await desk.service.publish(order, comeback)
    assert (back.status, is_new) == (OrderStatus.OPEN, True)
    with pytest.raises(StateError, match="not newer than the last one"):
        await desk.service.unpublish(name, removal)  # overheard, and played again
    await desk.service.unpublish(name, proof_of(trade, order, trade.developer, at=NOW + 2))
    with pytest.raises(StateError, match="not newer than the last one"):
        await desk.service.publish(order, comeback)


async def test_new_owner_may_publish_what_the_old_one_took_out(desk: Desk, trade: Trade, order: Order) -> None:
    await desk.service.unpublish(order_hash(order, trade.ledger.domain), proof_of(trade, order, trade.developer))
    trade.ledger.transfer_entry(trade.app, trade.stranger.address)
    trade.ledger.presign(order)
    published, is_new = await desk.service.publish(order)
    assert is_new
    assert published.signer == trade.stranger.address


async def test_contract_takes_its_order_out(desk: Desk, trade: Trade) -> None:
    contract = somewhere(0xC0)
    trade.ledger.transfer_entry(trade.app, contract)
    order = trade.app_order()
    name = order_hash(order, trade.ledger.domain)
    trade.ledger.approve(contract, name)
    await desk.service.publish(order)
    proof = Proof(NOW, "0xc0ffee")
    with pytest.raises(TrustError):
        await desk.service.unpublish(name, proof)
    trade.ledger.approve(contract, Hash32(to_hex(wish_digest(UNPUBLISH, name, NOW))))
    assert (await desk.service.unpublish(name, proof)).status is OrderStatus.REMOVED


async def test_what_is_over_or_unknown_is_not_removed(desk: Desk, trade: Trade, order: Order) -> None:
    trade.ledger.close(order)
    await desk.catch_up()
    with pytest.raises(StateError, match="the order is cancelled"):
        await desk.service.unpublish(order_hash(order, trade.ledger.domain), proof_of(trade, order, trade.developer))
    with pytest.raises(UnknownError):
        await desk.service.unpublish(order_hash(trade.app_order(), trade.ledger.domain), proof_of(trade, order, trade.developer))


@pytest.mark.parametrize("header", ["", "1", ":", "12:0x", "12:1234", "-1:0x12", "1.5:0x12", "１２:0x12", "1:0x123", "9" * 13 + ":0x12"])
def test_malformed_header(header: str) -> None:
    with pytest.raises(TrustError, match="is malformed"):
        read_proof(header)
