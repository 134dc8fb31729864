"""What the tests of the embedded chain share: a contract, signed transactions, a node in a process of its own, and its RPC."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import httpx
from eth_abi.abi import encode
from eth_account import Account
from eth_utils.abi import abi_to_signature
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from vyper import compile_code

ROOT = Path(__file__).parents[2]
CONTRACTS = Path(__file__).parent / "contracts"
CHAIN_ID = 31_337
GWEI = 10**9
COIN = 10**18
# The first accounts of "test test ... junk", as Hardhat's and anvil's documentation list them.
KEYS = (
    "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
    "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
    "0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
    "0x7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6",
)
ADDRESSES = (
    "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
    "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
    "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC",
    "0x90F79bf6EB2c4f870365E785982E1f101E93b906",
)
START_S = 120.0


@dataclass(frozen=True)
class Contract:
    """A compiled contract."""

    abi: list[dict[str, Any]]
    bytecode: bytes

    def data(self, function: str, *arguments: object) -> bytes:
        """Call data of a function."""
        entry = next(entry for entry in self.abi if entry.get("name") == function and entry["type"] == "function")
        signature = abi_to_signature(entry)  # type: ignore[arg-type]
        types = signature[len(function) + 1 : -1]
        return bytes(keccak(text=signature)[:4]) + encode([_type_text(item) for item in entry["inputs"]] if types else [], arguments)

    def init_code(self, *arguments: object) -> bytes:
        """Init code with constructor arguments."""
        entry = next((entry for entry in self.abi if entry["type"] == "constructor"), {"inputs": []})
        return self.bytecode + encode([_type_text(item) for item in entry["inputs"]], arguments)


def _type_text(item: dict[str, Any]) -> str:
    if item["type"].startswith("tuple"):
        return f"({','.join(_type_text(part) for part in item['components'])}){item['type'][5:]}"
    return str(item["type"])


@lru_cache
def notebook() -> Contract:
    """The contract that most tests deploy."""
    compiled = compile_code((CONTRACTS / "Notebook.vy").read_text(), output_formats=["abi", "bytecode"])
    return Contract(compiled["abi"], bytes.fromhex(compiled["bytecode"][2:]))


def signed(key: str, nonce: int, **fields: Any) -> bytes:
    """A signed transaction; type 2 unless `gasPrice` is given."""
    if "to" in fields:
        fields["to"] = to_checksum_address(fields["to"])
    fees = {} if "gasPrice" in fields else {"maxFeePerGas": 3 * GWEI, "maxPriorityFeePerGas": GWEI}
    transaction = {"chainId": CHAIN_ID, "nonce": nonce, "gas": 1_000_000, "value": 0, **fees, **fields}
    return bytes(Account.from_key(key).sign_transaction(transaction).raw_transaction)


@dataclass(frozen=True)
class Rpc:
    """A JSON-RPC client that shows exactly what the node answered."""

    url: str
    http: httpx.Client

    def post(self, body: object) -> Any:
        """Send any JSON; give the JSON that comes back."""
        return self.http.post(self.url, json=body).json()

    def answer(self, method: str, *params: object) -> dict[str, Any]:
        """Call a method; give the whole answer."""
        answer = self.post({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)})
        assert isinstance(answer, dict)
        return answer

    def __call__(self, method: str, *params: object) -> Any:
        """Call a method that must succeed; give its result."""
        answer = self.answer(method, *params)
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def error(self, method: str, *params: object) -> dict[str, Any]:
        """Call a method that must fail; give its error."""
        answer = self.answer(method, *params)
        assert "error" in answer, answer
        error = answer["error"]
        assert isinstance(error, dict)
        return error

    def send(self, raw: bytes) -> dict[str, Any]:
        """Send a signed transaction that is sealed at once; give its receipt."""
        receipt = self("eth_getTransactionReceipt", self("eth_sendRawTransaction", "0x" + raw.hex()))
        assert isinstance(receipt, dict)
        return receipt

    def batch(self, method: str, params: Sequence[Sequence[object]]) -> list[Any]:
        """Call a method many times in one request; give the results."""
        answers = self.post([{"jsonrpc": "2.0", "id": 1, "method": method, "params": list(one)} for one in params])
        return [answer["result"] for answer in answers]

    def number(self, method: str, *params: object) -> int:
        """Call a method whose result is a quantity."""
        return int(self(method, *params), 16)


@contextmanager
def open_rpc(url: str) -> Iterator[Rpc]:
    """A client for as long as the context is open."""
    with httpx.Client(timeout=60) as http:
        yield Rpc(url, http)


class NodeProcess:
    """The embedded chain as a process, started as a person starts it."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "voisin.chain.devnet", "--port", "0", *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line.startswith("listening on "):
            raise AssertionError(f"the chain did not start: {line}{self.process.communicate(timeout=START_S)[1]}")
        self.url = line.split()[2]
        self.ws_url = self.url.replace("http", "ws")

    def kill(self) -> None:
        """End it as a power cut of the process would: at once."""
        self.process.kill()
        self.process.communicate(timeout=START_S)

    def stop(self) -> int:
        """Ask it to stop; give its exit code."""
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=START_S)
        return self.process.returncode


@contextmanager
def node_process(*arguments: str) -> Iterator[NodeProcess]:
    """A node process for as long as the context is open."""
    node = NodeProcess(*arguments)
    try:
        yield node
    finally:
        if node.process.poll() is None:
            node.kill()


def run_node_script(script: Path, arguments: Sequence[str], *, timeout_s: float = 120) -> Any:
    """Run a JavaScript client; give the JSON it prints last."""
    command = ["node", str(script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=timeout_s, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.strip().splitlines()[-1])
