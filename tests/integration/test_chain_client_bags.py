"""Bags through the chain client alone, on the real contracts: posted, settled, proven wrong, demanded, given back, claimed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import msgspec
import pytest

from tests.support.bag_on_chain import LOCATION, PARAMS, WINDOW_S, BagScheduler
from tests.support.chain_rig import APP_PRICE, DIGEST, POOL_PRICE, RLC, Rig, open_rig
from voisin.chain import Call, bags
from voisin.chain.bags import BagState, BagStatus, Fraud, SignedReceipt
from voisin.errors import RevertError
from voisin.protocol import events
from voisin.protocol.bag_settlement import earned_digest, receipt_digest
from voisin.protocol.ids import ZERO_HASH, DealId, Hash32, task_id
from voisin.protocol.merkle import ZERO_NODE
from voisin.protocol.records import Account, TaskStatus
from voisin.protocol.results import result_hash
from voisin.units import NRLC

pytestmark = pytest.mark.anyio
VOLUME = 3
OTHER = Hash32("0x" + "cd" * 32)
STAKE = VOLUME * POOL_PRICE * 30 // 100


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    """A chain with a market."""
    async with open_rig() as rig:
        yield rig


@pytest.fixture
async def bag(rig: Rig) -> BagScheduler:
    """The scheduler of a deal of three tasks, of which nothing is posted."""
    scheduler = BagScheduler(rig, await rig.deal(volume=VOLUME, trust=3, params=PARAMS))
    scheduler.honest(VOLUME)
    return scheduler


async def travel(rig: Rig, seconds: int = WINDOW_S) -> None:
    await rig.node.request("evm_increaseTime", [seconds])
    await rig.node.request("evm_mine", [])


async def by_stranger(rig: Rig, call: Call) -> list[events.Event]:
    return [logged.event for logged in (await rig.send(rig.stranger, call)).events]


async def punished(rig: Rig, scheduler: BagScheduler, call: Call, fraud: Fraud) -> None:
    """A stranger proves a fraud, and the requester has the money back."""
    told = await by_stranger(rig, call)
    slashed = told[-1]
    assert isinstance(slashed, events.BagSlashed)
    assert (slashed.deal_id, slashed.fraud) == (scheduler.deal, fraud)
    assert await rig.chain.hub.account(rig.requester.address) == Account(NRLC(1000 * RLC), NRLC(0))
    assert (await rig.chain.hub.account(rig.scheduler.address)).stake == 1000 * RLC - STAKE


async def test_posted_settled_and_one_result_proven(rig: Rig, bag: BagScheduler) -> None:
    chain, hub = rig.chain, rig.chain.hub_address
    assert await bags.settles_bags(chain.rpc, hub)
    worker = rig.workers[0].address
    posted = await bag.post({worker: NRLC(20 * RLC)})
    assert [logged.event for logged in posted.events] == [
        events.BagPosted(bag.deal, bag.posted.root, bag.posted.leaves, VOLUME, bag.posted.deadline, bag.posted.payouts)
    ]
    found, unknown = await bags.view_bags(chain.rpc, hub, [bag.deal, DealId(OTHER)])
    assert (found.status, found.demands, found.is_of(bag.posted)) == (BagStatus.POSTED, 0, True)
    assert unknown == BagState(BagStatus.NONE, 0, ZERO_HASH)
    with pytest.raises(RevertError, match="window-open"):
        await rig.send(rig.stranger, bags.settle_bag(hub, bag.posted))
    with pytest.raises(RevertError, match="unknown-bag"):
        await rig.send(rig.stranger, bags.settle_bag(hub, replace(bag.posted, done=2)))
    await travel(rig)
    told = await by_stranger(rig, bags.settle_bag(hub, bag.posted))
    assert told[-1] == events.BagSettled(bag.deal, VOLUME)
    assert events.Transferred(hub, worker, NRLC(20 * RLC)) in told
    price = VOLUME * (APP_PRICE + POOL_PRICE)
    assert await chain.hub.account(rig.requester.address) == Account(NRLC(1000 * RLC - price), NRLC(0))
    assert (await bags.view_bag(chain.rpc, hub, bag.deal)).status is BagStatus.SETTLED

    task = task_id(bag.deal, 1)
    assert await by_stranger(rig, bags.prove_result(hub, bag.posted, bag.shown(1))) == [events.ResultProven(task, DIGEST, LOCATION)]
    proven = await chain.hub.task(task)
    assert (proven.status, proven.result_digest) == (TaskStatus.COMPLETED, DIGEST)


async def test_little_trust(rig: Rig, bag: BagScheduler) -> None:
    bag.honest(VOLUME, workers=1)
    await bag.post()
    await punished(rig, bag, bags.prove_little_trust(rig.chain.hub_address, bag.posted, bag.shown(2)), Fraud.LITTLE_TRUST)


async def test_wrong_counts(rig: Rig, bag: BagScheduler) -> None:
    bag.leaves[1] = msgspec.structs.replace(bag.leaves[1], done=3)
    await bag.post()
    call = bags.prove_wrong_count(rig.chain.hub_address, bag.posted, bag.shown(0), bag.shown(1))
    await punished(rig, bag, call, Fraud.WRONG_COUNT)


async def test_another_leaf_in_a_tasks_place(rig: Rig, bag: BagScheduler) -> None:
    bag.leaves[1] = bag.leaves[0]
    await bag.post()
    shown = bag.shown(1)
    call = bags.prove_omission(rig.chain.hub_address, bag.posted, 1, there=shown.leaf, proof=shown.proof)
    await punished(rig, bag, call, Fraud.OMISSION)


async def test_nothing_in_a_tasks_place(rig: Rig, bag: BagScheduler) -> None:
    bag.leaves = bag.leaves[:2]
    bag.nodes = [*bag.hashes, ZERO_NODE]
    await bag.post()
    call = bags.prove_omission(rig.chain.hub_address, bag.posted, 2, there=None, proof=bag.proof(2))
    await punished(rig, bag, call, Fraud.OMISSION)


async def test_a_contradicted_receipt(rig: Rig, bag: BagScheduler) -> None:
    worker, said = rig.workers[3].address, result_hash(task_id(bag.deal, 0), OTHER)
    signature = rig.scheduler.sign_digest(receipt_digest(rig.chain.domain, bag.deal, 0, worker=worker, said=said))
    await bag.post()
    call = bags.prove_contradiction(rig.chain.hub_address, bag.posted, bag.shown(0), SignedReceipt(worker, said, signature))
    await punished(rig, bag, call, Fraud.CONTRADICTION)


async def test_an_underpaid_worker(rig: Rig, bag: BagScheduler) -> None:
    worker, amount = rig.workers[0].address, NRLC(5 * RLC)
    signature = rig.scheduler.sign_digest(earned_digest(rig.chain.domain, bag.deal, worker, amount))
    await bag.post({worker: NRLC(5 * RLC - 1)})
    call = bags.prove_underpayment(rig.chain.hub_address, bag.posted, worker=worker, amount=amount, signature=signature)
    await punished(rig, bag, call, Fraud.UNDERPAYMENT)


async def test_demands_are_answered_expire_and_give_their_bond_back(rig: Rig, bag: BagScheduler) -> None:
    chain, hub = rig.chain, rig.chain.hub_address
    await bag.post()
    for index in range(VOLUME):
        receipt = await rig.send(rig.requester, bags.demand_leaf(hub, bag.posted, index))
    demanded = receipt.events[-1].event
    assert isinstance(demanded, events.LeafDemanded)
    assert (demanded.index, demanded.asker) == (2, rig.requester.address)
    assert (await bags.view_bag(chain.rpc, hub, bag.deal)).demands == VOLUME
    crew = {worker.address: worker for worker in rig.workers}
    signed = [bag.contribution(crew[worker], 0) for worker in bag.leaves[0].agreed]
    answered = await by_stranger(rig, bags.answer_leaf(hub, bag.posted, bag.shown(0), signed))
    assert answered[-1] == events.LeafAnswered(bag.deal, 0)
    assert (await chain.hub.account(rig.stranger.address)).stake == POOL_PRICE
    await travel(rig)
    with pytest.raises(RevertError, match="demand-open"):
        await rig.send(rig.stranger, bags.settle_bag(hub, bag.posted))
    slashed = await by_stranger(rig, bags.expire_demand(hub, bag.posted, 1))
    assert events.BagSlashed(bag.deal, rig.requester.address, Fraud.SILENCE, NRLC(STAKE // 10)) in slashed
    await by_stranger(rig, bags.release_demand(hub, bag.deal, 2))
    kept = 1000 * RLC - POOL_PRICE + STAKE // 10
    assert await chain.hub.account(rig.requester.address) == Account(NRLC(kept), NRLC(0))


async def test_given_back_or_claimed(rig: Rig, bag: BagScheduler) -> None:
    chain, hub = rig.chain, rig.chain.hub_address
    with pytest.raises(RevertError, match="too-early"):
        await rig.send(rig.stranger, bags.claim_bag(hub, bag.deal))
    told = await bag.give_back()
    assert isinstance(told.events[-1].event, events.DealGivenBack)
    assert await chain.hub.account(rig.requester.address) == Account(NRLC(1000 * RLC), NRLC(0))
    assert bag.posted.root == ZERO_HASH
    await travel(rig)
    await by_stranger(rig, bags.settle_bag(hub, bag.posted))
    assert (await bags.view_bag(chain.rpc, hub, bag.deal)).status is BagStatus.ENDED
    assert (await chain.hub.account(rig.scheduler.address)).locked == 0


async def test_nobody_posts_and_somebody_claims(rig: Rig, bag: BagScheduler) -> None:
    chain, hub = rig.chain, rig.chain.hub_address
    await travel(rig, 3001)
    assert (await by_stranger(rig, bags.claim_bag(hub, bag.deal)))[-1] == events.BagClaimed(bag.deal)
    assert await chain.hub.account(rig.requester.address) == Account(NRLC(1000 * RLC), NRLC(0))
