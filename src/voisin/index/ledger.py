"""
What an index reads from the chain, and the chain that answers it.

`Ledger` is all that the index knows of a chain: `ChainLedger` asks a node, `voisin.index.twin.TwinLedger` keeps a small one in
memory for tests.
"""

from __future__ import annotations

from typing import Protocol

from voisin.chain import Chain
from voisin.index.compass import Registrar
from voisin.protocol.eip712 import Domain
from voisin.protocol.ids import Address


class Ledger(Registrar, Protocol):
    """The questions that an index asks a chain."""

    async def head(self) -> int:
        """Tell the number of the latest block."""
        ...


class ChainLedger:
    """A ledger that asks a node; see `Ledger`."""

    def __init__(self, chain: Chain) -> None:
        """
        Args:
            chain: The open chain.
        """
        self._chain = chain

    @property
    def domain(self) -> Domain:
        """The hub and the chain."""
        return self._chain.domain

    async def head(self) -> int:
        """Tell the number of the latest block."""
        return await self._chain.block_number()

    async def is_workerpool(self, entry: Address) -> bool:
        """Tell whether an address is in the registry of workerpools."""
        return await self._chain.registries.is_workerpool(entry)

    async def owner_of(self, entry: Address) -> Address:
        """Name the present owner of a registered entry."""
        return await self._chain.registries.owner_of(entry)

    async def is_signed_by(self, owner: Address, digest: bytes, signature: str) -> bool:
        """Tell whether an account, by its key or as a contract (ERC-1271), signed a digest."""
        return await self._chain.is_signed_by(owner, digest, signature)
