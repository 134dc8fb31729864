"""
What the embedded chain costs, next to anvil, as a table.

    python benches/chain.py

Both nodes run in processes of their own with their state in a file, and get the same signed transactions over one HTTP connection:
transfers of the RLC token (about 50,000 gas). Each figure is the better of two rounds, taken in turn; on a busy machine read the ratios.
"""

from __future__ import annotations

import http.client
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from eth_abi.abi import encode
from eth_account import Account
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from voisin.chain.artifacts import load_artifact
from voisin.chain.devnet import development_keys
from voisin.chain.devnet.anvil import find_anvil
from voisin.errors import UnavailableError

CHAIN_ID, GWEI = 31_337, 10**9
ROUNDS, SENT, BATCH, READS = 2, 200, 50, 300
SENDER = Account.from_key(development_keys()[0].expose_key())
RECEIVER = "0x" + "7e" * 20
TRANSFER = keccak(text="transfer(address,uint256)")[:4] + encode(["address", "uint256"], [RECEIVER, 5])
BALANCE_OF = "0x" + (keccak(text="balanceOf(address)")[:4] + encode(["address"], [RECEIVER])).hex()


class Node:
    """A node, the one connection to it, and a token on it."""

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        self.url = urlsplit(url)
        self.nonce = 0
        self.connection = http.client.HTTPConnection(str(self.url.hostname), self.url.port, timeout=60)

    def reconnect(self) -> None:
        """Open the connection anew; nodes close it when it was idle for some seconds."""
        self.connection.close()
        self.connection.connect()

    def post(self, body: object) -> Any:
        """Send JSON; give the JSON that comes back."""
        self.connection.request("POST", "/", json.dumps(body), {"content-type": "application/json"})
        return json.loads(self.connection.getresponse().read())

    def ask(self, method: str, *params: object) -> Any:
        """Call a method that must succeed."""
        answer = self.post(request(method, *params))
        assert "result" in answer, answer
        return answer["result"]

    def wait(self, tx_hash: str) -> Any:
        """Wait for the receipt of a transaction that must succeed."""
        while (receipt := self.ask("eth_getTransactionReceipt", tx_hash)) is None:
            pass
        assert receipt["status"] == "0x1", receipt
        return receipt

    def sign(self, **fields: object) -> str:
        """Sign the next transaction."""
        common = {"chainId": CHAIN_ID, "nonce": self.nonce, "value": 0, "maxFeePerGas": 5 * GWEI, "maxPriorityFeePerGas": GWEI}
        self.nonce += 1
        return "0x" + bytes(SENDER.sign_transaction({**common, **fields}).raw_transaction).hex()

    def sign_transfers(self, count: int) -> list[str]:
        """Sign transfers of the token."""
        return [self.sign(to=self.token, data=TRANSFER, gas=100_000) for _ in range(count)]

    def deploy(self) -> None:
        """Deploy the token and make the first transfer, which costs more than all later ones."""
        raw = self.sign(data=bytes.fromhex(load_artifact("Rlc").bytecode[2:]), gas=5_000_000)
        self.token = to_checksum_address(self.wait(self.ask("eth_sendRawTransaction", raw))["contractAddress"])
        self.wait(self.ask("eth_sendRawTransaction", self.sign_transfers(1)[0]))


def request(method: str, *params: object) -> dict[str, object]:
    """A JSON-RPC request."""
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}


def one_by_one(node: Node) -> Iterator[int]:
    """Send, one after another."""
    raws = node.sign_transfers(SENT)
    yield SENT
    hashes = [node.ask("eth_sendRawTransaction", raw) for raw in raws]
    yield 0
    node.wait(hashes[-1])


def with_receipts(node: Node) -> Iterator[int]:
    """Send, and wait for the receipt before the next."""
    raws = node.sign_transfers(SENT)
    yield SENT
    for raw in raws:
        node.wait(node.ask("eth_sendRawTransaction", raw))
    yield 0


def in_batches(node: Node) -> Iterator[int]:
    """Send in JSON batches, the last receipt included."""
    raws = node.sign_transfers(SENT)
    yield SENT
    for start in range(0, SENT, BATCH):
        answers = node.post([request("eth_sendRawTransaction", raw) for raw in raws[start : start + BATCH]])
    node.wait(answers[-1]["result"])
    yield 0


def reads(method: str, params: Callable[[Node], list[object]]) -> Callable[[Node], Iterator[int]]:
    """Ask the same again and again."""

    def ask(node: Node) -> Iterator[int]:
        yield READS
        for _ in range(READS):
            node.ask(method, *params(node))
        yield 0

    return ask


MEASURES: dict[str, Callable[[Node], Iterator[int]]] = {
    "transactions, one by one": one_by_one,
    "transactions, each with its receipt": with_receipts,
    f"transactions in JSON batches of {BATCH}": in_batches,
    "eth_call (balanceOf)": reads("eth_call", lambda node: [{"to": node.token, "data": BALANCE_OF}, "latest"]),
    "eth_estimateGas (transfer)": reads(
        "eth_estimateGas", lambda node: [{"from": SENDER.address, "to": node.token, "data": "0x" + TRANSFER.hex()}]
    ),
    "eth_getBalance": reads("eth_getBalance", lambda _: [SENDER.address, "latest"]),
    "eth_blockNumber": reads("eth_blockNumber", lambda _: []),
}


def rate(measure: Callable[[Node], Iterator[int]], node: Node) -> float:
    """Run a measure; give its pace [1/s]. What it does before its first yield and after its second is not timed."""
    steps = measure(node)
    count = next(steps)
    node.reconnect()
    began = time.perf_counter()
    next(steps)
    took = time.perf_counter() - began
    for _ in steps:
        pass
    return count / took


@contextmanager
def running(engine: str, folder: Path) -> Iterator[Node]:
    """A node in a process of its own, with a token on it."""
    command = [sys.executable, "-m", "voisin.chain.devnet", "--engine", engine, "--port", "0", "--db", str(folder / f"{engine}.db")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("listening on "), line
        node = Node(engine, line.split()[2])
        node.deploy()
        yield node
    finally:
        process.terminate()
        process.communicate()


def main() -> None:
    """Measure both and print the table."""
    engines = ["pyevm"]
    try:
        find_anvil()
        engines.append("anvil")
    except UnavailableError as error:
        print(f"Without anvil: {error}\n")
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        nodes = [stack.enter_context(running(engine, Path(folder))) for engine in engines]
        best = {what: [max(rate(measure, node) for _ in range(ROUNDS)) for node in nodes] for what, measure in MEASURES.items()}
        size = sum(path.stat().st_size for path in Path(folder).glob("pyevm.db*"))
        blocks = int(nodes[0].ask("eth_blockNumber"), 16)
    print(f"py-evm {version('py-evm')}, Python {platform.python_version()}, {platform.machine()}; a second, over HTTP\n")
    print("| a second | " + " | ".join(["embedded chain", *(["anvil", "ratio"] if len(engines) > 1 else [])]) + " |")
    print("| --- |" + " --- |" * (3 if len(engines) > 1 else 1))
    for what, paces in best.items():
        ratio = [f"{paces[0] / paces[1]:.2f}"] if len(paces) > 1 else []
        print(f"| {what} | " + " | ".join([*(f"{pace:.0f}" for pace in paces), *ratio]) + " |")
    print(f"\nThe embedded chain keeps {size / blocks / 1000:.1f} kB a transaction on disk, the state of every block of the past included.")


if __name__ == "__main__":
    main()
