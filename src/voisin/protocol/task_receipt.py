"""
The receipt of a task that ran in an enclave: who computed what for whom, and what the enclave showed before it got any secret.

It is a file that says enough by itself: its evidence is signed by the vault and made over the task, the worker, the enclave's key and the
task's challenge; the challenge's key has signed the result's digest for that worker. So it can be checked without asking anybody, at any
later time; see `voisin.attestation.receipts`. It is written in one form only, and any other byte in it is refused.
"""

from __future__ import annotations

from typing import Final

import msgspec

from voisin.errors import InputError, TrustError
from voisin.protocol.codec import decode, encode
from voisin.protocol.ids import Address, DealId, Hash32, TaskId, hash32_of
from voisin.protocol.vault_terms import TaskEvidence
from voisin.units import NRLC, UnixSeconds

FORM: Final = "voisin task receipt 1"
MAX_BYTES: Final = 16 << 20


class Signature(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    The word of the enclave that a worker brought: its signature over the digest, for this worker.

    Attributes:
        worker: The worker.
        enclave: Address of the key: the task's challenge.
        signature: The signature, as the hub checked it.
    """

    worker: Address
    enclave: Address
    signature: str


class TaskReceipt(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    What is known of a finished task that ran in an enclave.

    Attributes:
        form: Always `FORM`.
        chain_id: The chain.
        hub: Its hub.
        deal_id: The deal.
        index: The task's index in it; with the deal it makes the task's id.
        task_id: The task.
        app: The deal's app.
        dataset: The deal's dataset; zero without one.
        workerpool: The deal's workerpool.
        requester: Who paid.
        beneficiary: Who may read the result.
        price: What the task cost [nRLC].
        digest: The result's digest, as the chain has it.
        result: The CID of the result.
        signatures: The enclave's word, for each worker whose transaction was found.
        evidence: What enclaves showed to the vault.
        made_at: When it was written.
        checksum: Over all of this, so that no byte changes unnoticed; see `seal_receipt`.
    """

    form: str
    chain_id: int
    hub: Address
    deal_id: DealId
    index: int
    task_id: TaskId
    app: Address
    dataset: Address
    workerpool: Address
    requester: Address
    beneficiary: Address
    price: NRLC
    digest: Hash32
    result: str
    signatures: tuple[Signature, ...]
    evidence: TaskEvidence
    made_at: UnixSeconds
    checksum: Hash32 = Hash32("")


def seal_receipt(receipt: TaskReceipt) -> TaskReceipt:
    """Put the checksum into a receipt. It is no signature: what has one in a receipt is the evidence and the result."""
    bare = msgspec.structs.replace(receipt, checksum=Hash32(""))
    return msgspec.structs.replace(bare, checksum=hash32_of(FORM.encode(), encode(bare)))


def write_receipt(receipt: TaskReceipt) -> bytes:
    """Write a receipt, as `read_receipt` wants it."""
    return msgspec.json.format(encode(receipt), indent=2) + b"\n"


def read_receipt(data: bytes) -> TaskReceipt:
    """
    Read a receipt.

    Raises:
        InputError: It is malformed, or no receipt.
        TrustError: A byte of it was changed.
    """
    if len(data) > MAX_BYTES:
        raise InputError(f"a receipt has at most {MAX_BYTES} bytes, not {len(data)}")
    receipt = decode(data, TaskReceipt, "the receipt")
    if receipt.form != FORM:
        raise InputError(f"this is a receipt of the form {receipt.form[:40]!r}, and {FORM!r} is known here")
    if seal_receipt(receipt) != receipt or write_receipt(receipt) != data:
        raise TrustError("the receipt was changed since it was written: its checksum does not fit", hint="fetch it again")
    return receipt
