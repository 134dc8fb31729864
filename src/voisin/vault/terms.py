"""Orders with terms of use, as owners push and revoke them, and what owners and others see of them."""

from __future__ import annotations

from msgspec.structs import replace

from voisin.errors import InputError, StateError, TrustError
from voisin.protocol.consent import Consent
from voisin.protocol.data_terms import DataTerms, require_commitment
from voisin.protocol.eip712 import order_hash
from voisin.protocol.ids import Address, Hash32, OrderHash, as_hash32, from_hex
from voisin.protocol.orders import OrderKind
from voisin.protocol.secrets import SecretKind, SecretRef, SecretValue
from voisin.protocol.shamir import is_share, read_share
from voisin.protocol.vault_terms import (
    ALL_ORDERS,
    REFUSALS_ACT,
    REVOKE_ACT,
    TERMS_ACT,
    USES_ACT,
    RefusalPage,
    TermsEntry,
    TermsPage,
    TermsPush,
    UsePage,
    refusals_lines,
    revoke_lines,
    terms_lines,
    uses_lines,
)
from voisin.units import UnixSeconds
from voisin.vault.cabinet import Cabinet, Held
from voisin.vault.consents import Consents
from voisin.vault.ledger import Ledger
from voisin.vault.safe import AbsentError, TakenError
from voisin.vault.standing import Memory

PAGE = 100
"""Most uses in one answer [uses]."""
UNSIGNED = "0x"
_BOUND = "voisin-bound-1:"
"""Before a key that is sealed with terms: it is not given out without any, even if somebody takes their records away."""


class TermsDesk:
    """Terms of use, as their owners deal with them."""

    def __init__(self, cabinet: Cabinet, ledger: Ledger, consents: Consents, memory: Memory) -> None:
        """
        Args:
            cabinet: The sealed records.
            ledger: Knows who owns datasets, and what is used up of an order.
            consents: Takes consents.
            memory: Makes changes that must never be forgotten.
        """
        self._cabinet = cabinet
        self._store = cabinet.store.terms
        self._ledger = ledger
        self._consents = consents
        self._memory = memory

    async def push(self, dataset: Address, pushed: TermsPush, consent: Consent) -> TermsEntry:
        """
        Keep an order with its terms, and its dataset's key if it comes along. From then on nobody gets the key without terms.

        An order that is there is confirmed: its owner stands by it still, which matters after the records were restored.

        Raises:
            TrustError: The order does not commit to the terms, is about another dataset, or is signed by somebody else; or the consent
                is not the owner's, or does not count.
            InputError: The key is not of the kind that the terms tell.
            StateError: The order was used before it came here, or is revoked; or no key came, and none is here; or the records were
                restored just now.
        """
        order, terms = pushed.order, pushed.terms
        require_commitment(terms, order)
        if order.dataset != dataset:
            raise TrustError(f"the order is about dataset {order.dataset}, not {dataset}", hint="push it there")
        name = order_hash(order, self._ledger.domain)
        owner = await self._owner(dataset)
        if order.sign != UNSIGNED and not await self._ledger.is_signed_by(owner, from_hex(name), order.sign):
            raise TrustError(f"the order is not signed by {owner}, who owns the dataset", hint="sign it with that wallet")
        ref = SecretRef(SecretKind.DATASET, dataset)
        key = SecretValue(pushed.key) if pushed.key else None
        await self._require_key(ref, terms, key)
        await self._require_later(consent)
        await self._consents.take(consent, TERMS_ACT, terms_lines(dataset, name, terms.id, pushed.key), by=owner)
        at = await self._ledger.now()
        entry = TermsEntry(order_hash=name, order=replace(order, sign=UNSIGNED), terms=terms, pushed_by=owner, pushed_at=at)
        await self._keep(entry)
        await self._bind(ref, key, owner, at)
        return entry

    async def entry(self, name: OrderHash) -> TermsEntry:
        """
        Find an order with its terms.

        Raises:
            AbsentError: There is none.
        """
        found = await self._store.order(name)
        if found is None:
            raise AbsentError(f"there are no terms of use of order {name}", hint="its dataset's owner pushes them")
        return found

    async def page(self, dataset: Address) -> TermsPage:
        """List a dataset's orders with terms, revoked ones too, the oldest first."""
        return TermsPage(tuple(await self._store.orders_of(dataset)), await self._memory.restored_at())

    async def revoke(self, dataset: Address, which: str, consent: Consent) -> TermsPage:
        """
        Revoke one order of a dataset, by its hash, or all that are here: no key goes out for them any more, to nobody.

        Returns:
            The orders as they are now.

        Raises:
            TrustError: The consent is not the owner's, or does not count.
            AbsentError: There is no such order.
        """
        wanted = which if which == ALL_ORDERS else OrderHash(as_hash32(which))
        await self._consents.take(consent, REVOKE_ACT, revoke_lines(dataset, wanted), by=await self._owner(dataset))
        names = [entry.order_hash for entry in await self._store.orders_of(dataset) if wanted in (ALL_ORDERS, entry.order_hash)]
        if not names:
            raise AbsentError(f"there is no such order of dataset {dataset}", hint="listing its terms shows its orders")
        at = await self._ledger.now()

        async def act() -> tuple[None, int]:
            return None, await self._store.revoke(names, at)

        await self._memory.change(act)
        return TermsPage(tuple(entry for entry in await self._store.orders_of(dataset) if entry.order_hash in names))

    async def uses(self, dataset: Address, consent: Consent, *, since: UnixSeconds, before: int | None) -> UsePage:
        """
        List the uses of a dataset, newest first.

        Args:
            dataset: The dataset.
            consent: Its owner's consent.
            since: From when on [Unix s].
            before: Where the page begins: the `next` of the page before it.

        Raises:
            TrustError: The consent is not theirs, or does not count.
        """
        await self._consents.take(consent, USES_ACT, uses_lines(dataset), by=await self._owner(dataset))
        found = await self._store.uses_of(dataset, since=since, before=before, limit=PAGE + 1)
        shown = found[:PAGE]
        return UsePage(tuple(shown), shown[-1].id if len(found) > PAGE else None)

    async def refusals(self, dataset: Address, consent: Consent, *, since: UnixSeconds, before: int | None) -> RefusalPage:
        """
        List the uses of a dataset that terms refused, newest first.

        Args:
            dataset: As in `uses`.
            consent: Likewise.
            since: Likewise.
            before: Likewise.

        Raises:
            TrustError: The consent is not theirs, or does not count.
        """
        await self._consents.take(consent, REFUSALS_ACT, refusals_lines(dataset), by=await self._owner(dataset))
        found = await self._store.refusals_of(dataset, since=since, before=before, limit=PAGE + 1)
        shown = found[:PAGE]
        return RefusalPage(tuple(shown), shown[-1].id if len(found) > PAGE else None)

    async def _keep(self, entry: TermsEntry) -> None:
        """Add an order, or confirm it. That it is unused is seen before, and again after, when none of its deals is missed any more."""
        name = entry.order_hash
        if await self._store.order(name) is None:
            await self._require_unused(name)
            if await self._store.add_order(entry, await self._ledger.height()):
                await self._memory.change(self._count)  # a backup from before lacks the order, and its owner has to hear of it
                try:
                    await self._require_unused(name)
                except StateError:
                    await self._store.revoke([name], entry.pushed_at)
                    raise
                return
        if not await self._store.confirm_order(name, entry.pushed_at):
            raise StateError(f"order {name} is revoked", hint="sign a new one: its terms have another nonce")

    async def _count(self) -> tuple[None, int]:
        return None, await self._store.count_change()

    async def _bind(self, ref: SecretRef, key: SecretValue | None, owner: Address, at: UnixSeconds) -> None:
        held = await self._cabinet.secret(ref)
        value = key or (None if held is None else held.value)
        if value is None or is_bound(held):
            return
        if not await self._cabinet.put(ref, SecretValue(_BOUND + value.expose()), by=owner, at=at, replace=held is not None):
            raise StateError(f"the {ref} was changed meanwhile", hint="push again")

    async def _require_later(self, consent: Consent) -> None:
        """See that a consent is not one from before the records were restored, which may have forgotten that it was used."""
        restored_at = await self._memory.restored_at()
        if restored_at and consent.until <= restored_at + self._consents.ttl_s:
            hint = f"push again {self._consents.ttl_s} s after that: a consent from before no longer counts then"
            raise StateError(f"the vault's records were restored at {restored_at}", hint=hint)

    async def _require_unused(self, name: OrderHash) -> None:
        if await self._ledger.consumed(name):
            hint = "sign a new one, with a new nonce in its terms, and push it before it is published"
            raise StateError(f"order {name} was used, or closed, before its terms came here", hint=hint)

    async def _require_key(self, ref: SecretRef, terms: DataTerms, key: SecretValue | None) -> None:
        held = await self._cabinet.secret(ref)
        if held is not None and key is not None and unbound(held) != key.expose():
            raise TakenError(f"there is a {ref} already, and it is another one", hint="delete it first")
        value = key.expose() if key else "" if held is None else unbound(held)
        if not value:
            raise StateError(f"there is no {ref}, and none came along", hint="push the key with the order")
        _require_kind(value, terms, self._consents.vault.vault)

    async def _owner(self, dataset: Address) -> Address:
        owner = await self._ledger.owner_of(OrderKind.DATASET, dataset)
        if owner is None:
            raise TrustError(f"there is no dataset at {dataset}", hint="register it first")
        return owner


def is_bound(held: Held | None) -> bool:
    """Tell whether a key came with terms of use, and goes out under some only."""
    return held is not None and held.value.expose().startswith(_BOUND)


def unbound(held: Held) -> str:
    """Give a key as its owner pushed it."""
    return held.value.expose().removeprefix(_BOUND)


def _require_kind(value: str, terms: DataTerms, vault: Address) -> None:
    """See that a share goes with terms that name this vault as a keeper, and a whole key with terms that name none."""
    if not terms.keepers:
        if is_share(value):
            raise InputError("the key is a share, and the terms of use name no vaults that keep the others", hint="name them")
        return
    if vault not in {keeper.vault for keeper in terms.keepers}:
        raise InputError(f"the terms of use do not name {vault}, this vault, as a keeper", hint="push to those that they name")
    if not is_share(value) or read_share(value).threshold != terms.threshold:
        raise InputError(f"the key is no share of {terms.threshold} that give it back", hint="share it as the terms of use tell")


def order_name(text: str) -> OrderHash:
    """
    Read the hash of an order.

    Raises:
        InputError: It is none.
    """
    return OrderHash(Hash32(as_hash32(text)))
