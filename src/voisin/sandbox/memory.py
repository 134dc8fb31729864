"""
The guest's linear memory: ours, so that we know when the guest asked for more than it may have.

The engine's own limiter answers -1 to a refused `memory.grow` and tells nobody, so a program that dies of it looks like any other
failure. Here every memory is mapped and grown by this module, which remembers each refusal.

Every access by a system call goes through `GuestMemory`, which checks the bounds: nothing else stands between a guest's pointer
and this process.
"""

from __future__ import annotations

import ctypes
import mmap

from wasmtime import Config
from wasmtime import _bindings as native

from voisin.sandbox.abi import CallError, Errno

CLEARED_BYTES = 1 << 20
"""A memory up to this size is cleared for the next guest [bytes]; for a larger one new pages are cheaper."""
_MAP_NORESERVE = 0x4000
_ADDRESSABLE = 1 << 32
_NO_ACCESS = 0
_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
_libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
_MAP_FAILED = ctypes.c_void_p(-1).value
_READ_WRITE = mmap.PROT_READ | mmap.PROT_WRITE

# The types of wasmtime/config.h, with plain addresses in place of typed pointers: an address is what the work below needs.
_Finalizer = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_GetMemory = ctypes.CFUNCTYPE(ctypes.c_size_t, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_size_t)
_GrowMemory = ctypes.CFUNCTYPE(ctypes.c_size_t, ctypes.c_size_t, ctypes.c_size_t)
_NewMemory = ctypes.CFUNCTYPE(ctypes.c_size_t, *[ctypes.c_size_t] * 7)


class _LinearMemory(ctypes.Structure):
    _fields_ = (
        ("key", ctypes.c_void_p),
        ("get", _GetMemory),
        ("grow", _GrowMemory),
        ("free", _Finalizer),
    )


class _Mapping:
    """One linear memory: reserved address space, of which the first `size` bytes can be used."""

    def __init__(self, minimum: int, reserved: int, guard: int) -> None:
        self.shape = minimum, reserved, guard
        self.capacity = reserved
        self.size = 0
        self.total = reserved + guard
        base = _libc.mmap(None, self.total, _NO_ACCESS, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_NORESERVE, -1, 0)
        if base is None or base == _MAP_FAILED:
            raise MemoryError(f"cannot reserve {self.total} bytes of address space")
        self.base: int = base
        self.grow(minimum)

    def grow(self, size: int) -> None:
        """Make the first `size` bytes usable."""
        if size and _libc.mprotect(self.base, size, _READ_WRITE) != 0:
            raise MemoryError(f"cannot use {size} bytes of memory")
        self.size = size

    def clear(self) -> None:
        """Forget what it holds."""
        ctypes.memset(self.base, 0, self.size)

    def free(self) -> None:
        """Give the address space back."""
        _libc.munmap(self.base, self.total)


class MemoryPlan:
    """
    Makes the memories of an engine, one guest at a time.

    Attributes:
        limit_bytes: What the memory of the next guest may grow to.
        peak_bytes: The most it has held.
        refused_bytes: The smallest size it was refused; 0 when it never was.
        machine_failure: Why the machine could not give memory that the limit allows; empty when it could.
    """

    def __init__(self, config: Config) -> None:
        self.limit_bytes = 0
        self.peak_bytes = 0
        self.refused_bytes = 0
        self.machine_failure = ""
        self._mappings: dict[int, _Mapping] = {}
        self._spare: _Mapping | None = None
        self._next_key = 1
        # The engine keeps pointers to these, so they live as long as this object, which lives as long as its engine.
        self._get = _GetMemory(self._on_get)
        self._grow = _GrowMemory(self._on_grow)
        self._free = _Finalizer(self._on_free)
        self._new = _NewMemory(self._on_new)
        self._creator = native.wasmtime_memory_creator_t(None, ctypes.cast(self._new, native.wasmtime_new_memory_callback_t), _Finalizer())
        config.memory_init_cow = False  # copy-on-write images only work with the engine's own memories
        native.wasmtime_config_host_memory_creator_set(config.ptr(), ctypes.byref(self._creator))

    def reset(self, limit_bytes: int) -> None:
        """
        Prepare for the next guest.

        Args:
            limit_bytes: What its memory may grow to.
        """
        self.limit_bytes = limit_bytes
        self.peak_bytes = self.refused_bytes = 0
        self.machine_failure = ""

    def lend(self) -> GuestMemory:
        """Give system calls access to the memory of the running guest, which has exactly one."""
        (mapping,) = self._mappings.values()
        return GuestMemory(mapping)

    def _allows(self, size: int) -> bool:
        if size <= self.limit_bytes:
            self.peak_bytes = max(self.peak_bytes, size)
            return True
        self.refused_bytes = min(self.refused_bytes or size, size)
        return False

    def _on_new(self, _env: int, _type: int, minimum: int, _maximum: int, *sizes: int) -> int:
        reserved, guard, result = sizes
        if not self._allows(minimum):
            return _error("memory limit")
        try:
            mapping = self._mapping(minimum, reserved or self.limit_bytes, guard)
        except MemoryError as error:
            self.machine_failure = str(error)
            return _error(str(error))
        key, self._next_key = self._next_key, self._next_key + 1
        self._mappings[key] = mapping
        record = _LinearMemory.from_address(result)
        record.key, record.get, record.grow, record.free = key, self._get, self._grow, self._free
        return 0

    def _on_get(self, key: int, size: int, capacity: int) -> int:
        mapping = self._mappings[key]
        ctypes.c_size_t.from_address(size).value = mapping.size
        ctypes.c_size_t.from_address(capacity).value = mapping.capacity
        return mapping.base

    def _on_grow(self, key: int, size: int) -> int:
        mapping = self._mappings[key]
        if size > mapping.capacity or not self._allows(size):
            return _error("memory limit")
        try:
            mapping.grow(size)
        except MemoryError as error:
            self.machine_failure = str(error)
            return _error(str(error))
        return 0

    def _mapping(self, minimum: int, reserved: int, guard: int) -> _Mapping:
        """Map a memory, or take that of the guest before: mapping, faulting and unmapping cost more than clearing a small one."""
        spare, self._spare = self._spare, None
        if spare is not None:
            if spare.shape == (minimum, reserved, guard):
                return spare
            spare.free()
        return _Mapping(minimum, reserved, guard)

    def _on_free(self, key: int) -> None:
        mapping = self._mappings.pop(key)
        if self._spare is None and mapping.size == mapping.shape[0] <= CLEARED_BYTES:
            mapping.clear()
            self._spare = mapping
        else:
            mapping.free()


def _error(message: str) -> int:
    return ctypes.cast(native.wasmtime_error_new(message.encode()), ctypes.c_void_p).value or 0


class GuestMemory:
    """
    Reads and writes a guest's memory for system calls; a range outside of it is the guest's fault (`EFAULT`).

    Args:
        mapping: What a `MemoryPlan` made for the guest; it never moves.
    """

    def __init__(self, mapping: _Mapping) -> None:
        self._mapping = mapping
        self._everything = memoryview((ctypes.c_ubyte * _ADDRESSABLE).from_address(mapping.base)).cast("B")

    def view(self, pointer: int, size: int) -> memoryview:
        """
        Lend a range to a single read or write of a file, without a copy.

        Args:
            pointer: Where it starts in the guest's memory.
            size: Its length in bytes.

        Returns:
            A writable view; it must not outlive the system call.

        Raises:
            CallError: `EFAULT`, the range is not inside the memory.
        """
        if not 0 <= pointer <= pointer + size <= self._mapping.size:
            raise CallError(Errno.FAULT)
        return self._everything[pointer : pointer + size]

    def read(self, pointer: int, size: int) -> bytes:
        """
        Copy bytes out.

        Args:
            pointer: Where they start in the guest's memory.
            size: How many.

        Returns:
            The bytes.

        Raises:
            CallError: `EFAULT`, the range is not inside the memory.
        """
        return bytes(self.view(pointer, size))

    def write(self, pointer: int, data: bytes) -> None:
        """
        Copy bytes in.

        Args:
            pointer: Where they go in the guest's memory.
            data: The bytes.

        Raises:
            CallError: `EFAULT`, the range is not inside the memory.
        """
        self.view(pointer, len(data))[:] = data

    def close(self) -> None:
        """Forget the memory, which is about to be unmapped."""
        self._everything.release()
