"""Workers die, lie and fall silent; the deal still ends with the right result, and the invoice says who paid for it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import ROOT, VOISIN, RunningBox, environment

PATIENCE_S = 120
FRAMES = ("run", "apps/pathtracer", "--set", "size=48x36", "--set", "samples=2", "--yes")
HONEST = 4


@pytest.fixture(scope="module")
def market(box_factory: Callable[..., RunningBox]) -> RunningBox:
    """A box without workers of its own, and with deadlines short enough to be seen."""
    return box_factory("--workers", "0", "--category", "XS=20")


@contextmanager
def worker(market: RunningBox, folder: Path, name: str, mode: str = "honest") -> Iterator[subprocess.Popen[bytes]]:
    """Run a worker, possibly a rogue, in a process of its own for as long as the context lasts."""
    address = fund(market, folder, name)
    network = market.network
    options = {
        "mode": mode,
        "pool-url": network["pool_url"],
        "rpc-url": network["rpc_url"],
        "folder": str(folder / name),
        "keystore": str(market.home / "wallets" / f"{name}.json"),
        "password-file": str(folder / "password"),
    }
    command = [
        sys.executable,
        "-m",
        "tests.support.rogue_worker",
        *(word for key, value in options.items() for word in (f"--{key}", value)),
    ]
    with (folder / f"{name}.log").open("wb") as log_file:
        process = subprocess.Popen(command, cwd=ROOT, env=environment(), stdout=log_file, stderr=log_file, start_new_session=True)
        try:
            wait_for(lambda: address in online(market), f"{name} to come online; it said {(folder / f'{name}.log').read_text()[-500:]}")
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=30)


def fund(market: RunningBox, folder: Path, name: str) -> str:
    """Make a wallet and put money into its account and gas into its hands; answers its address."""
    (folder / "password").write_text("correct horse")
    options = ("--password-file", str(folder / "password"))
    address: str = market.json("wallet", "create", name, "--strength", "light", *options)["address"]
    send(market, address)
    market.run("wallet", "deposit", "100 RLC", "--wallet", name, *options)
    return address


def send(market: RunningBox, address: str) -> None:
    """Give an address RLC and coin, from the development account that holds them all."""
    import anyio

    from voisin.chain import Call, Sender, calls, open_chain
    from voisin.chain.devnet import development_keys
    from voisin.protocol.ids import as_address
    from voisin.units import NRLC, Wei

    async def give() -> None:
        async with open_chain(market.network["rpc_url"], as_address(market.network["hub"])) as chain:
            purse = Sender(chain, development_keys()[0])
            await purse.send(Call(as_address(address), b"", "gas money", value=Wei(10**20)))
            await purse.send(calls.transfer(chain.token_address, as_address(address), NRLC(1000 * 10**9)))

    anyio.run(give)


def online(market: RunningBox) -> dict[str, Any]:
    """The workers that the pool sees."""
    with urllib.request.urlopen(f"{market.network['pool_url']}/v1/workers") as answer:
        return {view["worker"]: view for view in json.load(answer) if view["online"]}


def wait_for(condition: Callable[[], object], what: str) -> None:
    """Wait until a condition holds, up to a deadline."""
    deadline = time.monotonic() + PATIENCE_S
    pause = subprocess.run
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {PATIENCE_S} s for {what}")
        pause([sys.executable, "-c", ""], check=True)


@contextmanager
def crew(market: RunningBox, folder: Path, rogue: str | None, prefix: str) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Run four honest workers and perhaps a rogue one, who is first in line."""
    from contextlib import ExitStack

    with ExitStack() as stack:
        names = [*([(f"{prefix}-rogue", rogue)] if rogue else []), *((f"{prefix}-{number}", "honest") for number in range(HONEST))]
        yield [stack.enter_context(worker(market, folder, name, mode or "honest")) for name, mode in names]


def votes(report: dict[str, Any]) -> list[dict[str, Any]]:
    """All votes on all tasks of a run."""
    return [vote for invoice in report["invoices"] for task in invoice["tasks"] for vote in task["votes"]]


def reference(tmp_path: Path, box: RunningBox, frames: str) -> dict[str, bytes]:
    """What honest machines render."""
    box.run(*FRAMES, "--frames", frames, "--out", str(tmp_path / "reference"))
    return rendered(tmp_path / "reference")


def rendered(folder: Path) -> dict[str, bytes]:
    """The frames in a folder of results."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("frame.png"))}


def test_a_worker_killed_in_the_middle_of_a_task(market: RunningBox, box: RunningBox, tmp_path: Path) -> None:
    expected = reference(tmp_path, box, "0..5")
    with crew(market, tmp_path, None, "killed") as processes:
        command = [*FRAMES, "--frames", "0..5", "--trust", "4", "--set", "samples=24", "--out", str(tmp_path / "out"), "--json"]
        running = subprocess.Popen([*VOISIN, *command, "--home", str(market.home)], cwd=ROOT, env=environment(), stdout=subprocess.PIPE)
        victims = {view["name"]: view["worker"] for view in online(market).values()}
        wait_for(lambda: any(view["busy"] for view in online(market).values() if view["name"] == "killed-0"), "the victim to be busy")
        os.killpg(processes[0].pid, signal.SIGKILL)
        out, _ = running.communicate(timeout=PATIENCE_S)
        report = json.loads(out)
        assert running.returncode == 0
        assert {task["outcome"] for invoice in report["invoices"] for task in invoice["tasks"]} == {"completed"}
        assert victims["killed-0"] not in online(market)
    assert len(rendered(tmp_path / "out")) == len(expected) == 6


def test_a_worker_that_flips_a_bit_is_outvoted_and_fined(market: RunningBox, box: RunningBox, tmp_path: Path) -> None:
    expected = reference(tmp_path, box, "0..3")
    with crew(market, tmp_path, "lie", "lie"):
        liar = next(view["worker"] for view in online(market).values() if view["name"].endswith("rogue"))
        report = market.json(*FRAMES, "--frames", "0..3", "--trust", "4", "--out", str(tmp_path / "out"))
    assert rendered(tmp_path / "out") == expected
    wrong = [vote for vote in votes(report) if vote["verdict"] != "proved" and vote["worker"] == liar]
    assert wrong
    assert all(vote["fine"] > 0 and vote["reward"] == 0 for vote in wrong)
    assert not [vote for vote in votes(report) if vote["fine"] and vote["worker"] != liar]
    assert report["balance_before"] == report["balance_after"]
    (invoice,) = report["invoices"]
    assert sum(line["amount"] for line in invoice["fines"] if line["owner"] == liar) == sum(vote["fine"] for vote in wrong)
    assert liar in json.dumps(market.json("deal", "show", invoice["deal_id"])["fines"])


def test_a_worker_that_never_reveals_is_not_waited_for_for_ever(market: RunningBox, box: RunningBox, tmp_path: Path) -> None:
    expected = reference(tmp_path, box, "0..1")
    with crew(market, tmp_path, "mute", "mute"):
        mute = next(view["worker"] for view in online(market).values() if view["name"].endswith("rogue"))
        report = market.json(*FRAMES, "--frames", "0..1", "--trust", "16", "--out", str(tmp_path / "out"))
    assert rendered(tmp_path / "out") == expected
    fined = {vote["worker"] for vote in votes(report) if vote["fine"]}
    assert fined <= {mute}
    assert report["balance_before"] == report["balance_after"]
