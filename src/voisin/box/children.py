"""
What all processes below a box have in common: they are stopped gently, started again with growing pauses, and never outlive the box.

A child's standard input is a pipe that the box holds open; when the box ends, however it ends, the pipe closes.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Final

import anyio
from anyio.abc import Process

STOP_S: Final = 5.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 10.0


def pause_after(pause_s: float, began: float) -> float:
    """
    Say how long to wait before a child that ended is started again: longer each time, while they keep dying.

    Args:
        pause_s: The pause before it [s].
        began: When it was started [s, loop time].
    """
    return FIRST_PAUSE_S if anyio.current_time() - began > LONGEST_PAUSE_S else min(2 * pause_s, LONGEST_PAUSE_S)


async def stop_child(process: Process) -> None:
    """End a child; it gets some seconds to end by itself."""
    if process.returncode is None:
        process.terminate()
        with anyio.move_on_after(STOP_S):
            await process.wait()
    if process.returncode is None:
        process.kill()
        await process.wait()
    await process.aclose()


def follow_box() -> None:
    """In a child, once it has read its order: stop this process when the box's end of the pipe closes."""
    threading.Thread(target=_wait_for_box, daemon=True).start()


def _wait_for_box() -> None:
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)
