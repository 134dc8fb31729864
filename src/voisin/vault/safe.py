"""Pushing, finding and deleting secrets, and telling owners what they have and who used it."""

from __future__ import annotations

from voisin.errors import StateError, TrustError
from voisin.protocol.consent import Consent
from voisin.protocol.ids import Address
from voisin.protocol.orders import OrderKind
from voisin.protocol.secrets import (
    DELETE_ACT,
    LIST_ACT,
    PUSH_ACT,
    RELEASES_ACT,
    ReleasePage,
    SecretEntry,
    SecretKind,
    SecretPage,
    SecretRef,
    SecretValue,
    delete_lines,
    push_digest,
    push_lines,
)
from voisin.vault.cabinet import Cabinet
from voisin.vault.consents import Consents
from voisin.vault.ledger import Ledger
from voisin.vault.records import SecretRecord

PAGE = 100
"""Most uses in one answer [uses]."""

_ENTRIES = {SecretKind.DATASET: OrderKind.DATASET, SecretKind.APP: OrderKind.APP}


class AbsentError(StateError):
    """There is no such secret."""

    code = "no-such-secret"


class TakenError(StateError):
    """There is such a secret already."""

    code = "secret-exists"


class Safe:
    """The secrets of a vault, as their owners deal with them."""

    def __init__(self, cabinet: Cabinet, ledger: Ledger, consents: Consents) -> None:
        """
        Args:
            cabinet: The sealed records.
            ledger: Knows who owns apps and datasets.
            consents: Takes consents.
        """
        self._cabinet = cabinet
        self._ledger = ledger
        self._consents = consents

    async def entry(self, ref: SecretRef) -> SecretEntry | None:
        """Find a secret, without its value."""
        found = await self._cabinet.store.secret(ref)
        return None if found is None else _entry(found)

    async def push(self, ref: SecretRef, value: SecretValue, consent: Consent, *, replace: bool = False) -> SecretEntry:
        """
        Keep a secret, or replace one.

        Args:
            ref: Which.
            value: Its value.
            consent: Its owner's consent.
            replace: Whether one that is there is replaced; named secrets only.

        Raises:
            TrustError: The consent is not its owner's, or does not count.
            TakenError: There is one already.
            AbsentError: There is none to replace.
            StateError: Its kind is not replaced.
        """
        await self._consents.take(consent, PUSH_ACT, push_lines(ref, value), by=await self._owner(ref))
        return await self._keep(ref, value, by=consent.signer, replace=replace)

    async def push_signed(self, ref: SecretRef, spelled: SecretRef, value: SecretValue, signature: str, *, replace: bool) -> None:
        """
        Keep a secret for a client of the protocol, whose signature has neither nonce nor end.

        Args:
            ref: Which.
            spelled: The same as the client spelled it, which is what it signed.
            value: Its value.
            signature: The owner's signature of `voisin.protocol.secrets.push_challenge`.
            replace: Whether one that is there is replaced.

        Raises:
            TrustError: The signature is not the owner's.
            TakenError: There is one already, or it had this value before: the signature may be an old one that is played again.
            AbsentError: There is none to replace.
        """
        owner = await self._owner(ref)
        if not await self._ledger.is_signed_by(owner, push_digest(spelled, value), signature):
            raise TrustError(f"the signature is not {owner}'s under this secret", hint="sign with the wallet that owns it")
        if await self._cabinet.is_former(ref, value):
            raise TakenError(f"the {ref} had this value before", hint="push it with a consent: this signature may be an old one")
        await self._keep(ref, value, by=owner, replace=replace)

    async def delete(self, ref: SecretRef, consent: Consent) -> SecretEntry:
        """
        Delete a secret: from then on no enclave gets it.

        Raises:
            TrustError: The consent is not its owner's, or does not count.
            AbsentError: There is none.
        """
        await self._consents.take(consent, DELETE_ACT, delete_lines(ref), by=await self._owner(ref))
        found = await self._cabinet.delete(ref)
        if found is None:
            raise _absent(ref)
        return _entry(found)

    async def listing(self, owner: Address, consent: Consent) -> SecretPage:
        """
        List what an account pushed.

        Raises:
            TrustError: The consent is not theirs, or does not count.
        """
        await self._consents.take(consent, LIST_ACT, {}, by=owner)
        return SecretPage(tuple(_entry(record) for record in await self._cabinet.store.secrets_of(owner)))

    async def releases(self, owner: Address, consent: Consent, *, before: int | None = None) -> ReleasePage:
        """
        List the uses of an account's secrets, newest first.

        Args:
            owner: The account.
            consent: Its consent.
            before: Where the page begins: the `next` of the page before it.

        Raises:
            TrustError: The consent is not theirs, or does not count.
        """
        await self._consents.take(consent, RELEASES_ACT, {}, by=owner)
        found = await self._cabinet.store.releases_of(owner, before=before, limit=PAGE + 1)
        shown = found[:PAGE]
        return ReleasePage(tuple(release for _, release in shown), shown[-1][0] if len(found) > PAGE else None)

    async def _keep(self, ref: SecretRef, value: SecretValue, *, by: Address, replace: bool) -> SecretEntry:
        if replace and ref.kind is not SecretKind.NAMED:
            raise StateError(f"a {ref.kind} secret is not replaced", hint="delete it first, then push the new one")
        at = self._consents.now()
        if not await self._cabinet.put(ref, value, by=by, at=at, replace=replace):
            raise _absent(ref) if replace else TakenError(f"there is a {ref} already", hint="replace it, or delete it first")
        return SecretEntry(kind=ref.kind, holder=ref.holder, name=ref.name, pushed_by=by, pushed_at=at)

    async def _owner(self, ref: SecretRef) -> Address:
        kind = _ENTRIES.get(ref.kind)
        if kind is None:
            return ref.holder
        owner = await self._ledger.owner_of(kind, ref.holder)
        if owner is None:
            raise TrustError(f"there is no {kind} at {ref.holder}: nobody may push its secret", hint="register it first")
        return owner


def _entry(record: SecretRecord) -> SecretEntry:
    ref = record.ref
    return SecretEntry(kind=ref.kind, holder=ref.holder, name=ref.name, pushed_by=record.pushed_by, pushed_at=record.pushed_at)


def _absent(ref: SecretRef) -> AbsentError:
    return AbsentError(f"there is no {ref}", hint="check its name; listing your secrets shows them")
