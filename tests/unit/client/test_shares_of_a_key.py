"""A key is shared always in the same way, and no share says anything of it."""

from __future__ import annotations

import base64
from itertools import combinations

import pytest

from voisin.client.vault_terms import shares_of
from voisin.errors import InputError, TrustError
from voisin.protocol.shamir import join_key, read_share

KEY = base64.b64encode(bytes(range(32))).decode()
OTHER = base64.b64encode(bytes(range(1, 33))).decode()


def test_the_same_key_gives_the_same_shares() -> None:
    shares = shares_of(KEY, count=3, threshold=2)
    assert shares == shares_of(KEY, count=3, threshold=2)
    others = (shares_of(KEY, count=4, threshold=2), shares_of(KEY, count=3, threshold=3), shares_of(OTHER, count=3, threshold=2))
    assert not set(shares) & {share for each in others for share in each}
    for two in combinations(shares, 2):
        assert join_key(two) == KEY
    with pytest.raises(TrustError):
        join_key(shares[:1])


def test_each_byte_is_hidden_by_bytes_of_its_own() -> None:
    """With a threshold of two, equal bytes of a key must not be equal in a share: the line through each has a slope of its own."""
    flat = base64.b64encode(bytes(32)).decode()
    values = read_share(shares_of(flat, count=2, threshold=2)[0]).data
    assert len(set(values)) > 20


def test_what_is_no_key_is_not_shared() -> None:
    with pytest.raises(InputError):
        shares_of("no key", count=3, threshold=2)
