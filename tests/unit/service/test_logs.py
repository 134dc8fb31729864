"""What a log shows when something breaks: where it broke, and never the values that were there."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

import voisin

PROGRAM = """
import structlog
from voisin.service.logs import configure_logs
def sign(key):
    raise ValueError("the curve is bent")
configure_logs()
try:
    sign("do-not-" + "show-me")
except ValueError:
    structlog.get_logger().exception("signing_failed")
"""


def shown_in_a_pipe() -> str:
    """Run the program with its standard error in a pipe."""
    return subprocess.run([sys.executable, "-c", PROGRAM], stderr=subprocess.PIPE, text=True, check=True).stderr


def shown_on_a_terminal() -> str:
    """Run the program with its standard error on a terminal."""
    ours, theirs = pty.openpty()
    try:
        subprocess.run([sys.executable, "-c", PROGRAM], stderr=theirs, check=True)
        return os.read(ours, 65_536).decode()
    finally:
        os.close(ours)
        os.close(theirs)


@pytest.mark.parametrize("shown", [shown_in_a_pipe, shown_on_a_terminal])
def test_tracebacks_hide_the_values_of_variables(shown: object) -> None:
    assert callable(shown)
    text = shown()
    assert "signing_failed" in text
    assert "the curve is bent" in text
    assert "show-me" not in text


def test_every_service_leaves_logging_to_who_owns_the_process() -> None:
    """A service that set logging up by itself would have every library talk on a person's terminal."""
    made = [path for path in Path(voisin.__file__).parent.rglob("*.py") if "return Litestar(" in path.read_text()]
    assert len(made) >= 7
    assert [path for path in made if "logging_config=None" not in path.read_text()] == []
