"""Where our hub and the original differ on purpose, and what that means for a comparison of the two."""

from __future__ import annotations

from typing import Final

from eth_hash.auto import keccak

from tests.support.evm import Log, RevertedError

PANIC: Final = bytes.fromhex("4e487b71")
REFUSED_BY_OURS_ALONE: Final = frozenset({"deal-out-of-range", "supply-out-of-range", "category-too-long", "too-many-contributors"})
"""Bounds of ours that the original has not (SPEC 3.2, 3.4, 4.4, 8.1)."""
SAID_BY_THE_NEWER_ORIGINAL: Final = {"viewCategoryABILegacy": PANIC + (0x32).to_bytes(32, "big")}
"""Ours speak 6.2.0; the published package is 6.1.0, which says nothing here."""

NONSENSE: Final = "nonsense"
"""Name of a step that sends anything at all."""
FRAMEWORK_BITS: Final = 0x0E
"""Ours, as 6.2.0, does not ask who opens a dataset for these bits of its tag; 6.1.0 does (poco-protocol.md 4.5)."""

SAID_BY_OURS_ALONE: Final = frozenset(keccak(event) for event in (b"CallbackFailed(bytes32)", b"CallbackRetried(bytes32)"))
"""Events of a callback that failed, and of its repetition (SPEC 8.5, 8.6)."""


def comparable_logs(logs: tuple[Log, ...]) -> tuple[Log, ...]:
    """The events that the original would have too."""
    return tuple(log for log in logs if log.topics[0] not in SAID_BY_OURS_ALONE)


def comparable_tag(tag: bytes) -> bytes:
    """A tag of a dataset order that means the same to both."""
    return (int.from_bytes(tag, "big") & ~FRAMEWORK_BITS).to_bytes(32, "big")


def is_refused_by_ours_alone(ours: object) -> bool:
    """Tell whether our hub refuses where the original goes on."""
    return isinstance(ours, RevertedError) and ours.reason in REFUSED_BY_OURS_ALONE


def is_same_refusal(function: str, ours: RevertedError, theirs: RevertedError) -> bool:
    """Tell whether both say the same; where the compiler of the original panics, that of ours says nothing (poco-protocol.md 22, 1)."""
    if theirs.data == b"" and ours.data == SAID_BY_THE_NEWER_ORIGINAL.get(function, b""):
        return True
    return ours.data == theirs.data or (theirs.data.startswith(PANIC) and ours.data == b"")


def is_read_as_zeros(function: str, ours: object, theirs: object) -> bool:
    """
    Tell whether ours made sense of calldata that nobody's encoder writes.

    Vyper reads what lies beyond the end of calldata as zeros, where Solidity refuses. Whoever wants zeros may as well send them (SPEC 17).
    """
    return function == NONSENSE and not isinstance(ours, RevertedError) and isinstance(theirs, RevertedError) and theirs.data == b""
