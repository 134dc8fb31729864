"""How tests wait for what others do: other processes, and services that answer over sockets."""

import anyio

POLL_S = 0.01
"""Pause between two looks [s]: who looks without a pause takes the processor from those whom it waits for."""


async def a_moment() -> None:
    """Let others work before the next look."""
    await anyio.sleep(POLL_S)
