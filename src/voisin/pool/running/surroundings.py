"""What a pool works with, and how it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from voisin.pool.bags.ledger import BagLedger
from voisin.pool.chain.ledger import Ledger
from voisin.pool.database.store import PoolStore
from voisin.pool.running.introductions import Judge
from voisin.pool.running.uploads import ResultStore
from voisin.service.vaults import Challenges


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """
    What a pool works with: its chain, its records, the storage of results, this machine's clock [Unix s], the vault, if it has one, and
    what judges real enclaves, if there is a policy for them.
    """

    ledger: Ledger
    store: PoolStore
    results: ResultStore
    wall: Callable[[], float]
    bags: BagLedger
    vault: Challenges | None = None
    enclaves: Judge | None = None


@dataclass(slots=True)
class Condition:
    """How a pool is: how far it has read the chain, whether it acts, and what stands in its way."""

    next_block: int = 0
    is_live: bool = False
    step_trouble: str = ""
