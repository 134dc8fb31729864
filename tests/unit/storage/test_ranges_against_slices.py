"""The `Range` header means what a slice of the bytes says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voisin.storage.ranges import RangeError, parse_range

SIZES = st.integers(0, 50)
NUMBERS = st.integers(0, 60)


def _selected(header: str, data: bytes) -> bytes | None:
    found = parse_range(header, len(data))
    return None if found is None else data[found[0] : found[1]]


@given(SIZES, NUMBERS, NUMBERS)
def test_first_and_last(size: int, first: int, last: int) -> None:
    data = bytes(range(size))
    if first > last:
        assert _selected(f"bytes={first}-{last}", data) is None, "an invalid range is as good as none"
    elif first >= size:
        with pytest.raises(RangeError):
            _selected(f"bytes={first}-{last}", data)
    else:
        assert _selected(f"bytes={first}-{last}", data) == data[first : last + 1]


@given(SIZES, NUMBERS)
def test_from_the_front_and_from_the_end(size: int, count: int) -> None:
    data = bytes(range(size))
    if count < size:
        assert _selected(f"bytes={count}-", data) == data[count:]
    else:
        with pytest.raises(RangeError):
            _selected(f"bytes={count}-", data)
    if count and size:
        assert _selected(f"bytes=-{count}", data) == data[-count:]
    else:
        with pytest.raises(RangeError):
            _selected(f"bytes=-{count}", data)


NO_RANGES = [
    "",
    "bytes",
    "bytes=",
    "bytes=-",
    "bytes=a-b",
    "bytes=1-2,4-5",
    "items=0-1",
    "bytes=0x1-2",
    "bytes=--1",
    "bytes=1",
    "bytes=٣-٤",
]


@pytest.mark.parametrize("header", [*NO_RANGES, "bytes=" + "9" * 19 + "-"])
def test_what_is_not_one_range_is_ignored(header: str) -> None:
    assert parse_range(header, 10) is None


@given(st.text(max_size=40), SIZES)
def test_any_header_is_answered(header: str, size: int) -> None:
    try:
        found = parse_range(header, size)
    except RangeError:
        return
    assert found is None or 0 <= found[0] < found[1] <= size
