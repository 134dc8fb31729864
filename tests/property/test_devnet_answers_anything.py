"""Whatever is sent, a JSON-RPC answer comes back, and the node goes on as if nothing had happened."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.devnet import ADDRESSES
from tests.support.nights import examples
from voisin.chain.devnet import DevnetSettings
from voisin.chain.devnet.node import serve_embedded

Answer = Callable[[bytes], bytes | None]

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20)
hexes = (
    st.integers(0, 2**256).map(hex)
    | st.binary(max_size=40).map(lambda data: "0x" + data.hex())
    | st.sampled_from([*ADDRESSES, "0x", "latest", "pending"])
)
anything = st.recursive(
    scalars | hexes, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4), max_leaves=12
)
FIELDS = ["from", "to", "data", "input", "value", "gas", "gasPrice", "accessList", "fromBlock", "toBlock", "blockHash", "address", "topics"]
objects = st.dictionaries(st.sampled_from(FIELDS), hexes | anything, max_size=5)
METHODS = [
    "eth_chainId", "eth_blockNumber", "eth_getBalance", "eth_getTransactionCount", "eth_getCode", "eth_getStorageAt", "eth_call",
    "eth_estimateGas", "eth_sendRawTransaction", "eth_getBlockByNumber", "eth_getBlockByHash", "eth_getBlockReceipts", "eth_getLogs",
    "eth_getTransactionByHash", "eth_getTransactionReceipt", "eth_getTransactionByBlockNumberAndIndex", "eth_feeHistory", "eth_newFilter",
    "eth_newBlockFilter", "eth_getFilterChanges", "eth_getFilterLogs", "eth_uninstallFilter", "web3_sha3", "net_version",
    "evm_increaseTime", "evm_setNextBlockTimestamp", "evm_mine", "evm_snapshot", "evm_revert", "anvil_setBalance", "eth_subscribe",
]  # fmt: skip
requests = st.fixed_dictionaries(
    {"jsonrpc": st.just("2.0"), "id": st.integers(0, 9), "method": st.sampled_from(METHODS)},
    optional={"params": st.lists(hexes | objects | anything, max_size=4) | anything},
)
mangled = st.dictionaries(st.sampled_from(["jsonrpc", "id", "method", "params", "x"]), anything | st.just("2.0"), max_size=5)
KNOWN_CODES = {-32700, -32600, -32601, -32602, -32603, -32000, -32003, -32005, 3}


@pytest.fixture(scope="module")
def answer() -> Iterator[Answer]:
    settings = DevnetSettings(call_timeout_s=0.5, has_dev_methods=True, max_batch=20)
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(serve_embedded(settings)) as node:
        yield lambda body: portal.call(node.answer, body)


def assert_is_answer(answered: object) -> None:
    assert isinstance(answered, dict)
    assert answered["jsonrpc"] == "2.0"
    assert ("result" in answered) != ("error" in answered)
    if "error" in answered:
        assert answered["error"]["code"] in KNOWN_CODES - {-32603}, answered
        assert answered["error"]["message"]


def assert_goes_on(answer: Answer) -> None:
    alive = json.loads(answer(b'{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}') or b"")
    assert alive == {"jsonrpc": "2.0", "id": 1, "result": "0x7a69"}


@settings(max_examples=examples(50))
@given(body=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_bytes(answer: Answer, body: bytes) -> None:
    answered = json.loads(answer(body) or b"null")
    if answered is not None:
        assert_is_answer(answered)


@settings(max_examples=examples(125))
@given(request=requests | mangled)
def test_requests(answer: Answer, request: dict[str, object]) -> None:
    answered = json.loads(answer(json.dumps(request).encode()) or b"null")
    if answered is None:
        assert "id" not in request
    else:
        assert_is_answer(answered)


@settings(max_examples=examples(25))
@given(batch=st.lists(requests | mangled | anything, max_size=6))
def test_batches(answer: Answer, batch: list[object]) -> None:
    answered = json.loads(answer(json.dumps(batch).encode()) or b"null")
    for one in answered if isinstance(answered, list) else [answered] if answered else []:
        assert_is_answer(one)
    assert_goes_on(answer)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"jsonrpc":"2.0","id":1,"method":"eth_call","params":' + b"[" * 900 + b"]" * 900 + b"}",
        b"\xff\xfe",
        b"",
    ],
)
def test_nesting_and_rubbish(answer: Answer, body: bytes) -> None:
    assert_is_answer(json.loads(answer(body) or b"null"))
    assert_goes_on(answer)
