"""Data with terms of use at a vault, as owners, renters and anybody else deal with it over HTTP."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import AsyncGenerator, Sequence

from voisin.client.vault import VaultDesk
from voisin.errors import InputError
from voisin.protocol.codec import encode
from voisin.protocol.data_terms import DataTerms
from voisin.protocol.eip712 import Domain, order_hash
from voisin.protocol.ids import Address, OrderHash, TaskId
from voisin.protocol.orders import DatasetOrder
from voisin.protocol.shamir import split_key
from voisin.protocol.signatures import Signer
from voisin.protocol.vault_terms import (
    ALL_ORDERS,
    REFUSALS_ACT,
    RELEASE_ACT,
    RESULT_KEY_ACT,
    REVOKE_ACT,
    TERMS_ACT,
    USES_ACT,
    DataRefusal,
    DataUse,
    HeldResult,
    ReaderKey,
    RefusalPage,
    ResultKeyRequest,
    SealedResultKey,
    TaskEvidence,
    TermsEntry,
    TermsPage,
    TermsPush,
    UsePage,
    refusals_lines,
    release_lines,
    result_key_lines,
    revoke_lines,
    terms_lines,
    uses_lines,
)

_ABSENT = "no-such-secret"


class TermsDesk:
    """A vault's orders with terms of use."""

    def __init__(self, desk: VaultDesk, domain: Domain) -> None:
        """
        Args:
            desk: The vault.
            domain: What orders are signed for.
        """
        self._desk = desk
        self._domain = domain

    @property
    def url(self) -> str:
        """Where the vault is."""
        return self._desk.service.base_url.rstrip("/")

    async def vault(self) -> Address:
        """Tell the address of the vault's own key."""
        return (await self._desk.vault_id()).vault

    async def push(self, wallet: Signer, order: DatasetOrder, terms: DataTerms, *, key: str = "") -> TermsEntry:
        """
        Keep an order with its terms, before it is published; or confirm one.

        Args:
            wallet: The wallet of the dataset's owner.
            order: The order; its salt is the terms' id.
            terms: The terms of use.
            key: The dataset's key, or this vault's share of it; empty when the vault has it.

        Raises:
            TrustError: The wallet does not own the dataset, or the order does not commit to the terms.
            StateError: The order was used already, or is revoked; or there is no key.
        """
        about = terms_lines(order.dataset, order_hash(order, self._domain), terms.id, key)
        headers = await self._desk.consent(wallet, TERMS_ACT, about)
        headers["content-type"] = "application/json"
        body = encode(TermsPush(order=order, terms=terms, key=key))
        return await self._desk.service.call("POST", f"/v1/datasets/{order.dataset}/terms", TermsEntry, headers=headers, content=body)

    async def of_dataset(self, dataset: Address) -> tuple[TermsEntry, ...]:
        """List a dataset's orders with terms, revoked ones too, the oldest first."""
        return (await self.page(dataset)).entries

    async def page(self, dataset: Address) -> TermsPage:
        """The same, with the time at which the vault's records were last found restored."""
        return await self._desk.service.read(f"/v1/datasets/{dataset}/terms", TermsPage)

    async def of_order(self, name: OrderHash) -> TermsEntry | None:
        """Find an order with its terms; None when there is none."""
        return await self._desk.service.find(f"/v1/terms/{name}", TermsEntry, absent=_ABSENT)

    async def revoke(self, wallet: Signer, dataset: Address, order: OrderHash | None = None) -> tuple[TermsEntry, ...]:
        """
        Revoke one order of a dataset, or all: from then on no key goes out for them.

        Raises:
            InputError: There is no such order.
            TrustError: The wallet does not own the dataset.
        """
        which = ALL_ORDERS if order is None else order
        headers = await self._desk.consent(wallet, REVOKE_ACT, revoke_lines(dataset, which))
        path, filters = f"/v1/datasets/{dataset}/revocation", {"order": which}
        return (await self._desk.service.call("POST", path, TermsPage, filters=filters, headers=headers)).entries

    async def uses(self, wallet: Signer, dataset: Address, *, since: int = 0) -> AsyncGenerator[DataUse, None]:
        """
        Go through the uses of a dataset, newest first.

        Args:
            wallet: The wallet of its owner.
            dataset: The dataset.
            since: From when on [Unix s].
        """
        before: int | None = None
        while True:
            headers = await self._desk.consent(wallet, USES_ACT, uses_lines(dataset))
            filters = {"since": since, "before": before}
            page = await self._desk.service.call("GET", f"/v1/datasets/{dataset}/uses", UsePage, filters=filters, headers=headers)
            for use in page.uses:
                yield use
            if (before := page.next) is None:
                return

    async def refusals(self, wallet: Signer, dataset: Address, *, since: int = 0) -> AsyncGenerator[DataRefusal, None]:
        """
        Go through the uses of a dataset that its terms refused, newest first.

        Args:
            wallet: As in `uses`.
            dataset: Likewise.
            since: Likewise.
        """
        before: int | None = None
        while True:
            headers = await self._desk.consent(wallet, REFUSALS_ACT, refusals_lines(dataset))
            filters = {"since": since, "before": before}
            path = f"/v1/datasets/{dataset}/refusals"
            page = await self._desk.service.call("GET", path, RefusalPage, filters=filters, headers=headers)
            for refusal in page.refusals:
                yield refusal
            if (before := page.next) is None:
                return

    async def evidence(self, task: TaskId) -> TaskEvidence:
        """Show what the enclaves of a task showed."""
        return await self._desk.service.read(f"/v1/tasks/{task}/evidence", TaskEvidence)

    async def result(self, task: TaskId) -> HeldResult:
        """Tell whether the result of a task waits for a release."""
        return await self._desk.service.read(f"/v1/tasks/{task}/result", HeldResult)

    async def release(self, wallet: Signer, task: TaskId) -> HeldResult:
        """
        Release the result of a task to its reader.

        Raises:
            TrustError: The wallet does not own the dataset.
            StateError: The result does not wait.
        """
        headers = await self._desk.consent(wallet, RELEASE_ACT, release_lines(task))
        return await self._desk.service.call("POST", f"/v1/tasks/{task}/release", HeldResult, headers=headers)

    async def result_key(self, wallet: Signer, task: TaskId) -> bytes:
        """
        Get the key under which the result of a task waits: 32 bytes, see `voisin.protocol.sealed_stream`.

        Args:
            wallet: The wallet of the reader, once the result is released, or of the dataset's owner.
            task: The task.

        Raises:
            StateError: The result is not released, or does not wait.
            TrustError: The wallet is neither's, or the answer is not for this request.
        """
        key = ReaderKey(secrets.token_bytes)
        request = ResultKeyRequest(reader_key=key.public)
        headers = await self._desk.consent(wallet, RESULT_KEY_ACT, result_key_lines(task, request))
        headers["content-type"] = "application/json"
        path = f"/v1/tasks/{task}/result-key"
        sealed = await self._desk.service.call("POST", path, SealedResultKey, headers=headers, content=encode(request))
        return key.open(sealed, await self._desk.vault_id())


async def push_shared(keepers: Sequence[TermsDesk], wallet: Signer, pushed: TermsPush) -> tuple[TermsEntry, ...]:
    """
    Share a dataset's key among the vaults that the terms name, and push the order with the terms to each.

    The shares follow from the key, so that they are the same when it is done again: after a failure, or for another offer.

    Args:
        keepers: The vaults, in the order of the terms' keepers.
        wallet: The wallet of the dataset's owner.
        pushed: The order, the terms, and the whole key, which no vault gets.

    Raises:
        InputError: The vaults are not those that the terms name.
        TrustError: As for `TermsDesk.push`.
        StateError: Likewise.
    """
    terms = pushed.terms
    if [await desk.vault() for desk in keepers] != [keeper.vault for keeper in terms.keepers]:
        raise InputError("these are not the vaults that the terms of use name as keepers", hint="give them in the same order")
    shares = shares_of(pushed.key, count=len(terms.keepers), threshold=terms.threshold)
    return tuple([await desk.push(wallet, pushed.order, terms, key=share) for desk, share in zip(keepers, shares, strict=True)])


def shares_of(key: str, *, count: int, threshold: int) -> tuple[str, ...]:
    """
    Share a dataset's key, always in the same way: what has to look random is derived from the key, which is as secret as that has to be.

    Args:
        key: The key in base64.
        count: How many shares.
        threshold: How many of them give it back.

    Raises:
        InputError: The key is none, or the numbers do not fit.
    """
    drawn = 0

    def next_bytes(length: int) -> bytes:
        nonlocal drawn
        drawn += 1
        about = encode(["voisin shares of a key", count, threshold, drawn])
        return hashlib.shake_256(len(about).to_bytes(4, "big") + about + key.encode()).digest(length)

    return split_key(key, shares=count, threshold=threshold, random_bytes=next_bytes)
