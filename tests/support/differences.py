"""What differs on purpose between our contracts and the original: `contracts/differences.json`, read once."""

from __future__ import annotations

from functools import cache
from typing import Literal

import msgspec

from voisin.chain.compile import ROOT


class Difference(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """
    One entry of an ABI.

    Attributes:
        entry: Its canonical signature.
        kind: `missing`: the original has it, we do not; `ours`: the reverse; `differs`: it looks alike and does something else.
        why: The reason, for SPEC's tables.
        reasons: What it reverts with where the original goes on; only such as a differential test can meet or a unit test does.
        is_own: It tells of our own parts, so that no answer of it can be the original's.
    """

    contracts: tuple[str, ...]
    entry: str
    kind: Literal["missing", "ours", "differs"]
    why: str
    reasons: tuple[str, ...] = ()
    is_own: bool = False

    @property
    def name(self) -> str:
        """The entry's name alone."""
        return self.entry.partition("(")[0]


@cache
def differences() -> tuple[Difference, ...]:
    """All differences."""
    return msgspec.json.decode((ROOT / "differences.json").read_bytes(), type=tuple[Difference, ...])
