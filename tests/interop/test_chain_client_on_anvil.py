"""The chain client on anvil, a node by others with a mempool: blocks hold many transactions and come when they come."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import anyio
import pytest

from tests.support.chain_rig import Rig, deployed
from tests.support.npm import package_path, requires_npm
from tests.support.patience import a_moment
from voisin.chain import Call, Chain, Follower, FollowSettings, Rpc, Sender, SenderSettings, calls, deployment_plan, events_of
from voisin.chain.devnet import development_keys
from voisin.errors import FundsError, RevertError, StateError, UnavailableError
from voisin.protocol.events import Transferred
from voisin.protocol.signatures import KeySigner
from voisin.units import NRLC

pytestmark = pytest.mark.anyio
PACKAGE = "@foundry-rs/anvil-linux-amd64"
OWNER, OTHER, THIRD = development_keys(3)
DEPLOYED = len(deployment_plan(OWNER.address, 31337).steps)
"""Transactions of the owner that brought the market up."""


@contextmanager
def anvil(*arguments: str) -> Iterator[str]:
    """Run anvil on a free port; gives its address."""
    requires_npm(PACKAGE)
    command = [str(package_path(PACKAGE, "bin", "anvil")), "--port", "0", "--hardfork", "prague", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield next("http://" + line.split()[-1] for line in process.stdout if line.startswith("Listening on"))
        finally:
            process.kill()


def give(chain: Chain, amount: int, gas: int | None = 60_000) -> Call:
    """A transfer; its amount tells it from the others."""
    call = calls.transfer(chain.token_address, THIRD.address, NRLC(amount))
    return Call(call.to, call.data, call.label, gas=gas)


async def given(chain: Chain) -> list[int]:
    logged = await events_of(chain, 0, await chain.block_number(), with_token=True)
    return [each.event.amount for each in logged if isinstance(each.event, Transferred) and each.event.recipient == THIRD.address]


async def give_all(sender: Sender, chain: Chain, amounts: range) -> None:
    async with anyio.create_task_group() as tasks:
        for amount in amounts:
            tasks.start_soon(sender.send, give(chain, amount))


async def test_a_whole_deal_is_made() -> None:
    with anvil() as url:
        async with deployed(url) as (chain, deployment):
            deal = await Rig(None, chain, deployment).deal(volume=2)  # type: ignore[arg-type]
            assert (await chain.hub.deal(deal)).bot_size == 2
            with pytest.raises(RevertError, match=r"not locked"):
                await Sender(chain, OTHER).send(calls.withdraw(chain.hub_address, NRLC(10**18)))
            with pytest.raises(RevertError) as caught:
                await Sender(chain, OWNER).send(Call(chain.hub_address, b"\1\2\3\4", "call nothing", gas=100_000))
            assert caught.value.reason == "fallback-disabled"
            with pytest.raises(FundsError, match="holds 0 wei"):
                await Sender(chain, KeySigner(b"\x77" * 32)).send(give(chain, 1))


async def test_a_hundred_in_one_block() -> None:
    with anvil() as url:
        async with deployed(url) as (chain, _), anyio.create_task_group() as tasks:
            await chain.rpc.call("evm_setAutomine", False)
            before = await chain.block_number()
            tasks.start_soon(give_all, Sender(chain, OWNER), chain, range(1, 101))
            with anyio.fail_after(60):
                while await chain.rpc.call("eth_getTransactionCount", OWNER.address, "pending") != hex(DEPLOYED + 100):
                    await a_moment()
            await chain.rpc.call("evm_mine")
        async with Rpc(url) as rpc:
            assert await rpc.call("eth_blockNumber") == hex(before + 1)


async def test_followers_and_senders_with_blocks_every_second() -> None:
    with anvil() as url:
        async with deployed(url) as (chain, _):
            await chain.rpc.call("evm_setIntervalMining", 1)
            follower = Follower(chain, 0, settings=FollowSettings(with_token=True))
            seen: list[int] = []
            with anyio.fail_after(60):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(give_all, Sender(chain, OWNER), chain, range(1, 121))
                    while len(seen) < 120:
                        events = [each.event for each in (await anext(follower)).events]
                        seen += [each.amount for each in events if isinstance(each, Transferred) and each.recipient == THIRD.address]
            assert seen == await given(chain)
            assert sorted(seen) == list(range(1, 121))


async def test_a_stuck_transaction_is_replaced() -> None:
    with anvil() as url:
        async with deployed(url) as (chain, _):
            await chain.rpc.call("evm_setAutomine", False)
            sender = Sender(chain, OWNER, SenderSettings(poll_s=0.01, resend_s=0, stuck_s=0))
            submitted = await sender.submit(give(chain, 7))
            first = submitted.tx_hash
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(submitted.receipt)
                with anyio.fail_after(60):
                    while await chain.rpc.call("eth_getTransactionByHash", first) is not None:
                        await a_moment()
                await chain.rpc.call("evm_mine")
            assert submitted.tx_hash != first
            assert await given(chain) == [7]


async def test_a_mempool_that_is_dropped_is_sent_again() -> None:
    with anvil() as url:
        async with deployed(url) as (chain, _):
            await chain.rpc.call("evm_setAutomine", False)
            sender = Sender(chain, OWNER, SenderSettings(poll_s=0.01, resend_s=0))
            submitted = [await sender.submit(give(chain, amount)) for amount in (1, 2, 3)]
            await chain.rpc.call("anvil_dropAllTransactions")
            async with anyio.create_task_group() as tasks:
                for each in submitted:
                    tasks.start_soon(each.receipt)
                with anyio.fail_after(60):
                    while await chain.rpc.call("eth_getTransactionCount", OWNER.address, "pending") != hex(DEPLOYED + 3):
                        await a_moment()
                await chain.rpc.call("evm_mine")
            assert await given(chain) == [1, 2, 3]


async def test_a_snapshot_taken_back_is_noticed() -> None:
    with anvil() as url:
        async with deployed(url) as (chain, _):
            sender = Sender(chain, OWNER)
            snapshot = await chain.rpc.call("evm_snapshot")
            await sender.send(give(chain, 1))
            follower = Follower(chain, 0, settings=FollowSettings(with_token=True, poll_s=0.01))
            await anext(follower)
            await chain.rpc.call("evm_revert", snapshot)
            await sender.send(give(chain, 2))
            await sender.send(give(chain, 3))
            with pytest.raises(StateError, match="another one than was seen"):
                await anext(follower)
            assert await given(chain) == [2, 3]


async def test_a_node_that_is_gone_is_unavailable() -> None:
    with anvil() as url:
        pass
    async with Rpc(url, attempts=2) as rpc:
        with pytest.raises(UnavailableError, match="check that it runs"):
            await rpc.call("eth_chainId")
