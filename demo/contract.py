"""
Contracts that order computations, in the market that `voisin up` runs: the session of docs/howto/order-from-a-contract.md.

    voisin up                      (in another terminal)
    python demo/contract.py

It needs a source tree with the development requirements: the contracts are compiled by `vyper` and called by web3.py.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from eth_account import Account
from web3 import HTTPProvider, Web3
from web3.contract import Contract
from web3.logs import DISCARD
from web3.types import TxReceipt

ROOT = Path(__file__).resolve().parents[1]
HOME = Path(os.environ.get("VOISIN_HOME") or Path.home() / ".voisin")
RLC = 10**9
COMPLETED = 3
TRUST = 4
NUMBERS = "30,-7,12"
PARAMS = json.dumps({"iexec_args": NUMBERS, "iexec_result_storage_provider": "ipfs"}, separators=(",", ":"))
PAYEE = Web3.to_checksum_address("0x" + "be" * 20)
PATIENCE_S = 120
REQUEST = "demo/request.json"


class Developer:
    """Somebody with the box's wallet, a compiler and web3.py."""

    def __init__(self) -> None:
        self.network = json.loads((HOME / "box.json").read_text())
        self.web3 = Web3(HTTPProvider(self.network["rpc_url"]))
        keystore = (HOME / self.network["wallets"]["requester"]).read_text()
        password = (HOME / self.network["password_file"]).read_text().strip()
        self.account = Account.from_key(Account.decrypt(keystore, password))

    def deploy(self, name: str, *arguments: Any) -> Contract:
        """Compile an example and put it on the chain."""
        command = [str(Path(sys.executable).with_name("vyper")), "-p", "contracts/interfaces", "-p", "contracts/examples"]
        source = f"contracts/examples/{name}.vy"
        made = subprocess.run([*command, "-f", "abi,bytecode", source], cwd=ROOT, check=True, capture_output=True, text=True)
        abi, bytecode = made.stdout.split("\n")[:2]
        receipt = self.send(self.web3.eth.contract(abi=json.loads(abi), bytecode=bytecode).constructor(*arguments))
        print(f"# {name} is at {receipt['contractAddress']}")
        return self.web3.eth.contract(receipt["contractAddress"], abi=json.loads(abi))

    def send(self, call: Any) -> TxReceipt:
        """Sign and send a transaction; wait until it is done."""
        sender = self.account.address
        wanted = {"from": sender, "nonce": self.web3.eth.get_transaction_count(sender)}
        signed = self.account.sign_transaction(call.build_transaction(wanted))
        receipt = self.web3.eth.wait_for_transaction_receipt(self.web3.eth.send_raw_transaction(signed.raw_transaction))
        assert receipt["status"] == 1
        return receipt

    def contract(self, name: str, address: str) -> Contract:
        """A contract of the market; elsewhere `voisin chain abi` prints its ABI."""
        return self.web3.eth.contract(address, abi=json.loads((ROOT / "src" / "voisin" / "chain" / "abi" / f"{name}.json").read_text()))

    def settled(self, hub: Contract, task: str) -> None:
        """Wait until the scheduler has settled a task."""
        deadline = time.monotonic() + PATIENCE_S
        while hub.functions.viewTask(task).call()[0] != COMPLETED:
            if time.monotonic() > deadline:
                raise SystemExit(f"task {task} is not done after {PATIENCE_S} s")
            time.sleep(0.2)


def run(*words: str, shown: bool = True) -> str:
    """Run a `voisin` command as a person would; answers what it printed."""
    command = [sys.executable, "-m", "voisin", *words, "--home", str(HOME)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    said = "\n".join(line.rstrip() for line in (done.stdout + done.stderr).strip().split("\n"))
    if shown:
        print(f"$ voisin {shlex.join(words)}\n{said}\n", flush=True)
    elif done.returncode:
        raise SystemExit(said)
    return said


def offer(kind: str, *words: str) -> tuple[str, tuple[Any, ...]]:
    """The cheapest published offer: its hash, and itself as a contract takes it."""
    found = json.loads(run("order", "list", kind, *words, "--limit", "1", "--json", shown=False))[0]
    values = (bytes.fromhex(value[2:]) if name in ("tag", "salt", "sign") else value for name, value in found["order"].items())
    return found["hash"], tuple(values)


def main() -> None:
    """A contract orders and is answered; a vault fails to take its proof, and is paid by a retry."""
    me = Developer()
    hub = me.contract("Hub", me.network["hub"])
    token = me.contract("Rlc", hub.functions.token().call())
    app = run("app", "deploy", "apps/median", "--price", "0.01 RLC").split()[1]
    app_hash, app_order = offer("app", "--app", app)
    pool_hash, pool_order = offer("workerpool", "--category", "0")

    requester = me.deploy("Requester", hub.address, app, TRUST)
    me.send(token.functions.approve(requester.address, RLC))
    me.send(requester.functions.fund(RLC))
    receipt = me.send(requester.functions.order(app_order, pool_order, PARAMS))
    task = Web3.to_hex(requester.events.Ordered().process_receipt(receipt, errors=DISCARD)[0]["args"]["taskid"])
    print(f"# it orders the median of {NUMBERS}, as task {task}", flush=True)
    me.settled(hub, task)
    answer = int.from_bytes(requester.functions.answers(task).call(), "big", signed=True)
    print(f"# the contract has its answer: {answer}\n")
    run("task", "callback", task)

    terms = (me.account.address, PAYEE, app, me.network["workerpool"], TRUST, Web3.keccak(text=PARAMS), 12, 2**40)
    vault = me.deploy("Vault", hub.address, terms)
    print("# it pays when the median is 12 or more, and nobody has put money into it yet\n", flush=True)
    run("wallet", "deposit", "1 RLC", shown=False)
    told = ("--price", "0.1 RLC", "--app-price", "0.01 RLC", "--trust", str(TRUST), "--args", NUMBERS, "--callback", vault.address)
    run("order", "sign", "request", app, *told, "--out", REQUEST)
    deal = run("order", "fill", "--app", app_hash, "--workerpool", pool_hash, "--request", REQUEST).split()[1].rstrip(",")
    (ROOT / REQUEST).unlink()
    task = Web3.to_hex(Web3.keccak(bytes.fromhex(deal[2:]) + bytes(32)))
    me.settled(hub, task)
    run("task", "callback", task)
    run("task", "callback", task, "--retry")
    me.send(token.functions.transfer(vault.address, 5 * RLC))
    print("# now there are 5 RLC in the vault\n", flush=True)
    run("task", "callback", task, "--retry")
    print(f"# the payee has {token.functions.balanceOf(PAYEE).call() // RLC} RLC")


if __name__ == "__main__":
    main()
