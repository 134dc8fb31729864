"""Content identifiers: known vectors, and everything that looks like one and is not."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from voisin.errors import InputError
from voisin.protocol.cid import Cid, cid_from_digest, cid_of, digest_of, parse_cid

# Published by others: the empty block and "hello world" as single raw blocks in IPFS.
VECTORS = {
    b"": "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku",
    b"hello world": "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e",
}


@pytest.mark.parametrize(("data", "cid"), VECTORS.items())
def test_matches_published_identifiers(data: bytes, cid: str) -> None:
    assert cid_of(data) == cid
    assert digest_of(parse_cid(cid)) == hashlib.sha256(data).digest()


def test_base32_by_hand() -> None:
    # 0x01551220 then 32 zero bytes: 00000 00101 01010 10001 00100 00000 100000...: "a f k r e i" and then the rest
    expected = "bafkrei" + "a" * 52
    assert cid_from_digest(bytes(32)) == expected


@given(st.binary(max_size=200))
def test_reads_what_it_writes(data: bytes) -> None:
    cid = cid_of(data)
    assert parse_cid(cid) == cid
    assert digest_of(cid) == hashlib.sha256(data).digest()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not a content identifier"),
        ("bafkrei", "not a content identifier"),
        ("QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n", "version 0"),
        ("BAFKREIHDWDCEFGH4DQKJV67UZCMW7OJEE6XEDZDETOJUZJEVTENXQUVYKU", "not a content identifier"),
        ("bAFKREIHDWDCEFGH4DQKJV67UZCMW7OJEE6XEDZDETOJUZJEVTENXQUVYKU", "canonical"),
        ("bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyk1", "not a content identifier"),
        ("bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvykv", "canonical"),
        ("bafybeihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku", "something else"),
        ("../../../etc/passwd" + "a" * 40, "not a content identifier"),
        ("bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyk\n", "not a content identifier"),
        ("bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyk\u0435", "not a content identifier"),
    ],
)
def test_refuses_what_is_not_one(text: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        parse_cid(text)


@given(st.text(max_size=80))
@example("b" + "=" * 58)
def test_any_text_is_refused_politely_or_is_canonical(text: str) -> None:
    try:
        cid = parse_cid(text)
    except InputError:
        return
    assert cid_from_digest(digest_of(cid)) == text


@pytest.mark.parametrize("size", [0, 31, 33])
def test_refuses_hashes_of_another_length(size: int) -> None:
    with pytest.raises(InputError, match=f"not {size}"):
        cid_from_digest(bytes(size))


def test_digest_of_checks_its_argument() -> None:
    with pytest.raises(InputError):
        digest_of(Cid("nonsense"))
