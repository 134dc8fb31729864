"""A node of this process is asked and heard without a network; what comes by its news is as complete as what is asked for."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import anyio
import anyio.to_thread
import pytest

from tests.support.node_twin import HUB, NodeTwin
from voisin.chain import Chain, Rpc, connect, follow
from voisin.chain.heads import HeadFeed
from voisin.chain.near import NearNode, Push, near_node, node_at
from voisin.client.watch import Stage, Watch
from voisin.errors import UnavailableError
from voisin.protocol.ids import Address, Hash32, TaskId

pytestmark = pytest.mark.anyio
NOBODY = "http://127.0.0.1:9"  # where no node listens
CLAIMED = "0xcbc308b5f91040d2659a5201858344b0b583cd2f9e18e8470c2fa052c5b21ff8"
LONG_S = 0.5  # a wait for news lasts a hundred times as long at most


@dataclass
class Speaker:
    """A node that tells of its blocks, and counts what it is asked."""

    twin: NodeTwin
    pushes: list[Push] = field(default_factory=list)

    async def answer(self, body: bytes) -> bytes:
        return json.dumps(self.twin._serve(json.loads(body))).encode()

    def mine(self) -> None:
        self.twin.mine()
        self.tell(self.twin.height)

    def tell(self, height: int) -> None:
        message = {"jsonrpc": "2.0", "method": "eth_subscription", "params": {"subscription": "0x1", "result": {"number": hex(height)}}}
        for push in self.pushes:
            push(json.dumps(message).encode())

    def node(self) -> NearNode:
        def tell_heads(push: Push) -> Callable[[], None]:
            self.pushes.append(push)
            return lambda: self.pushes.remove(push)

        return NearNode(self.answer, tell_heads)


@pytest.fixture
async def speaker(node: NodeTwin) -> AsyncIterator[Speaker]:
    speaker = Speaker(node)
    with node_at(NOBODY, speaker.node()):
        yield speaker


@pytest.fixture
async def chain(speaker: Speaker) -> AsyncIterator[Chain]:
    async with Rpc(NOBODY) as rpc:
        chain = await connect(rpc, Address(HUB))
        yield chain
        await chain.heads.aclose()


async def test_it_is_asked_without_network_as_long_as_it_is_there(speaker: Speaker) -> None:
    async with Rpc(f"{NOBODY}/", attempts=1) as rpc:
        assert await rpc.call("eth_blockNumber") == hex(speaker.twin.height)
        assert len(await rpc.batch([("eth_blockNumber", ()), ("eth_chainId", ())])) == 2
    with node_at("http://127.0.0.1:10", speaker.node()):
        pass
    async with Rpc("http://127.0.0.1:10", attempts=1) as rpc:
        with pytest.raises(UnavailableError):
            await rpc.call("eth_blockNumber")


async def test_other_loops_go_through_the_network(speaker: Speaker) -> None:
    assert near_node(NOBODY) is not None

    async def look() -> bool:
        return near_node(NOBODY) is None

    assert await anyio.to_thread.run_sync(lambda: anyio.run(look))


async def test_its_news_wake_whoever_waits(speaker: Speaker) -> None:
    feed = HeadFeed(NOBODY)
    beyond = speaker.twin.height
    assert not await feed.wait(beyond, poll_s=LONG_S)  # begins to listen, and says to look first

    async def mine() -> None:
        await anyio.wait_all_tasks_blocked()
        speaker.mine()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(mine)
        with anyio.fail_after(20):
            assert await feed.wait(beyond, poll_s=LONG_S)


async def test_its_end_wakes_whoever_waits(node: NodeTwin) -> None:
    feed = HeadFeed(NOBODY)
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            with node_at(NOBODY, Speaker(node).node()):
                await feed.wait(5, poll_s=LONG_S)
                tasks.start_soon(lambda: feed.wait(5, poll_s=1000))
                await anyio.wait_all_tasks_blocked()


async def test_who_hears_of_blocks_need_not_ask_how_many_there_are(speaker: Speaker, chain: Chain) -> None:
    ranges = follow(chain, speaker.twin.height + 1)
    async with anyio.create_task_group() as tasks:
        found: list[tuple[int, int]] = []

        async def read() -> None:
            async for each in ranges:
                found.append((each.first, each.last))

        tasks.start_soon(read)
        await anyio.wait_all_tasks_blocked()
        asked, first = speaker.twin.methods["eth_blockNumber"], speaker.twin.height + 1
        for _ in range(5):
            speaker.mine()
            await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    assert found == [(number, number) for number in range(first, first + 5)]
    assert speaker.twin.methods["eth_blockNumber"] == asked


async def test_a_client_that_hears_of_blocks_need_not_ask_how_many_there_are(speaker: Speaker, chain: Chain) -> None:
    watch, task = Watch(chain), TaskId(Hash32("0x" + "11" * 32))
    watched = (await watch.add([task]))[task]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch.run)
        await anyio.wait_all_tasks_blocked()
        asked = speaker.twin.methods["eth_blockNumber"]
        for _ in range(3):
            speaker.mine()
            await anyio.wait_all_tasks_blocked()
        assert speaker.twin.methods["eth_blockNumber"] == asked
        speaker.twin.mine(logs=[{"address": HUB, "topics": [CLAIMED, task], "data": "0x"}])
        speaker.tell(speaker.twin.height)
        with anyio.fail_after(20):
            assert await watched.final() is Stage.FAILED
        tasks.cancel_scope.cancel()


async def test_news_that_got_lost_are_found_by_looking(speaker: Speaker, chain: Chain) -> None:
    ranges = follow(chain, speaker.twin.height + 1, poll_s=0.0005)
    for _ in range(3):
        speaker.twin.mine()  # and nobody tells
        with anyio.fail_after(20):
            assert (await anext(ranges)).last == speaker.twin.height


async def test_news_of_a_block_that_is_not_there_yet_lose_nothing(speaker: Speaker, chain: Chain) -> None:
    start = speaker.twin.height + 1
    ranges = follow(chain, start, poll_s=0.001)
    async with anyio.create_task_group() as tasks:
        found: list[int] = []

        async def read() -> None:
            async for each in ranges:
                found.extend(range(each.first, each.last + 1))

        tasks.start_soon(read)
        await anyio.wait_all_tasks_blocked()
        speaker.tell(start + 1)
        speaker.twin.mine()
        speaker.twin.mine()
        with anyio.fail_after(20):
            while len(found) < 2:
                await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    assert found == [start, start + 1]
