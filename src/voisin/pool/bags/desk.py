"""
Where workers' words about bags come in: made canonical, their signatures checked, the pool's own signed.

Signatures are made and checked in a thread when there are many of them: the curve's library lets other threads run meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence

from anyio import to_thread

from voisin.errors import InputError, TrustError
from voisin.pool.bags.commands import GiveReceipts, GiveStatement
from voisin.pool.bags.facts import BagWorkerFact, Contributed, Holding, Shown, TasksGivenUp
from voisin.protocol.bag_settlement import contribution_digest, earned_digest, receipt_digest
from voisin.protocol.bag_wire import (
    Contribution,
    Contributions,
    Digests,
    GaveUp,
    HoldsBag,
    Receipt,
    Receipts,
    ShownDigest,
    Statement,
)
from voisin.protocol.eip712 import Domain
from voisin.protocol.ids import Address, DealId, as_hash32, from_hex
from voisin.protocol.signatures import Signer, signed_by

INLINE = 4
"""Signatures that are handled on the loop itself; a thread costs more than that."""
MAX_INDEX = 2**63 - 1
MAX_DETAIL = 500
MAX_CALLBACK = 2 + 2 * 4096
"""What the hub takes, as hex."""
_SIGNATURE_BYTES = 65


async def read_words(message: Contributions | Digests | GaveUp | HoldsBag, worker: Address, domain: Domain) -> BagWorkerFact:
    """
    Make a fact of what a worker says of a bag.

    Args:
        message: What it says.
        worker: Who says it.
        domain: The hub that its signatures are for.

    Raises:
        InputError: Something in it is malformed.
        TrustError: A contribution is not signed by the worker.
    """
    deal = DealId(as_hash32(message.deal_id))
    match message:
        case Contributions():
            return Contributed(worker, deal, await _checked(message.contributions, deal, worker, domain))
        case Digests():
            return Shown(worker, deal, tuple(_shown(item) for item in message.digests))
        case GaveUp():
            return TasksGivenUp(worker, deal, _indexes(message.indexes), message.failure, message.detail[:MAX_DETAIL])
        case HoldsBag():
            return Holding(worker, deal, _indexes(message.waiting), await _checked(message.contributed, deal, worker, domain))


async def sign_receipts(scheduler: Signer, domain: Domain, command: GiveReceipts) -> Receipts:
    """Sign that the pool has contributions."""

    def sign() -> Receipts:
        receipts = []
        for index, said in command.said:
            digest = receipt_digest(domain, command.deal_id, index, worker=command.worker, said=said)
            receipts.append(Receipt(index, said, scheduler.sign_digest(digest)))
        return Receipts(command.deal_id, tuple(receipts))

    return sign() if len(command.said) <= INLINE else await to_thread.run_sync(sign)


def sign_statement(scheduler: Signer, domain: Domain, command: GiveStatement) -> Statement:
    """Sign what a worker has earned."""
    digest = earned_digest(domain, command.deal_id, command.worker, command.amount)
    return Statement(deal_id=command.deal_id, amount=command.amount, signature=scheduler.sign_digest(digest))


async def _checked(given: Sequence[Contribution], deal: DealId, worker: Address, domain: Domain) -> tuple[Contribution, ...]:
    found = tuple(Contribution(_index(each.index), as_hash32(each.said), each.signature) for each in given)

    def check() -> None:
        for each in found:
            # the hub takes 65 bytes for each signature of a leaf, and no shorter form
            if len(from_hex(each.signature)) != _SIGNATURE_BYTES:
                raise InputError(f"the contribution to task {each.index} has a signature of another length than 65 bytes")
            if not signed_by(worker, contribution_digest(domain, deal, each.index, each.said), each.signature):
                raise TrustError(f"the contribution to task {each.index} is not signed by the worker's wallet")

    if len(found) <= INLINE:
        check()
    else:
        await to_thread.run_sync(check)
    return found


def _shown(item: ShownDigest) -> ShownDigest:
    if len(item.callback_data) > MAX_CALLBACK:
        raise InputError(f"the callback data of task {item.index} are longer than the hub takes")
    from_hex(item.callback_data or "0x")
    return ShownDigest(_index(item.index), as_hash32(item.digest), as_hash32(item.location), item.exit_code, item.callback_data)


def _indexes(given: Sequence[int]) -> tuple[int, ...]:
    return tuple(_index(each) for each in given)


def _index(index: int) -> int:
    if not 0 <= index <= MAX_INDEX:
        raise InputError(f"no task has the index {index}")
    return index
