"""A vault's records in memory, for tests and simulations; see `voisin.vault.records.VaultStore`."""

from __future__ import annotations

from collections.abc import Sequence

from voisin.protocol.ids import Address, Hash32, TaskId
from voisin.protocol.secrets import Release, SecretRef
from voisin.units import UnixSeconds
from voisin.vault.records import ChallengeRecord, IdentityRecord, Resealed, SecretRecord
from voisin.vault.terms_memory import MemoryTermsStore
from voisin.vault.terms_records import ReleaseRecord


class MemoryStore:
    """
    A vault's records in memory.

    Attributes:
        terms: The records of data with terms of use.
    """

    def __init__(self) -> None:
        self._identity: IdentityRecord | None = None
        self._secrets: dict[SecretRef, SecretRecord] = {}
        self._challenges: dict[TaskId, ChallengeRecord] = {}
        self._former: set[str] = set()
        self._nonces: dict[tuple[Address, Hash32], UnixSeconds] = {}
        self._releases: list[ReleaseRecord] = []
        self.terms = MemoryTermsStore(self._releases)

    async def identity(self) -> IdentityRecord | None:
        """Find the vault's own key; None in a new vault."""
        return self._identity

    async def add_identity(self, record: IdentityRecord) -> IdentityRecord:
        """Add the vault's own key; answers the one that was there first."""
        self._identity = self._identity or record
        return self._identity

    async def secret(self, ref: SecretRef) -> SecretRecord | None:
        """Find a secret."""
        return self._secrets.get(ref)

    async def add_secret(self, record: SecretRecord) -> bool:
        """Add a secret; answers False, and changes nothing, when there is one of that name."""
        return self._secrets.setdefault(record.ref, record) is record

    async def replace_secret(self, record: SecretRecord, *, over: SecretRecord, mark: str) -> bool:
        """Replace a secret, and mark its former value; answers False, and changes nothing, when it is not `over` any more."""
        if self._secrets.get(record.ref) != over:
            return False
        self._secrets[record.ref] = record
        self._former.add(mark)
        return True

    async def delete_secret(self, over: SecretRecord, *, mark: str) -> bool:
        """Delete a secret, and mark its former value; answers False, and changes nothing, when it is not `over` any more."""
        if self._secrets.get(over.ref) != over:
            return False
        del self._secrets[over.ref]
        self._former.add(mark)
        return True

    async def is_former(self, mark: str) -> bool:
        """Tell whether a value was marked as former."""
        return mark in self._former

    async def secrets_of(self, owner: Address) -> list[SecretRecord]:
        """List the secrets that an account pushed, by kind, holder and name."""
        found = [record for record in self._secrets.values() if record.pushed_by == owner]
        return sorted(found, key=lambda record: (record.ref.kind, record.ref.holder, record.ref.name))

    async def challenge(self, task_id: TaskId) -> ChallengeRecord | None:
        """Find a task's challenge."""
        return self._challenges.get(task_id)

    async def add_challenge(self, record: ChallengeRecord) -> ChallengeRecord:
        """Add a task's challenge; answers the one that was there first."""
        return self._challenges.setdefault(record.task_id, record)

    async def use_nonce(self, signer: Address, nonce: Hash32, until: UnixSeconds) -> bool:
        """Remember a nonce of a signer; answers False when it was used before."""
        if (signer, nonce) in self._nonces:
            return False
        self._nonces[signer, nonce] = until
        return True

    async def add_releases(self, records: Sequence[ReleaseRecord]) -> None:
        """Record uses of secrets, all or none."""
        self._releases += records

    async def releases_of(self, owner: Address, *, before: int | None, limit: int) -> list[tuple[int, Release]]:
        """List uses of an account's secrets, newest first, each with its number; only those numbered below `before`."""
        numbered = enumerate(self._releases, start=1)
        own = [(number, record.release) for number, record in numbered if record.owner == owner and (before is None or number < before)]
        return own[::-1][:limit]

    async def forget(self, *, wall: UnixSeconds, chain: UnixSeconds) -> int:
        """Delete nonces that ended before `wall` and challenges that ended before `chain`; answers how many challenges."""
        self._nonces = {key: until for key, until in self._nonces.items() if until >= wall}
        kept = {task: record for task, record in self._challenges.items() if record.expires_at >= chain}
        gone, self._challenges = len(self._challenges) - len(kept), kept
        return gone

    async def sealed_otherwise(self, key_id: str) -> list[Resealed]:
        """List what is sealed under another key than this one."""
        identity = [] if self._identity is None else [self._identity]
        every: list[Resealed] = [*identity, *self._secrets.values(), *self._challenges.values()]
        return [record for record in every if record.box.key_id != key_id]

    async def reseal(self, records: Sequence[Resealed]) -> None:
        """Replace the boxes of records that are still there, all or none."""
        for record in records:
            match record:
                case SecretRecord() if record.ref in self._secrets:
                    self._secrets[record.ref] = record
                case ChallengeRecord() if record.task_id in self._challenges:
                    self._challenges[record.task_id] = record
                case IdentityRecord():
                    self._identity = record
                case _:
                    pass
