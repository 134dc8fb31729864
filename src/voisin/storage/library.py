"""
Files, folders and blobs over a store of blocks, and who is reading or adding which of them now.

All methods block; the service calls them from threads.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256

from voisin.errors import InputError, TrustError, UnavailableError
from voisin.protocol.cid import Cid, cid_of, digest_of
from voisin.protocol.dagpb import MAX_NODE_BYTES, Link
from voisin.protocol.ipld import Codec, Name
from voisin.protocol.unixfs import Entry, Kind, read_entry
from voisin.protocol.walk import FileWalk
from voisin.storage.catalog import Catalog, Keep
from voisin.storage.faults import ContentMissingError
from voisin.storage.store import CHUNK_BYTES, BlobStore

TOUCH_EVERY_S = 3_600.0
"""How exactly the time of the last reading is remembered [s]."""
_CATALOG = "catalog.db"


@dataclass(frozen=True, slots=True)
class Found:
    """
    Something that can be handed out.

    Attributes:
        name: Its block; the codec is the one under which it is read.
        size: How many bytes it has, as its root says; 0 for a folder.
        folder: What is in it; None for a file.
    """

    name: Name
    size: int
    folder: Entry | None = None


class Library:
    """
    What a storage holds.

    Args:
        store: Where the blocks are.
        now: The clock [Unix s].
    """

    def __init__(self, store: BlobStore, *, now: Callable[[], float] = time.time) -> None:
        self.store = store
        self.now = now
        self.catalog = Catalog(store.folder / _CATALOG)
        self.catalog.reconcile(((digest_of(cid), size) for cid, size in store.sizes()), now())
        self.has_orphans = True
        self._lock = threading.Lock()
        self._readers: Counter[bytes] = Counter()
        self._adding: dict[object, float] = {}

    def close(self) -> None:
        """Close the catalog."""
        self.catalog.close()

    def resolve(self, name: Name) -> Name:
        """
        Say how a block is to be read: as it was stored, whatever the name says.

        A name loses its codec on its way through an address on the chain, so a block that was only ever stored as raw bytes is read as
        raw bytes under the name of a node too. Under a raw name every block is its bytes.

        Raises:
            ContentMissingError: It is not here.
        """
        is_node = self.catalog.is_node(name.digest)
        if is_node is None and not self.store.has(name.cid):
            raise missing(name)
        return name if is_node or name.codec is Codec.RAW else Name(name.digest, Codec.RAW)

    def find(self, name: Name, path: Sequence[str] = ()) -> Found:
        """
        Find a file or folder.

        Args:
            name: Where to start.
            path: Names of folders and at last of the file.

        Raises:
            ContentMissingError: It is not here.
            InputError: On the way there is something else than a folder.
        """
        at = self.resolve(name)
        for part in path:
            entry = self.entry(at) if at.codec is Codec.DAG_PB else None
            if entry is None or entry.kind is not Kind.FOLDER:
                raise InputError(f"{at} is not a folder", hint="shorten the path")
            link = next((link for link in entry.links if link.label == part), None)
            if link is None:
                raise ContentMissingError(f"there is no {part[:80]!r} in the folder {at}", hint="list the folder to see what is")
            at = link.name
        if at.codec is Codec.RAW:
            return Found(at, self.store.size(at.cid))
        entry = self.entry(at)
        return Found(at, 0, entry) if entry.kind is Kind.FOLDER else Found(at, entry.size)

    def entry(self, name: Name) -> Entry:
        """
        Read a node.

        Raises:
            ContentMissingError: It is not here.
            InputError: It is no part of a file or folder.
            TrustError: The disk has changed it.
        """
        return read_entry(self.block(name))

    def block(self, name: Name) -> bytes:
        """
        Read a block of a file or folder whole, and check its hash.

        Raises:
            ContentMissingError: It is not here.
            InputError: It is too long for one.
            TrustError: The disk has changed it.
        """
        size = self.store.size(name.cid)
        if size > MAX_NODE_BYTES:
            raise InputError(f"{name} has {size} bytes, too many for a part of a file", hint="fetch it as a blob of its own")
        return self.store.read(name.cid)

    def stream(self, name: Name, start: int, stop: int) -> Iterator[bytes]:
        """
        Read a file or blob piece by piece; while that goes on, nothing of it is deleted.

        Every block is held against its hash before it is handed out; a blob that is read whole, before its last piece is.

        Yields:
            Its bytes from `start` to before `stop`, never more.

        Raises:
            ContentMissingError: A block is not here.
            InputError: It is no file.
            TrustError: A block is broken, or lies about its length.
        """
        with self.reading(name.digest):
            yield from self._blob(name.cid, start, stop) if name.codec is Codec.RAW else self._file(name, start, stop)

    def put(self, block: bytes, name: Name, links: Iterable[Link] = ()) -> None:
        """
        Store a block, as a part of what is being added (see `adding`).

        Raises:
            StorageFullError: There is no room.
            ContentTooLargeError: It is too long.
        """
        self.note(name, len(block), links)
        self.store.put_bytes(block)

    def put_blobs(self, blobs: Sequence[bytes], keep: Keep) -> list[Cid]:
        """
        Store several small blobs and keep them; one that is there already is not written again.

        Args:
            blobs: The bytes of each.
            keep: Why they are kept.

        Returns:
            Their identifiers.

        Raises:
            StorageFullError: There is no room.
            ContentTooLargeError: One is too long.
            UnavailableError: One has been deleted meanwhile.
        """
        by_cid = {cid_of(blob): blob for blob in blobs}
        names = {cid: Name(digest_of(cid), Codec.RAW) for cid in by_cid}
        with self.adding():
            self._note_all([(name, len(by_cid[cid])) for cid, name in names.items()])
            self.store.put_many([blob for cid, blob in by_cid.items() if not self.store.has(cid)])
            with self._lock:
                for name in names.values():
                    if not self.store.has(name.cid):
                        raise UnavailableError(f"{name} was deleted while it was stored", hint="store it again")
                self.catalog.keep_all(list(names.values()), keep, self.now())
        return [cid_of(blob) for blob in blobs]

    def _note_all(self, blobs: Sequence[tuple[Name, int]]) -> None:
        with self._lock:
            self.catalog.note_all(blobs, self.now())

    def note(self, name: Name, size: int, links: Iterable[Link] = ()) -> None:
        """Write a block down that is stored, or will be at once; the sweeper leaves it alone as long as its adding goes on."""
        with self._lock:
            self.catalog.note(name, size, (link.name.digest for link in links), self.now())

    def keep(self, name: Name, keep: Keep) -> None:
        """
        Keep a root for a reason.

        Raises:
            UnavailableError: It has been deleted meanwhile.
        """
        with self._lock:
            if not self.store.has(name.cid):
                raise UnavailableError(f"{name} was deleted while it was stored", hint="store it again")
            self.catalog.keep(name, keep, self.now())

    @contextmanager
    def adding(self) -> Iterator[None]:
        """Let the sweeper leave alone what is stored from now on, until it is kept."""
        token = object()
        with self._lock:
            self._adding[token] = self.now()
        try:
            yield
        except BaseException:
            self.has_orphans = True
            raise
        finally:
            with self._lock:
                del self._adding[token]

    @contextmanager
    def reading(self, digest: bytes) -> Iterator[None]:
        """Keep a block, and what hangs below it, from being deleted."""
        with self._lock:
            self._readers[digest] += 1
        try:
            self.catalog.touch(digest, self.now(), TOUCH_EVERY_S)
            yield
        finally:
            with self._lock:
                self._readers[digest] -= 1
                if not self._readers[digest]:
                    del self._readers[digest]

    def let_go(self, digest: bytes) -> bool:
        """Stop keeping a root, unless somebody is reading it; tells whether that was done."""
        with self._lock:
            if digest in self._readers:
                return False
            self.catalog.forget_root(digest)
            return True

    def horizon(self) -> float:
        """Since when blocks may belong to something that is being added [Unix s]."""
        with self._lock:
            return min(self._adding.values(), default=self.now())

    def delete_orphan(self, digest: bytes, before: float) -> int | None:
        """
        Delete a block, if it is nobody's.

        Args:
            digest: The block.
            before: The horizon [Unix s].

        Returns:
            How many bytes that freed; None when it is still somebody's, is being read, or may be a part of what is being added.
        """
        name = Name(digest, Codec.RAW)
        with self._lock:
            if digest in self._readers or not self.catalog.is_orphan(digest, before):
                self.has_orphans = True  # perhaps; the next sweep looks
                return None
            size = self.store.size(name.cid) if self.store.has(name.cid) else 0
            self.store.delete(name.cid)
            self.catalog.forget_block(digest)
            return size

    def _file(self, name: Name, start: int, stop: int) -> Iterator[bytes]:
        walk = FileWalk(name, start, stop)
        while (wanted := walk.wanted()) is not None:
            if data := walk.feed(self.block(wanted.name)):
                yield data

    def _blob(self, cid: Cid, start: int, stop: int) -> Iterator[bytes]:
        is_whole = start == 0 and stop == self.store.size(cid)
        hasher, held = sha256(), b""
        with self.store.open(cid) as file:
            file.seek(start)
            while start < stop and (chunk := file.read(min(CHUNK_BYTES, stop - start))):
                start += len(chunk)
                if held:
                    yield held
                held = chunk
                if is_whole:
                    hasher.update(chunk)
        if is_whole and hasher.digest() != digest_of(cid):
            raise TrustError(f"the stored bytes of {cid} are damaged", hint="store them again")
        if held:
            yield held


def missing(name: Name) -> ContentMissingError:
    """Say that a block is not here."""
    return ContentMissingError(f"{name} is not stored here", hint="check the identifier, or store the bytes first")
