"""
What is kept how long, and the deleting of what is not.

| what | how it comes | kept |
| --- | --- | --- |
| pinned | `POST /v1/blobs`, `add` and `block/put` with `pin=true`, `pin/add` | for ever |
| result | `POST /v1/blobs?keep=result`, as workers do | `results_keep_s` from when it was stored |
| loose | `POST /v1/blobs?keep=loose`, `add?pin=false`, `pin/rm` | `loose_keep_s` from when it was last read; less when room is short |

What somebody is reading or adding is never deleted, nor what hangs below something else that is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import structlog

from voisin.errors import VoisinError
from voisin.storage.catalog import Keep, Root
from voisin.storage.library import Library

DAY_S = 86_400.0
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionRules:
    """
    How long what is not pinned is kept.

    Attributes:
        results_keep_s: Results, from when they were stored [s]; None for ever.
        loose_keep_s: What is not pinned, from when it was last read [s]; None for ever.
        full_part: From which part of the quota on loose content goes before its time, the longest unread first.
        sweep_every_s: Pause between two sweeps [s].
    """

    results_keep_s: float | None = None
    loose_keep_s: float | None = 30 * DAY_S
    full_part: float = 0.9
    sweep_every_s: float = 600.0


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep deleted."""

    roots: int
    blocks: int
    freed_bytes: int

    def __add__(self, other: Swept) -> Swept:
        return Swept(self.roots + other.roots, self.blocks + other.blocks, self.freed_bytes + other.freed_bytes)


class Sweeper:
    """
    Deletes what need not be kept any longer.

    Args:
        library: What the storage holds.
        rules: How long what is kept.
    """

    def __init__(self, library: Library, rules: RetentionRules) -> None:
        self._library = library
        self._rules = rules

    def sweep(self) -> Swept:
        """
        Delete what is overdue, then what is loose while room is short, then blocks that nobody keeps.

        Raises:
            UnavailableError: The back end does not answer; what is left is for the next sweep.
        """
        library, now = self._library, self._library.now()
        done = Swept(0, 0, 0)
        if library.has_orphans:
            done += self._delete_orphans()
        for keep, column, keep_s in (
            (Keep.RESULT, "kept_unix_s", self._rules.results_keep_s),
            (Keep.LOOSE, "used_unix_s", self._rules.loose_keep_s),
        ):
            if keep_s is not None:
                done += self._let_go_overdue(keep, column, now - keep_s)
        for loose in library.catalog.overdue(Keep.LOOSE, "used_unix_s", inf) if self._is_tight() else ():
            if not self._is_tight():
                break
            done += self._let_go(loose)
        return done

    def sweep_or_log(self) -> None:
        """Sweep; failures are logged, for the next sweep to do better."""
        try:
            swept = self.sweep()
        except VoisinError as error:
            _log.warning("storage_sweep_failed", error=str(error))
            return
        if swept.roots or swept.blocks:
            _log.info("storage_swept", roots=swept.roots, blocks=swept.blocks, freed_bytes=swept.freed_bytes)

    def _let_go_overdue(self, keep: Keep, column: str, before: float) -> Swept:
        done = Swept(0, 0, 0)
        while due := self._library.catalog.overdue(keep, column, before):
            now_done = sum((self._let_go(root) for root in due), Swept(0, 0, 0))
            done += now_done
            if now_done.roots < len(due):  # the rest is being read
                break
        return done

    def _let_go(self, root: Root) -> Swept:
        """Let a root go, with all below it that nothing else keeps."""
        library, blocks, freed = self._library, 0, 0
        if not library.let_go(root.name.digest):
            return Swept(0, 0, 0)
        before, below = library.horizon(), [root.name.digest]
        while below:
            digest = below.pop()
            children = library.catalog.children(digest)
            size = library.delete_orphan(digest, before)
            if size is not None:
                blocks, freed = blocks + 1, freed + size
                below.extend(children)
        return Swept(1, blocks, freed)

    def _delete_orphans(self) -> Swept:
        """Look through everything for blocks that nobody keeps, until there is none: those below a deleted one become orphans then."""
        library, blocks, freed = self._library, 0, 0
        library.has_orphans = False
        before = library.horizon()
        is_done = False
        while not is_done:
            is_done, after = True, b""
            while found := library.catalog.orphans(before, after):
                for size in (library.delete_orphan(digest, before) for digest in found):
                    if size is not None:
                        blocks, freed, is_done = blocks + 1, freed + size, False
                after = found[-1]
        if library.catalog.orphans(inf):
            library.has_orphans = True
        return Swept(0, blocks, freed)

    def _is_tight(self) -> bool:
        store = self._library.store
        return store.quota_bytes is not None and store.used_bytes > self._rules.full_part * store.quota_bytes
