"""The system calls on paths: opening, making, renaming and removing files and folders."""

from __future__ import annotations

from pathlib import Path

from voisin.sandbox.abi import U32, CallError, Errno, FdFlag, OpenFlag, Right
from voisin.sandbox.descriptors import Descriptor, DescriptorCalls
from voisin.sandbox.files import File, Folder, Node, Place, Quota, find
from voisin.sandbox.meter import Meter
from voisin.sandbox.streams import Stream

INPUT_ROOT = "/iexec_in"
OUTPUT_ROOT = "/iexec_out"


class PathCalls(DescriptorCalls):
    """
    The `path_*` calls of WASI preview 1. Links do not exist: making one is refused, and none can be found.

    Args:
        meter: Counts what the guest used.
        streams: Standard output and standard error.
        contents: Host folder in which the contents of outputs are kept, by number.
        quota: What the guest may write.
        clock_unix_ns: What its clock shows at instruction 0 [Unix ns].
    """

    def __init__(self, meter: Meter, *, streams: tuple[Stream, Stream], contents: Path, quota: Quota, clock_unix_ns: int) -> None:
        self._next_inode = 3
        self._contents = contents
        self._quota = quota
        self.inputs = Folder(1, clock_unix_ns, is_writable=False)
        self.outputs = Folder(2, clock_unix_ns, is_writable=True)
        roots = {INPUT_ROOT: self.inputs, OUTPUT_ROOT: self.outputs}
        super().__init__(meter, streams=streams, roots=roots, clock_unix_ns=clock_unix_ns)

    def add_input(self, path: str, descriptor: int) -> None:
        """
        Put a file into `/iexec_in`.

        Args:
            path: Its path there, with `/`.
            descriptor: The host file, open for reading; it stays the caller's.
        """
        *folders, name = path.split("/")
        folder = self.inputs
        for part in folders:
            below = folder.entries.setdefault(part, Folder(self._inode(), self._clock_unix_ns, is_writable=False))
            assert isinstance(below, Folder)
            folder = below
        folder.entries[name] = File(self._inode(), self._clock_unix_ns, descriptor=descriptor)

    @property
    def entries(self) -> int:
        """Files and folders that the guest has made and not removed."""
        return self._quota.files_used

    def _inode(self) -> int:
        self._next_inode += 1
        return self._next_inode

    def _find(self, fd: int, pointer: int, size: int) -> Place:
        folder = self._folder(fd)
        self.meter.charge(size)
        return find(folder, self._guest.read(pointer, size))

    def _enter(self, place: Place, node: Node) -> None:
        """Give a node a name."""
        place.folder.entries[place.name] = node
        place.folder.modified_ns = self.now_ns()

    def _leave(self, place: Place) -> None:
        """Take a name away."""
        del place.folder.entries[place.name]
        place.folder.modified_ns = self.now_ns()

    def _require_writable(self, place: Place) -> None:
        if not place.name:
            raise CallError(Errno.INVAL)
        if not place.folder.is_writable:
            raise CallError(Errno.PERM)

    def path_create_directory(self, fd: int, pointer: int, size: int) -> None:
        """Make a folder."""
        place = self._find(fd, pointer, size)
        if place.node is not None:
            raise CallError(Errno.EXIST)
        self._require_writable(place)
        self._quota.add_files(1)
        self._enter(place, Folder(self._inode(), self.now_ns(), is_writable=True))

    def path_filestat_get(self, fd: int, _flags: int, pointer: int, *rest: int) -> None:
        """Say size and times of what a path names."""
        size, result = rest
        self._guest.write(result, self._stat(self._find(fd, pointer, size).existing()))

    def path_filestat_set_times(self, fd: int, _flags: int, pointer: int, *rest: int) -> None:
        """Set the times of what a path names."""
        size, accessed_ns, modified_ns, flags = rest
        self._set_times(self._find(fd, pointer, size).existing(), accessed_ns, modified_ns, flags)

    def path_link(self, fd: int, _flags: int, pointer: int, *rest: int) -> None:
        """Refuse to make a link."""
        self._find(fd, pointer, rest[0])
        raise CallError(Errno.NOTSUP)

    def path_open(self, fd: int, _lookup: int, pointer: int, *rest: int) -> None:
        """Open a file or folder, or make a file."""
        size, oflags, base, _inheriting, fdflags, result = rest
        if fdflags & ~FdFlag.ALL:
            raise CallError(Errno.INVAL)
        place, flags, rights = self._find(fd, pointer, size), OpenFlag(oflags & 15), Right(base & Right.ALL)
        node = place.existing() if place.node is not None else None
        if node is None:
            node = self._create(place, flags)
        elif OpenFlag.CREAT in flags and OpenFlag.EXCL in flags:
            raise CallError(Errno.EXIST)
        self._check_open(node, flags, rights)
        opened = self._add(Descriptor(node, rights=rights, flags=FdFlag(fdflags)))
        if isinstance(node, File) and OpenFlag.TRUNC in flags and node.size:
            node.truncate(0)
            node.modified_ns = self.now_ns()
        self._guest.write(result, U32.pack(opened))

    def _create(self, place: Place, flags: OpenFlag) -> File:
        if OpenFlag.CREAT not in flags:
            raise CallError(Errno.NOENT)
        if OpenFlag.DIRECTORY in flags:
            raise CallError(Errno.INVAL)
        if place.must_be_folder:
            raise CallError(Errno.ISDIR)
        self._require_writable(place)
        self._quota.add_files(1)
        inode = self._inode()
        file = File(inode, self.now_ns(), path=self._contents / str(inode), quota=self._quota)
        self._enter(place, file)
        return file

    def _check_open(self, node: Node, flags: OpenFlag, rights: Right) -> None:
        wants_write = Right.FD_WRITE in rights or OpenFlag.TRUNC in flags
        if isinstance(node, File):
            if OpenFlag.DIRECTORY in flags:
                raise CallError(Errno.NOTDIR)
            if wants_write and not node.is_writable:
                raise CallError(Errno.PERM)
        elif wants_write and OpenFlag.DIRECTORY not in flags:
            raise CallError(Errno.ISDIR)

    def path_readlink(self, fd: int, pointer: int, size: int, *_rest: int) -> None:
        """Say that what is there is not a link."""
        self._find(fd, pointer, size).existing()
        raise CallError(Errno.INVAL)

    def path_remove_directory(self, fd: int, pointer: int, size: int) -> None:
        """Remove an empty folder."""
        place = self._find(fd, pointer, size)
        node = place.existing()
        self._require_writable(place)
        if not isinstance(node, Folder):
            raise CallError(Errno.NOTDIR)
        if node.entries:
            raise CallError(Errno.NOTEMPTY)
        self._leave(place)
        node.is_writable = False  # whoever has it open can put nothing into it any more
        self._quota.add_files(-1)

    def path_rename(self, fd: int, pointer: int, size: int, *rest: int) -> None:
        """Move a file or folder, in place of what has the new name."""
        source, target = self._find(fd, pointer, size), self._find(*rest)
        node = source.existing()
        self._require_writable(source)
        self._require_writable(target)
        if node is target.node:
            return
        if node in target.above:
            raise CallError(Errno.INVAL)
        self._make_room(target, node)
        self._leave(source)
        self._enter(target, node)

    def _make_room(self, target: Place, node: Node) -> None:
        """Remove what a rename is about to replace, if a rename may."""
        old = target.node
        if isinstance(node, File) and (isinstance(old, Folder) or target.must_be_folder):
            raise CallError(Errno.ISDIR if isinstance(old, Folder) else Errno.NOTDIR)
        if isinstance(old, Folder):
            if old.entries:
                raise CallError(Errno.NOTEMPTY)
            old.is_writable = False
            self._quota.add_files(-1)
        elif isinstance(old, File):
            if isinstance(node, Folder):
                raise CallError(Errno.NOTDIR)
            old.unlink()

    def path_symlink(self, _target: int, _target_size: int, fd: int, *path: int) -> None:
        """Refuse to make a link."""
        pointer, size = path
        self._find(fd, pointer, size)
        raise CallError(Errno.PERM)

    def path_unlink_file(self, fd: int, pointer: int, size: int) -> None:
        """Remove a file."""
        place = self._find(fd, pointer, size)
        node = place.existing()
        if isinstance(node, Folder):
            raise CallError(Errno.ISDIR)
        self._require_writable(place)
        assert isinstance(node, File)
        self._leave(place)
        node.unlink()
