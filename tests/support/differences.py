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
    """

    contracts: tuple[str, ...]
    entry: str
    kind: Literal["missing", "ours", "differs"]
    why: str


@cache
def differences() -> tuple[Difference, ...]:
    """All differences."""
    return msgspec.json.decode((ROOT / "differences.json").read_bytes(), type=tuple[Difference, ...])
