"""A few facts of a chain in memory: the twin of a vault's ledger, for tests and simulations."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable

from voisin.chain import WentBackError
from voisin.errors import StateError
from voisin.protocol.eip712 import Domain
from voisin.protocol.ids import ZERO_ADDRESS, Address, DealId, Hash32, OrderHash, TaskId, as_address, hash32_of
from voisin.protocol.orders import DatasetOrder, OrderKind
from voisin.protocol.records import Deal, Task
from voisin.protocol.signatures import signed_by
from voisin.units import UnixSeconds
from voisin.vault.keyring import Keyring
from voisin.vault.ledger import DatasetMatch, MatchRange
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
        checksums: Checksums of apps and datasets.
        members: Who is in which group: the group and the account.
        closed: Dataset orders that were closed.
        blocks: What each block says of dataset orders, from block 1: deals, and orders that are closed.
        branch: Which of several chains it is; another one has other hashes.
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
        self.checksums: dict[tuple[OrderKind, Address], Hash32] = {}
        self.members: set[tuple[Address, Address]] = set()
        self.closed: set[OrderHash] = set()
        self.blocks: list[tuple[DatasetMatch | OrderHash, ...]] = []
        self.branch = b""
        self._wall = wall

    def match(self, deal_id: DealId, order_hash: OrderHash, volume: int) -> None:
        """Put a deal of a dataset order into a block of its own."""
        self.blocks.append((DatasetMatch(deal_id, order_hash, volume, len(self.blocks) + 1, 0),))

    def close(self, order_hash: OrderHash) -> None:
        """Close a dataset order."""
        self.closed.add(order_hash)
        self.blocks.append((order_hash,))

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

    async def checksum_of(self, kind: OrderKind, entry: Address) -> Hash32 | None:
        """Tell the checksum of an app or dataset; None for what is not in that registry."""
        return self.checksums.get((kind, entry))

    async def is_member(self, group: Address, account: Address) -> bool:
        """Tell whether a group contract lets an account in."""
        return (group, account) in self.members

    async def consumed(self, order_hash: OrderHash) -> int:
        """Tell how much of an order is used up or closed [tasks]."""
        used = sum(found.volume for found in self._matched(0, len(self.blocks)) if found.order_hash == order_hash)
        return 2**256 - 1 if order_hash in self.closed else used

    async def height(self) -> int:
        """Number the latest block."""
        return len(self.blocks)

    async def block_hash(self, number: int) -> Hash32 | None:
        """Tell the hash of a block; None when there is none."""
        return self._hash(number) if number <= len(self.blocks) else None

    async def matches(self, first: int, last: int, parent_hash: Hash32 | None) -> AsyncIterator[MatchRange]:
        """Read what happened to dataset orders in some blocks."""
        if parent_hash is not None and parent_hash != self._hash(first - 1):
            raise WentBackError(f"block {first - 1} is another one")
        closed = tuple(each for block in self.blocks[first - 1 : last] for each in block if not isinstance(each, DatasetMatch))
        yield MatchRange(last, self._hash(last), self._matched(first - 1, last), closed)

    def _matched(self, after: int, last: int) -> tuple[DatasetMatch, ...]:
        return tuple(each for block in self.blocks[after:last] for each in block if isinstance(each, DatasetMatch))

    def _hash(self, number: int) -> Hash32:
        return hash32_of(self.branch, number.to_bytes(8, "big"))


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
