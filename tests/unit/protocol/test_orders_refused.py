"""A malformed order never becomes a value: each field is checked, and the error names it."""

from __future__ import annotations

import json

import pytest

from voisin.errors import InputError
from voisin.protocol.codec import decode
from voisin.protocol.ids import as_address, as_hash32, from_hex
from voisin.protocol.orders import AppOrder

GOOD = {
    "app": "0x70997970c51812dc3a010c7d01b50e0d17dc79c8",
    "appprice": 5,
    "volume": 1,
    "tag": "0x" + "00" * 32,
    "salt": "0x" + "AB" * 32,
    "sign": "0x",
}


def read(**changes: object) -> AppOrder:
    return decode(json.dumps({**GOOD, **changes}), AppOrder, "the order")


def test_a_good_order_is_made_canonical() -> None:
    order = read()
    assert order.app == "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
    assert order.salt == "0x" + "ab" * 32


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"app": "0x1234"}, "0x1234"),
        ({"app": "0x70997970C51812dc3A010C7d01b50e0d17dc79c8"}, "checksum"),
        ({"appprice": -1}, "appprice"),
        ({"appprice": 2**256}, "appprice"),
        ({"appprice": "5"}, "appprice"),
        ({"appprice": 5.0}, "appprice"),
        ({"volume": None}, "volume"),
        ({"salt": "0x12"}, "0x12"),
        ({"sign": "0x123"}, "0x123"),
        ({"sign": "deadbeef"}, "deadbeef"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_bad_field_is_named(changes: dict[str, object], named: str) -> None:
    with pytest.raises(InputError, match=named):
        read(**changes)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"app": 1}'])
def test_what_is_no_order(data: bytes) -> None:
    with pytest.raises(InputError, match="the order"):
        decode(data, AppOrder, "the order")


@pytest.mark.parametrize("text", ["", "0x", "70997970C51812dc3A010C7d01b50e0d17dc79C8", "0x" + "g" * 40, "0x" + "0" * 41])
def test_no_address(text: str) -> None:
    with pytest.raises(InputError):
        as_address(text)


@pytest.mark.parametrize("text", ["", "0x", "0x" + "0" * 63, "0x" + "0" * 65, "0x" + "z" * 64])
def test_no_hash(text: str) -> None:
    with pytest.raises(InputError):
        as_hash32(text)


@pytest.mark.parametrize("text", ["", "00", "0x0", "0xzz"])
def test_no_hex(text: str) -> None:
    with pytest.raises(InputError):
        from_hex(text)
