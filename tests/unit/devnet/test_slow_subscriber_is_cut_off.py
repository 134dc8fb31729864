"""A WebSocket client that does not read cannot fill the node's memory; the application is driven without a network."""

from __future__ import annotations

import json
from collections.abc import MutableMapping
from typing import Any

import anyio
import pytest

from voisin.chain.devnet import DevnetSettings
from voisin.chain.devnet.engines.engine import BlockContext
from voisin.chain.devnet.records.headers import seal_empty
from voisin.chain.devnet.values import NO_CHANGES
from voisin.chain.devnet.wire.server import RpcApp
from voisin.chain.devnet.wire.subscriptions import MAX_PER_CLIENT, Subscriptions

pytestmark = pytest.mark.anyio
BLOCK = seal_empty(BlockContext(7, 1, 0, 30_000_000, bytes(20), bytes(32), 1, ()), None, changes=NO_CHANGES)
DEADLINE_S = 120


class Client:
    """The far end of an ASGI WebSocket: says what it is given to say, and reads only while it likes."""

    def __init__(self, *said: dict[str, object]) -> None:
        self.said = [{"type": "websocket.connect"}, *({"type": "websocket.receive", "text": json.dumps(one)} for one in said)]
        self.heard: list[MutableMapping[str, Any]] = []
        self.reads = True
        self.is_gone = anyio.Event()
        self.has_heard = anyio.Event()

    async def receive(self) -> MutableMapping[str, Any]:
        if self.said:
            return self.said.pop(0)
        await self.is_gone.wait()
        return {"type": "websocket.disconnect"}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "websocket.send" and not self.reads:
            await anyio.sleep_forever()
        self.heard.append(message)
        self.has_heard.set()

    def answers(self) -> list[Any]:
        return [json.loads(message["text"]) for message in self.heard if message["type"] == "websocket.send"]


def subscribe(number: int = 1) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": number, "method": "eth_subscribe", "params": ["newHeads"]}


async def test_client_that_does_not_read_is_cut_off() -> None:
    subscriptions = Subscriptions()
    app, client = RpcApp({}, subscriptions, settings=DevnetSettings()), Client(subscribe())
    with anyio.fail_after(DEADLINE_S):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(app, {"type": "websocket"}, client.receive, client.send)
            while not client.answers():
                await anyio.lowlevel.checkpoint()
            client.reads = False
            while subscriptions.has_any:
                subscriptions.publish(BLOCK)
                await anyio.lowlevel.checkpoint()
    assert client.heard[-1] == {"type": "websocket.close", "code": 1013, "reason": "too slow"}


async def test_client_that_goes_away_is_forgotten() -> None:
    subscriptions = Subscriptions()
    app, client = RpcApp({}, subscriptions, settings=DevnetSettings()), Client(subscribe())
    with anyio.fail_after(DEADLINE_S):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(app, {"type": "websocket"}, client.receive, client.send)
            while not client.answers():
                await anyio.lowlevel.checkpoint()
            assert subscriptions.has_any
            client.is_gone.set()
    assert not subscriptions.has_any
    subscriptions.publish(BLOCK)


async def test_one_client_cannot_subscribe_without_end() -> None:
    app, client = (
        RpcApp({}, Subscriptions(), settings=DevnetSettings()),
        Client(*(subscribe(number) for number in range(MAX_PER_CLIENT + 1))),
    )
    with anyio.fail_after(DEADLINE_S):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(app, {"type": "websocket"}, client.receive, client.send)
            while len(client.answers()) <= MAX_PER_CLIENT:
                await anyio.lowlevel.checkpoint()
            client.is_gone.set()
    refused = [answer for answer in client.answers() if "error" in answer]
    assert [answer["error"]["code"] for answer in refused] == [-32005]
