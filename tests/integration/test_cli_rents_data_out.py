"""`voisin data ...` as an owner types it: protected once whatever breaks off, shown without its content, granted, revoked, given away."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest
from eth_utils import keccak

from tests.integration.client_rig import WASM, Rig, running_rig
from tests.integration.vault_rig import vault_beside
from tests.support.terminal import Terminal
from voisin.client.network import save_network
from voisin.protocol.data_terms import DataTerms, encode_terms
from voisin.protocol.ids import ZERO_ADDRESS, as_address

TABLE = "name,age,city\nSwordfish Ann,41,Lyon\nSwordfish Bob,37,\n"
MARK = "Swordfish"
STRANGER, OTHER = "0x" + "12" * 20, "0x" + "34" * 20


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with running_rig(tmp_path_factory.mktemp("home")) as (rig, portal):
        portal.call(rig.offer)
        with vault_beside(rig, portal, tmp_path_factory.mktemp("vault")) as url:
            rig.network = msgspec.structs.replace(rig.network, vault_url=url)
            save_network(rig.home, rig.network)
            yield rig


@pytest.fixture
def terminal(market: Rig, capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(market.home, capsys, (MARK,))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A table that is another one in each test."""
    path = tmp_path / "people.csv"
    path.write_text(TABLE + f"{tmp_path.name},1,\n")
    return path


def listed(found: dict[str, object], name: str) -> list[dict[str, object]]:
    value = found[name]
    assert isinstance(value, list)
    return value


def test_protected_shown_granted_revoked_and_given_away(terminal: Terminal, table: Path, market: Rig) -> None:
    words = ("data", "protect", str(table), "--price", "0.1 RLC", "--uses", "5", "--for", f"{STRANGER},{OTHER}", "--max-output", "1MB")
    mine = terminal.record(*words, "--purpose", "research", "--no-network")
    dataset = str(mine["dataset"])
    schema = mine["schema"]
    assert isinstance(schema, dict)
    assert [(column["name"], column["type"]) for column in schema["columns"]] == [("name", "text"), ("age", "int64"), ("city", "text")]
    (offer,) = listed(mine, "granted")
    terms = msgspec.convert(offer["terms"], DataTerms)
    assert (offer["price"], offer["volume"], offer["requester"]) == (100_000_000, 5, terms.gate)
    assert (terms.uses, terms.max_output_bytes, terms.purposes) == (5, 1_000_000, ("research",))
    order = terminal.record("order", "show", str(offer["order"]))["order"]
    assert isinstance(order, dict)
    assert order["salt"] == "0x" + keccak(encode_terms(terms)).hex()

    code, out, err = terminal.run("data", "protect", str(table), *words[3:], "--purpose", "research")
    assert (code, err.count("(done before)")) == (0, 4), "the key, the file, the entry and the offer"
    assert dataset in out

    assert terminal.record("data", "show", dataset)["schema"] == schema
    code, out, _ = terminal.run("data", "show", dataset)
    assert [word in out for word in ("age", "int64", "0.1 RLC", "'research'", "1000000 bytes")] == [True] * 5
    assert str(market.home) not in out

    more = terminal.record("data", "grant", dataset, "--uses", "2", "--for", OTHER, "--enclave", "simulated")
    assert (more["price"], more["requester"], more["volume"]) == (0, as_address(OTHER), 2)
    assert len(terminal.records("data", "granted", dataset)) == 2
    assert terminal.record("data", "revoke", dataset, "--order", str(more["order"])) == {"orders": [more["order"]]}
    assert [each["order"] for each in terminal.records("data", "granted", dataset)] == [offer["order"]]
    every = terminal.records("data", "granted", dataset, "--all")
    assert {each["order"]: bool(each["revoked_at"]) for each in every} == {offer["order"]: False, more["order"]: True}

    assert terminal.record("data", "admit", dataset, STRANGER, "--until", "30d")["gates"] == [terms.gate]
    assert terminal.record("data", "revoke", dataset, "--from", OTHER) == {"orders": [offer["order"]]}
    assert terminal.record("data", "revoke", dataset, "--all") == {"orders": [offer["order"]]}
    assert terminal.run("data", "revoke", dataset, "--all")[:2] == (0, "nothing to revoke\n")
    assert terminal.records("data", "uses", dataset) == []
    assert terminal.run("data", "uses", "--csv")[1].startswith("time,id,at,dataset,order_hash")

    assert dataset in [each["dataset"] for each in terminal.records("data", "list")]
    assert terminal.record("data", "transfer", dataset, OTHER)["owner"] == as_address(OTHER)
    code, _, err = terminal.run("data", "grant", dataset, "--uses", "1")
    assert (code, "is owned by" in err) == (1, True)


def test_what_broke_off_goes_on(market: Rig, terminal: Terminal, table: Path) -> None:
    words = ("data", "protect", str(table), "--uses", "3", "--until", "30d")
    places = {"storage_url": "http://127.0.0.1:9", "vault_url": "http://127.0.0.1:9", "market_url": "http://127.0.0.1:9"}
    told: list[list[str]] = []
    for missing in ("vault_url", "market_url", ""):
        changed = {missing: places[missing]} if missing else {}
        save_network(market.home, msgspec.structs.replace(market.network, **changed))
        code, _, err = terminal.run(*words)
        assert code == (1 if missing else 0)
        told.append([line for line in err.splitlines() if ": " in line and not line.startswith("error")])
    first, second, third = ({line.split(":")[0]: "(done before)" not in line for line in lines} for lines in told)
    assert first == {"looked at": True, "key made": True, "encrypted": True, "stored": True, "registered": True, "gate deployed": True}
    assert second == {"key made": False, "stored": False, "registered": False, "key entrusted to the vault": True}
    assert third == {"key made": False, "stored": False, "registered": False, "key entrusted to the vault": True, "offered": True}
    assert not list((market.home / "data").glob("*.sealed"))


def test_a_changed_file_is_other_data(terminal: Terminal, table: Path) -> None:
    one = terminal.record("data", "protect", str(table))
    assert listed(one, "granted") == []
    table.write_text(TABLE * 2)
    assert terminal.record("data", "protect", str(table))["dataset"] != one["dataset"]


def test_folders_and_files_without_schema(terminal: Terminal, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights.bin").write_bytes(b"x" * 1_000)
    found = terminal.record("data", "protect", str(tmp_path / "model"), "--uses", "1")["schema"]
    assert isinstance(found, dict)
    assert (found["form"], found["files"]) == ("folder", [{"path": "weights.bin", "size_bytes": 1_000}])
    hidden = terminal.record("data", "protect", str(tmp_path / "model"), "--uses", "1", "--no-schema", "--name", "a model")
    assert (hidden["schema"], hidden["name"]) == (None, "a model")


def test_without_enclaves_nothing_is_bought(market: Rig, terminal: Terminal, table: Path, tmp_path: Path) -> None:
    app = tmp_path / "app.wasm"
    app.write_bytes(WASM)
    mine = terminal.record("data", "protect", str(table), "--price", "0.2 RLC", "--enclave", "simulated")
    code, _, err = terminal.run("data", "process", str(mine["dataset"]), str(app))
    assert (code, "no workerpool offers an enclave" in err) == (1, True), "the scripted pool has none"


def test_an_allowed_app_and_who_is_refused(terminal: Terminal, table: Path, tmp_path: Path) -> None:
    app, other = tmp_path / "app.wasm", tmp_path / "other.wasm"
    app.write_bytes(WASM + b"\0\4\3one")
    other.write_bytes(WASM + b"\0\4\3two")
    mine = terminal.record(
        "data", "protect", str(table), "--uses", "2", "--apps", str(app), "--purpose", "research", "--enclave", "simulated"
    )
    (offer,) = listed(mine, "granted")
    assert offer["app"] == ZERO_ADDRESS, "any entry with this code"
    for path, purpose, why in ((other, "research", "the app's code"), (app, "fun", "signed the purpose 'fun'")):
        code, _, err = terminal.run("data", "process", str(mine["dataset"]), str(path), "--purpose", purpose)
        assert code == 1
        assert why in err
        assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("protect", "nowhere"), 1, "cannot be read"),
        (("protect", "TABLE", "--until", "soon"), 1, "is not a time"),
        (("protect", "TABLE", "--format", "zip"), 1, "is not a form"),
        (("protect", "TABLE", "--price", "much"), 2, "is not an amount"),
        (("protect", "TABLE", "--apps", "nowhere.wasm"), 1, "cannot be read"),
        (("show", STRANGER), 1, "no dataset"),
        (("revoke", STRANGER), 2, "say what"),
        (("process", "0x12", "app.wasm"), 2, "is not an address"),
        (("subscribe", STRANGER), 1, "sells a subscription"),
    ],
)
def test_wrong_words(terminal: Terminal, table: Path, words: tuple[str, ...], code: int, said: str) -> None:
    found, _, err = terminal.run("data", *(str(table) if word == "TABLE" else word for word in words))
    assert (found, said in err) == (code, True), err


def test_alerts_are_told_once_and_reach_a_webhook_that_was_away(terminal: Terminal, table: Path, tmp_path: Path) -> None:
    mine = terminal.record("data", "protect", str(table), "--uses", "3", "--until", "1h", "--enclave", "simulated")
    dataset, rules = str(mine["dataset"]), tmp_path / "alerts.toml"
    got: list[dict[str, object]] = []
    with webhook(got) as port:
        rules.write_text(f'tell = ["ending", "revoked"]\nwebhook = "http://127.0.0.1:{port}/token-of-mine"\n')
    words = ("data", "alerts", dataset, "--rules", str(rules), "--once")
    code, out, err = terminal.run(*words)
    assert (code, f"ending: {dataset}" in out, "the webhook at 127.0.0.1 does not answer" in err) == (1, True, True), (out, err)
    assert "token-of-mine" not in out + err
    terminal.run("data", "revoke", dataset, "--all")
    with webhook(got, port):
        code, out, _ = terminal.run(*words, "--json")
        assert (code, [json.loads(line)["kind"] for line in out.splitlines()]) == (0, ["revoked"])
        assert terminal.run(*words)[:2] == (0, "")
    assert [each["kind"] for each in got] == ["ending", "revoked"]
    code, _, err = terminal.run("data", "alerts", "--rules", str(table))
    assert (code, "cannot be read" in err) == (1, True)


@contextmanager
def webhook(got: list[dict[str, object]], port: int = 0) -> Iterator[int]:
    """Take alerts at a port of this machine; gives the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()
