"""Every malformed parameter is refused with its place and what is wrong with it."""

from __future__ import annotations

import pytest

from voisin.chain.devnet.wire.errors import BadParamsError
from voisin.chain.devnet.wire.params import (
    BlockRef,
    Json,
    Params,
    Reader,
    address,
    block_ref,
    boolean,
    call_params,
    data,
    hash32,
    items,
    log_params,
    members,
    quantity,
)

ADDRESS = "0x" + "Ab" * 20
HASH = "0x" + "cd" * 32


@pytest.mark.parametrize(
    ("reader", "value", "meaning"),
    [
        (quantity, "0x0", 0),
        (quantity, "0xFf", 255),
        (quantity, "0x00ff", 255),  # some clients pad
        (quantity, 12, 12),
        (quantity, "0x" + "f" * 64, 2**256 - 1),
        (data, "0x", b""),
        (data, "0xaB", b"\xab"),
        (address, ADDRESS, b"\xab" * 20),
        (hash32, HASH, b"\xcd" * 32),
        (boolean, True, True),
        (block_ref, "latest", BlockRef(tag="latest")),
        (block_ref, "earliest", BlockRef(tag="earliest")),
        (block_ref, "0x10", BlockRef(number=16)),
        (block_ref, {"blockNumber": "0x1"}, BlockRef(number=1)),
        (block_ref, {"blockHash": HASH, "requireCanonical": True}, BlockRef(hash=b"\xcd" * 32)),
    ],
)
def test_good_values(reader: Reader[object], value: Json, meaning: object) -> None:
    assert reader(value, "0") == meaning


@pytest.mark.parametrize(
    ("reader", "values"),
    [
        (quantity, ["", "0x", "12", "0xg", "0x" + "f" * 65, -1, 2**256, 1.5, True, None, [], {}, " 0x1", "0x1 ", "0X1"]),
        (data, ["", "12", "0x1", "0xgg", 5, None, [], {}, "0x1 "]),
        (address, ["0x", "0x" + "ab" * 19, "0x" + "ab" * 21, "ab" * 20, 0, None]),
        (hash32, ["0x", "0x" + "ab" * 31, "0x" + "ab" * 33, 0, None, ADDRESS]),
        (boolean, ["true", 0, 1, None, []]),
        (block_ref, ["newest", "", "latest ", None, [], True, -1, "0x" + "f" * 16, {}, {"blockHash": "0x12"}, {"blockNumber": None}]),
        (members, [None, [], "0x", 1]),
        (items, [None, {}, "0x", 1]),
        (
            call_params,
            [None, [], {"to": "0x12"}, {"from": 5}, {"value": "1"}, {"gas": "x"}, {"data": "0x1"}, {"data": "0x01", "input": "0x02"}],
        ),
        (
            call_params,
            [{"accessList": {}}, {"accessList": [5]}, {"accessList": [{"address": ADDRESS}]}, {"accessList": [{"storageKeys": []}]}],
        ),
        (log_params, [None, [], {"address": 5}, {"address": [5]}, {"topics": {}}, {"topics": ["0x12"]}, {"topics": [["0x12"]]}]),
        (log_params, [{"topics": [None] * 5}, {"blockHash": HASH, "fromBlock": "0x1"}, {"fromBlock": "first"}]),
    ],
)
def test_bad_values(reader: Reader[object], values: list[Json]) -> None:
    for value in values:
        with pytest.raises(BadParamsError):
            reader(value, "0")


@pytest.mark.parametrize(
    ("reader", "value", "said"),
    [
        (quantity, "ten", "invalid argument 3: 'ten' is not a number"),
        (data, "x" * 500, "invalid argument 3: 'xxx"),
        (address, "0x12", "invalid argument 3: '0x12' has 1 bytes, an address has 20"),
        (call_params, {"value": "ten"}, "invalid argument 3.value: 'ten' is not a number"),
        (block_ref, {"blockHash": "0x12"}, "invalid argument 3.blockHash"),
        (block_ref, "newest", "use a height as hex or one of earliest, finalized, latest, pending, safe"),
    ],
)
def test_message_says_where_and_what(reader: Reader[object], value: Json, said: str) -> None:
    with pytest.raises(BadParamsError) as caught:
        reader(value, "3")
    assert said in str(caught.value)
    assert len(str(caught.value)) < 250


def test_call_reads_every_field() -> None:
    key = "0x" + "00" * 31 + "05"
    call = call_params(
        {"from": ADDRESS, "to": ADDRESS, "input": "0x01", "data": "0x01", "value": "0x2", "gas": "0x3", "maxFeePerGas": "0x4",
         "nonce": "0x9", "accessList": [{"address": ADDRESS, "storageKeys": [key]}]}, "0",
    )  # fmt: skip
    assert (call.sender, call.to, call.data, call.value, call.gas, call.price) == (b"\xab" * 20, b"\xab" * 20, b"\1", 2, 3, 4)
    assert call.access_list == ((b"\xab" * 20, (5,)),)
    empty = call_params({"to": None, "data": None}, "0")
    assert (empty.sender, empty.to, empty.data, empty.value, empty.gas, empty.price) == (b"\0" * 20, None, b"", 0, None, 0)
    assert call_params({"to": "0x", "gasPrice": "0x7"}, "0").price == 7


def test_filter_reads_every_field() -> None:
    wanted = log_params({"fromBlock": "0x1", "toBlock": "pending", "address": [ADDRESS], "topics": [None, HASH, [HASH, HASH]]}, "0")
    assert (wanted.first, wanted.last) == (BlockRef(number=1), BlockRef(tag="pending"))
    assert wanted.addresses == {b"\xab" * 20}
    assert wanted.topics == (frozenset(), {b"\xcd" * 32}, {b"\xcd" * 32})
    assert log_params({}, "0").first == BlockRef(tag="latest")


def test_missing_and_surplus_arguments() -> None:
    with pytest.raises(BadParamsError, match="missing value for required argument 0"):
        Params([], most=1).read(0, quantity)
    with pytest.raises(BadParamsError, match="too many arguments, want at most 1"):
        Params([1, 2], most=1)
    assert Params([], most=1).read_or(0, quantity, default=7) == 7
    assert Params([None], most=1).read_or(0, quantity, default=7) == 7
    assert Params(["0x8"], most=1).read_or(0, quantity, default=7) == 8
