"""A transaction whose answer is lost, that a restarted node forgot, that pays too little, or whose nonce somebody else took."""

from __future__ import annotations

import anyio
import pytest

from tests.support.node_twin import GWEI, NodeTwin
from tests.unit.chain.conftest import QUICK
from voisin.chain import Call, Chain, Sender, SenderSettings
from voisin.errors import StateError, UnavailableError
from voisin.protocol.ids import Address
from voisin.protocol.signatures import KeySigner
from voisin.units import Wei

pytestmark = pytest.mark.anyio
SOMEBODY = Address("0x00000000000000000000000000000000000000aa")
CALL = Call(SOMEBODY, b"\1\2\3\4", "do something", gas=60_000)
IMPATIENT = SenderSettings(poll_s=0.001, resend_s=0, stuck_s=0, mine_within_s=20)


async def mine_when(node: NodeTwin, versions: int) -> None:
    """Mine as soon as so many versions were sent."""
    while len(node.seen) < versions:
        await anyio.lowlevel.checkpoint()
    node.mine()


@pytest.mark.parametrize("mines_at_once", [True, False])
async def test_the_answer_is_lost_but_the_node_has_it(node: NodeTwin, chain: Chain, wallet: KeySigner, mines_at_once: bool) -> None:
    sender = Sender(chain, wallet, QUICK)
    node.mines_at_once = mines_at_once
    await sender.chain_id()
    node.faults.extend(["", "", "lost"])  # nonce, fees, then the transaction itself
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(mine_when, node, 1)
        receipt = await sender.send(CALL)
    assert [tx.hash for tx in node.mined()] == [receipt.tx_hash]


async def test_a_node_that_restarts_while_a_call_waits(node: NodeTwin, chain: Chain, wallet: KeySigner) -> None:
    node.faults.extend(["refused"] * 30)
    receipt = await Sender(chain, wallet, QUICK).send(CALL)
    assert receipt.block == 1


async def test_a_node_that_stays_away_ends_the_call(node: NodeTwin, chain: Chain, wallet: KeySigner) -> None:
    node.faults.extend(["refused"] * 1000)
    with pytest.raises(UnavailableError):
        await Sender(chain, wallet, SenderSettings(poll_s=0.001, patience_s=0)).send(CALL)
    node.faults.clear()
    assert node.seen == []


async def test_a_node_that_forgot_its_mempool_gets_the_same_bytes_again(node: NodeTwin, chain: Chain, wallet: KeySigner) -> None:
    node.mines_at_once = False
    sender = Sender(chain, wallet, SenderSettings(poll_s=0.001, resend_s=0, mine_within_s=20))
    submitted = [await sender.submit(CALL) for _ in range(3)]
    node.lose_mempool()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(mine_when, node, 6)
        for each in submitted:
            await each.receipt()
    assert [tx.hash for tx in node.seen[3:]] == [tx.hash for tx in node.seen[:3]]


async def test_a_stuck_transaction_is_replaced_by_a_dearer_one(node: NodeTwin, chain: Chain, wallet: KeySigner) -> None:
    node.mines_at_once = False
    sender = Sender(chain, wallet, IMPATIENT)
    submitted = await sender.submit(CALL)
    node.base_fee = 10 * GWEI
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(mine_when, node, 2)
        receipt = await submitted.receipt()
    first, *_, last = node.seen
    assert first.nonce == last.nonce == 0
    assert last.max_fee >= 21 * GWEI
    assert last.tip * 1000 >= first.tip * 1125
    assert receipt.tx_hash == submitted.tx_hash
    assert len(node.mined()) == 1


async def test_the_first_version_may_be_mined_after_all(node: NodeTwin, chain: Chain, wallet: KeySigner) -> None:
    node.mines_at_once = False
    submitted = await Sender(chain, wallet, IMPATIENT).submit(CALL)
    first = node.seen[0]
    async with anyio.create_task_group() as tasks:

        async def mine_the_first() -> None:
            while len(node.seen) < 3:
                await anyio.lowlevel.checkpoint()
            node.pool[first.sender, 0] = first
            node.mine()

        tasks.start_soon(mine_the_first)
        receipt = await submitted.receipt()
    assert receipt.tx_hash == first.hash == submitted.tx_hash


async def test_fees_stop_at_the_limit(node: NodeTwin, chain: Chain, wallet: KeySigner) -> None:
    node.mines_at_once = False
    limit = Wei(4 * GWEI)
    sender = Sender(chain, wallet, SenderSettings(poll_s=0.001, resend_s=0, stuck_s=0, max_fee=limit, mine_within_s=0.2))
    submitted = await sender.submit(CALL)
    with pytest.raises(UnavailableError, match="did not mine") as caught:
        await submitted.receipt()
    assert submitted.tx_hash in caught.value.hint
    assert len(node.seen) > 1
    assert max(tx.max_fee for tx in node.seen) <= limit


async def test_a_chain_that_stands_still_does_not_drive_fees_to_the_sky(node: NodeTwin, chain: Chain, wallet: KeySigner) -> None:
    node.mines_at_once = False
    submitted = await Sender(chain, wallet, SenderSettings(poll_s=0.001, resend_s=0, stuck_s=0, mine_within_s=0.3)).submit(CALL)
    with pytest.raises(UnavailableError):
        await submitted.receipt()
    market = 2 * GWEI + GWEI  # twice the base fee, and the tip
    assert max(tx.max_fee for tx in node.seen) <= 3 * market
    assert len(node.seen) <= 11  # 1.13 ^ 9 is just below 3


async def test_a_market_that_asks_for_more_is_paid_more(node: NodeTwin, chain: Chain, wallet: KeySigner) -> None:
    sender = Sender(chain, wallet, QUICK)
    await sender.send(CALL)
    node.least_fee = 4 * GWEI  # the remembered quote is 3 GWEI
    await sender.send(CALL)
    assert node.seen[-1].max_fee >= 4 * GWEI


async def test_another_program_took_the_nonce(node: NodeTwin, chain: Chain, wallet: KeySigner) -> None:
    node.mines_at_once = False
    submitted = await Sender(chain, wallet, SenderSettings(poll_s=0.001, resend_s=0, mine_within_s=20)).submit(CALL)
    node.lose_mempool()
    node.mines_at_once = True
    await Sender(chain, wallet, QUICK).send(Call(SOMEBODY, b"\5\6\7\x08", "do something else", gas=60_000))
    with pytest.raises(StateError, match="a transaction is lost: do something: another transaction of the wallet took its place"):
        await submitted.receipt()
    assert len(node.mined()) == 1


async def test_receipts_of_many_are_asked_for_together(node: NodeTwin, chain: Chain, wallet: KeySigner) -> None:
    node.mines_at_once = False
    sender = Sender(chain, wallet, QUICK)
    submitted = [await sender.submit(CALL) for _ in range(50)]
    node.mine()
    node.requests = 0
    async with anyio.create_task_group() as tasks:
        for each in submitted:
            tasks.start_soon(each.receipt)
    assert node.requests == 1


async def test_a_waiting_leader_that_is_cancelled_is_replaced(node: NodeTwin, chain: Chain, wallet: KeySigner) -> None:
    node.mines_at_once = False
    sender = Sender(chain, wallet, QUICK)
    submitted = [await sender.submit(CALL) for _ in range(3)]
    async with anyio.create_task_group() as tasks:
        scope = anyio.CancelScope()

        async def leader() -> None:
            with scope:
                await submitted[0].receipt()

        tasks.start_soon(leader)
        tasks.start_soon(submitted[1].receipt)
        tasks.start_soon(submitted[2].receipt)
        while node.methods["eth_getTransactionReceipt"] < 6:
            await anyio.lowlevel.checkpoint()
        scope.cancel()
        await anyio.lowlevel.checkpoint()
        node.mine()
