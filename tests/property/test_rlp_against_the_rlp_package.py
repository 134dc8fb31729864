"""Whatever is written reads back as it was, and is what the `rlp` package writes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rlp import decode
from rlp.codec import encode_raw
from rlp.exceptions import DecodingError

from voisin.chain.devnet.records.rlp_reader import MAX_DEPTH, RlpError
from voisin.chain.devnet.records.rlp_reader import decode as read
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


def _read(data: bytes) -> object:
    try:
        return read(data)
    except RlpError:
        return None


def _read_by_the_package(data: bytes) -> object:
    try:
        return decode(data, strict=True)
    except DecodingError:
        return None


@given(
    ITEMS,
    st.lists(
        st.tuples(st.integers(0, 60), st.sampled_from([0, 1, 0x7F, 0x80, 0x81, 0xB7, 0xB8, 0xBF, 0xC0, 0xF7, 0xF8, 0xFF])), max_size=3
    ),
)
def test_changed_bytes_are_read_as_the_package_reads_them(item: Item, changes: list[tuple[int, int]]) -> None:
    """The same item, or nothing at all."""
    data = bytearray(encode(item))
    assert read(bytes(data)) == item
    for place, byte in changes:
        data[min(place, len(data) - 1)] = byte
    for end in (len(data), len(data) - 1):
        assert _read(bytes(data[:end])) == _read_by_the_package(bytes(data[:end]))


@given(st.binary(max_size=40))
def test_any_bytes(data: bytes) -> None:
    assert _read(data) == _read_by_the_package(data)


def test_lists_without_end_are_refused() -> None:
    deep: Item = []
    for _ in range(MAX_DEPTH - 1):
        deep = [deep]
    assert read(encode(deep)) == deep
    with pytest.raises(RlpError):
        read(encode([deep]))
