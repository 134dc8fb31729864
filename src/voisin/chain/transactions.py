"""
Transactions on the wire: fee-market transactions (type 2), signed for one chain.

Sources: EIP-1559 for the fields and their order; EIP-2718 for the envelope; the Ethereum yellow paper, appendix B, for RLP.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from voisin.protocol.hashing import keccak
from voisin.protocol.ids import Address, Hash32, from_hex, to_hex
from voisin.protocol.signatures import Signer
from voisin.units import Wei

_TYPE = b"\x02"
_SHORT = 55
_V_BASE = 27

RlpItem = bytes | int | Sequence["RlpItem"]


@dataclass(frozen=True, slots=True)
class Price:
    """
    What a transaction pays for gas.

    Attributes:
        max_fee: The most it pays in all [wei per gas].
        tip: The most of it that goes to the block's author [wei per gas].
    """

    max_fee: Wei
    tip: Wei

    def raised(self, percent: int) -> Price:
        """Raise both parts by so many percent, rounded up and by 1 wei at least."""
        return Price(_raised(self.max_fee, percent), _raised(self.tip, percent))

    def at_least(self, other: Price) -> Price:
        """Take the larger of each part."""
        return Price(max(self.max_fee, other.max_fee), max(self.tip, other.tip))


@dataclass(frozen=True, slots=True)
class Transaction:
    """
    A transaction before it is signed.

    Attributes:
        chain_id: The chain it is for.
        nonce: Its number among the sender's transactions.
        price: What it pays for gas.
        gas: Gas limit.
        to: Receiver; None creates a contract.
        value: Native coin sent along [wei].
        data: Calldata or creation code.
    """

    chain_id: int
    nonce: int
    price: Price
    gas: int
    to: Address | None
    value: Wei
    data: bytes


@dataclass(frozen=True, slots=True)
class SignedTransaction:
    """The bytes to send, as hex, and the transaction's hash."""

    raw: str
    hash: Hash32


def sign_transaction(transaction: Transaction, signer: Signer) -> SignedTransaction:
    """
    Sign a transaction.

    Args:
        transaction: The transaction.
        signer: The sender.

    Source: EIP-1559.
    """
    fields: list[RlpItem] = [
        transaction.chain_id,
        transaction.nonce,
        transaction.price.tip,
        transaction.price.max_fee,
        transaction.gas,
        from_hex(transaction.to) if transaction.to else b"",
        transaction.value,
        transaction.data,
        [],  # access list
    ]
    signature = from_hex(signer.sign_digest(keccak(_TYPE + rlp_encode(fields))))
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
    raw = _TYPE + rlp_encode([*fields, signature[64] - _V_BASE, r, s])
    return SignedTransaction(to_hex(raw), Hash32(to_hex(keccak(raw))))


def rlp_encode(item: RlpItem) -> bytes:
    """
    Encode bytes, numbers and lists of them as RLP.

    Args:
        item: What to encode; a number counts as its shortest big-endian bytes.

    Source: the Ethereum yellow paper, appendix B.
    """
    if isinstance(item, int):
        item = item.to_bytes((item.bit_length() + 7) // 8, "big")
    if isinstance(item, bytes):
        return item if len(item) == 1 and item[0] < 0x80 else _head(0x80, len(item)) + item
    body = b"".join(rlp_encode(part) for part in item)
    return _head(0xC0, len(body)) + body


def _head(base: int, length: int) -> bytes:
    if length <= _SHORT:
        return bytes([base + length])
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([base + _SHORT + len(size)]) + size


def _raised(amount: Wei, percent: int) -> Wei:
    return Wei(max(amount + 1, -(-amount * (100 + percent) // 100)))
