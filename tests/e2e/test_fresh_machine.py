"""A fresh machine, an empty home folder, one command: it joins a pool, earns, obeys its owner, withdraws and leaves."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import COMMAND_S, VOISIN, RunningBox, environment

LISTENING = "0A"
SETTLED_S = 60
JOIN_S = 60
"""How long a machine may take from nothing to its place in the pool [s]."""


@dataclass
class Machine:
    """Somebody's machine: nothing but a home folder."""

    home: Path

    def run(self, *command: str, check: bool = True, timeout_s: float = COMMAND_S) -> subprocess.CompletedProcess[str]:
        """Run one command as a new user would."""
        own = environment(HOME=str(self.home))
        own = {name: value for name, value in own.items() if not name.startswith("XDG_")}
        done = subprocess.run(
            [*VOISIN, *command],
            capture_output=True,
            text=True,
            timeout=timeout_s,
            cwd=self.home,
            env=own,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if check and done.returncode:
            raise AssertionError(f"voisin {' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done

    def json(self, *command: str) -> Any:
        """Run a command with --json and read what it prints."""
        return json.loads(self.run(*command, "--json").stdout)

    def until(self, what: Callable[[], bool]) -> None:
        """Wait for something that a worker does."""
        end = time.monotonic() + SETTLED_S
        while not what():
            assert time.monotonic() < end, (self.home / ".voisin/workers/worker/worker.log").read_text()[-3000:]


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """A machine whose worker does not outlive the test."""
    home = tmp_path / "home"
    home.mkdir()
    machine = Machine(home)
    yield machine
    status = machine.run("worker", "status", "--json", check=False)
    if status.returncode == 0:
        os.kill(json.loads(status.stdout)["pid"], signal.SIGKILL)


@pytest.fixture(scope="module")
def pool(box_factory: Callable[..., RunningBox]) -> RunningBox:
    """A box with one worker: a second one is needed for what two must agree on."""
    return box_factory("--workers", "1")


def family(pid: int) -> set[int]:
    """List a process and everything that it started."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(path.name)] = int((path / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
    found, size = {pid}, 0
    while len(found) > size:
        size = len(found)
        found |= {child for child, parent in parents.items() if parent in found}
    return found


def listening_ports(pids: set[int]) -> list[str]:
    """List the TCP ports at which some processes can be reached."""
    inodes = set()
    for pid in pids:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            try:
                inodes.add(str(descriptor.readlink()))
            except OSError:
                continue
    lines = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    return [line[1] for line in lines if line[3] == LISTENING and f"socket:[{line[9]}]" in inodes]


def test_the_check_for_open_ports_finds_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert f"{server.getsockname()[1]:04X}" in listening_ports({os.getpid()})[0]


@pytest.mark.timeout(600)
def test_one_command_joins_earns_and_withdraws(pool: RunningBox, machine: Machine) -> None:
    joined = json.loads(machine.run("worker", "join", pool.network["pool_url"], "--detach", "--json", timeout_s=JOIN_S).stdout)
    made = machine.home / ".voisin" / "wallets"
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in made.iterdir()} == {"worker.json": 0o600, "worker.password": 0o600}
    assert listening_ports(family(joined["pid"])) == []

    report = pool.json("run", "apps/noop", "--replicas", "2", "--yes")
    assert joined["worker"] in report["results"][0]["workers"]
    assert report["balance_before"] == report["balance_after"]
    assert listening_ports(family(joined["pid"])) == [], "nor after it has worked"

    (payment,) = [line for line in report["invoices"][0]["payments"] if line["owner"] == joined["worker"]]
    earned = machine.json("worker", "earnings", "--by", "deal")
    assert earned["lines"] == [{"name": report["invoices"][0]["deal_id"], "payments": 1, "earned": payment["amount"], "fined": 0}]
    assert (earned["stake"], earned["wallet"]) == (1_000 * 10**9 + payment["amount"], 0)

    assert machine.json("worker", "withdraw", "0.01")["withdrawn"] == 10_000_000
    assert machine.json("worker", "pause")["stance"] == "paused"
    assert "takes nothing for now: its owner has paused it" in pool_notes(pool)
    assert machine.json("worker", "resume")["why"] == ""

    left = machine.json("worker", "leave", "--withdraw")
    assert (left["stance"], left["withdrawn"]) == ("left", 1_000 * 10**9 + payment["amount"] - 10_000_000)
    machine.until(lambda: not Path(f"/proc/{joined['pid']}").exists() or "Z" in Path(f"/proc/{joined['pid']}/stat").read_text())
    refused = machine.run("worker", "status", check=False)
    assert (refused.returncode, "no worker runs in" in refused.stderr) == (1, True)
    assert machine.json("worker", "earnings")["wallet"] == 1_000 * 10**9 + payment["amount"]

    password = (made / "worker.password").read_text().strip()
    log = (machine.home / ".voisin/workers/worker/worker.log").read_text()
    assert password not in log + refused.stderr


def pool_notes(pool: RunningBox) -> list[str]:
    """Read what the pool notes of its workers."""
    return [worker.get("note", "") for worker in httpx.get(f"{pool.network['pool_url']}/v1/workers").json()]


@pytest.mark.timeout(600)
def test_it_joins_by_the_workerpools_address_and_again_by_itself(pool: RunningBox, machine: Machine) -> None:
    workerpool, index = pool.network["workerpool"], pool.network["index_url"]
    first = machine.json("worker", "join", workerpool, "--index", index, "--slots", "1", "--name", "attic", "--detach")
    twice = machine.run("worker", "join", check=False)
    assert (twice.returncode, "runs in" in twice.stderr) == (1, True)
    os.kill(first["pid"], signal.SIGKILL)
    again = machine.json("worker", "join", "--detach")
    assert (again["worker"], again["name"], again["slots"]) == (first["worker"], "attic", 1)
    unit = machine.json("worker", "service", "--write")
    assert Path(unit["path"]).parent == machine.home / ".config/systemd/user"
    assert f'"{machine.home}/.voisin/workers/worker"' in Path(unit["path"]).read_text()
    (machine.home / ".voisin/workers/worker/rules.toml").write_text("cores = 'all'\n")
    machine.until(lambda: machine.json("worker", "status")["rules_trouble"].startswith("rules.toml, line 1: cores: 'all' is no number"))
    machine.run("worker", "leave")


def test_what_is_missing_is_said(pool: RunningBox, machine: Machine) -> None:
    for words, said in (
        (("worker", "join"), "no pool is known here"),
        (("worker", "join", "http://127.0.0.1:9"), "does not answer"),
        (("worker", "join", pool.network["workerpool"]), "--index URL"),
        (("worker", "join", pool.network["pool_url"], "--hub", "0x" + "11" * 20), "the pool works for hub"),
        (("worker", "pause"), "no worker was joined"),
        (("worker", "earnings"), "no worker was joined"),
    ):
        refused = machine.run(*words, check=False)
        assert (refused.returncode, said in refused.stderr, refused.stderr.count("\n")) == (1, True, 1), refused.stderr
