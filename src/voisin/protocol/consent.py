"""
What a wallet signs so that a vault does one thing for it, once.

The signed text (an Ethereum signed message, which wallets show as it is) names the act, the vault, the chain and the hub, what the act
is about line by line, who signs, a nonce, and until when it counts. A vault remembers the nonce until then, so that nobody can
play a consent again; one for another vault, chain or hub is another text.

Over HTTP a consent travels as the header `Voisin-Consent: <signer>:<nonce>:<until>:<signature>`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from voisin.errors import InputError, TrustError
from voisin.protocol.ids import Address, Hash32, as_address, as_hash32, from_hex
from voisin.protocol.signatures import Signer, message_digest, sign_message
from voisin.units import UnixSeconds

CONSENT_HEADER: Final = "Voisin-Consent"

_MAX_SIGN_BYTES = 4_096
_HEADER = re.compile(r"(0x[0-9a-fA-F]{40}):(0x[0-9a-fA-F]{64}):(\d{1,12}):(0x(?:[0-9a-fA-F]{2}){1,4096})", re.ASCII)
_LINE = re.compile(r"[^\x00-\x1f\x7f]*")


class VaultId(msgspec.Struct, frozen=True, kw_only=True):
    """Which vault: the address of its own key, and the hub and chain whose tasks it serves."""

    vault: Address
    chain_id: int
    hub: Address


class Consent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A wallet's signature under an act, good once and until a time."""

    signer: Address
    nonce: Hash32
    until: UnixSeconds
    signature: str


def give_consent(wallet: Signer, vault: VaultId, act: str, about: Mapping[str, str], *, nonce: Hash32, until: UnixSeconds) -> Consent:
    """
    Sign an act.

    Args:
        wallet: Whose wish it is.
        vault: The vault that shall act.
        act: What it shall do, in a few words.
        about: To what; the order of the lines counts.
        nonce: 32 random bytes that were never used before.
        until: Until when the consent counts [Unix s].

    Raises:
        InputError: A line holds a line break or another control character.
    """
    unsigned = Consent(signer=wallet.address, nonce=nonce, until=until, signature="0x")
    return msgspec.structs.replace(unsigned, signature=sign_message(wallet, consent_text(vault, act, about, unsigned)))


def consent_text(vault: VaultId, act: str, about: Mapping[str, str], consent: Consent) -> bytes:
    """
    Spell what is signed under a consent.

    Raises:
        InputError: A line holds a line break or another control character: it could pretend to be another line.
    """
    lines = {
        "vault": vault.vault,
        "chain": str(vault.chain_id),
        "hub": vault.hub,
        **about,
        "signer": consent.signer,
        "nonce": consent.nonce,
        "until": str(consent.until),
    }
    spelled = [f"Voisin vault: {act}", *(f"{name} {value}" for name, value in lines.items())]
    for line in spelled:
        if not _LINE.fullmatch(line):
            raise InputError(f"{line!r} cannot be signed: it holds a control character", hint="use a name without line breaks")
    return "\n".join(spelled).encode()


def consent_digest(vault: VaultId, act: str, about: Mapping[str, str], consent: Consent) -> bytes:
    """Give the 32 bytes under a consent's signature."""
    return message_digest(consent_text(vault, act, about, consent))


def canonical_consent(consent: Consent) -> Consent:
    """
    Check the shape of a foreign consent; its signature is another matter.

    Raises:
        TrustError: The signature is longer than any wallet's.
        InputError: An address, a nonce or the signature is malformed.
    """
    if len(consent.signature) > 2 + 2 * _MAX_SIGN_BYTES:
        raise TrustError("the consent's signature is too long")
    from_hex(consent.signature)
    return msgspec.structs.replace(consent, signer=as_address(consent.signer), nonce=as_hash32(consent.nonce))


def write_consent(consent: Consent) -> str:
    """Write a consent as the header's value."""
    return f"{consent.signer}:{consent.nonce}:{consent.until}:{consent.signature}"


def read_consent(header: str | None) -> Consent:
    """
    Read a consent from the header's value.

    Raises:
        TrustError: There is none, or it is malformed.
    """
    hint = f"send {CONSENT_HEADER}: <signer>:<nonce>:<until, Unix seconds>:<signature>"
    if header is None:
        raise TrustError(f"this needs a signature, and the header {CONSENT_HEADER} is missing", hint=hint)
    found = _HEADER.fullmatch(header.strip())
    if found is None:
        raise TrustError(f"the header {CONSENT_HEADER} is malformed", hint=hint)
    signer, nonce, until, signature = found.groups()
    return canonical_consent(Consent(signer=Address(signer), nonce=Hash32(nonce), until=UnixSeconds(int(until)), signature=signature))
