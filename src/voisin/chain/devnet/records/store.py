"""
The one writer of the chain's file. Each sealed block is one SQLite transaction: after a crash it is there whole, or not at all.

Beside the new values every block leaves undo records, the values before it. They answer reads of the past, and take the chain back
to a snapshot.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from voisin.chain.devnet.engines.engine import StateReader
from voisin.chain.devnet.records.archive import read_header
from voisin.chain.devnet.records.schema import DatabaseLock, open_writer
from voisin.chain.devnet.records.state_views import CachedState, PastState, StoredState, number_blob, word_blob
from voisin.chain.devnet.values import Block, Changes, Header, Log, Transaction
from voisin.errors import UnavailableError

_ANCESTORS = 256


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A point to come back to: the height, and how far the clock was set ahead [s]."""

    block: int
    offset_s: int


class ChainStore:
    """
    State, blocks, waiting transactions and snapshots; used by one thread.

    Args:
        path: The chain's file; made if it does not exist.
        is_durable: Whether every block must survive a power cut.

    Raises:
        InputError: The file is not a chain of this version.
        UnavailableError: Another process uses it.
    """

    def __init__(self, path: Path, *, is_durable: bool = False) -> None:
        self._lock = DatabaseLock(path)
        try:
            self._connection = open_writer(path, is_durable=is_durable)
        except BaseException:
            self._lock.release()
            raise
        self.state = CachedState(StoredState(self._connection))

    def close(self) -> None:
        """Close the file and let others open it."""
        self._connection.close()
        self._lock.release()

    # Blocks.

    def head(self) -> Header | None:
        """
        Read the header of the latest block.

        Returns:
            The header; None before the genesis block is sealed.
        """
        row = self._connection.execute("SELECT max(number) FROM block").fetchone()
        return None if row[0] is None else self.header(row[0])

    def header(self, number: int) -> Header | None:
        """
        Read a header.

        Args:
            number: Height of the block.

        Returns:
            The header; None where there is no such block.
        """
        return read_header(self._connection, number)

    def number_of(self, block_hash: bytes) -> int | None:
        """
        Find a block by its hash.

        Args:
            block_hash: The hash.

        Returns:
            Its height; None where there is no such block.
        """
        row = self._connection.execute("SELECT number FROM block WHERE hash=?", (block_hash,)).fetchone()
        return None if row is None else int(row[0])

    def ancestors(self, number: int) -> tuple[bytes, ...]:
        """
        Read the hashes that a block can ask for.

        Args:
            number: Height of the block that asks.

        Returns:
            Hashes of at most 256 blocks before it, the parent first.
        """
        rows = self._connection.execute(
            "SELECT hash FROM block WHERE number BETWEEN ? AND ? ORDER BY number DESC", (number - _ANCESTORS, number - 1)
        )
        return tuple(row[0] for row in rows)

    def state_after(self, number: int) -> StateReader:
        """
        Give the state as a block left it.

        Args:
            number: Height of the block.

        Returns:
            The state; it must not be read once another block is sealed.
        """
        row = self._connection.execute("SELECT max(number) FROM block").fetchone()
        return self.state if number >= row[0] else PastState(self._connection, self.state, block=number)

    def seal(self, block: Block, changes: Changes) -> None:
        """
        Write a block and all that it changes.

        Args:
            block: The block that follows the head.
            changes: New values; the values before are read from the present state.

        Raises:
            UnavailableError: The file cannot be written; the chain stays as it was.
        """
        number = block.header.number
        with self._transaction() as connection:
            self._write_state(number, changes)
            _write_header(connection, block.header)
            if block.transaction is not None:
                _write_transaction(connection, block)
                connection.execute(
                    "DELETE FROM pending WHERE sender=? AND nonce<=?", (block.transaction.sender, word_blob(block.transaction.nonce))
                )
        self.state.apply(changes)

    def _write_state(self, number: int, changes: Changes) -> None:
        connection, state = self._connection, self.state
        old_accounts = [(address, state.account(address)) for address in changes.accounts]
        connection.executemany(
            "INSERT INTO undo_account VALUES (?,?,?,?,?)",
            [(a, number, old.nonce, number_blob(old.balance), old.code_hash) for a, old in old_accounts],
        )
        connection.executemany(
            "INSERT INTO undo_slot VALUES (?,?,?,?)", [(a, word_blob(s), number, number_blob(state.slot(a, s))) for a, s in changes.slots]
        )
        connection.executemany(
            "REPLACE INTO account VALUES (?,?,?,?)",
            [(a, new.nonce, number_blob(new.balance), new.code_hash) for a, new in changes.accounts.items()],
        )
        connection.executemany(
            "REPLACE INTO slot VALUES (?,?,?)", [(a, word_blob(s), number_blob(v)) for (a, s), v in changes.slots.items()]
        )
        connection.executemany("INSERT OR IGNORE INTO code VALUES (?,?)", list(changes.codes.items()))

    def rewind(self, number: int) -> None:
        """
        Take the chain back to a block.

        Args:
            number: Height of the block that becomes the head.

        Raises:
            UnavailableError: The file cannot be written; the chain stays as it was.
        """
        with self._transaction() as connection:
            connection.execute(
                "REPLACE INTO account SELECT address, nonce, balance, code_hash FROM undo_account AS u WHERE block>?1 AND block="
                "(SELECT min(block) FROM undo_account WHERE address=u.address AND block>?1)",
                (number,),
            )
            connection.execute(
                "REPLACE INTO slot SELECT address, slot, value FROM undo_slot AS u WHERE block>?1 AND block="
                "(SELECT min(block) FROM undo_slot WHERE address=u.address AND slot=u.slot AND block>?1)",
                (number,),
            )
            connection.execute("DELETE FROM undo_account WHERE block>?", (number,))
            connection.execute("DELETE FROM undo_slot WHERE block>?", (number,))
            connection.execute("DELETE FROM tx WHERE block>?", (number,))
            connection.execute("DELETE FROM log WHERE block>?", (number,))
            connection.execute("DELETE FROM block WHERE number>?", (number,))
            connection.execute("DELETE FROM pending")
        self.state.forget()

    # Waiting transactions.

    def waiting(self) -> list[tuple[bytes, bytes]]:
        """
        Read the transactions that wait for their nonce's turn.

        Returns:
            Sender and signed bytes of each, by sender and nonce.
        """
        return self._connection.execute("SELECT sender, raw FROM pending ORDER BY sender, nonce").fetchall()

    def keep_waiting(self, tx: Transaction) -> None:
        """
        Keep a transaction until its turn comes; one of the same sender and nonce is replaced.

        Args:
            tx: The transaction.
        """
        with self._transaction() as connection:
            connection.execute("REPLACE INTO pending VALUES (?,?,?,?)", (tx.sender, word_blob(tx.nonce), tx.hash, tx.raw))

    def drop_waiting(self, tx: Transaction) -> None:
        """
        Forget a transaction whose turn came in vain.

        Args:
            tx: The transaction.
        """
        with self._transaction() as connection:
            connection.execute("DELETE FROM pending WHERE hash=?", (tx.hash,))

    # Settings that live with the chain, and snapshots.

    def setting(self, key: str) -> bytes | None:
        """
        Read a setting.

        Args:
            key: Its name.

        Returns:
            Its value; None where it was never set.
        """
        row = self._connection.execute("SELECT value FROM meta WHERE key=?", (key,)).fetchone()
        return None if row is None else bytes(row[0])

    def set_setting(self, key: str, value: bytes) -> None:
        """
        Write a setting.

        Args:
            key: Its name.
            value: Its value.
        """
        with self._transaction() as connection:
            connection.execute("REPLACE INTO meta VALUES (?,?)", (key, value))

    def add_snapshot(self, snapshot: Snapshot) -> int:
        """
        Keep a point to come back to.

        Args:
            snapshot: The point.

        Returns:
            Its number; never given twice.
        """
        with self._transaction() as connection:
            cursor = connection.execute("INSERT INTO snapshot (block, offset_s) VALUES (?,?)", (snapshot.block, snapshot.offset_s))
        return int(cursor.lastrowid or 0)

    def take_snapshot(self, number: int) -> Snapshot | None:
        """
        Fetch a point and forget it together with all later ones.

        Args:
            number: As `add_snapshot` gave it.

        Returns:
            The point; None when it is not known (any more).
        """
        with self._transaction() as connection:
            row = connection.execute("SELECT block, offset_s FROM snapshot WHERE id=?", (number,)).fetchone()
            if row is not None:
                connection.execute("DELETE FROM snapshot WHERE id>=?", (number,))
        return None if row is None else Snapshot(*row)

    def forget_snapshots(self) -> None:
        """Forget all points to come back to."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM snapshot")

    @contextmanager
    def together(self) -> Iterator[None]:
        """Let all that is written inside be written together, or not at all."""
        with self._transaction():
            yield

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        connection = self._connection
        if connection.in_transaction:  # opened by `together`
            yield connection
            return
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise UnavailableError(f"the chain's file cannot be written: {error}", hint="check the disk's free space") from error
        except BaseException:
            connection.execute("ROLLBACK")
            raise


def _write_header(connection: sqlite3.Connection, header: Header) -> None:
    connection.execute(
        "INSERT INTO block VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
        (
            header.number, header.hash, header.parent, header.timestamp, header.gas_limit, header.gas_used, number_blob(header.base_fee),
            header.coinbase, header.state_root, header.transactions_root, header.receipts_root, header.bloom, header.randao,
        ),
    )  # fmt: skip


def _write_transaction(connection: sqlite3.Connection, block: Block) -> None:
    tx, receipt, number = block.transaction, block.receipt, block.header.number
    assert tx is not None
    assert receipt is not None
    connection.execute(
        "INSERT INTO tx VALUES (?,?,?,?,?,?,?,?)",
        (number, tx.hash, tx.sender, tx.raw, receipt.is_success, receipt.gas_used, number_blob(receipt.price), receipt.created),
    )
    connection.executemany(
        "INSERT INTO log VALUES (?,?,?,?,?,?,?,?)",
        [(number, index, log.address, *_four_topics(log), log.data) for index, log in enumerate(receipt.logs)],
    )


def _four_topics(log: Log) -> tuple[bytes | None, ...]:
    return (*log.topics, None, None, None, None)[:4]
