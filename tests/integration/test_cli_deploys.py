"""`voisin chain deploy` against a node: prices, deploys, goes on after SIGKILL, checks, records, and refuses what is not meant."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.devnet import ADDRESSES, KEYS, Rpc, node_process, open_rpc, signed
from voisin.chain.artifacts import load_artifact
from voisin.chain.deployment.plan import contract_address, deployment_plan, facet_cuts
from voisin.chain.functions import function
from voisin.chain.keystore import create_keystore
from voisin.cli import main
from voisin.protocol.ids import ZERO_ADDRESS, Address, as_address

OWNER = Address(ADDRESSES[0])
PLAN = deployment_plan(OWNER, 31_337)
ALL, CONTRACTS = len(PLAN.steps), [step.name for step in PLAN.steps if step.creates]


class Rig:
    """A chain, and a home folder with the owner's wallet."""

    def __init__(self, home: Path, rpc: Rpc, capsys: pytest.CaptureFixture[str]) -> None:
        self.home, self.rpc, self._capsys = home, rpc, capsys
        self.file = home / "deployments" / "31337.json"
        self.shared = ["--home", str(home), "--wallet", "owner", "--password-file", str(home / "password")]

    def line(self, *words: str, chain_id: int = 31_337) -> list[str]:
        """Spell the command."""
        return ["chain", "deploy", "--rpc-url", self.rpc.url, "--chain-id", str(chain_id), *self.shared, *words]

    def run(self, *words: str, code: int = 0, **options: int) -> tuple[str, str]:
        """Run the command here; answers what it printed."""
        self._capsys.readouterr()
        assert main(self.line(*words, **options)) == code
        return self._capsys.readouterr()

    def answer(self, *words: str, code: int = 0) -> Any:
        """Run the command here; answers its document."""
        return json.loads(self.run(*words, "--json", code=code)[0])

    def as_owner(self, name: str, *arguments: object) -> None:
        """Call the hub as its owner."""
        data = function("Hub", name).encode(*arguments)  # type: ignore[arg-type]
        assert self.rpc.send(signed(KEYS[0], self.nonce, to=PLAN.hub, data=data, gas=5_000_000))["status"] == "0x1"

    def create(self, code: bytes) -> Address:
        """Create a contract as the owner."""
        return as_address(self.rpc.send(signed(KEYS[0], self.nonce, data=code, gas=8_000_000))["contractAddress"])

    @property
    def nonce(self) -> int:
        """How many transactions of the owner the chain has carried out."""
        return self.rpc.number("eth_getTransactionCount", OWNER, "latest")


@pytest.fixture(scope="module")
def node() -> Iterator[Rpc]:
    with node_process() as running, open_rpc(running.url) as rpc:
        yield rpc


@pytest.fixture
def rig(node: Rpc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Rig]:
    """A chain on which nothing has happened yet, or is undone."""
    monkeypatch.chdir(tmp_path)
    for name in ("VOISIN_RPC_URL", "VOISIN_PASSWORD_FILE", "VOISIN_HOME"):
        monkeypatch.delenv(name, raising=False)
    create_keystore(tmp_path / "wallets" / "owner.json", "pw", key=bytes.fromhex(KEYS[0][2:]), strength="light")
    create_keystore(tmp_path / "wallets" / "poor.json", "pw", key=b"\x77" * 32, strength="light")
    (tmp_path / "password").write_text("pw\n")
    snapshot = node("evm_snapshot")
    yield Rig(tmp_path, node, capsys)
    assert node("evm_revert", snapshot)


def test_from_the_price_to_the_record(rig: Rig) -> None:
    priced = rig.answer("--dry-run")
    assert (priced["status"], len(priced["steps"]), rig.nonce) == ("priced", ALL, 0)
    assert priced["gas"] > 15_000_000
    assert list(rig.file.parent.iterdir()) == []
    out, err = rig.run("--yes", "--record", "record.json")
    assert "price" in err
    assert f"/{ALL} create Hub {PLAN.hub}" in err
    assert "all as expected" in out
    assert rig.nonce == ALL
    written = json.loads(rig.file.read_text())
    assert (written["hub"], written["owner"], written["block"], list(written["code_hashes"])) == (PLAN.hub, OWNER, 1, CONTRACTS)
    assert [path.name for path in rig.file.parent.iterdir()] == [rig.file.name]
    again = rig.answer("--yes")
    assert (again["status"], again["check"]["differences"], rig.nonce) == ("standing", [], ALL)
    # without a node, the same list of transactions
    assert main(["chain", "deploy", "--record", "alone.json"]) == 0
    assert Path("alone.json").read_bytes() == Path("record.json").read_bytes()


def test_killed_as_a_process(rig: Rig) -> None:
    for said in (" create Rlc", " create Hub"):
        command = [sys.executable, "-m", "voisin", *rig.line("--yes")]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            assert any(said in line for line in process.stderr)
            process.kill()
    assert rig.answer("--yes")["status"] in ("deployed", "standing")
    assert rig.nonce == ALL
    assert json.loads(rig.file.read_text())["hub"] == PLAN.hub


def test_what_was_changed_is_named(rig: Rig) -> None:
    rig.run("--yes")
    hub = rig.file.read_text()
    rig.as_owner("setCallbackGas", 1)
    rig.as_owner("createCategory", "XXL", "", 7)
    task = next(s for s, _ in load_artifact("TasksFacet").return_sizes.items())
    rig.as_owner(
        "diamondCut", [(PLAN.facets["OrdersFacet"], 1, [task]), (PLAN.facets["OrdersFacet"], 0, ["0x01020304"])], ZERO_ADDRESS, b""
    )
    rig.as_owner("transferOwnership", ADDRESSES[1])
    found = {item["what"]: (item["expected"], item["found"]) for item in rig.answer("--check", code=1)["check"]["differences"]}
    assert found.pop("callbackgas of Hub") == ("200000", "1")
    assert found.pop("countCategory of Hub") == ("5", "6")
    assert found.pop("owner of Hub") == (OWNER, ADDRESSES[1])
    assert found.pop("routes of other functions") == ("none", f"0x01020304 to {PLAN.facets['OrdersFacet']}")
    ((what, (expected, got)),) = found.items()
    assert what.startswith(f"route of {task} ")
    assert expected.startswith("TasksFacet")
    assert got == "OrdersFacet, long answers"
    _, err = rig.run("--check", code=1)
    assert "error: 5 things on the chain are not as expected" in err
    rig.file.write_text(hub.replace(PLAN.app_registry, ADDRESSES[2]))
    found = {item["what"]: item["found"] for item in rig.answer("--check", code=1)["check"]["differences"]}
    assert found[f"AppRegistry at {ADDRESSES[2]}"].startswith("code hash")
    assert found["owner of AppRegistry"] == "no such function"


def test_a_hub_of_another_version_is_upgraded(rig: Rig) -> None:
    rig.run("--yes")
    tasks = load_artifact("TasksFacet")
    # the last byte of the code, before what the compiler adds to it
    end = len(tasks.init_code) - int.from_bytes(tasks.init_code[-2:], "big")
    older = rig.create(tasks.init_code[: end - 1] + bytes([tasks.init_code[end - 1] ^ 1]) + tasks.init_code[end:])
    cut = next(cut for cut in facet_cuts(PLAN.facets) if cut.facet == PLAN.facets["TasksFacet"])
    cuts = [(older, 1, cut.selectors), (ZERO_ADDRESS, 2, [function("Hub", "viewScore").selector]), (older, 0, ["0x01020304"])]
    rig.as_owner("diamondCut", cuts, ZERO_ADDRESS, b"")
    assert len(rig.answer("--check", code=1)["check"]["differences"]) == len(cut.selectors) + 2
    spent = rig.nonce
    priced = rig.answer("--upgrade", "--dry-run")
    assert priced["steps"] == ["TasksFacet", "change who answers which function", "mark short answers"]
    assert {"function": "viewScore(address)", "before": "", "after": PLAN.facets["AccessorsFacet"]} in priced["changes"]
    assert {"function": "0x01020304", "before": older, "after": ""} in priced["changes"]
    assert len(priced["changes"]) == len(cut.selectors) + 2
    _, err = rig.run("--upgrade", "--yes", "--wallet", "poor", code=1)
    assert f"error: the hub belongs to {OWNER}" in err
    assert rig.nonce == spent
    out, err = rig.run("--upgrade", "--yes")
    assert "What changes" in err
    assert "Upgraded on chain 31337" in out
    assert "all as expected" in out
    assert rig.nonce == spent + 3
    assert json.loads(rig.file.read_text())["facets"]["TasksFacet"] == contract_address(OWNER, spent)
    assert rig.answer("--upgrade", "--yes")["status"] == "standing"
    assert rig.nonce == spent + 3


def test_a_token_that_is_there(rig: Rig) -> None:
    rig.run("--yes")
    token = json.loads(rig.file.read_text())["token"]
    _, err = rig.run("--yes", "--token", token, "--file", "second.json")
    assert f"/{ALL - 1} create Hub" in err
    assert json.loads(Path("second.json").read_text())["token"] == token
    assert rig.nonce == 2 * ALL - 1
    for wrong in (PLAN.app_registry, ADDRESSES[3]):
        _, err = rig.run("--yes", "--token", wrong, "--file", "third.json", code=1)
        assert f"error: there is no token at {wrong}" in err
    _, err = rig.run("--yes", "--token", PLAN.hub, code=1)
    assert f"is about a market with the token {token}" in err
    assert rig.nonce == 2 * ALL - 1


def test_a_market_of_native_coin(rig: Rig) -> None:
    done = rig.answer("--native", "--yes", "--record", "record.json")
    assert done["check"]["differences"] == []
    assert (done["deployment"]["token"], rig.nonce) == (ZERO_ADDRESS, ALL - 1)
    assert "EscrowNativeFacet" in done["deployment"]["facets"]
    assert "EscrowFacet" not in done["deployment"]["facets"]
    deposit = function("HubNative", "deposit").encode()
    rig.rpc.send(signed(KEYS[0], rig.nonce, to=done["deployment"]["hub"], data=deposit, value=7 * 10**9, gas=200_000))
    stake = rig.rpc(
        "eth_call", {"to": done["deployment"]["hub"], "data": "0x" + function("Hub", "balanceOf").encode(OWNER).hex()}, "latest"
    )
    assert int(stake, 16) == 7
    assert rig.answer("--check")["check"]["compared"] > 150
    assert rig.answer("--upgrade", "--yes")["status"] == "standing"
    assert main(["chain", "deploy", "--native", "--record", "alone.json"]) == 0
    assert Path("alone.json").read_bytes() == Path("record.json").read_bytes()
    rig.run("--native", "--token", ADDRESSES[3], code=2)


def test_what_is_refused(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    _, err = rig.run("--yes", code=1, chain_id=1)
    assert err.startswith("error: the node at http://127.0.0.1:")
    assert "serves chain 31337, not 1. " in err
    assert "--chain-id 31337" in err
    _, err = rig.run(code=2)
    assert "agree to it with --yes" in err
    _, err = rig.run("--yes", "--wallet", "poor", code=1)
    assert "holds 0 wei, but the deployment may cost" in err
    _, err = rig.run("--check", code=1)
    assert "cannot be read" in err
    assert rig.nonce == 0
    monkeypatch.setenv("VOISIN_RPC_URL", rig.rpc.url)
    assert main(["chain", "deploy", *rig.shared]) == 2
    monkeypatch.delenv("VOISIN_RPC_URL")
    assert main(["chain", "deploy", "--chain-id", "31337", *rig.shared]) == 2
