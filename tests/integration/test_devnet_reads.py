"""What was sealed can be read: state and calls of the past, blocks by every name, logs by every filter, fees."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from eth_utils.crypto import keccak

from tests.support.devnet import ADDRESSES, COIN, GWEI, KEYS, signed
from tests.support.devnet_contract import Author, Book
from voisin.chain.devnet import Devnet, DevnetSettings, RpcError, serve_devnet

pytestmark = pytest.mark.anyio
WRITTEN = "0x" + keccak(text="Written(address,uint256,string)").hex()


@pytest.fixture
async def node() -> AsyncIterator[Devnet]:
    async with serve_devnet(DevnetSettings(max_logs=20, max_log_blocks=50)) as node:
        yield node


@pytest.fixture
async def book(node: Devnet) -> Book:
    return await Author(node).deploy()


def word(number: int) -> str:
    return f"0x{number:064x}"


async def ask(node: Devnet, method: str, *params: object) -> Any:
    return await node.request(method, list(params))  # type: ignore[arg-type]


async def test_state_of_every_block_of_the_past(node: Devnet, book: Book) -> None:
    for page in range(1, 6):
        await book.send("write", page, (page, f"page {page}"))
    for block, written in ((1, 5), (2, 6), (3, 7), (6, 10)):
        assert await book.number("written", block=hex(block)) == written
        assert await ask(node, "eth_getStorageAt", book.address, "0x0", hex(block)) == word(written)
        assert int(await ask(node, "eth_getTransactionCount", ADDRESSES[0], hex(block)), 16) == block
    assert await ask(node, "eth_getCode", book.address, "0x0") == "0x"
    assert len(await ask(node, "eth_getCode", book.address, "0x1")) > 1000
    assert await ask(node, "eth_getBalance", ADDRESSES[0], "earliest") == hex(10_000 * COIN)
    assert await book.call("written", block="0x0") == b""


async def test_block_of_a_call(node: Devnet, book: Book) -> None:
    await book.send("write", 1, (1, "x"))
    head = await ask(node, "eth_getBlockByNumber", "latest", False)
    parent = await ask(node, "eth_getBlockByNumber", "0x1", False)
    moment = await book.call("moment", block="0x2")
    number, timestamp, parent_hash, base_fee, chain_id, gas_limit = (moment[32 * i : 32 * i + 32] for i in range(6))
    assert int.from_bytes(number, "big") == 2
    assert int.from_bytes(timestamp, "big") == int(head["timestamp"], 16)
    assert parent_hash.hex() == parent["hash"][2:]
    assert int.from_bytes(base_fee, "big") == 0  # nobody offers to pay, as in geth
    assert (int.from_bytes(chain_id, "big"), int.from_bytes(gas_limit, "big")) == (31_337, 30_000_000)
    assert (await book.call("moment", block="0x2", gasPrice=hex(3 * GWEI)))[96:128] == GWEI.to_bytes(32, "big")
    assert (await book.call("moment", block={"blockHash": head["hash"]}))[:64] == moment[:64]
    assert int.from_bytes((await book.call("moment", block="latest"))[:32], "big") == 2
    pending = await book.call("moment", block="pending")
    assert int.from_bytes(pending[:32], "big") == 3
    assert pending[64:96].hex() == head["hash"][2:]


async def test_block_by_every_name(node: Devnet, book: Book) -> None:
    latest = await ask(node, "eth_getBlockByNumber", "latest", False)
    assert latest["number"] == "0x1"
    for name in ("0x1", "safe", "finalized"):
        assert await ask(node, "eth_getBlockByNumber", name, False) == latest
    assert await ask(node, "eth_getBlockByHash", latest["hash"], False) == latest
    pending = await ask(node, "eth_getBlockByNumber", "pending", True)
    assert (pending["number"], pending["parentHash"], pending["hash"]) == ("0x2", latest["hash"], None)
    assert (pending["transactions"], pending["baseFeePerGas"]) == ([], latest["baseFeePerGas"])
    full = await ask(node, "eth_getBlockByHash", latest["hash"], True)
    assert [tx["hash"] for tx in full["transactions"]] == latest["transactions"]
    genesis = await ask(node, "eth_getBlockByNumber", "earliest", True)
    assert (genesis["number"], genesis["transactions"], genesis["parentHash"]) == ("0x0", [], "0x" + "00" * 32)
    assert await ask(node, "eth_getBlockTransactionCountByNumber", "0x1") == "0x1"
    assert await ask(node, "eth_getBlockTransactionCountByHash", genesis["hash"]) == "0x0"
    assert await ask(node, "eth_getBlockReceipts", "0x0") == []


async def test_what_there_is_not_is_null_or_said(node: Devnet, book: Book) -> None:
    nothing = "0x" + "11" * 32
    for method, params in [
        ("eth_getBlockByNumber", ["0x99", False]),
        ("eth_getBlockByHash", [nothing, False]),
        ("eth_getBlockReceipts", ["0x99"]),
        ("eth_getBlockTransactionCountByNumber", ["0x99"]),
        ("eth_getTransactionByHash", [nothing]),
        ("eth_getTransactionReceipt", [nothing]),
        ("eth_getTransactionByBlockNumberAndIndex", ["0x99", "0x0"]),
        ("eth_getTransactionByBlockHashAndIndex", [nothing, "0x0"]),
    ]:
        assert await ask(node, method, *params) is None, method
    for block in ("0x99", {"blockHash": nothing}):
        for method, first in (
            ("eth_getBalance", [ADDRESSES[0]]),
            ("eth_call", [{"to": book.address}]),
            ("eth_getStorageAt", [book.address, "0x0"]),
        ):
            with pytest.raises(RpcError, match="header not found"):
                await ask(node, method, *first, block)


async def test_logs_by_every_filter(node: Devnet, book: Book) -> None:
    other = await Author(node, KEYS[1], ADDRESSES[1]).deploy()
    for page in (1, 2, 3):
        await book.send("write", page, (page, f"page {page}"))
    await other.send("write", 2, (1, "other"))
    await book.send("refuse", 1)

    async def pages(**wanted: object) -> list[tuple[str, int]]:
        found = await ask(node, "eth_getLogs", {"fromBlock": "0x0", **wanted})
        return [(log["address"], int(log["topics"][2], 16)) for log in found]

    ours, theirs = book.address.lower(), other.address.lower()
    everything = [(ours, 1), (ours, 2), (ours, 3), (theirs, 2)]
    assert await pages() == everything
    assert await pages(address=book.address) == everything[:3]
    assert await pages(address=[book.address, other.address]) == everything
    assert await pages(topics=[WRITTEN]) == everything
    assert await pages(topics=[None, None, word(2)]) == [(ours, 2), (theirs, 2)]
    assert await pages(topics=[WRITTEN, None, [word(1), word(3)]]) == [(ours, 1), (ours, 3)]
    assert await pages(topics=[[word(5), WRITTEN], "0x" + ADDRESSES[1][2:].lower().rjust(64, "0")]) == [(theirs, 2)]
    assert await pages(topics=[None, None, None, None]) == []
    assert await pages(topics=[word(5)]) == []
    assert await pages(fromBlock="0x4", toBlock="0x5") == [(ours, 2), (ours, 3)]
    assert await pages(fromBlock="0x99") == []
    log = (await ask(node, "eth_getLogs", {"fromBlock": "0x4", "toBlock": "0x4"}))[0]
    assert await ask(node, "eth_getLogs", {"blockHash": log["blockHash"]}) == [log]
    receipt = await ask(node, "eth_getTransactionReceipt", log["transactionHash"])
    assert receipt["logs"] == [log]
    block = await ask(node, "eth_getBlockByHash", log["blockHash"], False)
    assert (log["blockNumber"], log["blockTimestamp"], log["logIndex"]) == ("0x4", block["timestamp"], "0x0")
    assert receipt["logsBloom"] == block["logsBloom"] != "0x" + "00" * 256


async def test_too_many_logs_are_refused_with_a_range_that_fits(node: Devnet, book: Book) -> None:
    for page in range(1, 26):
        await book.send("write", page, (1, "x"))
    with pytest.raises(RpcError, match=r"more than 20 results: ask for blocks 0x0 to 0x15 first") as caught:
        await ask(node, "eth_getLogs", {"fromBlock": "0x0"})
    assert caught.value.rpc_code == -32005
    assert len(await ask(node, "eth_getLogs", {"fromBlock": "0x0", "toBlock": "0x15"})) == 20
    for _ in range(30):
        await ask(node, "evm_mine")
    with pytest.raises(RpcError, match="exceed maximum block range: 50"):
        await ask(node, "eth_getLogs", {"fromBlock": "0x0"})
    with pytest.raises(RpcError, match="fromBlock is above toBlock"):
        await ask(node, "eth_getLogs", {"fromBlock": "0x5", "toBlock": "0x4"})


async def test_filters_are_polled(node: Devnet, book: Book) -> None:
    logs = await ask(node, "eth_newFilter", {"address": book.address, "topics": [WRITTEN]})
    blocks = await ask(node, "eth_newBlockFilter")
    assert await ask(node, "eth_getFilterChanges", logs) == []
    receipts = [await book.send("write", page, (1, "x")) for page in (1, 2)]
    assert await ask(node, "eth_getFilterChanges", logs) == [receipt["logs"][0] for receipt in receipts]
    assert await ask(node, "eth_getFilterChanges", blocks) == [receipt["blockHash"] for receipt in receipts]
    assert await ask(node, "eth_getFilterChanges", logs) == []
    everything = await ask(node, "eth_newFilter", {"fromBlock": "0x0", "address": book.address})
    assert len(await ask(node, "eth_getFilterLogs", everything)) == 2
    assert await ask(node, "eth_uninstallFilter", logs) is True
    with pytest.raises(RpcError, match="filter not found"):
        await ask(node, "eth_getFilterChanges", logs)


async def test_fee_history(node: Devnet, book: Book) -> None:
    await ask(node, "evm_mine")
    history = await ask(node, "eth_feeHistory", "0x5", "latest", [10, 90])
    assert history["oldestBlock"] == "0x0"
    assert history["baseFeePerGas"] == [hex(GWEI)] * 4
    used = int((await ask(node, "eth_getBlockByNumber", "0x1", False))["gasUsed"], 16)
    assert history["gasUsedRatio"] == [0, used / 30_000_000, 0]
    assert history["reward"] == [["0x0", "0x0"], [hex(GWEI), hex(GWEI)], ["0x0", "0x0"]]
    assert "reward" not in await ask(node, "eth_feeHistory", 1, "0x1")
    for bad in ([90, 10], [101], ["10"], [True]):
        with pytest.raises(RpcError, match="percentiles"):
            await ask(node, "eth_feeHistory", "0x1", "latest", bad)


async def test_answers_that_never_change(node: Devnet) -> None:
    assert await ask(node, "eth_chainId") == "0x7a69"
    assert await ask(node, "net_version") == "31337"
    assert await ask(node, "eth_syncing") is False
    assert await ask(node, "net_listening") is True
    assert await ask(node, "eth_gasPrice") == hex(2 * GWEI)
    assert await ask(node, "eth_maxPriorityFeePerGas") == hex(GWEI)
    assert await ask(node, "web3_sha3", "0x") == "0x" + keccak(b"").hex()
    assert "voisin-jit" in await ask(node, "web3_clientVersion")
    assert await ask(node, "eth_coinbase") == "0x" + "00" * 20
    assert (await ask(node, "eth_mining"), await ask(node, "eth_hashrate")) == (False, "0x0")
    assert await ask(node, "eth_getUncleCountByBlockNumber", "0x0") == "0x0"
    assert await ask(node, "eth_getUncleByBlockNumberAndIndex", "0x0", "0x0") is None
    with pytest.raises(RpcError, match="'eth_teapot' does not exist") as caught:
        await ask(node, "eth_teapot")
    assert caught.value.rpc_code == -32601
    with pytest.raises(RpcError, match="eth_getProof is not available: this chain keeps no Merkle tries") as caught:
        await ask(node, "eth_getProof", ADDRESSES[0], [], "latest")
    assert caught.value.rpc_code == -32601


async def test_bare_header_and_raw_bytes(node: Devnet, book: Book) -> None:
    block = await ask(node, "eth_getBlockByNumber", "0x1", False)
    header = await ask(node, "eth_getHeaderByNumber", "0x1")
    assert header == {key: block[key] for key in header}
    assert "transactions" not in header
    assert await ask(node, "eth_getHeaderByHash", block["hash"]) == header
    raw = await ask(node, "eth_getRawTransactionByHash", block["transactions"][0])
    assert "0x" + keccak(bytes.fromhex(raw[2:])).hex() == block["transactions"][0]
    assert await ask(node, "debug_getRawTransaction", block["transactions"][0]) == raw
    assert await ask(node, "eth_getRawTransactionByBlockNumberAndIndex", "0x1", "0x0") == raw
    assert await ask(node, "eth_getRawTransactionByBlockHashAndIndex", block["hash"], "0x0") == raw
    assert await ask(node, "eth_getRawTransactionByBlockHashAndIndex", block["hash"], "0x1") is None


async def test_transaction_that_waits_is_listed(node: Devnet, book: Book) -> None:
    raw = signed(KEYS[1], 7, to=ADDRESSES[0], value=3, gas=21_000)
    tx_hash = await ask(node, "eth_sendRawTransaction", "0x" + raw.hex())
    assert await ask(node, "txpool_status") == {"pending": "0x0", "queued": "0x1"}
    content = await ask(node, "txpool_content")
    assert content["queued"][ADDRESSES[1]]["7"]["hash"] == tx_hash
    assert (await ask(node, "txpool_inspect"))["queued"][ADDRESSES[1]]["7"].startswith(f"{ADDRESSES[0]}: 3 wei + 21000 gas")


async def test_transactions_are_heard_of_by_a_filter(node: Devnet, book: Book) -> None:
    number = await ask(node, "eth_newPendingTransactionFilter")
    receipt = await book.send("write", 1, (1, "x"))
    assert await ask(node, "eth_getFilterChanges", number) == [receipt["transactionHash"]]
    assert await ask(node, "eth_getFilterChanges", number) == []


async def test_call_that_pretends(node: Devnet, book: Book) -> None:
    rich = "0x" + "ab" * 20
    written, slot = book.call_params("written"), "0x" + "00" * 32
    word = "0x" + f"{77:064x}"
    poor = {"from": rich, "to": ADDRESSES[0], "value": hex(COIN)}
    with pytest.raises(RpcError, match="insufficient funds"):
        await ask(node, "eth_call", poor)
    assert await ask(node, "eth_call", poor, "latest", {rich: {"balance": hex(2 * COIN)}}) == "0x"
    assert await ask(node, "eth_estimateGas", poor, "latest", {rich: {"balance": hex(2 * COIN)}}) == hex(21_000)
    assert await ask(node, "eth_call", written, "latest", {book.address: {"stateDiff": {slot: word}}}) == word
    assert await ask(node, "eth_call", written, "latest", {book.address: {"state": {}}}) == "0x" + "00" * 32
    constant = {"code": "0x602a5f5260205ff3"}  # returns 42
    assert await ask(node, "eth_call", {"to": rich}, "latest", {rich: constant}) == "0x" + f"{42:064x}"
    pretended = {"number": "0x99", "time": "0x1234", "baseFeePerGas": "0x7", "coinbase": rich, "gasLimit": "0x4c4b40"}
    moment = await ask(node, "eth_call", book.call_params("moment", gasPrice="0x7"), "latest", {}, pretended)
    assert [int(moment[2 + 64 * i : 66 + 64 * i], 16) for i in (0, 1, 3, 5)] == [0x99, 0x1234, 7, 5_000_000]
    assert await book.number("written") == 5
    for bad in ({rich: {"balance": "x"}}, {rich: {"colour": "0x1"}}, {rich: {"state": {}, "stateDiff": {}}}, {"0x12": {}}):
        with pytest.raises(RpcError, match="invalid argument 2"):
            await ask(node, "eth_call", poor, "latest", bad)
    with pytest.raises(RpcError, match="weather is not supported"):
        await ask(node, "eth_call", poor, "latest", {}, {"weather": "0x1"})
