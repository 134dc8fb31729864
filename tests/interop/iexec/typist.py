"""
Who types commands of the `iexec` command line: all of a story in one process of node, which loads what they share once.

The page `use-the-iexec-client.md` is where each command has a process of its own, as at a person's; its test types it into a shell.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.e2e.conftest import COMMAND_S
from tests.support.npm import package_path

COMMANDS = package_path("iexec", "dist", "esm", "cli", "cmd")
PROGRAM = Path(__file__).with_suffix(".mjs")


@dataclass(frozen=True)
class Typed:
    """What a command printed, and the code it ended with."""

    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Typist:
    """A process that carries out one command after the other."""

    process: subprocess.Popen[bytes]
    asked: IO[str]
    told: IO[str]

    def type(self, script: str, *words: str, folder: Path, **env: str) -> Typed:
        """Carry out one command of one of the package's scripts, in a folder."""
        self.asked.write(json.dumps({"script": str(COMMANDS / script), "words": words, "folder": str(folder), "env": env}) + "\n")
        self.asked.flush()
        deadline = threading.Timer(COMMAND_S, self.process.kill)
        deadline.start()
        line = self.told.readline()
        deadline.cancel()
        assert line, f"{script} {' '.join(words)} does not end"
        return Typed(**json.loads(line))


@contextmanager
def open_typist() -> Iterator[Typist]:
    """Start one; nobody answers what its commands ask on standard input."""
    (read_asked, write_asked), (read_told, write_told) = os.pipe(), os.pipe()
    line = ["node", str(PROGRAM), str(read_asked), str(write_told)]
    with (
        subprocess.Popen(line, stdin=subprocess.DEVNULL, pass_fds=(read_asked, write_told)) as process,
        os.fdopen(read_told) as told,
        os.fdopen(write_asked, "w") as asked,
    ):
        os.close(read_asked)
        os.close(write_told)
        yield Typist(process, asked, told)
