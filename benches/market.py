"""
How many signed orders a market takes in a second, and how quickly it answers filtered reads of a book of 100,000 orders, as a table.

    python benches/market.py [sqlite] [postgresql] [quick: a tenth of everything]

Everything is real and in a process of its own: the chain's node with the hub, the market, the database's server, and two clients that
speak HTTP over kept connections. All share the machine's cores. Signing is not the market's work: the orders are signed beforehand, by
250 wallets with entries and money on the chain. Of the book, the first 100,000 orders are written into the records as the market writes
them; those that are published come on top. Reads are timed twice: while nothing else happens, and while orders are published beside them
at a steady pace. Commits wait for the disk, as they do by default. What a process costs is told in its own processor time too, which
other work on the machine disturbs less than wall time.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import anyio

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.support.market_load import Trader, book_entries, found_traders, questions, signed_orders
from tests.support.postgres import NoPostgresError, open_cluster
from voisin.chain import Sender, deployment_plan, execute_plan, open_chain
from voisin.chain.devnet import development_keys
from voisin.chain.rpc import Rpc
from voisin.market import MarketHealth
from voisin.market.store import open_store
from voisin.protocol.codec import decode, encode
from voisin.protocol.eip712 import Domain
from voisin.protocol.orders import order_kind
from voisin.service.logs import configure_logs
from voisin.units import UnixSeconds

QUICK = 10 if "quick" in sys.argv else 1
TRADERS, BOOK, PUBLISHED, READ = 250 // QUICK, 100_000 // QUICK, 10_000 // QUICK, 2_600 // QUICK
LINES, READERS = 64, 4
"""Connections that publish, and connections that read; each client is one process."""
WARM_UP = 1000
BESIDE_PER_S, BESIDE, BESIDE_LINES = 300, 6_000 // QUICK, 16
"""How many orders are published a second while reads are timed, how many there are for that, and over how many connections."""
ASKED_PER_S, ASKED_P99_MS = 1000, 20
TICKS_S = os.sysconf("SC_CLK_TCK")


class Line:
    """A kept HTTP connection."""

    def __init__(self, url: str) -> None:
        host, port = url.removeprefix("http://").split(":")
        self._host = host
        self._socket = socket.create_connection((host, int(port)))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._rest = b""

    def send(self, request: bytes) -> None:
        """Send a request."""
        self._socket.sendall(request)

    def receive(self) -> tuple[int, bytes]:
        """Wait for the answer's status and body."""
        while (end := self._rest.find(b"\r\n\r\n")) < 0:
            self._rest += self._more()
        head, self._rest = self._rest[:end].lower(), self._rest[end + 4 :]
        length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        while len(self._rest) < length:
            self._rest += self._more()
        body, self._rest = self._rest[:length], self._rest[length:]
        return int(head[9:12]), body

    def _more(self) -> bytes:
        data = self._socket.recv(1 << 16)
        assert data, "the market hung up"
        return data


def publish(url: str, requests: Sequence[bytes]) -> float:
    """Publish orders over several connections, each as soon as the one before is answered; gives the processor time it took [s]."""
    lines = [Line(url) for _ in range(LINES)]
    began = time.process_time()
    waiting = iter(requests)
    for line, request in zip(lines, islice(waiting, LINES), strict=False):
        line.send(request)
    for answered in range(len(requests)):
        line = lines[answered % LINES]
        status, body = line.receive()
        assert status == 201, body
        if (request := next(waiting, None)) is not None:
            line.send(request)
    return time.process_time() - began


def publish_beside(url: str, requests: Sequence[bytes], pace_per_s: float, ends: Path) -> int:
    """Publish orders over several connections at a steady pace, until a file is there or there are none left; gives how many."""
    with ThreadPoolExecutor(BESIDE_LINES) as threads:
        parts = [requests[first::BESIDE_LINES] for first in range(BESIDE_LINES)]
        return sum(threads.map(lambda part: _publish_steadily(Line(url), part, pace_per_s / BESIDE_LINES, ends), parts))


def _publish_steadily(line: Line, requests: Sequence[bytes], pace_per_s: float, ends: Path) -> int:
    began = time.monotonic()
    for number, request in enumerate(requests):
        if ends.exists():
            return number
        time.sleep(max(began + number / pace_per_s - time.monotonic(), 0))
        line.send(request)
        status, body = line.receive()
        assert status == 201, body
    return len(requests)


def read(url: str, asked: Sequence[tuple[str, str]]) -> list[tuple[str, float]]:
    """Ask questions over several connections at a time; gives what was asked and how long the answer took [s]."""
    with ThreadPoolExecutor(READERS) as threads:
        parts = threads.map(lambda part: _read(Line(url), part), [asked[first::READERS] for first in range(READERS)])
        return [timed for part in parts for timed in part]


def _read(line: Line, asked: Sequence[tuple[str, str]]) -> list[tuple[str, float]]:
    times = []
    for words, path in asked:
        began = time.perf_counter()
        line.send(f"GET {path} HTTP/1.1\r\nhost: market\r\n\r\n".encode())
        status, body = line.receive()
        times.append((words, time.perf_counter() - began))
        assert status == 200, body
    return times


@dataclass
class Figures:
    """What was measured of one kind of database."""

    database: str
    per_s: float = 0.0
    costs_ms: dict[str, float] = field(default_factory=dict)
    reads: list[tuple[str, float]] = field(default_factory=list)
    reads_beside: list[tuple[str, float]] = field(default_factory=list)
    beside_per_s: float = 0.0
    reading_cpu_ms: float = 0.0

    def quantile_ms(self, share: float, words: str | None = None, *, is_beside: bool = False) -> float:
        """The time below which a share of the reads was answered [ms]."""
        times = sorted(took for asked, took in (self.reads_beside if is_beside else self.reads) if words in (None, asked))
        return 1000 * times[min(int(share * len(times)), len(times) - 1)]


def cpu_s(*pids: int) -> float:
    """How much processor time processes have taken [s]."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        total += sum(map(int, fields[11:15]))
    return total / TICKS_S


def children(pid: int) -> list[int]:
    """A process and all that it began."""
    found = [pid]
    for each in found:
        found += [int(child) for task in Path(f"/proc/{each}/task").glob("*/children") for child in task.read_text().split()]
    return found


@contextmanager
def chain_node(folder: Path) -> Iterator[tuple[str, int]]:
    """A node in a process of its own: its address and process."""
    command = [sys.executable, "-m", "voisin.chain.devnet", "--port", "0", "--db", str(folder / "chain.db")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[2], process.pid
        finally:
            process.terminate()


@contextmanager
def market(folder: Path, **settings: object) -> Iterator[tuple[str, int]]:
    """A market in a process of its own: its address and process."""
    given = {f"VOISIN_MARKET_{name.upper()}": str(value) for name, value in settings.items()}
    log = folder / "market.log"
    with (
        log.open("w") as out,
        subprocess.Popen([sys.executable, "-m", "voisin.market"], env=os.environ | given, stdout=out, stderr=out) as process,
    ):
        try:
            while (found := re.search(r"url=(http://[\w.:]+)", re.sub(r"\x1b\[\d*m", "", log.read_text()))) is None:
                assert process.poll() is None, log.read_text()
                time.sleep(0.1)
            wait_until_following(found[1])
            yield found[1], process.pid
        finally:
            process.terminate()


def wait_until_following(url: str) -> None:
    """Wait until a market has recorded the whole chain."""
    line = Line(url)
    while True:
        line.send(b"GET /v1/health HTTP/1.1\r\nhost: market\r\n\r\n")
        status, body = line.receive()
        if status == 200 and decode(body, MarketHealth, "the market's health").lag_blocks == 0:
            return
        time.sleep(0.1)


@dataclass(frozen=True)
class Scene:
    """A chain in a process of its own, with a hub and traders on it."""

    folder: Path
    node_url: str
    node: int
    domain: Domain
    block: int
    traders: list[Trader]
    requests: list[bytes]
    """Publications, ready to be sent."""


async def lay_book(database_url: str, scene: Scene) -> None:
    """Write the book's first orders into the records."""
    entries = book_entries(scene.traders, scene.domain, BOOK, now=UnixSeconds(int(time.time())))
    async with open_store(database_url, scene.domain, scene.block) as store:
        while part := list(islice(entries, 5000)):
            async with store.enter() as write:
                await write.shelf([], [])
                await write.save(*part)


def measure(figures: Figures, url: str, scene: Scene, processes: dict[str, Callable[[], list[int]]]) -> None:
    """Publish; read; read while others publish."""
    warming, published, beside = scene.requests[:WARM_UP], scene.requests[WARM_UP:-BESIDE], scene.requests[-BESIDE:]
    asked = questions(scene.traders, scene.domain.chain_id, sum(figures.database.encode()))
    ends = scene.folder / f"{figures.database} was read"
    with ProcessPoolExecutor(2) as clients:
        clients.submit(publish, url, warming).result()
        before = {name: cpu_s(*pids()) for name, pids in processes.items()}
        began = time.perf_counter()
        spent = clients.submit(publish, url, published).result()
        figures.per_s = len(published) / (time.perf_counter() - began)
        figures.costs_ms = {name: 1000 * (cpu_s(*pids()) - before[name]) / len(published) for name, pids in processes.items()}
        figures.costs_ms["client"] = 1000 * spent / len(published)
        clients.submit(read, url, list(islice(asked, READ // 4))).result()
        working = sum(cpu_s(*pids()) for pids in processes.values())
        figures.reads = clients.submit(read, url, list(islice(asked, READ))).result()
        figures.reading_cpu_ms = 1000 * (sum(cpu_s(*pids()) for pids in processes.values()) - working) / READ
        writing, began = clients.submit(publish_beside, url, beside, BESIDE_PER_S, ends), time.perf_counter()
        figures.reads_beside = clients.submit(read, url, list(islice(asked, READ))).result()
        took_s = time.perf_counter() - began
        ends.touch()
        figures.beside_per_s = writing.result() / took_s


def one_kind(kind: str, scene: Scene) -> Figures:
    """Measure a market on one kind of database."""
    figures = Figures(kind)
    with ExitStack() as stack:
        processes = {"chain": lambda: [scene.node]}
        if kind == "postgresql":
            cluster = stack.enter_context(open_cluster(shared_buffers="256MB"))
            server = int((cluster.folder / "data" / "postmaster.pid").read_text().split()[0])
            processes["database"] = lambda: children(server)
            database_url = stack.enter_context(cluster.database())
        else:
            database_url = f"sqlite:///{scene.folder}/market.sqlite"
        anyio.run(lay_book, database_url, scene)
        settings = {"database_url": database_url, "rpc_url": scene.node_url, "hub": scene.domain.hub, "start_block": scene.block}
        url, process = stack.enter_context(market(scene.folder, **settings, port=0, max_open_orders=1000))
        processes["market"] = lambda: [process]
        measure(figures, url, scene, processes)
    return figures


def _request(body: bytes) -> bytes:
    head = f"POST /v1/orders HTTP/1.1\r\nhost: market\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def show(all_figures: Sequence[Figures]) -> None:
    """Print the tables."""
    cores = len(os.sched_getaffinity(0))
    print(f"### A market with {BOOK:,} orders, on {cores} cores (load {os.getloadavg()[0]:.1f} at the end)\n")
    print("| | asked | " + " | ".join(each.database for each in all_figures) + " |\n| --- | ---: |" + " ---: |" * len(all_figures))

    def row(words: str, asked: str, cell: Callable[[Figures], str]) -> None:
        print(f"| {words} | {asked} | " + " | ".join(map(cell, all_figures)) + " |")

    row(f"signed orders a second, {LINES} connections", f"{ASKED_PER_S:,}", lambda each: f"{each.per_s:,.0f}")
    for name in all_figures[0].costs_ms | all_figures[-1].costs_ms:
        row(f"processor time of an order: {name} (ms)", "", lambda each, name=name: f"{each.costs_ms.get(name, 0):.2f}")
    for is_beside, words in ((False, f"filtered reads, {READERS} at a time"), (True, "the same, while orders are published")):
        for share, name, asked in ((0.5, "p50", ""), (0.99, "p99", f"{ASKED_P99_MS}")):
            row(f"{words}: {name} (ms)", asked, lambda each, s=share, b=is_beside: f"{each.quantile_ms(s, is_beside=b):.1f}")
    row("published meanwhile, in a second", f"{BESIDE_PER_S}", lambda each: f"{each.beside_per_s:.0f}")
    row("processor time of a read: market and database (ms)", "", lambda each: f"{each.reading_cpu_ms:.2f}")
    row("processor time of an order: all together (ms)", "", lambda each: f"{sum(each.costs_ms.values()):.2f}")
    for words in dict.fromkeys(asked for asked, _ in all_figures[0].reads):
        row(
            f"{words}: p50, p99 (ms)",
            "",
            lambda each, words=words: f"{each.quantile_ms(0.5, words):.1f}, {each.quantile_ms(0.99, words):.1f}",
        )


def judge(figures: Figures) -> bool:
    """Say whether a database meets each of the lines."""
    alone, beside = figures.quantile_ms(0.99), figures.quantile_ms(0.99, is_beside=True)
    lines = (
        (figures.per_s >= ASKED_PER_S, f"{figures.per_s:,.0f} signed orders a second, at least {ASKED_PER_S:,} are asked"),
        (alone < ASKED_P99_MS, f"filtered reads: p99 {alone:.1f} ms, below {ASKED_P99_MS} ms is asked"),
        (beside < ASKED_P99_MS, f"filtered reads beside {figures.beside_per_s:.0f} publications a second: p99 {beside:.1f} ms"),
    )
    for is_met, words in lines:
        print(f"{'PASS' if is_met else 'FAIL'} {figures.database}: {words}")
    return all(is_met for is_met, _ in lines)


async def prepare(node_url: str) -> tuple[Domain, int, list[Trader]]:
    """Put a hub with traders on the chain: what orders are signed for, the hub's first block, and the traders."""
    founder = development_keys(1)[0]
    async with Rpc(node_url) as rpc:
        sender = Sender(rpc, founder)
        deployment = await execute_plan(sender, deployment_plan(founder.address, await sender.chain_id()))
    async with open_chain(node_url, deployment.hub) as chain:
        return chain.domain, deployment.block, await found_traders(chain, Sender(chain, founder), TRADERS)


def main() -> int:
    """Measure and print; answers the exit code, 1 where a line is not met."""
    configure_logs(level=50)
    done: list[Figures] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        node_url, node = stack.enter_context(chain_node(folder))
        domain, block, traders = anyio.run(prepare, node_url)
        orders = signed_orders(traders, domain, WARM_UP + PUBLISHED + BESIDE, seed=1)
        requests = [_request(encode({"kind": order_kind(order).value, "order": order})) for order in orders]
        scene = Scene(folder, node_url, node, domain, block, traders, requests)
        kinds = ("sqlite", "postgresql")
        for kind in [kind for kind in kinds if kind in sys.argv] or kinds:
            try:
                done.append(one_kind(kind, scene))
            except NoPostgresError as error:
                print(f"Without PostgreSQL: {error}\n")
    show(done)
    print()
    verdicts = [judge(figures) for figures in done]
    return 0 if verdicts and all(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
