"""What a vault keeps of data with terms of use, and what may be done with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from voisin.protocol.ids import Address, DealId, Hash32, OrderHash, TaskId
from voisin.protocol.secrets import Release
from voisin.protocol.vault_terms import DataRefusal, DataUse, SessionEvidence, TermsEntry
from voisin.units import UnixSeconds


@dataclass(frozen=True, slots=True)
class ReleaseRecord:
    """A use of a secret, and whose it was at that time."""

    owner: Address
    release: Release


@dataclass(frozen=True, slots=True)
class MatchRecord:
    """A deal of an order with terms: how many tasks, for whom, and where on the chain it stands."""

    deal_id: DealId
    order_hash: OrderHash
    dataset: Address
    requester: Address
    volume: int
    block: int
    place: int


@dataclass(frozen=True, slots=True)
class Position:
    """Up to which block the chain's deals are in the records, and its hash; block 0 for none."""

    block: int
    name: Hash32


@dataclass(frozen=True, slots=True)
class UsesBefore:
    """
    Uses that come before a deal's.

    Attributes:
        of_order: Of its order.
        of_requester: Of each order of its dataset, those for the same requester.
    """

    of_order: int
    of_requester: Mapping[OrderHash, int]


@dataclass(frozen=True, slots=True)
class Standing:
    """
    What must never be forgotten.

    Attributes:
        serial: How many such changes were made.
        restored_at: When the records were last found to be older than they should be; 0 for never.
    """

    serial: int
    restored_at: UnixSeconds


class Turnout(Enum):
    """What came of serving a task."""

    SERVED = "served"
    REPEATED = "repeated"
    """The same enclave got it before: its answer may have been lost."""
    TAKEN = "taken"
    """Another enclave got it before."""
    REVOKED = "revoked"
    """An order was revoked meanwhile."""


@dataclass(frozen=True, slots=True)
class Serving:
    """
    A task that gets keys of data with terms.

    Attributes:
        task_id: The task.
        worker: Whose machine asked.
        session_key: The enclave's key.
        uses: What goes to the owners' ledgers; their ids are given by the records.
        releases: What goes to the list of uses of secrets.
        evidence: What the enclave showed.
    """

    task_id: TaskId
    worker: Address
    session_key: Hash32
    evidence: SessionEvidence
    uses: Sequence[DataUse] = field(default=())
    releases: Sequence[ReleaseRecord] = field(default=())


class TermsStore(Protocol):
    """These records. Every call that changes something is one transaction, kept whole or not at all."""

    async def add_order(self, entry: TermsEntry, from_block: int) -> bool:
        """Add an order with its terms; answers False, and changes nothing, when it is there."""
        ...

    async def count_change(self) -> int:
        """Count a change that must never be forgotten; answers its serial."""
        ...

    async def confirm_order(self, order_hash: OrderHash, at: UnixSeconds) -> bool:
        """Note that an owner stands by an order still; answers False, and changes nothing, when it is revoked or not there."""
        ...

    async def order(self, order_hash: OrderHash) -> TermsEntry | None:
        """Find an order."""
        ...

    async def has_orders(self, dataset: Address) -> bool:
        """Tell whether there is an order of a dataset, be it revoked."""
        ...

    async def orders_of(self, dataset: Address) -> list[TermsEntry]:
        """List the orders of a dataset, revoked ones too, the oldest first."""
        ...

    async def revoke(self, order_hashes: Sequence[OrderHash], at: UnixSeconds) -> int:
        """Revoke orders; answers the serial of this change, or 0 when all were revoked before."""
        ...

    async def standing(self) -> Standing:
        """Tell how many changes were made that must never be forgotten, and whether some were."""
        ...

    async def note_restored(self, serial: int, at: UnixSeconds) -> None:
        """Note that the records are older than they should be; the serial goes on from where it was."""
        ...

    async def position(self) -> Position:
        """Tell up to which block the chain's deals are here."""
        ...

    async def first_block(self) -> int | None:
        """Tell from which block on deals matter; None while there is no order."""
        ...

    async def known(self, order_hashes: Sequence[OrderHash]) -> dict[OrderHash, Address]:
        """Name those of the orders that are here, with their datasets."""
        ...

    async def add_matches(self, records: Sequence[MatchRecord], over: Position, upto: Position) -> bool:
        """Add deals up to a block; answers False, and changes nothing, when somebody else went on from `over` meanwhile."""
        ...

    async def forget_matches(self, over: Position) -> None:
        """Drop all deals, unless somebody else went on from `over` meanwhile: the chain is another one."""
        ...

    async def match(self, deal_id: DealId) -> MatchRecord | None:
        """Find a deal."""
        ...

    async def uses_before(self, found: MatchRecord) -> UsesBefore:
        """Count the uses that come before a deal's."""
        ...

    async def serve(self, serving: Serving) -> tuple[Turnout, int]:
        """
        Record that a task gets its keys, if no other enclave got them and no order was revoked.

        Returns:
            What came of it, and the serial of this change; 0 when nothing was changed.
        """
        ...

    async def served_to(self, task_id: TaskId) -> tuple[Address, Hash32] | None:
        """Tell which worker and enclave key a task was served to."""
        ...

    async def add_evidence(self, task_id: TaskId, session: SessionEvidence, releases: Sequence[ReleaseRecord]) -> None:
        """Record a session without data that has terms."""
        ...

    async def evidence_of(self, task_id: TaskId) -> list[SessionEvidence]:
        """List what enclaves showed that got the secrets of a task, the oldest first."""
        ...

    async def uses_of(self, dataset: Address, *, since: UnixSeconds, before: int | None, limit: int) -> list[DataUse]:
        """List uses of a dataset, newest first; only those from `since` on, and numbered below `before`."""
        ...

    async def refuse(self, refusal: DataRefusal) -> None:
        """Record that terms refused a use; the first of a task and dataset stays."""
        ...

    async def refusals_of(self, dataset: Address, *, since: UnixSeconds, before: int | None, limit: int) -> list[DataRefusal]:
        """List refused uses of a dataset, newest first; only those from `since` on, and numbered below `before`."""
        ...

    async def release(self, task_id: TaskId, by: Address, at: UnixSeconds) -> UnixSeconds:
        """Release the result of a task; answers since when it is released."""
        ...

    async def released_at(self, task_id: TaskId) -> UnixSeconds:
        """Tell since when the result of a task is released; 0 for not."""
        ...
