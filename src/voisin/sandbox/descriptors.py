"""The system calls on open files: reading, writing, seeking, listing and asking about them."""

from __future__ import annotations

from collections.abc import Iterator

from voisin.sandbox.abi import (
    DIRENT,
    FDSTAT,
    FILESTAT,
    IOVEC,
    PRESTAT_DIR,
    U32,
    U64,
    CallError,
    Errno,
    FdFlag,
    FileType,
    Right,
    TimeFlag,
    Whence,
)
from voisin.sandbox.files import File, Folder, Node
from voisin.sandbox.memory import GuestMemory
from voisin.sandbox.meter import Meter
from voisin.sandbox.streams import Stream

MAX_DESCRIPTORS = 512
MAX_IOVECS = 1_024
_SIGNED_64 = 1 << 63


class Descriptor:
    """
    One entry of the guest's table of open files.

    Args:
        node: The file or folder; None for a standard stream.
        rights: What may be done with it.
        flags: `fdflags` as opened.
        preopened_as: The name of a root, such as `/iexec_in`; empty for what the guest opened.
        log: Where writes to a standard stream go; None for the empty standard input.
    """

    def __init__(
        self,
        node: Node | None,
        *,
        rights: Right = Right.ALL,
        flags: FdFlag = FdFlag.NONE,
        preopened_as: str = "",
        log: Stream | None = None,
    ) -> None:
        self.node, self.rights, self.flags, self.preopened_as, self.log = node, rights, flags, preopened_as, log
        self.offset = 0
        self.listing: list[tuple[str, Node]] = []
        if isinstance(node, File):
            node.open()

    def close(self) -> None:
        """Let go of the file."""
        if isinstance(self.node, File):
            self.node.close()


class DescriptorCalls:
    """
    The table of open files, and the `fd_*` calls of WASI preview 1. Each raises `CallError` for what the guest did wrong.

    Args:
        meter: Counts what the guest used.
        streams: Standard output and standard error.
        roots: The folders it starts with, by their names.
        clock_unix_ns: What its clock shows at instruction 0 [Unix ns].
    """

    def __init__(self, meter: Meter, *, streams: tuple[Stream, Stream], roots: dict[str, Folder], clock_unix_ns: int) -> None:
        self.meter = meter
        self.memory: GuestMemory | None = None
        self._clock_unix_ns = clock_unix_ns
        opened = [Descriptor(None), *(Descriptor(None, log=log) for log in streams)]
        opened += [Descriptor(folder, preopened_as=name) for name, folder in roots.items()]
        self._descriptors = dict(enumerate(opened))

    def close_all(self) -> None:
        """Let go of every open file once the guest is gone."""
        while self._descriptors:
            self._descriptors.popitem()[1].close()

    def now_ns(self) -> int:
        """The guest's time of day [Unix ns]."""
        return self._clock_unix_ns + self.meter.elapsed_ns()

    @property
    def _guest(self) -> GuestMemory:
        if self.memory is None:  # a start function that calls before the memory is known
            raise CallError(Errno.FAULT)
        return self.memory

    def _descriptor(self, fd: int) -> Descriptor:
        found = self._descriptors.get(fd)
        if found is None:
            raise CallError(Errno.BADF)
        return found

    def _folder(self, fd: int) -> Folder:
        node = self._descriptor(fd).node
        if not isinstance(node, Folder):
            raise CallError(Errno.NOTDIR)
        return node

    def _file(self, fd: int, right: Right) -> tuple[Descriptor, File]:
        descriptor = self._descriptor(fd)
        if isinstance(descriptor.node, Folder):
            raise CallError(Errno.ISDIR)
        if not isinstance(descriptor.node, File):
            raise CallError(Errno.SPIPE)
        if right not in descriptor.rights:
            raise CallError(Errno.BADF)
        return descriptor, descriptor.node

    def _add(self, descriptor: Descriptor) -> int:
        fd = next((fd for fd in range(3, MAX_DESCRIPTORS) if fd not in self._descriptors), None)
        if fd is None:
            descriptor.close()
            raise CallError(Errno.MFILE)
        self._descriptors[fd] = descriptor
        return fd

    def _views(self, iovecs: int, count: int) -> Iterator[memoryview]:
        if count > MAX_IOVECS:
            raise CallError(Errno.INVAL)
        ranges = list(IOVEC.iter_unpack(self._guest.read(iovecs, count * IOVEC.size)))
        total = sum(size for _, size in ranges)
        if total >= 1 << 32:
            raise CallError(Errno.INVAL)
        self.meter.charge(total)
        return iter([self._guest.view(pointer, size) for pointer, size in ranges if size])

    def _stat(self, node: Node | None) -> bytes:
        if node is None:
            return FILESTAT.pack(0, 0, FileType.CHARACTER_DEVICE, 1, 0, 0, 0, 0)
        return FILESTAT.pack(1, node.inode, node.kind, 1, node.size, node.accessed_ns, node.modified_ns, node.modified_ns)

    def _set_times(self, node: Node, accessed_ns: int, modified_ns: int, flags: int) -> None:
        if not node.is_writable:
            raise CallError(Errno.PERM)
        if (flags & TimeFlag.ATIM and flags & TimeFlag.ATIM_NOW) or (flags & TimeFlag.MTIM and flags & TimeFlag.MTIM_NOW):
            raise CallError(Errno.INVAL)
        if flags & (TimeFlag.ATIM | TimeFlag.ATIM_NOW):
            node.accessed_ns = accessed_ns if flags & TimeFlag.ATIM else self.now_ns()
        if flags & (TimeFlag.MTIM | TimeFlag.MTIM_NOW):
            node.modified_ns = modified_ns if flags & TimeFlag.MTIM else self.now_ns()

    # The calls, in the order of the specification. Pointers and sizes are unsigned; offsets come as unsigned 64-bit numbers.

    def fd_advise(self, fd: int, _offset: int, _size: int, _advice: int) -> None:
        """Accept advice and do nothing with it."""
        self._file(fd, Right(0))

    def fd_allocate(self, fd: int, _offset: int, _size: int) -> None:
        """Refuse to reserve room, as other engines do."""
        self._file(fd, Right.FD_WRITE)
        raise CallError(Errno.NOTSUP)

    def fd_close(self, fd: int) -> None:
        """Close a descriptor."""
        self._descriptor(fd)
        self._descriptors.pop(fd).close()

    def fd_datasync(self, fd: int) -> None:
        """Do nothing: the output is kept only once the guest has ended."""
        self._descriptor(fd)

    def fd_fdstat_get(self, fd: int, result: int) -> None:
        """Say what a descriptor is and what may be done with it."""
        descriptor = self._descriptor(fd)
        kind = FileType.CHARACTER_DEVICE if descriptor.node is None else descriptor.node.kind
        # Standard streams keep their seek right: that is how the C library tells a terminal (line by line) from a file.
        self._guest.write(result, FDSTAT.pack(kind, descriptor.flags, descriptor.rights, Right.ALL))

    def fd_fdstat_set_flags(self, fd: int, flags: int) -> None:
        """Change the flags, of which appending has an effect."""
        if flags & ~FdFlag.ALL:
            raise CallError(Errno.INVAL)
        self._descriptor(fd).flags = FdFlag(flags)

    def fd_fdstat_set_rights(self, fd: int, base: int, _inheriting: int) -> None:
        """Give up rights; none can be won."""
        descriptor = self._descriptor(fd)
        if base & ~descriptor.rights:
            raise CallError(Errno.NOTCAPABLE)
        descriptor.rights = Right(base)

    def fd_filestat_get(self, fd: int, result: int) -> None:
        """Say size and times of an open file."""
        self._guest.write(result, self._stat(self._descriptor(fd).node))

    def fd_filestat_set_size(self, fd: int, size: int) -> None:
        """Cut or extend an open file."""
        _, file = self._file(fd, Right.FD_WRITE)
        file.truncate(size)
        file.modified_ns = self.now_ns()

    def fd_filestat_set_times(self, fd: int, accessed_ns: int, modified_ns: int, flags: int) -> None:
        """Set the times of an open file."""
        node = self._descriptor(fd).node
        if node is None:
            raise CallError(Errno.BADF)
        self._set_times(node, accessed_ns, modified_ns, flags)

    def fd_pread(self, fd: int, iovecs: int, count: int, offset: int, result: int) -> None:
        """Read at an offset."""
        _, file = self._file(fd, Right.FD_READ)
        self._guest.write(result, U32.pack(self._read(file, iovecs, count, offset)))

    def fd_prestat_get(self, fd: int, result: int) -> None:
        """Say how long the name of a root is."""
        name = self._descriptor(fd).preopened_as
        if not name:
            raise CallError(Errno.BADF)
        self._guest.write(result, PRESTAT_DIR.pack(0, len(name)))

    def fd_prestat_dir_name(self, fd: int, pointer: int, size: int) -> None:
        """Tell the name of a root."""
        name = self._descriptor(fd).preopened_as.encode()
        if not name:
            raise CallError(Errno.BADF)
        if size < len(name):
            raise CallError(Errno.NAMETOOLONG)
        self._guest.write(pointer, name)

    def fd_pwrite(self, fd: int, iovecs: int, count: int, offset: int, result: int) -> None:
        """Write at an offset."""
        _, file = self._file(fd, Right.FD_WRITE)
        self._guest.write(result, U32.pack(self._write(file, iovecs, count, offset)))

    def fd_read(self, fd: int, iovecs: int, count: int, result: int) -> None:
        """Read on; standard input is empty."""
        if fd == 0 and self._descriptor(fd).node is None:
            self._guest.write(result, U32.pack(0))
            return
        descriptor, file = self._file(fd, Right.FD_READ)
        done = self._read(file, iovecs, count, descriptor.offset)
        descriptor.offset += done
        self._guest.write(result, U32.pack(done))

    def _read(self, file: File, iovecs: int, count: int, offset: int) -> int:
        if offset >= _SIGNED_64:
            raise CallError(Errno.INVAL)
        done = 0
        for view in self._views(iovecs, count):
            part = file.read_into(view, offset + done)
            done += part
            if part < len(view):
                break
        return done

    def fd_readdir(self, fd: int, buffer: int, size: int, *place: int) -> None:
        """List a folder from a cookie on, in the order of the names; a record that does not fit is cut off."""
        cookie, result = place
        descriptor, folder = self._descriptor(fd), self._folder(fd)
        if cookie == 0:
            descriptor.listing = [(".", folder), ("..", folder), *folder.listing()]
        used = 0
        for index in range(min(cookie, len(descriptor.listing)), len(descriptor.listing)):
            name, node = descriptor.listing[index]
            raw = name.encode()
            record = (DIRENT.pack(index + 1, node.inode, len(raw), node.kind) + raw)[: size - used]
            self.meter.charge(len(record))
            self._guest.write(buffer + used, record)
            used += len(record)
            if used == size:
                break
        self._guest.write(result, U32.pack(used))

    def fd_renumber(self, fd: int, to: int) -> None:
        """Move a descriptor onto another number, which is closed."""
        descriptor, target = self._descriptor(fd), self._descriptor(to)
        if descriptor.preopened_as or target.preopened_as:
            raise CallError(Errno.NOTSUP)
        if fd != to:
            target.close()
            self._descriptors[to] = self._descriptors.pop(fd)

    def fd_seek(self, fd: int, distance: int, whence: int, result: int) -> None:
        """Move the place where reading and writing go on."""
        descriptor, file = self._file(fd, Right(0))
        starts = {Whence.SET: 0, Whence.CUR: descriptor.offset, Whence.END: file.size}
        if whence not in starts:
            raise CallError(Errno.INVAL)
        offset = starts[Whence(whence)] + (distance - (1 << 64) if distance >= _SIGNED_64 else distance)
        if not 0 <= offset < _SIGNED_64:
            raise CallError(Errno.INVAL)
        descriptor.offset = offset
        self._guest.write(result, U64.pack(offset))

    def fd_sync(self, fd: int) -> None:
        """Do nothing: the output is kept only once the guest has ended."""
        self._descriptor(fd)

    def fd_tell(self, fd: int, result: int) -> None:
        """Say where reading and writing go on."""
        descriptor, _ = self._file(fd, Right(0))
        self._guest.write(result, U64.pack(descriptor.offset))

    def fd_write(self, fd: int, iovecs: int, count: int, result: int) -> None:
        """Write on, or at the end of a file opened for appending."""
        log = self._descriptor(fd).log
        if log is not None:
            done = 0
            for view in self._views(iovecs, count):
                log.write(view)
                done += len(view)
        else:
            descriptor, file = self._file(fd, Right.FD_WRITE)
            offset = file.size if FdFlag.APPEND in descriptor.flags else descriptor.offset
            done = self._write(file, iovecs, count, offset)
            descriptor.offset = offset + done
        self._guest.write(result, U32.pack(done))

    def _write(self, file: File, iovecs: int, count: int, offset: int) -> int:
        if not file.is_writable:
            raise CallError(Errno.PERM)
        done = 0
        for view in self._views(iovecs, count):
            if offset + done + len(view) >= _SIGNED_64:
                raise CallError(Errno.INVAL)
            done += file.write_from(view, offset + done)
        file.modified_ns = self.now_ns()
        return done
