"""
Challenges: how a client of the ecosystem proves who it is.

It is given a text to sign as typed data (EIP-712), and sends `authorization: <hash>_<signature>_<address>` with what it wants.
A challenge is for one address and one chain, is used up by what it authorises, and expires. An address may have several, so
that two things may be authorised at the same time.

Source: client-surface.md 3.2.
"""

from __future__ import annotations

import secrets
import string

from voisin.errors import TrustError
from voisin.market.book import BookStore, Challenge
from voisin.market.ledger import Ledger
from voisin.market.proof import Consent
from voisin.market.settings import MarketSettings
from voisin.protocol.challenges import challenge_digest, read_challenge_proof
from voisin.protocol.ids import Address, from_hex
from voisin.protocol.signatures import signed_by
from voisin.units import UnixSeconds

SERVICE = "iExec Gateway"
TEXT = "Sign this message to log into iExec Gateway: "
REFUSED = "invalid authorization"

_LETTERS = string.ascii_letters + string.digits
_RANDOM_LETTERS = 32


def draw_text() -> str:
    """Draw the text of a new challenge."""
    return TEXT + "".join(secrets.choice(_LETTERS) for _ in range(_RANDOM_LETTERS))


class Doorkeeper:
    """Gives challenges out, and lets those in who signed them."""

    def __init__(self, ledger: Ledger, store: BookStore, settings: MarketSettings) -> None:
        """
        Args:
            ledger: The chain, which knows contracts' signatures too.
            store: Where challenges are kept.
            settings: How long they may be signed, and how many one address may have.
        """
        self._ledger = ledger
        self._store = store
        self._ttl_s = settings.challenge_ttl_s
        self._most = settings.max_challenges

    async def challenge(self, address: Address, *, now: UnixSeconds) -> str:
        """
        Give an address a text to sign.

        An address that has as many as it may have gets the newest again, which strangers who ask in its name cannot use up;
        at least half of the time to sign it is left, for older ones make room.
        """
        async with self._store.write() as write:
            await write.drop_expired(now)
            pending = await write.challenges_of(address)
            if len(pending) >= self._most:
                if pending[0].expires_at - now > self._ttl_s // 2:
                    return pending[-1].text
                await write.drop_challenge(pending[0].digest)
            text = draw_text()
            digest = challenge_digest(SERVICE, text, self._ledger.domain.chain_id)
            await write.add_challenge(Challenge(digest, address, text, UnixSeconds(now + self._ttl_s)))
            return text

    async def admit(self, header: str | None, *, now: UnixSeconds) -> Consent:
        """
        Let somebody in who signed a challenge, and use the challenge up.

        Args:
            header: The `authorization` header.
            now: The time.

        Raises:
            TrustError: The challenge is unknown, expired, used up, of another chain, or signed by somebody else.
        """
        try:
            proof = read_challenge_proof(header)
        except TrustError:
            raise TrustError(REFUSED) from None
        digest, signature, address = proof.digest, proof.signature, proof.signer
        challenge = await self._store.challenge(digest)
        if challenge is None or challenge.address != address or challenge.expires_at <= now:
            raise TrustError(REFUSED)
        if not signed_by(address, from_hex(digest), signature) and not await self._ledger.is_signed_by(address, digest, signature):
            raise TrustError(REFUSED)
        async with self._store.write() as write:
            if not await write.drop_challenge(digest):
                raise TrustError(REFUSED)
        return Consent(address, now)
