"""Gathering the facts of a use, and judging it by the owner's terms, each time that a key would go out."""

from __future__ import annotations

from dataclasses import dataclass

from voisin.errors import TrustError
from voisin.protocol.data_terms import Review, require_commitment
from voisin.protocol.data_use import Use, level_of, memberships
from voisin.protocol.eip712 import order_hash
from voisin.protocol.evidence import Evidence
from voisin.protocol.ids import ZERO_ADDRESS, Address, OrderHash
from voisin.protocol.orders import DatasetOrder, OrderKind
from voisin.protocol.params import parse_params
from voisin.protocol.records import Deal, Task
from voisin.protocol.vault_terms import TermsEntry
from voisin.vault.book import Book
from voisin.vault.ledger import Ledger
from voisin.vault.machine import TermsError, require_use
from voisin.vault.standing import Memory
from voisin.vault.terms_records import MatchRecord, TermsStore


@dataclass(frozen=True, slots=True)
class Granted:
    """A use that is allowed: under which order with which terms, and how many uses of the order come before."""

    entry: TermsEntry
    number: int


@dataclass(frozen=True, slots=True)
class Counts:
    """How many uses come before one: of the order, of them the requester's, and what these spent of the privacy budget [1e-6]."""

    number: int
    of_renter: int
    spent_micro: int


class Conditions:
    """The owners' conditions."""

    def __init__(self, store: TermsStore, ledger: Ledger, book: Book, memory: Memory) -> None:
        """
        Args:
            store: The orders with their terms.
            ledger: The chain.
            book: The deals of these orders.
            memory: Knows whether the records forgot something.
        """
        self._store = store
        self._ledger = ledger
        self._book = book
        self._memory = memory

    async def of_deal(self, task: Task, deal: Deal, evidence: Evidence) -> Granted | None:
        """
        Judge the use of a deal's dataset.

        Returns:
            What is granted; None for a deal without dataset, or a dataset without terms.

        Raises:
            TermsError: The use is not allowed; every reason is named.
            UnavailableError: The chain or the records do not answer.
        """
        dataset = deal.dataset.pointer
        if dataset == ZERO_ADDRESS or not await self._has_terms(dataset):
            return None
        match = await self._book.match(task.deal_id)
        entry = None if match is None else await self._entry(match.order_hash)
        if match is None or entry is None:
            hint = "rent it under an order that the vault shows"
            raise TermsError(f"dataset {dataset} has terms of use, and the deal is of an order that has none here", hint=hint)
        counts = await self._counts(match, task.index - deal.bot_first)
        await self._judge(entry, deal, evidence, counts)
        return Granted(entry, counts.number)

    async def of_listed(self, order: DatasetOrder, deal: Deal, evidence: Evidence) -> Granted | None:
        """
        Judge the use of a dataset of a deal's list. Such uses have no number: what counts uses, or holds results, is not opened so.

        Returns:
            What is granted; None for a dataset without terms.

        Raises:
            TermsError: The use is not allowed; every reason is named.
            UnavailableError: The chain or the records do not answer.
        """
        if not await self._has_terms(order.dataset):
            return None
        await self._book.catch_up()  # an order that was closed on the chain
        entry = await self._entry(order_hash(order, self._ledger.domain))
        if entry is None or entry.terms.review is not Review.NONE or entry.terms.keepers:
            raise TermsError(f"dataset {order.dataset} is not opened as one of a list", hint="rent it with a deal of its own")
        await self._judge(entry, deal, evidence, None)
        return Granted(entry, 0)

    async def entry_of(self, task: Task, deal: Deal) -> TermsEntry | None:
        """Find the order with terms that a task's deal is of; None when its dataset has none."""
        if deal.dataset.pointer == ZERO_ADDRESS or not await self._has_terms(deal.dataset.pointer):
            return None
        match = await self._book.match(task.deal_id)
        return None if match is None else await self._store.order(match.order_hash)

    async def _entry(self, name: OrderHash) -> TermsEntry | None:
        """Find an order, and see that nobody changed it or its terms in the records: the chain names its hash, which covers both."""
        entry = await self._store.order(name)
        if entry is not None:
            if order_hash(entry.order, self._ledger.domain) != name:
                raise TrustError(f"the record of order {name} was changed", hint="its owner pushes it again")
            require_commitment(entry.terms, entry.order)
        return entry

    async def _has_terms(self, dataset: Address) -> bool:
        return await self._store.has_orders(dataset)

    async def _judge(self, entry: TermsEntry, deal: Deal, evidence: Evidence, counts: Counts | None) -> None:
        pool, requester = deal.workerpool.pointer, deal.requester
        asked = memberships(entry.terms, pool=pool, requester=requester)
        use = Use(
            dataset=entry.terms.dataset if counts is None else deal.dataset.pointer,
            at=await self._ledger.now(),
            app=await self._ledger.checksum_of(OrderKind.APP, deal.app.pointer),
            pool=pool,
            requester=requester,
            members=frozenset([pair for pair in asked if await self._ledger.is_member(*pair)]),
            purpose=parse_params(deal.params).voisin_purpose,
            enclave=level_of(evidence),
            number=None if counts is None else counts.number,
            number_of_renter=None if counts is None else counts.of_renter,
            privacy_spent_micro=None if counts is None else counts.spent_micro,
        )
        require_use(entry, deal, use, await self._memory.restored_at())

    async def _counts(self, match: MatchRecord, place: int) -> Counts:
        """Count what comes before a use, by the chain: a task that failed, or was never run, counts too."""
        before = await self._store.uses_before(match)
        mine = dict(before.of_requester)
        mine[match.order_hash] = mine.get(match.order_hash, 0) + place
        spent = 0
        for name, volume in mine.items():
            entry = await self._store.order(OrderHash(name))
            if entry is not None and entry.terms.privacy is not None:
                spent += entry.terms.privacy.query_micro * volume
        return Counts(before.of_order + place, mine[match.order_hash], spent)
