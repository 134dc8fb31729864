"""A state of the chain in dictionaries, for running an engine without a store."""

from __future__ import annotations

from voisin.chain.devnet.values import EMPTY_ACCOUNT, EMPTY_CODE_HASH, Account, Changes


class MemoryState:
    """Reads as the engines do; takes over what an execution has changed."""

    def __init__(self, balances: dict[bytes, int]) -> None:
        self.accounts = {address: EMPTY_ACCOUNT._replace(balance=balance) for address, balance in balances.items()}
        self.slots: dict[tuple[bytes, int], int] = {}
        self.codes = {EMPTY_CODE_HASH: b""}

    def account(self, address: bytes) -> Account:
        """An account."""
        return self.accounts.get(address, EMPTY_ACCOUNT)

    def slot(self, address: bytes, slot: int) -> int:
        """A slot."""
        return self.slots.get((address, slot), 0)

    def code(self, code_hash: bytes) -> bytes:
        """Code."""
        return self.codes[code_hash]

    def apply(self, changes: Changes) -> None:
        """Take changes over."""
        self.accounts.update(changes.accounts)
        self.slots.update(changes.slots)
        self.codes.update(changes.codes)
