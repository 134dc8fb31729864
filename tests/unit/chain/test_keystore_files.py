"""Wallets on disk: other programs read ours and we theirs, nobody else reads the file, and broken ones are refused with a reason."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import msgspec
import pytest
from eth_account import Account

from voisin.chain.keystore import create_keystore, keystore_address, load_keystore
from voisin.chain.keystore_cipher import seal
from voisin.errors import InputError

KEY = bytes.fromhex("59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d")
ADDRESS = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
FOREIGN_PBKDF2 = Account.encrypt(KEY, "correct horse", kdf="pbkdf2", iterations=1)


SECRET = "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d"
VECTORS: dict[str, dict[str, object]] = {
    "pbkdf2": {
        "kdf": "pbkdf2",
        "cipher": "aes-128-ctr",
        "cipherparams": {"iv": "6087dab2f9fdbbfaddc31a909735c1e6"},
        "ciphertext": "5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46",
        "kdfparams": {
            "c": 262144,
            "dklen": 32,
            "prf": "hmac-sha256",
            "salt": "ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd",
        },
        "mac": "517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2",
    },
    "scrypt": {
        "kdf": "scrypt",
        "cipher": "aes-128-ctr",
        "cipherparams": {"iv": "83dbcc02d8ccb40e466191a123791e0e"},
        "ciphertext": "d172bf743a674da9cdad04534d56926ef8358534d458fffccd4e6ad2fbde479c",
        "kdfparams": {
            "dklen": 32,
            "n": 262144,
            "p": 8,
            "r": 1,
            "salt": "ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19",
        },
        "mac": "2103ac29920d71da29f15d75b4a16dbe95cfd7ff8faea1056c33131d846e3097",
    },
}
"""The test vectors of the Web3 Secret Storage Definition; the password is "testpassword"."""


@pytest.mark.parametrize("name", VECTORS)
def test_the_definitions_own_vectors(tmp_path: Path, name: str) -> None:
    (tmp_path / "w").write_text(json.dumps({"version": 3, "crypto": VECTORS[name], "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6"}))
    assert load_keystore(tmp_path / "w", "testpassword").expose_key().hex() == SECRET


@pytest.mark.parametrize(
    ("field", "value"),
    [("cipher", "aes-256-ctr"), ("mac", "00"), ("ciphertext", "xx" * 32), ("cipherparams", {"iv": "00"}), ("kdfparams", {"n": 3})],
)
def test_a_damaged_keystore_is_refused(tmp_path: Path, field: str, value: object) -> None:
    (tmp_path / "w").write_text(json.dumps({"version": 3, "crypto": VECTORS["scrypt"] | {field: value}}))
    with pytest.raises(InputError, match="is not a keystore file"):
        load_keystore(tmp_path / "w", "testpassword")


def test_what_holds_no_private_key_is_no_keystore(tmp_path: Path) -> None:
    sealed = msgspec.to_builtins(seal(bytes(32), "x", rounds=2))
    (tmp_path / "w").write_text(json.dumps({"version": 3, "crypto": sealed}))
    with pytest.raises(InputError, match="is not a keystore file"):
        load_keystore(tmp_path / "w", "x")


def test_there_and_back(tmp_path: Path) -> None:
    path = tmp_path / "wallets" / "requester.json"
    made = create_keystore(path, "correct horse", strength="light")
    assert load_keystore(path, "correct horse").address == made.address == keystore_address(path)


def test_another_program_opens_ours(tmp_path: Path) -> None:
    create_keystore(tmp_path / "w", "pässwörd", key=KEY, strength="light")
    assert bytes(Account.decrypt(json.loads((tmp_path / "w").read_text()), "pässwörd")) == KEY


@pytest.mark.parametrize("kdf", ["scrypt", "pbkdf2"])
def test_we_open_another_programs(tmp_path: Path, kdf: str) -> None:
    content = Account.encrypt(KEY, "correct horse", kdf=kdf, iterations=2)  # type: ignore[arg-type]
    (tmp_path / "w").write_text(json.dumps(content))
    assert load_keystore(tmp_path / "w", "correct horse").address == ADDRESS
    (tmp_path / "w").write_text(json.dumps({key.upper(): value for key, value in content.items()}))
    assert keystore_address(tmp_path / "w") == ADDRESS


def test_new_wallets_differ(tmp_path: Path) -> None:
    assert len({create_keystore(tmp_path / str(n), "", strength="light").address for n in range(3)}) == 3


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "wallets" / "w"
    create_keystore(path, "x", strength="light")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_wallet_is_never_overwritten(tmp_path: Path) -> None:
    create_keystore(tmp_path / "w", "x", strength="light")
    before = (tmp_path / "w").read_bytes()
    with pytest.raises(InputError, match="already"):
        create_keystore(tmp_path / "w", "x", strength="light")
    assert (tmp_path / "w").read_bytes() == before


def test_a_wrong_password_says_so(tmp_path: Path) -> None:
    create_keystore(tmp_path / "w", "right", key=KEY, strength="light")
    with pytest.raises(InputError, match=r"password of the wallet .* is wrong") as caught:
        load_keystore(tmp_path / "w", "wrong")
    assert caught.value.__cause__ is None
    assert KEY.hex() not in str(caught.value)


def test_a_wallet_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no wallet at"):
        load_keystore(tmp_path / "w", "x")


@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", "{}", '"x"', '{"version": 3}', '{"version": 1, "crypto": {"kdf": "scrypt", "kdfparams": {}}}', "\xff",
     '{"version": 3, "crypto": {"kdf": "scrypt", "kdfparams": {}}}', '{"version": 3, "crypto": {"kdf": "rot13", "kdfparams": {}}}',
     "x" * 100_000],
)  # fmt: skip
def test_a_file_that_is_no_keystore(tmp_path: Path, text: str) -> None:
    (tmp_path / "w").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match="is not a keystore file"):
        load_keystore(tmp_path / "w", "x")
    with pytest.raises(InputError):
        keystore_address(tmp_path / "w")


def test_a_keystore_that_would_eat_the_memory(tmp_path: Path) -> None:
    content = Account.encrypt(KEY, "x", kdf="scrypt", iterations=2)
    content["crypto"]["kdfparams"]["n"] = 2**30
    (tmp_path / "w").write_text(json.dumps(content))
    with pytest.raises(InputError, match="is not a keystore file"):
        load_keystore(tmp_path / "w", "x")


def test_a_keystore_without_address(tmp_path: Path) -> None:
    content = dict(FOREIGN_PBKDF2)
    del content["address"]
    (tmp_path / "w").write_text(json.dumps(content))
    with pytest.raises(InputError, match="does not say its address"):
        keystore_address(tmp_path / "w")
    assert load_keystore(tmp_path / "w", "correct horse").address == ADDRESS


@pytest.mark.parametrize("key", [b"", bytes(32), b"\xff" * 32, b"\1" * 31])
def test_a_key_that_is_none(tmp_path: Path, key: bytes) -> None:
    with pytest.raises(InputError, match="not a private key"):
        create_keystore(tmp_path / "w", "x", key=key)
    assert not (tmp_path / "w").exists()
