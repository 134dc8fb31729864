"""Several processes send from one wallet: each transaction arrives once, with its own nonce, and none takes another's place."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import anyio
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.node_twin import HUB, URL, NodeTwin, install_hub
from voisin.chain import Call, Chain, Rpc, Sender, SenderSettings, connect
from voisin.pool.database.opening import open_database
from voisin.pool.database.turns import DatabaseTurns
from voisin.protocol.eip712 import Domain
from voisin.protocol.ids import Address, as_address
from voisin.protocol.signatures import KeySigner

pytestmark = pytest.mark.anyio

SOMEBODY = Address("0x00000000000000000000000000000000000000aa")
DOMAIN = Domain(chain_id=31337, hub=as_address("0x" + "b0" * 20))
POOL = as_address("0x" + "a1" * 20)
WALLET = KeySigner(b"\x11" * 32)
QUICK = SenderSettings(poll_s=0.001, patience_s=20, mine_within_s=20)
PROCESSES, EACH = 3, 20


@asynccontextmanager
async def processes(url: str, chain: Chain) -> AsyncIterator[list[tuple[AsyncEngine, Sender]]]:
    """Senders of one wallet that know nothing of each other but what the database says."""
    async with AsyncExitStack() as stack:
        engines = [await stack.enter_async_context(open_database(url, DOMAIN, POOL, 0)) for _ in range(PROCESSES)]
        yield [(engine, Sender(chain, WALLET, QUICK, turns=DatabaseTurns(engine, WALLET.address))) for engine in engines]


@asynccontextmanager
async def world() -> AsyncIterator[tuple[NodeTwin, Chain]]:
    node = NodeTwin()
    install_hub(node)
    async with Rpc(URL, transport=node, first_pause_s=0.001) as rpc:
        yield node, await connect(rpc, Address(HUB))


def call(number: int, gas: int | None) -> Call:
    return Call(SOMEBODY, number.to_bytes(4, "big"), f"do {number}", gas=gas)


@pytest.mark.parametrize("gas", [60_000, None])
@pytest.mark.parametrize("mines_at_once", [True, False])
async def test_all_arrive_with_consecutive_nonces(postgres_url: str, gas: int | None, mines_at_once: bool) -> None:
    async with world() as (node, chain), processes(postgres_url, chain) as senders, anyio.create_task_group() as mining:
        node.mines_at_once = mines_at_once

        async def mine() -> None:
            while True:
                node.mine()
                await anyio.lowlevel.checkpoint()

        mining.start_soon(mine)
        async with anyio.create_task_group() as sending:
            for place, (_, sender) in enumerate(senders):
                for number in range(EACH):
                    sending.start_soon(sender.send, call(place * EACH + number, gas))
        mining.cancel_scope.cancel()
        assert sorted(tx.nonce for tx in node.mined()) == list(range(PROCESSES * EACH))
        assert sorted(tx.data for tx in node.mined()) == [n.to_bytes(4, "big") for n in range(PROCESSES * EACH)]


async def test_a_process_that_dies_in_its_turn_holds_up_nobody(postgres_url: str) -> None:
    """Its transaction is out, and it could not say so any more."""
    async with world() as (node, chain), processes(postgres_url, chain) as ((engine, dying), (_, other), _):
        await other.send(call(0, 60_000))
        turns = DatabaseTurns(engine, WALLET.address)
        with anyio.CancelScope() as scope:
            async with turns.take() as turn:
                assert not turn.is_in_a_row
                await Sender(chain, WALLET, QUICK).send(call(1, 60_000))
                scope.cancel()
                await anyio.lowlevel.checkpoint()
        await other.send(call(2, 60_000))
        await dying.send(call(3, 60_000))
        assert [(tx.nonce, tx.data[-1]) for tx in node.mined()] == [(number, number) for number in range(4)]
