"""Transactions in one JSON batch: a block each, answers in order, and on a full disk all of them or none."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.devnet import ADDRESSES, CHAIN_ID, COIN, GWEI, KEYS, signed
from voisin.chain.devnet import DevnetSettings
from voisin.chain.devnet.engines.hashing import keccak
from voisin.chain.devnet.engines.jit import JitEngine
from voisin.chain.devnet.ledger import Ledger, LedgerRules
from voisin.chain.devnet.node import EmbeddedDevnet, serve_embedded
from voisin.chain.devnet.records.store import ChainStore
from voisin.chain.devnet.values import Block
from voisin.chain.devnet.wire.errors import RefusedTransactionError
from voisin.errors import UnavailableError

OWNERS = [bytes.fromhex(address[2:]) for address in ADDRESSES]


def transfer(nonce: int, *, who: int = 0, data: bytes = b"") -> bytes:
    """A transfer of 5 wei to the second account."""
    return signed(KEYS[who], nonce, to=ADDRESSES[1], value=5, gas=1_500_000, data=data)


@pytest.fixture
async def node() -> AsyncIterator[EmbeddedDevnet]:
    async with serve_embedded(DevnetSettings()) as node:
        yield node


async def answers(node: EmbeddedDevnet, *requests: tuple[str, object]) -> list[dict[str, Any]]:
    """Send a batch; give the answers."""
    batch = [{"jsonrpc": "2.0", "id": place, "method": method, "params": [given]} for place, (method, given) in enumerate(requests)]
    body = await node.answer(json.dumps(batch).encode())
    assert body is not None
    found: list[dict[str, Any]] = json.loads(body)
    assert [one["id"] for one in found] == list(range(len(requests)))
    return found


def sent(raw: bytes) -> tuple[str, str]:
    return "eth_sendRawTransaction", "0x" + raw.hex()


@pytest.mark.anyio
async def test_good_and_bad_transactions_in_a_row(node: EmbeddedDevnet) -> None:
    found = await answers(
        node,
        sent(transfer(0)),
        sent(transfer(0)),
        ("eth_sendRawTransaction", "rubbish"),
        sent(b"\x02rubbish"),
        sent(transfer(2)),
        sent(transfer(1)),
        ("eth_getBlockTransactionCountByNumber", "0x3"),
        sent(transfer(3)),
    )
    assert ["result" in one for one in found] == [True, False, False, False, True, True, True, True]
    assert "nonce too low" in found[1]["error"]["message"]
    assert found[6]["result"] == "0x1", "the one that had to wait was sealed when its turn came"
    assert await node.request("eth_blockNumber") == "0x4"
    for number in range(1, 5):
        block = await node.request("eth_getBlockByNumber", [hex(number), False])
        assert isinstance(block, dict)
        assert len(block["transactions"]) == 1  # type: ignore[arg-type]


@pytest.mark.anyio
async def test_long_batch_is_answered_whole(node: EmbeddedDevnet) -> None:
    found = await answers(node, *(sent(transfer(nonce)) for nonce in range(300)))
    assert all("result" in one for one in found)
    assert await node.request("eth_blockNumber") == hex(300)


class Chain:
    """A ledger without a node around it, and the blocks that it has announced."""

    def __init__(self, folder: Path) -> None:
        self.store = ChainStore(folder / "chain.sqlite")
        self.announced: list[Block] = []
        rules = LedgerRules(CHAIN_ID, GWEI, 30_000_000)
        balances = dict.fromkeys(OWNERS, 1_000 * COIN)
        self.ledger = Ledger(self.store, JitEngine(), rules=rules, allocation=balances, wall=time.time, on_block=self.announced.append)

    def limit_pages(self, more: int) -> None:
        """Let the file grow by so many pages and no further."""
        connection = self.store._connection  # no setting makes a disk full
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count={pages + more}")


def test_full_disk_takes_none_of_them_and_the_chain_goes_on(tmp_path: Path) -> None:
    chain = Chain(tmp_path)
    ledger, store = chain.ledger, chain.store
    ledger.send(transfer(0))
    ledger.send(transfer(9))  # waits
    before, balance = ledger.head, store.state.account(OWNERS[0]).balance
    chain.limit_pages(20)
    raws = [transfer(nonce, data=b"\1" * 30_000) for nonce in (1, 2, 3, 4)]
    with pytest.raises(UnavailableError, match="cannot be written"):
        ledger.send_together(raws, time_s=60)
    assert (ledger.head, ledger.height, store.head()) == (before, 1, before)
    assert store.state.account(OWNERS[0]).balance == balance
    assert len(chain.announced) == 1
    chain.limit_pages(10_000)
    assert ledger.send_together([*raws, transfer(5), transfer(6), transfer(7), transfer(8)], time_s=60)[-1] == keccak(transfer(8))
    assert ledger.height == 10, "the one that waited has had its turn"
    assert [block.header.number for block in chain.announced] == list(range(1, 11))
    assert all(block.header.parent == parent.header.hash for parent, block in zip(chain.announced, chain.announced[1:], strict=False))
    store.close()


def test_nothing_is_announced_before_it_is_written(tmp_path: Path) -> None:
    chain = Chain(tmp_path)
    seen: list[bool] = []
    chain.ledger._on_block = lambda _block: seen.append(chain.store._connection.in_transaction)
    chain.ledger.send_together([transfer(nonce) for nonce in range(3)], time_s=60)
    assert seen == [False] * 3
    chain.store.close()


def test_time_that_is_up_leaves_the_rest(tmp_path: Path) -> None:
    chain = Chain(tmp_path)
    found = chain.ledger.send_together([transfer(0), transfer(1)], time_s=0)
    assert len(found) == 1
    refused = chain.ledger.send_together([transfer(0)], time_s=0)
    assert isinstance(refused[0], RefusedTransactionError)
    chain.store.close()
