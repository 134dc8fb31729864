"""The command line against a market of real parts: what it prints, what it answers to programs, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal

from tests.integration.client_rig import PASSWORD, PRICE, WASM, Rig, running_rig
from voisin.chain import Sender, calls
from voisin.cli import main
from voisin.client import connect
from voisin.protocol.events import EntryTransferred
from voisin.protocol.feed import FeedStart, OrderNews
from voisin.protocol.ids import ZERO_HASH
from voisin.protocol.records import AppInfo, DatasetInfo

APP_TOML = """
name = "sentence"
module = "app.wasm"
args = ["{word}", "{size}"]

[parameters.word]
sweep = true
default = "one,two"

[parameters.size]
default = "small"
pattern = "[a-z]+"
"""
UNKNOWN = "0x" + "12" * 32


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Rig, BlockingPortal]]:
    with running_rig(tmp_path_factory.mktemp("home")) as (rig, portal):
        portal.call(rig.offer)
        yield rig, portal


@pytest.fixture
def rig(market: tuple[Rig, BlockingPortal]) -> Rig:
    return market[0]


@pytest.fixture
def app(tmp_path: Path) -> str:
    (tmp_path / "app.toml").write_text(APP_TOML)
    (tmp_path / "app.wasm").write_bytes(WASM)
    return str(tmp_path)


class Terminal:
    """Types commands and reads what they print."""

    def __init__(self, rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
        self._options = ["--home", str(rig.home)]
        self._other = [*self._options, "--password-file", str(rig.home / "password")]
        self._capsys = capsys

    def run(self, *words: str, wallet: str = "") -> tuple[int, str, str]:
        """Answer exit code, standard output, standard error."""
        code = main([*words, *([*self._other, "--wallet", wallet] if wallet else self._options)])
        printed = self._capsys.readouterr()
        return code, printed.out, printed.err

    def shown(self, *words: str, wallet: str = "") -> str:
        code, out, err = self.run(*words, wallet=wallet)
        assert code == 0, err
        return out

    def document(self, *words: str, wallet: str = "") -> Any:
        return json.loads(self.shown(*words, "--json", wallet=wallet))

    def refused(self, *words: str, wallet: str = "", code: int = 1) -> str:
        found, out, err = self.run(*words, wallet=wallet)
        last = err.splitlines()[-1]
        assert (found, out) == (code, "")
        assert last.startswith("error: ")
        assert "Traceback" not in err
        return last


@pytest.fixture
def terminal(rig: Rig, capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(rig, capsys)


def test_a_run_shows_price_progress_and_invoice(terminal: Terminal, app: str, tmp_path: Path) -> None:
    code, out, err = terminal.run("run", app, "--set", "size=large", "--out", str(tmp_path / "out"), "--yes")
    assert code == 0
    assert "0.2 RLC in all" in err
    assert "at least 2 workers agree on each" in err
    assert "2/2" in err
    for words in ("Deal", "Tasks", "Payments", "Gas", "completed", "equal, to the nRLC", "87,000,000.000000000 RLC before"):
        assert words in out
    assert (tmp_path / "out" / "0000" / "out.txt").read_text() == "one large"
    assert (tmp_path / "out" / "0001" / "out.txt").read_text() == "two large"


def test_a_run_for_programs_is_one_document(terminal: Terminal, app: str, tmp_path: Path) -> None:
    (tmp_path / "data.txt").write_text("content")
    file = str(tmp_path / "data.txt")
    report = terminal.document("run", app, "--set", "word=w", "--input", f"d={file}", "--yes")
    (result,) = report["results"]
    assert result["stdout"] == "ran w small d=content\n"
    assert (result["error"], len(result["workers"]) >= 2) == ("", True)
    assert report["balance_before"] == report["balance_after"] == 87_000_000 * 10**9
    (invoice,) = report["invoices"]
    assert (invoice["spent"], invoice["total"]) == (PRICE, PRICE)
    assert len(invoice["tasks"][0]["task_id"]) == 66


def test_one_task_prints_what_the_app_printed(terminal: Terminal, app: str) -> None:
    assert terminal.shown("run", f"{app}/app.wasm", "hello", "--yes").startswith("ran hello\n")


def test_nothing_is_spent_unasked(terminal: Terminal, app: str, rig: Rig) -> None:
    before = terminal.document("wallet", "balance")
    said = terminal.refused("run", app, code=2)
    assert "this would spend 0.2 RLC; agree to it with --yes" in said
    assert terminal.document("wallet", "balance") == before


def test_deal_and_task_are_shown_and_the_result_fetched_again(terminal: Terminal, app: str, tmp_path: Path) -> None:
    report = terminal.document("run", app, "--set", "word=again", "--yes")
    deal, task = report["invoices"][0]["deal_id"], report["results"][0]["task_id"]
    assert terminal.document("deal", "show", deal) == report["invoices"][0]
    assert "0.1 RLC locked: 0.1 RLC spent, 0 RLC refunded" in terminal.shown("deal", "show", deal)
    shown = terminal.document("task", "show", task)
    assert (shown["status"], shown["deal_id"], shown["index"]) == ("completed", deal, 0)
    assert {line["status"] for line in shown["contributions"]} == {"proved"}
    assert "completed" in terminal.shown("task", "show", task)
    assert terminal.shown("task", "result", task).startswith("ran again small\n")
    fetched = terminal.document("task", "result", task, "--out", str(tmp_path / "again"))
    assert fetched["cid"] == report["results"][0]["cid"]
    assert (tmp_path / "again" / "out.txt").read_text() == "again small"


def test_a_failed_app_is_told_with_its_cause(terminal: Terminal, app: str) -> None:
    code, out, err = terminal.run("run", f"{app}/app.wasm", "fail", "--yes")
    assert code == 1
    assert "completed" in out
    said = err.splitlines()[-1]
    assert said == "error: the app failed in task 0: exit-code (7). Its last line of standard error was 'no such thing'."


def test_no_money_says_how_much_is_missing(terminal: Terminal, app: str) -> None:
    said = terminal.refused("run", app, "--yes", wallet="poor")
    assert said.startswith("error: 0.19 RLC is missing: the tasks cost 0.2 RLC, and account and wallet of 0x")
    assert "0.99 RLC is missing" in terminal.refused("wallet", "deposit", "1", wallet="poor")
    assert "5 RLC is missing" in terminal.refused("wallet", "withdraw", "5 RLC", wallet="poor")


def test_no_match_says_which_condition_and_by_how_much(terminal: Terminal, app: str) -> None:
    said = terminal.refused("run", app, "--yes", "--max-price", "0.05 RLC")
    assert "the workerpool costs 0.1 RLC, the request pays at most 0.05 RLC: 0.05 RLC too little" in said
    assert said.endswith("Allow a price of 0.1 RLC a task.")
    assert "the workerpool offers trust up to 8, the request wants 50" in terminal.refused("run", app, "--yes", "--trust", "50")
    assert "the workerpool offers category 0, the request wants 1" in terminal.refused("run", app, "--yes", "--category", "S")
    assert "lacks gpu" in terminal.refused("run", app, "--yes", "--tag", "gpu")
    assert "there is no category 'XXL'" in terminal.refused("run", app, "--yes", "--category", "XXL")


@pytest.mark.parametrize("line", ["deal show", "task show", "task result", "order show", "order cancel"])
def test_what_is_unknown_is_told(line: str, terminal: Terminal) -> None:
    said = terminal.refused(*line.split(), UNKNOWN)
    assert UNKNOWN in said
    assert "unknown" in said or "no order" in said or "not know" in said


def test_broken_files_are_told(terminal: Terminal, app: str, tmp_path: Path) -> None:
    (tmp_path / "text.wasm").write_text("text")
    (tmp_path / "order.json").write_text('{"kind": "app"}')
    assert "text.wasm is not a WebAssembly module" in terminal.refused("run", str(tmp_path / "text.wasm"), "--yes")
    assert "cannot be read" in terminal.refused("run", str(tmp_path / "missing.wasm"), "--yes")
    assert "is not a file" in terminal.refused("run", app, "--input", str(tmp_path / "missing"), "--yes")
    assert "order.json is malformed" in terminal.refused("order", "publish", str(tmp_path / "order.json"))
    assert "cannot be read" in terminal.refused("order", "publish", str(tmp_path / "missing.json"))
    (tmp_path / "app.toml").write_text("name = ")
    assert "not TOML" in terminal.refused("run", app, "--yes")
    assert "is not a value for size" in terminal.refused("run", write_app(tmp_path / "other"), "--set", "size=9", "--yes", code=2)


def write_app(folder: Path) -> str:
    folder.mkdir()
    (folder / "app.toml").write_text(APP_TOML)
    (folder / "app.wasm").write_bytes(WASM + b"\0\1\0")
    return str(folder)


def test_a_wrong_key_may_not_sign(terminal: Terminal, rig: Rig) -> None:
    pool = str(rig.network.workerpool)
    said = terminal.refused("order", "sign", "workerpool", pool, "--price", "1")
    assert "is not the owner of" in said
    assert rig.scheduler.address in said
    said = terminal.refused("order", "sign", "app", "0x000000000000000000000000000000000000dEaD", "--price", "1")
    assert "0x000000000000000000000000000000000000dEaD" in said


def test_an_app_is_deployed_offered_found_and_bought(terminal: Terminal, tmp_path: Path) -> None:
    folder = write_app(tmp_path / "shop")
    made = terminal.document("app", "deploy", folder, "--price", "0.02 RLC", wallet="worker-1")
    assert (made["name"], made["price"]) == ("sentence", 20_000_000)
    assert made["app"] in {entry["app"] for entry in terminal.document("app", "list", wallet="worker-1")}
    shown = terminal.document("app", "show", made["app"])
    assert shown["offers"] == [{"price": 20_000_000, "remaining": 1_000_000}]
    assert "0.02 RLC a run" in terminal.shown("app", "show", made["app"])
    report = terminal.document("run", made["app"], "bought", "--yes")
    payments = {line["role"]: line["amount"] for line in report["invoices"][0]["payments"]}
    assert payments["app owner"] == 20_000_000
    assert report["invoices"][0]["total"] == PRICE + 20_000_000
    offer = terminal.document("order", "show", made["order"])
    assert (offer["remaining"], offer["status"]) == (999_999, "open")
    assert terminal.document("order", "cancel", made["order"], wallet="worker-1")["status"] == "cancelled"
    assert "filled or cancelled already" in terminal.refused("order", "cancel", made["order"], wallet="worker-1")


def test_orders_are_signed_published_and_filled_by_hand(terminal: Terminal, rig: Rig, tmp_path: Path) -> None:
    folder = write_app(tmp_path / "byhand")
    app = terminal.document("app", "deploy", folder)["app"]
    files = {name: str(tmp_path / f"{name}.json") for name in ("app", "pool", "request", "dear")}
    terminal.shown("order", "sign", "app", app, "--price", "0", "--volume", "2", "--out", files["app"])
    terms = ["--price", "0.03", "--trust", "3", "--volume", "5"]
    terminal.shown("order", "sign", "workerpool", str(rig.network.workerpool), *terms, "--out", files["pool"], wallet="scheduler")
    published = terminal.document("order", "publish", files["pool"])
    assert (published["kind"], published["remaining"]) == ("workerpool", 5)
    assert published["hash"] in {order["hash"] for order in terminal.document("order", "list", "workerpool")}
    wanted = ["--trust", "3", "--volume", "2", "--args", "by hand"]
    terminal.shown("order", "sign", "request", app, "--price", "0.01", *wanted, "--out", files["dear"])
    terminal.shown("order", "sign", "request", app, "--price", "0.03", *wanted, "--out", files["request"])
    said = terminal.refused("order", "fill", "--app", files["app"], "--workerpool", published["hash"], "--request", files["dear"])
    assert "the workerpool costs 0.03 RLC, the request pays at most 0.01 RLC: 0.02 RLC too little" in said
    said = terminal.refused("order", "fill", "--app", files["pool"], "--workerpool", published["hash"], "--request", files["dear"])
    assert "is an order of kind workerpool, not app" in said
    free = terminal.document("wallet", "balance")["stake"]
    if free:
        terminal.shown("wallet", "withdraw", f"{free} nRLC")
    fill = ["order", "fill", "--app", files["app"], "--workerpool", published["hash"], "--request", files["request"]]
    assert "0.06 RLC is missing: the deal costs 0.06 RLC" in terminal.refused(*fill)
    assert terminal.document("wallet", "deposit", "0.06 RLC")["stake"] == 60_000_000
    deal = terminal.document(*fill)
    assert deal["volume"] == 2
    assert terminal.document("deal", "show", deal["deal_id"])["total"] == 60_000_000
    assert "is filled or cancelled" in terminal.refused(*fill)
    assert terminal.document("order", "cancel", published["hash"], "--unpublish", wallet="scheduler")["status"] == "unpublished"
    assert terminal.document("order", "show", published["hash"])["status"] == "removed"


def test_orders_of_every_kind_are_found_by_each_filter_and_cancelled_by_their_signers(
    terminal: Terminal, market: tuple[Rig, BlockingPortal], tmp_path: Path
) -> None:
    rig, portal = market
    entries = portal.call(enter_more, rig)
    seller = rig.workers[0].address
    names: dict[str, str] = {}

    def publish(name: str, kind: str, of: str, *terms: str, wallet: str = "") -> None:
        file = str(tmp_path / f"{name}.json")
        terminal.shown("order", "sign", kind, of, *terms, "--out", file, wallet=wallet)
        names[name] = terminal.document("order", "publish", file)["hash"]

    publish("app", "app", entries["app"], "--price", "0.5", wallet="worker-1")
    publish("dear app", "app", entries["app"], "--price", "0.7", wallet="worker-1")
    publish("dataset", "dataset", entries["dataset"], "--price", "0.1", wallet="worker-1")
    publish("pool", "workerpool", entries["workerpool"], "--price", "0.4", "--category", "1", wallet="worker-1")
    terminal.shown("wallet", "deposit", "1")
    publish("request", "request", entries["app"], "--price", "0.01", "--app-price", "0.001", "--category", "1", "--volume", "3")

    def listed(kind: str, *filters: str) -> list[str]:
        of_name = {name: label for label, name in names.items()}
        return [of_name.get(order["hash"], "another") for order in terminal.document("order", "list", kind, *filters)]

    assert listed("app", "--app", entries["app"]) == ["app", "dear app"]
    assert listed("app", "--app", entries["app"], "--limit", "1") == ["app"]
    assert "0.500000000" in terminal.shown("order", "list", "app", "--app", entries["app"])
    assert listed("dataset", "--owner", seller) == ["dataset"]
    assert listed("dataset", "--owner", rig.requester.address) == []
    assert listed("workerpool", "--workerpool", entries["workerpool"]) == listed("workerpool", "--owner", seller) == ["pool"]
    assert listed("workerpool", "--category", "1") == ["pool"]
    assert "pool" not in listed("workerpool", "--category", "0")
    assert listed("request", "--app", entries["app"]) == listed("request", "--category", "1") == ["request"]
    assert listed("request", "--category", "2") == []
    assert "is not one of" in terminal.refused("order", "list", "app", "--status", "lost", code=2)

    signers = {"app": "worker-1", "dataset": "worker-1", "pool": "worker-1", "request": ""}
    assert "is not" in terminal.refused("order", "cancel", names["dataset"])
    for name, wallet in signers.items():
        assert terminal.document("order", "cancel", names[name], wallet=wallet) == {"hash": names[name], "status": "cancelled"}
        assert "filled or cancelled already" in terminal.refused("order", "cancel", names[name], wallet=wallet)
        assert terminal.document("order", "show", names[name])["status"] == "cancelled"
    assert listed("dataset", "--owner", seller, "--status", "cancelled") == ["dataset"]
    assert listed("app", "--app", entries["app"]) == ["dear app"]
    terminal.shown("wallet", "withdraw", "1")


async def enter_more(rig: Rig) -> dict[str, str]:
    """Enter an app, a dataset and a workerpool of the first worker's."""
    chain, owner = rig.chain, rig.workers[0]
    app = AppInfo(owner=owner.address, name="more", type="WASM", multiaddr=b"/ipfs/x", checksum=ZERO_HASH, mrenclave=b"")
    data = DatasetInfo(owner=owner.address, name="more", multiaddr=b"/ipfs/x", checksum=ZERO_HASH)
    made = {
        "app": calls.create_app(chain.app_registry, app),
        "dataset": calls.create_dataset(chain.dataset_registry, data),
        "workerpool": calls.create_workerpool(chain.workerpool_registry, owner.address, "more"),
    }
    sender = Sender(chain, owner)
    receipts = {name: await sender.send(call) for name, call in made.items()}
    return {
        name: next(logged.event.entry for logged in receipt.events if isinstance(logged.event, EntryTransferred))
        for name, receipt in receipts.items()
    }


def test_money_moves_between_wallet_and_account(terminal: Terminal) -> None:
    before = terminal.document("wallet", "balance", wallet="worker-2")
    after = terminal.document("wallet", "withdraw", "3 RLC", wallet="worker-2")
    assert (after["stake"], after["wallet"]) == (before["stake"] - 3_000_000_000, before["wallet"] + 3_000_000_000)
    shown = terminal.shown("wallet", "deposit", "3", wallet="worker-2")
    assert "in the wallet" in shown
    assert after["address"] in shown


def test_status_says_what_runs(terminal: Terminal) -> None:
    code, out, _ = terminal.run("status")
    assert "chain" in out
    assert "worker-1" in out
    assert code in (0, 1)


def test_the_password_may_come_from_the_environment(
    terminal: Terminal, rig: Rig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VOISIN_PASSWORD_FILE", str(rig.home / "password"))
    assert main(["wallet", "withdraw", "0.001", "--wallet", "worker-3", "--home", str(rig.home), "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["wallet"] >= 1_000_000
    assert PASSWORD not in printed.out + printed.err


def test_market_can_be_watched(terminal: Terminal) -> None:
    lines = terminal.shown("market", "watch", "orders", "--after", "0", "--count", "1").splitlines()
    assert len(lines) == 2
    assert lines[0].endswith("the feed starts here")
    assert all(" order 0x" in line and " RLC" in line for line in lines[1:])
    documents = [
        json.loads(line) for line in terminal.shown("market", "watch", "orders", "--after", "0", "--count", "1", "--json").splitlines()
    ]
    assert [document["topic"] for document in documents] == ["start", "orders"]
    assert documents[1]["order"]["status"] == "open"
    assert "is not a topic" in terminal.refused("market", "watch", "weather", code=2)


def test_python_client_hears_the_same(rig: Rig) -> None:
    with connect(rig.home) as cloud:
        start, first = islice(cloud.feed("orders", after=0), 2)
    assert isinstance(start, FeedStart)
    assert isinstance(first, OrderNews)
    assert first.id == 1
