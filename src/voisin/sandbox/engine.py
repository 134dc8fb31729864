"""The WebAssembly engine, set up so that equal modules with equal inputs end equally on every machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from wasmtime import Config, Engine, FuncType, InstancePre, Linker, MemoryType, Module, Store, Trap, TrapCode, WasmtimeError

from voisin.sandbox.calls import SystemCalls
from voisin.sandbox.files import File, Folder, Quota, read_outputs, remove_outputs, walk
from voisin.sandbox.guest import Guest
from voisin.sandbox.instance import Instance
from voisin.sandbox.job import Cause
from voisin.sandbox.memory import MemoryPlan
from voisin.sandbox.meter import Meter, StopError, out_of_instructions
from voisin.sandbox.streams import END_SUFFIX, FileStream, Stream
from voisin.sandbox.wire import CONTENTS, SHORT_BYTES, Done, Run, Short, one_line

MAX_LOADED_MODULES = 16
MAX_STACK_BYTES = 2 << 20
MAX_TABLE_ELEMENTS = 1_000_000
MAX_TABLES = 16
_TRAP_WORDS = {
    TrapCode.STACK_OVERFLOW: "call stack overflow",
    TrapCode.MEMORY_OUT_OF_BOUNDS: "memory access out of bounds",
    TrapCode.TABLE_OUT_OF_BOUNDS: "table access out of bounds",
    TrapCode.INDIRECT_CALL_TO_NULL: "call of an empty table element",
    TrapCode.BAD_SIGNATURE: "indirect call with the wrong signature",
    TrapCode.INTEGER_OVERFLOW: "integer overflow",
    TrapCode.INTEGER_DIVISION_BY_ZERO: "integer division by zero",
    TrapCode.BAD_CONVERSION_TO_INTEGER: "number too large for the integer type",
    TrapCode.UNREACHABLE: "the program aborted itself",
}


class BadModuleError(Exception):
    """A module that cannot be compiled or started, whatever it is given; the message says why."""


class StaleModuleError(Exception):
    """A compiled module that this engine did not make."""


def _configure(*, canonical_nan: bool) -> Config:
    """Set everything that could differ between machines, or that no guest of ours needs, explicitly."""
    config = Config()
    config.consume_fuel = True
    config.cranelift_nan_canonicalization = canonical_nan
    config.wasm_relaxed_simd_deterministic = True
    config.max_wasm_stack = MAX_STACK_BYTES
    config.parallel_compilation = False  # a compiling child has one thread and may not start more
    config.wasm_threads = False
    config.wasm_memory64 = False
    config.wasm_multi_memory = False
    config.wasm_component_model = False
    config.wasm_gc = False
    config.wasm_stack_switching = False
    return config


class Machine:
    """
    An engine and the modules it has loaded; runs one guest at a time.

    Args:
        canonical_nan: Whether every NaN gets the same bits; slower, only needed where workers' processors differ in them.
    """

    def __init__(self, *, canonical_nan: bool) -> None:
        config = _configure(canonical_nan=canonical_nan)
        self._plan = MemoryPlan(config)
        self._engine = Engine(config)
        self._linker = Linker(self._engine)
        self._calls = SystemCalls(self._linker)
        self._loaded: dict[str, InstancePre] = {}

    def compile(self, wasm: bytes) -> bytes:
        """
        Translate a module into machine code.

        Args:
            wasm: The module.

        Returns:
            What `load` reads back.

        Raises:
            BadModuleError: It is not a WASI preview 1 command that this engine accepts.
        """
        if wasm[4:8] == b"\x0d\0\1\0":
            raise BadModuleError("is a component; build it as a WASI preview 1 module")
        if wasm[:4] != b"\0asm":
            raise BadModuleError("is not WebAssembly")
        try:
            module = Module(self._engine, wasm)
            exports = {export.name: export.type for export in module.exports}
            start = exports.get("_start")
            if not isinstance(start, FuncType) or start.params or start.results:
                raise BadModuleError("has no _start function: it is not a WASI command")
            if not isinstance(exports.get("memory"), MemoryType):
                raise BadModuleError("exports no memory: it is not a WASI command")
            self._linker.instantiate_pre(module)
            return bytes(module.serialize())
        except WasmtimeError as error:
            raise BadModuleError(one_line(str(error))) from error

    def load(self, compiled: str) -> InstancePre:
        """
        Make a compiled module ready to start; a second call finds it ready.

        Args:
            compiled: Path of a file that `compile` made, on this machine, by this program: it holds machine code.

        Returns:
            The module with its imports resolved.

        Raises:
            StaleModuleError: Another engine made the file.
        """
        ready = self._loaded.pop(compiled, None)
        if ready is None:
            try:
                ready = self._linker.instantiate_pre(Module.deserialize_file(self._engine, compiled))
            except WasmtimeError as error:
                raise StaleModuleError(one_line(str(error))) from error
        self._loaded[compiled] = ready
        while len(self._loaded) > MAX_LOADED_MODULES:
            self._loaded.pop(next(iter(self._loaded))).close()
        return ready

    def run(self, run: Run, inputs: Sequence[int], scratch: Path, *, on_start: Callable[[], None]) -> Done:
        """
        Run a guest to its end.

        Args:
            run: What to run; its inputs' names belong to `inputs`.
            inputs: Open host files, in the same order.
            scratch: Host folder; two files for each standard stream and, after a success, the folder `out` are made in it.
            on_start: Called right before the guest's first instruction.

        Returns:
            How it ended.

        Raises:
            StaleModuleError: The compiled module must be made anew.
            Exception: Anything else is a failure of this machine.
        """
        module = self.load(run.compiled)
        self._plan.reset(run.memory_bytes)
        store = Store(self._engine)
        names = [f"{stream}{suffix}" for stream in ("stdout", "stderr") for suffix in ("", END_SUFFIX)]
        files = [os.open(scratch / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600) for name in names]
        try:
            contents = scratch / CONTENTS
            contents.mkdir()
            stdout, stderr = (FileStream(start, end, run.log_bytes) for start, end in (files[:2], files[2:]))
            guest = self._welcome(run, store, inputs, streams=(stdout, stderr), contents=contents)
            try:
                on_start()
                stop = self._execute(module, store, guest)
            finally:
                guest.close_all()
            if stop.cause is None:
                _hand_over(guest.outputs, scratch / "out")
            return Done(
                cause=stop.cause or "",
                detail=stop.detail,
                exit_code=stop.exit_code,
                instructions=guest.meter.used(),
                peak_memory_bytes=self._plan.peak_bytes,
            )
        finally:
            self._calls.guest = None
            store.close()
            for file in files:
                os.close(file)

    def run_short(self, run: Run, inputs: Sequence[int], contents: Path) -> Short:
        """
        Run a guest of a series to its end.

        Args:
            run: As in `run`.
            inputs: As in `run`.
            contents: Host folder for the contents of its files; is as empty afterwards as it was.

        Returns:
            How it ended, and what it left behind.

        Raises:
            StaleModuleError: The compiled module must be made anew.
            Exception: Anything else is a failure of this machine.
        """
        module = self.load(run.compiled)
        self._plan.reset(run.memory_bytes)
        store = Store(self._engine)
        stdout, stderr = Stream(run.log_bytes), Stream(run.log_bytes)
        try:
            guest = self._welcome(run, store, inputs, streams=(stdout, stderr), contents=contents)
            try:
                stop = self._execute(module, store, guest)
                files = read_outputs(guest.outputs, SHORT_BYTES) if stop.cause is None else {}
            finally:
                guest.close_all()
                remove_outputs(guest.outputs)
            return Short(
                cause=stop.cause or "",
                detail=stop.detail,
                exit_code=stop.exit_code,
                instructions=guest.meter.used(),
                peak_memory_bytes=self._plan.peak_bytes,
                stdout=stdout.kept,
                stderr=stderr.kept,
                entries=guest.entries if stop.cause is None else 0,
                files=files or {},
                is_whole=files is not None,
            )
        finally:
            self._calls.guest = None
            store.close()

    def _welcome(self, run: Run, store: Store, inputs: Sequence[int], *, streams: tuple[Stream, Stream], contents: Path) -> Guest:
        store.set_limits(table_elements=MAX_TABLE_ELEMENTS, instances=1, tables=MAX_TABLES, memories=1)
        guest = Guest(
            Meter(store, instructions=run.instructions, time_s=run.time_s),
            streams=streams,
            contents=contents,
            quota=Quota(run.output_bytes, run.output_files),
            clock_unix_ns=run.clock_unix_s * 10**9,
        )
        guest.give(run.args, run.env, seed=bytes.fromhex(run.seed_hex))
        for path, descriptor in zip(run.inputs, inputs, strict=True):
            guest.add_input(path, descriptor)
        self._calls.begin(guest)
        return guest

    def _execute(self, module: InstancePre, store: Store, guest: Guest) -> StopError:
        try:
            instance = Instance(module, store)
            guest.memory = self._plan.lend()
            instance.start()
            stop = StopError(None)
        except (Trap, WasmtimeError) as error:
            stop = self._explain(error, guest)
        finally:
            if guest.memory is not None:
                guest.memory.close()
        return stop

    def _explain(self, error: Trap | WasmtimeError, guest: Guest) -> StopError:
        """Find out why the engine gave up: our own system calls first, then the memory, then the engine's reason."""
        if self._calls.failure is not None:
            raise self._calls.failure
        if self._plan.machine_failure:
            raise MemoryError(self._plan.machine_failure)
        stop = self._calls.stop
        if stop is not None and stop.cause is not Cause.EXIT_CODE:
            return stop
        code = error.trap_code if isinstance(error, Trap) else None
        if stop is None and code is TrapCode.OUT_OF_FUEL:
            return out_of_instructions(guest.meter.instructions)
        if self._plan.refused_bytes:
            return StopError(Cause.MEMORY_LIMIT, f"needed {self._plan.refused_bytes} bytes of memory, may have {self._plan.limit_bytes}")
        if stop is not None:
            return stop
        if isinstance(error, WasmtimeError):
            return StopError(Cause.BAD_MODULE, one_line(str(error)))
        words = _TRAP_WORDS.get(code) if code is not None else None
        return StopError(Cause.TRAP, words or one_line(error.message.splitlines()[0]))


def _hand_over(outputs: Folder, out: Path) -> None:
    """Give the outputs their names at last: none of them leads anywhere but into `out`."""
    out.mkdir(mode=0o755)
    for path, node in walk(outputs):
        if isinstance(node, File):
            assert node.path is not None
            node.path.rename(out / path)
        else:
            (out / path).mkdir(mode=0o755)
