"""Hashes that anyone can check: headers and roots against py-evm's header class and its Merkle trie."""

from __future__ import annotations

from dataclasses import replace

import pytest
import rlp
from eth.rlp.logs import Log as PeerLog
from eth.rlp.receipts import Receipt as PeerReceipt
from eth.vm.forks.prague.blocks import PragueBlockHeader
from eth_bloom import BloomFilter
from trie import HexaryTrie

from tests.support.devnet import ADDRESSES, CHAIN_ID, GWEI, KEYS, signed
from voisin.chain.devnet.engines.engine import BlockContext, Outcome
from voisin.chain.devnet.records.headers import block_size, commit_state, randao_of, seal_empty, seal_transaction
from voisin.chain.devnet.txcodec import decode_transaction
from voisin.chain.devnet.values import EMPTY_ACCOUNT, NO_CHANGES, Block, Changes, Header, Log

CONTEXT = BlockContext(7, 1_800_000_000, GWEI, 30_000_000, b"\xcb" * 20, randao_of(7), CHAIN_ID, ())
LOGS = (Log(b"\1" * 20, (b"\2" * 32, b"\3" * 32), b"data"), Log(b"\4" * 20, (), b""))
CHANGES = Changes({b"\1" * 20: EMPTY_ACCOUNT._replace(balance=5), b"\2" * 20: EMPTY_ACCOUNT._replace(nonce=1)}, {(b"\1" * 20, 3): 9}, {})
PARENT = seal_empty(replace(CONTEXT, number=6), None, changes=NO_CHANGES).header


def sealed(fields: dict[str, object], *, error: str | None = None) -> Block:
    tx = decode_transaction(signed(KEYS[0], 0, to=ADDRESSES[1], data=b"\1" * 70, **fields), chain_id=CHAIN_ID)
    outcome = Outcome(error, False, 43_210, 43_210, b"", () if error else LOGS, None, CHANGES)
    return seal_transaction(CONTEXT, PARENT, tx=tx, outcome=outcome)


def trie_root(*values: bytes) -> bytes:
    trie = HexaryTrie({})
    for index, value in enumerate(values):
        trie[rlp.encode(index)] = value
    return bytes(trie.root_hash)


def as_peer(header: Header) -> PragueBlockHeader:
    return PragueBlockHeader(
        difficulty=0, block_number=header.number, gas_limit=header.gas_limit, timestamp=header.timestamp, coinbase=header.coinbase,
        parent_hash=header.parent, state_root=header.state_root, transaction_root=header.transactions_root,
        receipt_root=header.receipts_root, bloom=int.from_bytes(header.bloom, "big"), gas_used=header.gas_used, mix_hash=header.randao,
        nonce=b"\0" * 8, base_fee_per_gas=header.base_fee,
    )  # fmt: skip


@pytest.mark.parametrize("error", [None, "out of gas"])
@pytest.mark.parametrize("fields", [{}, {"gasPrice": 2 * GWEI}, {"gasPrice": 2 * GWEI, "type": 1, "accessList": []}])
def test_block_with_a_transaction(fields: dict[str, object], error: str | None) -> None:
    block = sealed(fields, error=error)
    header, tx = block.header, block.transaction
    assert tx is not None
    assert header.hash == as_peer(header).hash
    assert header.transactions_root == trie_root(tx.raw)
    logs = [] if error else [PeerLog(log.address, [int.from_bytes(t, "big") for t in log.topics], log.data) for log in LOGS]
    receipt = rlp.encode(PeerReceipt(b"" if error else b"\1", 43_210, logs))
    assert header.receipts_root == trie_root((bytes([tx.kind]) if tx.kind else b"") + receipt)
    bloom = BloomFilter()
    for log in () if error else LOGS:
        bloom.extend([log.address, *log.topics])
    assert int.from_bytes(header.bloom, "big") == int(bloom)


def test_block_without_a_transaction() -> None:
    header = seal_empty(CONTEXT, PARENT, changes=NO_CHANGES).header
    assert header.hash == as_peer(header).hash
    assert header.transactions_root == header.receipts_root == trie_root()


@pytest.mark.parametrize("fields", [{}, {"gasPrice": 2 * GWEI}])
def test_size_of_a_block(fields: dict[str, object]) -> None:
    block = sealed(fields)
    assert block.transaction is not None
    raw = block.transaction.raw
    listed = rlp.decode(raw) if "gasPrice" in fields else raw
    assert block_size(block) == len(rlp.encode([rlp.decode(rlp.encode(as_peer(block.header))), [listed], [], []]))
    assert block_size(Block(PARENT)) == len(rlp.encode([rlp.decode(rlp.encode(as_peer(PARENT))), [], [], []]))


def test_commitment_depends_on_every_change_and_on_no_order() -> None:
    root = commit_state(b"\0" * 32, CHANGES)
    assert commit_state(b"\0" * 32, Changes(dict(reversed(CHANGES.accounts.items())), CHANGES.slots, {})) == root
    others = [
        commit_state(b"\1" * 32, CHANGES),
        commit_state(b"\0" * 32, Changes(CHANGES.accounts, {}, {})),
        commit_state(b"\0" * 32, Changes(CHANGES.accounts, {(b"\1" * 20, 3): 8}, {})),
        commit_state(b"\0" * 32, Changes(CHANGES.accounts, {(b"\1" * 20, 4): 9}, {})),
        commit_state(b"\0" * 32, Changes({**CHANGES.accounts, b"\1" * 20: EMPTY_ACCOUNT._replace(balance=6)}, CHANGES.slots, {})),
    ]
    assert len({root, *others}) == 6
