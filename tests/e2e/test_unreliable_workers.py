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
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.e2e.conftest import ROOT, VOISIN, RunningBox, environment
from voisin.chain import Call, Sender, calls, open_chain
from voisin.chain.devnet import development_keys
from voisin.chain.keystore import create_keystore
from voisin.protocol.ids import as_address
from voisin.units import NRLC, Wei

PATIENCE_S = 120
FRAMES = ("run", "apps/pathtracer", "--set", "size=48x36", "--time", "15", "--task-by-task", "--yes")
QUICK, LONG = ("--set", "samples=2"), ("--set", "samples=400")
HONEST = 4
STAKES = NRLC(100 * 10**9)


@pytest.fixture(scope="module")
def market(box_factory: Callable[..., RunningBox]) -> RunningBox:
    """A box without workers of its own, and with deadlines short enough to be seen."""
    return box_factory("--workers", "0", "--category", "XS=20")


@contextmanager
def crew(market: RunningBox, folder: Path, rogue: str | None = None) -> Iterator[dict[str, tuple[str, subprocess.Popen[bytes]]]]:
    """Run four honest workers and perhaps a rogue one, who is first in line; gives address and process by name."""
    names = [*(["rogue"] if rogue else []), *(f"honest-{number}" for number in range(HONEST))]
    addresses = fund(market, folder, names)
    with ExitStack() as stack:
        running = {}
        for name, address in addresses.items():
            process = stack.enter_context(worker(market, folder, name, rogue if rogue and name == "rogue" else "honest"))
            running[name] = (address, process)
            if name == "rogue":
                wait_online(market, {address})
        wait_online(market, set(addresses.values()))
        yield running


@contextmanager
def worker(market: RunningBox, folder: Path, name: str, mode: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a worker, possibly a rogue, in a process of its own."""
    options = {
        "mode": mode,
        "name": name,
        "pool-url": market.network["pool_url"],
        "rpc-url": market.network["rpc_url"],
        "folder": str(folder / name),
        "keystore": str(folder / f"{name}.json"),
        "password-file": str(folder / "password"),
    }
    words = (word for key, value in options.items() for word in (f"--{key}", value))
    command = [sys.executable, "-m", "tests.support.rogue_worker", *words]
    with (folder / f"{name}.log").open("wb") as log_file:
        process = subprocess.Popen(command, cwd=ROOT, env=environment(), stdout=log_file, stderr=log_file, start_new_session=True)
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=30)


def fund(market: RunningBox, folder: Path, names: list[str]) -> dict[str, str]:
    """Make wallets with coin for gas and an account to stake from; answers their addresses."""
    password = "correct horse"
    (folder / "password").write_text(password)
    wallets = {name: create_keystore(folder / f"{name}.json", password, strength="light") for name in names}

    async def give() -> None:
        async with open_chain(market.network["rpc_url"], as_address(market.network["hub"])) as chain:
            purse = Sender(chain, development_keys()[0])
            for wallet in wallets.values():
                await purse.send(Call(wallet.address, b"", "give gas money", value=Wei(10**20)))
                await purse.send(calls.transfer(chain.token_address, wallet.address, STAKES))
                await Sender(chain, wallet).send(calls.approve_and_call(chain.token_address, chain.hub_address, STAKES))

    anyio.run(give)
    return {name: wallet.address for name, wallet in wallets.items()}


def online(market: RunningBox) -> dict[str, Any]:
    """The workers that the pool sees."""
    with urllib.request.urlopen(f"{market.network['pool_url']}/v1/workers") as answer:
        return {view["worker"]: view for view in json.load(answer) if view["online"]}


def wait_online(market: RunningBox, workers: set[str]) -> None:
    """Wait until the pool sees these workers."""
    wait_for(lambda: workers <= set(online(market)), f"{len(workers)} workers to come online")


def wait_for(condition: Callable[[], object], what: str) -> None:
    """Wait until a condition holds, up to a deadline."""
    deadline = time.monotonic() + PATIENCE_S
    pause = subprocess.run
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {PATIENCE_S} s for {what}")
        pause([sys.executable, "-c", ""], check=True)


def votes(report: dict[str, Any]) -> list[dict[str, Any]]:
    """All votes on all tasks of a run."""
    return [vote for invoice in report["invoices"] for task in invoice["tasks"] for vote in task["votes"]]


def render(box: RunningBox, out: Path, frames: str, *options: str) -> tuple[Any, dict[str, bytes]]:
    """Render frames; gives what the command says and the frames."""
    report = box.json(*FRAMES, "--frames", frames, "--out", str(out), *options)
    return report, rendered(out)


def rendered(folder: Path) -> dict[str, bytes]:
    """The frames in a folder of results."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("frame.png"))}


def test_a_worker_killed_in_the_middle_of_a_task(market: RunningBox, box: RunningBox, tmp_path: Path) -> None:
    _, expected = render(box, tmp_path / "reference", "0..3", *LONG)
    with crew(market, tmp_path) as workers:
        victim, process = workers["honest-0"]
        command = [*VOISIN, *FRAMES, *LONG, "--frames", "0..3", "--trust", "4", "--out", str(tmp_path / "out"), "--json"]
        running = subprocess.Popen([*command, "--home", str(market.home)], cwd=ROOT, env=environment(), stdout=subprocess.PIPE)
        wait_for(lambda: online(market)[victim]["busy"] or running.poll() is not None, "the victim to be busy")
        assert running.poll() is None, "it ended before the victim was busy"
        os.killpg(process.pid, signal.SIGKILL)
        out, _ = running.communicate(timeout=PATIENCE_S)
        report = json.loads(out)
        assert victim not in online(market)
    assert running.returncode == 0
    assert rendered(tmp_path / "out") == expected
    assert {task["outcome"] for invoice in report["invoices"] for task in invoice["tasks"]} == {"completed"}
    assert report["balance_before"] == report["balance_after"]


def test_a_worker_that_flips_a_bit_is_outvoted_and_fined(market: RunningBox, box: RunningBox, tmp_path: Path) -> None:
    _, expected = render(box, tmp_path / "reference", "0..3", *QUICK)
    with crew(market, tmp_path, "lie") as workers:
        liar, _ = workers["rogue"]
        report, frames = render(market, tmp_path / "out", "0..3", *QUICK, "--trust", "4")
    assert frames == expected
    wrong = [vote for vote in votes(report) if vote["verdict"] != "proved" and vote["worker"] == liar]
    assert wrong
    assert all(vote["fine"] > 0 and vote["reward"] == 0 for vote in wrong)
    assert not [vote for vote in votes(report) if vote["fine"] and vote["worker"] != liar]
    assert report["balance_before"] == report["balance_after"]
    (invoice,) = report["invoices"]
    assert sum(line["amount"] for line in invoice["fines"] if line["owner"] == liar) == sum(vote["fine"] for vote in wrong)
    assert liar in json.dumps(market.json("deal", "show", invoice["deal_id"])["fines"])


def test_a_worker_that_never_reveals_is_not_waited_for_for_ever(market: RunningBox, box: RunningBox, tmp_path: Path) -> None:
    _, expected = render(box, tmp_path / "reference", "0..1", *QUICK)
    with crew(market, tmp_path, "mute") as workers:
        mute, _ = workers["rogue"]
        report, frames = render(market, tmp_path / "out", "0..1", *QUICK, "--trust", "16")
    assert frames == expected
    assert {vote["worker"] for vote in votes(report) if vote["fine"]} == {mute}
    assert report["balance_before"] == report["balance_after"]
