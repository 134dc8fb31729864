"""`voisin secret ...`, `voisin data encrypt`, `voisin vault key`, and sealed results that open by themselves."""

from __future__ import annotations

import base64
import hashlib
import io
import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.integration.client_rig import WASM, Rig, running_rig
from tests.integration.vault_rig import vault_beside
from tests.support.terminal import Terminal
from voisin import connect
from voisin.cli import main
from voisin.client.keys import ReaderKeys
from voisin.client.network import save_network
from voisin.errors import InputError
from voisin.protocol.datasets import decrypt_dataset
from voisin.protocol.ids import Address
from voisin.protocol.sealed_result import PRIVATE_MARK, new_reader_pair
from voisin.protocol.secrets import RESULT_KEY

SECRET = "swordfish under the bridge"


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
    return Terminal(market.home, capsys, (SECRET,))


def test_from_a_file_and_from_standard_input(terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text(SECRET + "\n")
    code, out, _ = terminal.run("secret", "push", "requester", "--name", "token", "--file", str(tmp_path / "token"))
    assert (code, out.startswith("kept: requester secret token of 0x")) == (0, True)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(SECRET.encode())))
    assert terminal.run("secret", "push", "requester", "--name", "piped")[0] == 0
    listed = terminal.json("secret", "list")
    assert isinstance(listed, list)
    assert {entry["name"] for entry in listed} >= {"token", "piped"}
    code, out, _ = terminal.run("secret", "list")
    assert "token" in out
    assert terminal.run("secret", "check", "requester", "--name", "token")[0] == 0
    code, _, err = terminal.run("secret", "push", "requester", "--name", "token", "--file", str(tmp_path / "token"))
    assert code == 1
    assert "there is a requester secret token" in err
    assert terminal.run("secret", "delete", "requester", "--name", "token")[0] == 0
    assert terminal.run("secret", "check", "requester", "--name", "token")[:2] == (1, "there is none\n")
    code, _, err = terminal.run("secret", "delete", "requester", "--name", "token")
    assert code == 1
    assert "there is no requester secret token" in err
    assert terminal.run("secret", "uses")[:2] == (0, "nobody has used them\n")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("push", "spell"), 2, "'spell' is not one of dataset, app, requester, named"),
        (("push", "dataset"), 2, "say which dataset it belongs to"),
        (("push", "app", "--holder", "0x12"), 2, "is not an address"),
        (("push", "requester", "--name", "no name", "--file", "FILE"), 1, "the name of a secret has 1 to 64 characters"),
        (("push", "requester", "--name", "x", "--file", "nowhere"), 1, "the secret cannot be read: No such file"),
        (("push", "requester", "--name", "x", "--file", "EMPTY"), 1, "a secret of 0 bytes is not kept"),
        (("push", "requester", "--name", "x", "--file", "LONG"), 1, "is not kept"),
        (("push", "requester", "--name", "x", "--file", "BYTES"), 1, "the secret is not text"),
        (("push", "dataset", "--holder", "0x" + "11" * 20, "--file", "FILE"), 1, "there is no dataset at"),
        (("push", "named", "--name", "absent", "--replace", "--file", "FILE"), 1, "there is no named secret absent"),
    ],
)
def test_wrong_words(terminal: Terminal, tmp_path: Path, words: tuple[str, ...], code: int, said: str) -> None:
    files = {"FILE": SECRET.encode(), "EMPTY": b"", "LONG": b"x" * 5000, "BYTES": b"\xff\xfe"}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    found, _, err = terminal.run("secret", *(str(tmp_path / word) if word in files else word for word in words))
    assert found == code
    assert said in err
    assert err.count("\n") == 1


def test_no_vault_is_known(market: Rig, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_network(tmp_path, msgspec.structs.replace(market.network, vault_url="", wallets={}, password_file=""))
    options = ["--home", str(tmp_path), "--wallet", str(market.home / "wallets" / "requester.json")]
    assert main(["secret", "list", *options, "--password-file", str(market.home / "password")]) == 1
    assert capsys.readouterr().err == "error: this network has no vault. Name one as vault_url in box.json.\n"


def test_sealed_result_opens_by_itself(terminal: Terminal, market: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voisin.client.keys.RSA_BITS", 2_048)
    monkeypatch.setattr(ReaderKeys.__init__, "__kwdefaults__", {"bits": 2_048})
    entry = terminal.json("secret", "result-key")
    assert isinstance(entry, dict)
    assert (entry["kind"], entry["name"]) == ("named", RESULT_KEY)
    reader = Address(entry["holder"])
    (key_file,) = (market.home / "secrets").iterdir()
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    keys = ReaderKeys(market.home / "secrets")
    market.script.reader_key = public_half(keys.private(reader)[0])
    (tmp_path / "app.wasm").write_bytes(WASM)
    with connect(market.home) as cloud:
        result = cloud.run(str(tmp_path / "app.wasm"), ["seal", "me"])
        assert result.files["out.txt"] == b"seal me"
        assert cloud.secrets.check("named", name=RESULT_KEY) is not None

    first = result.task_id
    terminal.json("secret", "result-key", "--format", "ecosystem")  # a new pair: what was sealed for the old one still opens
    assert len(keys.private(reader)) == 2
    market.script.reader_key = public_half(keys.private(reader)[0])
    with connect(market.home) as cloud:
        assert cloud.run(str(tmp_path / "app.wasm"), ["seal", "as others do"]).files["out.txt"] == b"seal as others do"
    found = terminal.json("task", "result", first)
    assert isinstance(found, dict)
    assert found["stdout"] == "ran seal me\n"

    (market.home / "secrets").rename(market.home / "elsewhere")
    try:
        code, _, err = terminal.run("task", "result", first)
    finally:
        (market.home / "elsewhere").rename(market.home / "secrets")
    assert code == 1
    assert f"the result is sealed for {reader}, and its key is not here" in err


def public_half(private: str) -> str:
    if private.startswith(PRIVATE_MARK):
        return new_reader_pair(lambda _size: base64.b64decode(private.removeprefix(PRIVATE_MARK))).public
    from Crypto.PublicKey import RSA

    return RSA.import_key(private).public_key().export_key().decode()


def test_run_that_needs_a_secret_which_is_not_there(terminal: Terminal, tmp_path: Path) -> None:
    (tmp_path / "app.wasm").write_bytes(WASM)
    words = ("run", str(tmp_path / "app.wasm"), "--yes", "--replicas", "1")
    code, _, err = terminal.run(*words, "--tag", "tee", "--secret", "1=absent")
    assert code == 1
    assert "the vault has no requester secret absent of 0x" in err
    code, _, err = terminal.run(*words, "--secret", "1=absent")
    assert code == 1
    assert "Ask for one with the tag" in err
    code, _, err = terminal.run(*words, "--tag", "tee", "--secret", "0=absent")
    assert code == 2
    assert "'0' is not the number of a secret" in err


def test_wallet_that_owns_nothing_of_it(market: Rig, tmp_path: Path) -> None:
    with connect(market.home, wallet=market.poor) as cloud:
        assert cloud.secrets.entries() == []
        with pytest.raises(InputError, match="there is no requester secret"):
            cloud.secrets.delete("requester", name="none")


def test_data_is_encrypted_for_renting(terminal: Terminal, tmp_path: Path) -> None:
    clear = tmp_path / "patients.csv"
    clear.write_bytes(b"name,age\n" * 1000)
    document = terminal.json("data", "encrypt", str(clear))
    assert isinstance(document, dict)
    sealed, key_file = tmp_path / "patients.csv.enc", tmp_path / "patients.csv.key"
    assert document == {
        "path": str(sealed),
        "key_file": str(key_file),
        "checksum": "0x" + hashlib.sha256(sealed.read_bytes()).hexdigest(),
    }
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    key = key_file.read_text()
    assert len(base64.b64decode(key)) == 32
    target = io.BytesIO()
    assert decrypt_dataset(io.BytesIO(sealed.read_bytes()), target, key) == document["checksum"]
    assert target.getvalue() == clear.read_bytes()
    code, _, err = terminal.run("data", "encrypt", str(clear))
    assert code == 1
    assert f"there is a file {sealed} already" in err
    assert key_file.read_text() == key
    assert terminal.run("data", "encrypt", str(tmp_path / "nothing"))[0] == 1


def test_key_of_a_vault(terminal: Terminal, tmp_path: Path) -> None:
    path = tmp_path / "keys" / "vault.key"
    document = terminal.json("vault", "key", str(path))
    assert isinstance(document, dict)
    assert document["path"] == str(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    code, _, err = terminal.run("vault", "key", str(path))
    assert code == 1
    assert "A key is never overwritten" in err
