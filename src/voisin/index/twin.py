"""A small chain in memory, for tests of the index without a node."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import anyio

from voisin.chain import EventRange
from voisin.errors import StateError
from voisin.index.facts import Facts, Places, Questions
from voisin.protocol.eip712 import Domain
from voisin.protocol.events import Logged
from voisin.protocol.ids import Address, Hash32
from voisin.protocol.signatures import signed_by
from voisin.units import UnixSeconds


@dataclass(frozen=True, slots=True)
class TwinBlock:
    """A block: its hash, its time, and what was logged in it."""

    hash: Hash32
    timestamp: UnixSeconds
    events: tuple[Logged, ...] = ()


class TwinLedger:
    """
    A chain in memory; see `voisin.index.ledger.Ledger`.

    Attributes:
        owners: The owner of each workerpool.
        blocks: The chain; whoever changes it calls `changed`.
        known: What it answers to questions about its events.
        span: Most blocks of one range.
    """

    def __init__(self, domain: Domain, places: Places) -> None:
        """
        Args:
            domain: The hub and the chain that it pretends to be.
            places: Its contracts.
        """
        self.domain = domain
        self.places = places
        self.owners: dict[Address, Address] = {}
        self.blocks: list[TwinBlock] = []
        self.known = Facts()
        self.span = 1000
        self._news = anyio.Event()

    def changed(self) -> None:
        """Tell those who follow that the chain is another one now."""
        self._news.set()
        self._news = anyio.Event()

    async def head(self) -> int:
        """Tell the number of the latest block."""
        return len(self.blocks) - 1

    async def block(self, number: int) -> tuple[Hash32, UnixSeconds] | None:
        """Tell a block's hash and time; None when the chain has no such block."""
        return (self.blocks[number].hash, self.blocks[number].timestamp) if 0 <= number < len(self.blocks) else None

    async def facts(self, asked: Questions) -> Facts:
        """Answer all questions of a stretch."""
        times = {block: self.blocks[block].timestamp for block in asked.blocks}
        return Facts(times, *(getattr(self.known, name) for name in ("transactions", "deals", "tasks", "contributions", "entries")))

    async def ranges(self, start_block: int, parent_hash: Hash32 | None) -> AsyncIterator[EventRange]:
        """Follow the events from a block on, for ever, in ranges without gap or overlap."""
        while True:
            if parent_hash is not None and (len(self.blocks) < start_block or self.blocks[start_block - 1].hash != parent_hash):
                raise StateError(f"block {start_block - 1} is another one than was seen")
            part = self.blocks[start_block : start_block + self.span]
            if not part:
                await self._news.wait()
                continue
            last = start_block + len(part) - 1
            yield EventRange(start_block, last, tuple(event for block in part for event in block.events), part[-1].hash)
            start_block, parent_hash = last + 1, part[-1].hash

    def hurry(self) -> None:
        """Nothing is gathered here."""

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
