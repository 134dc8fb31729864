"""What a process of services asks of Python itself, so that nobody waits for turns of threads or for looks through memory."""

from __future__ import annotations

import gc
import sys

SWITCH_S = 0.0005
"""How long a busy thread may keep the others waiting [s]: the loop waits for databases and contracts, which run in threads."""
YOUNG, MIDDLE, OLD = 20_000, 20, 50
"""
How many new objects are looked through for cycles, and how many such looks make one through those that outlived them, and so on: most live
as long as a request, and are gone by then.
"""


def quick_turns() -> None:
    """Let threads take turns more often than Python does by itself."""
    sys.setswitchinterval(SWITCH_S)


def settle_memory(_url: str = "") -> None:
    """Look no more for cycles among what is there when a service opens: it is mostly code, and a look would take a tenth of a second."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, OLD)
