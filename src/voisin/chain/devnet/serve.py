"""One door to every kind of embedded chain."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from voisin.chain.devnet.anvil import serve_anvil
from voisin.chain.devnet.block_clock import WallClock
from voisin.chain.devnet.node import Devnet, serve_embedded
from voisin.chain.devnet.settings import DevnetSettings


@asynccontextmanager
async def serve_devnet(settings: DevnetSettings, *, clock: WallClock = time.time) -> AsyncIterator[Devnet]:
    """
    Run a chain for as long as the context is open.

    Args:
        settings: How it is set up.
        clock: Gives the time now [Unix s]; anvil has its own.

    Yields:
        The running chain.

    Raises:
        InputError: The settings, the file or the address cannot be used.
        UnavailableError: The port or the file is in use, or the engine is not installed.
    """
    if settings.engine == "anvil":
        async with serve_anvil(settings) as anvil:
            yield anvil
    else:
        async with serve_embedded(settings, clock=clock) as node:
            yield node
