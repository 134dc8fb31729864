"""Parameters of foreign clients are read as they mean them; digests follow the written rules."""

from __future__ import annotations

import hashlib

import pytest
from eth_utils import keccak
from hypothesis import given
from hypothesis import strategies as st

from voisin.errors import InputError
from voisin.protocol.params import (
    Bag,
    BagEntry,
    DealParams,
    RunLimits,
    decode_bag,
    encode_bag,
    encode_params,
    join_args,
    parse_params,
    split_args,
)
from voisin.protocol.results import callback_data, decode_link, encode_link, result_digest, tree_digest

ONE, TWO = hashlib.sha256(b"one").digest(), hashlib.sha256(b"two").digest()


@pytest.mark.parametrize(
    ("text", "params"),
    [
        ("", DealParams()),
        ("--fast now", DealParams(iexec_args="--fast now")),
        ('{"iexec_args": "Alice"}', DealParams(iexec_args="Alice")),
        ('{"iexec_args": "a", "unknown": {"x": [1]}}', DealParams(iexec_args="a")),
        ('{"iexec_input_files": ["https://example.org/a"]}', DealParams(iexec_input_files=("https://example.org/a",))),
        ('{"voisin_limits": {"time_s": 2.5}}', DealParams(voisin_limits=RunLimits(time_s=2.5))),
        ("{not json", DealParams(iexec_args="{not json")),
        ("[1]", DealParams(iexec_args="[1]")),
    ],
)
def test_reads_params(text: str, params: DealParams) -> None:
    assert parse_params(text) == params


def test_a_known_key_of_the_wrong_type_is_refused() -> None:
    with pytest.raises(InputError, match="iexec_args"):
        parse_params('{"iexec_args": 5}')


def test_params_leave_out_defaults() -> None:
    assert encode_params(DealParams(iexec_args="x")) == '{"iexec_args":"x"}'
    assert encode_params(DealParams()) == "{}"


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))))
def test_arguments_survive(args: list[str]) -> None:
    assert split_args(join_args(tuple(args))) == tuple(args)


def test_an_open_quotation_is_refused() -> None:
    with pytest.raises(InputError, match="split"):
        split_args("it's")


def test_bags() -> None:
    bag = Bag((BagEntry(("--frame", "0")), BagEntry((), {"a.txt": "cid"})))
    assert decode_bag(encode_bag(bag)) == bag
    with pytest.raises(InputError, match="bag"):
        decode_bag(b'{"tasks": [{"args": "no list"}]}')


def test_the_tree_digest_covers_names_and_contents() -> None:
    expected = "0x" + keccak(f"{ONE.hex()}  a/x\n{TWO.hex()}  b\n".encode()).hex()
    assert tree_digest({"b": TWO, "a/x": ONE}) == expected
    assert tree_digest({"b": ONE, "a/x": TWO}) != expected


def digest(files: dict[str, bytes], computed: bytes | None = None, *, is_failure: bool = False, has_callback: bool = False) -> str:
    return result_digest(files, computed=computed, is_failure=is_failure, has_callback=has_callback)


def test_a_named_file_is_its_own_digest() -> None:
    computed = b'{"deterministic-output-path": "/iexec_out/a.txt", "other": 1}'
    assert digest({"a.txt": ONE, "computed.json": TWO}, computed) == "0x" + ONE.hex()


def test_a_named_folder_is_the_hash_of_its_sorted_children() -> None:
    computed = b'{"deterministic-output-path": "/iexec_out/d"}'
    files = {"d/b": TWO, "d/a": ONE, "d/sub/deep": ONE, "z": ONE}
    assert digest(files, computed) == "0x" + keccak(ONE + TWO).hex()
    everything = b'{"deterministic-output-path": "/iexec_out"}'
    assert digest({"b": TWO, "a": ONE}, everything) == "0x" + keccak(ONE + TWO).hex()


@pytest.mark.parametrize("path", ["/iexec_out/missing", "/iexec_out/../etc", "../d"])
def test_a_path_outside_the_result_is_refused(path: str) -> None:
    with pytest.raises(InputError, match="not in the result"):
        digest({"d/a": ONE}, b'{"deterministic-output-path": "' + path.encode() + b'"}')


def test_callback_deals_digest_the_callback_data() -> None:
    computed = b'{"callback-data": "0xdead"}'
    assert digest({"computed.json": ONE}, computed, has_callback=True) == "0x" + keccak(b"\xde\xad").hex()
    assert callback_data(computed) == b"\xde\xad"
    for missing in (None, b"{}", b'{"callback-data": "0x"}'):
        with pytest.raises(InputError, match="callback"):
            digest({}, missing, has_callback=True)


def test_a_failure_digests_its_cause_only() -> None:
    assert digest({"error.json": ONE, "stdout.txt": TWO}, is_failure=True) == digest({"error.json": ONE}, is_failure=True)


def test_links() -> None:
    assert decode_link(encode_link("bafy")) == "bafy"
    assert encode_link("bafy") == b'{"storage":"ipfs","location":"/ipfs/bafy"}'
    for bad in (b"", b"{}", b'{"storage":"dropbox","location":"/x"}', b'{"storage":"ipfs","location":"bafy"}'):
        with pytest.raises(InputError):
            decode_link(bad)
