"""Who works on which deal, in the database: one scheduler each, whoever dies; one that was thought dead writes nothing."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import anyio
import pytest

from tests.support.patience import a_moment
from tests.unit.pool.conftest import Scene, wallet
from voisin.errors import InputError, StateError
from voisin.pool import PoolSettings, run_pool
from voisin.pool.bags.twin import TwinBagLedger
from voisin.pool.chain.twin import TwinLedger
from voisin.pool.database.claims import Lease
from voisin.pool.database.store import SqlStore, open_store
from voisin.pool.heart.records import Changes, DealRecord, Position
from voisin.pool.running.surroundings import Surroundings
from voisin.pool.running.uploads import TwinResults
from voisin.protocol.eip712 import Domain
from voisin.protocol.ids import DealId, as_address
from voisin.protocol.signatures import KeySigner

pytestmark = pytest.mark.anyio

DOMAIN = Domain(chain_id=31337, hub=as_address("0x" + "b0" * 20))
POOL = as_address("0x" + "a1" * 20)
SCHEDULER = KeySigner(b"\x51" * 32)
LONG_S, OVER_S = 1000.0, -1.0
PATIENCE_S = 20.0


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[SqlStore]:
    async with open_store(url, DOMAIN, POOL, 5) as store:
        yield store


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[SqlStore]:
    """One database; what several processes do in it, several sessions do here."""
    async with opened(postgres_url) as store:
        yield store


def made_deals(count: int, volume: int = 1) -> tuple[Scene, list[DealRecord]]:
    """A pool that has found some deals."""
    scene = Scene()
    for _ in range(count):
        scene.found(volume)
    return scene, [deal.record for deal in scene.machine.book.deals.values()]


async def saved(store: SqlStore, scene: Scene, lease: Lease, block: int = 9) -> set[DealId]:
    return await store.save(scene.machine.take_changes(), Position(block), lease)


async def test_a_deal_has_one_holder(store: SqlStore) -> None:
    _, deals = made_deals(1)
    first, second = await store.claims.join("one", LONG_S), await store.claims.join("two", LONG_S)
    ids = [deal.deal_id for deal in deals]
    assert await store.claims.find(first, deals, ids) == dict.fromkeys(ids, 1)
    assert await store.claims.find(second, deals, ids) == {}
    assert await store.claims.take(second) == []


async def test_found_deals_that_are_not_wanted_are_left_to_another(store: SqlStore) -> None:
    _, deals = made_deals(2)
    first, second = await store.claims.join("one", LONG_S), await store.claims.join("two", LONG_S)
    assert set(await store.claims.find(first, deals, [deals[0].deal_id])) == {deals[0].deal_id}
    assert set(await store.claims.find(second, deals, [deals[1].deal_id])) == {deals[1].deal_id}


async def test_the_deals_of_the_dead_are_taken_over_as_they_were_written(store: SqlStore) -> None:
    scene, (deal,) = made_deals(1, volume=3)
    first = Lease(await store.claims.join("one", LONG_S))
    first.epochs |= await store.claims.find(first.session, [deal], [deal.deal_id])
    assert await saved(store, scene, first, block=42) == set()
    second = Lease(await store.claims.join("two", LONG_S))
    assert await store.claims.take(second.session) == [], "the holder lives"
    await store.claims.renew(first.session, "", OVER_S)
    (taken,) = await store.claims.take(second.session)
    assert (taken.deal, taken.epoch, taken.from_block, len(taken.tasks), taken.ended) == (deal, 2, 42, 3, frozenset())
    assert await store.claims.take(second.session) == [], "once"


async def test_who_was_thought_dead_writes_nothing(store: SqlStore) -> None:
    scene, (lost, kept) = made_deals(2)
    first = Lease(await store.claims.join("one", LONG_S))
    first.epochs |= await store.claims.find(first.session, [lost, kept], [lost.deal_id, kept.deal_id])
    await saved(store, scene, first)
    await store.claims.renew(first.session, "", OVER_S)
    second = Lease(await store.claims.join("two", LONG_S))
    assert [taken.deal for taken in await store.claims.take(second.session)] == [lost, kept]
    await store.claims.leave(second.session, 9)
    for task in list(scene.machine.book.tasks):
        scene.opened(task)
    both = {lost.deal_id, kept.deal_id}
    assert await saved(store, scene, first, block=50) == both, "the epoch is another, though nobody holds them"
    assert {file.task.phase.value for file in (await store.load()).tasks} == {"new"}


async def test_a_writer_and_a_taker_wait_for_each_other(store: SqlStore) -> None:
    """A deal that is being written about cannot be taken meanwhile; the taker does not wait but comes again."""
    scene, (deal,) = made_deals(1)
    first = Lease(await store.claims.join("one", LONG_S))
    first.epochs |= await store.claims.find(first.session, [deal], [deal.deal_id])
    await store.claims.renew(first.session, "", OVER_S)
    second = Lease(await store.claims.join("two", LONG_S))
    found: list[int] = []

    async def write() -> None:
        found.append(len(await saved(store, scene, first)))

    async def take() -> None:
        found.append(-len(await store.claims.take(second.session)))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(write)
        tasks.start_soon(take)
    written = bool((await store.load()).tasks)
    assert sorted(found) in ([-1, 0], [-1, 1], [0, 0]), found
    assert written == (1 not in found), "what was refused is not there, and what was not is"


async def test_what_is_given_back_is_free_at_once(store: SqlStore) -> None:
    scene, (deal,) = made_deals(1)
    first = Lease(await store.claims.join("one", LONG_S))
    first.epochs |= await store.claims.find(first.session, [deal], [deal.deal_id])
    await saved(store, scene, first, block=30)
    await store.claims.leave(first.session, 30)
    (taken,) = await store.claims.take(await store.claims.join("two", LONG_S))
    assert (taken.epoch, taken.from_block) == (2, 30)


async def test_a_deal_given_back_is_not_found_anew(store: SqlStore) -> None:
    """Who reads the chain from an earlier block takes it over with its records, and does not begin it again."""
    scene, (deal,) = made_deals(1)
    first = Lease(await store.claims.join("one", LONG_S))
    first.epochs |= await store.claims.find(first.session, [deal], [deal.deal_id])
    await saved(store, scene, first)
    await store.claims.leave(first.session, 30)
    second = await store.claims.join("two", LONG_S)
    assert await store.claims.find(second, [deal], [deal.deal_id]) == {}


async def test_deals_left_alone_are_shared_out(store: SqlStore) -> None:
    _, deals = made_deals(6)
    gone = await store.claims.join("gone", LONG_S)
    await store.claims.find(gone, deals, [deal.deal_id for deal in deals])
    await store.claims.renew(gone, "", OVER_S)
    first, second = await store.claims.join("one", LONG_S), await store.claims.join("two", LONG_S)
    assert [len(await store.claims.take(session)) for session in (first, second)] == [3, 2]


async def test_a_deal_that_is_over_is_nobodys(store: SqlStore) -> None:
    scene, (deal,) = made_deals(1)
    first = Lease(await store.claims.join("one", LONG_S))
    first.epochs |= await store.claims.find(first.session, [deal], [deal.deal_id])
    scene.join("alice")
    (task,) = scene.machine.book.tasks
    for step in (scene.opened, lambda task: scene.contribute("alice", task), scene.agree, lambda task: scene.reveal("alice", task)):
        step(task)
    scene.finalized(task)
    assert await saved(store, scene, first) == set()
    assert (await store.claims.renew(first.session, "", LONG_S)).held == {}
    await store.claims.leave(first.session, 9)
    assert await store.claims.take(await store.claims.join("two", LONG_S)) == []


async def test_a_name_belongs_to_the_process_that_took_it_last(store: SqlStore) -> None:
    _, (deal,) = made_deals(1)
    first = await store.claims.join("one", LONG_S)
    await store.claims.find(first, [deal], [deal.deal_id])
    again = await store.claims.join("one", LONG_S)
    with pytest.raises(StateError, match="took this scheduler's name"):
        await store.claims.renew(first, "", LONG_S)
    assert [taken.deal for taken in await store.claims.take(again)] == [deal], "at once, without waiting for the lease"


async def test_the_living_know_each_other_and_one_leads(store: SqlStore) -> None:
    first, second = await store.claims.join("one", LONG_S), await store.claims.join("two", LONG_S)
    assert (await store.claims.renew(first, "http://one", LONG_S)).leads
    company = await store.claims.renew(second, "http://two", LONG_S)
    assert [(peer.name, peer.url) for peer in company.peers] == [("one", "http://one"), ("two", "http://two")]
    assert not company.leads
    await store.claims.renew(first, "http://one", OVER_S)
    company = await store.claims.renew(second, "http://two", LONG_S)
    assert (company.leads, [peer.name for peer in company.peers]) == (True, ["two"])
    assert not (await store.claims.renew(first, "http://one", LONG_S)).leads


async def test_all_hear_that_the_pool_drains(store: SqlStore) -> None:
    sessions = [await store.claims.join(name, LONG_S) for name in ("one", "two")]
    await store.claims.drain(is_draining=True)
    assert [(await store.claims.renew(session, "", LONG_S)).is_draining for session in sessions] == [True, True]
    await store.claims.drain(is_draining=False)
    assert not (await store.claims.renew(sessions[0], "", LONG_S)).is_draining


async def test_faults_that_two_have_seen_add_up(store: SqlStore) -> None:
    for name in ("one", "two"):
        scene, _ = made_deals(1)
        scene.join("alice")
        lease = Lease(await store.claims.join(name, LONG_S))
        (task,) = scene.machine.book.tasks
        scene.fined("alice", task)
        changes = scene.machine.take_changes()
        await store.save(Changes(workers=changes.workers, faults=changes.faults), None, lease)
    assert [worker.faulty for worker in (await store.load()).workers] == [2]


async def test_all_hear_who_was_caught(store: SqlStore) -> None:
    scene, _ = made_deals(1)
    for name in ("alice", "bob", "carol"):
        scene.join(name)
    (task,) = scene.machine.book.tasks
    scene.fined("alice", task)
    liar = scene.machine.book.workers[wallet("bob")]
    scene.machine.book.write_worker(liar, replace(liar.record, ban="it lied"))
    first, second = Lease(await store.claims.join("one", LONG_S)), await store.claims.join("two", LONG_S)
    changes = scene.machine.take_changes()
    await store.save(Changes(workers=changes.workers, faults=changes.faults), None, first)
    heard = (await store.claims.renew(second, "", LONG_S)).caught
    assert {(worker.address, worker.faulty, worker.ban) for worker in heard} == {(wallet("alice"), 1, ""), (wallet("bob"), 0, "it lied")}


async def test_the_place_on_the_chain_never_goes_back(store: SqlStore) -> None:
    first, second = Lease(await store.claims.join("one", LONG_S)), Lease(await store.claims.join("two", LONG_S))
    await store.save(Changes(), Position(40), first)
    await store.save(Changes(), Position(35), second)
    assert (await store.load()).position == Position(40)


async def test_sqlite_is_for_one_scheduler(tmp_path: object) -> None:
    async with opened(f"sqlite:///{tmp_path}/pool.sqlite") as store:
        session = await store.claims.join("one", LONG_S)
        with pytest.raises(InputError, match="PostgreSQL"):
            await store.claims.join("two", LONG_S)
        assert await store.claims.join("one", LONG_S) > session, "the same one may come again"


async def test_whom_one_scheduler_caught_gets_nothing_from_the_other_either(store: SqlStore) -> None:
    def around() -> Surroundings:
        ledger, bags = TwinLedger(time.time), TwinBagLedger(time.time)
        return Surroundings(ledger=ledger, bags=bags, store=store, results=TwinResults(), wall=time.time)

    settings = [PoolSettings(workerpool=POOL, scheduler=name, lease_s=0.5, save_s=0.01) for name in ("one", "two")]
    async with run_pool(settings[0], SCHEDULER, around(), None) as first, run_pool(settings[1], SCHEDULER, around(), None) as second:
        book = first.service.machine.book
        book.write_worker(book.worker(wallet("mallory")), replace(book.worker(wallet("mallory")).record, ban="it lied"))
        with anyio.fail_after(PATIENCE_S):
            while second.service.machine.book.worker(wallet("mallory")).record.ban != "it lied":
                await a_moment()
