"""
Challenges: how a client of the ecosystem proves who it is.

It is given a text to sign as typed data (EIP-712), and sends `authorization: <hash>_<signature>_<address>` with what it wants.
A challenge is for one address and one chain, is used up by what it authorises, and expires. An address may have several, so
that two things may be authorised at the same time.

Source: client-surface.md 3.2.
"""

from __future__ import annotations

import re
import secrets
import string

from eth_utils import keccak

from voisin.errors import TrustError
from voisin.market.book import BookStore, Challenge
from voisin.market.ledger import Ledger
from voisin.market.proof import Consent
from voisin.market.settings import MarketSettings
from voisin.protocol.ids import Address, Hash32, as_address, from_hex, to_hex, uint_bytes
from voisin.protocol.signatures import signed_by
from voisin.units import UnixSeconds

DOMAIN_NAME, DOMAIN_VERSION = "iExec Gateway", "1"
TEXT = "Sign this message to log into iExec Gateway: "
REFUSED = "invalid authorization"

_DOMAIN = [("name", "string"), ("version", "string"), ("chainId", "uint256")]
_MESSAGE = [("challenge", "string")]
_LETTERS = string.ascii_letters + string.digits
_RANDOM_LETTERS = 32
_HEADER = re.compile(r"(0x[0-9a-fA-F]{64})_(0x(?:[0-9a-fA-F]{2}){1,4096})_(0x[0-9a-fA-F]{40})")


def challenge_digest(text: str, chain_id: int) -> Hash32:
    """Hash a challenge's text as typed data: what is signed."""
    domain = _struct_hash("EIP712Domain", _DOMAIN, keccak(text=DOMAIN_NAME) + keccak(text=DOMAIN_VERSION) + uint_bytes(chain_id))
    return Hash32(to_hex(keccak(b"\x19\x01" + domain + _struct_hash("Challenge", _MESSAGE, keccak(text=text)))))


def typed_data(text: str, chain_id: str) -> dict[str, object]:
    """Write a challenge's text as typed data, as wallets take it."""
    return {
        "types": {
            "EIP712Domain": [{"name": name, "type": kind} for name, kind in _DOMAIN],
            "Challenge": [{"name": name, "type": kind} for name, kind in _MESSAGE],
        },
        "domain": {"name": DOMAIN_NAME, "version": DOMAIN_VERSION, "chainId": chain_id},
        "primaryType": "Challenge",
        "message": {"challenge": text},
    }


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
            digest = challenge_digest(text, self._ledger.domain.chain_id)
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
        found = _HEADER.fullmatch((header or "").strip())
        if found is None:
            raise TrustError(REFUSED)
        digest, signature, address = Hash32(found[1].lower()), found[2], as_address(found[3].lower())
        challenge = await self._store.challenge(digest)
        if challenge is None or challenge.address != address or challenge.expires_at <= now:
            raise TrustError(REFUSED)
        if not signed_by(address, from_hex(digest), signature) and not await self._ledger.is_signed_by(address, digest, signature):
            raise TrustError(REFUSED)
        async with self._store.write() as write:
            if not await write.drop_challenge(digest):
                raise TrustError(REFUSED)
        return Consent(address, now)


def _struct_hash(name: str, members: list[tuple[str, str]], words: bytes) -> bytes:
    spelled = f"{name}({','.join(f'{kind} {member}' for member, kind in members)})"
    return keccak(keccak(text=spelled) + words)
