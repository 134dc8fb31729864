"""
What the embedded chain costs, next to anvil, as tables.

    python benches/chain.py

Both nodes run in processes of their own with their state in a file, and get the same signed transactions of the hub over HTTP: deposits
and whole lives of tasks (deal, initialize, contribute, reveal, finalize). The nodes take turns, after every transaction or batch, so
that other work on the machine hits both alike; the rates are those of all turns together.

anvil seals a transaction a block as long as one client waits for each receipt. When transactions come together it puts several into a
block; the embedded chain never does. The column "tx a block" says so.
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
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.support.hub_load import CHAIN_ID, STEPS, HubLoad, hub_load
from voisin.chain.devnet.anvil import find_anvil
from voisin.errors import UnavailableError

WALLETS, LIVES = 8, 16
WARM_UP, ALONE, TOGETHER, BATCHED = 4, 4, 4, 4
"""How many lives of each wallet are spent on what."""
READS, TURNS = 25, 12
COIN = 10**18
assert WARM_UP + ALONE + TOGETHER + BATCHED <= LIVES


class Connection:
    """One HTTP connection to a node."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._http = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=60)

    def post(self, body: object) -> Any:
        """Send JSON; give the JSON that comes back."""
        self._http.request("POST", "/", json.dumps(body), {"content-type": "application/json"})
        return json.loads(self._http.getresponse().read())

    def ask(self, method: str, *params: object) -> Any:
        """Call a method that must succeed."""
        answer = self.post(request(method, *params))
        assert "result" in answer, answer
        return answer["result"]

    def confirm(self, raw: str) -> None:
        """Send a transaction, and wait for its receipt."""
        self.wait(self.ask("eth_sendRawTransaction", raw))

    def wait(self, tx_hash: str) -> None:
        """Wait for the receipt of a transaction that must succeed."""
        while (receipt := self.ask("eth_getTransactionReceipt", tx_hash)) is None:
            pass
        assert receipt["status"] == "0x1", receipt


@dataclass
class Node:
    """A node, a connection for each wallet, and what was measured of it."""

    name: str
    connections: list[Connection]
    seconds: dict[str, list[float]] = field(default_factory=dict)
    blocks: dict[str, int] = field(default_factory=dict)

    @property
    def connection(self) -> Connection:
        """The first connection."""
        return self.connections[0]

    def height(self) -> int:
        """Height of the chain."""
        return int(self.connection.ask("eth_blockNumber"), 16)

    def measure(self, what: str, turn: Callable[[Node], None]) -> None:
        """Time one turn."""
        before, began = self.height(), time.perf_counter()
        turn(self)
        self.seconds.setdefault(what, []).append(time.perf_counter() - began)
        self.blocks[what] = self.blocks.get(what, 0) + self.height() - before


def request(method: str, *params: object) -> dict[str, object]:
    """A JSON-RPC request."""
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}


def alone(raw: str) -> Callable[[Node], None]:
    """One client sends a transaction and waits for its receipt."""
    return lambda node: node.connection.confirm(raw)


def together(lives: list[list[str]], threads: ThreadPoolExecutor) -> Callable[[Node], None]:
    """Each wallet does that at the same time."""

    def live(connection: Connection, raws: list[str]) -> None:
        for raw in raws:
            connection.confirm(raw)

    return lambda node: list(threads.map(live, node.connections, lives)).clear()


def batched(raws: list[str]) -> Callable[[Node], None]:
    """One client sends all in one JSON batch, and waits for the last receipt."""

    def turn(node: Node) -> None:
        answers = node.connection.post([request("eth_sendRawTransaction", raw) for raw in raws])
        for answer in answers[-1:]:
            node.connection.wait(answer["result"])

    return turn


def reading(method: str, *params: object) -> Callable[[Node], None]:
    """One client asks the same again and again."""

    def turn(node: Node) -> None:
        for _ in range(READS):
            node.connection.ask(method, *params)

    return turn


def measures(load: HubLoad, threads: ThreadPoolExecutor) -> Iterator[tuple[str, int, Callable[[Node], None]]]:
    """Everything that is measured, turn by turn: its name, how many transactions or reads it is, and what to do."""
    length, lives = len(STEPS), load.lives
    for life in range(WARM_UP, WARM_UP + ALONE):
        for wallet in lives:
            for raw in wallet[life]:
                yield "one client, each receipt awaited", 1, alone(raw)
    for life in range(WARM_UP + ALONE, WARM_UP + ALONE + TOGETHER):
        yield f"{WALLETS} wallets at once, each receipt awaited", length * WALLETS, together([wallet[life] for wallet in lives], threads)
    for wallet in lives:
        raws = [raw for life in wallet[WARM_UP + ALONE + TOGETHER :][:BATCHED] for raw in life]
        yield f"JSON batches of {len(raws)}", len(raws), batched(raws)
    for _ in range(TURNS):
        yield "eth_call (viewAccount)", READS, reading("eth_call", load.call, "latest")
        yield "eth_estimateGas (deposit)", READS, reading("eth_estimateGas", load.estimate)
        yield "eth_getBalance", READS, reading("eth_getBalance", load.accounts[0], "latest")
        yield "eth_blockNumber", READS, reading("eth_blockNumber")


@contextmanager
def running(engine: str, folder: Path, load: HubLoad) -> Iterator[Node]:
    """A node in a process of its own, with the hub on it, and its code used often enough to be warm."""
    command = [sys.executable, "-m", "voisin.chain.devnet", "--engine", engine, "--port", "0", "--db", str(folder / f"{engine}.db")]
    process = subprocess.Popen([*command, "--chain-id", str(CHAIN_ID)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("listening on "), line
        node = Node(engine, [Connection(line.split()[2]) for _ in range(WALLETS)])
        for account in load.accounts:
            node.connection.ask("anvil_setBalance", account, hex(1000 * COIN))
        for raw in [*load.setup, *(raw for wallet in load.lives for life in wallet[:WARM_UP] for raw in life)]:
            node.connection.confirm(raw)
        yield node
    finally:
        process.terminate()
        process.communicate()


def print_table(nodes: list[Node], counts: dict[str, int]) -> None:
    """Rates by measure: how often a second, and how many transactions anvil put into a block."""
    has_anvil = len(nodes) > 1
    print("| a second | " + " | ".join([nodes[0].name, *(["anvil", "ratio", "tx a block: ours", "anvil"] if has_anvil else [])]) + " |")
    print("| --- | ---: |" + " ---: | ---: | ---: | ---: |" * has_anvil)
    for what, count in counts.items():
        turns = len(nodes[0].seconds[what])
        times = [sum(node.seconds[what]) for node in nodes]
        cells = [f"{turns * count / seconds:.0f}" for seconds in times]
        if has_anvil:
            cells.append(f"{times[1] / times[0]:.2f}")
            cells += [f"{turns * count / node.blocks[what]:.1f}" if node.blocks[what] else "" for node in nodes]
        print(f"| {what} | " + " | ".join(cells) + " |")


def main() -> None:
    """Measure both and print the table."""
    engines = [*(sys.argv[1:] or ["jit"]), "anvil"]
    try:
        find_anvil()
    except UnavailableError as error:
        print(f"Without anvil: {error}\n")
        engines.pop()
    load = hub_load(WALLETS, LIVES)
    counts: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        threads = stack.enter_context(ThreadPoolExecutor(WALLETS))
        nodes = [stack.enter_context(running(engine, Path(folder), load)) for engine in engines]
        for what, count, turn in measures(load, threads):
            counts[what] = count
            for node in nodes:
                node.measure(what, turn)
        size = sum(path.stat().st_size for path in Path(folder).glob(f"{engines[0]}.db*"))
        blocks = nodes[0].height()
        version = nodes[0].connection.ask("web3_clientVersion")
    print(f"{version}, Python {platform.python_version()}, {platform.machine()}; hub transactions over HTTP\n")
    print_table(nodes, counts)
    print(f"\nThe embedded chain keeps {size / blocks / 1000:.1f} kB a transaction on disk, the state of every block of the past included.")


if __name__ == "__main__":
    main()
