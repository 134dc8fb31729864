"""What only development wants, as tools for anvil and Hardhat ask for it; and that nobody gets it who should not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_defunct, encode_typed_data
from eth_utils.address import to_checksum_address

from tests.support.devnet import ADDRESSES, COIN, GWEI, KEYS, signed
from tests.support.devnet_contract import Author
from voisin.chain.devnet import Devnet, DevnetSettings, RpcError, serve_devnet
from voisin.chain.devnet.accounts import development_keys
from voisin.chain.devnet.wire.dev_methods import MAX_MINED, REFUSED

pytestmark = pytest.mark.anyio
START = 1_800_000_000
WHO = "0x" + "99" * 20
WORD = "0x" + f"{7:064x}"


@pytest.fixture
async def node() -> AsyncIterator[Devnet]:
    async with serve_devnet(DevnetSettings(), clock=lambda: START) as node:
        yield node


async def ask(node: Devnet, method: str, *params: object) -> Any:
    return await node.request(method, list(params))  # type: ignore[arg-type]


async def head(node: Devnet) -> tuple[int, int]:
    block = await ask(node, "eth_getBlockByNumber", "latest", False)
    return int(block["number"], 16), int(block["timestamp"], 16)


@pytest.mark.parametrize("family", ["anvil", "hardhat"])
async def test_accounts_are_changed_by_hand(node: Devnet, family: str) -> None:
    assert await ask(node, f"{family}_setBalance", WHO, hex(5 * COIN)) is None
    assert await ask(node, f"{family}_setNonce", WHO, "0x9") is None
    assert await ask(node, f"{family}_setCode", WHO, "0x5f545f5260205ff3") is None  # returns slot 0
    assert await ask(node, f"{family}_setStorageAt", WHO, "0x0", WORD) is True
    assert await ask(node, "eth_getBalance", WHO, "latest") == hex(5 * COIN)
    assert await ask(node, "eth_getTransactionCount", WHO, "latest") == "0x9"
    assert await ask(node, "eth_getStorageAt", WHO, "0x0", "latest") == WORD
    assert await ask(node, "eth_call", {"to": WHO}) == WORD
    assert await ask(node, "eth_getCode", WHO, "0x2") == "0x"
    assert await ask(node, "eth_getStorageAt", WHO, "0x0", "0x3") == "0x" + "00" * 32
    assert await ask(node, f"{family}_setCode", WHO, "0x") is None
    assert await ask(node, "eth_getCode", WHO, "latest") == "0x"


async def test_change_by_hand_leaves_the_time_for_the_next_transaction(node: Devnet) -> None:
    await ask(node, "evm_setNextBlockTimestamp", START + 500)
    await ask(node, "anvil_setBalance", WHO, "0x1")
    assert await head(node) == (1, START)
    await Author(node).send(to=WHO, gas=21_000)
    assert await head(node) == (2, START + 500)


async def test_blocks_are_mined(node: Devnet) -> None:
    assert await ask(node, "anvil_mine", "0x3") is None
    assert await head(node) == (3, START)
    assert await ask(node, "hardhat_mine", 2, "0x3c") is None
    assert await head(node) == (5, START + 120)
    assert await ask(node, "evm_mine", {"blocks": 2, "timestamp": START + 1000}) == "0x0"
    assert await head(node) == (7, START + 1000)
    assert await ask(node, "anvil_mine") is None
    assert (await head(node))[0] == 8
    with pytest.raises(RpcError, match=f"at most {MAX_MINED} blocks"):
        await ask(node, "anvil_mine", MAX_MINED + 1)


async def test_clock_is_set(node: Devnet) -> None:
    assert await ask(node, "evm_setTime", START + 777) == 777
    await ask(node, "evm_mine")
    assert await head(node) == (1, START + 777)
    with pytest.raises(RpcError, match="lower than the previous block's timestamp"):
        await ask(node, "evm_setTime", START)


async def test_impersonated_account_sends(node: Devnet) -> None:
    book = await Author(node).deploy()
    transaction = {"from": book.address, "to": WHO, "value": hex(COIN)}  # a contract, which no key can sign for
    with pytest.raises(RpcError, match="no signer available"):
        await ask(node, "eth_sendTransaction", transaction)
    await ask(node, "anvil_setBalance", book.address, hex(3 * COIN))
    await ask(node, "hardhat_impersonateAccount", book.address)
    tx_hash = await ask(node, "eth_sendTransaction", transaction)
    receipt = await ask(node, "eth_getTransactionReceipt", tx_hash)
    assert (receipt["status"], receipt["from"]) == ("0x1", book.address.lower())
    assert await ask(node, "eth_getBalance", WHO, "latest") == hex(COIN)
    assert (await ask(node, "eth_getTransactionByHash", tx_hash))["from"] == book.address.lower()
    assert book.address.lower() in await ask(node, "eth_accounts")
    await ask(node, "anvil_stopImpersonatingAccount", book.address)
    with pytest.raises(RpcError, match="no signer available"):
        await ask(node, "eth_sendTransaction", transaction)


async def test_equal_transactions_of_two_impersonated_accounts_are_two(node: Devnet) -> None:
    await ask(node, "anvil_autoImpersonateAccount", True)
    others = ["0x" + "51" * 20, "0x" + "00" * 20]
    hashes = set()
    for who in others:
        await ask(node, "anvil_setBalance", who, hex(COIN))
        hashes.add(await ask(node, "eth_sendTransaction", {"from": who, "to": WHO, "value": "0x1", "gas": "0x5208"}))
    assert len(hashes) == 2
    await ask(node, "anvil_autoImpersonateAccount", False)
    with pytest.raises(RpcError, match="no signer"):
        await ask(node, "eth_sendTransaction", {"from": others[0], "to": WHO})


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({}, "0x2"),
        ({"gasPrice": hex(2 * GWEI)}, "0x0"),
        ({"gasPrice": hex(2 * GWEI), "accessList": [{"address": WHO, "storageKeys": [WORD]}]}, "0x1"),
        ({"maxFeePerGas": hex(9 * GWEI), "maxPriorityFeePerGas": hex(2 * GWEI), "nonce": "0x0", "gas": "0x5208"}, "0x2"),
        ({"maxFeePerGas": hex(GWEI)}, "0x2"),
    ],
)
async def test_development_account_signs_what_it_sends(node: Devnet, fields: dict[str, Any], kind: str) -> None:
    transaction = {"from": ADDRESSES[1], "to": WHO, "value": "0x5", **fields}
    raw = await ask(node, "eth_signTransaction", transaction)
    assert Account.recover_transaction(raw) == ADDRESSES[1]
    tx_hash = await ask(node, "eth_sendTransaction", transaction)
    sent = await ask(node, "eth_getTransactionByHash", tx_hash)
    assert (sent["type"], sent["from"], sent["value"]) == (kind, ADDRESSES[1].lower(), "0x5")
    assert await ask(node, "eth_getRawTransactionByHash", tx_hash) == raw
    assert await ask(node, "eth_getBalance", WHO, "latest") == "0x5"


async def test_transaction_of_type_4_is_signed(node: Devnet) -> None:
    one = Account.sign_authorization({"chainId": 31_337, "address": WHO, "nonce": 0}, KEYS[2])
    given = {"chainId": "0x7a69", "address": WHO, "nonce": "0x0", "yParity": hex(one.y_parity), "r": hex(one.r), "s": hex(one.s)}
    tx_hash = await ask(node, "eth_sendTransaction", {"from": ADDRESSES[0], "to": ADDRESSES[2], "authorizationList": [given]})
    assert (await ask(node, "eth_getTransactionByHash", tx_hash))["authorizationList"] == [given]
    assert await ask(node, "eth_getCode", ADDRESSES[2], "latest") == "0xef0100" + WHO[2:]


async def test_messages_are_signed(node: Devnet) -> None:
    text = "0x" + b"hello".hex()
    for signature in (await ask(node, "eth_sign", ADDRESSES[0], text), await ask(node, "personal_sign", text, ADDRESSES[0])):
        assert Account.recover_message(encode_defunct(b"hello"), signature=signature) == ADDRESSES[0]
    typed = {
        "types": {"EIP712Domain": [{"name": "name", "type": "string"}], "Mail": [{"name": "to", "type": "address"}]},
        "primaryType": "Mail",
        "domain": {"name": "test"},
        "message": {"to": ADDRESSES[1]},
    }
    signature = await ask(node, "eth_signTypedData_v4", ADDRESSES[0], typed)
    assert Account.recover_message(encode_typed_data(full_message=typed), signature=signature) == ADDRESSES[0]
    with pytest.raises(RpcError, match="cannot be encoded"):
        await ask(node, "eth_signTypedData_v4", ADDRESSES[0], {"types": {}})
    with pytest.raises(RpcError, match="no signer available"):
        await ask(node, "eth_sign", WHO, text)


async def test_waiting_transactions_are_dropped(node: Devnet) -> None:
    hashes = [
        await ask(node, "eth_sendRawTransaction", "0x" + signed(KEYS[who], nonce, to=WHO, gas=21_000).hex())
        for who, nonce in ((0, 3), (0, 4), (1, 1), (2, 1))
    ]
    assert await ask(node, "anvil_dropTransaction", hashes[0]) == hashes[0]
    assert await ask(node, "anvil_dropTransaction", hashes[0]) is None
    assert await ask(node, "eth_getTransactionByHash", hashes[0]) is None
    await ask(node, "anvil_removePoolTransactions", ADDRESSES[1])
    assert await ask(node, "txpool_status") == {"pending": "0x0", "queued": "0x2"}
    await ask(node, "anvil_dropAllTransactions")
    assert await ask(node, "txpool_status") == {"pending": "0x0", "queued": "0x0"}


async def test_reset_goes_back_to_the_beginning(node: Devnet) -> None:
    author = Author(node)
    await ask(node, "evm_increaseTime", 100)
    await author.deploy()
    snapshot = await ask(node, "evm_snapshot")
    await author.deploy()
    assert await ask(node, "anvil_reset") is None
    assert await head(node) == (0, START)
    assert await author.nonce() == 0
    await author.deploy()
    await author.deploy()
    assert await ask(node, "evm_revert", snapshot) is False
    assert await head(node) == (2, START)
    with pytest.raises(RpcError, match="no fork of another"):
        await ask(node, "hardhat_reset", {"forking": {"jsonRpcUrl": "http://x"}})


async def test_node_tells_about_itself(node: Devnet) -> None:
    info = await ask(node, "anvil_nodeInfo")
    assert (info["currentBlockNumber"], info["environment"]["chainId"], info["hardFork"]) == (0, 31_337, "Prague")
    assert (await ask(node, "hardhat_metadata"))["latestBlockNumber"] == 0
    assert await ask(node, "anvil_getAutomine") is True
    assert await ask(node, "evm_setAutomine", True) is None
    assert await ask(node, "evm_setIntervalMining", 0) is None
    assert await ask(node, "anvil_setLoggingEnabled", False) is None


async def test_what_this_chain_cannot_do_says_so(node: Devnet) -> None:
    with pytest.raises(RpcError, match="sealed at once"):
        await ask(node, "evm_setAutomine", False)
    with pytest.raises(RpcError, match="not by the clock"):
        await ask(node, "evm_setIntervalMining", 5)
    for method, why in REFUSED.items():
        with pytest.raises(RpcError) as caught:
            await ask(node, method, "0x1")
        assert (caught.value.rpc_code, caught.value.message) == (-32601, f"the method {method} is not available: {why}")


DEV_METHODS = (
    "evm_mine", "evm_snapshot", "evm_revert", "evm_increaseTime", "evm_setNextBlockTimestamp", "evm_setTime", "evm_setAutomine",
    "anvil_mine", "anvil_setBalance", "anvil_setCode", "anvil_setNonce", "anvil_setStorageAt", "anvil_impersonateAccount",
    "anvil_stopImpersonatingAccount", "anvil_autoImpersonateAccount", "anvil_dropTransaction", "anvil_reset", "anvil_nodeInfo",
    "hardhat_setBalance", "hardhat_impersonateAccount", "hardhat_reset", "hardhat_mine", "eth_sendTransaction", "eth_sign",
    "eth_signTransaction", "eth_signTypedData_v4", "personal_sign",
)  # fmt: skip


@pytest.mark.parametrize("settings", [{"has_dev_methods": False}, {"host": "0.0.0.0"}], ids=["turned off", "open to others"])
async def test_node_for_others_has_none_of_it(settings: dict[str, Any]) -> None:
    async with serve_devnet(DevnetSettings(**settings)) as node:
        for method in DEV_METHODS:
            with pytest.raises(RpcError, match="does not exist"):
                await ask(node, method)
        assert await ask(node, "eth_accounts") == []


async def test_node_for_others_has_it_when_asked() -> None:
    async with serve_devnet(DevnetSettings(host="0.0.0.0", has_dev_methods=True)) as node:
        assert await ask(node, "evm_mine") == "0x0"


async def test_engine_that_reads_signatures_impersonates_nobody() -> None:
    async with serve_devnet(DevnetSettings(engine="eels")) as node:
        for method in ("anvil_impersonateAccount", "anvil_autoImpersonateAccount"):
            with pytest.raises(RpcError, match="nobody can be impersonated"):
                await ask(node, method, WHO if "auto" not in method else True)


async def test_accounts_are_those_of_the_mnemonic(node: Devnet) -> None:
    assert [to_checksum_address(who) for who in await ask(node, "eth_accounts")] == [key.address for key in development_keys(10)]
