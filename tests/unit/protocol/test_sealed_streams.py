"""Sealed files: what comes out is what went in, and nothing comes out of a file in which anything was moved."""

import base64
import hashlib
import io
import secrets
from collections.abc import Callable

import pytest

from voisin.errors import TrustError
from voisin.protocol.datasets import decrypt_dataset, seal_dataset
from voisin.protocol.ids import to_hex
from voisin.protocol.sealed_stream import MAGIC, PIECE, SALT, TAG, open_stream, seal_stream

KEY = bytes(range(32))
HEAD = len(MAGIC) + SALT
WHOLE = PIECE + TAG
CONTENT = secrets.token_bytes(3 * PIECE + 1_000)


class Trickle(io.BytesIO):
    """Gives less than it is asked for."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(min(size or 0, 65_537) if size and size > 0 else size)


def checksum_of(data: bytes) -> str:
    return to_hex(hashlib.sha256(data).digest())


def seal(content: bytes, key: bytes = KEY) -> bytes:
    target = io.BytesIO()
    checksum = seal_stream(Trickle(content), target, key, secrets.token_bytes)
    assert checksum == checksum_of(target.getvalue())
    return target.getvalue()


def unseal(sealed: bytes, key: bytes = KEY) -> bytes:
    target = io.BytesIO()
    assert open_stream(Trickle(sealed), target, key) == checksum_of(sealed)
    return target.getvalue()


@pytest.mark.parametrize("size", [0, 1, 15, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 3 * PIECE + 7])
def test_content_comes_back(size: int) -> None:
    sealed = seal(CONTENT[:size])
    assert unseal(sealed) == CONTENT[:size]
    assert len(sealed) == HEAD + size + TAG * max(1, -(-size // PIECE))


def test_two_files_under_one_key_have_nothing_in_common() -> None:
    first, second = seal(bytes(100)), seal(bytes(100))
    assert first[HEAD:] != second[HEAD:]


def test_a_dataset_is_decrypted_whatever_form_it_has() -> None:
    target, sealed, key = io.BytesIO(), io.BytesIO(), base64.b64encode(KEY).decode()
    checksum = seal_dataset(io.BytesIO(CONTENT), sealed, key, secrets.token_bytes)
    assert decrypt_dataset(Trickle(sealed.getvalue()), target, key) == checksum
    assert target.getvalue() == CONTENT


def pieces(sealed: bytes) -> list[bytes]:
    return [sealed[at : at + WHOLE] for at in range(HEAD, len(sealed), WHOLE)]


def put_together(sealed: bytes, order: list[int]) -> bytes:
    parts = pieces(sealed)
    return sealed[:HEAD] + b"".join(parts[number] for number in order)


CHANGES: dict[str, Callable[[bytes], bytes]] = {
    "nothing but the head": lambda sealed: sealed[:HEAD],
    "half a head": lambda sealed: sealed[: HEAD - 1],
    "nothing": lambda _sealed: b"",
    "cut off behind a piece": lambda sealed: put_together(sealed, [0, 1]),
    "cut off in a piece": lambda sealed: sealed[:-1],
    "the last piece left out": lambda sealed: put_together(sealed, [0, 1, 2]),
    "a piece left out": lambda sealed: put_together(sealed, [0, 2, 3]),
    "pieces exchanged": lambda sealed: put_together(sealed, [1, 0, 2, 3]),
    "a piece repeated": lambda sealed: put_together(sealed, [0, 1, 1, 3]),
    "the last piece repeated": lambda sealed: put_together(sealed, [0, 1, 2, 3, 3]),
    "something behind the end": lambda sealed: sealed + b"\0",
    "another salt": lambda sealed: MAGIC + bytes(SALT) + sealed[HEAD:],
    "a piece of another file": lambda sealed: sealed[:HEAD] + pieces(seal(CONTENT))[0] + sealed[HEAD + WHOLE :],
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_was_changed_is_refused(change: str) -> None:
    with pytest.raises(TrustError):
        unseal(CHANGES[change](seal(CONTENT)))


@pytest.mark.parametrize("place", [0, len(MAGIC), HEAD, HEAD + PIECE, HEAD + WHOLE, -1])
def test_a_bit_turned_over_is_noticed(place: int) -> None:
    sealed = bytearray(seal(CONTENT))
    sealed[place] ^= 1
    with pytest.raises(TrustError):
        unseal(bytes(sealed))


def test_another_key_opens_nothing() -> None:
    target = io.BytesIO()
    with pytest.raises(TrustError):
        open_stream(io.BytesIO(seal(CONTENT)), target, bytes(32))
    assert target.getvalue() == b""


def test_what_was_written_before_a_change_is_genuine() -> None:
    sealed = bytearray(seal(CONTENT))
    sealed[HEAD + 2 * WHOLE] ^= 1
    target = io.BytesIO()
    with pytest.raises(TrustError):
        open_stream(io.BytesIO(sealed), target, KEY)
    assert target.getvalue() == CONTENT[: 2 * PIECE]
