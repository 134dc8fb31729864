"""Waiting for blocks: a WebSocket wakes at once; without one, or with one that breaks, waiting goes on by polling."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
import pytest
from websockets.asyncio.server import ServerConnection, serve

from voisin.chain.heads import HeadFeed, socket_url

pytestmark = pytest.mark.anyio
Talk = Callable[[ServerConnection], Awaitable[None]]
LONG_S = 0.5  # a wait with a socket lasts a hundred times as long at most


def head(number: int) -> str:
    return json.dumps(
        {"jsonrpc": "2.0", "method": "eth_subscription", "params": {"subscription": "0x1", "result": {"number": hex(number)}}}
    )


@asynccontextmanager
async def node(talk: Talk) -> AsyncIterator[str]:
    """A WebSocket port; gives the address of the HTTP port that would be at the same place."""
    async with serve(talk, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/key"


async def tell(socket: ServerConnection, *messages: str) -> None:
    """Accept a subscription, and send messages; then stay."""
    assert json.loads(await socket.recv())["params"] == ["newHeads"]
    await socket.send('{"jsonrpc":"2.0","id":1,"result":"0x1"}')
    for message in messages:
        await socket.send(message)
    await socket.wait_closed()


async def wait_quickly(feed: HeadFeed, beyond: int, poll_s: float = LONG_S) -> bool:
    with anyio.fail_after(120):
        return await feed.wait(beyond, poll_s=poll_s)


@pytest.mark.parametrize(("http", "socket"), [("http://h:1/k?x=1", "ws://h:1/k?x=1"), ("https://h/v3/key", "wss://h/v3/key")])
def test_the_socket_is_looked_for_at_the_same_place(http: str, socket: str) -> None:
    assert socket_url(http) == socket


async def test_a_new_block_wakes_and_an_old_one_does_not() -> None:
    async with node(lambda socket: tell(socket, head(5), head(6), head(7))) as url:
        feed = HeadFeed(url)
        assert not await wait_quickly(feed, 5)  # connects, and says to look first
        assert await wait_quickly(feed, 6)
        with anyio.move_on_after(0.05) as scope:
            await feed.wait(7, poll_s=LONG_S)
        assert scope.cancelled_caught
        await feed.aclose()


async def test_several_wait_together() -> None:
    async with node(lambda socket: tell(socket, head(9))) as url:
        feed = HeadFeed(url)
        await wait_quickly(feed, 8)
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(wait_quickly, feed, 8)
        await feed.aclose()


@pytest.mark.parametrize("message", ["garbage", '{"params": 5}', '{"params": {"result": {"number": "zz"}}}', '{"error": {"code": -32601}}'])
async def test_a_socket_that_talks_nonsense_is_given_up(message: str) -> None:
    talks = 0

    async def talk(socket: ServerConnection) -> None:
        nonlocal talks
        talks += 1
        await tell(socket, message)

    async with node(talk) as url:
        feed = HeadFeed(url)
        for _ in range(5):
            await wait_quickly(feed, 0, poll_s=0.01)
        assert talks == 1


async def test_a_socket_that_breaks_is_tried_again_later() -> None:
    talks = 0

    async def talk(socket: ServerConnection) -> None:
        nonlocal talks
        talks += 1
        assert await socket.recv()
        await socket.send(head(talks))
        if talks > 1:
            await socket.wait_closed()

    async with node(talk) as url:
        feed = HeadFeed(url)
        with anyio.fail_after(120):
            while talks < 2:
                await feed.wait(talks, poll_s=0.02)
        await feed.aclose()


async def test_a_node_without_socket_is_polled() -> None:
    async with node(lambda socket: tell(socket)) as url:
        pass
    feed = HeadFeed(url)
    for _ in range(3):
        await wait_quickly(feed, 0, poll_s=0.001)
    await feed.aclose()


async def test_a_socket_that_has_silently_died_does_no_harm() -> None:
    async with node(lambda socket: tell(socket)) as url:
        feed = HeadFeed(url)
        for _ in range(3):
            await wait_quickly(feed, 0, poll_s=0.0005)
        await feed.aclose()
