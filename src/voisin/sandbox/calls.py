"""
How a guest's call gets from machine code into Python.

The library's own way converts each parameter through several objects and takes 17 us a call; reading the raw parameters takes 1 us.
It is the only place that does so: a call arrives here as numbers and leaves as a method of `Guest` with plain unsigned integers.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Protocol

from wasmtime import FuncType, Linker, ValType, WasmtimeError
from wasmtime import _bindings as native

from voisin.sandbox.abi import CallError, Errno
from voisin.sandbox.files import QuotaError
from voisin.sandbox.guest import SIGNATURES, Guest
from voisin.sandbox.job import Cause
from voisin.sandbox.meter import CALL_INSTRUCTIONS, StopError

WASI_MODULE = "wasi_snapshot_preview1"
_WORDS_PER_VALUE = 2  # a raw value is 16 bytes wide
_MASKS = {"i": (1 << 32) - 1, "I": (1 << 64) - 1}
_RawCall = ctypes.CFUNCTYPE(ctypes.c_size_t, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_size_t)
_NO_FINALIZER = ctypes.CFUNCTYPE(None, ctypes.c_void_p)()


class _Method(Protocol):
    def __call__(self, guest: Guest, /, *parameters: int) -> None: ...


class SystemCalls:
    """
    The system calls of an engine; they act on whichever guest is running.

    Attributes:
        guest: Who is running; None between runs.
        stop: Why the guest is over; None while it runs and when the engine itself ended it.
        failure: A fault of this machine or of this code, never of the guest.
    """

    def __init__(self, linker: Linker) -> None:
        self.guest: Guest | None = None
        self.stop: StopError | None = None
        self.failure: Exception | None = None
        self._kept = [self._define(linker, name, signature) for name, signature in SIGNATURES.items()]

    def begin(self, guest: Guest) -> None:
        """
        Direct the calls to a new guest.

        Args:
            guest: The one that is about to start.
        """
        self.guest, self.stop, self.failure = guest, None, None

    def _define(self, linker: Linker, name: str, signature: str) -> object:
        types = {"i": ValType.i32(), "I": ValType.i64()}
        function_type = FuncType([types[letter] for letter in signature], [] if name == "proc_exit" else [types["i"]])
        callback = _RawCall(self._raw(getattr(Guest, name), signature))
        error = native.wasmtime_linker_define_func_unchecked(
            linker.ptr(),
            ctypes.create_string_buffer(WASI_MODULE.encode()),
            len(WASI_MODULE),
            ctypes.create_string_buffer(name.encode()),
            len(name),
            function_type.ptr(),
            ctypes.cast(callback, native.wasmtime_func_unchecked_callback_t),
            None,
            _NO_FINALIZER,
        )
        if error:
            raise WasmtimeError._from_ptr(error)
        return callback

    def _raw(self, method: _Method, signature: str) -> Callable[[int, int, int, int], int]:
        values = ctypes.c_uint64 * (max(1, len(signature)) * _WORDS_PER_VALUE)
        places = [(index * _WORDS_PER_VALUE, _MASKS[letter]) for index, letter in enumerate(signature)]

        def _call(_env: int, _caller: int, address: int, _count: int) -> int:
            raw = values.from_address(address)
            errno = self._run(method, [raw[place] & mask for place, mask in places])
            if errno is None:
                return ctypes.cast(native.wasmtime_trap_new(b"stopped", 7), ctypes.c_void_p).value or 0
            raw[0] = errno
            return 0

        return _call

    def _run(self, method: _Method, parameters: list[int]) -> Errno | None:
        """Carry a call out; None ends the guest, for the reason kept in `stop` or `failure`."""
        assert self.guest is not None
        try:
            self.guest.meter.charge(CALL_INSTRUCTIONS)
            method(self.guest, *parameters)
        except CallError as error:
            return error.errno
        except StopError as stop:
            self.stop = stop
            return None
        except QuotaError as passed:
            self.stop = StopError(Cause.OUTPUT_LIMIT, str(passed))
            return None
        except Exception as failure:  # noqa: BLE001  the top of this thread's Python: nothing above could pass it on
            self.failure = failure
            return None
        return Errno.SUCCESS
