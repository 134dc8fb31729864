"""The port: HTTP and WebSocket as clients use and misuse them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import anyio
import anyio.abc
import httpx
import pytest
import websockets

from tests.support.devnet import ADDRESSES, KEYS, signed
from tests.support.devnet_contract import Author
from voisin.chain import Rpc
from voisin.chain.devnet import Devnet, DevnetSettings, serve_devnet

pytestmark = pytest.mark.anyio
DEADLINE_S = 120
GAS_FOR_HOURS = 10**13


@pytest.fixture
async def node() -> AsyncIterator[Devnet]:
    async with serve_devnet(DevnetSettings(max_request_bytes=20_000, max_batch=10, call_timeout_s=2, gas_limit=GAS_FOR_HOURS)) as node:
        yield node


@pytest.fixture
async def http(node: Devnet) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=node.rpc_url, timeout=DEADLINE_S) as client:
        yield client


def request(method: str, *params: object, request_id: object = 1) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": request_id, "method": method, "params": list(params)}


async def test_batch_is_answered_in_order_one_by_one(http: httpx.AsyncClient) -> None:
    raw = "0x" + signed(KEYS[0], 0, to=ADDRESSES[1], gas=21_000).hex()
    count = ("eth_getTransactionCount", ADDRESSES[0], "latest")
    batch = [request(*count, request_id="a"), request("eth_sendRawTransaction", raw, request_id=2), request(*count, request_id=None), "x"]
    answers = (await http.post("/", json=batch)).json()
    assert [answer.get("id") for answer in answers] == ["a", 2, None, None]
    assert (answers[0]["result"], answers[2]["result"]) == ("0x0", "0x1")
    assert answers[3]["error"]["code"] == -32600


async def test_notifications_get_no_answer(http: httpx.AsyncClient) -> None:
    silent = {"jsonrpc": "2.0", "method": "evm_mine"}
    for body in (silent, [silent, silent]):
        response = await http.post("/", json=body)
        assert (response.status_code, response.content) == (204, b"")
    answers = (await http.post("/", json=[silent, request("eth_blockNumber")])).json()
    assert answers == [{"jsonrpc": "2.0", "id": 1, "result": "0x4"}]


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        (b"", -32700, "not JSON"),
        (b"{", -32700, "not JSON"),
        (b"[]", -32600, "the batch is empty"),
        (b"5", -32600, "a request is an object"),
        (b"{}", -32600, '"jsonrpc"'),
        (b'{"jsonrpc":"1.0","id":1,"method":"eth_chainId"}', -32600, '"jsonrpc"'),
        (b'{"jsonrpc":"2.0","id":1}', -32600, '"method"'),
        (b'{"jsonrpc":"2.0","id":{},"method":"eth_chainId"}', -32600, "id of a request"),
        (b'{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":{"a":1}}', -32602, "as an array"),
        (b'{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[1]}', -32602, "too many arguments"),
        (b'{"jsonrpc":"2.0","id":1,"method":"eth_getBalance","params":[]}', -32602, "missing value for required argument 0"),
        (b'{"jsonrpc":"2.0","id":1,"method":"eth_getBalance","params":["0x12"]}', -32602, "has 1 bytes"),
        (b'{"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["newHeads"]}', -32601, "does not exist"),
        (b'{"jsonrpc":"2.0","id":1,"method":"__class__","params":[]}', -32601, "does not exist"),
        (json.dumps([request("eth_chainId")] * 11).encode(), -32005, "11 requests, the limit is 10"),
    ],
)
async def test_bad_request_is_told_what_is_wrong(http: httpx.AsyncClient, body: bytes, code: int, said: str) -> None:
    response = await http.post("/", content=body)
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (200, code)
    assert said in error["message"]


async def test_large_request_is_refused_and_the_next_is_served(http: httpx.AsyncClient) -> None:
    response = await http.post("/", content=b" " * 20_001)
    assert response.status_code == 413
    assert response.json()["error"]["message"] == "the request is larger than 20000 bytes"
    assert (await http.post("/", json=request("eth_chainId"))).json()["result"] == "0x7a69"


async def test_other_verbs_and_web_pages(http: httpx.AsyncClient) -> None:
    response = await http.get("/")
    assert (response.status_code, response.headers["allow"]) == (405, "POST, OPTIONS")
    preflight = await http.options("/", headers={"origin": "http://dapp.example", "access-control-request-method": "POST"})
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert (await http.post("/", json=request("eth_chainId"))).headers["access-control-allow-origin"] == "*"
    async with serve_devnet(DevnetSettings(cors_origin="")) as closed, httpx.AsyncClient() as client:
        assert "access-control-allow-origin" not in (await client.post(closed.rpc_url, json=request("eth_chainId"))).headers


async def receive(socket: websockets.ClientConnection) -> Any:
    with anyio.fail_after(DEADLINE_S):
        return json.loads(await socket.recv())


async def test_websocket_takes_text_and_binary_and_answers_in_text(node: Devnet) -> None:
    async with websockets.connect(node.ws_url) as socket:
        for frame in (json.dumps(request("eth_chainId")), json.dumps(request("eth_chainId")).encode()):
            await socket.send(frame)
            with anyio.fail_after(DEADLINE_S):
                answer = await socket.recv()
            assert isinstance(answer, str)
            assert json.loads(answer)["result"] == "0x7a69"
        await socket.send(b"\xff\x00")
        assert (await receive(socket))["error"]["code"] == -32700
        await socket.send(json.dumps([request("eth_chainId"), request("eth_blockNumber")]))
        assert [answer["result"] for answer in await receive(socket)] == ["0x7a69", "0x0"]


async def test_subscriptions_tell_of_heads_and_of_the_logs_asked_for(node: Devnet) -> None:
    book = await Author(node).deploy()
    async with websockets.connect(node.ws_url) as socket:

        async def subscribe(*params: object) -> str:
            await socket.send(json.dumps(request("eth_subscribe", *params)))
            return str((await receive(socket))["result"])

        heads = await subscribe("newHeads")
        ours = await subscribe("logs", {"address": book.address})
        await subscribe("logs", {"address": ADDRESSES[3]})
        receipt = await book.send("write", 1, (1, "x"))
        told = [await receive(socket) for _ in range(2)]
        assert [message["method"] for message in told] == ["eth_subscription"] * 2
        by_id = {message["params"]["subscription"]: message["params"]["result"] for message in told}
        assert by_id[heads]["hash"] == receipt["blockHash"]
        assert "transactions" not in by_id[heads]
        assert by_id[ours] == receipt["logs"][0]
        await socket.send(json.dumps(request("eth_unsubscribe", heads)))
        assert (await receive(socket))["result"] is True
        await socket.send(json.dumps(request("eth_unsubscribe", heads)))
        assert (await receive(socket))["result"] is False
        await book.send("write", 2, (1, "y"))
        assert (await receive(socket))["params"]["subscription"] == ours
        await socket.send(json.dumps(request("eth_subscribe", "syncing")))
        assert "no such subscription" in (await receive(socket))["error"]["message"]


async def test_transactions_are_told_by_hash_or_in_full(node: Devnet) -> None:
    book = await Author(node).deploy()
    async with websockets.connect(node.ws_url) as socket:
        keys = []
        for params in (("newPendingTransactions",), ("newPendingTransactions", True)):
            await socket.send(json.dumps(request("eth_subscribe", *params)))
            keys.append((await receive(socket))["result"])
        sent = (await book.send("write", 1, (1, "x")))["transactionHash"]
        told = {message["params"]["subscription"]: message["params"]["result"] for message in [await receive(socket) for _ in keys]}
        assert told[keys[0]] == sent
        assert (told[keys[1]]["hash"], told[keys[1]]["blockHash"]) == (sent, None)


async def test_subscription_belongs_to_its_connection(node: Devnet) -> None:
    async with websockets.connect(node.ws_url) as first, websockets.connect(node.ws_url) as second:
        await first.send(json.dumps(request("eth_subscribe", "newHeads")))
        key = (await receive(first))["result"]
        await second.send(json.dumps(request("eth_unsubscribe", key)))
        assert (await receive(second))["result"] is False
        await second.close()
        await node.request("evm_mine")
        assert (await receive(first))["params"]["subscription"] == key


async def test_slow_call_does_not_hold_up_the_loop_or_stored_reads(node: Devnet) -> None:
    book = await Author(node).deploy()
    async with websockets.connect(node.ws_url) as socket:
        await socket.send(json.dumps(request("eth_call", book.call_params("burn", 1_000_000_000), request_id="slow")))
        order = []
        for method, params in (("eth_blockNumber", []), ("eth_getBalance", [ADDRESSES[0]]), ("eth_getLogs", [{"fromBlock": "0x0"}])):
            await socket.send(json.dumps(request(method, *params, request_id=method)))
            order.append((await receive(socket))["id"])
        assert order == ["eth_blockNumber", "eth_getBalance", "eth_getLogs"]
        slow = await receive(socket)
        assert slow["id"] == "slow"
        assert "took too long" in slow["error"]["message"]


async def test_too_many_waiting_requests_are_told_so(node: Devnet) -> None:
    async with serve_devnet(DevnetSettings(max_waiting=3, call_timeout_s=1, gas_limit=GAS_FOR_HOURS)) as small:
        book = await Author(small).deploy()
        calls = [small.request("eth_call", [book.call_params("burn", 1_000_000_000)]) for _ in range(6)]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert sum("too many requests wait" in str(outcome) for outcome in outcomes) == 3
        assert sum("took too long" in str(outcome) for outcome in outcomes) == 3
        assert await book.number("written") == 5


async def test_many_clients_at_once(node: Devnet) -> None:
    async def client(key: str) -> None:
        async with httpx.AsyncClient(timeout=DEADLINE_S) as http:
            for nonce in range(10):
                raw = "0x" + signed(key, nonce, to=ADDRESSES[0], gas=21_000).hex()
                answer = (await http.post(node.rpc_url, json=request("eth_sendRawTransaction", raw))).json()
                assert "result" in answer, answer

    async with anyio.create_task_group() as clients:
        for key in KEYS:
            clients.start_soon(client, key)
    assert await node.request("eth_blockNumber") == hex(40)


async def ask_timed(http: httpx.AsyncClient, method: str, *params: object) -> tuple[Any, float]:
    """A result, and how long it took [s]."""
    began = anyio.current_time()
    answer = (await http.post("/", json=request(method, *params))).json()
    return answer["result"], anyio.current_time() - began


async def test_receipt_is_held_for_clients_that_remember_nonces() -> None:
    settings = DevnetSettings(nonce_settle_ms=400)
    async with serve_devnet(settings) as node, httpx.AsyncClient(base_url=node.rpc_url, timeout=DEADLINE_S) as http:
        raw = "0x" + signed(KEYS[0], 0, to=ADDRESSES[1], gas=21_000).hex()
        tx_hash, _ = await ask_timed(http, "eth_sendRawTransaction", raw)
        receipt, took = await ask_timed(http, "eth_getTransactionReceipt", tx_hash)
        assert took < 0.3, "nobody has read the nonce"
        await ask_timed(http, "eth_getTransactionCount", ADDRESSES[0], "pending")
        assert (await ask_timed(http, "eth_getTransactionReceipt", tx_hash))[1] >= 0.35
        assert receipt["from"] == ADDRESSES[0].lower()


async def test_clients_that_remember_nothing_do_not_wait() -> None:
    settings = DevnetSettings(nonce_settle_ms=60_000)
    async with serve_devnet(settings) as node, httpx.AsyncClient(base_url=node.rpc_url) as http, Rpc(node.rpc_url) as ours:
        raw = "0x" + signed(KEYS[0], 0, to=ADDRESSES[1], gas=21_000).hex()
        tx_hash, _ = await ask_timed(http, "eth_sendRawTransaction", raw)
        assert await ours.call("eth_getTransactionCount", ADDRESSES[0], "pending") == "0x1"
        assert (await ask_timed(http, "eth_getTransactionReceipt", tx_hash))[0], "what ours has read holds nobody"
        await ask_timed(http, "eth_getTransactionCount", ADDRESSES[0], "pending")
        assert await ours.call("eth_getTransactionReceipt", tx_hash), "what others have read does not hold ours"


async def send_endless_head(stream: anyio.abc.SocketStream) -> None:
    await stream.send(b"POST / HTTP/1.1\r\nx-long: ")
    for _ in range(1_000):
        await stream.send(b"x" * 16_384)
    await stream.receive()


async def test_head_that_does_not_end_is_cut_off(node: Devnet, http: httpx.AsyncClient) -> None:
    host, port = node.rpc_url.removeprefix("http://").split(":")
    with anyio.fail_after(DEADLINE_S):
        async with await anyio.connect_tcp(host, int(port)) as stream:
            with pytest.raises((anyio.BrokenResourceError, anyio.EndOfStream)):
                await send_endless_head(stream)
    assert (await http.post("/", json=request("eth_chainId"))).status_code == 200


async def test_one_connection_carries_many_requests(http: httpx.AsyncClient) -> None:
    for _ in range(200):  # heads of 200 requests are longer than one head may be
        response = await http.post("/", json=request("eth_chainId"), headers={"x-filler": "x" * 2_000})
        assert response.status_code == 200


async def test_long_request_in_one_piece_is_no_long_head() -> None:
    async with serve_devnet(DevnetSettings()) as node, httpx.AsyncClient(base_url=node.rpc_url, timeout=DEADLINE_S) as http:
        for _ in range(3):
            data = "0x" + "00" * 100_000
            (answer,) = (await http.post("/", json=[request("eth_call", {"to": ADDRESSES[1], "data": data}, "latest")])).json()
            assert answer["result"] == "0x"
