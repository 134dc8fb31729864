"""
What differences on purpose mean for a comparison of our hub and the original.

Those of single functions and events are in `contracts/differences.json`; here are the ones that all functions have, because of the
compilers, and how answers of the published 6.1.0 are told from those of 6.2.0, which ours speak.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from eth_hash.auto import keccak

from tests.support.differences import Difference, differences
from tests.support.evm import Log, RevertedError

PANIC: Final = bytes.fromhex("4e487b71")
SAID_BY_THE_NEWER_ORIGINAL: Final = {"viewCategoryABILegacy": PANIC + (0x32).to_bytes(32, "big")}
"""Ours speak 6.2.0; the published package is 6.1.0, which says nothing here."""
NONSENSE: Final = "nonsense"
"""Name of a step that sends anything at all."""
FRAMEWORK_BITS: Final = 0x0E
"""Ours, as 6.2.0, does not ask who opens a dataset for these bits of its tag; 6.1.0 does (poco-protocol.md 4.5)."""


@cache
def _of_the_hub() -> tuple[Difference, ...]:
    return tuple(item for item in differences() if "Hub" in item.contracts)


@cache
def _said_by_ours_alone() -> frozenset[bytes]:
    return frozenset(keccak(item.entry.encode()) for item in _of_the_hub() if item.kind == "ours")


@cache
def _refusals_of_ours(function: str) -> frozenset[str]:
    return frozenset(reason for item in _of_the_hub() if item.name == function for reason in item.reasons)


def comparable_logs(logs: tuple[Log, ...]) -> tuple[Log, ...]:
    """The events that the original would have too."""
    return tuple(log for log in logs if log.topics[0] not in _said_by_ours_alone())


def comparable_tag(tag: bytes) -> bytes:
    """A tag of a dataset order that means the same to both."""
    return (int.from_bytes(tag, "big") & ~FRAMEWORK_BITS).to_bytes(32, "big")


@cache
def incomparable_selectors() -> frozenset[bytes]:
    """Functions that only ours has, or that tell of our own facets; whatever calls them, the two answer differently."""
    return frozenset(keccak(item.entry.encode())[:4] for item in _of_the_hub() if item.kind == "ours" or item.is_own)


def is_refused_by_ours_alone(function: str, ours: object) -> bool:
    """Tell whether our hub refuses where the original goes on."""
    return isinstance(ours, RevertedError) and ours.reason in _refusals_of_ours(function)


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
