"""Running jobs: the one object of this package that others use."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio
import anyio.to_thread

from voisin.errors import GuestError, StateError
from voisin.protocol.wire_words import Stream
from voisin.sandbox.compiler import Compiler
from voisin.sandbox.folders import Scratch, harvest, prepare, read_from
from voisin.sandbox.job import Cause, Job, Outcome, Series, ShortRun
from voisin.sandbox.process import Child, ChildDiedError
from voisin.sandbox.short import ask_series, check_turns, hit_a_wall, read_series
from voisin.sandbox.wire import MAX_SERIES_ANSWER_BYTES, Answer, Done, Ran, Run, Stale, Started, one_line

LOAD_TIMEOUT_S = 60.0
RUNS_PER_CHILD = 4_000
LISTEN_S = 0.2
"""How often what a guest prints is looked at while it runs [s]."""

OnOutput = Callable[[Stream, bytes], None]
"""Told what a guest prints while it runs: the stream, and the next bytes of it."""


class Sandbox:
    """
    Runs untrusted WebAssembly modules, a few at a time, each in a process that is kept warm for the next.

    Use it as an async context manager; leaving it ends every process. Several sandboxes, also of several programs, may share a cache.

    Args:
        cache_dir: Where compiled modules are kept; created when missing.
        slots: How many guests may run at the same time.
        scratch_dir: Where running guests' outputs lie; `cache_dir` by default. On the disk of the output folders, results are moved
            instead of copied.
        canonical_nan: Whether every NaN gets the same bits. It costs about half of the speed of floating-point code; without it,
            workers with different kinds of processors may disagree on the bits of a NaN.
        compile_time_s: How long compiling a module may take [s].
    """

    def __init__(
        self,
        cache_dir: Path,
        *,
        slots: int = 1,
        scratch_dir: Path | None = None,
        canonical_nan: bool = False,
        compile_time_s: float = 300.0,
    ) -> None:
        cache_dir = cache_dir.absolute()  # the processes work in folders of their own
        self._compiler = Compiler(cache_dir, canonical_nan=canonical_nan, time_s=compile_time_s)
        self._scratch = Scratch((scratch_dir or cache_dir / "scratch").absolute())
        self._canonical_nan = canonical_nan
        self._slots = anyio.Semaphore(slots)
        self._idle: list[Child] = []
        self._children: set[Child] = set()
        self._is_open = False

    async def __aenter__(self) -> Self:
        await anyio.to_thread.run_sync(self._scratch.open)
        await anyio.to_thread.run_sync(self._compiler.open)
        self._is_open = True
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._is_open = False
        with anyio.CancelScope(shield=True):
            for child in list(self._children):
                await self._discard(child)
            await self._compiler.close()
            await anyio.to_thread.run_sync(self._scratch.close)

    @property
    def process_ids(self) -> tuple[int, ...]:
        """The processes that are there now, running or warm."""
        return tuple(sorted((*self._compiler.process_ids, *(child.pid for child in self._children))))

    async def prepare(self, module: Path, module_sha256: str) -> None:
        """
        Compile a module ahead of its first run.

        Args:
            module: The `.wasm` file.
            module_sha256: Its SHA-256 as 64 hex digits.

        Raises:
            GuestError: It is not a WASI preview 1 command, or has another hash.
            InputError: The file cannot be read.
            UnavailableError: The machine failed.
        """
        _, refusal = await self._compiler.ready(module, module_sha256)
        if refusal:
            raise GuestError(f"the module {refusal}", hint="build the app for wasm32-wasi")

    async def run(self, job: Job, *, on_output: OnOutput | None = None) -> Outcome:
        """
        Run a job to its end; waits for a free slot first. Cancelling it kills the guest.

        Args:
            job: What to run.
            on_output: Told what the guest prints while it runs, as far as that is kept; the outcome has all of it.

        Returns:
            What came of it; a guest's failure is an outcome too.

        Raises:
            InputError: The job cannot be run as it is: a file is missing, the output folder is not empty.
            StateError: The sandbox is not open.
            UnavailableError: The machine failed; the same job may succeed when it is run again.
        """
        if not self._is_open:
            raise StateError("the sandbox is not open", hint="use it with `async with`")
        inputs = await anyio.to_thread.run_sync(prepare, job)
        async with self._slots:
            for _ in range(2):
                compiled, refusal = await self._compiler.ready(job.module, job.module_sha256)
                if refusal:
                    return Outcome(cause=Cause.BAD_MODULE, detail=f"the module {refusal}")
                outcome = await self._run_compiled(job, compiled, inputs, on_output=on_output)
                if outcome is not None:
                    return outcome
                self._compiler.drop(compiled)
        raise ChildDiedError("a new process cannot load what another compiled", hint="check that only one wasmtime is installed")

    async def run_series(self, series: Series) -> list[ShortRun]:
        """
        Run the first runs of a series; waits for a free slot first. Cancelling it kills the guest.

        Args:
            series: What to run.

        Returns:
            The runs that have ended, at least one; the series makes a pause after a quarter of a second, or when a guest was stopped.
            None at all if a run took longer than it may: which of them is found out by running each alone.

        Raises:
            InputError: The series cannot be run as it is.
            StateError: The sandbox is not open.
            UnavailableError: The machine failed; the same series may succeed when it is run again.
        """
        if not self._is_open:
            raise StateError("the sandbox is not open", hint="use it with `async with`")
        check_turns(series)
        job = series.job
        inputs = await anyio.to_thread.run_sync(prepare, job)
        async with self._slots:
            for _ in range(2):
                compiled, refusal = await self._compiler.ready(job.module, job.module_sha256)
                if refusal:
                    return [ShortRun(outcome=Outcome(cause=Cause.BAD_MODULE, detail=f"the module {refusal}"), files={})]
                runs = await self._run_turns(series, compiled, inputs)
                if runs is not None:
                    return runs
                self._compiler.drop(compiled)
        raise ChildDiedError("a new process cannot load what another compiled", hint="check that only one wasmtime is installed")

    async def _run_turns(self, series: Series, compiled: Path, inputs: dict[str, Path]) -> list[ShortRun] | None:
        """Run a series in a warm process; None when the compiled module must be made anew."""
        async with self._warm_child() as child:
            child.runs += len(series.turns)
            try:
                await child.ask(ask_series(self._request(series.job, compiled, inputs), series.turns), list(inputs.values()))
                answer = await child.answer(series.job.limits.time_s + LOAD_TIMEOUT_S, max_bytes=MAX_SERIES_ANSWER_BYTES)
            except TimeoutError:
                await child.stop()
                return []
            if isinstance(answer, Stale):
                return None
            runs = read_series(answer, series) if isinstance(answer, Ran) else None
            if runs is None:
                raise child.died("answered nonsense")
            if hit_a_wall(runs):
                await child.stop()
            return runs

    @asynccontextmanager
    async def _warm_child(self) -> AsyncIterator[Child]:
        """Lend a process; one that is still alive afterwards, and did not raise, is kept for the next."""
        while self._idle and not self._idle[-1].is_alive:
            await self._discard(self._idle.pop())
        if self._idle:
            child = self._idle.pop()
        else:
            child = await Child.start(self._scratch.folder / secrets.token_hex(8), self._compiler.folder)
            self._children.add(child)
        try:
            yield child
            if self._is_open and child.is_alive and child.runs < RUNS_PER_CHILD:
                self._idle.append(child)
        finally:
            if child not in self._idle:
                await self._discard(child)

    async def _discard(self, child: Child) -> None:
        await child.discard()
        self._children.discard(child)

    async def _run_compiled(
        self, job: Job, compiled: Path, inputs: dict[str, Path], *, on_output: OnOutput | None = None
    ) -> Outcome | None:
        """Run in a warm process; None when the compiled module must be made anew."""
        async with self._warm_child() as child:
            child.runs += 1
            started_at = 0.0
            try:
                started = await self._start(child, job, compiled, inputs=inputs)
                if started is None:
                    return None
                started_at = anyio.current_time()
                done = await (child.answer(job.limits.time_s) if on_output is None else _listening(child, job.limits.time_s, on_output))
            except TimeoutError:
                if not started_at:
                    raise child.died(f"did not load the module in {LOAD_TIMEOUT_S:g} s") from None
                await child.stop()
                detail = f"ran longer than {job.limits.time_s:g} s"
                done = Done(cause=Cause.TIME_LIMIT, detail=detail, exit_code=0, instructions=0, peak_memory_bytes=-1)
            wall_s = anyio.current_time() - started_at
            return await self._outcome(child, job, done, wall_s=wall_s)

    async def _start(self, child: Child, job: Job, compiled: Path, *, inputs: dict[str, Path]) -> Started | None:
        await child.ask(self._request(job, compiled, inputs), list(inputs.values()))
        answer = await child.answer(LOAD_TIMEOUT_S)
        if isinstance(answer, Stale):
            return None
        if not isinstance(answer, Started):
            raise child.died("answered out of turn")
        return answer

    def _request(self, job: Job, compiled: Path, inputs: dict[str, Path]) -> Run:
        limits = job.limits
        return Run(
            compiled=str(compiled),
            canonical_nan=self._canonical_nan,
            args=job.args,
            env=dict(job.env),
            seed_hex=job.seed.hex(),
            clock_unix_s=job.clock_unix_s,
            inputs=tuple(inputs),
            time_s=limits.time_s,
            instructions=limits.instructions,
            memory_bytes=limits.memory_bytes,
            output_bytes=limits.output_bytes,
            output_files=limits.output_files,
            log_bytes=limits.log_bytes,
        )

    async def _outcome(self, child: Child, job: Job, done: object, *, wall_s: float) -> Outcome:
        """Turn an answer into an outcome, believing nothing that can be checked."""
        limits = job.limits
        if not isinstance(done, Done) or done.cause not in ("", *Cause) or not 0 <= done.instructions <= limits.instructions:
            raise child.died("answered nonsense")
        cause = Cause(done.cause) if done.cause else None
        if cause not in (None, Cause.EXIT_CODE):
            await child.stop()  # a guest that hit a wall does not leave its process to the next one
        left = await anyio.to_thread.run_sync(partial(harvest, child.work, job, is_success=cause is None))
        return Outcome(
            cause=cause,
            exit_code=done.exit_code,
            detail=one_line(done.detail),
            instructions=done.instructions,
            wall_s=wall_s,
            peak_memory_bytes=done.peak_memory_bytes if done.peak_memory_bytes >= 0 else None,
            stdout=left.stdout,
            stderr=left.stderr,
            output_bytes=left.output_bytes,
            output_files=left.output_files,
        )


async def _listening(child: Child, time_s: float, on_output: OnOutput) -> Answer:
    """Wait for a guest's end, and tell meanwhile what it prints."""
    failure: Exception | None = None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_listen, child.work, on_output)
        try:
            answer = await child.answer(time_s)
        except Exception as error:  # noqa: BLE001  (raised again below: an error leaves as it is, not in a group)
            failure = error
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return answer


async def _listen(work: Path, on_output: OnOutput) -> None:
    told = dict.fromkeys(Stream, 0)
    while True:
        await anyio.sleep(LISTEN_S)
        for stream, start in told.items():
            data = await anyio.to_thread.run_sync(read_from, work / stream, start)
            if data:
                told[stream] = start + len(data)
                on_output(stream, data)
