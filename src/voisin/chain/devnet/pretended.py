"""What a call may pretend: another block, another time, other balances, code and storage (the overrides of eth_call)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from eth_hash.auto import keccak

from voisin.chain.devnet.engines.engine import BlockContext, StateReader
from voisin.chain.devnet.values import Account


@dataclass(frozen=True, slots=True)
class PretendedAccount:
    """
    What is pretended about one account; None leaves it as it is.

    Attributes:
        balance: Native coin [wei].
        nonce: Transaction count.
        code: Its code.
        slots: Storage slots.
        is_all: Whether all other slots are zero.
    """

    balance: int | None = None
    nonce: int | None = None
    code: bytes | None = None
    slots: Mapping[int, int] = field(default_factory=dict)
    is_all: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """
    The block that a call pretends to be in.

    Attributes:
        block: Height of the block whose state is used; None for the latest, at the time that the clock shows now.
        is_pending: Whether to pretend to be in the coming block rather than in the latest.
        pretended: What to pretend about accounts, by address.
        number: Height to pretend; None for the true one, as below.
        timestamp: Time to pretend [Unix s].
        base_fee: Base fee to pretend [wei per gas].
        gas_limit: Gas limit of the block to pretend.
        coinbase: Author to pretend.
        randao: What PREVRANDAO shall return.
    """

    block: int | None = None
    is_pending: bool = False
    pretended: Mapping[bytes, PretendedAccount] = field(default_factory=dict)
    number: int | None = None
    timestamp: int | None = None
    base_fee: int | None = None
    gas_limit: int | None = None
    coinbase: bytes | None = None
    randao: bytes | None = None

    def pretend(self, context: BlockContext) -> BlockContext:
        """
        Change a block as the call pretends it.

        Args:
            context: The true block.

        Returns:
            The pretended one.
        """
        given = {name: getattr(self, name) for name in ("number", "timestamp", "base_fee", "gas_limit", "coinbase", "randao")}
        return replace(context, **{name: value for name, value in given.items() if value is not None})


LATEST_PLACE = Place()


class PretendedState:
    """
    A state with some accounts as a call pretends them.

    Args:
        true: The state as it is.
        pretended: What to pretend, by address.
    """

    def __init__(self, true: StateReader, pretended: Mapping[bytes, PretendedAccount]) -> None:
        self._true = true
        self._pretended = pretended
        self._codes = {keccak(one.code): one.code for one in pretended.values() if one.code is not None}

    def account(self, address: bytes) -> Account:
        """Read an account; see `StateReader`."""
        found, given = self._true.account(address), self._pretended.get(address)
        if given is None:
            return found
        return Account(
            found.nonce if given.nonce is None else given.nonce,
            found.balance if given.balance is None else given.balance,
            found.code_hash if given.code is None else keccak(given.code),
        )

    def slot(self, address: bytes, slot: int) -> int:
        """Read a slot; see `StateReader`."""
        given = self._pretended.get(address)
        if given is not None and (given.is_all or slot in given.slots):
            return given.slots.get(slot, 0)
        return self._true.slot(address, slot)

    def code(self, code_hash: bytes) -> bytes:
        """Read code; see `StateReader`."""
        found = self._codes.get(code_hash)
        return self._true.code(code_hash) if found is None else found
