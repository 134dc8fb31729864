"""
Where a workerpool answers: the statement by which its owner says so, signed as typed data (EIP-712).

The domain names the chain and the hub, so that a statement counts nowhere else; the time of issue orders an owner's statements,
so that an older one cannot take the place of a newer one; after `expires_at` it counts for nothing.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

import msgspec

from voisin.errors import InputError
from voisin.protocol.eip712 import Domain, domain_separator
from voisin.protocol.hashing import keccak
from voisin.protocol.ids import Address, as_address, from_hex, uint_bytes
from voisin.protocol.signatures import Signer
from voisin.units import UnixSeconds

MAX_URL_CHARACTERS: Final = 2048

_TYPE = b"PoolStatement(address workerpool,string apiUrl,uint256 issuedAt,uint256 expiresAt)"
_NAME, _VERSION = "Voisin compass", "1"


class PoolStatement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    A workerpool's owner says where its pool answers.

    Attributes:
        chain_id: The chain.
        hub: The hub whose workerpool it is.
        workerpool: The workerpool's entry.
        api_url: The pool's address; `http` or `https`.
        issued_at: When it was said.
        expires_at: Until when it counts.
        sign: The owner's signature.
    """

    chain_id: int
    hub: Address
    workerpool: Address
    api_url: str
    issued_at: UnixSeconds
    expires_at: UnixSeconds
    sign: str = "0x"

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "hub", as_address(self.hub))
        msgspec.structs.force_setattr(self, "workerpool", as_address(self.workerpool))
        as_pool_url(self.api_url)
        for name in ("chain_id", "issued_at", "expires_at"):
            if not 0 <= getattr(self, name) < 2**63:
                raise InputError(f"{name} of the statement is out of range", hint="it must lie between 0 and 2^63 - 1")


def as_pool_url(url: str) -> str:
    """
    Check the address of a pool.

    Raises:
        InputError: It is not an http address, holds a name, password, query or fragment, or is too long.
    """
    hint = "write for example https://pool.example:13000"
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise InputError(f"{url[:80]!r} is not an http address", hint=hint) from None
    if not is_address or len(url) > MAX_URL_CHARACTERS or not url.isascii() or not url.isprintable() or " " in url:
        raise InputError(f"{url[:80]!r} is not an http address", hint=hint)
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise InputError("a pool's address holds no user, password, query or fragment", hint=hint)
    return url


def statement_digest(statement: PoolStatement) -> bytes:
    """Hash what a workerpool's owner signs; 32 bytes."""
    domain = Domain(chain_id=statement.chain_id, hub=statement.hub, name=_NAME, version=_VERSION)
    words = from_hex(statement.workerpool).rjust(32, b"\0") + keccak(statement.api_url.encode())
    words += uint_bytes(statement.issued_at) + uint_bytes(statement.expires_at)
    return keccak(b"\x19\x01" + domain_separator(domain) + keccak(keccak(_TYPE) + words))


def sign_statement(statement: PoolStatement, signer: Signer) -> PoolStatement:
    """Answer the same statement with `sign` set to the signer's signature."""
    return msgspec.structs.replace(statement, sign=signer.sign_digest(statement_digest(statement)))
