"""Signed bytes of eth_account are read as they were meant, and nothing that is not canonical is read at all."""

from __future__ import annotations

from typing import Any

import pytest
import rlp
from eth_account import Account
from eth_keys.constants import SECPK1_N

from tests.support.devnet import ADDRESSES, CHAIN_ID, GWEI, KEYS
from voisin.chain.devnet.txcodec import decode_transaction, reread_transaction, signed_authorization
from voisin.chain.devnet.values import Authorization
from voisin.chain.devnet.wire.errors import BadParamsError, RefusedTransactionError, RpcError

ACCESS = [{"address": ADDRESSES[2], "storageKeys": ["0x" + "00" * 31 + "07", "0x" + "ff" * 32]}]
LEGACY = {"gasPrice": 5 * GWEI}
LISTED = {"gasPrice": 5 * GWEI, "accessList": ACCESS, "chainId": CHAIN_ID}
DYNAMIC = {"maxFeePerGas": 7 * GWEI, "maxPriorityFeePerGas": GWEI, "accessList": ACCESS, "chainId": CHAIN_ID}


def sign(**fields: Any) -> Any:
    base = {"nonce": 3, "gas": 90_000, "value": 12, "data": b"\xab\xcd", "to": ADDRESSES[1]}
    return Account.from_key(KEYS[0]).sign_transaction(base | fields)


def refields(raw: bytes, **changes: bytes | list[object]) -> bytes:
    """The same transaction of type 2 with some fields replaced, the signature left as it was."""
    names = ("chain", "nonce", "tip", "fee", "gas", "to", "value", "data", "access", "y", "r", "s")
    fields = dict(zip(names, rlp.decode(raw[1:]), strict=True)) | changes
    return raw[:1] + bytes(rlp.encode(list(fields.values())))


@pytest.mark.parametrize(
    ("fields", "kind", "chain", "fees"),
    [
        (LEGACY | {"chainId": CHAIN_ID}, 0, CHAIN_ID, (5 * GWEI, 5 * GWEI)),
        (LEGACY, 0, None, (5 * GWEI, 5 * GWEI)),
        (LISTED, 1, CHAIN_ID, (5 * GWEI, 5 * GWEI)),
        (DYNAMIC, 2, CHAIN_ID, (GWEI, 7 * GWEI)),
    ],
)
def test_each_type_is_read_as_it_was_signed(fields: dict[str, Any], kind: int, chain: int | None, fees: tuple[int, int]) -> None:
    signed = sign(**fields)
    tx = decode_transaction(bytes(signed.raw_transaction), chain_id=CHAIN_ID)
    assert (tx.kind, tx.hash, tx.chain_id) == (kind, bytes(signed.hash), chain)
    assert (tx.nonce, tx.gas, tx.value, tx.data) == (3, 90_000, 12, b"\xab\xcd")
    assert (tx.priority_fee, tx.max_fee) == fees
    assert tx.sender == bytes.fromhex(ADDRESSES[0][2:])
    assert tx.to == bytes.fromhex(ADDRESSES[1][2:])
    assert tx.access_list == (((bytes.fromhex(ADDRESSES[2][2:]), (7, 2**256 - 1)),) if kind else ())
    assert (tx.r, tx.s) == (signed.r, signed.s)
    assert reread_transaction(tx.raw, sender=tx.sender) == tx


def test_creation_has_no_receiver() -> None:
    assert decode_transaction(bytes(sign(**DYNAMIC, to="").raw_transaction), chain_id=CHAIN_ID).to is None


def authorized(**fields: Any) -> Any:
    """An authorization signed by the second account."""
    return Account.sign_authorization({"chainId": CHAIN_ID, "address": ADDRESSES[2], "nonce": 9} | fields, KEYS[1])


def test_authorizations_are_read_with_who_signed_them() -> None:
    signed = [authorized(), authorized(chainId=0, nonce=0)]
    raw = bytes(sign(**DYNAMIC, authorizationList=signed).raw_transaction)
    tx = decode_transaction(raw, chain_id=CHAIN_ID)
    assert (tx.kind, tx.sender) == (4, bytes.fromhex(ADDRESSES[0][2:]))
    assert [(one.chain_id, one.nonce, one.address) for one in tx.authorizations] == [
        (CHAIN_ID, 9, bytes.fromhex(ADDRESSES[2][2:])),
        (0, 0, bytes.fromhex(ADDRESSES[2][2:])),
    ]
    assert [one.authority for one in tx.authorizations] == [bytes.fromhex(ADDRESSES[1][2:])] * 2
    assert reread_transaction(tx.raw, sender=tx.sender) == tx


@pytest.mark.parametrize(
    "change",
    [{"parity": 2}, {"r": 0}, {"r": SECPK1_N}, {"r": 5}, {"s": 0}, {"s": SECPK1_N // 2 + 1}],
    ids=lambda change: str(next(iter(change))),
)
def test_authorization_with_an_impossible_signature_has_no_authority(change: dict[str, int]) -> None:
    one = authorized()
    given = Authorization(one.chain_id, bytes(one.address), one.nonce, one.y_parity, one.r, one.s, authority=b"\1" * 20)
    assert signed_authorization(given).authority == bytes.fromhex(ADDRESSES[1][2:])
    assert signed_authorization(given._replace(**change)).authority is None


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        ({"to": b""}, RefusedTransactionError, "cannot create a contract"),
        ({"given": []}, RefusedTransactionError, "empty auth list"),
        ({"given": b"\1"}, BadParamsError, "authorizations must be a list"),
        ({"given": [b"\1"]}, BadParamsError, "list of 6 fields"),
        ({"given": [[b"\1"] * 5]}, BadParamsError, "list of 6 fields"),
        ({"given": [[b"", b"\1" * 19, b"", b"", b"\1", b"\1"]]}, BadParamsError, "20 bytes"),
        ({"given": [[b"\0", b"\1" * 20, b"", b"", b"\1", b"\1"]]}, BadParamsError, "leading zeros"),
        ({"given": [[b"", b"\1" * 20, b"", b"\1" * 2, b"\1", b"\1"]]}, BadParamsError, "yParity is too large"),
    ],
)
def test_malformed_transaction_of_type_4_is_refused(change: dict[str, Any], kind: type[RpcError], said: str) -> None:
    raw = bytes(sign(**DYNAMIC, authorizationList=[authorized()]).raw_transaction)
    names = ("chain", "nonce", "tip", "fee", "gas", "to", "value", "data", "access", "given", "y", "r", "s")
    fields = dict(zip(names, rlp.decode(raw[1:]), strict=True)) | change
    with pytest.raises(kind, match=said):
        decode_transaction(raw[:1] + bytes(rlp.encode(list(fields.values()))), chain_id=CHAIN_ID)


def test_published_example_of_eip_155() -> None:
    # EIP-155, "Example": the transaction, its key 0x46 * 32, and the bytes it gives
    raw = bytes.fromhex(
        "f86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a76400008025a0"
        "28ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83"
    )
    tx = decode_transaction(raw, chain_id=1)
    assert tx.sender.hex() == "9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f"
    assert (tx.nonce, tx.max_fee, tx.gas, tx.value) == (9, 20 * GWEI, 21_000, 10**18)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"nonce": b"\0\1"}, "leading zeros"),
        ({"gas": b"\1" * 9}, "gas is too large"),
        ({"nonce": b"\1" * 9}, "nonce is too large"),
        ({"value": b"\1" * 33}, "value is too large"),
        ({"to": b"\1" * 19}, "19 bytes"),
        ({"y": b"\2"}, "yParity is too large"),
        ({"data": [b""]}, "data must be bytes"),
        ({"access": b""}, "access list must be a list"),
        ({"access": [b"\1" * 20]}, "an address and a list"),
        ({"access": [[b"\1" * 19, []]]}, "20 bytes"),
        ({"access": [[b"\1" * 20, [b"\1"]]]}, "32 bytes"),
        ({"access": [[b"\1" * 20, b""]]}, "an address and a list"),
    ],
)
def test_malformed_field_is_named(change: dict[str, Any], said: str) -> None:
    raw = refields(bytes(sign(**DYNAMIC).raw_transaction), **change)
    with pytest.raises(BadParamsError, match=said):
        decode_transaction(raw, chain_id=CHAIN_ID)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "empty"),
        (b"\x03\xc0", "type 0x03 is not supported"),
        (b"\x04\xc0", "list of 13 fields"),
        (b"\x7f", "type 0x7f is not supported"),
        (b"\xc0", "list of 9 fields"),
        (b"\x02\xc0", "list of 12 fields"),
        (b"\x02", "not canonical RLP"),
        (b"\x02\x80", "list of 12 fields"),
        (b"\xf8\x01\x80", "not canonical RLP"),
        (b"\xff" * 40, "not canonical RLP"),
        (b"\xc1" * 5000, "list of 9 fields|not canonical RLP"),
    ],
)
def test_bytes_that_are_no_transaction(raw: bytes, said: str) -> None:
    with pytest.raises(BadParamsError, match=said):
        decode_transaction(raw, chain_id=CHAIN_ID)


def test_trailing_byte_is_refused() -> None:
    for fields in (LEGACY, DYNAMIC):
        with pytest.raises(BadParamsError, match="not canonical RLP"):
            decode_transaction(bytes(sign(**fields).raw_transaction) + b"\0", chain_id=CHAIN_ID)


def test_other_chain_is_refused() -> None:
    for fields in (LEGACY | {"chainId": 1}, DYNAMIC | {"chainId": 1}):
        with pytest.raises(RefusedTransactionError, match="invalid chain id for signer: have 1, want 31337"):
            decode_transaction(bytes(sign(**fields).raw_transaction), chain_id=CHAIN_ID)


def test_second_signature_of_the_same_meaning_is_refused() -> None:
    # EIP-2: (r, n - s) with the other parity is valid mathematics and must not be valid here
    signed = sign(**DYNAMIC)
    twin = refields(bytes(signed.raw_transaction), s=(SECPK1_N - signed.s).to_bytes(32, "big"), y=b"" if signed.v else b"\1")
    with pytest.raises(RefusedTransactionError, match="out of range"):
        decode_transaction(twin, chain_id=CHAIN_ID)


@pytest.mark.parametrize("r", [b"", SECPK1_N.to_bytes(32, "big"), (5).to_bytes(1, "big")])
def test_impossible_r_is_refused(r: bytes) -> None:
    # 0 and n are out of range, and no point of the curve has x = 5
    with pytest.raises(RefusedTransactionError, match="invalid transaction v, r, s values"):
        decode_transaction(refields(bytes(sign(**DYNAMIC).raw_transaction), r=r), chain_id=CHAIN_ID)


@pytest.mark.parametrize("v", [0, 1, 26, 29, 34])
def test_impossible_v_of_a_type_0_transaction_is_refused(v: int) -> None:
    fields = rlp.decode(bytes(sign(**LEGACY).raw_transaction))
    fields[6] = bytes([v]) if v else b""
    with pytest.raises(RefusedTransactionError, match=f"v is {v}"):
        decode_transaction(bytes(rlp.encode(fields)), chain_id=CHAIN_ID)


def test_changed_byte_changes_the_sender_or_is_refused() -> None:
    raw = bytes(sign(**DYNAMIC).raw_transaction)
    for position in range(len(raw)):
        changed = raw[:position] + bytes([raw[position] ^ 1]) + raw[position + 1 :]
        try:
            tx = decode_transaction(changed, chain_id=CHAIN_ID)
        except RpcError:
            continue
        assert tx.sender != bytes.fromhex(ADDRESSES[0][2:]), position
