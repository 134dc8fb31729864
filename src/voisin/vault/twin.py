"""A few facts of a chain in memory: the twin of a vault's ledger, for tests and simulations."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from voisin.errors import StateError
from voisin.protocol.eip712 import Domain
from voisin.protocol.ids import ZERO_ADDRESS, Address, DealId, TaskId, as_address
from voisin.protocol.orders import DatasetOrder, OrderKind
from voisin.protocol.records import Deal, Task
from voisin.protocol.signatures import signed_by
from voisin.units import UnixSeconds
from voisin.vault.keyring import Keyring
from voisin.vault.memory import MemoryStore
from voisin.vault.service import VaultService, open_service
from voisin.vault.settings import VaultSettings

TWIN_DOMAIN = Domain(chain_id=31337, hub=as_address("0x" + "b0" * 20))


class TwinLedger:
    """
    Facts that a test sets; see `voisin.vault.ledger.Ledger` for what it answers.

    Attributes:
        domain: The hub.
        owners: Owner of each app and dataset.
        tasks: Tasks that are initialized.
        deals: Deals.
        broker: The broker of enclaves.
        openable: Datasets that deals without one of their own may open.
        approved: What contracts say they signed: the contract and the digest.
    """

    def __init__(self, wall: Callable[[], float], domain: Domain = TWIN_DOMAIN) -> None:
        """
        Args:
            wall: The clock that deadlines are held against [Unix s].
            domain: The hub.
        """
        self.domain = domain
        self.owners: dict[tuple[OrderKind, Address], Address] = {}
        self.tasks: dict[TaskId, Task] = {}
        self.deals: dict[DealId, Deal] = {}
        self.broker = ZERO_ADDRESS
        self.openable: set[tuple[Address, DealId]] = set()
        self.approved: set[tuple[Address, bytes]] = set()
        self._wall = wall

    async def owner_of(self, kind: OrderKind, entry: Address) -> Address | None:
        """Name the present owner of an app or dataset; None for what is not in that registry."""
        return self.owners.get((kind, entry))

    async def task(self, task_id: TaskId) -> Task | None:
        """Look a task up; None for one that is not initialized."""
        return self.tasks.get(task_id)

    async def deal(self, deal_id: DealId) -> Deal:
        """Look a deal up."""
        if deal_id not in self.deals:
            raise StateError(f"unknown deal {deal_id}")
        return self.deals[deal_id]

    async def tee_broker(self) -> Address:
        """Name who signs the authorisations of enclave tasks in place of the workerpools' owners; zero for nobody."""
        return self.broker

    async def now(self) -> UnixSeconds:
        """Tell the time that deadlines are held against [Unix s]."""
        return UnixSeconds(int(self._wall()))

    async def may_open(self, dataset_order: DatasetOrder, deal_id: DealId) -> bool:
        """Tell whether a deal may open a dataset."""
        return (dataset_order.dataset, deal_id) in self.openable

    async def is_signed_by(self, owner: Address, digest: bytes, signature: str) -> bool:
        """Tell whether an account signed a digest by its key, or approved it as a contract would."""
        return (owner, digest) in self.approved or signed_by(owner, digest, signature)


async def twin_vault(ledger: TwinLedger, wall: Callable[[], float], settings: VaultSettings | None = None) -> VaultService:
    """
    Make a vault that keeps everything in memory; `voisin.vault.api.create_app` serves it.

    Args:
        ledger: What it knows of the chain.
        wall: Its clock [Unix s].
        settings: How it is set up; by default it allows simulated enclaves.
    """
    keyring = Keyring([secrets.token_bytes(32)], secrets.token_bytes)
    return await open_service(settings or VaultSettings(allow_simulated=True), MemoryStore(), keyring, ledger, wall)
