"""What everybody has, read from where a hub and its token keep it: a hundred times quicker than to ask."""

from __future__ import annotations

from typing import NamedTuple

from eth_hash.auto import keccak

from tests.support.evm import Evm
from tests.support.market import Market
from voisin.chain.artifacts import load_artifact

HALF = 2**128 - 1
ORIGINAL_BASE = 0x5862653C6982C162832160CF30593645E8487B257E44D77CDD6B51EEE2651B00
"""Where the original keeps its variables; supply, balances, frozens and scores are at these distances. Source: poco-protocol.md 3."""
SUPPLY, BALANCES, FROZENS, SCORES = (ORIGINAL_BASE + distance for distance in (7, 8, 9, 18))
PROBED_SLOTS = 12


class Holding(NamedTuple):
    """Stake and locked money in the hub, RLC outside [nRLC], and the score as a worker."""

    stake: int
    locked: int
    outside: int
    score: int


class Ledger:
    """
    The money of one market.

    Args:
        evm: Its chain.
        market: Tells hub, token, and an owner of RLC, by whose balance the token's table is found.
        is_original: Whose layout hub and token have.
    """

    def __init__(self, evm: Evm, market: Market, *, is_original: bool) -> None:
        self._evm = evm
        self._hub, self._token = market.hub.address, market.token.address
        self._is_original = is_original
        layout = load_artifact("Hub").layout
        self._accounts, self._scores = (layout[name].slot for name in ("accounts", "scores"))
        self._supply = SUPPLY if is_original else layout["supply"].slot
        self._outside = self._find_balances(market.roles.owner.address, market.token.data("balanceOf", market.roles.owner.address))
        self._places: dict[str, list[tuple[str, int]]] = {}

    def holding(self, account: str) -> Holding:
        """Tell what an account has."""
        places = self._places.get(account)
        if places is None:
            places = self._places[account] = self._find(account)
        found = [self._evm.storage(*place) for place in places]
        return Holding(*found) if self._is_original else Holding(found[0] & HALF, found[0] >> 128, found[1], found[2])

    def supply(self) -> int:
        """Tell what the hub says that all accounts have."""
        return self._evm.storage(self._hub, self._supply)

    def place_of_score(self, worker: str) -> tuple[str, int]:
        """Contract and slot where a worker's score is kept."""
        return self._hub, self._place(SCORES if self._is_original else self._scores, worker)

    def _find(self, account: str) -> list[tuple[str, int]]:
        slots = [(self._token, self._outside)]
        slots[:0] = [(self._hub, slot) for slot in ((BALANCES, FROZENS) if self._is_original else (self._accounts,))]
        return [*((contract, self._place(slot, account)) for contract, slot in slots), self.place_of_score(account)]

    def _find_balances(self, owner: str, question: bytes) -> int:
        held = int.from_bytes(self._evm.call(self._token, question), "big")
        assert held
        return next(slot for slot in range(PROBED_SLOTS) if self._evm.storage(self._token, self._place(slot, owner)) == held)

    def _place(self, slot: int, account: str) -> int:
        """Slot of a mapping's entry: Solidity hashes the key first, Vyper the mapping."""
        key, table = bytes.fromhex(account[2:]).rjust(32, b"\0"), slot.to_bytes(32, "big")
        return int.from_bytes(keccak(key + table if self._is_original else table + key), "big")
