"""One block a transaction: what is sealed, what waits, what is refused, and what it costs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from eth_utils.address import to_checksum_address

from tests.support.devnet import ADDRESSES, CHAIN_ID, COIN, GWEI, KEYS, notebook, signed
from tests.support.devnet_contract import Author
from voisin.chain.devnet import Devnet, DevnetSettings, RpcError, serve_devnet
from voisin.errors import RevertError

pytestmark = pytest.mark.anyio


@pytest.fixture
async def node() -> AsyncIterator[Devnet]:
    async with serve_devnet(DevnetSettings()) as node:
        yield node


async def number(node: Devnet, method: str, *params: object) -> int:
    return int(str(await node.request(method, list(params))), 16)  # type: ignore[arg-type]


async def send(node: Devnet, raw: bytes) -> str:
    return str(await node.request("eth_sendRawTransaction", ["0x" + raw.hex()]))


async def test_transfer_moves_money_and_burns_the_base_fee(node: Devnet) -> None:
    receipt = await Author(node).send(to=ADDRESSES[1], value=COIN, gas=21_000)
    assert receipt["status"] == "0x1"
    assert int(receipt["effectiveGasPrice"], 16) == 2 * GWEI  # base fee 1, tip 1
    assert await number(node, "eth_getBalance", ADDRESSES[1]) == 10_001 * COIN
    assert await number(node, "eth_getBalance", ADDRESSES[0]) == 9_999 * COIN - 21_000 * 2 * GWEI
    assert await number(node, "eth_getBalance", "0x" + "00" * 20) == 21_000 * GWEI  # the author of blocks gets the tip
    assert await number(node, "eth_blockNumber") == 1


async def test_each_transaction_has_a_block_of_its_own(node: Devnet) -> None:
    author = Author(node)
    receipts = [await author.send(to=ADDRESSES[1], gas=21_000) for _ in range(5)]
    assert [receipt["blockNumber"] for receipt in receipts] == ["0x1", "0x2", "0x3", "0x4", "0x5"]
    blocks = [await node.request("eth_getBlockByNumber", [receipt["blockNumber"], True]) for receipt in receipts]
    for parent, block in pairwise(blocks):
        assert isinstance(parent, dict)
        assert isinstance(block, dict)
        assert block["parentHash"] == parent["hash"]
        assert int(str(block["timestamp"]), 16) >= int(str(parent["timestamp"]), 16)
        assert len(block["transactions"]) == 1  # type: ignore[arg-type]


async def test_failed_transaction_is_sealed_and_paid(node: Devnet) -> None:
    book = await Author(node).deploy()
    receipt = await book.send("refuse", 42)
    assert (receipt["status"], receipt["logs"]) == ("0x0", [])
    assert int(receipt["gasUsed"], 16) > 21_000
    assert await book.author.nonce() == 2


async def test_failed_creation_names_the_address_it_would_have_had(node: Devnet) -> None:
    receipt = await Author(node).send(data=b"\xfe")
    assert receipt["status"] == "0x0"
    # CREATE address of the first account's nonce 0, as every tool's documentation shows it
    assert to_checksum_address(receipt["contractAddress"]) == "0x5FbDB2315678afecb367f032d93F642f64180aa3"


async def test_early_nonces_wait_and_are_sealed_in_order(node: Devnet) -> None:
    raws = [signed(KEYS[0], nonce, to=ADDRESSES[1], value=nonce, gas=21_000) for nonce in range(4)]
    hashes = [await send(node, raw) for raw in (raws[3], raws[1], raws[2])]
    assert await number(node, "eth_blockNumber") == 0
    waiting = await node.request("eth_getTransactionByHash", [hashes[0]])
    assert isinstance(waiting, dict)
    assert (waiting["blockNumber"], waiting["nonce"]) == (None, "0x3")
    assert await node.request("eth_getTransactionReceipt", [hashes[0]]) is None
    hashes.append(await send(node, raws[0]))
    receipts = [await node.request("eth_getTransactionReceipt", [tx_hash]) for tx_hash in hashes]
    assert [receipt["blockNumber"] for receipt in receipts if isinstance(receipt, dict)] == ["0x4", "0x2", "0x3", "0x1"]


async def test_waiting_transaction_that_cannot_be_paid_when_its_turn_comes_is_dropped(node: Devnet) -> None:
    late = await send(node, signed(KEYS[0], 1, to=ADDRESSES[1], value=9_000 * COIN, gas=21_000))
    later = await send(node, signed(KEYS[0], 2, to=ADDRESSES[1], gas=21_000))
    await send(node, signed(KEYS[0], 0, to=ADDRESSES[1], value=9_000 * COIN, gas=21_000))
    assert await number(node, "eth_blockNumber") == 1
    assert await node.request("eth_getTransactionByHash", [late]) is None
    assert await node.request("eth_getTransactionByHash", [later]) is not None
    await send(node, signed(KEYS[0], 1, to=ADDRESSES[1], gas=21_000))
    assert await number(node, "eth_blockNumber") == 3


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"nonce": 0, "value": 10_000 * COIN}, "insufficient funds for gas * price + value"),
        ({"nonce": 0, "gas": 20_000}, "intrinsic gas too low"),
        ({"nonce": 0, "gas": 31_000_000}, "exceeds block gas limit"),
        ({"nonce": 0, "maxFeePerGas": GWEI - 1, "maxPriorityFeePerGas": 0}, "max fee per gas less than block base fee"),
        ({"nonce": 0, "chainId": 5}, "invalid chain id"),
        ({"nonce": 7, "value": 10_000 * COIN}, "insufficient funds"),
    ],
)
async def test_refused_transaction_changes_nothing(node: Devnet, fields: dict[str, int], said: str) -> None:
    with pytest.raises(RpcError) as caught:
        await send(node, signed(KEYS[0], **{"to": ADDRESSES[1], "gas": 21_000, **fields}))  # type: ignore[arg-type]
    assert said in str(caught.value)
    assert caught.value.rpc_code == -32003
    assert await number(node, "eth_blockNumber") == 0
    assert await Author(node).nonce() == 0


async def test_transaction_sent_again(node: Devnet) -> None:
    raw = signed(KEYS[0], 0, to=ADDRESSES[1], gas=21_000)
    await send(node, raw)
    for again in (raw, signed(KEYS[0], 0, to=ADDRESSES[2], gas=21_000)):
        with pytest.raises(RpcError, match="nonce too low: next nonce 1, tx nonce 0"):
            await send(node, again)
    waiting = signed(KEYS[0], 5, to=ADDRESSES[1], gas=21_000)
    await send(node, waiting)
    with pytest.raises(RpcError, match="already known"):
        await send(node, waiting)
    with pytest.raises(RpcError, match="replacement transaction underpriced"):
        await send(node, signed(KEYS[0], 5, to=ADDRESSES[2], gas=21_000))


async def test_gas_can_be_free() -> None:
    async with serve_devnet(DevnetSettings(base_fee=0)) as node:
        assert await node.request("eth_gasPrice") == "0x0"
        receipt = await Author(node).send(to=ADDRESSES[1], value=COIN, gas=21_000, gasPrice=0)
        assert receipt["effectiveGasPrice"] == "0x0"
        assert await number(node, "eth_getBalance", ADDRESSES[0]) == 9_999 * COIN


async def test_allocation_and_number_of_accounts() -> None:
    settings = DevnetSettings(accounts=2, allocation={ADDRESSES[1]: 7, ADDRESSES[3]: 8}, chain_id=1234)  # type: ignore[dict-item]
    async with serve_devnet(settings) as node:
        balances = [await number(node, "eth_getBalance", address) for address in ADDRESSES]
        assert balances == [10_000 * COIN, 7, 0, 8]
        assert await node.request("eth_chainId") == hex(1234)
        assert await node.request("net_version") == "1234"


async def test_transaction_is_shown_as_it_was_signed(node: Devnet) -> None:
    kinds = [
        ({"gasPrice": 2 * GWEI}, "0x0"),
        ({"gasPrice": 2 * GWEI, "type": 1, "accessList": [{"address": ADDRESSES[2], "storageKeys": ["0x" + "00" * 32]}]}, "0x1"),
        ({}, "0x2"),
    ]
    for fields, kind in kinds:
        receipt = await Author(node).send(to=ADDRESSES[1], value=3, data=b"\1", gas=60_000, **fields)
        shown = await node.request("eth_getTransactionByHash", [receipt["transactionHash"]])
        assert isinstance(shown, dict)
        assert (shown["type"], shown["value"], shown["input"], shown["to"]) == (kind, "0x3", "0x01", ADDRESSES[1].lower())
        assert (shown["from"], shown["gasPrice"]) == (ADDRESSES[0].lower(), hex(2 * GWEI))
        assert int(str(shown["v"]), 16) in ((0, 1) if kind != "0x0" else (CHAIN_ID * 2 + 35, CHAIN_ID * 2 + 36))
        by_number = await node.request("eth_getTransactionByBlockNumberAndIndex", [receipt["blockNumber"], "0x0"])
        by_hash = await node.request("eth_getTransactionByBlockHashAndIndex", [receipt["blockHash"], "0x0"])
        assert shown == by_number == by_hash
        assert await node.request("eth_getTransactionByBlockNumberAndIndex", [receipt["blockNumber"], "0x1"]) is None
        assert await node.request("eth_getBlockReceipts", [receipt["blockNumber"]]) == [receipt]


async def test_reverts_say_why(node: Devnet) -> None:
    book = await Author(node).deploy()
    with pytest.raises(RevertError) as caught:
        await book.call("write", 1, (0, ""))
    assert (caught.value.message, caught.value.reason) == ("execution reverted: a note has a weight", "a note has a weight")
    with pytest.raises(RevertError) as caught:
        await book.call("refuse", 42)
    assert caught.value.message == "execution reverted"
    assert caught.value.data[-20:].hex() == book.address[2:].lower()
    with pytest.raises(RevertError, match="a note has a weight"):
        await node.request("eth_estimateGas", [book.call_params("write", 1, (0, ""))])


async def test_creation_can_be_called_and_estimated(node: Devnet) -> None:
    init_code = {"from": ADDRESSES[0], "data": "0x" + notebook().init_code(5).hex()}
    estimate = await number(node, "eth_estimateGas", init_code)
    receipt = await Author(node).send(data=notebook().init_code(5), gas=estimate)
    assert (receipt["status"], int(receipt["gasUsed"], 16)) == ("0x1", estimate)
    code = await node.request("eth_call", [init_code, "latest"])
    assert code == await node.request("eth_getCode", [receipt["contractAddress"]])


@pytest.mark.parametrize(
    ("function", "arguments"), [("write", (1, (5, "x"))), ("nest", (6, False)), ("nest", (5, True)), ("try_burn", (3000,)), ("pay", ())]
)
async def test_estimate_is_enough_and_not_much_more(node: Devnet, function: str, arguments: tuple[object, ...]) -> None:
    book = await Author(node).deploy()
    value = 5 if function == "pay" else 0
    estimate = await number(node, "eth_estimateGas", book.call_params(function, *arguments, value=hex(value)))
    snapshot = await node.request("evm_snapshot")
    receipt = await book.send(function, *arguments, gas=estimate, value=value)
    assert receipt["status"] == "0x1"
    if function == "try_burn":
        assert len(receipt["logs"]) == 1, "the callee ran out of gas, which its caller survived"
    assert await node.request("evm_revert", [snapshot])
    if function != "pay":
        too_little = await book.send(function, *arguments, gas=estimate * 99 // 100 - 10)
        assert too_little["status"] == "0x0" or not too_little["logs"]


async def test_estimate_within_the_sender_s_means(node: Devnet) -> None:
    book = await Author(node).deploy()
    poor = "0x" + "77" * 20
    await node.request("anvil_setBalance", [poor, hex(100_000 * GWEI)])
    call = {**book.call_params("burn", 10_000), "from": poor}
    with pytest.raises(RpcError, match="100000"):
        await node.request("eth_estimateGas", [{**call, "maxFeePerGas": hex(GWEI)}])
    assert await number(node, "eth_estimateGas", call) > 100_000
    with pytest.raises(RpcError, match="insufficient funds"):
        await node.request("eth_estimateGas", [{**call, "value": hex(COIN), "maxFeePerGas": hex(GWEI)}])


async def test_call_that_never_ends_is_stopped_and_the_node_goes_on() -> None:
    async with serve_devnet(DevnetSettings(call_timeout_s=0.2, gas_limit=10**13)) as node:
        book = await Author(node).deploy()
        with pytest.raises(RpcError, match="took too long"):
            await book.call("burn", 1_000_000_000)
        assert await book.number("written") == 5
