"""Many transactions at once, two wallets, and a chain that stops and starts in the middle: nothing lost, nothing twice."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from tests.support.chain_rig import Rig, deployed, open_rig
from voisin.chain import Call, Chain, Follower, FollowSettings, Receipt, Rpc, Sender, calls, events_of, open_chain
from voisin.chain.devnet import DevnetSettings, development_keys, serve_devnet
from voisin.errors import StateError, UnavailableError
from voisin.protocol.events import Transferred
from voisin.protocol.signatures import KeySigner
from voisin.units import NRLC

pytestmark = pytest.mark.anyio
OWNER, OTHER, THIRD = development_keys(3)
QUICK = FollowSettings(poll_s=0.01, with_token=True, lag_s=0.05)


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    """A chain with a market."""
    async with open_rig() as rig:
        yield rig


def give(chain: Chain, amount: int, gas: int | None = None) -> Call:
    """A transfer; its amount tells it from the others."""
    call = calls.transfer(chain.token_address, THIRD.address, NRLC(amount))
    return Call(call.to, call.data, call.label, gas=gas)


async def give_all(chain: Chain, wallet: KeySigner, amounts: range, gas: int | None = None) -> list[Receipt]:
    """Send transfers all at once from one wallet."""
    sender, receipts = Sender(chain, wallet), []

    async def one(amount: int) -> None:
        receipts.append(await sender.send(give(chain, amount, gas)))

    async with anyio.create_task_group() as tasks:
        for amount in amounts:
            tasks.start_soon(one, amount)
    return receipts


async def amounts_given(chain: Chain, *, to: KeySigner = THIRD) -> list[int]:
    """What the whole chain says was transferred, in order."""
    logged = await events_of(chain, 0, await chain.block_number(), with_token=True)
    return [each.event.amount for each in logged if isinstance(each.event, Transferred) and each.event.recipient == to.address]


def free_port() -> int:
    """A port that nobody uses now, so that a chain can stop and start at one address."""
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


async def test_two_hundred_at_once_from_one_wallet(rig: Rig) -> None:
    before = await rig.chain.nonce(OWNER.address)
    receipts = await give_all(rig.chain, OWNER, range(1, 201))
    assert sorted(await amounts_given(rig.chain)) == list(range(1, 201))
    assert await rig.chain.nonce(OWNER.address) == before + 200
    assert len({receipt.block for receipt in receipts}) == 200
    assert sorted(receipt.events[0].event.amount for receipt in receipts) == list(range(1, 201))  # type: ignore[union-attr]


async def test_two_wallets_at_once(rig: Rig) -> None:
    await rig.send(OWNER, calls.transfer(rig.chain.token_address, OTHER.address, NRLC(10**9)))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(give_all, rig.chain, OWNER, range(1, 61), 60_000)
        tasks.start_soon(give_all, rig.chain, OTHER, range(101, 161), 60_000)
    assert sorted(await amounts_given(rig.chain)) == [*range(1, 61), *range(101, 161)]


async def test_a_snapshot_taken_back_between_two_sends(rig: Rig) -> None:
    sender = Sender(rig.chain, OWNER)
    await sender.send(give(rig.chain, 1))
    snapshot = await rig.node.request("evm_snapshot")
    await sender.send(give(rig.chain, 2))
    await sender.send(give(rig.chain, 3, gas=60_000))
    await rig.node.request("evm_revert", [snapshot])
    await sender.send(give(rig.chain, 4, gas=60_000))
    await sender.send(give(rig.chain, 5))
    assert await amounts_given(rig.chain) == [1, 4, 5]


async def test_the_chain_restarts_under_senders_and_followers(tmp_path: Path) -> None:
    settings = DevnetSettings(db=tmp_path / "chain.sqlite", port=free_port())
    done = anyio.Event()
    seen: list[int] = []
    async with anyio.create_task_group() as tasks:
        stop, stopped = anyio.Event(), anyio.Event()

        async def run_the_chain_twice(*, task_status: anyio.abc.TaskStatus[str]) -> None:
            async with serve_devnet(settings) as node:
                task_status.started(node.rpc_url)
                await stop.wait()
            stopped.set()
            async with serve_devnet(settings):
                await done.wait()

        url = await tasks.start(run_the_chain_twice)
        async with deployed(url) as (chain, _):
            follower = Follower(chain, 0, settings=FollowSettings(poll_s=0.01, with_token=True))

            async def follow_all() -> None:
                position = 0
                while len(seen) < 80:
                    found = await anext(follower)
                    assert found.first == position
                    position = found.last + 1
                    seen.extend(
                        each.event.amount
                        for each in found.events
                        if isinstance(each.event, Transferred) and each.event.recipient == THIRD.address
                    )
                    if len(seen) >= 20:
                        stop.set()

            with anyio.fail_after(120):
                async with anyio.create_task_group() as work:
                    work.start_soon(follow_all)
                    work.start_soon(give_all, chain, OWNER, range(1, 81))
            assert stopped.is_set()
            assert sorted(seen) == list(range(1, 81))
            assert await amounts_given(chain) == seen
        done.set()


async def test_a_follower_wakes_by_the_socket(rig: Rig) -> None:
    follower = Follower(rig.chain, await rig.chain.block_number() + 1, settings=FollowSettings(poll_s=3600, with_token=True))
    with anyio.fail_after(120):
        for amount in range(1, 6):
            found = []

            async def wait(into: list[object] = found) -> None:
                into.append(await anext(follower))

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(wait)
                await anyio.lowlevel.checkpoint()
                await rig.send(OWNER, give(rig.chain, amount))
            assert [each.event.amount for each in found[0].events] == [amount]


async def test_a_chain_that_was_reset_is_an_error_not_a_gap(tmp_path: Path) -> None:
    port = free_port()
    async with serve_devnet(DevnetSettings(db=tmp_path / "one.sqlite", port=port)) as node, deployed(node.rpc_url) as (chain, deployment):
        await give_all(chain, OWNER, range(1, 4))
        follower = Follower(chain, 0, settings=QUICK)
        before = await anext(follower)
        assert before.last == await chain.block_number()
    async with serve_devnet(DevnetSettings(db=tmp_path / "two.sqlite", port=port)) as node:
        async with Rpc(node.rpc_url) as rpc:
            await rpc.call("evm_mine")
        async with deployed(node.rpc_url) as (chain, again):
            assert again.hub == deployment.hub
            with pytest.raises(StateError, match="was seen already"):
                await anext(Follower(chain, before.last + 1, before.last_hash, QUICK))
            await give_all(chain, OWNER, range(1, 9))
            with pytest.raises(StateError, match="another one than was seen"):
                await anext(Follower(chain, before.last + 1, before.last_hash, QUICK))
    with pytest.raises(UnavailableError, match="does not answer"):
        async with open_chain(node.rpc_url, deployment.hub):
            raise AssertionError("there is no chain any more")


async def test_a_consumer_that_restarts_misses_and_repeats_nothing(rig: Rig) -> None:
    position, parent, seen = 0, None, []
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(give_all, rig.chain, OWNER, range(1, 41))
            while len(seen) < 40:
                async with open_chain(rig.node.rpc_url, rig.chain.hub_address) as chain:
                    found = await anext(Follower(chain, position, parent, FollowSettings(poll_s=0.01, span=7, with_token=True)))
                    events = [each.event for each in found.events]
                    seen += [each.amount for each in events if isinstance(each, Transferred) and each.recipient == THIRD.address]
                    position, parent = found.last + 1, found.last_hash
    assert seen == await amounts_given(rig.chain)
