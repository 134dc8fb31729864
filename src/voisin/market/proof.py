"""
How a signer proves to the market that a change to its order is its own wish.

The header `Voisin-Signature: <unix seconds>:<signature>` carries the signature of the Ethereum signed message
`Voisin unpublish <order hash> <unix seconds>`, or `Voisin publish ...` to put an order back. It counts for a few minutes
around its time, and only if it is newer than the last one that changed the order, so it cannot be played again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from voisin.errors import StateError, TrustError
from voisin.protocol.ids import Address, OrderHash
from voisin.protocol.signatures import Signer, message_digest, sign_message
from voisin.units import UnixSeconds

PROOF_HEADER = "Voisin-Signature"

_PROOF = re.compile(r"(\d{1,12}):(0x(?:[0-9a-fA-F]{2}){1,4096})", re.ASCII)


class Wish(StrEnum):
    """What a signer wants done with its order."""

    PUBLISH = "publish"
    UNPUBLISH = "unpublish"


@dataclass(frozen=True, slots=True)
class Proof:
    """A wish's time and signature."""

    at: UnixSeconds
    signature: str


@dataclass(frozen=True, slots=True)
class Consent:
    """
    A wish that was proven otherwise: an account signed a challenge, which is used up by that and can never be played again.

    Attributes:
        account: Who signed.
        at: When.
    """

    account: Address
    at: UnixSeconds


def wish_digest(wish: Wish, order_hash: OrderHash, at: UnixSeconds) -> bytes:
    """Hash what a signer signs for a wish."""
    return message_digest(_words(wish, order_hash, at))


def sign_wish(signer: Signer, wish: Wish, order_hash: OrderHash, at: UnixSeconds) -> str:
    """Write the header's value that proves a wish of `signer` at a time."""
    return f"{at}:{sign_message(signer, _words(wish, order_hash, at))}"


def read_proof(header: str | None) -> Proof | None:
    """
    Read the header's value; None without header.

    Raises:
        TrustError: It is malformed.
    """
    if header is None:
        return None
    found = _PROOF.fullmatch(header.strip())
    if found is None:
        raise TrustError(f"the header {PROOF_HEADER} is malformed", hint="write <unix seconds>:<signature as 0x-prefixed hex>")
    return Proof(UnixSeconds(int(found[1])), found[2])


def check_time(proof: Proof, *, now: UnixSeconds, ttl_s: int) -> None:
    """
    See that a proof was made recently.

    Raises:
        TrustError: Its time is more than `ttl_s` [s] away from now.
    """
    if abs(proof.at - now) > ttl_s:
        raise TrustError(
            f"the proof is of {proof.at}, which is {abs(proof.at - now)} s away from {now}", hint="sign again, and check the clock"
        )


def check_newer(proof: Proof | Consent, last: UnixSeconds) -> None:
    """
    See that a proof is newer than the last one that changed the order; a consent is new by its nature.

    Raises:
        StateError: It is not: it may have been used already.
    """
    if isinstance(proof, Proof) and proof.at <= last:
        raise StateError(f"the proof of {proof.at} is not newer than the last one, of {last}", hint="sign again, with a later time")


def _words(wish: Wish, order_hash: OrderHash, at: UnixSeconds) -> bytes:
    return f"Voisin {wish} {order_hash} {at}".encode()
