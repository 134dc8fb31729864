"""What a vault keeps, and what may be done with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from voisin.protocol.ids import Address, Hash32, TaskId
from voisin.protocol.secrets import Release, SecretRef
from voisin.units import UnixSeconds
from voisin.vault.keyring import Box
from voisin.vault.terms_records import ReleaseRecord, TermsStore


@dataclass(frozen=True, slots=True)
class SecretRecord:
    """A secret: which, who pushed it and when, and its sealed value."""

    ref: SecretRef
    pushed_by: Address
    pushed_at: UnixSeconds
    box: Box


@dataclass(frozen=True, slots=True)
class ChallengeRecord:
    """A task's challenge: its address, until when it is kept, and its sealed private key."""

    task_id: TaskId
    challenge: Address
    expires_at: UnixSeconds
    box: Box


@dataclass(frozen=True, slots=True)
class IdentityRecord:
    """The vault's own key: its address and its sealed private key. Opening it proves that the keyring is the right one."""

    vault: Address
    box: Box


Resealed = SecretRecord | ChallengeRecord | IdentityRecord


class VaultStore(Protocol):
    """The records of a vault. Every call that changes something is one transaction, kept whole or not at all."""

    @property
    def terms(self) -> TermsStore:
        """The records of data with terms of use."""
        ...

    async def identity(self) -> IdentityRecord | None:
        """Find the vault's own key; None in a new vault."""
        ...

    async def add_identity(self, record: IdentityRecord) -> IdentityRecord:
        """Add the vault's own key; answers the one that was there first."""
        ...

    async def secret(self, ref: SecretRef) -> SecretRecord | None:
        """Find a secret."""
        ...

    async def add_secret(self, record: SecretRecord) -> bool:
        """Add a secret; answers False, and changes nothing, when there is one of that name."""
        ...

    async def replace_secret(self, record: SecretRecord, *, over: SecretRecord, mark: str) -> bool:
        """Replace a secret, and mark its former value; answers False, and changes nothing, when it is not `over` any more."""
        ...

    async def delete_secret(self, over: SecretRecord, *, mark: str) -> bool:
        """Delete a secret, and mark its former value; answers False, and changes nothing, when it is not `over` any more."""
        ...

    async def is_former(self, mark: str) -> bool:
        """Tell whether a value was marked as former."""
        ...

    async def secrets_of(self, owner: Address) -> list[SecretRecord]:
        """List the secrets that an account pushed, by kind, holder and name."""
        ...

    async def challenge(self, task_id: TaskId) -> ChallengeRecord | None:
        """Find a task's challenge."""
        ...

    async def add_challenge(self, record: ChallengeRecord) -> ChallengeRecord:
        """Add a task's challenge; answers the one that was there first."""
        ...

    async def use_nonce(self, signer: Address, nonce: Hash32, until: UnixSeconds) -> bool:
        """Remember a nonce of a signer; answers False when it was used before."""
        ...

    async def add_releases(self, records: Sequence[ReleaseRecord]) -> None:
        """Record uses of secrets, all or none."""
        ...

    async def releases_of(self, owner: Address, *, before: int | None, limit: int) -> list[tuple[int, Release]]:
        """List uses of an account's secrets, newest first, each with its number; only those numbered below `before`."""
        ...

    async def forget(self, *, wall: UnixSeconds, chain: UnixSeconds) -> int:
        """Delete nonces that ended before `wall` and challenges that ended before `chain`; answers how many challenges."""
        ...

    async def sealed_otherwise(self, key_id: str) -> list[Resealed]:
        """List what is sealed under another key than this one."""
        ...

    async def reseal(self, records: Sequence[Resealed]) -> None:
        """Replace the boxes of records that are still there, all or none."""
        ...
