"""A small chain in memory, for tests of the index without a node."""

from __future__ import annotations

from voisin.errors import StateError
from voisin.protocol.eip712 import Domain
from voisin.protocol.ids import Address
from voisin.protocol.signatures import signed_by


class TwinLedger:
    """
    A chain in memory; see `voisin.index.ledger.Ledger`.

    Attributes:
        owners: The owner of each workerpool.
    """

    def __init__(self, domain: Domain) -> None:
        """
        Args:
            domain: The hub and the chain that it pretends to be.
        """
        self.domain = domain
        self.owners: dict[Address, Address] = {}

    async def head(self) -> int:
        """Tell the number of the latest block."""
        return 0

    async def is_workerpool(self, entry: Address) -> bool:
        """Tell whether an address is in the registry of workerpools."""
        return entry in self.owners

    async def owner_of(self, entry: Address) -> Address:
        """Name the present owner of a registered entry."""
        if entry not in self.owners:
            raise StateError(f"there is no workerpool at {entry}")
        return self.owners[entry]

    async def is_signed_by(self, owner: Address, digest: bytes, signature: str) -> bool:
        """Tell whether an account signed a digest with its key."""
        return signed_by(owner, digest, signature)
