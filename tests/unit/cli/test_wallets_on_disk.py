"""Making wallets: private files, keys taken in from files, nothing overwritten, and no key or password in any output."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from eth_account import Account

from voisin.cli import main

KEY = "0x" + "11" * 32


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "password").write_text("open sesame\n")
    (tmp_path / "key").write_text(KEY + "\n")
    return tmp_path


def create(home: Path, *words: str) -> int:
    options = ["--home", str(home), "--password-file", str(home / "password"), "--strength", "light", "--json"]
    return main(["wallet", "create", "me", *options, *words])


def test_a_key_from_a_file_gives_its_address_and_a_private_keystore(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert create(home, "--key-file", str(home / "key")) == 0
    printed = capsys.readouterr()
    made = json.loads(printed.out)
    assert made["address"] == Account.from_key(KEY).address
    path = Path(made["path"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Account.decrypt(path.read_text(), "open sesame").hex().removeprefix("0x") == "11" * 32
    assert "11" * 32 not in printed.out + printed.err
    assert "sesame" not in printed.out + printed.err


def test_a_wallet_is_never_overwritten(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert create(home) == 0
    before = (home / "wallets" / "me.json").read_bytes()
    assert create(home) == 1
    assert "there is a wallet 'me' already" in capsys.readouterr().err
    assert (home / "wallets" / "me.json").read_bytes() == before


@pytest.mark.parametrize("content", ["", "xyz", "0x12", "0x" + "00" * 32, "0x" + "ff" * 32])
def test_what_is_not_a_key_is_refused(home: Path, content: str, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "key").write_text(content)
    assert create(home, "--key-file", str(home / "key")) == 1
    assert "private key" in capsys.readouterr().err
    assert not (home / "wallets" / "me.json").exists()


def test_the_only_wallet_pays(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert create(home) == 0
    capsys.readouterr()
    assert main(["wallet", "show", "--home", str(home), "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["name"], found["pays"]) == ("me", True)
