"""
Results that wait for a release: their keys, which nobody but this vault can make again.

The enclave of a task whose terms of use ask for a review gets a key for its result, and seals the result with it. The dataset's owner may
have that key at any time, to see what there is; the reader gets it once the owner released the result.
"""

from __future__ import annotations

from voisin.errors import StateError
from voisin.protocol.consent import Consent
from voisin.protocol.data_terms import Review
from voisin.protocol.ids import ZERO_ADDRESS, Address, TaskId
from voisin.protocol.records import Deal
from voisin.protocol.vault_terms import (
    RELEASE_ACT,
    RESULT_KEY_ACT,
    HeldResult,
    ResultKeyRequest,
    SealedResultKey,
    release_lines,
    result_key_lines,
    seal_result_key,
)
from voisin.units import UnixSeconds
from voisin.vault.cabinet import Cabinet
from voisin.vault.conditions import Conditions
from voisin.vault.consents import Consents
from voisin.vault.ledger import Ledger


class HeldResults:
    """These results, as owners and readers deal with them."""

    def __init__(self, cabinet: Cabinet, ledger: Ledger, consents: Consents, conditions: Conditions) -> None:
        """
        Args:
            cabinet: The sealed records; makes the keys.
            ledger: Knows tasks and deals.
            consents: Takes consents.
            conditions: Knows which terms of use a task has.
        """
        self._cabinet = cabinet
        self._ledger = ledger
        self._consents = consents
        self._conditions = conditions

    async def show(self, task_id: TaskId) -> HeldResult:
        """
        Tell whether the result of a task waits.

        Raises:
            StateError: There is no such task.
        """
        deal = await self._deal(task_id)
        if deal is None:
            return HeldResult(task_id=task_id, is_held=False)
        at = await self._cabinet.store.terms.released_at(task_id)
        return HeldResult(task_id=task_id, is_held=not at, released_at=at)

    async def release(self, task_id: TaskId, consent: Consent) -> HeldResult:
        """
        Release the result of a task, as the owner of its dataset.

        Raises:
            StateError: There is no such task, or its result does not wait.
            TrustError: The consent is not the owner's, or does not count.
        """
        owner = (await self._held(task_id)).dataset.owner
        await self._consents.take(consent, RELEASE_ACT, release_lines(task_id), by=owner)
        at = await self._cabinet.store.terms.release(task_id, owner, self._consents.now())
        return HeldResult(task_id=task_id, is_held=False, released_at=at)

    async def key(self, task_id: TaskId, request: ResultKeyRequest, consent: Consent) -> SealedResultKey:
        """
        Give the key of a result: to the owner of its dataset at any time, to its reader once it is released.

        Raises:
            StateError: There is no such task, its result does not wait, or is not released yet.
            TrustError: The consent is neither's, or does not count.
        """
        deal = await self._held(task_id)
        by = deal.dataset.owner if consent.signer == deal.dataset.owner else _reader(deal)
        await self._consents.take(consent, RESULT_KEY_ACT, result_key_lines(task_id, request), by=by)
        if by != deal.dataset.owner and not await self._released_at(task_id):
            raise StateError(f"the result of task {task_id} waits for its release", hint="the owner of the dataset releases it")
        return seal_result_key(self._cabinet.hold_key(task_id), task_id, request.reader_key, self._consents.vault)

    async def _released_at(self, task_id: TaskId) -> UnixSeconds:
        return await self._cabinet.store.terms.released_at(task_id)

    async def _held(self, task_id: TaskId) -> Deal:
        deal = await self._deal(task_id)
        if deal is None:
            raise StateError(f"the result of task {task_id} does not wait for a release", hint="read it as it is")
        return deal

    async def _deal(self, task_id: TaskId) -> Deal | None:
        """Find the deal of a task whose terms of use ask for a review; None where they do not."""
        task = await self._ledger.task(task_id)
        if task is None:
            raise StateError(f"there is no task {task_id} on this vault's chain")
        deal = await self._ledger.deal(task.deal_id)
        entry = await self._conditions.entry_of(task, deal)
        return None if entry is None or entry.terms.review is Review.NONE else deal


def _reader(deal: Deal) -> Address:
    return deal.requester if deal.beneficiary == ZERO_ADDRESS else deal.beneficiary
