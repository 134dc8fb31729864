"""The follower's ranges have no gap and no overlap, whatever the node does, and a chain that went back is never passed over."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.nights import examples
from tests.support.node_twin import APPS, HUB, TOKEN, URL, NodeTwin, install_hub
from voisin.chain import Chain, EventRange, Follower, FollowSettings, Rpc, connect, events_of, follow
from voisin.errors import StateError
from voisin.protocol.events import TaskClaimed
from voisin.protocol.ids import Address, Hash32

pytestmark = pytest.mark.anyio
CLAIMED = "0xcbc308b5f91040d2659a5201858344b0b583cd2f9e18e8470c2fa052c5b21ff8"
TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
QUICK = FollowSettings(poll_s=0.0005, lag_s=0.02)


def claimed(number: int, address: str = HUB) -> dict[str, Any]:
    return {"address": address, "topics": [CLAIMED, f"0x{number:064x}"], "data": "0x"}


def moved(address: str) -> dict[str, Any]:
    return {"address": address, "topics": [TRANSFER, "0x" + "00" * 32, "0x" + "00" * 32], "data": "0x" + "00" * 32}


def numbers(*ranges: EventRange) -> list[int]:
    return [int(logged.event.task_id, 16) for each in ranges for logged in each.events if isinstance(logged.event, TaskClaimed)]


async def take(follower: Follower, until: int) -> list[EventRange]:
    """Take ranges until one ends at block `until`."""
    found: list[EventRange] = []
    while not found or found[-1].last < until:
        found.append(await anext(follower))
    return found


async def test_consecutive_ranges_of_at_most_the_span(node: NodeTwin, chain: Chain) -> None:
    for number in range(1, 26):
        node.mine(logs=[claimed(number), claimed(number)])
    ranges = await take(Follower(chain, 3, settings=FollowSettings(span=10)), 25)
    assert [(each.first, each.last) for each in ranges] == [(3, 12), (13, 22), (23, 25)]
    assert numbers(*ranges) == [number for number in range(3, 26) for _ in range(2)]


async def test_the_next_range_comes_with_the_next_block(node: NodeTwin, chain: Chain) -> None:
    follower = Follower(chain, 0, settings=QUICK)
    assert (await anext(follower)).last == 0
    found: list[EventRange] = []
    async with anyio.create_task_group() as tasks:

        async def wait() -> None:
            found.append(await anext(follower))

        tasks.start_soon(wait)
        while node.methods["eth_blockNumber"] < 5:
            await anyio.lowlevel.checkpoint()
        node.mine(logs=[claimed(7)])
    assert [(each.first, each.last, numbers(each)) for each in found] == [(1, 1, [7])]


async def test_hub_and_registries_are_followed_the_token_only_when_asked(node: NodeTwin, chain: Chain) -> None:
    node.mine(logs=[moved(HUB), moved(TOKEN), moved("0x" + "99" * 20), claimed(1, APPS)])
    for with_token, count in ((False, 2), (True, 3)):
        (found,) = await take(Follower(chain, 1, settings=FollowSettings(with_token=with_token)), 1)
        assert len(found.events) == count


async def test_a_node_that_finds_it_too_much_is_asked_for_less(node: NodeTwin, chain: Chain) -> None:
    for number in range(1, 101):
        node.mine(logs=[claimed(number)])
    node.max_log_blocks = 7
    ranges = await take(Follower(chain, 1), 100)
    assert numbers(*ranges) == list(range(1, 101))
    assert max(each.last - each.first for each in ranges) < 7


async def test_a_node_that_is_away_is_waited_for(node: NodeTwin, chain: Chain) -> None:
    node.mine(logs=[claimed(1)])
    node.faults.extend(["refused"] * 40)
    (found,) = await take(Follower(chain, 1, settings=QUICK), 1)
    assert numbers(found) == [1]


async def test_waiting_can_be_cancelled(node: NodeTwin, chain: Chain) -> None:
    node.faults.extend(["refused"] * 10_000)
    with anyio.move_on_after(0.02) as scope:
        await anext(Follower(chain, 0, settings=QUICK))
    assert scope.cancelled_caught


async def test_a_chain_that_was_set_back_below_is_noticed(node: NodeTwin, chain: Chain) -> None:
    for _ in range(5):
        node.mine()
    follower = Follower(chain, 0, settings=QUICK)
    await take(follower, 5)
    node.set_back(2)
    with pytest.raises(StateError, match="the chain has 2 blocks, but block 5 was seen already: the development chain was reset"):
        await anext(follower)


async def test_a_chain_that_grew_other_blocks_is_noticed(node: NodeTwin, chain: Chain) -> None:
    for _ in range(5):
        node.mine()
    follower = Follower(chain, 0, settings=QUICK)
    await take(follower, 5)
    node.set_back(2)
    for _ in range(6):
        node.mine(logs=[claimed(1)])
    with pytest.raises(StateError, match="block 5 is another one than was seen"):
        await anext(follower)


async def test_a_chain_that_was_reset_while_nobody_looked_is_noticed(node: NodeTwin, chain: Chain) -> None:
    for _ in range(5):
        node.mine()
    (before,) = await take(Follower(chain, 0), 5)
    node.set_back(0)
    for _ in range(9):
        node.mine()
    with pytest.raises(StateError, match="another one than was seen"):
        await anext(follow(chain, before.last + 1, parent_hash=before.last_hash))


async def test_a_stored_position_ahead_of_the_chain_is_noticed(chain: Chain) -> None:
    with pytest.raises(StateError, match="block 8 was seen already"):
        await anext(Follower(chain, 9, settings=QUICK))


async def test_a_slow_node_behind_the_same_address_is_no_alarm(node: NodeTwin, chain: Chain) -> None:
    for number in range(1, 6):
        node.mine(logs=[claimed(number)])
    follower = Follower(chain, 0, settings=FollowSettings(poll_s=0.0005, lag_s=20))
    await take(follower, 5)
    blocks, node.blocks = node.blocks, node.blocks[:3]
    async with anyio.create_task_group() as tasks:

        async def catch_up() -> None:
            seen = node.methods["eth_blockNumber"]
            while node.methods["eth_blockNumber"] < seen + 3:
                await anyio.lowlevel.checkpoint()
            node.blocks = blocks
            node.mine(logs=[claimed(6)])

        tasks.start_soon(catch_up)
        assert numbers(await anext(follower)) == [6]


async def test_events_of_a_stretch_at_once(node: NodeTwin, chain: Chain) -> None:
    for number in range(1, 31):
        node.mine(logs=[claimed(number)])
    node.max_log_blocks = 4
    found = await events_of(chain, 5, 25)
    assert [logged.block for logged in found] == list(range(5, 26))
    assert await events_of(chain, 7, 6) == []
    with pytest.raises(StateError, match="block 31 is not there yet"):
        await events_of(chain, 1, 31)


FAULTS = st.lists(st.sampled_from(["", "", "refused", "lost", "busy", "garbage", "short", "shuffled", "slow"]), max_size=30)


@settings(max_examples=examples(25))
@given(
    faults=FAULTS, blocks=st.lists(st.integers(0, 3), min_size=1, max_size=30), span=st.integers(1, 8), restarts=st.sets(st.integers(0, 30))
)
async def test_exactly_once_across_faults_and_restarts(faults: list[str], blocks: list[int], span: int, restarts: set[int]) -> None:
    node, expected = NodeTwin(), iter(range(10_000))
    install_hub(node)
    logged: list[int] = []
    seen: list[int] = []
    async with Rpc(URL, transport=node, first_pause_s=0.0001) as rpc, anyio.create_task_group() as tasks:
        chain = await connect(rpc, Address(HUB))
        node.faults.extend(faults)

        async def produce() -> None:
            for count in blocks:
                fresh = [next(expected) for _ in range(count)]
                logged.extend(fresh)
                node.mine(logs=[claimed(number) for number in fresh])
                await anyio.lowlevel.checkpoint()

        tasks.start_soon(produce)
        position, parent = 0, None
        while position <= len(blocks):
            follower = Follower(chain, position, parent, FollowSettings(poll_s=0.0001, span=span))
            while position <= len(blocks):
                found = await anext(follower)
                assert found.first == position
                seen += numbers(found)
                position, parent = found.last + 1, found.last_hash
                if position in restarts:
                    break
    assert seen == logged
    assert isinstance(parent, str)
    assert parent == Hash32(node.blocks[-1].hash)
