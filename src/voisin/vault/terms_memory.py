"""The records of data with terms of use in memory, for tests and simulations; see `voisin.vault.terms_records.TermsStore`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from msgspec.structs import replace

from voisin.protocol.ids import ZERO_HASH, Address, DealId, Hash32, OrderHash, TaskId
from voisin.protocol.vault_terms import DataRefusal, DataUse, SessionEvidence, TermsEntry
from voisin.units import UnixSeconds
from voisin.vault.terms_records import MatchRecord, Position, ReleaseRecord, Serving, Standing, Turnout, UsesBefore

_NOWHERE = Position(0, ZERO_HASH)


class MemoryTermsStore:
    """These records in memory."""

    def __init__(self, releases: list[ReleaseRecord]) -> None:
        """
        Args:
            releases: The list of uses of secrets, which is kept beside them.
        """
        self._releases = releases
        self._orders: dict[OrderHash, TermsEntry] = {}
        self._from: dict[OrderHash, int] = {}
        self._standing = Standing(0, UnixSeconds(0))
        self._position = _NOWHERE
        self._matches: dict[DealId, MatchRecord] = {}
        self._served: dict[TaskId, tuple[Address, Hash32]] = {}
        self._uses: list[DataUse] = []
        self._refusals: list[DataRefusal] = []
        self._evidence: dict[TaskId, dict[Hash32, SessionEvidence]] = {}
        self._released: dict[TaskId, tuple[Address, UnixSeconds]] = {}

    async def add_order(self, entry: TermsEntry, from_block: int) -> bool:
        """Add an order with its terms; answers False, and changes nothing, when it is there."""
        if entry.order_hash in self._orders:
            return False
        self._orders[entry.order_hash], self._from[entry.order_hash] = entry, from_block
        return True

    async def count_change(self) -> int:
        """Count a change that must never be forgotten; answers its serial."""
        return self._next_serial()

    async def confirm_order(self, order_hash: OrderHash, at: UnixSeconds) -> bool:
        """Note that an owner stands by an order still; answers False, and changes nothing, when it is revoked or not there."""
        entry = self._orders.get(order_hash)
        if entry is None or entry.revoked_at:
            return False
        self._orders[order_hash] = replace(entry, pushed_at=at)
        return True

    async def order(self, order_hash: OrderHash) -> TermsEntry | None:
        """Find an order."""
        return self._orders.get(order_hash)

    async def has_orders(self, dataset: Address) -> bool:
        """Tell whether there is an order of a dataset, be it revoked."""
        return any(entry.terms.dataset == dataset for entry in self._orders.values())

    async def orders_of(self, dataset: Address) -> list[TermsEntry]:
        """List the orders of a dataset, revoked ones too, the oldest first."""
        found = [entry for entry in self._orders.values() if entry.terms.dataset == dataset]
        return sorted(found, key=lambda entry: (entry.pushed_at, entry.order_hash))

    async def revoke(self, order_hashes: Sequence[OrderHash], at: UnixSeconds) -> int:
        """Revoke orders; answers the serial of this change, or 0 when all were revoked before."""
        standing = [self._orders[name] for name in order_hashes if name in self._orders and not self._orders[name].revoked_at]
        for entry in standing:
            self._orders[entry.order_hash] = replace(entry, revoked_at=at)
        return self._next_serial() if standing else 0

    async def standing(self) -> Standing:
        """Tell how many changes were made that must never be forgotten, and whether some were."""
        return self._standing

    async def note_restored(self, serial: int, at: UnixSeconds) -> None:
        """Note that the records are older than they should be; the serial goes on from where it was."""
        self._standing = Standing(max(serial, self._standing.serial), at)

    async def position(self) -> Position:
        """Tell up to which block the chain's deals are here."""
        return self._position

    async def first_block(self) -> int | None:
        """Tell from which block on deals matter; None while there is no order."""
        return min(self._from.values(), default=None)

    async def known(self, order_hashes: Sequence[OrderHash]) -> dict[OrderHash, Address]:
        """Name those of the orders that are here, with their datasets."""
        return {name: self._orders[name].terms.dataset for name in order_hashes if name in self._orders}

    async def add_matches(self, records: Sequence[MatchRecord], over: Position, upto: Position) -> bool:
        """Add deals up to a block; answers False, and changes nothing, when somebody else went on from `over` meanwhile."""
        if self._position != over:
            return False
        self._position = upto
        for record in records:
            self._matches.setdefault(record.deal_id, record)
        return True

    async def forget_matches(self, over: Position) -> None:
        """Drop all deals, unless somebody else went on from `over` meanwhile: the chain is another one."""
        if self._position == over:
            self._position = _NOWHERE
            self._matches.clear()

    async def match(self, deal_id: DealId) -> MatchRecord | None:
        """Find a deal."""
        return self._matches.get(deal_id)

    async def uses_before(self, found: MatchRecord) -> UsesBefore:
        """Count the uses that come before a deal's."""
        earlier = [match for match in self._matches.values() if (match.block, match.place) < (found.block, found.place)]
        theirs: Counter[OrderHash] = Counter()
        for match in earlier:
            if (match.dataset, match.requester) == (found.dataset, found.requester):
                theirs[match.order_hash] += match.volume
        return UsesBefore(sum(match.volume for match in earlier if match.order_hash == found.order_hash), theirs)

    async def serve(self, serving: Serving) -> tuple[Turnout, int]:
        """Record that a task gets its keys, if no other enclave got them and no order was revoked; answers the serial too."""
        entries = [self._orders.get(use.order_hash) for use in serving.uses]
        if any(entry is None or entry.revoked_at for entry in entries):
            return Turnout.REVOKED, 0
        to = (serving.worker, serving.session_key)
        holder = self._served.get(serving.task_id)
        if holder is not None:
            return (Turnout.REPEATED if holder == to else Turnout.TAKEN), 0
        self._served[serving.task_id] = to
        self._uses += [replace(use, id=number) for number, use in enumerate(serving.uses, len(self._uses) + 1)]
        await self.add_evidence(serving.task_id, serving.evidence, serving.releases)
        return Turnout.SERVED, self._next_serial()

    async def served_to(self, task_id: TaskId) -> tuple[Address, Hash32] | None:
        """Tell which worker and enclave key a task was served to."""
        return self._served.get(task_id)

    async def add_evidence(self, task_id: TaskId, session: SessionEvidence, releases: Sequence[ReleaseRecord]) -> None:
        """Record a session without data that has terms."""
        self._evidence.setdefault(task_id, {}).setdefault(session.session_key, session)
        self._releases += releases

    async def evidence_of(self, task_id: TaskId) -> list[SessionEvidence]:
        """List what enclaves showed that got the secrets of a task, the oldest first."""
        return list(self._evidence.get(task_id, {}).values())

    async def uses_of(self, dataset: Address, *, since: UnixSeconds, before: int | None, limit: int) -> list[DataUse]:
        """List uses of a dataset, newest first; only those from `since` on, and numbered below `before`."""
        found = [use for use in self._uses if use.dataset == dataset and use.at >= since and (before is None or use.id < before)]
        return found[::-1][:limit]

    async def refuse(self, refusal: DataRefusal) -> None:
        """Record that terms refused a use; the first of a task and dataset stays."""
        if all((each.task_id, each.dataset) != (refusal.task_id, refusal.dataset) for each in self._refusals):
            self._refusals.append(replace(refusal, id=len(self._refusals) + 1))

    async def refusals_of(self, dataset: Address, *, since: UnixSeconds, before: int | None, limit: int) -> list[DataRefusal]:
        """List refused uses of a dataset, newest first; only those from `since` on, and numbered below `before`."""
        found = [each for each in self._refusals if each.dataset == dataset and each.at >= since and (before is None or each.id < before)]
        return found[::-1][:limit]

    async def release(self, task_id: TaskId, by: Address, at: UnixSeconds) -> UnixSeconds:
        """Release the result of a task; answers since when it is released."""
        return self._released.setdefault(task_id, (by, at))[1]

    async def released_at(self, task_id: TaskId) -> UnixSeconds:
        """Tell since when the result of a task is released; 0 for not."""
        return self._released[task_id][1] if task_id in self._released else UnixSeconds(0)

    def _next_serial(self) -> int:
        self._standing = Standing(self._standing.serial + 1, self._standing.restored_at)
        return self._standing.serial
