"""
Datasets with terms of use at a vault, on the wire: pushing an order with its terms, revoking, the owner's ledger, evidence of a task, and
results that wait for a release.

A use is a task: its number is the volume that earlier deals consumed of the order, plus its place in its deal; both are the chain's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec
from Crypto.Protocol import HPKE
from Crypto.Protocol.DH import import_x25519_private_key, import_x25519_public_key
from Crypto.PublicKey.ECC import EccKey

from voisin.errors import InputError, TrustError
from voisin.protocol.codec import decode
from voisin.protocol.consent import VaultId
from voisin.protocol.data_terms import DataTerms
from voisin.protocol.ids import Address, DealId, Hash32, OrderHash, TaskId, from_hex, hash32_of, to_hex
from voisin.protocol.orders import DatasetOrder
from voisin.units import NRLC, UnixSeconds

TERMS_ACT: Final = "keep terms of use"
REVOKE_ACT: Final = "revoke terms of use"
USES_ACT: Final = "list the uses of a dataset"
REFUSALS_ACT: Final = "list the refused uses of a dataset"
RELEASE_ACT: Final = "release a result"
RESULT_KEY_ACT: Final = "give the key of a result"
ALL_ORDERS: Final = "all"

_HOLD_INFO: Final = b"voisin held result 1"


class TermsPush(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    What the owner of a dataset pushes before an order is published; the text form of this record does not show the key.

    Attributes:
        order: The signed order; its salt is the terms' id.
        terms: The terms of use.
        key: The dataset's key, or a share of it; empty when the vault has it already.
    """

    order: DatasetOrder
    terms: DataTerms
    key: str = ""

    def __repr__(self) -> str:
        return f"TermsPush({self.terms.id})"


class TermsEntry(msgspec.Struct, frozen=True, kw_only=True):
    """
    An order with its terms, as a vault shows them to anybody.

    Attributes:
        order_hash: The order's hash, which a deal's event names.
        order: The order, without its signature: what is not published is not for everybody to match.
        terms: The terms of use.
        pushed_by: The dataset's owner at that time.
        pushed_at: When they came, or were confirmed last.
        revoked_at: When they were revoked; 0 while they count.
    """

    order_hash: OrderHash
    order: DatasetOrder
    terms: DataTerms
    pushed_by: Address
    pushed_at: UnixSeconds
    revoked_at: UnixSeconds = UnixSeconds(0)


class TermsPage(msgspec.Struct, frozen=True):
    """
    All orders with terms that a vault has of a dataset, the oldest first.

    Attributes:
        entries: The orders.
        restored_at: When the vault found that its records came back from an old backup; 0 for never. Orders that were not pushed since do
            not count until their owner pushes them again, and some may be missing.
    """

    entries: tuple[TermsEntry, ...]
    restored_at: UnixSeconds = UnixSeconds(0)

    @property
    def pending(self) -> tuple[TermsEntry, ...]:
        """Those that do not count until their owner pushes them again."""
        return tuple(each for each in self.entries if not each.revoked_at and each.pushed_at <= self.restored_at)


class DataUse(msgspec.Struct, frozen=True, kw_only=True):
    """
    One use of a dataset, as its owner sees it.

    Attributes:
        id: Its place in the vault's records, from 1.
        at: When the key went out.
        dataset: The dataset.
        order_hash: Under which order.
        number: How many uses of the order came before, by the chain.
        task_id: For which task.
        deal_id: Of which deal.
        app: Of which app.
        workerpool: On whose machines.
        requester: For whom.
        beneficiary: Who reads the result; zero for the requester.
        worker: Which of the machines.
        price: What the deal pays the owner for it [nRLC].
        purpose: What the requester signed as purpose.
        technology: What kind of evidence the enclave showed, for example `simulated` or `intel-tdx`.
    """

    id: int
    at: UnixSeconds
    dataset: Address
    order_hash: OrderHash
    number: int
    task_id: TaskId
    deal_id: DealId
    app: Address
    workerpool: Address
    requester: Address
    beneficiary: Address
    worker: Address
    price: NRLC
    purpose: str
    technology: str


class UsePage(msgspec.Struct, frozen=True):
    """Uses of a dataset, the newest first; `next` is where the page after it begins, if there is one."""

    uses: tuple[DataUse, ...]
    next: int | None = None


class DataRefusal(msgspec.Struct, frozen=True, kw_only=True):
    """
    A use of a dataset that its terms refused, as its owner sees it: the first of each task.

    Attributes:
        id: Its place in the vault's records, from 1.
        at: When it was refused.
        dataset: The dataset.
        task_id: For which task it was asked.
        deal_id: Of which deal.
        app: Of which app.
        workerpool: On whose machines.
        requester: For whom.
        worker: Which of the machines.
        reason: Why, in words.
    """

    id: int
    at: UnixSeconds
    dataset: Address
    task_id: TaskId
    deal_id: DealId
    app: Address
    workerpool: Address
    requester: Address
    worker: Address
    reason: str


class RefusalPage(msgspec.Struct, frozen=True):
    """Refused uses of a dataset, the newest first; `next` is where the page after it begins, if there is one."""

    refusals: tuple[DataRefusal, ...]
    next: int | None = None


class SessionEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """
    What one enclave showed before it got the secrets of a task.

    Attributes:
        at: When the vault judged it; what it was verified with counts at this time.
        worker: Whose machine it was.
        enclave: The task's challenge.
        session_key: The enclave's key, which the evidence is over.
        kept: The evidence with what it was verified with, JSON.
        signature: The vault's signature under all of it, see `evidence_digest`.
    """

    at: UnixSeconds
    worker: Address
    enclave: Address
    session_key: Hash32
    kept: str
    signature: str


class TaskEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """The evidence of a task, for anybody to judge again; `vault`, `chain_id` and `hub` belong to what it has to be made over."""

    task_id: TaskId
    vault: Address
    chain_id: int
    hub: Address
    sessions: tuple[SessionEvidence, ...]


class HeldResult(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the key of a task's result may go to its reader."""

    task_id: TaskId
    is_held: bool
    released_at: UnixSeconds = UnixSeconds(0)


class ResultKeyRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A reader's, or the owner's, fresh X25519 public key, to seal the key of a held result to."""

    reader_key: Hash32


class SealedResultKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The key of a held result, sealed: HPKE's encapsulated key and ciphertext."""

    task_id: TaskId
    encapsulated: bytes
    ciphertext: bytes


class ReaderKey:
    """A fresh key pair of who asks for the key of a held result. Its text forms never show the private half."""

    def __init__(self, random_bytes: Callable[[int], bytes]) -> None:
        """
        Args:
            random_bytes: Draws as many random bytes as it is told; they must be fit for keys.
        """
        self._key = import_x25519_private_key(random_bytes(32))

    @property
    def public(self) -> Hash32:
        """The public half, as a request carries it."""
        exported = self._key.public_key().export_key(format="raw")
        assert isinstance(exported, bytes)
        return Hash32(to_hex(exported))

    def open(self, sealed: SealedResultKey, vault: VaultId) -> bytes:
        """
        Open what the vault answered: 32 bytes, with which the result was sealed (`voisin.protocol.sealed_stream`).

        Raises:
            TrustError: It is sealed for another key, task or vault, or was changed.
        """
        refused = TrustError("the result's key is sealed for another key or task, or was changed", hint="ask the vault again")
        info = _hold_info(vault, sealed.task_id, self.public)
        try:
            box = HPKE.new(receiver_key=self._key, aead_id=HPKE.AEAD.AES256_GCM, enc=sealed.encapsulated, info=info)
            clear = box.unseal(sealed.ciphertext)
        except ValueError:
            raise refused from None
        assert isinstance(clear, bytes)
        return clear

    def __repr__(self) -> str:
        return f"ReaderKey({self.public})"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a ReaderKey is not pickled: it holds a private key")


def seal_result_key(key: bytes, task: TaskId, reader_key: Hash32, vault: VaultId) -> SealedResultKey:
    """
    Seal the key of a held result for who asked for it.

    Raises:
        InputError: The reader's key is none.
    """
    box = HPKE.new(receiver_key=_public(reader_key), aead_id=HPKE.AEAD.AES256_GCM, info=_hold_info(vault, task, reader_key))
    ciphertext = box.seal(key)
    return SealedResultKey(task_id=task, encapsulated=box.enc, ciphertext=ciphertext)


def read_push(body: bytes) -> TermsPush:
    """
    Read what an owner pushes.

    Raises:
        InputError: It is malformed, or holds a condition that this vault does not know.
    """
    return decode(body, TermsPush, "the order with its terms")


def terms_lines(dataset: Address, order_hash: OrderHash, terms_id: Hash32, key: str) -> dict[str, str]:
    """Say what the consent under `TERMS_ACT` is about; the dataset's owner gives it."""
    return {"dataset": dataset, "order": order_hash, "terms": terms_id, "key": hash32_of(key.encode()) if key else "as before"}


def revoke_lines(dataset: Address, order: str) -> dict[str, str]:
    """Say what the consent under `REVOKE_ACT` is about: one order, by its hash, or `ALL_ORDERS`."""
    return {"dataset": dataset, "order": order}


def uses_lines(dataset: Address) -> dict[str, str]:
    """Say what the consent under `USES_ACT` is about."""
    return {"dataset": dataset}


def refusals_lines(dataset: Address) -> dict[str, str]:
    """Say what the consent under `REFUSALS_ACT` is about; the dataset's owner gives it."""
    return {"dataset": dataset}


def release_lines(task: TaskId) -> dict[str, str]:
    """Say what the consent under `RELEASE_ACT` is about; the dataset's owner gives it."""
    return {"task": task}


def result_key_lines(task: TaskId, request: ResultKeyRequest) -> Mapping[str, str]:
    """Say what the consent under `RESULT_KEY_ACT` is about; the beneficiary or the dataset's owner gives it."""
    return {"task": task, "reader-key": request.reader_key}


def evidence_digest(vault: VaultId, task: TaskId, session: SessionEvidence) -> Hash32:
    """Give the 32 bytes that the vault signs (as an Ethereum signed message) to say that an enclave showed this."""
    place = from_hex(vault.vault) + vault.chain_id.to_bytes(32, "big") + from_hex(vault.hub) + from_hex(task)
    machine = from_hex(session.worker) + from_hex(session.enclave) + from_hex(session.session_key)
    return hash32_of(b"voisin evidence 1", place, machine, session.at.to_bytes(32, "big"), from_hex(hash32_of(session.kept.encode())))


def _hold_info(vault: VaultId, task: TaskId, reader_key: Hash32) -> bytes:
    place = from_hex(vault.vault) + vault.chain_id.to_bytes(32, "big") + from_hex(vault.hub)
    return _HOLD_INFO + place + from_hex(task) + from_hex(reader_key)


def _public(text: str) -> EccKey:
    try:
        return import_x25519_public_key(from_hex(text))
    except ValueError:
        raise InputError("the reader's key is no X25519 public key", hint="it has 32 bytes") from None
