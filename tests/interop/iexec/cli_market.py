"""The story of a seller and buyer on the command line: things are made, offered, bought, claimed, and given away."""

from __future__ import annotations

import hashlib
from base64 import b64decode

import anyio
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from tests.interop.iexec.cli import Cli, Eyes
from tests.interop.iexec.world import Wallet
from voisin.chain import Sender, calls, open_chain
from voisin.protocol.ids import Address, DealId, TaskId, task_id
from voisin.protocol.signatures import KeySigner

KINDS = ("app", "dataset", "workerpool")
DATA = b"what the dataset holds\n" * 100


def market(cli: Cli, eyes: Eyes, other: Wallet) -> None:
    """From an empty folder to a claimed deal."""
    entries = _make(cli, eyes)
    _lock_up(cli, entries, other)
    cli.run("account deposit", "100", "RLC")
    _offer(cli, eyes, entries)
    _trade(cli, eyes, entries)
    _give_away(cli, eyes, entries, other)


def _make(cli: Cli, eyes: Eyes) -> dict[str, str]:
    """Init, deploy, show, count; and the dataset encrypted first."""
    cli.run("dataset init", "--encrypted")
    (cli.folder / "datasets" / "original" / "data").write_bytes(DATA)
    (encrypted,) = cli.run("dataset encrypt")["encryptedFiles"]
    sealed = (cli.folder / "datasets" / "encrypted" / "data.enc").read_bytes()
    assert encrypted["checksum"] == "0x" + hashlib.sha256(sealed).hexdigest()
    key = b64decode((cli.folder / ".secrets" / "datasets" / "data.key").read_text())
    opened = Cipher(algorithms.AES(key), modes.CBC(sealed[:16])).decryptor()
    plain = opened.update(sealed[16:]) + opened.finalize()
    assert plain[: -plain[-1]] == DATA
    cli.run("app init")
    cli.run("workerpool init")
    name = cli.folder.name + cli.wallet.address
    cli.edit(app={"name": name}, dataset={"name": name, "checksum": encrypted["checksum"]}, workerpool={"description": name})

    entries = {}
    for kind in KINDS:
        entry = entries[kind] = cli.run(f"{kind} deploy")["address"]
        assert eyes.owner(entry) == cli.wallet.address
        assert cli.read("deployed.json")[kind] == {str(cli.world.config["chain_id"]): entry}
        assert cli.run(f"{kind} count")["count"] == "1"
        shown = cli.run(f"{kind} show", "0")
        assert (shown["address"], shown[kind]["owner"]) == (entry, cli.wallet.address)
        assert name in shown[kind].values()
    return entries


def _lock_up(cli: Cli, entries: dict[str, str], other: Wallet) -> None:
    """Secrets of an app, a dataset and a requester."""
    assert cli.run("app check-secret") == {"isSecretSet": False}
    cli.run("app push-secret", "--secret-value", "of the app")
    assert cli.run("app check-secret", entries["app"]) == {"isSecretSet": True}
    assert "already exists" in cli.refusal("app push-secret", "--secret-value", "another")
    assert cli.run("dataset check-secret") == {"isSecretSet": False}
    cli.run("dataset push-secret")
    assert cli.run("dataset check-secret", entries["dataset"]) == {"isSecretSet": True}
    assert cli.run("requester check-secret", "pin") == {"isSet": False, "name": "pin"}
    cli.run("requester push-secret", "pin", "--secret-value", "0815")
    assert cli.run("requester check-secret", "pin") == {"isSet": True, "name": "pin"}
    assert cli.run("requester check-secret", "pin", other.address) == {"isSet": False, "name": "pin"}


def _offer(cli: Cli, eyes: Eyes, entries: dict[str, str]) -> None:
    """Publish, see it in the book, unpublish."""
    for kind in KINDS:
        terms = ["--price", "5", "--volume", "7", "--force", *(["--category", "0", "--trust", "0"] if kind == "workerpool" else [])]
        order_hash = cli.run(f"{kind} publish", *terms)["orderHash"]
        record = eyes.market(f"/{kind}orders/{order_hash}")
        assert (record["remaining"], record["order"][f"{kind}price"], record["signer"]) == (7, 5, cli.wallet.address)
        book = cli.run(f"orderbook {kind}", entries[kind], *(["--category", "0"] if kind == "workerpool" else []))
        assert [order["orderHash"] for order in book[f"{kind}Orders"]] == [order_hash]
        second = cli.run(f"{kind} publish", *terms)["orderHash"]
        assert cli.run(f"{kind} unpublish", "--force") == {"unpublished": second}
        assert eyes.market(f"/{kind}orders/{second}")["error"] == f"{kind}order not found"
        assert cli.run(f"{kind} unpublish", "--all", "--force") == {"unpublished": [order_hash]}
        assert eyes.market(f"/{kind}orders/{order_hash}")["error"] == f"{kind}order not found"


def _trade(cli: Cli, eyes: Eyes, entries: dict[str, str]) -> None:
    """Orders in files: made, signed, published, shown, cancelled, filled; the deal is claimed when its time is over."""
    blink = str(cli.world.blink())
    cli.run("order init")
    project = cli.read("iexec.json")["order"]
    project["apporder"] |= {"appprice": 10, "volume": 4}
    project["datasetorder"] |= {"datasetprice": 20, "volume": 4}
    project["workerpoolorder"] |= {"workerpoolprice": 1_000, "volume": 4, "category": blink}
    project["requestorder"] |= {
        "app": entries["app"], "appmaxprice": 10, "dataset": entries["dataset"], "datasetmaxprice": 20, "workerpoolmaxprice": 1_000,
        "volume": 2, "category": blink, "params": {"iexec_args": "a b"},
    }  # fmt: skip
    cli.edit(order=project)
    signed = cli.run("order sign")
    assert cli.read("orders.json")[str(cli.world.config["chain_id"])] == signed
    hashes = {}
    for kind in (*KINDS, "request"):
        (published,) = cli.run("order publish", f"--{kind}", "--force").values()
        hashes[kind] = published["orderHash"]
        assert eyes.market(f"/{kind}orders/{hashes[kind]}")["order"]["sign"] == signed[f"{kind}order"]["sign"]
    shown = cli.run("order show", *(word for kind, name in hashes.items() for word in (f"--{kind}", name)))
    assert {kind: shown[f"{kind}order"]["orderHash"] for kind in hashes} == hashes
    book = cli.run("orderbook requester", cli.wallet.address, "--category", blink)
    assert hashes["request"] in str(book)
    assert cli.run("order unpublish", "--request", hashes["request"], "--force")
    assert eyes.market(f"/requestorders/{hashes['request']}")["error"] == "requestorder not found"

    deal = _buy(cli, eyes)
    _claim(cli, eyes, deal)
    cli.run("order cancel", "--app", "--force")
    assert eyes.chain("hub.consumed", hashes["app"]) == 4


def _buy(cli: Cli, eyes: Eyes) -> DealId:
    """Fill the orders; the deal is on the chain and shown."""
    filled = cli.run("order fill", "--force")
    deal = DealId(filled["dealid"])
    assert filled["volume"] == "2"
    assert eyes.chain("hub.deal", deal).bot_size == 2
    shown = cli.run("deal show", deal)
    assert shown["deal"]["requester"] == cli.wallet.address
    return deal


def _claim(cli: Cli, eyes: Eyes, deal: DealId) -> None:
    """One task is opened and claimed alone, the other with its deal."""
    first, second = (task_id(deal, index) for index in (0, 1))

    async def open_first() -> None:
        async with open_chain(cli.world.config["rpc_url"], cli.world.config["hub"]) as chain:
            sender = Sender(chain, KeySigner(bytes.fromhex(cli.wallet.key[2:])))
            await sender.send(calls.initialize(chain.hub_address, deal, 0))

    anyio.run(open_first)
    before = eyes.stake(cli.wallet.address)
    assert cli.run("task show", first)["task"]["statusName"] in ("ACTIVE", "TIMEOUT")
    watched = cli.run("task show", first, "--watch")
    assert (watched["task"]["statusName"], watched["claimable"]) == ("TIMEOUT", True)
    cli.run("task claim", first)
    assert _status(eyes, first) == 4
    cli.run("deal claim", deal)
    assert _status(eyes, second) == 4
    assert eyes.stake(cli.wallet.address) > before, "the money is back"


def _status(eyes: Eyes, task: TaskId) -> int:
    return int(eyes.chain("hub.task", task).status)


def _give_away(cli: Cli, eyes: Eyes, entries: dict[str, str], other: Wallet) -> None:
    for kind in KINDS:
        given = cli.run(f"{kind} transfer", entries[kind], "--to", other.address, "--force")
        assert given["to"] == eyes.owner(Address(entries[kind])) == other.address


STORIES = {"market": market}
