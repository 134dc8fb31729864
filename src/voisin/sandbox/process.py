"""A sandbox process as its parent sees it: started, asked, never trusted, killed."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import anyio
import msgspec
from anyio.abc import Process

from voisin.errors import InputError, UnavailableError
from voisin.sandbox.wire import ANSWERS, COMPILED_NAME, FILES_PER_MESSAGE, LENGTH, MAX_ANSWER_BYTES, Answer, Broken, Ready, Request, encode

START_TIMEOUT_S = 60.0
_LAST_WORDS_S = 1.0
_LOG_NAME = "process.log"
_WORK_NAME = "work"
# The child must not pay for importing the rest of Voisin: the packages above its modules are stood in for by empty ones.
_BOOTSTRAP = """
import sys, types
package, packages, *arguments = sys.argv[1:]
for name, path in (("voisin", package), ("voisin.sandbox", package + "/sandbox")):
    module = sys.modules[name] = types.ModuleType(name)
    module.__path__ = [path]
sys.path.append(packages)
sys.argv[1:] = arguments
from voisin.sandbox.child import main
main()
"""


class ChildDiedError(UnavailableError):
    """A sandbox process ended when it should not have, or answered nonsense."""

    code = "sandbox-failed"


class _Kind(msgspec.Struct):
    kind: str


class Child:
    """
    One process that runs guests.

    Attributes:
        work: Its current folder, empty between runs.
        layers: The walls around it.
        runs: How many guests it has run.
    """

    def __init__(self, process: Process, channel: socket.socket, home: Path) -> None:
        self._process = process
        self._channel = channel
        self._home = home
        self.work = home / _WORK_NAME
        self.layers: tuple[str, ...] = ()
        self.runs = 0

    @property
    def pid(self) -> int:
        """Its process id, which is also that of its session."""
        return self._process.pid

    @property
    def made(self) -> Path:
        """Where it writes a module that it compiles."""
        return self.work / COMPILED_NAME

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.returncode is None

    @classmethod
    async def start(cls, home: Path, compiled_folder: Path | None) -> Child:
        """
        Start a process and wait until it can take a request.

        Args:
            home: A folder for it alone; must not exist.
            compiled_folder: Where it may read compiled modules; None for one that compiles.

        Returns:
            The process, ready.

        Raises:
            InputError: The engine is not installed.
            ChildDiedError: It did not start.
        """
        command = _command(compiled_folder)
        work = home / _WORK_NAME
        work.mkdir(parents=True, mode=0o700)
        ours, theirs = socket.socketpair()
        try:
            ours.setblocking(False)
            with (home / _LOG_NAME).open("wb") as log:
                process = await anyio.open_process(
                    command, stdin=theirs.fileno(), stdout=subprocess.DEVNULL, stderr=log, cwd=work, env={}, start_new_session=True
                )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        child = cls(process, ours, home)
        try:
            ready = await child.answer(START_TIMEOUT_S)
            if not isinstance(ready, Ready):
                raise child.died("did not start properly")
            child.layers = ready.layers
        except BaseException:
            await child.discard()
            raise
        return child

    async def ask(self, request: Request, files: Sequence[Path] = ()) -> None:
        """
        Send a request.

        Args:
            request: What to do.
            files: Files that it may read; only a few are open at a time.

        Raises:
            InputError: One of the files cannot be read or is not a regular file.
            ChildDiedError: It is gone.
        """
        await self._send(encode(request))
        for start in range(0, len(files), FILES_PER_MESSAGE):
            descriptors = await anyio.to_thread.run_sync(_open_all, files[start : start + FILES_PER_MESSAGE])
            try:
                await self._send(b"f", descriptors)
            finally:
                for descriptor in descriptors:
                    os.close(descriptor)

    async def answer(self, timeout_s: float, *, max_bytes: int = MAX_ANSWER_BYTES) -> Answer:
        """
        Wait for the next answer.

        Args:
            timeout_s: How long [s].
            max_bytes: How long it may be.

        Returns:
            What it says.

        Raises:
            TimeoutError: It took longer.
            ChildDiedError: It is gone, says that it failed, or answers nonsense.
        """
        with anyio.fail_after(timeout_s):
            (size,) = LENGTH.unpack(await self._exactly(LENGTH.size))
            if size > max_bytes:
                raise self.died("answered nonsense")
            body = await self._exactly(size)
        try:
            answer = msgspec.json.decode(body, type=ANSWERS[msgspec.json.decode(body, type=_Kind).kind])
        except (msgspec.MsgspecError, KeyError) as error:
            raise self.died("answered nonsense") from error
        if isinstance(answer, Broken):
            raise self.died(f"failed: {answer.detail}")
        return answer

    async def stop(self) -> None:
        """End it at once. Completes even when cancelled."""
        with anyio.CancelScope(shield=True):
            if self.is_alive:
                self._process.kill()
            await self._process.wait()
            if self._channel.fileno() >= 0:
                anyio.notify_closing(self._channel)  # wakes whoever still waits for an answer
                self._channel.close()

    async def discard(self) -> None:
        """End it and remove its folder. Completes even when cancelled."""
        with anyio.CancelScope(shield=True):
            await self.stop()
            await anyio.to_thread.run_sync(lambda: shutil.rmtree(self._home, ignore_errors=True))

    def died(self, how: str) -> ChildDiedError:
        """
        Describe a failure of this process.

        Args:
            how: What it did, after "the sandbox process".

        Returns:
            The error, with the last thing the process printed.
        """
        try:
            with (self._home / _LOG_NAME).open("rb") as log:
                lines = log.read(MAX_ANSWER_BYTES).decode(errors="replace").strip().splitlines()
        except FileNotFoundError:
            lines = []
        said = f" ({lines[-1][:200]})" if lines else ""
        return ChildDiedError(f"the sandbox process {how}{said}", hint="run the task again; if it fails each time, report it")

    async def _send(self, data: bytes, files: Sequence[int] = ()) -> None:
        rest = memoryview(data)
        try:
            while rest:
                try:
                    sent = socket.send_fds(self._channel, [rest], files) if files else self._channel.send(rest)
                    rest, files = rest[sent:], ()
                except BlockingIOError:
                    await anyio.wait_writable(self._channel)
        except (OSError, anyio.ClosedResourceError):
            raise await self._gone() from None

    async def _exactly(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            try:
                part = self._channel.recv(size - len(data))
            except BlockingIOError:
                with contextlib.suppress(anyio.ClosedResourceError):
                    await anyio.wait_readable(self._channel)
                continue
            except OSError:
                part = b""
            if not part:
                raise await self._gone()
            data += part
        return bytes(data)

    async def _gone(self) -> ChildDiedError:
        with anyio.move_on_after(_LAST_WORDS_S):
            await self._process.wait()
        if self.is_alive:
            self._process.kill()  # it closed its socket but goes on
        code = await self._process.wait()
        return self.died(f"was killed by signal {-code}" if code < 0 else f"ended with code {code}")


def _open_all(paths: Sequence[Path]) -> list[int]:
    """Open regular files for reading, all or none; a link, device or pipe in their place is refused, not followed or waited for."""
    descriptors: list[int] = []
    try:
        for path in paths:
            descriptors.append(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC))
            if not stat.S_ISREG(os.fstat(descriptors[-1]).st_mode):
                raise InputError(f"{path} is not a regular file", hint="give the sandbox regular files only")
    except BaseException as error:
        for descriptor in descriptors:
            os.close(descriptor)
        if isinstance(error, OSError):
            raise InputError(f"cannot read {error.filename}: {error.strerror}", hint="check the path and its permissions") from error
        raise
    return descriptors


def _command(compiled_folder: Path | None) -> list[str]:
    """The command that starts a child: this Python, nothing of the environment, no package but the engine."""
    engine = importlib.util.find_spec("wasmtime")
    if engine is None or engine.origin is None:
        raise InputError("running apps needs the package wasmtime", hint="install Voisin with the extra: voisin[worker]")
    packages, voisin_folder = Path(engine.origin).parent.parent, Path(__file__).parent.parent
    return [
        sys.executable,
        "-I",
        "-S",
        "-c",
        _BOOTSTRAP,
        str(voisin_folder),
        str(packages),
        *([str(compiled_folder)] if compiled_folder else []),
    ]
