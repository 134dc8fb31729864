"""Checking consents: the right signer, in time, once."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from voisin.errors import StateError, TrustError
from voisin.protocol.consent import Consent, VaultId, consent_digest
from voisin.protocol.ids import Address
from voisin.units import UnixSeconds
from voisin.vault.ledger import Ledger
from voisin.vault.records import VaultStore


class Consents:
    """
    Takes each consent once.

    Attributes:
        vault: Whose acts are consented to.
        ttl_s: How far in the future a consent's end may lie [s].
    """

    def __init__(self, vault: VaultId, ledger: Ledger, store: VaultStore, *, wall: Callable[[], float], ttl_s: int) -> None:
        """
        Args:
            vault: Whose acts are consented to.
            ledger: Knows what contracts have signed.
            store: Remembers nonces.
            wall: This machine's clock [Unix s].
            ttl_s: How far in the future a consent's end may lie [s].
        """
        self.vault = vault
        self._ledger = ledger
        self._store = store
        self._wall = wall
        self.ttl_s = ttl_s

    async def take(self, consent: Consent, act: str, about: Mapping[str, str], *, by: Address) -> None:
        """
        See that an account consents to an act, and use the consent up.

        Args:
            consent: The consent.
            act: What is to be done.
            about: To what.
            by: Who has to consent.

        Raises:
            TrustError: It is somebody else's, has ended, ends too late, or is not signed by them for this vault, act and matter.
            StateError: It was used before.
        """
        now = int(self._wall())
        if consent.signer != by:
            raise TrustError(f"{consent.signer} may not do that: {by} may", hint="use that wallet")
        if consent.until <= now:
            raise TrustError(f"the consent ended at {consent.until}; it is {now}", hint="sign again, and check the clock")
        if consent.until > now + self.ttl_s:
            raise TrustError(f"the consent ends more than {self.ttl_s} s from now", hint="let it end sooner, and check the clock")
        digest = consent_digest(self.vault, act, about, consent)
        if not await self._ledger.is_signed_by(by, digest, consent.signature):
            hint = f"sign for vault {self.vault.vault}, hub {self.vault.hub} and chain {self.vault.chain_id}"
            raise TrustError(f"the signature is not {by}'s under this consent", hint=hint)
        if not await self._store.use_nonce(by, consent.nonce, consent.until):
            raise StateError("the consent was used before", hint="sign again, with a new nonce")

    def now(self) -> UnixSeconds:
        """Tell the time on this machine's clock [Unix s]."""
        return UnixSeconds(int(self._wall()))
