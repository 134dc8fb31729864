"""
Chains as processes that start at once: a parent process has the code loaded, and forks a chain whenever it is asked to.

Each chain is a process of its own with the file that it is given, and dies of SIGKILL like any other; what is saved is the second that
the interpreter needs to load the code. Run as a program, this module is the parent.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]


class ChainForks:
    """The parent process, and the one chain that it runs at present."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.support.chain_forks"]
        self._parent = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        self._pid = 0

    def begin(self, *arguments: str) -> None:
        """Fork a chain; it may not listen yet."""
        assert self._parent.stdin is not None
        self._parent.stdin.write(json.dumps(arguments) + "\n")
        self._parent.stdin.flush()
        self._pid = int(self._read("pid "))

    def url(self) -> str:
        """Wait until the chain listens; answers where."""
        return self._read("listening on ").split()[0]

    def kill(self) -> None:
        """End the chain as a power cut of the process would: at once."""
        os.kill(self._pid, signal.SIGKILL)
        assert self._read("ended ") == str(-signal.SIGKILL)
        self._pid = 0

    def close(self) -> None:
        """End everything."""
        if self._pid:
            self.kill()
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        self._parent.stdin.close()
        self._parent.wait(60)
        self._parent.stdout.close()

    def _read(self, what: str) -> str:
        assert self._parent.stdout is not None
        for line in self._parent.stdout:
            if line.startswith(what):
                return line.removeprefix(what).strip()
            # the killed chain may have said where it listens, which nobody waited for
            assert line.startswith("listening on "), line
        raise AssertionError("the parent of the chains is gone")


@contextlib.contextmanager
def chain_forks() -> Iterator[ChainForks]:
    """The parent process, for as long as the context is open."""
    forks = ChainForks()
    try:
        yield forks
    finally:
        forks.close()


def main() -> None:
    """Fork a chain for each line of arguments, and wait for its end before the next."""
    import asyncio

    import structlog

    from voisin.chain.devnet import DevnetSettings, serve_devnet
    from voisin.chain.devnet.__main__ import main as run_chain

    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))

    async def load() -> None:
        """Start and stop a chain, so that all its code is loaded before the first fork; its threads have ended then."""
        async with serve_devnet(DevnetSettings()):
            pass

    asyncio.run(load())
    for line in iter(sys.stdin.readline, ""):
        arguments = json.loads(line)
        child = os.fork()
        if child == 0:
            os._exit(run_chain(["--port", "0", *arguments]))
        _say(f"pid {child}")
        _say(f"ended {os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
