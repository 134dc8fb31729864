"""
Blobs as pinned blocks of an IPFS node, over its RPC interface (kubo).

A node holds blocks of others too, so which are ours stands in a SQLite file here; the node is never asked to look in the network.

Source: kubo, "RPC API v0": block/put, block/stat, block/rm, cat, pin/rm; the option `offline`.
"""

from __future__ import annotations

import sqlite3
import threading
import weakref
from collections.abc import Iterator
from http import HTTPStatus
from io import BufferedReader
from pathlib import Path

import httpx
import msgspec

from voisin.errors import InputError, TrustError, UnavailableError
from voisin.protocol.cid import Cid
from voisin.storage.backends import RangeFile

TIMEOUT_S = 60.0
_MISSING = ("not found", "could not find", "not pinned", "not stored")


class _Failure(msgspec.Struct, frozen=True):
    message: str = msgspec.field(name="Message", default="")


class _Block(msgspec.Struct, frozen=True):
    key: str = msgspec.field(name="Key")
    size: int = msgspec.field(name="Size")


class _MissingError(Exception):
    """The node does not have it."""


class IpfsNodeBackend:
    """
    Blobs on an IPFS node.

    Args:
        api_url: Address of the node's RPC interface, for example `http://127.0.0.1:5001`.
        ledger: The file of what is ours; created when missing.

    Raises:
        InputError: The address is not an HTTP one.
    """

    def __init__(self, api_url: str, ledger: Path) -> None:
        if not api_url.startswith(("http://", "https://")):
            raise InputError(f"{api_url!r} is not the address of an IPFS node", hint="give one that starts with http:// or https://")
        self._url = api_url.rstrip("/")
        self._http = httpx.Client(timeout=TIMEOUT_S)
        self._lock = threading.Lock()
        ledger.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(ledger, isolation_level=None, check_same_thread=False)
        self._closing = weakref.finalize(self, _close, self._http, self._db)
        self._db.execute("CREATE TABLE IF NOT EXISTS blobs (cid TEXT PRIMARY KEY, size INTEGER NOT NULL)")

    def close(self) -> None:
        """Close the connections and the file."""
        self._closing()

    def sizes(self) -> Iterator[tuple[Cid, int]]:
        """List what was put there from here."""
        with self._lock:
            rows = self._db.execute("SELECT cid, size FROM blobs").fetchall()
        for cid, size in rows:
            yield Cid(cid), size

    def size(self, cid: Cid) -> int | None:
        """Look a block of ours up."""
        with self._lock:
            is_ours = self._db.execute("SELECT 1 FROM blobs WHERE cid = ?", (cid,)).fetchone()
        if is_ours is None:
            return None
        try:
            return self._stat(cid)
        except _MissingError:
            return None

    def open(self, cid: Cid) -> BufferedReader:
        """Open a block; its bytes are fetched as they are read."""
        try:
            size = self._stat(cid)
        except _MissingError:
            raise FileNotFoundError(cid) from None
        return RangeFile(size, lambda start, stop: self._fetch(cid, start, stop)).buffered()

    def keep(self, file: Path, cid: Cid) -> None:
        """Put a block and pin it; it is in the ledger before, so that a crash leaves nothing there that nobody knows of."""
        with self._lock:
            self._db.execute("INSERT OR REPLACE INTO blobs VALUES (?, ?)", (cid, file.stat().st_size))
        with file.open("rb") as source:
            options = {"cid-codec": "raw", "mhtype": "sha2-256", "pin": "true", "allow-big-block": "true"}
            answer = self._call("block/put", options, files={"data": ("data", source, "application/octet-stream")})
        stored = _decoded(answer)
        if stored.key != cid:
            raise TrustError(f"the node at {self._url} stored {stored.key[:80]!r} in place of {cid}", hint="use another node")

    def delete(self, cid: Cid) -> None:
        """Unpin a block and remove it."""
        for command in ("pin/rm", "block/rm"):
            try:
                self._call(command, {"arg": cid})
            except _MissingError:
                continue
        with self._lock:
            self._db.execute("DELETE FROM blobs WHERE cid = ?", (cid,))

    def _stat(self, cid: Cid) -> int:
        return _decoded(self._call("block/stat", {"arg": cid})).size

    def _fetch(self, cid: Cid, start: int, stop: int) -> bytes:
        try:
            data = self._call("cat", {"arg": cid, "offset": str(start), "length": str(stop - start)})
        except _MissingError:
            raise UnavailableError(f"the node at {self._url} has lost {cid}", hint="store it again") from None
        if len(data) != stop - start:
            raise UnavailableError(f"the node at {self._url} sent {len(data)} of {stop - start} bytes of {cid}", hint="try again")
        return data

    def _call(self, command: str, options: dict[str, str], **body: dict[str, tuple[str, object, str]]) -> bytes:
        """Call the node; only it is asked, not the network behind it."""
        try:
            answer = self._http.post(f"{self._url}/api/v0/{command}", params={**options, "offline": "true"}, **body)  # type: ignore[arg-type]
        except httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
            raise UnavailableError(f"the IPFS node at {self._url} does not answer ({reason})", hint="check that it runs") from None
        if answer.status_code == HTTPStatus.OK:
            return answer.content
        try:
            message = msgspec.json.decode(answer.content, type=_Failure).message
        except msgspec.MsgspecError:
            message = f"status {answer.status_code}"
        if answer.status_code == HTTPStatus.NOT_FOUND or any(words in message for words in _MISSING):
            raise _MissingError(message)
        raise UnavailableError(f"the IPFS node at {self._url} refuses {command}: {message[:200]}", hint="check its settings")


def _decoded(answer: bytes) -> _Block:
    try:
        return msgspec.json.decode(answer, type=_Block)
    except msgspec.MsgspecError as error:
        raise UnavailableError(
            f"the IPFS node's answer is malformed: {error}", hint="check that its address is that of an IPFS node"
        ) from None


def _close(http: httpx.Client, ledger: sqlite3.Connection) -> None:
    http.close()
    ledger.close()
