"""
The calls that every client makes on every node, in order: one list, written once. A step's answer can be used by later steps as `$name`.

All transactions are signed beforehand, and every block is told its time, so that two nodes can give equal answers.
"""

from __future__ import annotations

from typing import Any

from eth_account import Account
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from rlp import encode as rlp_encode

from tests.support.devnet import ADDRESSES, COIN, GWEI, KEYS, notebook, signed

START = 2_000_000_000
FRESH = "0x" + "77" * 20
RICH = "0x" + "ab" * 20
WORD = "0x" + f"{7:064x}"
BOOK = to_checksum_address(keccak(rlp_encode([bytes.fromhex(ADDRESSES[0][2:]), b""]))[12:])
WRITTEN = "0x" + keccak(text="Written(address,uint256,string)").hex()
TYPED_DATA = {
    "types": {"EIP712Domain": [{"name": "name", "type": "string"}], "Mail": [{"name": "to", "type": "address"}]},
    "primaryType": "Mail",
    "domain": {"name": "test"},
    "message": {"to": ADDRESSES[1]},
}
TRACED = ("write", "refused", "nested", "payment", "no gas left")
TREE = {"tracer": "callTracer", "tracerConfig": {"withLog": True}}

Step = dict[str, Any]


def step(name: str, method: str, *params: Any) -> Step:
    """A call whose answer is compared."""
    return {"name": name, "method": method, "params": list(params)}


def call(function: str, *arguments: object, **fields: Any) -> dict[str, Any]:
    """The contract call of a step."""
    return {"from": ADDRESSES[0], "to": BOOK, "data": "0x" + notebook().data(function, *arguments).hex(), **fields}


def sent(name: str, number: int, who: int, nonce: int, **fields: Any) -> list[Step]:
    """A transaction in a block of its own at a set time, and its receipt."""
    raw = "0x" + signed(KEYS[who], nonce, **fields).hex()
    return [
        {"method": "evm_setNextBlockTimestamp", "params": [START + 10 * number]},
        {"method": "anvil_setNextBlockBaseFeePerGas", "params": [hex(GWEI)]},  # ours does not move
        step(name, "eth_sendRawTransaction", raw),
        {"wait": f"${name}"},
        step(f"{name} receipt", "eth_getTransactionReceipt", f"${name}"),
        step(f"{name} transaction", "eth_getTransactionByHash", f"${name}"),
    ]


def questions_about_nothing() -> list[Step]:
    """What a client asks when it connects."""
    return [
        step("chain id", "eth_chainId"),
        step("network", "net_version"),
        step("listening", "net_listening"),
        step("version", "web3_clientVersion"),
        step("syncing", "eth_syncing"),
        step("accounts", "eth_accounts"),
        step("height", "eth_blockNumber"),
        step("gas price", "eth_gasPrice"),
        step("tip", "eth_maxPriorityFeePerGas"),
        step("blob fee", "eth_blobBaseFee"),
        step("hash", "web3_sha3", "0x1234"),
        step("genesis", "eth_getBlockByNumber", "earliest", False),
    ]


def transactions() -> list[Step]:
    """Every kind of transaction, good and failing."""
    book, legacy = notebook(), {"gasPrice": 2 * GWEI}
    listed = [{"address": BOOK, "storageKeys": [WORD]}]
    given = Account.sign_authorization({"chainId": 31_337, "address": BOOK, "nonce": 0}, KEYS[3])
    return [
        step("block filter", "eth_newBlockFilter"),
        step("log filter", "eth_newFilter", {"address": BOOK, "topics": [WRITTEN]}),
        step("hash filter", "eth_newPendingTransactionFilter"),
        *sent("deploy", 1, 0, 0, data=book.init_code(5)),
        *sent("write", 2, 0, 1, to=BOOK, data=book.data("write", 1, (7, "hello"))),
        *sent("legacy", 3, 1, 0, to=BOOK, data=book.data("write", 2, (7, "legacy")), **legacy),
        *sent("listed", 4, 1, 1, to=BOOK, data=book.data("write", 3, (7, "listed")), accessList=listed, **legacy),
        *sent("refused", 5, 1, 2, to=BOOK, data=book.data("write", 1, (0, ""))),
        *sent("custom error", 6, 1, 3, to=BOOK, data=book.data("refuse", 42)),
        *sent("nested", 7, 1, 4, to=BOOK, data=book.data("nest", 3, False)),
        *sent("payment", 8, 2, 0, to=FRESH, value=COIN, gas=21_000),
        *sent("no gas left", 9, 2, 1, to=BOOK, data=book.data("burn", 10**6), gas=60_000),
        *sent("delegation", 10, 2, 2, to=ADDRESSES[3], authorizationList=[given], gas=200_000),
        step("new blocks", "eth_getFilterChanges", "$block filter"),
        step("new logs", "eth_getFilterChanges", "$log filter"),
        step("all logs", "eth_getFilterLogs", "$log filter"),
        step("new hashes", "eth_getFilterChanges", "$hash filter"),
        step("nothing new", "eth_getFilterChanges", "$log filter"),
        step("removed", "eth_uninstallFilter", "$log filter"),
        step("removed twice", "eth_uninstallFilter", "$log filter"),
        step("removed filter", "eth_getFilterChanges", "$log filter"),
    ]


def questions_about_the_past() -> list[Step]:
    """Blocks, transactions, logs, accounts, now and before."""
    return [
        step("head", "eth_getBlockByNumber", "latest", True),
        step("block", "eth_getBlockByNumber", "0x2", False),
        step("full block", "eth_getBlockByNumber", "0x4", True),
        step("no block", "eth_getBlockByNumber", "0x999", False),
        step("pending block", "eth_getBlockByNumber", "pending", False),
        step("no hash", "eth_getBlockByHash", WORD, False),
        step("receipts", "eth_getBlockReceipts", "0x2"),
        step("count", "eth_getBlockTransactionCountByNumber", "0x2"),
        step("by place", "eth_getTransactionByBlockNumberAndIndex", "0x2", "0x0"),
        step("nowhere", "eth_getTransactionByBlockNumberAndIndex", "0x2", "0x1"),
        step("raw", "eth_getRawTransactionByHash", "$write"),
        step("unknown receipt", "eth_getTransactionReceipt", WORD),
        step("unknown transaction", "eth_getTransactionByHash", WORD),
        step("uncles", "eth_getUncleCountByBlockNumber", "0x2"),
        step("uncle", "eth_getUncleByBlockNumberAndIndex", "0x2", "0x0"),
        *(step(f"balance of {who}", "eth_getBalance", who, "latest") for who in (*ADDRESSES, FRESH, "0x" + "00" * 20)),
        *(step(f"nonce of {who}", "eth_getTransactionCount", who, "pending") for who in (*ADDRESSES, BOOK)),
        step("balance before", "eth_getBalance", ADDRESSES[0], "0x1"),
        step("nonce before", "eth_getTransactionCount", ADDRESSES[1], "0x3"),
        step("code", "eth_getCode", BOOK, "latest"),
        step("code of a delegating account", "eth_getCode", ADDRESSES[3], "latest"),
        step("code before", "eth_getCode", BOOK, "0x0"),
        *(step(f"slot {slot}", "eth_getStorageAt", BOOK, hex(slot), "latest") for slot in range(4)),
        step("slot before", "eth_getStorageAt", BOOK, "0x0", "0x1"),
        step("logs", "eth_getLogs", {"fromBlock": "0x0", "toBlock": "latest", "address": BOOK}),
        step(
            "logs of two pages", "eth_getLogs", {"fromBlock": "0x0", "topics": [WRITTEN, None, ["0x" + f"{page:064x}" for page in (1, 3)]]}
        ),
        step("logs of nobody", "eth_getLogs", {"fromBlock": "0x0", "address": FRESH}),
        step("fees", "eth_feeHistory", "0x3", "0x4", [10, 50]),
    ]


def calls() -> list[Step]:
    """Calls, estimates and traces."""
    empty = call("write", 1, (0, ""))
    return [
        step("read", "eth_call", call("read", 1), "latest"),
        step("read before", "eth_call", call("written"), "0x1"),
        step("read as input", "eth_call", {"to": BOOK, "input": call("written")["data"]}, {"blockNumber": "0x2"}),
        step("pretended slot", "eth_call", call("written"), "latest", {BOOK: {"stateDiff": {"0x" + "00" * 32: WORD}}}),
        step("pretended code", "eth_call", {"to": FRESH}, "latest", {FRESH: {"code": "0x602a5f5260205ff3"}}),
        step("pretended balance", "eth_call", {"from": RICH, "to": FRESH, "value": "0x1"}, "latest", {RICH: {"balance": "0x2"}}),
        step("call of nobody", "eth_call", {"to": FRESH, "data": "0x1234"}, "latest"),
        step("call refused", "eth_call", empty, "latest"),
        step("call with a custom error", "eth_call", call("refuse", 42), "latest"),
        step("call too poor", "eth_call", {"from": RICH, "to": FRESH, "value": "0x1"}, "latest"),
        step("estimate of a payment", "eth_estimateGas", {"from": ADDRESSES[0], "to": FRESH, "value": "0x1"}),
        step("estimate", "eth_estimateGas", call("write", 9, (1, "x"))),
        step("estimate refused", "eth_estimateGas", empty),
        step("estimate too poor", "eth_estimateGas", {"from": RICH, "to": FRESH, "value": "0x1"}),
        *(
            step(f"trace of {name}", "debug_traceTransaction", f"${name}", TREE)
            for name in ("write", "refused", "nested", "payment", "no gas left")
        ),
        step("access list", "eth_createAccessList", call("write", 9, (1, "x")), "latest"),
        step("access list of calls", "eth_createAccessList", call("nest", 2, False), "latest"),
        step("access list of nothing", "eth_createAccessList", {"from": ADDRESSES[0], "to": FRESH, "value": "0x1"}, "latest"),
        step("trace of a call", "debug_traceCall", empty, "latest", TREE),
        step("flat trace", "trace_transaction", "$nested"),
    ]


def refusals() -> list[Step]:
    """What no node may do."""
    raw = {name: "0x" + signed(KEYS[0], **fields).hex() for name, fields in REFUSED.items()}
    return [
        *(step(name, "eth_sendRawTransaction", each) for name, each in raw.items()),
        step("rubbish", "eth_sendRawTransaction", "0x1234"),
        step("unknown method", "eth_teapot"),
        step("missing parameter", "eth_getBalance"),
        step("malformed address", "eth_getBalance", "0x12", "latest"),
        step("malformed block", "eth_getBalance", FRESH, "yesterday"),
        step("range the wrong way", "eth_getLogs", {"fromBlock": "0x5", "toBlock": "0x2"}),
        step("proof", "eth_getProof", BOOK, [WORD], "latest"),
    ]


REFUSED: dict[str, dict[str, Any]] = {
    "nonce too low": {"nonce": 0, "to": FRESH, "gas": 21_000},
    "too poor": {"nonce": 2, "to": FRESH, "value": 10**6 * COIN, "gas": 21_000},
    "too little gas": {"nonce": 2, "to": FRESH, "gas": 20_000},
    "other chain": {"nonce": 2, "to": FRESH, "gas": 21_000, "chainId": 5},
    "too much gas": {"nonce": 2, "to": FRESH, "gas": 60_000_000},
    "fee too low": {"nonce": 2, "to": FRESH, "gas": 21_000, "maxFeePerGas": 1, "maxPriorityFeePerGas": 1},
}


def development() -> list[Step]:
    """Methods that only development wants; last, because a change by hand is a block here and none there."""
    return [
        step("signed message", "eth_sign", ADDRESSES[0], "0x1234"),
        step("signed text", "personal_sign", "0x1234", ADDRESSES[0]),
        step("signed data", "eth_signTypedData_v4", ADDRESSES[0], TYPED_DATA),
        step("set balance", "anvil_setBalance", RICH, hex(5 * COIN)),
        step("set code", "anvil_setCode", RICH, "0x5f545f5260205ff3"),
        step("set nonce", "anvil_setNonce", RICH, "0x9"),
        step("set slot", "anvil_setStorageAt", RICH, "0x0", WORD),
        step("balance that was set", "eth_getBalance", RICH, "latest"),
        step("code that was set", "eth_getCode", RICH, "latest"),
        step("nonce that was set", "eth_getTransactionCount", RICH, "latest"),
        step("slot that was set", "eth_call", {"to": RICH}, "latest"),
        step("hardhat's name", "hardhat_setBalance", RICH, hex(6 * COIN)),
        step("impersonate", "anvil_impersonateAccount", RICH),
        step("impersonated", "eth_sendTransaction", {"from": RICH, "to": FRESH, "value": "0x5", "gasPrice": hex(2 * GWEI)}),
        {"wait": "$impersonated"},
        step("balance paid", "eth_getBalance", FRESH, "latest"),
        step("stop", "anvil_stopImpersonatingAccount", RICH),
        step("nobody's", "eth_sendTransaction", {"from": RICH, "to": FRESH, "value": "0x5"}),
        step("snapshot", "evm_snapshot"),
        step("set again", "anvil_setBalance", RICH, "0x1"),
        step("revert", "evm_revert", "$snapshot"),
        step("balance as before", "eth_getBalance", RICH, "latest"),
        step("revert twice", "evm_revert", "$snapshot"),
        step("mined", "anvil_mine", "0x2"),
        step("mined one", "evm_mine"),
        step("automine", "anvil_getAutomine"),
        step("interval", "anvil_getIntervalMining"),
        step("logging", "anvil_setLoggingEnabled", False),
        step("drop", "anvil_dropTransaction", WORD),
    ]


def suite() -> list[Step]:
    """All of it."""
    return [*questions_about_nothing(), *transactions(), *questions_about_the_past(), *calls(), *refusals(), *development()]
