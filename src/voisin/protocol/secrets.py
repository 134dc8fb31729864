"""
Secrets that a vault keeps: their kinds, their names, and what is signed to push one.

| kind | holder | name | who pushes it | who gets it |
| --- | --- | --- | --- | --- |
| dataset | the dataset's entry | none | the entry's owner | enclaves of deals about that dataset |
| app | the app's entry | none | the entry's owner | the app, in enclaves |
| requester | a requester | its number in a deal refers to it | the requester | apps that the requester runs, in enclaves |
| named | an account | fixed by the protocol | the account | the enclave's own work: sealing the result |

The protocol's own clients sign a challenge without nonce or expiry (`push_challenge`); ours sign a consent.

Source: client-surface.md 4; pool-semantics.md 3.1.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

import msgspec

from voisin.errors import InputError
from voisin.protocol.hashing import keccak
from voisin.protocol.ids import Address, Hash32, TaskId, from_hex, hash32_of
from voisin.protocol.signatures import Signer, message_digest, sign_message
from voisin.units import UnixSeconds

MAX_SECRET_BYTES: Final = 4_096
RESULT_KEY: Final = "iexec-result-encryption-public-key"
"""Name of the public key that results are sealed for; its value is base64 of the key in PEM."""

PUSH_ACT: Final = "keep a secret"
DELETE_ACT: Final = "delete a secret"
LIST_ACT: Final = "list my secrets"
RELEASES_ACT: Final = "list the uses of my secrets"

_DOMAIN = keccak(b"IEXEC_SMS_DOMAIN")
_APP_INDEX = b"1"
_REQUESTER_NAME = re.compile(r"[0-9A-Za-z\-_]{1,64}")
_NAMED_NAME = re.compile(r"[\x21-\x7e]{1,128}")


class SecretKind(StrEnum):
    """What a secret is for."""

    DATASET = "dataset"
    APP = "app"
    REQUESTER = "requester"
    NAMED = "named"


class SecretRef(msgspec.Struct, frozen=True):
    """Which secret: its kind, whose it is or what it belongs to, and its name; `named` secrets are told apart in lower case."""

    kind: SecretKind
    holder: Address
    name: str = ""

    def __str__(self) -> str:
        return f"{self.kind} secret {self.name} of {self.holder}" if self.name else f"{self.kind} secret of {self.holder}"


class SecretEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A secret as its owner sees it listed: never its value."""

    kind: SecretKind
    holder: Address
    name: str
    pushed_by: Address
    pushed_at: UnixSeconds


class SecretPage(msgspec.Struct, frozen=True):
    """All secrets that one account pushed."""

    secrets: tuple[SecretEntry, ...]


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """One use of a secret: when it went to the enclave of which task, run by whom for whom, on what evidence (JSON)."""

    at: UnixSeconds
    kind: SecretKind
    holder: Address
    name: str
    task_id: TaskId
    deal_id: Hash32
    app: Address
    workerpool: Address
    requester: Address
    worker: Address
    evidence: str


class ReleasePage(msgspec.Struct, frozen=True):
    """Uses of secrets, newest first; `next` is where the page after it begins, if there is one."""

    releases: tuple[Release, ...]
    next: int | None = None


class VaultView(msgspec.Struct, frozen=True, kw_only=True):
    """A vault as it presents itself; consents name `vault`, `chain_id` and `hub`."""

    vault: Address
    chain_id: int
    hub: Address
    allow_simulated: bool
    version: str


class SecretValue:
    """The value of a secret. Its text forms never show it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        """
        Args:
            text: The value.

        Raises:
            InputError: It is empty, or longer than 4096 bytes of UTF-8.
        """
        try:
            size = len(text.encode())
        except UnicodeEncodeError:
            raise InputError("a secret is text; this one is not", hint="encode bytes in base64") from None
        if not 1 <= size <= MAX_SECRET_BYTES:
            raise InputError(f"a secret of {size} bytes is not kept", hint=f"1 to {MAX_SECRET_BYTES} bytes are")
        self._text = text

    @property
    def digest(self) -> Hash32:
        """keccak-256 of the value, which signatures cover."""
        return hash32_of(self._text.encode())

    def expose(self) -> str:
        """Hand out the value; never log it."""
        return self._text

    def __repr__(self) -> str:
        return "SecretValue(hidden)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretValue) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a SecretValue is not pickled")


def checked_ref(ref: SecretRef) -> SecretRef:
    """
    Make a reference canonical.

    Raises:
        InputError: Its kind has no names, or it has a malformed one.
    """
    if ref.kind in (SecretKind.DATASET, SecretKind.APP):
        if ref.name:
            raise InputError(f"a {ref.kind} secret has no name", hint="leave it out")
        return ref
    if ref.kind is SecretKind.REQUESTER:
        if not _REQUESTER_NAME.fullmatch(ref.name):
            raise InputError("the name of a secret has 1 to 64 characters of 0-9, A-Z, a-z, - and _", hint="choose another name")
        return ref
    if not _NAMED_NAME.fullmatch(ref.name):
        raise InputError("the name of a secret has 1 to 128 visible ASCII characters", hint=f"for example {RESULT_KEY}")
    return SecretRef(ref.kind, ref.holder, ref.name.lower())


def push_challenge(ref: SecretRef, value: SecretValue) -> bytes:
    """
    Give the 32 bytes that a client of the protocol signs (as an Ethereum signed message) to push a secret.

    The name counts as it is given, not in lower case.
    """
    name = {SecretKind.DATASET: b"", SecretKind.APP: keccak(_APP_INDEX)}.get(ref.kind)
    middle = keccak(ref.name.encode()) if name is None else name
    return keccak(_DOMAIN + from_hex(ref.holder) + middle + from_hex(value.digest))


def push_digest(ref: SecretRef, value: SecretValue) -> bytes:
    """Give the digest under the signature that pushes a secret, for checking it."""
    return message_digest(push_challenge(ref, value))


def sign_push(wallet: Signer, ref: SecretRef, value: SecretValue) -> str:
    """Sign the pushing of a secret as a client of the protocol does."""
    return sign_message(wallet, push_challenge(ref, value))


def push_lines(ref: SecretRef, value: SecretValue) -> dict[str, str]:
    """Say what the consent under `PUSH_ACT` is about."""
    return {**delete_lines(ref), "value": value.digest}


def delete_lines(ref: SecretRef) -> dict[str, str]:
    """Say what the consent under `DELETE_ACT` is about."""
    return {"kind": ref.kind.value, "holder": ref.holder, "name": ref.name}
