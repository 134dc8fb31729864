"""
Three people, three home folders: one owns a model, one rents it by the call, one runs the machines and sees nothing.

While the renter works, everything outside the enclaves is captured: the memory of all processes of the operator and of the renter, every
file that they have, every packet between them. None of it holds 16 bytes in a row of the model or of its key. Left out are the enclaves
themselves (here they are simulated: a real machine would keep its operator out), the vault's memory, which holds keys by its task, and
what is the owner's own.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import COMMAND_S, ROOT, VOISIN, RunningBox, environment
from tests.support.capture import Find, Packets, Wanted, in_files, in_memory, outside, recorded_loopback
from voisin.chain.keystore import load_keystore
from voisin.client.data.drafts import DATA_FOLDER, Diary, open_key
from voisin.protocol.ids import as_address
from voisin.units import NRLC_PER_RLC

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
APP = ROOT / "apps" / "inference"
PRICE, CALLS = NRLC_PER_RLC // 4, 10
HEADER = 28
"""Bytes of a model that say its sizes: they are much the same in all models."""
INSIDE = ("voisin.enclave", "voisin.box.part_process vault")
"""Processes that may know: enclaves, and the vault."""
FLOWERS = ("5.1,3.5,1.4,0.2", "6.3,3.3,6.0,2.5", "5.7,2.8,4.1,1.3")
KINDS = ("setosa", "virginica", "versicolor")
RENT = """
import sys, voisin
home, dataset, app, calls = sys.argv[1:5]
with voisin.connect(home) as cloud:
    cloud.secrets.create_result_key()
    for number in range(int(calls)):
        result = cloud.data.process(dataset, app, [sys.argv[5 + number % 3]], sealed=True, max_price="5 RLC")
        print(result.files["predictions.csv"].decode().splitlines()[1], flush=True)
    sys.stdin.readline()
"""


@dataclass
class Person:
    """Somebody with a home folder and a wallet, and nothing else."""

    home: Path
    address: str = ""

    def run(self, *command: str) -> str:
        """Run a command; answers what it printed."""
        done = subprocess.run(
            [*VOISIN, *command, "--home", str(self.home)],
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
            cwd=ROOT,
            env=environment(),
            check=False,
        )
        assert done.returncode == 0, f"voisin {' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        return done.stdout

    def json(self, *command: str) -> Any:
        """Run a command with --json and read what it prints."""
        return json.loads(self.run(*command, "--json"))


def move_in(home: Path, box: RunningBox) -> Person:
    """Make a home folder with a wallet that the box's faucet gives its first money."""
    home.mkdir()
    (home / "password").write_text("a password of one's own")
    network = {key: value for key, value in box.network.items() if key not in ("wallets", "password_file", "pid")}
    network |= {"wallets": {"requester": "wallets/me.json"}, "password_file": "password", "bag_window_s": 0}
    (home / "box.json").write_text(json.dumps(network))
    person = Person(home)
    person.address = person.json("wallet", "create", "me", "--password-file", str(home / "password"))["address"]
    faucet = httpx.get(f"{network['pool_url']}/v1/pool").json()["faucet_url"]
    httpx.post(f"{faucet}/v1/gifts/{person.address}", timeout=30).raise_for_status()
    return person


@dataclass
class Outside:
    """
    Everything outside the enclaves.

    Attributes:
        box: The operator's machines.
        renter: The renter's process.
        packets: What goes between them.
        looked: How much memory was looked at [bytes].
    """

    box: RunningBox
    renter: int
    packets: Packets
    looked: dict[int, int] = field(default_factory=dict)

    def memory(self, wanted: Wanted) -> list[Find]:
        """Look through the memory of all processes."""
        assert self.box.process is not None
        found = []
        for pid in [*outside(self.box.process.pid, inside=INSIDE), self.renter]:
            finds, looked = in_memory(wanted, pid)
            self.looked[pid] = self.looked.get(pid, 0) + looked
            found += finds
        return found


@contextmanager
def renting(renter: Person, dataset: str, calls: int) -> Iterator[subprocess.Popen[str]]:
    """Run the renter's program; it stays until it is told to go."""
    command = [sys.executable, "-c", RENT, str(renter.home), dataset, str(APP), str(calls), *FLOWERS]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment()
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def next_line(process: subprocess.Popen[str]) -> str:
    """Read what the renter got; says why when there is nothing."""
    assert process.stdout is not None
    assert process.stderr is not None
    line = process.stdout.readline().strip()
    assert line, process.stderr.read()[-3000:]
    return line


def test_a_model_is_rented_ten_times_and_nobody_sees_it(tmp_path: Path) -> None:
    with ExitStack() as stack:
        box = RunningBox(tmp_path / "operator", ("--workers", "1", "--vault-apart"))
        box.home.mkdir()
        box.start()
        stack.callback(box.stop)
        owner, renter = (move_in(tmp_path / name, box) for name in ("owner", "renter"))
        terms = ("--price", f"{PRICE} nRLC", "--uses", "20", "--max-output", "10kB", "--no-network", "--enclave", "simulated")
        model = trained(owner)
        made = owner.json("data", "protect", str(model), "--apps", str(APP / "inference.wasm"), *terms)
        before = owner.json("wallet", "balance")
        packets = stack.enter_context(recorded_loopback())  # an owner's words to a vault go over TLS; a box on one machine has none
        process = stack.enter_context(renting(renter, made["dataset"], CALLS))
        outer = Outside(box, process.pid, packets)
        secrets = Wanted({"model": model.read_bytes()[HEADER:], **owners_key(owner, made["dataset"])})
        told = [next_line(process).split(",")[0] for _ in range(CALLS // 2)]
        found = outer.memory(secrets)
        told += [next_line(process).split(",")[0] for _ in range(CALLS - CALLS // 2)]
        found += outer.memory(secrets)
        assert told == [KINDS[number % 3] for number in range(CALLS)]
        spelled, capture = secrets.spelled(), bytes(packets.data)
        found += in_files(spelled, [box.home, renter.home, Path("/dev/shm")])
        found += spelled.find(capture, "loopback")
        assert found == [], "\n".join(map(str, found))
        the_captures_were_no_empty_ones(outer, box, made["dataset"], capture)
        paid_and_told(owner, renter, made["dataset"], before)


def trained(owner: Person) -> Path:
    """Have the owner train a model; a small one, so that looking for all of it does not take long."""
    model = owner.home / "flowers.model"
    options = ("--target", "species", "--hidden", "0", "--epochs", "100", "--output", str(model))
    subprocess.run([sys.executable, str(APP / "train.py"), str(APP / "iris.csv"), *options], check=True, capture_output=True, cwd=ROOT)
    return model


def owners_key(owner: Person, dataset: str) -> dict[str, bytes]:
    """The key of the model, from the owner's own folder: raw, and as a vault keeps it."""
    password = (owner.home / "password").read_text()
    wallet = load_keystore(owner.home / "wallets" / "me.json", password)
    draft = Diary(owner.home / DATA_FOLDER).of_entry(as_address(dataset))
    assert draft is not None
    text = open_key(wallet, draft)
    return {"key": base64.b64decode(text), "key as text": text.encode()}


def the_captures_were_no_empty_ones(outer: Outside, box: RunningBox, dataset: str, capture: bytes) -> None:
    """See that what anybody may know is found: the encrypted model in files and packets, the dataset's name in memory."""
    sealed = [path.read_bytes() for path in box.home.rglob("*") if path.is_file() and path.stat().st_size < 10_000]
    encrypted = next(data for data in sealed if data.startswith(b"VOISIN\x00\x01"))
    public = Wanted({"encrypted": encrypted[64:192]})
    assert in_files(public, [box.home])
    assert list(public.find(capture, "loopback"))
    assert outer.memory(Wanted({"dataset": dataset.encode()}))
    assert len(outer.looked) >= 3, "box, worker and renter"
    assert min(outer.looked.values()) > 10 << 20


def paid_and_told(owner: Person, renter: Person, dataset: str, before: dict[str, Any]) -> None:
    """The owner got ten times the price, and sees ten uses."""
    after = owner.json("wallet", "balance")
    assert after["stake"] - before["stake"] == CALLS * PRICE, (before, after)
    uses = owner.json("data", "uses", dataset)
    assert [use["number"] for use in reversed(uses)] == list(range(CALLS))
    assert {(use["price"], use["requester"], use["technology"]) for use in uses} == {(PRICE, renter.address, "simulated")}
