"""Transactions that come too early wait, are replaced only for more money, and cannot fill the memory."""

from __future__ import annotations

from dataclasses import replace

import pytest

from voisin.chain.devnet.nonce_queue import MAX_PER_SENDER, MAX_TOTAL, NonceQueue
from voisin.chain.devnet.values import Transaction
from voisin.chain.devnet.wire.errors import LimitError, RefusedTransactionError

TX = Transaction(
    kind=2, hash=b"h", raw=b"", sender=b"\7" * 20, chain_id=1, nonce=5, priority_fee=100, max_fee=1000, gas=21_000, to=None,
    value=0, data=b"", access_list=(), parity=0, r=1, s=1,
)  # fmt: skip


def test_each_is_taken_once_when_its_turn_comes() -> None:
    queue = NonceQueue([TX, replace(TX, nonce=6)])
    assert queue.take(TX.sender, 4) is None
    assert queue.take(b"\1" * 20, 5) is None
    assert queue.take(TX.sender, 5) == TX
    assert queue.take(TX.sender, 5) is None
    assert len(queue) == 1
    queue.clear()
    assert queue.take(TX.sender, 6) is None


def test_replacement_needs_a_tenth_more_of_both_fees() -> None:
    queue = NonceQueue([TX])
    other = replace(TX, hash=b"other")
    for cheap in (replace(other, max_fee=1099, priority_fee=110), replace(other, max_fee=1100, priority_fee=109), other):
        with pytest.raises(RefusedTransactionError, match="replacement transaction underpriced"):
            queue.add(cheap)
    with pytest.raises(RefusedTransactionError, match="already known"):
        queue.add(TX)
    better = replace(other, max_fee=1100, priority_fee=110)
    queue.add(better)
    assert (len(queue), queue.take(TX.sender, 5)) == (1, better)


def test_one_sender_cannot_fill_the_queue() -> None:
    queue = NonceQueue()
    for nonce in range(MAX_PER_SENDER):
        queue.add(replace(TX, nonce=nonce))
    with pytest.raises(LimitError, match="wait for an earlier nonce"):
        queue.add(replace(TX, nonce=MAX_PER_SENDER))
    queue.add(replace(TX, sender=b"\1" * 20))


def test_many_senders_cannot_fill_the_memory() -> None:
    queue = NonceQueue(replace(TX, sender=number.to_bytes(20, "big")) for number in range(MAX_TOTAL))
    with pytest.raises(LimitError):
        queue.add(TX)
    assert queue.take((0).to_bytes(20, "big"), 5) is not None
    queue.add(TX)
