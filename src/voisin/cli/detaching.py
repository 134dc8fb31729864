"""Leaving the terminal: a process that goes on in the background, and says once how it began."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import msgspec

from voisin.errors import StateError, VoisinError


class Beginning(msgspec.Struct, frozen=True):
    """How a process in the background began: that it is ready, with a note, or why it is not."""

    is_ready: bool
    words: str
    hint: str = ""


Report = Callable[[Beginning], None]
"""Tells how it began; only the first word counts."""


def detach(work: Callable[[Report], None], log_file: Path) -> tuple[int, Beginning]:
    """
    Do some work in the background, and wait until it says how it began.

    Must not be called while other threads run.

    Args:
        work: The work; its errors are told as its beginning if it has not begun.
        log_file: Where its log goes.

    Returns:
        Its process, and how it began.

    Raises:
        StateError: It ended before it said anything.
    """
    log_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    ours, theirs = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        os.close(ours)
        _in_background(work, theirs, log_file)
    os.close(theirs)
    with os.fdopen(ours, "rb") as heard:
        line = heard.readline()
    if not line:
        raise StateError("the worker ended at once", hint=f"its log is {log_file}")
    return child, msgspec.json.decode(line, type=Beginning)


def _in_background(work: Callable[[Report], None], pipe: int, log_file: Path) -> NoReturn:
    code = 1
    told = False

    def report(beginning: Beginning) -> None:
        nonlocal told
        if not told:
            told = True
            os.write(pipe, msgspec.json.encode(beginning) + b"\n")
            os.close(pipe)

    try:
        os.setsid()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        _redirect(log_file)
        work(report)
        code = 0
    except VoisinError as error:
        sys.stderr.write(f"error: {error}\n")
        report(Beginning(is_ready=False, words=error.message, hint=error.hint))
    except BaseException as error:  # noqa: BLE001  nothing is above this process that could say it
        sys.stderr.write(f"error: {error!r}\n")
        report(Beginning(is_ready=False, words=f"unexpected {type(error).__name__}: {error}"))
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _redirect(log_file: Path) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    log = os.open(log_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.close(nothing)
    os.close(log)
