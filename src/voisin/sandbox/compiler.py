"""Turning modules into machine code: in a process for each, once for each hash, with an eye on modules that make compilers suffer."""

from __future__ import annotations

import secrets
from pathlib import Path

import anyio
import anyio.to_thread

from voisin.errors import InputError
from voisin.sandbox.folders import Scratch
from voisin.sandbox.modules import CompiledModules
from voisin.sandbox.process import Child, ChildDiedError
from voisin.sandbox.wire import Compile, Compiled, OtherHash, one_line

_MAX_REMEMBERED = 10_000


class Compiler:
    """
    Makes compiled modules, or finds those that were made before.

    Args:
        cache_dir: Where they are kept; created when missing.
        canonical_nan: Whether the code makes every NaN the same.
        time_s: How long compiling a module may take [s].
    """

    def __init__(self, cache_dir: Path, *, canonical_nan: bool, time_s: float) -> None:
        self._modules = CompiledModules(cache_dir)
        self._scratch = Scratch(cache_dir / "compiling")
        self._canonical_nan = canonical_nan
        self._time_s = time_s
        self._children: set[Child] = set()
        self._locks: dict[str, anyio.Lock] = {}
        self._refusals: dict[str, str] = {}
        self._failed: set[str] = set()

    @property
    def folder(self) -> Path:
        """Where the compiled modules are."""
        return self._modules.folder

    @property
    def process_ids(self) -> tuple[int, ...]:
        """The processes that compile now."""
        return tuple(child.pid for child in self._children)

    def open(self) -> None:
        """Prepare the disk; blocks."""
        self._scratch.open()

    async def close(self) -> None:
        """End every process."""
        for child in list(self._children):
            await child.discard()
        await anyio.to_thread.run_sync(self._scratch.close)

    async def ready(self, module: Path, module_sha256: str) -> tuple[Path, str]:
        """
        Find or make a compiled module.

        Args:
            module: The source.
            module_sha256: Its hash.

        Returns:
            The compiled module, and why the source was refused; empty when it was not.

        Raises:
            InputError: The source cannot be read, or has another hash.
            ChildDiedError: The compiler failed; when it fails again, the module is to blame.
        """
        path = self._modules.path(module_sha256, canonical_nan=self._canonical_nan)
        lock = self._locks.setdefault(module_sha256, anyio.Lock())
        async with lock:
            if module_sha256 not in self._refusals and not await anyio.to_thread.run_sync(self._modules.has, path):
                refusal = await self._compile(module, module_sha256, path)
                if refusal and len(self._refusals) < _MAX_REMEMBERED:
                    self._refusals[module_sha256] = refusal
                    return path, refusal
        if lock.statistics().tasks_waiting == 0:
            self._locks.pop(module_sha256, None)
        return path, self._refusals.get(module_sha256, "")

    def drop(self, path: Path) -> None:
        """
        Forget a compiled module that does not load.

        Args:
            path: As `ready` returned it.
        """
        self._modules.drop(path)

    async def _compile(self, module: Path, module_sha256: str, path: Path) -> str:
        child = await Child.start(self._scratch.folder / secrets.token_hex(8), None)
        self._children.add(child)
        try:
            await child.ask(Compile(canonical_nan=self._canonical_nan, module_sha256=module_sha256), [module])
            answer = await child.answer(self._time_s)
            if isinstance(answer, OtherHash):
                raise InputError(f"{module} has another SHA-256 than the one asked for", hint="fetch the module again")
            if not isinstance(answer, Compiled):
                raise child.died("answered out of turn")
            if not answer.refusal:
                await child.stop()
                await anyio.to_thread.run_sync(self._modules.keep, child.made, path)
            return one_line(answer.refusal)
        except TimeoutError:
            return f"takes longer than {self._time_s:g} s to compile"
        except ChildDiedError:
            if module_sha256 in self._failed:
                return "makes the compiler fail"
            self._failed.add(module_sha256)
            raise
        finally:
            await child.discard()
            self._children.discard(child)
