"""The plain HTTP client for nodes of this machine reads what any server may answer, and never takes half an answer for one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

from voisin.chain import Rpc
from voisin.chain.local_http import MAX_HEAD_BYTES, BrokenTalkError, LocalHttp
from voisin.errors import UnavailableError

pytestmark = pytest.mark.anyio
Seen = list[tuple[bytes, bytes]]


@asynccontextmanager
async def server(answer: Callable[[int], bytes], *, hangs_up: bool = False) -> AsyncIterator[tuple[str, Seen, list[int]]]:
    """A server whose nth answer is given; yields its address, the heads and bodies that came, and the connections, one entry each."""
    seen: Seen = []
    connections: list[int] = []

    async def talk(stream: SocketStream) -> None:
        connections.append(len(connections))
        reader = BufferedByteReceiveStream(stream)
        async with stream:
            try:
                while True:
                    head = await reader.receive_until(b"\r\n\r\n", MAX_HEAD_BYTES)
                    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                    seen.append((head, await reader.receive_exactly(length)))
                    await stream.send(answer(len(seen)))
                    if hangs_up:
                        return
            except (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError):
                return

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, talk)
        yield f"http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}/path/key?a=b", seen, connections
        tasks.cancel_scope.cancel()


ANSWERS = {
    "a length": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "a length of nothing": b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nx:\r\n\r\nhello",
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\nx: y\r\n\r\n",
    "something before": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
}


@pytest.mark.parametrize("name", ANSWERS)
async def test_answers_are_read_and_the_connection_is_used_again(name: str) -> None:
    async with server(lambda _: ANSWERS[name]) as (url, seen, connections):
        client = LocalHttp(url, {"x-one": "1"})
        for number in range(3):
            assert await client.post(b"body %d" % number) == (200, b"hello")
        client.close()
    assert [body for _, body in seen] == [b"body 0", b"body 1", b"body 2"]
    assert seen[0][0].startswith(b"POST /path/key?a=b HTTP/1.1\r\nhost: 127.0.0.1:")
    assert b"x-one: 1\r\n" in seen[0][0]
    assert connections == [0]


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (b"HTTP/1.1 200 OK\r\nconnection: Close\r\ncontent-length: 2\r\n\r\nok", (200, b"ok")),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", (200, b"ok")),
        (b"HTTP/1.1 503 Busy\r\n\r\nuntil the end", (503, b"until the end")),
    ],
)
async def test_a_connection_that_ends_is_not_used_again(said: bytes, answer: tuple[int, bytes]) -> None:
    async with server(lambda _: said, hangs_up=True) as (url, _, connections):
        client = LocalHttp(url, {})
        assert [await client.post(b"a"), await client.post(b"b")] == [answer, answer]
        client.close()
    assert connections == [0, 1]


async def test_a_connection_that_the_server_has_closed_meanwhile_is_not_used_again() -> None:
    async with server(lambda _: ANSWERS["a length"], hangs_up=True) as (url, _, connections):
        client = LocalHttp(url, {})
        for _ in range(3):
            assert await client.post(b"a") == (200, b"hello")
            with anyio.fail_after(20):
                while not client._idle[-1][0].at_eof():  # its farewell has not come yet
                    await anyio.lowlevel.checkpoint()
        client.close()
    assert connections == [0, 1, 2]


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel",
        b"HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n-1\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 two OK\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 2 * MAX_HEAD_BYTES + b"\r\n\r\n",
    ],
)
async def test_what_is_no_whole_answer_is_an_error(said: bytes) -> None:
    async with server(lambda _: said, hangs_up=True) as (url, _, _connections):
        client = LocalHttp(url, {})
        with anyio.fail_after(20), pytest.raises(BrokenTalkError):
            await client.post(b"a")
        async with Rpc(url, attempts=1) as rpc:
            with pytest.raises(UnavailableError):
                await rpc.call("eth_chainId")


async def test_a_cancelled_request_leaves_no_answer_for_the_next() -> None:
    async with server(lambda number: b"" if number == 1 else ANSWERS["a length"]) as (url, _, connections):
        client = LocalHttp(url, {})
        with anyio.move_on_after(0.05) as scope:
            await client.post(b"a")
        assert scope.cancelled_caught
        assert await client.post(b"b") == (200, b"hello")
        client.close()
    assert connections == [0, 1]


async def test_a_node_that_never_answers_is_not_waited_for_for_ever() -> None:
    async with server(lambda _: b"") as (url, _, _connections), Rpc(url, attempts=1, timeout_s=0.05) as rpc:
        with pytest.raises(UnavailableError, match="too long"):
            await rpc.call("eth_chainId")


async def test_nobody_there_is_an_error() -> None:
    with pytest.raises(BrokenTalkError):
        await LocalHttp("http://127.0.0.1:9", {}).post(b"a")
