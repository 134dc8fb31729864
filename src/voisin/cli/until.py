"""Waiting for the end of a service."""

from __future__ import annotations

import signal

import anyio


async def until_signal() -> None:
    """Return when the process is asked to stop, by Ctrl-C or by SIGTERM."""
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            return
