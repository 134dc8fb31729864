"""A block that somebody else made, on its way into the library."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack
from types import TracebackType
from typing import Self

from voisin.errors import InputError
from voisin.protocol.cid import digest_of
from voisin.protocol.dagpb import Link, decode_node
from voisin.protocol.ipld import Codec, Name
from voisin.storage.catalog import Keep
from voisin.storage.faults import ContentTooLargeError
from voisin.storage.library import Library
from voisin.storage.writing import BlobWriter


class BlockPut:
    """
    The one file of `block/put`; use it as a context manager. Without `finish` nothing of it is kept.

    Args:
        library: Where it goes.
        codec: How the block is read.
        version: Of its name.
        max_bytes: How long it may be; None for as long as a blob.
    """

    def __init__(self, library: Library, codec: Codec, version: int, *, max_bytes: int | None) -> None:
        self._library, self._codec, self._version, self._max_bytes = library, codec, version, max_bytes
        self._writer: BlobWriter | None = None
        self._node = bytearray()
        self._stack = ExitStack()
        self._session: AbstractContextManager[None] = library.adding()

    def __enter__(self) -> Self:
        self._stack.enter_context(self._session)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.__exit__(kind, error, trace)

    def start_file(self, path: str) -> None:  # noqa: ARG002  (a block has no path)
        """
        Begin the block.

        Raises:
            InputError: It is the second.
        """
        if self._writer is not None:
            raise InputError("there are several blocks", hint="put one block at a time")
        self._writer = self._stack.enter_context(self._library.store.writer())

    def write(self, data: bytes) -> None:
        """
        Take more of it.

        Raises:
            ContentTooLargeError: It is too long.
            StorageFullError: There is no room.
        """
        assert self._writer is not None
        if self._max_bytes is not None and self._writer.size + len(data) > self._max_bytes:
            raise ContentTooLargeError(
                f"it is larger than {self._max_bytes} bytes", hint="cut it, or give allow-big-block=true for raw bytes"
            )
        self._writer.write(data)
        if self._codec is Codec.DAG_PB:
            self._node += data

    def end_file(self) -> None:
        """Nothing: the block ends with the form."""

    def add_folder(self, path: str) -> None:  # noqa: ARG002
        """
        Refuse it.

        Raises:
            InputError: Always.
        """
        raise InputError("a folder is no block", hint="put one block of bytes")

    def finish(self, keep: Keep) -> tuple[Name, int]:
        """
        Store the block.

        Args:
            keep: Why it is kept.

        Returns:
            Its name and length [bytes].

        Raises:
            InputError: There is none, or it is no node though it should be.
            UnavailableError: It was deleted meanwhile.
        """
        if self._writer is None:
            raise InputError("there is no block", hint="send it as the file of a multipart form")
        links: tuple[Link, ...] = decode_node(bytes(self._node)).links if self._codec is Codec.DAG_PB else ()
        name = Name(digest_of(self._writer.commit()), self._codec, self._version)
        self._library.note(name, self._writer.size, links)
        self._library.keep(name, keep)
        return name, self._writer.size
