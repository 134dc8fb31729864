"""Files and folders on their way into the library, piece by piece; at most a chunk and a path through the tree are in memory."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import TracebackType
from typing import NamedTuple, Self

from voisin.errors import InputError
from voisin.protocol.dagpb import Link
from voisin.protocol.ipld import Name
from voisin.protocol.unixfs import Built, FileTree, Layout, build_folder
from voisin.storage.catalog import Keep
from voisin.storage.faults import ContentTooLargeError
from voisin.storage.library import Library

MAX_ENTRIES = 10_000
MAX_PATH_PARTS = 32
MAX_PART_BYTES = 255


@dataclass(frozen=True, slots=True)
class AddOptions:
    """
    How something is added.

    Attributes:
        layout: How files are cut.
        keep: Why what is added is kept.
        is_wrapped: Whether all of it is put into one folder.
        is_only_hashed: Whether nothing is stored.
    """

    layout: Layout
    keep: Keep = Keep.PINNED
    is_wrapped: bool = False
    is_only_hashed: bool = False


class Added(NamedTuple):
    """
    A file or folder that was added.

    Attributes:
        path: Its path; its name where it had none; empty for the folder around everything.
        name: Its root.
        total: What its blocks take [bytes].
        content: The file's length [bytes]; 0 for a folder.
    """

    path: str
    name: Name
    total: int
    content: int


@dataclass(slots=True)
class _Folder:
    children: dict[str, _Folder | Link] = field(default_factory=dict)


class Adder:
    """
    An addition; use it as a context manager. Without `finish` nothing of it is kept.

    Args:
        library: Where it goes.
        options: How.
    """

    def __init__(self, library: Library, options: AddOptions) -> None:
        self._library, self._options = library, options
        self._root = _Folder()
        self._added: list[Added] = []
        self._entries = 0
        self._tree: FileTree | None = None
        self._path: tuple[str, ...] = ()
        self._rest = bytearray()
        self._session: AbstractContextManager[None] = library.adding()

    def __enter__(self) -> Self:
        self._session.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._session.__exit__(kind, error, trace)

    def start_file(self, path: str) -> None:
        """
        Begin a file.

        Args:
            path: Its path; empty for one that is named after its content.

        Raises:
            InputError: The path cannot be used, or there are too many files.
        """
        self._path, self._tree = self._parts(path), FileTree(self._options.layout)
        self._rest.clear()

    def write(self, data: bytes) -> None:
        """
        Take more of the file.

        Raises:
            ContentTooLargeError: It is longer than the storage takes.
            StorageFullError: There is no room.
        """
        assert self._tree is not None
        chunk = self._options.layout.chunk_bytes
        self._rest += data
        while len(self._rest) > chunk:
            self._store(self._tree.add(bytes(self._rest[:chunk])))
            del self._rest[:chunk]
        if self._tree.content + len(self._rest) > self._library.store.max_blob_bytes:
            raise ContentTooLargeError(f"it is larger than {self._library.store.max_blob_bytes} bytes", hint="split it, or compress it")

    def end_file(self) -> None:
        """
        End the file.

        Raises:
            InputError: Its place is taken.
            StorageFullError: There is no room.
        """
        assert self._tree is not None
        if self._rest:
            self._store(self._tree.add(bytes(self._rest)))
        self._store(self._tree.finish())
        root, self._tree = self._tree.root, None
        path = self._path or (str(root.name),)
        self._place(path, Link(root.name, "", root.total))
        self._added.append(Added("/".join(path), root.name, root.total, root.content))

    def add_folder(self, path: str) -> None:
        """
        Make a folder, unless it is there.

        Raises:
            InputError: The path cannot be used, or its place is taken.
        """
        at = self._root
        for part in self._parts(path):
            at = self._step(at, part)

    def finish(self) -> list[Added]:
        """
        End the addition, and keep it.

        Returns:
            What was added: files in their order, then folders, each after those inside it.

        Raises:
            InputError: Nothing was added, or a folder has too many entries.
            StorageFullError: There is no room.
        """
        if not self._root.children:
            raise InputError("there is nothing to add", hint="send at least one file")
        if self._options.is_wrapped:
            roots = [self._build(self._root, "").name]
        else:
            roots = [self._link(child, label).name for label, child in self._root.children.items()]
        if not self._options.is_only_hashed:
            for name in roots:
                self._library.keep(name, self._options.keep)
        return self._added

    def _link(self, child: _Folder | Link, path: str) -> Link:
        return child if isinstance(child, Link) else self._build(child, path).link()

    def _build(self, folder: _Folder, path: str) -> Built:
        prefix = f"{path}/" if path else ""
        built = build_folder(
            {label: self._link(child, prefix + label) for label, child in folder.children.items()}, self._options.layout.version
        )
        self._store([built])
        self._added.append(Added(path, built.name, built.total, 0))
        return built

    def _store(self, blocks: Iterable[Built]) -> None:
        for built in blocks:
            if not self._options.is_only_hashed:
                self._library.put(built.block, built.name, built.links)

    def _parts(self, path: str) -> tuple[str, ...]:
        """Read a path that came from outside."""
        self._entries += 1
        if self._entries > MAX_ENTRIES:
            raise InputError(f"there are more than {MAX_ENTRIES} files", hint="add them in several turns")
        parts = tuple(part for part in path.split("/") if part)
        if len(parts) > MAX_PATH_PARTS or any(
            part in (".", "..") or "\0" in part or len(part.encode(errors="replace")) > MAX_PART_BYTES for part in parts
        ):
            raise InputError(f"{path[:80]!r} is no path of a file that can be added", hint="use short names without . and ..")
        return parts

    def _place(self, path: tuple[str, ...], link: Link) -> None:
        at = self._root
        for part in path[:-1]:
            at = self._step(at, part)
        if at.children.setdefault(path[-1], link) != link:
            raise InputError(f"{'/'.join(path)[:80]!r} is added twice", hint="give every file a name of its own")

    def _step(self, folder: _Folder, part: str) -> _Folder:
        below = folder.children.setdefault(part, _Folder())
        if isinstance(below, Link):
            raise InputError(f"{part[:80]!r} is a file and a folder at once", hint="give every file a name of its own")
        return below
