"""
The chain's SQLite file: its tables, how it is opened, and who may open it.

Numbers that may not fit into SQLite's 63 bits (balances, prices, slots) are big-endian blobs without leading zeros; slots and
topics have their full 32 bytes, because they are looked up.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from pathlib import Path

from voisin.errors import InputError, UnavailableError

SCHEMA_VERSION = 1
_APPLICATION_ID = 0x564F4943  # "VOIC"

_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE account (
    address BLOB PRIMARY KEY, nonce INTEGER NOT NULL, balance BLOB NOT NULL, code_hash BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE slot (
    address BLOB NOT NULL, slot BLOB NOT NULL, value BLOB NOT NULL, PRIMARY KEY (address, slot)
) WITHOUT ROWID;
CREATE TABLE code (hash BLOB PRIMARY KEY, code BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE undo_account (
    address BLOB NOT NULL, block INTEGER NOT NULL, nonce INTEGER NOT NULL, balance BLOB NOT NULL, code_hash BLOB NOT NULL,
    PRIMARY KEY (address, block)
) WITHOUT ROWID;
CREATE INDEX undo_account_block ON undo_account (block);
CREATE TABLE undo_slot (
    address BLOB NOT NULL, slot BLOB NOT NULL, block INTEGER NOT NULL, value BLOB NOT NULL,
    PRIMARY KEY (address, slot, block)
) WITHOUT ROWID;
CREATE INDEX undo_slot_block ON undo_slot (block);
CREATE TABLE block (
    number INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, parent BLOB NOT NULL, timestamp INTEGER NOT NULL,
    gas_limit INTEGER NOT NULL, gas_used INTEGER NOT NULL, base_fee BLOB NOT NULL, coinbase BLOB NOT NULL,
    state_root BLOB NOT NULL, transactions_root BLOB NOT NULL, receipts_root BLOB NOT NULL, bloom BLOB NOT NULL,
    randao BLOB NOT NULL
);
CREATE TABLE tx (
    block INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, sender BLOB NOT NULL, raw BLOB NOT NULL,
    is_success INTEGER NOT NULL, gas_used INTEGER NOT NULL, price BLOB NOT NULL, created BLOB
);
CREATE TABLE log (
    block INTEGER NOT NULL, idx INTEGER NOT NULL, address BLOB NOT NULL,
    topic0 BLOB, topic1 BLOB, topic2 BLOB, topic3 BLOB, data BLOB NOT NULL, PRIMARY KEY (block, idx)
) WITHOUT ROWID;
CREATE INDEX log_address ON log (address, block);
CREATE TABLE pending (
    sender BLOB NOT NULL, nonce BLOB NOT NULL, hash BLOB NOT NULL UNIQUE, raw BLOB NOT NULL, PRIMARY KEY (sender, nonce)
) WITHOUT ROWID;
CREATE TABLE snapshot (id INTEGER PRIMARY KEY AUTOINCREMENT, block INTEGER NOT NULL, offset_s INTEGER NOT NULL);
"""


class DatabaseLock:
    """
    The right of one process to write a chain's file, held until `release` or the end of the process.

    Args:
        path: The chain's file; the lock is a file next to it.

    Raises:
        UnavailableError: Another process holds it.
        InputError: The folder does not exist or cannot be written.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._file = os.open(path.with_name(path.name + "-lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise InputError(f"cannot write next to {path}: {error.strerror}", hint="choose a folder that can be written") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._file)
            raise UnavailableError(f"{path} is in use by another chain process", hint="stop it, or choose another file") from error

    def release(self) -> None:
        """Give the right back; the file stays, because unlinking it would let two later processes each lock their own."""
        os.close(self._file)


def open_writer(path: Path, *, is_durable: bool) -> sqlite3.Connection:
    """
    Open the chain's file for writing, and lay its tables if it is new.

    Args:
        path: The file; made if it does not exist.
        is_durable: Whether every block must survive a power cut, not just the end of the process; costs a disk sync a block.

    Returns:
        The connection; it may be used from any one thread at a time.

    Raises:
        InputError: The file is something else than a chain of this version.
    """
    connection = connect(path)
    try:
        has_tables = require_chain(connection, path)
    except InputError:
        connection.close()
        raise
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute(f"PRAGMA synchronous={'FULL' if is_durable else 'NORMAL'}")
    if not has_tables:
        connection.executescript(f"BEGIN; {_TABLES} PRAGMA application_id={_APPLICATION_ID}; PRAGMA user_version={SCHEMA_VERSION}; COMMIT;")
    return connection


def require_chain(connection: sqlite3.Connection, path: Path) -> bool:
    """
    Refuse a file that is something else than a chain of this version, or no whole database any more.

    Args:
        connection: Open on the file.
        path: The file, for messages.

    Returns:
        Whether its tables are laid; False for an empty file.

    Raises:
        InputError: It is refused.
    """
    try:
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        application, version = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version"))
    except sqlite3.Error as error:
        raise InputError(f"{path} cannot be opened as a chain: {error}", hint="choose another file") from error
    if tables and (application, version) != (_APPLICATION_ID, SCHEMA_VERSION):
        raise InputError(f"{path} is not a chain of this version of Voisin", hint="choose another file")
    return bool(tables)


def connect(path: Path) -> sqlite3.Connection:
    """
    Open a connection that begins and ends its transactions itself.

    Args:
        path: The chain's file.

    Returns:
        The connection.
    """
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=1.0)
