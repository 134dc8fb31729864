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

from eth_bloom.bloom import BloomFilter
from eth_hash.auto import keccak
from rlp import decode as rlp_decode
from rlp.codec import encode_raw

from voisin.chain.devnet.engine import BlockContext, Outcome
from voisin.chain.devnet.values import ZERO_HASH, Block, Changes, Header, Log, Receipt, Transaction

EMPTY_TRIE_ROOT = keccak(encode_raw(b""))
NO_UNCLES_HASH = keccak(encode_raw([]))
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
    header = replace(
        _header(context, parent, changes=outcome.changes, bloom=bloom),
        gas_used=outcome.gas_used,
        transactions_root=one_leaf_root(tx.raw),
        receipts_root=one_leaf_root(_encode_receipt(tx, receipt)),
    )
    return Block(replace(header, hash=header_hash(header)), tx, receipt)


def _header(context: BlockContext, parent: Header | None, *, changes: Changes, bloom: bytes) -> Header:
    header = Header(
        number=context.number, hash=b"", parent=parent.hash if parent else ZERO_HASH, timestamp=context.timestamp,
        gas_limit=context.gas_limit, gas_used=0, base_fee=context.base_fee, coinbase=context.coinbase,
        state_root=commit_state(parent.state_root if parent else ZERO_HASH, changes), transactions_root=EMPTY_TRIE_ROOT,
        receipts_root=EMPTY_TRIE_ROOT, bloom=bloom, randao=context.randao,
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
    return bytes(keccak(encode_raw(_header_fields(header))))


def block_size(block: Block) -> int:
    """
    Measure a block as it would travel.

    Args:
        block: The block.

    Returns:
        Size of its RLP: header, transactions, uncles, withdrawals [bytes].
    """
    tx = block.transaction
    transactions = [] if tx is None else [tx.raw if tx.kind else rlp_decode(tx.raw)]
    return len(encode_raw([_header_fields(block.header), transactions, [], []]))


def _header_fields(header: Header) -> list[bytes]:
    return [
        header.parent, NO_UNCLES_HASH, header.coinbase, header.state_root, header.transactions_root, header.receipts_root,
        header.bloom, _integer(0), _integer(header.number), _integer(header.gas_limit), _integer(header.gas_used),
        _integer(header.timestamp), b"", header.randao, HEADER_NONCE, _integer(header.base_fee), EMPTY_TRIE_ROOT,
        _integer(0), _integer(0), ZERO_HASH, NO_REQUESTS_HASH,
    ]  # fmt: skip


def logs_bloom(logs: Iterable[Log]) -> bytes:
    """
    Build the filter over the addresses and topics of logs.

    Args:
        logs: Events.

    Returns:
        256 bytes.
    """
    bloom = BloomFilter()
    for log in logs:
        bloom.extend((log.address, *log.topics))
    return int(bloom).to_bytes(256, "big")


def one_leaf_root(value: bytes) -> bytes:
    """
    Root of a Merkle trie that holds one value at index 0.

    Args:
        value: The encoded transaction or receipt.

    Returns:
        32 bytes.
    """
    return bytes(keccak(encode_raw([_ONE_LEAF_PATH, value])))


def commit_state(previous: bytes, changes: Changes) -> bytes:
    """
    Carry the running commitment to the state one block further.

    Args:
        previous: Commitment of the block before; zeros for none.
        changes: What the block changes.

    Returns:
        32 bytes.
    """
    accounts = [[address, _integer(a.nonce), _integer(a.balance), a.code_hash] for address, a in sorted(changes.accounts.items())]
    slots = [[address, _integer(slot), _integer(value)] for (address, slot), value in sorted(changes.slots.items())]
    return bytes(keccak(previous + encode_raw([accounts, slots])))


def _encode_receipt(tx: Transaction, receipt: Receipt) -> bytes:
    logs = [[log.address, list(log.topics), log.data] for log in receipt.logs]
    body = encode_raw([b"\x01" if receipt.is_success else b"", _integer(receipt.gas_used), receipt.bloom, logs])
    return bytes([tx.kind]) + body if tx.kind else bytes(body)


def _integer(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")
