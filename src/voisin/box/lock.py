"""Only one box in a folder."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from voisin.errors import StateError


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """
    Hold a folder's lock; the system lets go of it when the process ends, however it ends.

    Raises:
        StateError: Another process holds it.
    """
    with (folder / "lock").open("ab") as lock_file:
        try:
            fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StateError(
                f"a box already runs in {folder.parent}", hint="`voisin status` shows it; or name another folder with --home"
            ) from None
        yield
