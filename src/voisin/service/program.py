"""One service as a program: told everything by its environment, it serves until it is interrupted, and ends with an exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine
from typing import Protocol

import anyio
from pydantic import ValidationError

from voisin.errors import VoisinError
from voisin.service.pace import settle_memory


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
        await serve(ready=settle_memory)

    try:
        anyio.run(until_the_end, backend_options={"use_uvloop": True})
    except VoisinError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0
