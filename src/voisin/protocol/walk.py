"""
Reading a file out of its tree of blocks, from any byte on, without trusting a block.

The walk asks for one block at a time and is given it; it does no input or output itself, so that the gateway walks through its own
store and the client through somebody else's. It holds the links along one path, nothing more.

A tree may be hostile: what a node says about the sizes below is held against what is found below, parts of no length are never
visited, and depth is limited, so that every visited block gives at least one byte of the file or ends the walk.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from voisin.errors import InputError, TrustError
from voisin.protocol.ipld import Codec, Name
from voisin.protocol.unixfs import Kind, read_entry

MAX_DEPTH: Final = 16


@dataclass(frozen=True, slots=True)
class Wanted:
    """
    A block that a walk asks for.

    Attributes:
        name: The block.
        size: How much of the file must hang on it [bytes]; None for the root, which says it itself.
        start: Where that begins in the file [bytes].
        depth: How far below the root it is.
    """

    name: Name
    size: int | None
    start: int = 0
    depth: int = 0


class FileWalk:
    """
    A walk along a file's bytes.

    Args:
        root: The file.
        start: The first byte that is wanted.
        stop: The byte after the last; None for the end.
    """

    def __init__(self, root: Name, start: int = 0, stop: int | None = None) -> None:
        self._start = start
        self._stop = stop
        self._stack = [Wanted(root, None)]

    def wanted(self) -> Wanted | None:
        """Give the block that is wanted next; None at the end."""
        return self._stack[-1] if self._stack else None

    def feed(self, block: bytes) -> bytes:
        """
        Take the wanted block, whose hash the caller has checked.

        Returns:
            The next of the wanted bytes; none where the block only leads on.

        Raises:
            InputError: The block is no part of a file, or the tree is too deep.
            TrustError: The block is not as long as the block above it said.
        """
        wanted = self._stack.pop()
        if wanted.name.codec is Codec.RAW:
            data, size = block, len(block)
        else:
            data, size = self._open(block, wanted)
        if wanted.size is not None and size != wanted.size:
            raise TrustError(
                f"{wanted.name} has {size} bytes of the file where {wanted.size} should be", hint="the file is broken; add it anew"
            )
        return data[max(0, self._start - wanted.start) : self._end(wanted.start)]

    def _open(self, block: bytes, wanted: Wanted) -> tuple[bytes, int]:
        entry = read_entry(block)
        if entry.kind not in (Kind.FILE, Kind.RAW):
            raise InputError(f"{wanted.name} is a {entry.kind.name.lower()}, not a file", hint="name a file inside it")
        if wanted.depth >= MAX_DEPTH and entry.links:
            raise InputError(f"the file is more than {MAX_DEPTH} levels deep")
        at = wanted.start + len(entry.data)
        below: list[Wanted] = []
        for link, size in zip(entry.links, entry.sizes, strict=True):
            if size and at + size > self._start and (self._stop is None or at < self._stop):
                below.append(Wanted(link.name, size, at, wanted.depth + 1))
            at += size
        self._stack.extend(reversed(below))
        return entry.data, entry.size

    def _end(self, start: int) -> int | None:
        return None if self._stop is None else max(0, self._stop - start)
