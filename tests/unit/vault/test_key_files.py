"""Key files: kept away from the records, from others' eyes, and never overwritten; keys that follow one another."""

from __future__ import annotations

import base64
import os
import secrets
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from voisin.errors import InputError, TrustError
from voisin.vault.keyring import Box, Keyring
from voisin.vault.keys import create_key_file, open_keyring
from voisin.vault.settings import VaultSettings

KEYS = [bytes([number]) * 32 for number in range(1, 4)]
PLACE = ("secret", 1, "0xB0", "dataset")


def settings(key_file: Path | None = None, *, database: Path | None = None, key: str = "") -> VaultSettings:
    url = f"sqlite:///{database}" if database is not None else "postgresql://nobody@/vault"
    return VaultSettings(database_url=url, key_file=key_file, key=key)  # type: ignore[arg-type]  # pydantic hides it


def lines(*keys: bytes) -> str:
    return "".join(base64.b64encode(key).decode() + "\n" for key in keys)


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def test_new_file_is_for_its_owner_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "vault.key"
    key_id = create_key_file(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert open_keyring(settings(path)).ids == (key_id,)
    before = path.read_bytes()
    with pytest.raises(InputError, match="never overwritten"):
        create_key_file(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o666, 0o601])
def test_others_may_read_or_change_it(tmp_path: Path, mode: int) -> None:
    with pytest.raises(InputError, match="others may read or change"):
        open_keyring(settings(write(tmp_path / "vault.key", lines(KEYS[0]), mode)))


def test_beside_the_records_or_below_them(tmp_path: Path) -> None:
    (tmp_path / "data" / "deep").mkdir(parents=True)
    database = tmp_path / "data" / "vault.sqlite"
    for place in (tmp_path / "data" / "vault.key", tmp_path / "data" / "deep" / "vault.key"):
        write(place, lines(KEYS[0]))
        with pytest.raises(InputError, match="lies in the folder of the records"):
            open_keyring(settings(place, database=database))
    elsewhere = write(tmp_path / "vault.key", lines(KEYS[0]))
    assert len(open_keyring(settings(elsewhere, database=database)).ids) == 1
    link = tmp_path / "link.key"
    link.symlink_to(tmp_path / "data" / "vault.key")
    with pytest.raises(InputError, match="lies in the folder of the records"):
        open_keyring(settings(link, database=database))
    inside = tmp_path / "data" / "to-elsewhere.key"
    inside.symlink_to(elsewhere)
    with pytest.raises(InputError, match="lies in the folder of the records"):
        open_keyring(settings(inside, database=database))


@pytest.mark.parametrize("text", ["", "# only words\n", "no base64!\n", lines(b"\1" * 31), lines(b"\1" * 33), "\x00\xff"])
def test_no_key_in_it(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match=r"there is no key in|is none"):
        open_keyring(settings(write(tmp_path / "vault.key", text)))


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no key file"):
        open_keyring(settings(tmp_path / "nothing.key"))
    with pytest.raises(InputError, match=r"cannot be read|is no key file"):
        open_keyring(settings(tmp_path))
    with pytest.raises(InputError, match="is no key file"):
        open_keyring(settings(write(tmp_path / "long", "#" * (2**16 + 1))))


def test_from_a_file_or_the_environment_not_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "vault.key", lines(*KEYS[:2]))
    with pytest.raises(InputError, match="from a file or directly"):
        open_keyring(settings())
    with pytest.raises(InputError, match="from a file or directly"):
        open_keyring(settings(path, key=lines(KEYS[0]).strip()))
    monkeypatch.setenv("VOISIN_VAULT_KEY", ",".join(lines(*KEYS[:2]).split()))
    given = VaultSettings(database_url="postgresql://nobody@/vault")
    assert open_keyring(given).ids == open_keyring_of(path).ids
    assert not any(key in f"{given!r} {given}" for key in lines(*KEYS[:2]).split())


def open_keyring_of(path: Path) -> Keyring:
    """Open a file without the environment's key."""
    os.environ.pop("VOISIN_VAULT_KEY", None)
    return open_keyring(settings(path))


def test_one_key_twice_or_of_another_length() -> None:
    with pytest.raises(InputError, match="there twice"):
        Keyring([KEYS[0], KEYS[0]], secrets.token_bytes)
    for keys in ([], [b"short"]):
        with pytest.raises(InputError, match="keys of 32 bytes"):
            Keyring(keys, secrets.token_bytes)


@given(st.binary(max_size=300), st.data())
def test_boxes_open_in_their_place_only(clear: bytes, data: st.DataObject) -> None:
    ring = Keyring(KEYS[:2], secrets.token_bytes)
    box = ring.seal(clear, PLACE)
    assert box.key_id == ring.current
    assert ring.open(box, PLACE) == clear
    assert Keyring(KEYS[1::-1], secrets.token_bytes).open(box, PLACE) == clear  # an older key still opens
    changed = bytearray(box.data)
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= data.draw(st.integers(1, 255))
    cut = box.data[: data.draw(st.integers(0, len(box.data) - 1))]
    for broken in (Box(box.key_id, bytes(changed)), Box(box.key_id, cut), Box(ring.ids[1], box.data)):
        with pytest.raises(TrustError, match="was changed or moved"):
            ring.open(broken, PLACE)
    for place in (("challenge", *PLACE[1:]), (*PLACE[:-1], "app"), PLACE[:-1], (*PLACE, ""), ("secret", 10, "xB0", "dataset")):
        with pytest.raises(TrustError, match="was changed or moved"):
            ring.open(box, place)
    with pytest.raises(TrustError, match="which the vault does not have"):
        Keyring([KEYS[2]], secrets.token_bytes).open(box, PLACE)


def test_key_ids_by_another_library() -> None:
    derived = HKDF(SHA256(), 8, b"", b"voisin vault id").derive(KEYS[0])
    assert Keyring([KEYS[0]], secrets.token_bytes).current == derived.hex()


def test_nothing_shows_in_text() -> None:
    ring = Keyring(KEYS, secrets.token_bytes)
    assert not any(key.hex() in repr(ring) or base64.b64encode(key).decode() in repr(ring) for key in KEYS)
