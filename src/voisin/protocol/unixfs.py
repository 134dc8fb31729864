"""
Files and folders as trees of blocks: UnixFS, as IPFS writes it.

A file is cut into chunks of 256 KiB. Chunks are leaves; up to 174 of them hang on a node, up to 174 nodes on a node above, and so on,
until one is left: the root, which names the file. Equal bytes cut in the same way have the same root, here and on any IPFS node
(`ipfs add`; with `--cid-version=1` leaves are raw chunks, else nodes that hold a chunk).

Source: IPFS, "UnixFS" specification: the message `Data`, the balanced layout; kubo's defaults for chunk and width.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple

from voisin.errors import InputError
from voisin.protocol.dagpb import Link, Node, decode_node, encode_node, field_bytes, field_number, fields
from voisin.protocol.ipld import Codec, Name, name_of

CHUNK_BYTES: Final = 1 << 18
WIDTH: Final = 174
MAX_FOLDER_BYTES: Final = 1 << 18
"""Longest folder that is one node; IPFS cuts longer ones into shards, which is not done here [bytes]."""
MAX_LINKS: Final = 8192
"""Most links of a part of a file that is read."""
MAX_FILE_BYTES: Final = 1 << 62
"""Longest file that is read [bytes]."""
_TYPE, _DATA, _FILESIZE, _BLOCKSIZES, _OTHERS = 1, 2, 3, 4, range(5, 9)


class Kind(IntEnum):
    """What a node stands for."""

    RAW = 0
    FOLDER = 1
    FILE = 2
    METADATA = 3
    SYMLINK = 4
    SHARD = 5


@dataclass(frozen=True, slots=True)
class Layout:
    """
    How files are cut.

    Attributes:
        version: Of the names of nodes: 0 or 1.
        has_raw_leaves: Whether leaves are the chunks themselves, not nodes around them.
        chunk_bytes: Length of a chunk [bytes].
    """

    version: int = 1
    has_raw_leaves: bool = True
    chunk_bytes: int = CHUNK_BYTES


@dataclass(frozen=True, slots=True)
class Entry:
    """
    A node of a file or folder, read and checked by itself.

    Attributes:
        kind: What it is.
        data: The part of the file that it holds itself.
        links: What hangs on it.
        sizes: How much of the file hangs on each link [bytes]; empty for folders.
    """

    kind: Kind
    data: bytes
    links: tuple[Link, ...]
    sizes: tuple[int, ...]

    @property
    def size(self) -> int:
        """How long the file or part of a file is [bytes]."""
        return len(self.data) + sum(self.sizes)


class Built(NamedTuple):
    """
    A finished block, or tree of blocks by its root.

    Attributes:
        name: The root.
        block: Its bytes.
        content: How much of the file it stands for [bytes].
        total: What it and all blocks below take [bytes].
        links: The blocks right below.
    """

    name: Name
    block: bytes
    content: int
    total: int
    links: tuple[Link, ...] = ()

    def link(self, label: str = "") -> Link:
        """Link to it."""
        return Link(self.name, label, self.total)


class FileTree:
    """
    A file on its way into blocks, chunk by chunk; memory grows with its depth alone.

    Args:
        layout: How it is cut; whoever feeds it cuts accordingly.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._levels: list[list[_Part]] = [[]]
        self.content = 0
        """How much of the file has come [bytes]."""

    def add(self, chunk: bytes) -> Iterator[Built]:
        """
        Take the next chunk.

        Yields:
            The blocks that are finished now, those below before those above.
        """
        self.content += len(chunk)
        leaf = self._leaf(chunk)
        yield leaf
        yield from self._push(0, leaf)

    def finish(self) -> Iterator[Built]:
        """
        End the file.

        Yields:
            The remaining blocks; the last block of all that the tree gave, here or by `add`, is the root.
        """
        if not any(self._levels):
            yield from self.add(b"")
        for level in range(len(self._levels)):
            parts = self._levels[level]
            if parts and not (len(parts) == 1 and not any(self._levels[level + 1 :])):
                yield from self._close(level)

    @property
    def root(self) -> _Part:
        """The root of a finished file."""
        (part,) = (part for level in self._levels for part in level)
        return part

    def _push(self, level: int, built: Built) -> Iterator[Built]:
        if level == len(self._levels):
            self._levels.append([])
        self._levels[level].append(_Part(built.name, built.content, built.total))
        if len(self._levels[level]) == WIDTH:
            yield from self._close(level)

    def _close(self, level: int) -> Iterator[Built]:
        parts, self._levels[level] = self._levels[level], []
        content = sum(part.content for part in parts)
        data = _data(Kind.FILE, b"", content, tuple(part.content for part in parts))
        node = _node(Node(tuple(Link(part.name, "", part.total) for part in parts), data), content, self._layout.version)
        yield node
        yield from self._push(level + 1, node)

    def _leaf(self, chunk: bytes) -> Built:
        if self._layout.has_raw_leaves:
            return Built(name_of(chunk, Codec.RAW), chunk, len(chunk), len(chunk))
        return _node(Node((), _data(Kind.FILE, chunk, len(chunk), ())), len(chunk), self._layout.version)


class _Part(NamedTuple):
    name: Name
    content: int
    total: int


def build_folder(children: dict[str, Link], version: int) -> Built:
    """
    Make a folder.

    Args:
        children: What is in it, by name; the links' own labels do not count.
        version: Of its name: 0 or 1.

    Raises:
        InputError: It has too many entries for one node.
    """
    ordered = sorted(children.items(), key=lambda item: item[0].encode())
    links = tuple(Link(link.name, label, link.size) for label, link in ordered)
    if sum(len(link.label.encode()) + len(link.name.raw) for link in links) > MAX_FOLDER_BYTES:
        raise InputError(f"a folder of {len(links)} entries is too large", hint="spread them over several folders")
    return _node(Node(links, field_number(_TYPE, Kind.FOLDER)), 0, version)


def read_entry(block: bytes) -> Entry:
    """
    Read a block as a node of a file or folder.

    Raises:
        InputError: It is none, or what it says about itself does not agree.
    """
    node = decode_node(block)
    kind, data, filesize, sizes = _read_data(node.data)
    if kind in (Kind.FILE, Kind.RAW):
        if len(sizes) != len(node.links):
            raise InputError(f"a part of a file has {len(node.links)} links and {len(sizes)} sizes")
        entry = Entry(kind, data, node.links, sizes)
        if len(sizes) > MAX_LINKS or entry.size > MAX_FILE_BYTES:
            raise InputError(f"a part of a file has {len(sizes)} links and {entry.size} bytes, more than are read")
        if filesize is not None and filesize != entry.size:
            raise InputError(f"a part of a file says it has {filesize} bytes and has {entry.size}")
        return entry
    if kind is Kind.FOLDER:
        return Entry(kind, b"", node.links, ())
    raise InputError(f"the node is a {kind.name.lower()}, which is not read here", hint="files and folders are; fetch its blocks instead")


def _read_data(message: bytes) -> tuple[Kind, bytes, int | None, tuple[int, ...]]:
    found: dict[int, int | bytes] = {}
    sizes: list[int] = []
    for field, value in fields(message):
        if field == _BLOCKSIZES and isinstance(value, int):
            sizes.append(value)
        elif field in (_TYPE, _DATA, _FILESIZE) and field not in found and isinstance(value, bytes) == (field == _DATA):
            found[field] = value
        elif field not in _OTHERS:
            raise InputError(f"the node's data have a field {field} that does not belong there")
    kind, data, filesize = found.get(_TYPE), found.get(_DATA, b""), found.get(_FILESIZE)
    if not isinstance(kind, int) or kind not in list(Kind) or not isinstance(data, bytes) or isinstance(filesize, bytes):
        raise InputError("the node's data are not those of a file or folder")
    return Kind(kind), data, filesize, tuple(sizes)


def _data(kind: Kind, chunk: bytes, filesize: int, sizes: tuple[int, ...]) -> bytes:
    body = field_number(_TYPE, kind) + (field_bytes(_DATA, chunk) if chunk else b"") + field_number(_FILESIZE, filesize)
    return body + b"".join(field_number(_BLOCKSIZES, size) for size in sizes)


def _node(node: Node, content: int, version: int) -> Built:
    block = encode_node(node)
    total = len(block) + sum(link.size for link in node.links)
    return Built(name_of(block, Codec.DAG_PB, version), block, content, total, node.links)
