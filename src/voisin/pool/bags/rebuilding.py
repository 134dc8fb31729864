"""
Rebuilding the records of a bag from the chain, which has its root and its list of payouts, and from storage, which has its leaves.

What workers signed comes back from them, once a scheduler runs again (`words_of`); the order in which tasks ended, what an app
exited with and why a task has no result do not.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from voisin.errors import InputError, TrustError, UnavailableError
from voisin.pool.bags.archives import cid_at
from voisin.pool.bags.facts import BagChainFact, Holding, Posted, Proven
from voisin.pool.bags.ledger import BagLedger
from voisin.pool.bags.records import BagChanges, BagRecord, EndedTask, Vote
from voisin.pool.bags.store import BagStore
from voisin.pool.database.claims import Lease
from voisin.pool.heart.records import DealRecord
from voisin.pool.running.uploads import ResultStore
from voisin.protocol.archive import open_archive
from voisin.protocol.bag_api import BagStage, decode_leaves
from voisin.protocol.bag_settlement import NO_RESULT, Leaf, unpack_payouts
from voisin.protocol.events import BagClaimed, BagSettled, BagSlashed
from voisin.protocol.ids import ZERO_ADDRESS, ZERO_HASH, task_id, to_hex
from voisin.protocol.results import result_hash

MAX_LEAVES_BYTES: Final = 64 << 20
MAX_CALLBACK_BYTES: Final = 16 << 20
FORGOTTEN: Final = "it had no result; why is not written on the chain"


@dataclass(frozen=True, slots=True)
class BagSources:
    """Where the records of bags come from, and where they go."""

    hub: BagLedger
    results: ResultStore
    store: BagStore


async def rebuild_bag(terms: DealRecord, around: BagSources, lease: Lease) -> tuple[BagStage, bool]:
    """
    Write down what chain and storage tell of a bag.

    Args:
        terms: Its deal.
        around: Where that comes from, and where it goes.
        lease: Holds the deal.

    Returns:
        Where the bag stands, and whether its leaves were found, if it has any.

    Raises:
        UnavailableError: The chain does not answer.
    """
    record = _record(terms, await around.hub.history(terms))
    changes, is_whole = BagChanges(bags={terms.deal_id: record}), True
    if record.posted is not None and record.posted.root != ZERO_HASH:
        leaves = await _leaves(record, around.results)
        is_whole = bool(leaves)
        changes.ended = [(terms.deal_id, await _ended(leaf, record, around.results)) for leaf in leaves]
        changes.earned = {(terms.deal_id, worker): amount for worker, amount in unpack_payouts(record.posted.payouts).items()}
    await around.store.save(changes, lease)
    return record.stage, is_whole


def _record(terms: DealRecord, history: Iterable[BagChainFact]) -> BagRecord:
    """Follow what has happened; a settled bag with a callback has still its results to hand over, those that are over have nothing."""
    record = BagRecord(terms=terms)
    for fact in history:
        match fact:
            case Posted(bag):
                stage = BagStage.GIVEN_BACK if bag.root == ZERO_HASH else BagStage.POSTED
                record = replace(record, stage=stage, posted=bag)
            case BagSettled() if record.stage is BagStage.GIVEN_BACK:
                record = replace(record, is_over=True)
            case BagSettled():
                is_over = terms.deal.callback == ZERO_ADDRESS or not fact.done
                record = replace(record, stage=BagStage.SETTLED, is_over=is_over)
            case BagSlashed():
                record = replace(record, stage=BagStage.PUNISHED, is_over=True)
            case BagClaimed():
                record = replace(record, stage=BagStage.CLAIMED, is_over=True)
            case Proven():
                continue  # the hub is asked before a result is proven again
    return record


def words_of(fact: Holding, ended: Iterable[EndedTask]) -> list[Vote]:
    """List what a worker signed of tasks that have ended, as far as it is what was posted: whoever asks for a leaf may want to see it."""
    agreed = {task.index: result_hash(task_id(fact.deal_id, task.index), task.digest) for task in ended if fact.worker in task.agreed}
    return [Vote(each.index, fact.worker, each.said, each.signature) for each in fact.contributions if agreed.get(each.index) == each.said]


async def _leaves(record: BagRecord, results: ResultStore) -> tuple[Leaf, ...]:
    """Fetch the leaves of a posted bag; none if they are not in storage, or are not those of the root."""
    assert record.posted is not None
    try:
        found = await results.fetch(cid_at(record.posted.leaves), max_bytes=MAX_LEAVES_BYTES)
        if found is None or found.data is None:
            return ()
        return decode_leaves(found.data, record.deal_id, record.posted.root)
    except (UnavailableError, InputError, TrustError):
        return ()


async def _ended(leaf: Leaf, record: BagRecord, results: ResultStore) -> EndedTask:
    has_result = leaf.digest != NO_RESULT
    data = await _callback_data(leaf, results) if has_result and record.terms.deal.callback != ZERO_ADDRESS else ""
    return EndedTask(
        index=leaf.index,
        place=leaf.index - record.first + 1,
        digest=leaf.digest,
        location=leaf.location,
        agreed=leaf.agreed,
        others=leaf.others,
        reason="" if has_result else FORGOTTEN,
        callback_data=data,
    )


async def _callback_data(leaf: Leaf, results: ResultStore) -> str:
    """Read out of a result what goes to the deal's callback; nothing if the result is gone: then it cannot be handed over."""
    try:
        found = await results.fetch(cid_at(leaf.location), max_bytes=MAX_CALLBACK_BYTES)
        return "" if found is None or found.data is None else to_hex(open_archive(found.data).callback_data())
    except (UnavailableError, InputError):
        return ""
