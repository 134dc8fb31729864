"""Names of blocks in every spelling: what others have published, and what only looks like one."""

from __future__ import annotations

import pytest

from voisin.errors import InputError
from voisin.protocol.ipld import Codec, Name, name_from_bytes, name_of, parse_name

V0 = "QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o"
# The same block in the other spellings, as `ipfs cid format` of the multiformats documents has them.
SPELLINGS = (
    V0,
    "bafybeicg2rebjoofv4kbyovkw7af3rpiitvnl6i7ckcywaq6xjcxnc2mby",
    "BAFYBEICG2REBJOOFV4KBYOVKW7AF3RPIITVNL6I7CKCYWAQ6XJCXNC2MBY",
    "f0170122046d44814b9c5af141c3aaab7c05dc5e844ead5f91f12858b021eba45768b4c0e",
)


def test_every_spelling_names_the_same() -> None:
    names = [parse_name(spelling) for spelling in SPELLINGS]
    assert {(name.digest, name.codec) for name in names} == {(names[0].digest, Codec.DAG_PB)}
    assert [name.version for name in names] == [0, 1, 1, 1]
    assert (str(names[0]), str(names[1])) == SPELLINGS[:2]


@pytest.mark.parametrize("codec", list(Codec))
def test_base36_and_base58_of_version_one(codec: Codec) -> None:
    name = name_of(b"hello world\n", codec)
    number, spelled = int.from_bytes(name.raw), {36: "", 58: ""}
    for base, alphabet in (
        (36, "0123456789abcdefghijklmnopqrstuvwxyz"),
        (58, "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"),
    ):
        left = number
        while left:
            left, digit = divmod(left, base)
            spelled[base] = alphabet[digit] + spelled[base]
    assert parse_name("k" + spelled[36]) == name
    assert parse_name("z" + spelled[58]) == name


def test_bytes_come_back() -> None:
    for name in (name_of(b"x", Codec.RAW), name_of(b"x", Codec.DAG_PB), name_of(b"x", Codec.DAG_PB, 0)):
        assert name_from_bytes(name.raw) == name
        assert parse_name(str(name)) == name


@pytest.mark.parametrize(
    "text",
    [
        "", "b", "Qm", "Q" * 46, "Qm" + "0" * 44, V0[:-1], V0 + "1", "../../etc/passwd", "bafkrei", "\0" * 46, "é" * 59, "b" * 200,
        "bAFKREIHDWDCEFGH4DQKJV67UZCMW7OJEE6XEDZDETOJUZJEVTENXQUVYKU", "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvykv",
        "F0155", "f01", "f0155122", "f01711220" + "00" * 32, "f01551114" + "00" * 20, "f01550000", "f02551220" + "00" * 32,
        "f1220" + "00" * 32, "z", "k", "m" + "A" * 40, "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku======",
    ],
)  # fmt: skip
def test_what_only_looks_like_a_name_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse_name(text)


def test_kept_under_one_identifier_whatever_the_codec() -> None:
    digest = bytes(range(32))
    assert len({Name(digest, Codec.RAW).cid, Name(digest, Codec.DAG_PB).cid, Name(digest, Codec.DAG_PB, 0).cid}) == 1
