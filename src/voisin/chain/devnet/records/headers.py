"""
Headers of sealed blocks: a real Prague header whose hash anyone can check, with one liberty.

`state_root` is no Merkle root, because a flat state has no trie. It is a running commitment: the keccak-256 over the previous
commitment and the ordered changes of the block. Two nodes that replay the same transactions agree on the state exactly when they
agree on it. A block holds at most one transaction, so the other two roots are tries of at most one leaf.

Sources: the Yellow Paper, section 4.4 and appendix D; EIP-1559, EIP-4788, EIP-4844, EIP-4895, EIP-7685 for the later fields.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

from voisin.chain.devnet.engines.engine import BlockContext, Outcome
from voisin.chain.devnet.engines.hashing import keccak
from voisin.chain.devnet.records.rlp_reader import decode
from voisin.chain.devnet.records.rlp_writer import Item, encode, number_bytes
from voisin.chain.devnet.values import ZERO_HASH, Block, Changes, Header, Log, Receipt, Transaction

EMPTY_TRIE_ROOT = keccak(encode(b""))
NO_UNCLES_HASH = keccak(encode([]))
NO_REQUESTS_HASH = hashlib.sha256().digest()
HEADER_NONCE = b"\0" * 8
_ONE_LEAF_PATH = b"\x20\x80"
"""Hex-prefixed path of the leaf at key 0x80, the RLP of index 0: even length, terminated."""


def randao_of(number: int) -> bytes:
    """
    What PREVRANDAO returns in a block: the same for everybody, so no source of chance.

    Args:
        number: Height of the block.

    Returns:
        32 bytes.
    """
    return keccak(b"voisin devnet randao" + number.to_bytes(32, "big"))


def seal_empty(context: BlockContext, parent: Header | None, *, changes: Changes) -> Block:
    """
    Make a block without a transaction.

    Args:
        context: The block's place and time.
        parent: Header of the block before; None for the genesis block.
        changes: What the block changes all the same: the genesis allocation, or a balance set by hand.

    Returns:
        The sealed block.
    """
    return Block(_header(context, parent, changes=changes, bloom=logs_bloom(())))


def seal_transaction(context: BlockContext, parent: Header, *, tx: Transaction, outcome: Outcome) -> Block:
    """
    Make the block that holds one executed transaction.

    Args:
        context: The block it was executed in.
        parent: Header of the block before.
        tx: The transaction.
        outcome: What it did.

    Returns:
        The sealed block.
    """
    bloom = logs_bloom(outcome.logs)
    receipt = Receipt(outcome.error is None, outcome.gas_used, tx.price(context.base_fee), outcome.created, bloom, outcome.logs)
    roots = _Roots(one_leaf_root(tx.raw), one_leaf_root(_encode_receipt(tx, receipt)))
    return Block(_header(context, parent, changes=outcome.changes, bloom=bloom, gas_used=outcome.gas_used, roots=roots), tx, receipt)


class _Roots(NamedTuple):
    transactions: bytes
    receipts: bytes


_NO_ROOTS = _Roots(EMPTY_TRIE_ROOT, EMPTY_TRIE_ROOT)


def _header(
    context: BlockContext, parent: Header | None, *, changes: Changes, bloom: bytes, gas_used: int = 0, roots: _Roots = _NO_ROOTS
) -> Header:
    header = Header(
        number=context.number, hash=b"", parent=parent.hash if parent else ZERO_HASH, timestamp=context.timestamp,
        gas_limit=context.gas_limit, gas_used=gas_used, base_fee=context.base_fee, coinbase=context.coinbase,
        state_root=commit_state(parent.state_root if parent else ZERO_HASH, changes), transactions_root=roots.transactions,
        receipts_root=roots.receipts, bloom=bloom, randao=context.randao,
    )  # fmt: skip
    return replace(header, hash=header_hash(header))


def header_hash(header: Header) -> bytes:
    """
    Hash a header as the Prague fork encodes it.

    Args:
        header: The header; its own `hash` does not matter.

    Returns:
        The block's hash.
    """
    return keccak(encode(_header_fields(header)))


def block_size(block: Block) -> int:
    """
    Measure a block as it would travel.

    Args:
        block: The block.

    Returns:
        Size of its RLP: header, transactions, uncles, withdrawals [bytes].
    """
    tx = block.transaction
    transactions = [] if tx is None else [tx.raw if tx.kind else decode(tx.raw)]
    return len(encode([_header_fields(block.header), transactions, [], []]))


def _header_fields(header: Header) -> list[bytes]:
    return [
        header.parent, NO_UNCLES_HASH, header.coinbase, header.state_root, header.transactions_root, header.receipts_root,
        header.bloom, number_bytes(0), number_bytes(header.number), number_bytes(header.gas_limit), number_bytes(header.gas_used),
        number_bytes(header.timestamp), b"", header.randao, HEADER_NONCE, number_bytes(header.base_fee), EMPTY_TRIE_ROOT,
        number_bytes(0), number_bytes(0), ZERO_HASH, NO_REQUESTS_HASH,
    ]  # fmt: skip


def logs_bloom(logs: Iterable[Log]) -> bytes:
    """
    Build the filter over the addresses and topics of logs.

    Args:
        logs: Events.

    Returns:
        256 bytes.
    """
    bloom = 0
    for log in logs:
        bloom |= _bloom_bits(log.address)
        for topic in log.topics:
            bloom |= _bloom_bits(topic)
    return bloom.to_bytes(256)


@lru_cache(maxsize=4096)
def _bloom_bits(item: bytes) -> int:
    """The three bits of an address or topic. Source: the Yellow Paper, section 4.3.1."""
    digest = keccak(item)
    return sum({1 << (int.from_bytes(digest[at : at + 2]) & 2047) for at in (0, 2, 4)})


def one_leaf_root(value: bytes) -> bytes:
    """
    Root of a Merkle trie that holds one value at index 0.

    Args:
        value: The encoded transaction or receipt.

    Returns:
        32 bytes.
    """
    return keccak(encode([_ONE_LEAF_PATH, value]))


def commit_state(previous: bytes, changes: Changes) -> bytes:
    """
    Carry the running commitment to the state one block further.

    Args:
        previous: Commitment of the block before; zeros for none.
        changes: What the block changes.

    Returns:
        32 bytes.
    """
    accounts: list[Item] = [
        [address, number_bytes(new.nonce), number_bytes(new.balance), new.code_hash] for address, new in sorted(changes.accounts.items())
    ]
    slots: list[Item] = [[address, number_bytes(slot), number_bytes(value)] for (address, slot), value in sorted(changes.slots.items())]
    return keccak(previous + encode([accounts, slots]))


def _encode_receipt(tx: Transaction, receipt: Receipt) -> bytes:
    logs: list[Item] = [[log.address, list(log.topics), log.data] for log in receipt.logs]
    body = encode([b"\x01" if receipt.is_success else b"", number_bytes(receipt.gas_used), receipt.bloom, logs])
    return bytes([tx.kind]) + body if tx.kind else body
