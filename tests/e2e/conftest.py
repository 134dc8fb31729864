"""Real processes: a box started as a person starts it, and commands run against it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
VOISIN = [sys.executable, "-m", "voisin"]
START_S, STOP_S, COMMAND_S = 120, 120, 180


@dataclass
class RunningBox:
    """A box in a process of its own."""

    home: Path
    options: tuple[str, ...] = ()
    process: subprocess.Popen[str] | None = field(default=None, repr=False)

    def start(self) -> None:
        """Start `voisin up` and wait until it says that it is ready."""
        command = [*VOISIN, "up", "--home", str(self.home), "--port", "0", *self.options]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, cwd=ROOT, env=environment())
        assert self.process.stdout is not None
        if not self.process.stdout.readline().startswith("ready"):
            raise AssertionError(f"the box did not start:\n{self.log.read_text()[-3000:]}")

    @property
    def log(self) -> Path:
        """What the box says on standard error."""
        return self.home.with_suffix(".log")

    def stop(self, how: signal.Signals = signal.SIGINT) -> int:
        """Send a signal and wait for the end; answers the exit code."""
        assert self.process is not None
        self.process.send_signal(how)
        try:
            self.process.communicate(timeout=STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        code = self.process.returncode
        self.process = None
        return code

    def run(self, *command: str, check: bool = True, **env: str) -> subprocess.CompletedProcess[str]:
        """Run one command against the box."""
        done = subprocess.run(
            [*VOISIN, *command, "--home", str(self.home)],
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
            cwd=ROOT,
            env=environment(**env),
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"voisin {' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done

    def json(self, *command: str) -> Any:
        """Run a command with --json and read what it prints."""
        return json.loads(self.run(*command, "--json").stdout)

    @property
    def network(self) -> dict[str, Any]:
        """Where the box's services are."""
        return json.loads((self.home / "box.json").read_text())


def environment(**more: str) -> dict[str, str]:
    """The environment without what a developer may have set for Voisin."""
    return {**{name: value for name, value in os.environ.items() if not name.startswith("VOISIN_")}, **more}


@contextmanager
def boxes(folders: pytest.TempPathFactory) -> Iterator[Callable[..., RunningBox]]:
    """Start boxes that end with the context."""
    with ExitStack() as stack:

        def start(*options: str) -> RunningBox:
            box = RunningBox(folders.mktemp("home"), options)
            stack.callback(lambda: box.stop() if box.process is not None else None)
            box.start()
            return box

        yield start


@pytest.fixture(scope="module")
def box_factory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., RunningBox]]:
    """Start boxes that end with the module's tests: also one that nobody uses takes a part of the machine."""
    with boxes(tmp_path_factory) as start:
        yield start


@pytest.fixture(scope="session")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBox]:
    """A box with three workers that many tests share."""
    with boxes(tmp_path_factory) as start:
        yield start("--workers", "3")
