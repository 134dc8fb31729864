"""
The records while a stretch of the chain is worked through: what was there before, and what each block makes of it.

Working through is pure: where it needs an entity that was not looked up yet, the draft notes that, and the same stretch is worked
through once more when it is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Value = str | int | tuple[str, ...] | None
Row = dict[str, Value]
"""An entity's fields by the names of their columns, without its id."""


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """Which entity: its kind and its id."""

    kind: str
    id: str


@dataclass(frozen=True, slots=True)
class Version:
    """What an entity is from a block on."""

    key: Key
    block: int
    row: Row


class Draft:
    """
    Entities under work.

    Attributes:
        missing: Entities that were needed and had not been looked up.
    """

    def __init__(self, known: Mapping[Key, Row | None]) -> None:
        """
        Args:
            known: The entities that were looked up, as they are before the stretch; None for what is not there.
        """
        self._known = known
        self._now: dict[Key, Row] = {}
        self._versions: dict[tuple[Key, int], Row] = {}
        self.block = 0
        self.missing: set[Key] = set()

    def find(self, kind: str, name: str) -> Row | None:
        """Find an entity as it is now; the answer may be changed and put back."""
        key = Key(kind, name)
        if key in self._now:
            return dict(self._now[key])
        if key not in self._known:
            self.missing.add(key)
            return None
        known = self._known[key]
        return None if known is None else dict(known)

    def is_put(self, kind: str, name: str) -> bool:
        """Tell whether an entity was put during this stretch."""
        return Key(kind, name) in self._now

    def put(self, kind: str, name: str, row: Row) -> None:
        """Let an entity be something from the current block on."""
        key = Key(kind, name)
        self._now[key] = row
        self._versions[key, self.block] = row

    def versions(self) -> list[Version]:
        """List what changed, in the order of the blocks."""
        return [Version(key, block, row) for (key, block), row in sorted(self._versions.items(), key=lambda item: item[0][1])]
