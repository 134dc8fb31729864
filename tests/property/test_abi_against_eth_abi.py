"""Our encoding of contract values is that of another library, for any types and values; what ours reads, the other reads alike."""

from __future__ import annotations

from typing import Any

import pytest
from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError as OtherError
from hypothesis import given
from hypothesis import strategies as st

from voisin.chain.abi_codec import DecodingError, EncodingError, decode_abi, encode_abi
from voisin.chain.artifacts import AbiParameter
from voisin.protocol.ids import as_address, from_hex, to_hex

SIMPLE = st.one_of(
    st.sampled_from(["address", "bool", "bytes", "string"]),
    st.integers(1, 32).map(lambda size: f"bytes{size}"),
    st.tuples(st.sampled_from(["uint", "int"]), st.integers(1, 32)).map(lambda found: f"{found[0]}{8 * found[1]}"),
)


def named(kind: str, components: tuple[AbiParameter, ...] = ()) -> AbiParameter:
    return AbiParameter(name="x", type=kind, components=components)


def _arrays(inner: st.SearchStrategy[AbiParameter]) -> st.SearchStrategy[AbiParameter]:
    sizes = st.sampled_from(["[]", "[1]", "[3]"])
    return st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: named("tuple", tuple(parts))),
        st.builds(lambda part, size: named(part.type + size, part.components), inner, sizes),
    )


TYPES = st.lists(st.recursive(SIMPLE.map(named), _arrays, max_leaves=5), min_size=1, max_size=4)


def values(parameter: AbiParameter) -> st.SearchStrategy[Any]:
    """Any value of a type, as we write it."""
    kind = parameter.type
    if kind.endswith("]"):
        element = named(kind[: kind.rindex("[")], parameter.components)
        size = kind[kind.rindex("[") + 1 : -1]
        return st.lists(values(element), min_size=int(size or 0), max_size=int(size or 3)).map(tuple)
    if kind == "tuple":
        return st.tuples(*map(values, parameter.components))
    if kind == "address":
        return st.binary(min_size=20, max_size=20).map(lambda raw: as_address(to_hex(raw)))
    if kind == "bool":
        return st.booleans()
    if kind == "string":
        return st.text(max_size=70)
    if kind.startswith("bytes"):
        size = kind.removeprefix("bytes")
        return st.binary(min_size=int(size), max_size=int(size)).map(to_hex) if size else st.binary(max_size=70)
    bits = int(kind.removeprefix("u").removeprefix("int"))
    return st.integers(0, 2**bits - 1) if kind.startswith("u") else st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def theirs(parameter: AbiParameter, value: Any) -> Any:
    """The same value as the other library writes it."""
    kind = parameter.type
    if kind.endswith("]"):
        return tuple(theirs(named(kind[: kind.rindex("[")], parameter.components), item) for item in value)
    if kind == "tuple":
        return tuple(theirs(part, item) for part, item in zip(parameter.components, value, strict=True))
    if kind == "address":
        return value.lower()
    return from_hex(value) if kind.startswith("bytes") and isinstance(value, str) else value


@given(TYPES, st.data())
def test_the_same_bytes_and_back(types: list[AbiParameter], data: st.DataObject) -> None:
    given_values = [data.draw(values(each)) for each in types]
    plain = [theirs(each, value) for each, value in zip(types, given_values, strict=True)]
    written = encode_abi(types, given_values)
    assert written == encode([each.canonical_type for each in types], plain)
    assert decode_abi(types, written) == tuple(given_values)


@given(TYPES, st.data())
def test_changed_bytes_are_read_alike_or_refused(types: list[AbiParameter], data: st.DataObject) -> None:
    """What ours takes theirs takes, as the same; what theirs takes and any encoder would write, ours takes."""
    kinds = [each.canonical_type for each in types]
    content = bytearray(encode_abi(types, [data.draw(values(each)) for each in types]))
    for _ in range(data.draw(st.integers(0, 3))):
        if content:
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.sampled_from([0, 1, 32, 64, 255]))
    changed = bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        other = decode(kinds, changed)
    except (OtherError, OverflowError, UnicodeDecodeError):
        with pytest.raises(DecodingError):
            decode_abi(types, changed)
        return
    try:
        ours = decode_abi(types, changed)
    except DecodingError:
        assert encode(kinds, other) != changed
        return
    assert tuple(theirs(each, value) for each, value in zip(types, ours, strict=True)) == other


def test_bytes_that_are_read_twice_are_refused() -> None:
    """Sixty thousand pointers to one text of two megabytes would be more than any memory holds."""
    pointers = 1_000
    text = (1 << 16).to_bytes(32, "big") + bytes(1 << 16)
    bomb = (32).to_bytes(32, "big") + pointers.to_bytes(32, "big") + (32 * pointers).to_bytes(32, "big") * pointers + text
    with pytest.raises(DecodingError):
        decode_abi([named("bytes[]")], bomb)
    with pytest.raises(DecodingError):
        decode_abi([named("uint8[]")], (32).to_bytes(32, "big") + (2**255).to_bytes(32, "big"))


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("uint8", 256), ("uint8", -1), ("uint8", True), ("uint8", "1"), ("int8", 128), ("bool", 1), ("address", "0x12"),
        ("address", b"1" * 20), ("bytes32", "0x12"), ("bytes32", b"1" * 33), ("bytes", 5), ("bytes", "zz"), ("string", b"x"),
        ("string", "\ud800"), ("uint8[]", 5), ("uint8[2]", (1,)), ("uint8[]", "12"),
    ],
)  # fmt: skip
def test_values_that_do_not_fit(kind: str, value: Any) -> None:
    with pytest.raises(EncodingError):
        encode_abi([named(kind)], [value])
