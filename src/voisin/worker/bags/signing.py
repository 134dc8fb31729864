"""What a worker signs for a bag, and how it checks what the scheduler signs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from voisin.protocol.bag_settlement import contribution_digest, earned_digest, receipt_digest
from voisin.protocol.bag_wire import Receipt, Statement
from voisin.protocol.eip712 import Domain
from voisin.protocol.ids import Address, DealId, Hash32, task_id, to_hex
from voisin.protocol.results import result_hash
from voisin.protocol.signatures import Signer, signed_by
from voisin.worker.bags.runs import Result
from voisin.worker.bags.words import BagTerms, Kept


def sign_results(signer: Signer, domain: Domain, deal_id: DealId, results: Iterable[Result]) -> list[Kept]:
    """
    Commit to results.

    Args:
        signer: The worker's wallet.
        domain: The hub.
        deal_id: The deal.
        results: The results.
    """
    kept = []
    for result in results:
        said = result_hash(task_id(deal_id, result.index), result.packed.digest)
        kept.append(
            Kept(
                index=result.index,
                digest=result.packed.digest,
                location=result.location,
                said=said,
                signature=signer.sign_digest(contribution_digest(domain, deal_id, result.index, said)),
                exit_code=result.packed.exit_code,
                callback_data=to_hex(result.packed.callback_data) if result.packed.callback_data else "",
            )
        )
    return kept


def check_receipts(
    receipts: Iterable[Receipt], said: Mapping[int, Hash32], *, terms: BagTerms, domain: Domain, worker: Address
) -> tuple[list[Receipt], str]:
    """
    Tell good receipts from bad ones.

    Args:
        receipts: What the pool sent.
        said: What this worker said of each task.
        terms: The deal.
        domain: The hub.
        worker: This worker.

    Returns:
        The good ones, and what is wrong with the first bad one; empty when all are good.
    """
    good: list[Receipt] = []
    for receipt in receipts:
        mine = said.get(receipt.index)
        if mine is None:
            continue
        if receipt.said != mine:
            return good, f"the receipt for task {receipt.index} is for another result than this worker's"
        digest = receipt_digest(domain, terms.deal_id, receipt.index, worker=worker, said=mine)
        if not is_word_of(terms.scheduler, digest, receipt.signature):
            return good, f"the receipt for task {receipt.index} is not signed by the scheduler {terms.scheduler}"
        good.append(receipt)
    return good, ""


def check_statement(statement: Statement, *, terms: BagTerms, domain: Domain, worker: Address) -> str:
    """
    Say what is wrong with a statement; empty when nothing is.

    Args:
        statement: What the pool sent.
        terms: The deal.
        domain: The hub.
        worker: This worker.
    """
    if not 0 <= statement.amount < 1 << 128:
        return "the statement's amount is none that a bag can pay"
    if not is_word_of(terms.scheduler, earned_digest(domain, terms.deal_id, worker, statement.amount), statement.signature):
        return f"the statement is not signed by the scheduler {terms.scheduler}"
    return ""


def is_word_of(scheduler: Address, digest: bytes, signature: str) -> bool:
    """Tell whether a scheduler's key made a signature of 65 bytes: the hub takes no other for its words (contracts/SPEC.md 18.4)."""
    return len(signature) == 132 and signed_by(scheduler, digest, signature)
