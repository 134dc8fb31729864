"""Transactions that came before their turn: each waits until the sender's nonce reaches it. Pure; the store keeps a copy."""

from __future__ import annotations

from collections.abc import Iterable

from voisin.chain.devnet.values import Transaction
from voisin.chain.devnet.wire.errors import LimitError, RefusedTransactionError

MAX_PER_SENDER = 64
MAX_TOTAL = 4096
MIN_RAISE_PERCENT = 10


class NonceQueue:
    """
    Waiting transactions by sender and nonce.

    Args:
        waiting: Those that a run of the node before has left.

    Source: the limits are geth's (`core/txpool/legacypool`).
    """

    def __init__(self, waiting: Iterable[Transaction] = ()) -> None:
        self._by_sender: dict[bytes, dict[int, Transaction]] = {}
        for tx in waiting:
            self._by_sender.setdefault(tx.sender, {})[tx.nonce] = tx

    def __len__(self) -> int:
        return sum(len(queue) for queue in self._by_sender.values())

    def add(self, tx: Transaction) -> None:
        """
        Let a transaction wait.

        Args:
            tx: A transaction whose nonce is above the sender's.

        Raises:
            RefusedTransactionError: It waits already, or another of its nonce does and this one does not pay 10 % more.
            LimitError: Too many wait.
        """
        queue = self._by_sender.get(tx.sender, {})
        old = queue.get(tx.nonce)
        if old is not None:
            if old.hash == tx.hash:
                raise RefusedTransactionError("already known")
            if not (_is_raised(old.max_fee, tx.max_fee) and _is_raised(old.priority_fee, tx.priority_fee)):
                raise RefusedTransactionError(f"replacement transaction underpriced: raise both fees by {MIN_RAISE_PERCENT} %")
        elif len(queue) >= MAX_PER_SENDER or len(self) >= MAX_TOTAL:
            raise LimitError("too many transactions wait for an earlier nonce", hint="send the missing nonce first")
        self._by_sender.setdefault(tx.sender, {})[tx.nonce] = tx

    def take(self, sender: bytes, nonce: int) -> Transaction | None:
        """
        Fetch the transaction whose turn it is.

        Args:
            sender: The sender.
            nonce: The sender's nonce now.

        Returns:
            The transaction, which no longer waits; None when none of this nonce waits.
        """
        queue = self._by_sender.get(sender)
        if queue is None:
            return None
        tx = queue.pop(nonce, None)
        if not queue:
            del self._by_sender[sender]
        return tx

    def all(self) -> tuple[Transaction, ...]:
        """
        List what waits.

        Returns:
            The transactions, by sender in order of arrival.
        """
        return tuple(tx for queue in self._by_sender.values() for tx in queue.values())

    def clear(self) -> None:
        """Forget all."""
        self._by_sender.clear()


def _is_raised(old: int, new: int) -> bool:
    return new * 100 >= old * (100 + MIN_RAISE_PERCENT)
