"""Reading what was sealed: blocks, transactions, receipts, logs, and the state after any block, on a connection of its own."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from voisin.chain.devnet.engines.engine import StateReader
from voisin.chain.devnet.records.schema import connect
from voisin.chain.devnet.records.state_views import PastState, StoredState
from voisin.chain.devnet.txcodec import reread_transaction
from voisin.chain.devnet.values import Block, Header, Log, Receipt, Transaction
from voisin.chain.devnet.wire.errors import LimitError

_HEADER_COLUMNS = (
    "number, hash, parent, timestamp, gas_limit, gas_used, base_fee, coinbase, state_root, transactions_root, receipts_root, bloom, randao"
)
_MAX_TOPICS = 4


@dataclass(frozen=True, slots=True)
class LogQuery:
    """
    Which logs are asked for.

    Attributes:
        first: Lowest height.
        last: Highest height.
        addresses: Emitters; none means all.
        topics: For each position the values that fit; none means any, and the position need not exist.
    """

    first: int
    last: int
    addresses: frozenset[bytes] = frozenset()
    topics: tuple[frozenset[bytes], ...] = ()

    def matches(self, log: Log) -> bool:
        """
        Tell whether a log fits, its height aside.

        Args:
            log: The log.

        Returns:
            True when address and topics fit.
        """
        if self.addresses and log.address not in self.addresses:
            return False
        if len(self.topics) > len(log.topics):
            return False
        return all(not wanted or topic in wanted for wanted, topic in zip(self.topics, log.topics, strict=False))


@dataclass(frozen=True, slots=True)
class PlacedLog:
    """A log and where it stands: its block and the time of it [Unix s], its transaction, its index in the block."""

    log: Log
    block_number: int
    block_hash: bytes
    timestamp: int
    tx_hash: bytes
    index: int


def placed_logs(block: Block) -> list[PlacedLog]:
    """
    Say of each log of a block where it stands.

    Args:
        block: The block.

    Returns:
        Its logs in order.
    """
    if block.receipt is None or block.transaction is None:
        return []
    header, tx_hash = block.header, block.transaction.hash
    return [PlacedLog(log, header.number, header.hash, header.timestamp, tx_hash, index) for index, log in enumerate(block.receipt.logs)]


class Archive:
    """
    Reads the chain's file; used by one thread.

    Args:
        path: The chain's file.
    """

    def __init__(self, path: Path) -> None:
        self._connection = connect(path)
        self._connection.execute("PRAGMA query_only=1")
        self._stored = StoredState(self._connection)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    @contextmanager
    def one_moment(self) -> Iterator[None]:
        """Let all reads inside see the same chain, whatever is sealed meanwhile."""
        self._connection.execute("BEGIN")
        try:
            yield
        finally:
            self._connection.execute("COMMIT")

    def head_number(self) -> int:
        """
        Read the height of the chain.

        Returns:
            Height of the latest block.
        """
        return int(self._connection.execute("SELECT max(number) FROM block").fetchone()[0])

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

    def block(self, number: int) -> Block | None:
        """
        Read a block.

        Args:
            number: Its height.

        Returns:
            The block; None where there is none.
        """
        header = read_header(self._connection, number)
        return None if header is None else self._with_transaction(header)

    def headers(self, first: int, last: int) -> list[Header]:
        """
        Read headers.

        Args:
            first: Lowest height.
            last: Highest height.

        Returns:
            Those that exist, in order.
        """
        rows = self._connection.execute(f"SELECT {_HEADER_COLUMNS} FROM block WHERE number BETWEEN ? AND ? ORDER BY number", (first, last))  # noqa: S608 (a constant)
        return [_header(row) for row in rows]

    def transaction_hashes(self, first: int, last: int) -> list[bytes]:
        """
        Read the hashes of transactions.

        Args:
            first: Height of the first block.
            last: Height of the last block.

        Returns:
            Their hashes, in order.
        """
        rows = self._connection.execute("SELECT hash FROM tx WHERE block BETWEEN ? AND ? ORDER BY block", (first, last))
        return [row[0] for row in rows]

    def all_waiting(self) -> list[Transaction]:
        """
        Read all transactions that wait for their nonce's turn.

        Returns:
            The transactions, by sender and nonce.
        """
        rows = self._connection.execute("SELECT raw, sender FROM pending ORDER BY sender, nonce")
        return [reread_transaction(raw, sender=sender) for raw, sender in rows]

    def blocks_with(self, address: bytes, *, before: int, limit: int) -> list[int]:
        """
        Find the blocks whose transaction changed an address or its storage, or let it emit events.

        Args:
            address: 20 bytes.
            before: Height above all of them.
            limit: Most to give.

        Returns:
            Their heights, the highest first.
        """
        each = (
            "SELECT * FROM (SELECT DISTINCT tx.block FROM {0} JOIN tx ON tx.block={0}.block "
            "WHERE {0}.address=?1 AND {0}.block<?2 ORDER BY {0}.block DESC LIMIT ?3)"
        )
        query = " UNION ".join(each.format(table) for table in ("undo_account", "log", "undo_slot")) + " ORDER BY 1 DESC LIMIT ?3"
        return [row[0] for row in self._connection.execute(query, (address, before, limit))]

    def block_of(self, tx_hash: bytes) -> Block | None:
        """
        Find the block that holds a transaction.

        Args:
            tx_hash: Hash of the transaction.

        Returns:
            The block; None while no block holds it.
        """
        row = self._connection.execute("SELECT block FROM tx WHERE hash=?", (tx_hash,)).fetchone()
        return None if row is None else self.block(row[0])

    def waiting(self, tx_hash: bytes) -> Transaction | None:
        """
        Find a transaction that waits for its nonce's turn.

        Args:
            tx_hash: Hash of the transaction.

        Returns:
            The transaction; None when it does not wait.
        """
        row = self._connection.execute("SELECT raw, sender FROM pending WHERE hash=?", (tx_hash,)).fetchone()
        return None if row is None else reread_transaction(row[0], sender=row[1])

    def state_after(self, number: int) -> StateReader:
        """
        Give the state as a block left it.

        Args:
            number: Height of the block.

        Returns:
            The state.
        """
        return self._stored if number >= self.head_number() else PastState(self._connection, self._stored, block=number)

    def logs(self, query: LogQuery, *, limit: int) -> list[PlacedLog]:
        """
        Find logs.

        Args:
            query: What is asked for.
            limit: Most logs to give.

        Returns:
            The logs in order.

        Raises:
            LimitError: There are more; says which heights would fit.
        """
        where, values = _conditions(query)
        rows = self._connection.execute(
            "SELECT log.block, block.hash, block.timestamp, tx.hash, log.idx, log.address, topic0, topic1, topic2, topic3, data FROM log "  # noqa: S608 (conditions are placeholders)
            f"JOIN block ON block.number=log.block JOIN tx ON tx.block=log.block WHERE {where} ORDER BY log.block, log.idx LIMIT ?",
            (*values, limit + 1),
        ).fetchall()
        if len(rows) > limit:
            fits = max(query.first, rows[-1][0] - 1)
            raise LimitError(f"query returned more than {limit} results", hint=f"ask for blocks {hex(query.first)} to {hex(fits)} first")
        return [PlacedLog(Log(row[5], tuple(topic for topic in row[6:10] if topic is not None), row[10]), *row[:5]) for row in rows]

    def _with_transaction(self, header: Header) -> Block:
        row = self._connection.execute(
            "SELECT raw, sender, is_success, gas_used, price, created FROM tx WHERE block=?", (header.number,)
        ).fetchone()
        if row is None:
            return Block(header)
        raw, sender, is_success, gas_used, price, created = row
        logs = self._connection.execute(
            "SELECT address, topic0, topic1, topic2, topic3, data FROM log WHERE block=? ORDER BY idx", (header.number,)
        )
        receipt = Receipt(
            is_success=bool(is_success), gas_used=gas_used, price=int.from_bytes(price, "big"), created=created, bloom=header.bloom,
            logs=tuple(Log(log[0], tuple(topic for topic in log[1:5] if topic is not None), log[5]) for log in logs),
        )  # fmt: skip
        return Block(header, reread_transaction(raw, sender=sender), receipt)


def read_header(connection: sqlite3.Connection, number: int) -> Header | None:
    """
    Read a header.

    Args:
        connection: A connection used by this thread only.
        number: Height of the block.

    Returns:
        The header; None where there is no such block.
    """
    row = connection.execute(f"SELECT {_HEADER_COLUMNS} FROM block WHERE number=?", (number,)).fetchone()  # noqa: S608 (a constant)
    return None if row is None else _header(row)


_HeaderRow = tuple[int, bytes, bytes, int, int, int, bytes, bytes, bytes, bytes, bytes, bytes, bytes]


def _header(row: _HeaderRow) -> Header:
    return Header(*row[:6], int.from_bytes(row[6], "big"), *row[7:])


def _conditions(query: LogQuery) -> tuple[str, Sequence[int | bytes]]:
    parts = ["log.block BETWEEN ? AND ?"]
    values: list[int | bytes] = [query.first, query.last]
    for column, wanted in [("log.address", query.addresses), *((f"topic{i}", topics) for i, topics in enumerate(query.topics))]:
        if wanted:
            parts.append(f"{column} IN ({','.join('?' * len(wanted))})")
            values += sorted(wanted)
    if query.topics and len(query.topics) <= _MAX_TOPICS:
        parts.append(f"topic{len(query.topics) - 1} IS NOT NULL")
    return " AND ".join(parts), values
