"""
The records with their keys: what goes in is sealed, what comes out was neither changed nor moved.

A box is bound to the vault, chain and hub, to its table, and to every open column of its row that matters: whose it is, its name,
who pushed it and when.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass

from voisin.errors import StateError, TrustError
from voisin.protocol.codec import encode
from voisin.protocol.eip712 import Domain
from voisin.protocol.ids import Address, Hash32, TaskId, from_hex
from voisin.protocol.secrets import SecretRef, SecretValue
from voisin.protocol.signatures import KeySigner, sign_message
from voisin.units import UnixSeconds
from voisin.vault.keyring import Box, Keyring, Place
from voisin.vault.records import ChallengeRecord, IdentityRecord, Resealed, SecretRecord, VaultStore


@dataclass(frozen=True, slots=True)
class Held:
    """An opened secret: which, its value, and who pushed it."""

    ref: SecretRef
    value: SecretValue
    pushed_by: Address


class Cabinet:
    """A vault's sealed records."""

    def __init__(self, store: VaultStore, keyring: Keyring, domain: Domain, random_bytes: Callable[[int], bytes]) -> None:
        """
        Args:
            store: Where the records lie.
            keyring: What they are sealed under.
            domain: The hub they are about.
            random_bytes: Draws as many random bytes as it is told; they must be fit for keys.
        """
        self.store = store
        self._keyring = keyring
        self._domain = domain
        self._random_bytes = random_bytes
        self._mark_key = b""

    async def open(self) -> Address:
        """
        See that the keyring is the right one, make the vault's own key if the vault is new, and seal anew what is under an older key.

        Returns:
            The vault's address.

        Raises:
            TrustError: The keyring does not open the records.
        """
        found = await self.store.identity()
        if found is None:
            key = new_key(self._random_bytes)
            sealed = self._keyring.seal(key.expose_key(), self._identity_place(key.address))
            found = await self.store.add_identity(IdentityRecord(key.address, sealed))
        if found.box.key_id not in self._keyring.ids:
            had = ", ".join(self._keyring.ids)
            raise TrustError(
                f"the vault's records are sealed under key {found.box.key_id}, and the vault was given {had}",
                hint="give it the key file that it had before",
            )
        self._mark_key = self._keyring.open(found.box, self._identity_place(found.vault))
        await self._reseal()
        return found.vault

    async def secret(self, ref: SecretRef) -> Held | None:
        """
        Read a secret.

        Raises:
            TrustError: Its record was changed or moved.
        """
        found = await self.store.secret(ref)
        if found is None:
            return None
        return Held(ref, SecretValue(self._keyring.open(found.box, self._secret_place(found)).decode()), found.pushed_by)

    async def put(self, ref: SecretRef, value: SecretValue, *, by: Address, at: UnixSeconds, replace: bool) -> bool:
        """
        Keep a secret.

        Args:
            ref: Which.
            value: Its value.
            by: Who pushes it.
            at: When [Unix s].
            replace: Whether one that is there is replaced (and only such a one), or a new one added (and none replaced).

        Returns:
            False when one is there that must not be, or none is there that must be.
        """
        draft = SecretRecord(ref, by, at, Box("", b""))
        record = SecretRecord(ref, by, at, self._keyring.seal(value.expose().encode(), self._secret_place(draft)))
        if not replace:
            return await self.store.add_secret(record)
        while (over := await self.store.secret(ref)) is not None:
            if await self.store.replace_secret(record, over=over, mark=self._former_mark(over)):
                return True
        return False

    async def delete(self, ref: SecretRef) -> SecretRecord | None:
        """Delete a secret; answers its record, or None when there was none."""
        while (over := await self.store.secret(ref)) is not None:
            if await self.store.delete_secret(over, mark=self._former_mark(over)):
                return over
        return None

    async def is_former(self, ref: SecretRef, value: SecretValue) -> bool:
        """Tell whether a secret had a value once and has it no more."""
        held = await self.secret(ref)
        return (held is None or held.value != value) and await self.store.is_former(self._mark(ref, value))

    async def challenge_of(self, task_id: TaskId, expires_at: UnixSeconds) -> Address:
        """
        Give a task's challenge; make it if there is none yet.

        Args:
            task_id: The task.
            expires_at: Until when it is kept [Unix s].
        """
        found = await self.store.challenge(task_id)
        if found is None:
            key = new_key(self._random_bytes)
            draft = ChallengeRecord(task_id, key.address, expires_at, Box("", b""))
            sealed = self._keyring.seal(key.expose_key(), self._challenge_place(draft))
            found = await self.store.add_challenge(ChallengeRecord(task_id, key.address, expires_at, sealed))
        return found.challenge

    async def challenge_key(self, task_id: TaskId, challenge: Address) -> KeySigner:
        """
        Open the key of a task's challenge.

        Raises:
            StateError: The task has no challenge here.
            TrustError: It has another one, or its record was changed or moved.
        """
        found = await self.store.challenge(task_id)
        if found is None:
            raise StateError(f"task {task_id} has no challenge in this vault", hint="the scheduler asks for it first")
        if found.challenge != challenge:
            raise TrustError(f"{challenge} is not the challenge of task {task_id} in this vault", hint="use the authorisation's")
        key = KeySigner(self._keyring.open(found.box, self._challenge_place(found)))
        if key.address != challenge:
            raise TrustError("a challenge of the vault was changed", hint="bring the database back from a backup")
        return key

    def sign(self, digest: Hash32) -> str:
        """Sign 32 bytes (as an Ethereum signed message) with the vault's own key."""
        return sign_message(KeySigner(self._mark_key), from_hex(digest))

    def hold_key(self, task_id: TaskId) -> bytes:
        """Give the key under which the result of a task waits for its release: always the same, and nobody else can make it."""
        return hmac.digest(self._mark_key, b"voisin held result 1" + from_hex(task_id), "sha256")

    def _former_mark(self, record: SecretRecord) -> str:
        try:
            return self._mark(record.ref, SecretValue(self._keyring.open(record.box, self._secret_place(record)).decode()))
        except TrustError:
            return ""  # it was changed in the database: its owner must still be able to get rid of it

    def _mark(self, ref: SecretRef, value: SecretValue) -> str:
        """Recognise a value without keeping it: nobody without the vault's own key can try values against a mark."""
        return hmac.digest(self._mark_key, encode((ref.kind.value, ref.holder, ref.name, value.expose())), "sha256").hex()

    async def _reseal(self) -> None:
        older = await self.store.sealed_otherwise(self._keyring.current)
        await self.store.reseal([self._resealed(record) for record in older])

    def _resealed(self, record: Resealed) -> Resealed:
        match record:
            case SecretRecord():
                return SecretRecord(record.ref, record.pushed_by, record.pushed_at, self._again(record.box, self._secret_place(record)))
            case ChallengeRecord():
                box = self._again(record.box, self._challenge_place(record))
                return ChallengeRecord(record.task_id, record.challenge, record.expires_at, box)
            case IdentityRecord():
                return IdentityRecord(record.vault, self._again(record.box, self._identity_place(record.vault)))

    def _again(self, box: Box, place: Place) -> Box:
        return self._keyring.seal(self._keyring.open(box, place), place)

    def _secret_place(self, record: SecretRecord) -> Place:
        ref = record.ref
        return self._place("secret", ref.kind.value, ref.holder, ref.name, record.pushed_by, record.pushed_at)

    def _challenge_place(self, record: ChallengeRecord) -> Place:
        return self._place("challenge", record.task_id, record.challenge, record.expires_at)

    def _identity_place(self, vault: Address) -> Place:
        return self._place("identity", vault)

    def _place(self, table: str, *columns: str | int) -> Place:
        return (table, self._domain.chain_id, self._domain.hub, *columns)


def new_key(random_bytes: Callable[[int], bytes]) -> KeySigner:
    """Make a fresh secp256k1 key; a draw that is none, one in 2^127, is an `InputError`."""
    return KeySigner(random_bytes(32))
