"""One service as a program: told everything by its environment, it serves until it is interrupted, and ends with an exit code."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Coroutine
from typing import Protocol

import anyio
from pydantic import ValidationError

from voisin.errors import VoisinError

YOUNG, MIDDLE, OLD = 20_000, 20, 50
"""
How many new objects are looked through for cycles, and how many such looks make one through those that outlived them, and so on: most live
as long as a request, and are gone by then.
"""


class Serve(Protocol):
    """Serves until a signal comes, and tells the service's address once it answers."""

    def __call__(self, *, ready: Callable[[str], None]) -> Coroutine[None, None, None]:
        """Serve."""


def run_service(prepare: Callable[[], Serve]) -> int:
    """
    Run a service as a process of its own.

    Args:
        prepare: Reads the settings, and answers what serves with them.

    Returns:
        The exit code: 0 after a signal, 2 when what it was told cannot be used, 1 when it cannot go on; then standard error says why.
    """
    try:
        serve = prepare()
    except (ValidationError, VoisinError) as error:
        sys.stderr.write(f"the settings are wrong: {error}\n")
        return 2

    async def until_the_end() -> None:
        await serve(ready=_settle_memory)

    try:
        anyio.run(until_the_end, backend_options={"use_uvloop": True})
    except VoisinError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _settle_memory(_url: str) -> None:
    """Look no more for cycles among what is there when a service opens: it is mostly code, and a look would take a tenth of a second."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, OLD)
