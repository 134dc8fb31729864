"""A ledger that does what only tests want of a chain: set the clock, change accounts by hand, go back, send without a signature."""

from __future__ import annotations

from dataclasses import replace

from eth_hash.auto import keccak

from voisin.chain.devnet.ledger import OFFSET_KEY, Ledger
from voisin.chain.devnet.records.headers import seal_empty
from voisin.chain.devnet.records.store import Snapshot
from voisin.chain.devnet.values import EMPTY_CODE_HASH, NO_CHANGES, Account, Changes, Transaction


class DevLedger(Ledger):
    """The chain of a developer; every change by hand is a block of its own, so that the past stays what it was."""

    def mine(self, timestamp: int | None = None) -> None:
        """
        Seal a block without a transaction.

        Args:
            timestamp: Its time [Unix s]; None takes the clock's.

        Raises:
            BadParamsError: The time lies before the latest block.
        """
        if timestamp is not None:
            self.set_next_timestamp(timestamp)
        self._append(seal_empty(self._context(), self.head, changes=NO_CHANGES), NO_CHANGES)

    # The clock.

    def increase_time(self, seconds: int) -> int:
        """
        Set the clock ahead.

        Args:
            seconds: How far [s].

        Returns:
            How far it is ahead of the wall clock in all [s].

        Raises:
            BadParamsError: It would go beyond what a block can hold.
        """
        self._clock.shift(seconds)
        self._keep_offset()
        return self._clock.offset_s

    def set_time(self, timestamp: int) -> int:
        """
        Set the clock, which goes on from there.

        Args:
            timestamp: What it shall show now [Unix s].

        Returns:
            How far it is ahead of the wall clock [s].

        Raises:
            BadParamsError: It lies before the latest block, or beyond what a block can hold.
        """
        self._clock.set(timestamp, not_before=self.head.timestamp)
        self._keep_offset()
        return self._clock.offset_s

    def set_next_timestamp(self, timestamp: int) -> None:
        """
        Set the time of the next block; the clock goes on from there.

        Args:
            timestamp: The time [Unix s].

        Raises:
            BadParamsError: It lies before the latest block.
        """
        self._clock.set_next(timestamp, not_before=self.head.timestamp)

    # Accounts.

    def set_account(self, address: bytes, *, balance: int | None = None, nonce: int | None = None, code: bytes | None = None) -> None:
        """
        Change an account by hand.

        Args:
            address: 20 bytes.
            balance: What it shall hold [wei]; None leaves it.
            nonce: Its transaction count; None leaves it.
            code: Its code; None leaves it.
        """
        old = self.state.account(address)
        code_hash = old.code_hash if code is None else keccak(code)
        new = Account(old.nonce if nonce is None else nonce, old.balance if balance is None else balance, code_hash)
        codes = {code_hash: code} if code is not None and code_hash != EMPTY_CODE_HASH else {}
        self._change(Changes({address: new}, {}, codes))

    def set_slot(self, address: bytes, slot: int, value: int) -> None:
        """
        Change a storage slot by hand.

        Args:
            address: 20 bytes.
            slot: Number of the slot.
            value: Its new value.
        """
        self._change(Changes({}, {(address, slot): value}, {}))

    def _change(self, changes: Changes) -> None:
        """Seal changes with the time of the block before: a time that was set is for the next transaction."""
        context = replace(self._context(), timestamp=self.head.timestamp)
        self._append(seal_empty(context, self.head, changes=changes), changes, is_clocked=False)

    # Transactions.

    def send_unsigned(self, tx: Transaction) -> bytes:
        """
        Take a transaction whose sender has not signed it, and may be a contract.

        Args:
            tx: The transaction.

        Returns:
            Its hash.

        Raises:
            RefusedTransactionError: No block may hold it; says why.
        """
        return self._admit(tx, self.state.account(tx.sender), code=b"")

    def waiting(self) -> tuple[Transaction, ...]:
        """
        List the transactions that wait for an earlier nonce.

        Returns:
            The transactions.
        """
        return self._queue.all()

    def drop(self, tx: Transaction) -> None:
        """
        Forget a transaction that waits.

        Args:
            tx: The transaction.
        """
        if self._queue.take(tx.sender, tx.nonce) is not None:
            self._store.drop_waiting(tx)

    # Going back.

    def snapshot(self) -> int:
        """
        Note the present to come back to.

        Returns:
            Number of the snapshot.
        """
        return self._store.add_snapshot(Snapshot(self.head.number, self._clock.offset_s))

    def revert(self, number: int) -> bool:
        """
        Go back to a snapshot; it and all later ones are used up, and no transaction waits any more.

        Args:
            number: Number of the snapshot.

        Returns:
            False when there is no such snapshot.
        """
        with self._store.together():
            snapshot = self._store.take_snapshot(number)
            if snapshot is None or snapshot.block > self.head.number:
                return False
            self._rewind(snapshot)
        self._begin_again(snapshot)
        return True

    def reset(self) -> None:
        """Go back to the genesis block and the wall clock's time, and forget all snapshots."""
        genesis = Snapshot(0, 0)
        with self._store.together():
            self._store.forget_snapshots()
            self._rewind(genesis)
        self._begin_again(genesis)

    def _rewind(self, snapshot: Snapshot) -> None:
        self._store.rewind(snapshot.block)
        self._store.set_setting(OFFSET_KEY, str(snapshot.offset_s).encode())

    def _begin_again(self, snapshot: Snapshot) -> None:
        self.recent.forget()
        head = self._store.head()
        assert head is not None
        self.head = head
        self.height = head.number
        self._ancestors = self._store.ancestors(head.number + 1)
        self._queue.clear()
        self._clock.reset(snapshot.offset_s)
