"""Keys shared among vaults: enough shares give the key, fewer fit any key."""

from __future__ import annotations

import base64
import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voisin.errors import InputError, TrustError
from voisin.protocol.shamir import Share, combine, is_share, join_key, read_share, split, split_key, write_share

KEY = base64.b64encode(bytes(range(32))).decode()


@st.composite
def sharings(draw: st.DrawFn) -> tuple[bytes, int, int]:
    shares = draw(st.integers(1, 8))
    return draw(st.binary(min_size=1, max_size=40)), shares, draw(st.integers(1, shares))


@given(sharings(), st.randoms(use_true_random=False))
def test_any_k_shares_in_any_order_give_the_key(sharing: tuple[bytes, int, int], chance: object) -> None:
    secret, shares, threshold = sharing
    made = list(split(secret, shares=shares, threshold=threshold, random_bytes=secrets.token_bytes))
    chance.shuffle(made)  # type: ignore[attr-defined]
    assert combine(made[:threshold]) == secret
    assert combine(made) == secret
    with pytest.raises(TrustError, match="more are needed"):
        combine(made[: threshold - 1])


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_k_less_one_shares_fit_every_key(secret: bytes, other: bytes) -> None:
    """For the one share that is known there is a second one that makes any other key: the first says nothing."""
    known = split(secret, shares=2, threshold=2, random_bytes=secrets.token_bytes)[0]
    # the line through (1, known) and (0, other) has the slope known - other, and passes 2 at other + 2 * slope
    doubled = bytes((a ^ b) << 1 ^ (0x11B if (a ^ b) & 0x80 else 0) for a, b in zip(known.data, other, strict=True))
    second = Share(2, 2, known.set_id, bytes(a ^ b for a, b in zip(other, doubled, strict=True)))
    assert combine([known, second]) == other


def test_field_is_the_one_of_aes() -> None:
    """FIPS 197, 4.2: {57} times {83} is {c1}, and {57} times {13} is {fe}: a line with that slope shows it."""
    for slope, x, product in ((0x57, 0x83, 0xC1), (0x57, 0x13, 0xFE)):
        draws = iter([b"\0" * 8, bytes([slope])])
        made = split(b"\0", shares=255, threshold=2, random_bytes=lambda size, draws=draws: next(draws))
        assert made[x - 1].data == bytes([product])


def test_shares_travel_as_texts() -> None:
    texts = split_key(KEY, shares=5, threshold=3, random_bytes=secrets.token_bytes)
    assert all(is_share(text) and write_share(read_share(text)) == text for text in texts)
    assert not is_share(KEY)
    assert join_key(texts[2:]) == KEY
    assert KEY not in " ".join(texts)
    assert read_share(texts[0]).data.hex() not in repr(read_share(texts[0]))


def test_shares_of_two_keys_are_not_mixed() -> None:
    first, second = (split_key(KEY, shares=2, threshold=2, random_bytes=secrets.token_bytes) for _ in range(2))
    with pytest.raises(TrustError, match="different keys"):
        join_key([first[0], second[1]])
    with pytest.raises(TrustError, match="twice"):
        join_key([first[0], first[0]])


@pytest.mark.parametrize("numbers", [(0, 1), (2, 3), (256, 2), (3, 0)])
def test_numbers_that_do_not_fit(numbers: tuple[int, int]) -> None:
    shares, threshold = numbers
    with pytest.raises(InputError, match="not shared"):
        split_key(KEY, shares=shares, threshold=threshold, random_bytes=secrets.token_bytes)


NO_SHARES = (
    "",
    "voisin-share-1:2:1:00",
    "voisin-share-1:0:1:0000000000000000:AA==",
    "voisin-share-1:2:999:0000000000000000:AA==",
)


@pytest.mark.parametrize("text", NO_SHARES)
def test_what_is_no_share_is_not_repeated(text: str) -> None:
    with pytest.raises(InputError, match="no share") as refusal:
        read_share(text)
    assert not text or text not in refusal.value.message
    with pytest.raises(InputError, match="is none"):
        split_key("AAAA", shares=2, threshold=2, random_bytes=secrets.token_bytes)
