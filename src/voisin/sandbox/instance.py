"""
A module made into an instance, and started, with two calls of the engine's library instead of a dozen.

The library's own objects for exports, functions and types cost more than a short guest itself.
"""

from __future__ import annotations

from ctypes import POINTER, byref, c_char, cast, create_string_buffer
from typing import TYPE_CHECKING

from wasmtime import InstancePre, Store, Trap, WasmtimeError
from wasmtime import _bindings as native

if TYPE_CHECKING:
    from ctypes import _Pointer

_NAME = b"_start"
_START = cast(create_string_buffer(_NAME), POINTER(c_char))
_FUNCTION = 0  # WASMTIME_EXTERN_FUNC of wasmtime/extern.h
_NO_VALUES = POINTER(native.wasmtime_val_t)()


class Instance:
    """
    A guest, ready to start.

    Args:
        module: What it is made of; exports a function `_start` without parameters and results.
        store: Where it lives.

    Raises:
        Trap: Its start section trapped.
        WasmtimeError: The engine refuses it, or one of its calls.
    """

    def __init__(self, module: InstancePre, store: Store) -> None:
        self._store = store
        instance, start, trap = native.wasmtime_instance_t(), native.wasmtime_extern_t(), POINTER(native.wasm_trap_t)()
        error = native.wasmtime_instance_pre_instantiate(module.ptr(), store._context(), byref(instance), byref(trap))
        _check(error, trap)
        if not native.wasmtime_instance_export_get(store._context(), byref(instance), _START, len(_NAME), byref(start)):
            raise WasmtimeError("it exports no _start")
        kind: object = start.kind  # a number, although its type is declared as one of C
        if kind != _FUNCTION:
            raise WasmtimeError("its _start is no function")
        self._start = start.of.func

    def start(self) -> None:
        """
        Run it to its end.

        Raises:
            Trap: It ended otherwise than by returning.
            WasmtimeError: As above.
        """
        trap = POINTER(native.wasm_trap_t)()
        error = native.wasmtime_func_call(self._store._context(), byref(self._start), _NO_VALUES, 0, _NO_VALUES, 0, byref(trap))
        _check(error, trap)


def _check(error: _Pointer[native.wasmtime_error_t], trap: _Pointer[native.wasm_trap_t]) -> None:
    if error:
        raise WasmtimeError._from_ptr(error)
    if trap:
        raise Trap._from_ptr(trap)
