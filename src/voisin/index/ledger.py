"""
What an index reads from the chain, and the chain that answers it.

`Ledger` is all that the index knows of a chain: `ChainLedger` asks a node, `voisin.index.twin.TwinLedger` keeps a small one in
memory for tests.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from voisin.chain import Chain, EventRange, Follower, FollowSettings, Gathering
from voisin.chain.node_values import RawBlock, quantity
from voisin.chain.rpc import is_local
from voisin.index.asking import ask_everything
from voisin.index.compass import Registrar
from voisin.index.facts import Facts, Places, Questions
from voisin.index.settings import IndexSettings
from voisin.protocol.eip712 import Domain
from voisin.protocol.ids import Address, Hash32
from voisin.units import UnixSeconds


class Ledger(Registrar, Protocol):
    """The questions that an index asks a chain."""

    @property
    def places(self) -> Places:
        """The contracts whose events are recorded."""
        ...

    async def head(self) -> int:
        """Tell the number of the latest block."""
        ...

    async def block(self, number: int) -> tuple[Hash32, UnixSeconds] | None:
        """Tell a block's hash and time; None when the chain has no such block."""
        ...

    async def facts(self, asked: Questions) -> Facts:
        """
        Answer all questions of a stretch.

        Raises:
            UnavailableError: The node does not answer, or does not know what it told of before.
        """
        ...

    def ranges(self, start_block: int, parent_hash: Hash32 | None) -> AsyncIterator[EventRange]:
        """
        Follow the events of hub, registries and token from a block on, for ever, in ranges without gap or overlap.

        Args:
            start_block: First block of the first range.
            parent_hash: Hash of the block before it, when known; iterating raises `StateError` when it is another one now.
        """
        ...

    def hurry(self) -> None:
        """Have blocks that wait for more be read at once."""
        ...


class ChainLedger:
    """A ledger that asks a node; see `Ledger`."""

    def __init__(self, chain: Chain, settings: IndexSettings) -> None:
        """
        Args:
            chain: The open chain.
            settings: How it is followed.
        """
        self._chain = chain
        self._gathering = Gathering(settings.gather_s)
        self._settings = settings

    @property
    def domain(self) -> Domain:
        """The hub and the chain."""
        return self._chain.domain

    @property
    def places(self) -> Places:
        """The contracts whose events are recorded."""
        chain = self._chain
        return Places(chain.hub_address, chain.token_address, chain.app_registry, chain.dataset_registry, chain.workerpool_registry)

    async def head(self) -> int:
        """
        Tell the number of the latest block: a node on this machine is asked, another one only while it tells no news of its blocks.

        What it tells comes a moment later than an answer would, and costs no request for each query.
        """
        heads = self._chain.heads
        if heads.is_told and not is_local(self._chain.rpc.url):
            return heads.height
        return await self._chain.block_number()

    async def block(self, number: int) -> tuple[Hash32, UnixSeconds] | None:
        """Tell a block's hash and time; None when the chain has no such block."""
        (answer,) = await self._chain.rpc.ask([("eth_getBlockByNumber", (hex(number), False))])
        found = answer.read_optional(RawBlock)
        if found is None or found.name is None:
            return None
        return found.name, UnixSeconds(quantity(found.timestamp))

    async def facts(self, asked: Questions) -> Facts:
        """Answer all questions of a stretch."""
        return await ask_everything(self._chain, asked)

    def ranges(self, start_block: int, parent_hash: Hash32 | None) -> AsyncIterator[EventRange]:
        """Follow the events of hub, registries and token from a block on, for ever, in ranges without gap or overlap."""
        settings = self._settings
        how = FollowSettings(settings.poll_s, settings.span, with_token=True, lag_s=settings.lag_s, gathering=self._gathering)
        return Follower(self._chain, start_block, parent_hash, how)

    def hurry(self) -> None:
        """Have what the ranges gather be read at once."""
        self._gathering.hurry()

    async def is_workerpool(self, entry: Address) -> bool:
        """Tell whether an address is in the registry of workerpools."""
        return await self._chain.registries.is_workerpool(entry)

    async def owner_of(self, entry: Address) -> Address:
        """Name the present owner of a registered entry."""
        return await self._chain.registries.owner_of(entry)

    async def is_signed_by(self, owner: Address, digest: bytes, signature: str) -> bool:
        """Tell whether an account, by its key or as a contract (ERC-1271), signed a digest."""
        return await self._chain.is_signed_by(owner, digest, signature)
