"""
Signed transactions from their bytes: types 0, 1, 2 and 4, read strictly, sender recovered.

Sources: EIP-155, EIP-2718, EIP-2930, EIP-1559, EIP-7702; EIP-2 for the low `s`; the Yellow Paper, appendix B, for canonical RLP.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from coincurve import PublicKey

from voisin.chain.devnet.engines.hashing import keccak
from voisin.chain.devnet.records.rlp_reader import RlpError, decode
from voisin.chain.devnet.records.rlp_writer import encode, number_bytes
from voisin.chain.devnet.values import AccessList, Authorization, Transaction
from voisin.chain.devnet.wire.errors import BadParamsError, RefusedTransactionError

SECP256K1_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_WORD = 2**256
_UINT64 = 2**64
_LEGACY_FIELDS = 9
_TYPED_FIELDS = {1: 11, 2: 12, 4: 13}
_AUTHORIZATION_FIELDS = 6
_AUTHORIZATION_MAGIC = b"\x05"
_SIGNATURE_FIELDS = 3
_FIRST_LIST_BYTE = 0xC0
_FIRST_REPLAY_PROTECTED_V = 35

Field = bytes | Sequence["Field"]


def decode_transaction(raw: bytes, *, chain_id: int) -> Transaction:
    """
    Read a signed transaction and recover who signed it.

    Args:
        raw: The EIP-2718 envelope, or the RLP list of a type 0 transaction.
        chain_id: The chain this node serves.

    Returns:
        The transaction, with the sender's address.

    Raises:
        BadParamsError: The bytes are not a transaction of type 0, 1, 2 or 4.
        RefusedTransactionError: It is signed for another chain, or its signature is not valid.
    """
    tx = _decode(raw, None)
    if tx.chain_id is not None and tx.chain_id != chain_id:
        raise RefusedTransactionError(f"invalid chain id for signer: have {tx.chain_id}, want {chain_id}")
    return tx


def reread_transaction(raw: bytes, *, sender: bytes) -> Transaction:
    """
    Read a transaction that was checked before, without paying for the signature again.

    Args:
        raw: As `Transaction.raw` holds it.
        sender: As `Transaction.sender` holds it.

    Returns:
        The transaction.
    """
    return _decode(raw, sender)


def _decode(raw: bytes, sender: bytes | None) -> Transaction:
    if not raw:
        raise BadParamsError("the transaction is empty")
    if raw[0] >= _FIRST_LIST_BYTE:
        return _decode_legacy(raw, sender)
    if raw[0] not in _TYPED_FIELDS:
        raise BadParamsError(f"transaction type 0x{raw[0]:02x} is not supported", hint="send type 0, 1, 2 or 4")
    return _decode_typed(raw, sender)


def _decode_legacy(raw: bytes, sender: bytes | None) -> Transaction:
    fields = _read_list(raw, _LEGACY_FIELDS)
    nonce, price, gas, to, value, data, v_field, r, s = fields
    v = _integer(v_field, "v", _WORD)
    unsigned: list[Field] = list(fields[:6])
    signed_chain: int | None = None
    if v >= _FIRST_REPLAY_PROTECTED_V:
        signed_chain, parity = divmod(v - _FIRST_REPLAY_PROTECTED_V, 2)
        unsigned += [number_bytes(signed_chain), b"", b""]
    elif v in (27, 28):
        parity = v - 27
    else:
        raise RefusedTransactionError(f"invalid transaction v, r, s values: v is {v}")
    fee = _integer(price, "gasPrice", _WORD)
    r_int, s_int = _signature(r, s)
    return Transaction(
        kind=0, hash=keccak(raw), raw=raw, sender=sender or _recover(keccak(encode(unsigned)), parity, r_int, s_int),
        chain_id=signed_chain, nonce=_integer(nonce, "nonce", _UINT64), priority_fee=fee, max_fee=fee,
        gas=_integer(gas, "gas", _UINT64), to=_receiver(to), value=_integer(value, "value", _WORD), data=_bytes(data, "data"),
        access_list=(), parity=parity, r=r_int, s=s_int,
    )  # fmt: skip


def _decode_typed(raw: bytes, sender: bytes | None) -> Transaction:
    kind = raw[0]
    fields = _read_list(raw[1:], _TYPED_FIELDS[kind])
    if kind == 1:
        chain, nonce, price, gas, to, value, data, access, y, r, s = fields
        tip = price
        given: Field = []
    elif kind == 2:
        chain, nonce, tip, price, gas, to, value, data, access, y, r, s = fields
        given = []
    else:
        chain, nonce, tip, price, gas, to, value, data, access, given, y, r, s = fields
        _require_type_4(to, given)
    signed_chain = _integer(chain, "chainId", _WORD)
    parity = _integer(y, "yParity", 2)
    r_int, s_int = _signature(r, s)
    digest = keccak(raw[:1] + encode(fields[:-_SIGNATURE_FIELDS]))
    return Transaction(
        kind=kind, hash=keccak(raw), raw=raw, sender=sender or _recover(digest, parity, r_int, s_int),
        chain_id=signed_chain, nonce=_integer(nonce, "nonce", _UINT64), priority_fee=_integer(tip, "maxPriorityFeePerGas", _WORD),
        max_fee=_integer(price, "maxFeePerGas", _WORD), gas=_integer(gas, "gas", _UINT64), to=_receiver(to),
        value=_integer(value, "value", _WORD), data=_bytes(data, "data"), access_list=_access_list(access),
        parity=parity, r=r_int, s=s_int, authorizations=_authorizations(given),
    )  # fmt: skip


def _read_list(payload: bytes, count: int) -> list[Field]:
    try:
        fields = decode(payload)
    except RlpError as error:
        raise BadParamsError(f"the transaction is not canonical RLP: {str(error)[:120]}") from error
    if isinstance(fields, bytes) or len(fields) != count:
        raise BadParamsError(f"the transaction must be a list of {count} fields")
    return cast("list[Field]", list(fields))


def _bytes(field: Field, name: str) -> bytes:
    if not isinstance(field, bytes):
        raise BadParamsError(f"the transaction's {name} must be bytes, not a list")
    return field


def _integer(field: Field, name: str, bound: int) -> int:
    data = _bytes(field, name)
    if data[:1] == b"\0":
        raise BadParamsError(f"the transaction's {name} has leading zeros")
    number = int.from_bytes(data, "big")
    if number >= bound:
        raise BadParamsError(f"the transaction's {name} is too large")
    return number


def _receiver(field: Field) -> bytes | None:
    to = _bytes(field, "to")
    if len(to) not in (0, 20):
        raise BadParamsError(f"the transaction's receiver has {len(to)} bytes instead of 20")
    return to or None


def _access_list(field: Field) -> AccessList:
    if isinstance(field, bytes):
        raise BadParamsError("the transaction's access list must be a list")
    entries = []
    for entry in field:
        if isinstance(entry, bytes) or len(entry) != 2 or isinstance(entry[1], bytes):
            raise BadParamsError("an entry of the access list must be an address and a list of slots")
        address, slots = _bytes(entry[0], "access list address"), [_bytes(slot, "access list slot") for slot in entry[1]]
        if len(address) != 20 or any(len(slot) != 32 for slot in slots):
            raise BadParamsError("the access list needs addresses of 20 bytes and slots of 32 bytes")
        entries.append((address, tuple(int.from_bytes(slot, "big") for slot in slots)))
    return tuple(entries)


def _require_type_4(to: Field, given: Field) -> None:
    if not to:
        raise RefusedTransactionError("a transaction of type 4 cannot create a contract")
    if not given:
        raise RefusedTransactionError("EIP-7702 transaction with empty auth list", hint="add an authorization, or send type 2")


def _authorizations(field: Field) -> tuple[Authorization, ...]:
    if isinstance(field, bytes):
        raise BadParamsError("the transaction's authorizations must be a list")
    return tuple(_authorization(entry) for entry in field)


def _authorization(entry: Field) -> Authorization:
    if isinstance(entry, bytes) or len(entry) != _AUTHORIZATION_FIELDS:
        raise BadParamsError(f"an authorization must be a list of {_AUTHORIZATION_FIELDS} fields")
    chain, address, nonce, y, r, s = entry
    target = _bytes(address, "authorized address")
    if len(target) != 20:
        raise BadParamsError("an authorization needs an address of 20 bytes")
    return signed_authorization(
        Authorization(
            _integer(chain, "authorization's chainId", _WORD), target, _integer(nonce, "authorization's nonce", _UINT64),
            _integer(y, "authorization's yParity", 2**8), _integer(r, "authorization's r", _WORD), _integer(s, "authorization's s", _WORD),
            authority=None,
        )
    )  # fmt: skip


def signed_authorization(given: Authorization) -> Authorization:
    """
    Find out who signed an authorization.

    Args:
        given: The authorization; its `authority` does not matter.

    Returns:
        The same with its authority; with none when the signature is not valid.

    Source: EIP-7702.
    """
    is_possible = given.parity < 2 and 0 < given.r < SECP256K1_ORDER and 0 < given.s <= SECP256K1_ORDER // 2
    if not is_possible:
        return given._replace(authority=None)
    unsigned = encode([number_bytes(given.chain_id), given.address, number_bytes(given.nonce)])
    try:
        return given._replace(authority=_recover(keccak(_AUTHORIZATION_MAGIC + unsigned), given.parity, given.r, given.s))
    except RefusedTransactionError:
        return given._replace(authority=None)


def _signature(r: Field, s: Field) -> tuple[int, int]:
    r_int, s_int = _integer(r, "r", _WORD), _integer(s, "s", _WORD)
    if not 0 < r_int < SECP256K1_ORDER or not 0 < s_int <= SECP256K1_ORDER // 2:
        raise RefusedTransactionError("invalid transaction v, r, s values: r or s is out of range")
    return r_int, s_int


def _recover(digest: bytes, parity: int, r: int, s: int) -> bytes:
    signature = r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes([parity])
    try:
        key = PublicKey.from_signature_and_message(signature, digest, hasher=None)
    except ValueError as error:  # coincurve: no point of the curve has this r
        raise RefusedTransactionError("invalid transaction v, r, s values: no key can have signed this") from error
    return keccak(key.format(compressed=False)[1:])[12:]
