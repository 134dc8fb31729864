"""
Challenges of the ecosystem's services: a text that a wallet signs as typed data (EIP-712) to show whose it is.

What comes back is `<hash>_<signature>_<address>`, the hash being that of the typed data. The domain has a name, a version and a
chain, so a challenge of another service or chain has another hash.

Source: client-surface.md 3.2, 6.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from voisin.errors import TrustError
from voisin.protocol.hashing import keccak
from voisin.protocol.ids import Address, Hash32, as_address, to_hex, uint_bytes

VERSION: Final = "1"
_DOMAIN: Final = [("name", "string"), ("version", "string"), ("chainId", "uint256")]
_MESSAGE: Final = [("challenge", "string")]
_PROOF: Final = re.compile(r"(0x[0-9a-fA-F]{64})_(0x(?:[0-9a-fA-F]{2}){1,4096})_(0x[0-9a-fA-F]{40})", re.ASCII)


@dataclass(frozen=True, slots=True)
class ChallengeProof:
    """What a client says: which challenge it signed, how, and who it is."""

    digest: Hash32
    signature: str
    signer: Address


def challenge_digest(service: str, text: str, chain_id: int) -> Hash32:
    """
    Hash a challenge as typed data: what is signed.

    Args:
        service: Name of the service, as the domain has it.
        text: The challenge.
        chain_id: The chain.
    """
    domain = _struct_hash("EIP712Domain", _DOMAIN, keccak(service.encode()) + keccak(VERSION.encode()) + uint_bytes(chain_id))
    return Hash32(to_hex(keccak(b"\x19\x01" + domain + _struct_hash("Challenge", _MESSAGE, keccak(text.encode())))))


def challenge_data(service: str, text: str, chain_id: int | str) -> dict[str, object]:
    """Write a challenge as typed data, as wallets take it; some services write the chain's id as text."""
    return {
        "types": {
            "EIP712Domain": [{"name": name, "type": kind} for name, kind in _DOMAIN],
            "Challenge": [{"name": name, "type": kind} for name, kind in _MESSAGE],
        },
        "domain": {"name": service, "version": VERSION, "chainId": chain_id},
        "primaryType": "Challenge",
        "message": {"challenge": text},
    }


def read_challenge_proof(header: str | None) -> ChallengeProof:
    """
    Read what a client sends as its `authorization` header.

    Raises:
        TrustError: There is none, or it is malformed.
    """
    found = _PROOF.fullmatch((header or "").strip())
    if found is None:
        raise TrustError("the authorization is missing or malformed", hint="send <hash>_<signature>_<address> of a challenge")
    return ChallengeProof(Hash32(found[1].lower()), found[2], as_address(found[3].lower()))


def _struct_hash(name: str, members: list[tuple[str, str]], words: bytes) -> bytes:
    spelled = f"{name}({','.join(f'{kind} {member}' for member, kind in members)})"
    return keccak(keccak(spelled.encode()) + words)
