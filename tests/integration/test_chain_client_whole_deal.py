"""A deal from deposit to payment, and one that fails and is claimed, through the chain client alone, on the real contracts."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.chain_rig import APP_PRICE, POOL_PRICE, RLC, SALT, Rig, open_rig
from voisin.chain import Admission, DeploymentTerms, calls, deployment_plan, execute_plan
from voisin.errors import RevertError, StateError
from voisin.protocol import events
from voisin.protocol.eip712 import Operation, order_hash
from voisin.protocol.ids import ZERO_ADDRESS, DealId, Hash32, task_id
from voisin.protocol.orders import OrderKind
from voisin.protocol.records import Account, ContributionStatus, TaskStatus
from voisin.protocol.results import result_hash, result_seal, sign_authorization
from voisin.units import NRLC

pytestmark = pytest.mark.anyio
GOOD, BAD = Hash32("0x" + "ab" * 32), Hash32("0x" + "cd" * 32)


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    """A chain with a market."""
    async with open_rig() as rig:
        yield rig


async def contribute(rig: Rig, deal: DealId, index: int, worker: int, digest: Hash32) -> list[events.Event]:
    task, wallet = task_id(deal, index), rig.workers[worker]
    call = calls.contribute(
        rig.chain.hub_address,
        task,
        result_hash=result_hash(task, digest),
        result_seal=result_seal(wallet.address, task, digest),
        admission=Admission(sign_authorization(rig.scheduler, wallet.address, task)),
    )
    return [logged.event for logged in (await rig.send(wallet, call)).events]


async def test_from_deposit_to_payment(rig: Rig) -> None:
    chain, hub = rig.chain, rig.chain.hub_address
    deal_id = await rig.deal(volume=2, trust=3)
    deal = await chain.hub.deal(deal_id)
    assert (deal.requester, deal.bot_first, deal.bot_size, deal.trust) == (rig.requester.address, 0, 2, 3)
    assert (deal.app.owner, deal.app.price, deal.workerpool.price) == (rig.app_owner.address, APP_PRICE, POOL_PRICE)
    assert deal.start_time == await chain.block_time()
    assert await chain.hub.account(rig.requester.address) == Account(NRLC(974 * RLC), NRLC(26 * RLC))
    task = task_id(deal_id, 0)
    with pytest.raises(StateError, match="unknown task"):
        await chain.hub.task(task)
    opened = await rig.send(rig.stranger, calls.initialize_array(hub, [(deal_id, 0), (deal_id, 1)]))
    assert [logged.event for logged in opened.events] == [
        events.TaskInitialized(task_id(deal_id, index), deal.workerpool.pointer) for index in (0, 1)
    ]
    assert [each.status for each in await chain.hub.tasks([task, task_id(deal_id, 1)]) if each] == [TaskStatus.ACTIVE] * 2

    assert events.TaskContributed(task, rig.workers[0].address, result_hash(task, BAD)) in await contribute(rig, deal_id, 0, 0, BAD)
    for worker in (1, 2, 3):
        found = await contribute(rig, deal_id, 0, worker, GOOD)
    assert found[-1] == events.ConsensusReached(task, result_hash(task, GOOD))
    for worker in (1, 2, 3):
        await rig.send(rig.workers[worker], calls.reveal(hub, task, GOOD))
    contribution = await chain.hub.contribution(task, rig.workers[1].address)
    assert (contribution.status, contribution.result_hash, contribution.weight) == (ContributionStatus.PROVED, result_hash(task, GOOD), 1)

    paid = [logged.event for logged in (await rig.send(rig.scheduler, calls.finalize(hub, task, b"over there"))).events]
    assert paid[-1] == events.TaskFinalized(task, b"over there")
    assert events.FaultyContribution(rig.workers[0].address, task) in paid
    assert events.Rewarded(rig.app_owner.address, APP_PRICE, task) in paid
    assert events.Seized(rig.workers[0].address, NRLC(3 * RLC), task) in paid
    done = await chain.hub.task(task)
    assert (done.status, done.result_digest, done.results, len(done.contributors)) == (TaskStatus.COMPLETED, GOOD, b"over there", 4)
    assert await chain.hub.scores([each.address for each in rig.workers[:4]]) == [0, 1, 1, 1]
    # 10 RLC and the liar's 3: 99 % to three workers, the rest to the scheduler
    assert (await chain.hub.account(rig.workers[1].address)).stake == 100 * RLC + 13 * RLC * 99 // 100 // 3


async def test_a_deal_that_fails_is_claimed(rig: Rig) -> None:
    chain, hub = rig.chain, rig.chain.hub_address
    deal = await rig.deal(volume=3)
    await rig.send(rig.stranger, calls.initialize(hub, deal, 0))
    with pytest.raises(RevertError, match="the task must be open and its final deadline passed"):
        await rig.send(rig.stranger, calls.claim(hub, task_id(deal, 0)))
    await rig.node.request("evm_increaseTime", [3001])
    await rig.node.request("evm_mine", [])
    await rig.send(rig.stranger, calls.claim_array(hub, [task_id(deal, 0)]))
    late = await rig.send(rig.stranger, calls.initialize_and_claim_array(hub, [(deal, 1), (deal, 2)]))
    assert late.events[-1].event == events.TaskClaimed(task_id(deal, 2))
    assert await chain.hub.account(rig.requester.address) == Account(NRLC(1000 * RLC), NRLC(0))


async def test_orders_are_signed_and_closed_on_the_chain(rig: Rig) -> None:
    chain, hub = rig.chain, rig.chain.hub_address
    app, pool, request = rig.orders(await rig.create_app(), await rig.create_pool())
    for order, owner, kind in ((app, rig.app_owner, "app"), (pool, rig.scheduler, "workerpool"), (request, rig.requester, "request")):
        name = order_hash(order, chain.domain)
        assert await chain.hub.presigned(name) == "0x" + "00" * 20
        signed = await rig.send(owner, calls.manage_order(hub, order, Operation.SIGN))
        assert [logged.event for logged in signed.events] == [events.OrderSigned(OrderKind(kind), name)]
        assert await chain.hub.presigned(name) == owner.address
        closed = await rig.send(owner, calls.manage_order(hub, order, Operation.CLOSE))
        assert [logged.event for logged in closed.events] == [events.OrderClosed(OrderKind(kind), name)]
        assert await chain.hub.consumed(name) == order.volume
        assert await chain.is_signed_by(owner.address, bytes.fromhex(name[2:]), order.sign)
        assert not await chain.is_signed_by(rig.stranger.address, bytes.fromhex(name[2:]), order.sign)


async def test_entries_and_their_owners(rig: Rig) -> None:
    chain = rig.chain
    owner, heir = rig.app_owner.address, rig.stranger.address
    predicted = await chain.registries.predict_app(owner, "app", "WASM", b"/ipfs/x", SALT)
    assert not await chain.registries.is_app(predicted)
    app = await rig.create_app()
    assert app == predicted
    assert (await chain.registries.app(app)).multiaddr == b"/ipfs/x"
    assert await chain.registries.owner_of(app) == owner
    assert await chain.registries.owned(OrderKind.APP, owner) == [app]
    moved = await rig.send(rig.app_owner, calls.transfer_entry(chain.app_registry, app, owner=rig.app_owner.address, recipient=heir))
    assert events.EntryTransferred(owner, heir, app) in [logged.event for logged in moved.events]
    assert await chain.registries.owner_of(app) == heir
    pool = await rig.create_pool()
    assert pool == await chain.registries.predict_workerpool(rig.scheduler.address, "pool")
    await rig.send(rig.scheduler, calls.change_policy(pool, 35, 5))
    info = await chain.registries.workerpool(pool)
    assert (info.worker_stake_ratio, info.scheduler_reward_ratio, info.description) == (35, 5, "pool")


async def test_a_plan_for_another_nonce_or_account_is_refused_before_it_costs(rig: Rig) -> None:
    spent = await rig.chain.native_balance(rig.owner.address)
    first = deployment_plan(rig.owner.address, rig.chain.chain_id)
    used = len(first.steps)
    with pytest.raises(StateError, match=f"for another nonce than {used}"):
        await execute_plan(rig.senders[rig.owner.address], first)
    with pytest.raises(StateError, match=f"another account than {rig.stranger.address}"):
        await execute_plan(rig.senders[rig.stranger.address], deployment_plan(rig.owner.address, rig.chain.chain_id, nonce=used))
    assert await rig.chain.native_balance(rig.owner.address) == spent
    plan = deployment_plan(rig.owner.address, rig.chain.chain_id, nonce=used, terms=DeploymentTerms(token=rig.chain.token_address))
    second = await execute_plan(rig.senders[rig.owner.address], plan)
    assert second.token == rig.chain.token_address
    assert second.hub not in (rig.chain.hub_address, ZERO_ADDRESS)
    assert second.block == rig.deployment.block + used


async def test_money_in_and_out(rig: Rig) -> None:
    chain, hub, token = rig.chain, rig.chain.hub_address, rig.chain.token_address
    before = await chain.token.balance(rig.owner.address)
    await rig.send(rig.owner, calls.approve(token, hub, NRLC(7)))
    assert await chain.token.allowance(rig.owner.address, hub) == 7
    deposited = await rig.send(rig.owner, calls.deposit(hub, NRLC(7)))
    assert [logged.event for logged in deposited.events] == [
        events.Transferred(rig.owner.address, hub, NRLC(7)),
        events.Transferred("0x" + "00" * 20, rig.owner.address, NRLC(7)),  # type: ignore[arg-type]
    ]
    assert [logged.address for logged in deposited.events] == [token, hub]
    await rig.send(rig.owner, calls.withdraw(hub, NRLC(3)))
    assert (await chain.hub.account(rig.owner.address)).stake == 4
    assert await chain.token.balance(rig.owner.address) == before - 4
