"""
A node in memory: it keeps nonces, a mempool, blocks and receipts as a real one does, executes nothing, and breaks on demand.

Contracts are Python functions; transactions are read with eth_account, not with the code under test.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import anyio
import httpx
from eth_abi.abi import encode
from eth_account import Account
from eth_account.typed_transactions import TypedTransaction
from eth_utils.crypto import keccak
from hexbytes import HexBytes

URL = "http://node.test/v3/secret-api-key"
CHAIN_ID = 31_337
GWEI = 10**9
ETHER = 10**18


class RefusedError(Exception):
    """What the node answers as an error."""

    def __init__(self, code: int, message: str, data: object = None) -> None:
        super().__init__(message)
        self.body = {"code": code, "message": message} | ({} if data is None else {"data": data})


def reverted(data: bytes = b"") -> RefusedError:
    """A revert as geth tells it."""
    return RefusedError(3, "execution reverted", "0x" + data.hex())


@dataclass
class Tx:
    """A transaction the node has seen."""

    hash: str
    sender: str
    nonce: int
    to: str | None
    data: bytes
    value: int
    gas: int
    max_fee: int
    tip: int
    block: int | None = None


@dataclass
class Block:
    """A block: its hash depends on its fork, so a chain that is set back grows other blocks."""

    number: int
    fork: int
    transactions: list[Tx] = field(default_factory=list)
    logs: list[dict[str, Any]] = field(default_factory=list)

    @property
    def hash(self) -> str:
        return "0x" + keccak(text=f"block {self.number} of fork {self.fork if self.number else 0}").hex()


@dataclass
class NodeTwin(httpx.AsyncBaseTransport):
    """
    The node.

    Attributes:
        mines_at_once: Whether a transaction is mined when it is sent.
        queues_gaps: Whether a nonce that is too high waits (as in geth), or is refused.
        faults: What goes wrong with the next requests, one each: "refused", "lost" (done, but the answer never comes), "twice" (done
            twice), "busy", "garbage", "shuffled", "short" (an answer of the batch is missing), "slow" (timeout without effect).
        contracts: Answers of contracts by address; takes calldata, raises `RefusedError`.
    """

    mines_at_once: bool = True
    queues_gaps: bool = True
    base_fee: int = GWEI
    tip: int = GWEI
    least_fee: int = 0
    balances: dict[str, int] = field(default_factory=dict)
    contracts: dict[str, Callable[[bytes], bytes]] = field(default_factory=dict)
    logs_of: Callable[[Tx], list[dict[str, Any]]] = lambda _: []
    faults: deque[str] = field(default_factory=deque)
    failing: set[bytes] = field(default_factory=set)
    max_log_blocks: int = 10**9
    requests: int = 0
    methods: Counter[str] = field(default_factory=Counter)
    fork: int = 0
    pool: dict[tuple[str, int], Tx] = field(default_factory=dict)
    seen: list[Tx] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.blocks = [Block(0, 0)]

    # --- the network
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one HTTP request, or fail as told."""
        self.requests += 1
        body = json.loads(await request.aread())
        fault = self.faults.popleft() if self.faults else ""
        await anyio.lowlevel.checkpoint()
        if fault == "refused":
            raise httpx.ConnectError("connection refused", request=request)
        if fault == "slow":
            raise httpx.ReadTimeout("timed out", request=request)
        if fault == "busy":
            return httpx.Response(503, text="overloaded")
        if fault == "twice":
            self._serve(body)
        answer = self._serve(body)
        if fault == "lost":
            raise httpx.ReadError("connection reset", request=request)
        if fault == "garbage":
            return httpx.Response(200, text="<html>bad gateway</html>")
        if fault == "shuffled" and isinstance(answer, list):
            answer = answer[::-1]
        if fault == "short" and isinstance(answer, list):
            answer = answer[:-1]
        return httpx.Response(200, json=answer)

    def _serve(self, body: Any) -> Any:
        return [self._one(each) for each in body] if isinstance(body, list) else self._one(body)

    def _one(self, request: dict[str, Any]) -> dict[str, Any]:
        self.methods[request["method"]] += 1
        answer: dict[str, Any] = {"jsonrpc": "2.0", "id": request["id"]}
        try:
            handler = getattr(self, f"_{request['method']}", None)
            if handler is None:
                raise RefusedError(-32601, f"the method {request['method']} does not exist")
            return answer | {"result": handler(*request["params"])}
        except RefusedError as refusal:
            return answer | {"error": refusal.body}

    # --- the chain
    @property
    def height(self) -> int:
        """The number of the latest block."""
        return self.blocks[-1].number

    def count(self, sender: str) -> int:
        """How many transactions of a sender are mined."""
        return sum(tx.sender == sender for block in self.blocks for tx in block.transactions)

    def mined(self) -> list[Tx]:
        """All mined transactions, in order."""
        return [tx for block in self.blocks for tx in block.transactions]

    def mine(self, *, logs: list[dict[str, Any]] | None = None) -> Block:
        """Make a block of everything in the mempool whose turn it is; `logs` are put into it as they are."""
        block = Block(self.height + 1, self.fork)
        self.blocks.append(block)
        while ready := [tx for tx in self.pool.values() if tx.nonce == self.count(tx.sender) and tx.max_fee >= self.base_fee]:
            for tx in ready:
                del self.pool[tx.sender, tx.nonce]
                tx.block = block.number
                block.transactions.append(tx)
                block.logs += self.logs_of(tx) if tx.data not in self.failing else []
        block.logs += logs or []
        for place, log in enumerate(block.logs):
            log.update(blockNumber=hex(block.number), logIndex=hex(place), blockHash=block.hash, removed=False)
            log.setdefault("transactionHash", block.transactions[0].hash if block.transactions else "0x" + "00" * 32)
        return block

    def set_back(self, height: int) -> None:
        """Forget the blocks above `height`, as a snapshot does; what comes next are other blocks."""
        del self.blocks[height + 1 :]
        self.fork += 1

    def lose_mempool(self) -> None:
        """Restart without what was not mined."""
        self.pool.clear()

    # --- the methods
    def _eth_chainId(self) -> str:
        return hex(CHAIN_ID)

    def _eth_blockNumber(self) -> str:
        return hex(self.height)

    def _eth_maxPriorityFeePerGas(self) -> str:
        return hex(self.tip)

    def _eth_getBalance(self, account: str, _: str) -> str:
        return hex(self.balances.get(account, ETHER))

    def _eth_getCode(self, account: str, _: str) -> str:
        return "0x60" if account in self.contracts else "0x"

    def _eth_getTransactionCount(self, account: str, block: str) -> str:
        count = self.count(account)
        while block == "pending" and (account, count) in self.pool:
            count += 1
        return hex(count)

    def _eth_getBlockByNumber(self, block: str, _: bool) -> dict[str, Any] | None:
        number = self.height if block == "latest" else int(block, 16)
        if number > self.height:
            return None
        found = self.blocks[number]
        return {
            "number": hex(number),
            "hash": found.hash,
            "parentHash": self.blocks[number - 1].hash if number else "0x" + "00" * 32,
            "timestamp": hex(1_700_000_000 + number),
            "baseFeePerGas": hex(self.base_fee),
        }

    def _eth_getLogs(self, wanted: dict[str, Any]) -> list[dict[str, Any]]:
        first, last = int(wanted["fromBlock"], 16), int(wanted["toBlock"], 16)
        if last - first + 1 > self.max_log_blocks:
            raise RefusedError(-32005, f"at most {self.max_log_blocks} blocks at a time")
        return [log for block in self.blocks[first : last + 1] for log in block.logs if log["address"] in wanted["address"]]

    def _eth_call(self, message: dict[str, str], _: str) -> str:
        data = bytes.fromhex(message["data"][2:])
        if data in self.failing:
            raise reverted()
        return "0x" + self.contracts.get(message["to"], lambda _: b"")(data).hex()

    def _eth_estimateGas(self, message: dict[str, str]) -> str:
        self._eth_call({"to": "", **message}, "latest")
        return hex(100_000)

    def _eth_getTransactionByHash(self, tx_hash: str) -> dict[str, Any] | None:
        found = next((tx for tx in (*self.pool.values(), *self.mined()) if tx.hash == tx_hash), None)
        return None if found is None else {"hash": found.hash, "nonce": hex(found.nonce)}

    def _eth_getTransactionReceipt(self, tx_hash: str) -> dict[str, Any] | None:
        tx = next((tx for tx in self.mined() if tx.hash == tx_hash), None)
        if tx is None or tx.block is None:
            return None
        block = self.blocks[tx.block]
        return {
            "transactionHash": tx.hash,
            "blockNumber": hex(tx.block),
            "gasUsed": hex(50_000),
            "effectiveGasPrice": hex(min(tx.max_fee, self.base_fee + tx.tip)),
            "status": "0x0" if tx.data in self.failing else "0x1",
            "logs": [log for log in block.logs if log["transactionHash"] == tx.hash],
            "contractAddress": None if tx.to else "0x" + keccak(text=tx.hash)[12:].hex(),
        }

    def _eth_sendRawTransaction(self, raw: str) -> str:
        tx = _read(raw)
        old = self.pool.get((tx.sender, tx.nonce))
        if old is not None and old.hash == tx.hash:
            raise RefusedError(-32000, "already known")
        count = self.count(tx.sender)
        if tx.nonce < count:
            raise RefusedError(-32000, f"nonce too low: next nonce {count}, tx nonce {tx.nonce}")
        if tx.nonce > count and (tx.sender, tx.nonce - 1) not in self.pool and not self.queues_gaps:
            raise RefusedError(-32000, "nonce too high")
        if tx.max_fee < self.least_fee:
            raise RefusedError(-32000, f"max fee per gas less than block base fee: maxFeePerGas: {tx.max_fee}, baseFee: {self.least_fee}")
        if tx.gas * tx.max_fee + tx.value > self.balances.get(tx.sender, ETHER):
            raise RefusedError(-32000, "insufficient funds for gas * price + value: balance 0")
        if old is not None and (tx.max_fee * 10 < old.max_fee * 11 or tx.tip * 10 < old.tip * 11):
            raise RefusedError(-32000, "replacement transaction underpriced")
        self.pool[tx.sender, tx.nonce] = tx
        self.seen.append(tx)
        if self.mines_at_once:
            self.mine()
        return tx.hash


HUB = "0x1111111111111111111111111111111111111111"
TOKEN = "0x2222222222222222222222222222222222222222"
APPS = "0x3333333333333333333333333333333333333333"
DATASETS = "0x4444444444444444444444444444444444444444"
WORKERPOOLS = "0x5555555555555555555555555555555555555555"


def install_hub(node: NodeTwin) -> None:
    """Put a hub on the node that says no more than what stands where; selectors as in poco-protocol.md 6 and 10."""
    answers = {
        "fc0c546a": encode(["address"], [TOKEN]),
        "45b637a9": encode(["address"], [APPS]),
        "b1b11d2c": encode(["address"], [DATASETS]),
        "90a0f546": encode(["address"], [WORKERPOOLS]),
        "c2fb26a6": encode(["(string,string,uint256,address)"], [("iExecODB", "5.0.0", CHAIN_ID, HUB)]),
    }
    node.contracts[HUB] = lambda data: answers[data[:4].hex()]


def _read(raw: str) -> Tx:
    fields = TypedTransaction.from_bytes(HexBytes(raw)).as_dict()
    to = fields["to"]
    assert fields["chainId"] == CHAIN_ID
    return Tx(
        hash="0x" + keccak(hexstr=raw).hex(),
        sender=Account.recover_transaction(raw),
        nonce=fields["nonce"],
        to="0x" + to.hex() if to else None,
        data=bytes(fields["data"]),
        value=fields["value"],
        gas=fields["gas"],
        max_fee=fields["maxFeePerGas"],
        tip=fields["maxPriorityFeePerGas"],
    )
