"""
The files a guest sees: a tree that exists only here.

A guest's path is looked up in dictionaries and never given to the operating system, so there is nothing to escape from: no links, no
`..` above a root, no device, no other process changing things in between. Contents lie in host files that are named by number; an
input is a descriptor that the parent opened. Sizes and counts are added up as they change, so a limit is passed at the same byte on
every machine; times are the guest's own clock and folders list in the order of their names.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from voisin.sandbox.abi import CallError, Errno, FileType

MAX_NAME_BYTES = 255
MAX_PATH_BYTES = 4_096
MAX_DEPTH = 64


class QuotaError(Exception):
    """The guest wrote more than it may; the message says of what."""


class Quota:
    """
    What the guest has written, against what it may write.

    Args:
        max_bytes: Of all its files together.
        max_files: Files and folders together.
    """

    def __init__(self, max_bytes: int, max_files: int) -> None:
        self.max_bytes, self.max_files = max_bytes, max_files
        self.bytes_used = self.files_used = 0

    def add_bytes(self, count: int) -> None:
        """
        Account for a file that grows or, with a negative count, shrinks.

        Args:
            count: Difference in bytes.

        Raises:
            QuotaError: The files would be larger than the limit together.
        """
        if self.bytes_used + count > self.max_bytes:
            raise QuotaError(f"wrote more than {self.max_bytes} bytes of output")
        self.bytes_used += count

    def add_files(self, count: int) -> None:
        """
        Account for a new file or folder or, with -1, for one that is gone.

        Args:
            count: Difference in entries.

        Raises:
            QuotaError: There would be more entries than the limit.
        """
        if self.files_used + count > self.max_files:
            raise QuotaError(f"made more than {self.max_files} files and folders")
        self.files_used += count


class Node:
    """What a file and a folder have in common: a number that never repeats in a run, and times of the guest's clock [ns]."""

    kind: FileType

    def __init__(self, inode: int, now_ns: int, *, is_writable: bool) -> None:
        self.inode = inode
        self.is_writable = is_writable
        self.accessed_ns = self.modified_ns = now_ns

    @property
    def size(self) -> int:
        """Its size in bytes; 0 for a folder."""
        return 0


class File(Node):
    """
    A regular file. It lives as long as it has a name or somebody has it open, as programs expect.

    Args:
        inode: Its number.
        now_ns: The guest's time.
        descriptor: An input that is already open, read-only; it belongs to the caller.
        path: Where the contents of an output are kept.
        quota: What an output counts against.
    """

    kind = FileType.REGULAR_FILE

    def __init__(self, inode: int, now_ns: int, *, descriptor: int = -1, path: Path | None = None, quota: Quota | None = None) -> None:
        super().__init__(inode, now_ns, is_writable=path is not None)
        self.path = path
        self._quota = quota
        self._descriptor = descriptor
        self._size = os.fstat(descriptor).st_size if descriptor >= 0 else 0
        self._openings = 0
        self._is_named = True
        if path is not None:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))

    @property
    def size(self) -> int:
        """Its size in bytes."""
        return self._size

    def open(self) -> None:
        """Take a hold of the contents; `close` gives it back."""
        if self.path is not None and self._openings == 0:
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        self._openings += 1

    def close(self) -> None:
        """Give back one hold."""
        self._openings -= 1
        if self.path is not None and self._openings == 0:
            os.close(self._descriptor)
            self._descriptor = -1
            self._drop_if_unused()

    def unlink(self) -> None:
        """Forget its name."""
        self._is_named = False
        self._drop_if_unused()

    def _drop_if_unused(self) -> None:
        if self._is_named or self._openings or self.path is None:
            return
        self.path.unlink()
        if self._quota is not None:
            self._quota.add_bytes(-self._size)
            self._quota.add_files(-1)

    def read_into(self, view: memoryview, offset: int) -> int:
        """
        Read at an offset.

        Args:
            view: Where the bytes go.
            offset: Where they start in the file.

        Returns:
            How many were read; fewer than asked only at the end of the file.
        """
        wanted, done = max(0, min(len(view), self._size - offset)), 0  # never beyond the end: some offsets are no numbers to the system
        while done < wanted:
            count = os.preadv(self._descriptor, [view[done:wanted]], offset + done)
            if count == 0:
                break
            done += count
        return done

    def write_from(self, view: memoryview, offset: int) -> int:
        """
        Write at an offset; a gap before it reads as zeros.

        Args:
            view: The bytes.
            offset: Where they go in the file.

        Returns:
            How many were written: all of them.

        Raises:
            QuotaError: The files would be larger than the limit together.
        """
        if not view:
            return 0  # as POSIX has it: writing nothing beyond the end does not make a file longer
        self._account(max(self._size, offset + len(view)))
        done = 0
        while done < len(view):
            done += os.pwrite(self._descriptor, view[done:], offset + done)
        return done

    def content(self) -> bytes:
        """Read an output whole."""
        assert self.path is not None
        return self.path.read_bytes()

    def truncate(self, size: int) -> None:
        """
        Cut or extend the file.

        Args:
            size: The new size in bytes.

        Raises:
            QuotaError: The files would be larger than the limit together.
        """
        self._account(size)
        os.ftruncate(self._descriptor, size)

    def _account(self, size: int) -> None:
        if self._quota is not None:
            self._quota.add_bytes(size - self._size)
        self._size = size


class Folder(Node):
    """A folder: names and what they stand for."""

    kind = FileType.DIRECTORY

    def __init__(self, inode: int, now_ns: int, *, is_writable: bool) -> None:
        super().__init__(inode, now_ns, is_writable=is_writable)
        self.entries: dict[str, Node] = {}

    def listing(self) -> list[tuple[str, Node]]:
        """
        List the entries.

        Returns:
            Names and nodes in the order of the names' bytes, the same on every machine.
        """
        return sorted(self.entries.items(), key=lambda entry: entry[0].encode())


def split_path(raw: bytes) -> list[str]:
    """
    Cut a guest's path into its parts.

    Args:
        raw: The bytes the guest gave.

    Returns:
        The parts, `.` and empty ones left out; `..` is still there. A path that ends with a slash ends with the part `""`.

    Raises:
        CallError: It is absolute (`EPERM`), too long, not UTF-8, or holds control characters.
    """
    if len(raw) > MAX_PATH_BYTES:
        raise CallError(Errno.NAMETOOLONG)
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise CallError(Errno.ILSEQ) from None
    if not text:
        raise CallError(Errno.NOENT)
    if text.startswith("/"):
        raise CallError(Errno.PERM)
    if any(ord(char) < 0x20 or ord(char) == 0x7F for char in text):
        raise CallError(Errno.INVAL)
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if len(parts) > MAX_DEPTH or any(len(part.encode()) > MAX_NAME_BYTES for part in parts):
        raise CallError(Errno.NAMETOOLONG)
    return [*parts, ""] if text.endswith("/") and parts else parts


class Place:
    """
    Where a path leads.

    Attributes:
        folder: The folder that holds the last part.
        name: The last part; empty when the path leads to the starting folder itself or back up to a folder.
        node: What is there; None when nothing is.
        must_be_folder: Whether the path ended with a slash.
        above: The folders on the way, `folder` included.
    """

    def __init__(self, above: list[Folder], name: str, node: Node | None, *, must_be_folder: bool) -> None:
        self.above, self.name, self.node, self.must_be_folder = above, name, node, must_be_folder

    @property
    def folder(self) -> Folder:
        """The folder that holds the last part."""
        return self.above[-1]

    def existing(self) -> Node:
        """
        What is there.

        Returns:
            The node.

        Raises:
            CallError: Nothing is there, or a file where the path asks for a folder.
        """
        if self.node is None:
            raise CallError(Errno.NOENT)
        if self.must_be_folder and not isinstance(self.node, Folder):
            raise CallError(Errno.NOTDIR)
        return self.node


def find(start: Folder, raw: bytes) -> Place:
    """
    Follow a path from a folder.

    Args:
        start: The folder; the path cannot lead above it.
        raw: The bytes the guest gave.

    Returns:
        Where it leads; the last part need not exist.

    Raises:
        CallError: It leads above `start` (`EPERM`), through a missing folder or through a file.
    """
    above, nodes, name = [start], [start], ""
    parts = split_path(raw)
    must_be_folder = bool(parts) and parts[-1] == ""
    parts = parts[:-1] if must_be_folder else parts
    node: Node | None = start
    for part in parts:
        if not isinstance(node, Folder):
            raise CallError(Errno.NOENT if node is None else Errno.NOTDIR)
        if part == "..":
            nodes.pop()
            if not nodes:
                raise CallError(Errno.PERM)
            node, name, above = nodes[-1], "", nodes[:-1] or nodes[:]
            continue
        above = nodes[:]
        name, node = part, node.entries.get(part)
        if isinstance(node, Folder):
            nodes.append(node)
    return Place(above, name, node, must_be_folder=must_be_folder)


def walk(folder: Folder, prefix: str = "") -> Iterator[tuple[str, Node]]:
    """
    List a whole tree.

    Args:
        folder: Its root.
        prefix: Put before each path.

    Yields:
        Paths with `/` and their nodes, a folder before what it holds.
    """
    for name, node in folder.listing():
        yield prefix + name, node
        if isinstance(node, Folder):
            yield from walk(node, f"{prefix}{name}/")


def read_outputs(folder: Folder, max_bytes: int) -> dict[str, bytes] | None:
    """
    Read all files of a tree.

    Args:
        folder: Its root.
        max_bytes: Of all files and their paths together.

    Returns:
        The bytes by path; None when there are more than that.
    """
    found, left = {}, max_bytes
    for path, node in walk(folder):
        if isinstance(node, File):
            left -= node.size + len(path.encode())
            if left < 0:
                return None
            found[path] = node.content()
    return found


def remove_outputs(folder: Folder) -> None:
    """Remove the contents of all files of a tree that nobody has open."""
    for _, node in walk(folder):
        if isinstance(node, File) and node.path is not None:
            node.path.unlink()
