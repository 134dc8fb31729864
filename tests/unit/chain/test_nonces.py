"""Every transaction of a wallet gets its own nonce, in a row, whatever the node and the network do meanwhile."""

from __future__ import annotations

import random

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.nights import examples
from tests.support.node_twin import URL, NodeTwin, install_hub
from tests.unit.chain.conftest import QUICK
from voisin.chain import Call, Chain, Receipt, Rpc, Sender
from voisin.errors import StateError
from voisin.protocol.ids import Address
from voisin.protocol.signatures import KeySigner

pytestmark = pytest.mark.anyio
SOMEBODY = Address("0x00000000000000000000000000000000000000aa")


def call(number: int, gas: int | None = 60_000) -> Call:
    return Call(SOMEBODY, number.to_bytes(4, "big"), f"do {number}", gas=gas)


async def send_all(sender: Sender, calls: list[Call]) -> list[Receipt]:
    receipts: list[Receipt] = []

    async def one(each: Call) -> None:
        receipts.append(await sender.send(each))

    async with anyio.create_task_group() as tasks:
        for each in calls:
            tasks.start_soon(one, each)
    return receipts


@pytest.mark.parametrize("gas", [60_000, None])
@pytest.mark.parametrize("mines_at_once", [True, False])
async def test_many_at_once_have_consecutive_nonces(
    node: NodeTwin, chain: Chain, wallet: KeySigner, gas: int | None, mines_at_once: bool
) -> None:
    node.mines_at_once = mines_at_once
    async with anyio.create_task_group() as tasks:

        async def miner() -> None:
            while True:
                node.mine()
                await anyio.lowlevel.checkpoint()

        tasks.start_soon(miner)
        receipts = await send_all(Sender(chain, wallet, QUICK), [call(n, gas) for n in range(100)])
        tasks.cancel_scope.cancel()
    assert sorted(tx.nonce for tx in node.mined()) == list(range(100))
    assert sorted(tx.data for tx in node.mined()) == [n.to_bytes(4, "big") for n in range(100)]
    assert {receipt.tx_hash for receipt in receipts} == {tx.hash for tx in node.mined()}


async def test_submitted_one_after_the_other_they_keep_their_order(node: NodeTwin, chain: Chain, wallet: KeySigner) -> None:
    node.mines_at_once = False
    sender = Sender(chain, wallet, QUICK)
    submitted = [await sender.submit(call(n)) for n in range(20)]
    node.mine()
    for each in submitted:
        await each.receipt()
    assert [tx.data for tx in node.mined()] == [n.to_bytes(4, "big") for n in range(20)]


async def test_a_chain_that_was_set_back_is_noticed(node: NodeTwin, chain: Chain, wallet: KeySigner) -> None:
    sender = Sender(chain, wallet, QUICK)
    await sender.send(call(1))
    height = node.height
    await sender.send(call(2))
    await sender.send(call(3))
    node.set_back(height)
    await sender.send(call(4))
    assert [tx.data[3] for tx in node.mined()] == [1, 4]


@pytest.mark.parametrize("queues_gaps", [True, False])
async def test_two_programs_may_share_a_wallet_in_turns(node: NodeTwin, chain: Chain, wallet: KeySigner, queues_gaps: bool) -> None:
    node.queues_gaps = queues_gaps
    mine, yours = Sender(chain, wallet, QUICK), Sender(chain, wallet, QUICK)
    for n in range(5):
        await mine.send(call(2 * n))
        await yours.send(call(2 * n + 1))
    assert [tx.nonce for tx in node.mined()] == list(range(10))


async def test_two_programs_that_collide_both_get_through(node: NodeTwin, chain: Chain, wallet: KeySigner) -> None:
    mine, yours = Sender(chain, wallet, QUICK), Sender(chain, wallet, QUICK)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(send_all, mine, [call(n) for n in range(0, 20, 2)])
        tasks.start_soon(send_all, yours, [call(n) for n in range(1, 20, 2)])
    assert sorted(tx.data[3] for tx in node.mined()) == list(range(20))


async def test_two_wallets_do_not_wait_for_each_other(node: NodeTwin, chain: Chain) -> None:
    wallets = [KeySigner(bytes([n]) * 32) for n in (1, 2)]
    async with anyio.create_task_group() as tasks:
        for wallet in wallets:
            tasks.start_soon(send_all, Sender(chain, wallet, QUICK), [call(n) for n in range(30)])
    assert [node.count(wallet.address) for wallet in wallets] == [30, 30]


async def test_a_cancelled_sender_leaves_no_gap(node: NodeTwin, chain: Chain, wallet: KeySigner) -> None:
    sender = Sender(chain, wallet, QUICK)
    await sender.send(call(0))
    for checkpoints in range(12):
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(sender.send, call(100 + checkpoints))
                for _ in range(checkpoints):
                    await anyio.lowlevel.checkpoint()
                scope.cancel()
    await sender.send(call(1))
    assert [tx.nonce for tx in node.mined()] == list(range(len(node.mined())))
    assert node.mined()[-1].data == call(1).data


async def test_receipts_that_nobody_waits_for_are_not_hoarded(node: NodeTwin, chain: Chain, wallet: KeySigner) -> None:
    node.mines_at_once = False
    sender = Sender(chain, wallet, type(QUICK)(poll_s=0.001, resend_s=0))
    for n in range(5):
        await sender.submit(call(n))
        node.mine()
    node.mines_at_once = True
    await sender.send(call(5))
    await sender.send(call(6))
    assert node.methods["eth_getTransactionReceipt"] < 20
    node.set_back(0)
    await sender.send(call(7))
    assert [tx.data[3] for tx in node.mined()] == [7]


async def test_a_chain_that_was_set_back_under_a_flight_does_not_wedge_the_wallet(node: NodeTwin, chain: Chain, wallet: KeySigner) -> None:
    sender = Sender(chain, wallet, type(QUICK)(poll_s=0.001, resend_s=0))
    for n in range(3):
        await sender.send(call(n))
    node.mines_at_once = False
    submitted = await sender.submit(call(3))
    node.lose_mempool()
    node.set_back(0)
    with pytest.raises(StateError, match="the chain went back"):
        await submitted.receipt()
    node.lose_mempool()
    node.mines_at_once = True
    await sender.send(call(4))
    assert [tx.data[3] for tx in node.mined()] == [4]


async def test_a_full_sky_waits_for_a_landing(node: NodeTwin, chain: Chain, wallet: KeySigner) -> None:
    node.mines_at_once = False
    sender = Sender(chain, wallet, type(QUICK)(poll_s=0.001, max_in_flight=3))
    async with anyio.create_task_group() as tasks:
        for n in range(10):
            tasks.start_soon(sender.send, call(n))
        while len(node.mined()) < 10:
            await anyio.lowlevel.checkpoint()
            assert len(node.pool) <= 3
            node.mine()
    assert [tx.nonce for tx in node.mined()] == list(range(10))


FAULTS = st.lists(st.sampled_from(["", "", "refused", "lost", "twice", "busy", "garbage", "short", "slow", "shuffled"]), max_size=40)


@settings(max_examples=examples(30))
@given(faults=FAULTS, mines_at_once=st.booleans(), count=st.integers(1, 12), seed=st.integers(0, 2**16))
async def test_whatever_breaks_each_call_is_carried_out_once(faults: list[str], mines_at_once: bool, count: int, seed: int) -> None:
    node, dice = NodeTwin(mines_at_once=mines_at_once), random.Random(seed)
    install_hub(node)
    async with Rpc(URL, transport=node, first_pause_s=0.0001) as rpc, anyio.create_task_group() as tasks:
        node.faults.extend(faults)

        async def miner() -> None:
            while True:
                if dice.random() < 0.3:
                    node.mine()
                await anyio.lowlevel.checkpoint()

        tasks.start_soon(miner)
        sender = Sender(rpc, KeySigner(b"\x22" * 32), type(QUICK)(poll_s=0.0001, resend_s=0.01))
        await send_all(sender, [call(n, 60_000 if n % 2 else None) for n in range(count)])
        tasks.cancel_scope.cancel()
    assert sorted(tx.data[3] for tx in node.mined()) == list(range(count))
    assert [tx.nonce for tx in node.mined()] == list(range(count))
