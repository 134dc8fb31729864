"""Checking the receipt of a task by itself: no chain, no vault and no clock is asked."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from voisin.attestation.again import SIMULATED, Verdict, judge_again
from voisin.attestation.policy import EnclavePolicy
from voisin.protocol.ids import as_address, task_id
from voisin.protocol.results import enclave_digest
from voisin.protocol.signatures import signed_by
from voisin.protocol.task_receipt import TaskReceipt
from voisin.units import UnixSeconds


class ReceiptVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a receipt is worth.

    Attributes:
        receipt: The receipt.
        sessions: What is to be said of each enclave that got secrets of the task.
        reasons: What speaks against the receipt beside that; empty for a good one.
    """

    receipt: TaskReceipt
    sessions: tuple[Verdict, ...]
    reasons: tuple[str, ...]

    def is_good(self, *, allow_simulated: bool = False) -> bool:
        """
        Tell whether nothing speaks against it.

        Args:
            allow_simulated: Whether it may be that an enclave was simulated, and so proves nothing.
        """
        minded = set() if not allow_simulated else {SIMULATED}
        return not self.reasons and all(each.is_signed and set(each.reasons) <= minded for each in self.sessions)


def check_receipt(receipt: TaskReceipt, policy: EnclavePolicy | None = None, *, at: UnixSeconds | None = None) -> ReceiptVerdict:
    """
    Check a receipt that `read_receipt` has read.

    Args:
        receipt: The receipt.
        policy: What is asked of enclaves; None as for `judge_again`.
        at: The time of verification; when the vault judged each enclave unless given. What makers publish expires after a month or so.

    Raises:
        InputError: The evidence in it is malformed.
        StateError: A library is missing that this kind of evidence needs.
    """
    sessions = judge_again(receipt.evidence, policy, at=at)
    return ReceiptVerdict(receipt=receipt, sessions=sessions, reasons=tuple(_reasons(receipt)))


def _reasons(receipt: TaskReceipt) -> Iterator[str]:
    evidence = receipt.evidence
    if task_id(receipt.deal_id, receipt.index) != receipt.task_id:
        yield "the task's id does not belong to the deal and the index"
    if (evidence.task_id, evidence.chain_id, evidence.hub) != (receipt.task_id, receipt.chain_id, receipt.hub):
        yield "the evidence is of another task, chain or hub"
    if not evidence.sessions:
        yield "no enclave showed anything to the vault"
    if not receipt.signatures:
        yield "no enclave has signed the result"
    shown = {(as_address(each.worker), as_address(each.enclave)) for each in evidence.sessions}
    for word in receipt.signatures:
        digest = enclave_digest(word.worker, receipt.task_id, receipt.digest)
        if not signed_by(word.enclave, digest, word.signature):
            yield f"the result of worker {word.worker} is not signed by the key of the task's enclave"
        if (as_address(word.worker), as_address(word.enclave)) not in shown:
            yield f"no enclave of worker {word.worker} got the key that signed its result"
