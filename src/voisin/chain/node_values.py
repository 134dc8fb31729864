"""
What a node answers: logs, receipts, blocks, as its JSON spells them.

Source: the Ethereum JSON-RPC specification.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

import msgspec

from voisin.errors import InputError, UnavailableError
from voisin.protocol.ids import Address, Hash32, as_address, as_hash32

T = TypeVar("T")

_QUANTITY = re.compile(r"0x[0-9a-fA-F]{1,64}")


def quantity(text: str) -> int:
    """
    Read a number as JSON-RPC writes it, for example `0x1b4`.

    Raises:
        UnavailableError: The node wrote something else.
    """
    if not _QUANTITY.fullmatch(text):
        raise UnavailableError(f"the node answered {text[:80]!r} where a number belongs")
    return int(text, 16)


class RawLog(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """One log as a node tells it."""

    address: str
    topics: tuple[str, ...]
    data: str
    block_number: str
    log_index: str
    transaction_hash: str
    removed: bool = False

    @property
    def emitter(self) -> Address:
        """The contract that logged it."""
        return _canonical(as_address, self.address)

    @property
    def tx_hash(self) -> Hash32:
        """The transaction that caused it."""
        return _canonical(as_hash32, self.transaction_hash)

    @property
    def block(self) -> int:
        """The number of its block."""
        return quantity(self.block_number)

    @property
    def place(self) -> int:
        """Its place among the logs of its block."""
        return quantity(self.log_index)


class RawReceipt(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """What became of a transaction, as a node tells it."""

    transaction_hash: str
    block_number: str
    gas_used: str
    logs: tuple[RawLog, ...]
    status: str = "0x1"
    effective_gas_price: str = "0x0"
    contract_address: str | None = None

    @property
    def tx_hash(self) -> Hash32:
        """The transaction."""
        return _canonical(as_hash32, self.transaction_hash)

    @property
    def is_success(self) -> bool:
        """Whether the contracts carried it out."""
        return quantity(self.status) == 1

    @property
    def created(self) -> Address | None:
        """The contract it created."""
        return _canonical(as_address, self.contract_address) if self.contract_address else None


class RawBlock(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A block's header, as a node tells it; a pending block has neither number nor hash."""

    timestamp: str
    number: str | None = None
    hash: str | None = None
    parent_hash: str | None = None
    base_fee_per_gas: str | None = None

    @property
    def name(self) -> Hash32 | None:
        """Its hash."""
        return _canonical(as_hash32, self.hash) if self.hash else None

    @property
    def parent(self) -> Hash32 | None:
        """Hash of the block before it."""
        return _canonical(as_hash32, self.parent_hash) if self.parent_hash else None


def _canonical(door: Callable[[str], T], text: str) -> T:
    try:
        return door(text)
    except InputError as error:
        raise UnavailableError(f"the node is broken: {error.message}") from None
