"""What is refused before any market is reached: one line with a remedy, exit code 1, and never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from voisin.chain.keystore import create_keystore
from voisin.cli import main
from voisin.client.network import Network, save_network

NETWORK = Network(
    chain_id=31337,
    rpc_url="http://127.0.0.1:9",
    hub="0xeB196D71Bf359bfDB7Ee54429236A09DBF3966B3",
    market_url="http://127.0.0.1:9",
    storage_url="http://127.0.0.1:9",
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("VOISIN_PASSWORD_FILE", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


def refused(line: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(line) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert printed.err.startswith("error: ")
    return printed.err


@pytest.mark.parametrize("line", ["status", "wallet balance", "deal show 0x" + "12" * 32, "order list app", "app list"])
def test_no_market_says_how_to_start_one(line: str, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused([*line.split(), "--home", str(home)], capsys)
    assert said == f"error: no market is known in {home}. Start one with `voisin up`, or name another folder with --home or VOISIN_HOME.\n"


def test_the_home_may_stand_before_the_command(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert str(home) in refused(["--home", str(home), "status"], capsys)


def test_a_broken_network_file_is_named(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home.mkdir()
    (home / "box.json").write_text("{")
    assert "box.json is malformed" in refused(["wallet", "balance", "--home", str(home)], capsys)


def test_no_wallet_says_how_to_make_one(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_network(home, NETWORK)
    said = refused(["wallet", "deposit", "1", "--home", str(home)], capsys)
    assert "there is no wallet in" in said
    assert "Make one with `voisin wallet create NAME`" in said


def test_a_password_that_nobody_can_give(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_network(home, NETWORK)
    create_keystore(home / "wallets" / "me.json", "right", strength="light")
    said = refused(["wallet", "deposit", "1", "--home", str(home)], capsys)
    assert "the wallet me.json needs its password, and nobody can be asked" in said
    assert "--password-file" in said


def test_a_wrong_password_and_a_broken_wallet(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_network(home, NETWORK)
    create_keystore(home / "wallets" / "me.json", "right", strength="light")
    (home / "wallets" / "broken.json").write_text("{}")
    (home / "wrong").write_text("wrong\n")
    (home / "empty").write_text("")
    base = ["wallet", "deposit", "1", "--home", str(home), "--password-file"]
    assert "password of the wallet" in refused([*base, str(home / "wrong"), "--wallet", "me"], capsys)
    assert "is not a keystore" in refused([*base, str(home / "wrong"), "--wallet", "broken"], capsys)
    assert "the password file" in refused([*base, str(home / "empty"), "--wallet", "me"], capsys)
    assert "cannot be read" in refused([*base, str(home / "missing"), "--wallet", "me"], capsys)
    assert "there is no wallet 'nobody'" in refused([*base, str(home / "wrong"), "--wallet", "nobody"], capsys)


def test_an_unknown_setting_is_never_swallowed(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("voisin.toml").write_text('wallets = "me"\n')
    said = refused(["wallet", "show", "--home", str(home)], capsys)
    assert "there is no setting 'wallets'" in said
    Path("voisin.toml").write_text("= broken")
    assert "voisin.toml is malformed" in refused(["wallet", "show", "--home", str(home)], capsys)


def test_settings_come_from_the_file_then_variables_then_options(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("file", "variable", "option"):
        create_keystore(home / "wallets" / f"{name}.json", "x", strength="light")
    Path("voisin.toml").write_text(f'home = "{home}"\nwallet = "file"\n')

    def payer(*words: str) -> str:
        assert main(["wallet", "show", *words]) == 0
        return next(line.split()[0] for line in capsys.readouterr().out.splitlines() if line.rstrip().endswith("pays"))

    assert payer() == "file"
    monkeypatch.setenv("VOISIN_WALLET", "variable")
    assert payer() == "variable"
    assert payer("--wallet", "option") == "option"


def test_a_file_that_cannot_be_made_is_told_without_a_traceback(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home.write_text("a file where a folder belongs")
    (home.parent / "password").write_text("x")
    line = ["wallet", "create", "me", "--home", str(home), "--password-file", str(home.parent / "password")]
    assert "error: " in refused(line, capsys)


def test_a_market_that_is_down_is_told(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_network(home, NETWORK)
    assert "does not answer" in refused(["order", "list", "app", "--home", str(home)], capsys)
