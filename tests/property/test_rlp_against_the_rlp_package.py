"""Whatever is written reads back as it was, and is what the `rlp` package writes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rlp import decode
from rlp.codec import encode_raw

from voisin.chain.devnet.records.rlp_writer import Item, encode, number_bytes

STRINGS = st.binary(max_size=70) | st.integers(0, 300).map(bytes)
ITEMS: st.SearchStrategy[Item] = st.recursive(STRINGS, lambda children: st.lists(children, max_size=6), max_leaves=30)


@given(ITEMS)
def test_bytes_and_lists(item: Item) -> None:
    assert encode(item) == encode_raw(item)
    assert decode(encode(item), strict=True) == item


@given(st.integers(0, 2**256))
def test_numbers_have_no_leading_zeros(number: int) -> None:
    data = number_bytes(number)
    assert int.from_bytes(data, "big") == number
    assert data[:1] != b"\0"
