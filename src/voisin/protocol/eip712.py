"""
Hashing and signing of orders as typed data (EIP-712).

Notation as in the specification: domain separator, struct hash, order hash (the digest that is signed, and the order's
name on the chain).

Source: poco-protocol.md 4.1, 4.3.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from functools import lru_cache
from typing import TypeVar

import msgspec

from voisin.protocol.hashing import keccak
from voisin.protocol.ids import Address, Hash32, OrderHash, from_hex, to_hex, uint_bytes
from voisin.protocol.orders import FIELDS, Order
from voisin.protocol.signatures import Signer

OrderT = TypeVar("OrderT", bound=Order)

_DOMAIN_TYPE = b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"


class Operation(IntEnum):
    """What an owner does to an order on the chain."""

    SIGN = 0
    CLOSE = 1


class Domain(msgspec.Struct, frozen=True, kw_only=True):
    """Which hub on which chain a signature is for."""

    chain_id: int
    hub: Address
    name: str = "iExecODB"
    version: str = "5.0.0"


@lru_cache(maxsize=64)
def domain_separator(domain: Domain) -> bytes:
    """Hash the domain; 32 bytes."""
    texts = keccak(_DOMAIN_TYPE) + keccak(domain.name.encode()) + keccak(domain.version.encode())
    return keccak(texts + uint_bytes(domain.chain_id) + from_hex(domain.hub).rjust(32, b"\0"))


def type_string(order_type: type) -> str:
    """Spell an order's EIP-712 type, for example `AppOrder(address app,...)`."""
    return f"{order_type.__name__}({','.join(f'{kind} {name}' for name, kind in FIELDS[order_type])})"


def struct_hash(order: Order) -> bytes:
    """Hash an order's fields, without the domain; 32 bytes."""
    words = "".join([_WORDS[kind](getattr(order, name)) for name, kind in FIELDS[type(order)]])
    return keccak(_order_type_hash(type(order)) + bytes.fromhex(words))


def order_hash(order: Order, domain: Domain) -> OrderHash:
    """Name an order: the digest that its owner signs, and the key of its consumed volume on the chain."""
    return OrderHash(Hash32(to_hex(_digest(domain, struct_hash(order)))))


def operation_hash(order: Order, operation: Operation, domain: Domain) -> Hash32:
    """Hash an order together with an operation on it: what an owner signs to let somebody else send the operation."""
    name = type(order).__name__
    kind = _type_hash(f"{name}Operation({name} order,uint256 operation){type_string(type(order))}")
    return Hash32(to_hex(_digest(domain, keccak(kind + struct_hash(order) + uint_bytes(operation)))))


def sign_order(order: OrderT, domain: Domain, signer: Signer) -> OrderT:
    """Answer the same order with `sign` set to the signer's signature."""
    signature = signer.sign_digest(from_hex(order_hash(order, domain)))
    return msgspec.structs.replace(order, sign=signature)


def _digest(domain: Domain, struct: bytes) -> bytes:
    return keccak(b"\x19\x01" + domain_separator(domain) + struct)


@lru_cache(maxsize=16)
def _type_hash(spelled: str) -> bytes:
    return keccak(spelled.encode())


@lru_cache(maxsize=16)
def _order_type_hash(order_type: type) -> bytes:
    return _type_hash(type_string(order_type))


_WORDS: dict[str, Callable[..., str]] = {
    "address": lambda text: "0" * 24 + text[2:],
    "bytes32": lambda text: text[2:],
    "string": lambda text: keccak(text.encode()).hex(),
    "uint256": lambda number: f"{number:064x}",
}
"""How a field, made canonical when its order was made, is written as the 32-byte word that EIP-712 hashes; in hex."""
