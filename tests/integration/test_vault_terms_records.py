"""The records of data with terms of use: the same answers in memory and in a database of either kind."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from tests.support.terms_scene import terms_of
from tests.support.vault_scene import DATASET, START, fresh_nonce, wallet
from voisin.protocol.ids import ZERO_ADDRESS, ZERO_HASH, Address, DealId, Hash32, OrderHash, TaskId
from voisin.protocol.orders import DatasetOrder
from voisin.protocol.vault_terms import DataRefusal, DataUse, SessionEvidence, TermsEntry
from voisin.units import NRLC, UnixSeconds
from voisin.vault.memory import MemoryStore
from voisin.vault.store import open_store
from voisin.vault.terms_records import MatchRecord, Position, Serving, Standing, TermsStore, Turnout, UsesBefore
from voisin.vault.twin import TWIN_DOMAIN

pytestmark = pytest.mark.anyio

ALICE, BOB = wallet("alice").address, wallet("bob").address
NOWHERE = Position(0, ZERO_HASH)


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[TermsStore]:
    if request.param == "memory":
        yield MemoryStore().terms
        return
    url = f"sqlite:///{tmp_path}/vault.sqlite" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    async with open_store(url, TWIN_DOMAIN) as opened:
        yield opened.terms


def name(number: int) -> Hash32:
    return Hash32(f"0x{number:064x}")


def entry(number: int, *, at: int = START) -> TermsEntry:
    terms = terms_of()
    order = DatasetOrder(dataset=DATASET, datasetprice=NRLC(1), volume=9, salt=terms.id)
    return TermsEntry(order_hash=OrderHash(name(number)), order=order, terms=terms, pushed_by=ALICE, pushed_at=UnixSeconds(at))


def match(deal: int, order: int, block: int, *, who: Address = ALICE, volume: int = 1, place: int = 0) -> MatchRecord:
    return MatchRecord(DealId(name(deal)), OrderHash(name(order)), DATASET, who, volume, block, place)


def serving(task: int, *orders: int, worker: Address = ALICE, key: Hash32 | None = None) -> Serving:
    key = key or fresh_nonce()
    shown = SessionEvidence(at=UnixSeconds(START), worker=worker, enclave=ALICE, session_key=key, kept="{}", signature="0x")
    uses = [
        DataUse(
            id=0, at=UnixSeconds(START + task), dataset=DATASET, order_hash=OrderHash(name(order)), number=0, task_id=TaskId(name(task)),
            deal_id=DealId(name(1)), app=BOB, workerpool=BOB, requester=BOB, beneficiary=ZERO_ADDRESS, worker=worker, price=NRLC(1),
            purpose="", technology="simulated",
        )
        for order in orders
    ]  # fmt: skip
    return Serving(TaskId(name(task)), worker, key, shown, uses)


async def test_orders_are_added_confirmed_and_revoked(store: TermsStore) -> None:
    first, second = entry(2), entry(1, at=START + 5)
    assert await store.first_block() is None
    assert not await store.has_orders(DATASET)
    assert await store.add_order(first, 7)
    assert not await store.add_order(first, 3)
    assert await store.add_order(second, 9)
    assert await store.first_block() == 7
    assert await store.has_orders(DATASET)
    assert not await store.has_orders(ALICE)
    assert await store.orders_of(DATASET) == [first, second]
    assert await store.confirm_order(first.order_hash, UnixSeconds(START + 9))
    assert await store.order(first.order_hash) == msgspec.structs.replace(first, pushed_at=UnixSeconds(START + 9))
    assert await store.known([first.order_hash, OrderHash(name(5))]) == {first.order_hash: DATASET}
    assert await store.revoke([first.order_hash, OrderHash(name(5))], UnixSeconds(START + 10)) == 1
    assert await store.revoke([first.order_hash], UnixSeconds(START + 11)) == 0
    assert await store.standing() == Standing(1, UnixSeconds(0))
    assert not await store.confirm_order(first.order_hash, UnixSeconds(START + 12))
    assert not await store.confirm_order(OrderHash(name(5)), UnixSeconds(START))
    revoked = await store.order(first.order_hash)
    assert revoked is not None
    assert revoked.revoked_at == START + 10


async def test_deals_are_counted_in_the_order_of_the_chain(store: TermsStore) -> None:
    here, there = Position(10, name(10)), Position(12, name(12))
    deals = [match(1, 1, 5, volume=3), match(2, 2, 5, place=1, volume=4), match(3, 1, 6, who=BOB, volume=5), match(4, 1, 10, volume=7)]
    assert await store.position() == NOWHERE
    assert await store.add_matches(deals, NOWHERE, here)
    assert not await store.add_matches([match(9, 1, 11)], NOWHERE, there)
    assert await store.position() == here
    assert await store.match(DealId(name(9))) is None
    assert await store.match(DealId(name(3))) == deals[2]
    assert await store.uses_before(deals[0]) == UsesBefore(0, {})
    assert await store.uses_before(deals[1]) == UsesBefore(0, {OrderHash(name(1)): 3})
    assert await store.uses_before(deals[2]) == UsesBefore(3, {})
    assert await store.uses_before(deals[3]) == UsesBefore(8, {OrderHash(name(1)): 3, OrderHash(name(2)): 4})
    assert await store.add_matches([deals[3]], here, there)
    await store.forget_matches(here)
    assert await store.match(DealId(name(3))) is not None
    await store.forget_matches(there)
    assert await store.match(DealId(name(3))) is None
    assert await store.position() == NOWHERE


async def test_tasks_are_served_once(store: TermsStore) -> None:
    await store.add_order(entry(1), 0)
    first = serving(1, 1)
    assert await store.serve(first) == (Turnout.SERVED, 1)
    assert await store.serve(first) == (Turnout.REPEATED, 0)
    assert await store.serve(serving(1, 1, key=first.session_key, worker=BOB)) == (Turnout.TAKEN, 0)
    assert await store.serve(serving(1, 1)) == (Turnout.TAKEN, 0)
    assert await store.serve(serving(2, 1, 7)) == (Turnout.REVOKED, 0)
    assert await store.serve(serving(3, 1)) == (Turnout.SERVED, 2)
    assert await store.served_to(TaskId(name(1))) == (ALICE, first.session_key)
    assert await store.served_to(TaskId(name(2))) is None
    assert await store.evidence_of(TaskId(name(1))) == [first.evidence]
    assert await store.evidence_of(TaskId(name(2))) == []
    await store.revoke([OrderHash(name(1))], UnixSeconds(START))
    assert await store.serve(serving(4, 1)) == (Turnout.REVOKED, 0)
    assert await store.serve(first) == (Turnout.REVOKED, 0)
    assert await store.standing() == Standing(3, UnixSeconds(0))


async def test_uses_come_in_pages(store: TermsStore) -> None:
    await store.add_order(entry(1), 0)
    for task in (1, 2, 3):
        await store.serve(serving(task, 1))
    every = await store.uses_of(DATASET, since=UnixSeconds(0), before=None, limit=9)
    assert [use.task_id for use in every] == [name(3), name(2), name(1)]
    assert [use.id for use in every] == [3, 2, 1]
    assert await store.uses_of(DATASET, since=UnixSeconds(0), before=every[0].id, limit=1) == every[1:2]
    assert await store.uses_of(DATASET, since=UnixSeconds(START + 3), before=None, limit=9) == every[:1]
    assert await store.uses_of(ALICE, since=UnixSeconds(0), before=None, limit=9) == []


async def test_what_was_forgotten_is_noted_and_results_are_released_once(store: TermsStore) -> None:
    await store.note_restored(40, UnixSeconds(START))
    assert await store.standing() == Standing(40, UnixSeconds(START))
    await store.note_restored(3, UnixSeconds(START + 1))
    assert await store.standing() == Standing(40, UnixSeconds(START + 1))
    assert await store.released_at(TaskId(name(1))) == 0
    assert await store.release(TaskId(name(1)), ALICE, UnixSeconds(5)) == 5
    assert await store.release(TaskId(name(1)), BOB, UnixSeconds(6)) == 5
    assert await store.released_at(TaskId(name(1))) == 5


async def test_sessions_without_terms_leave_evidence_too(store: TermsStore) -> None:
    shown = serving(1).evidence
    await store.add_evidence(TaskId(name(1)), shown, [])
    await store.add_evidence(TaskId(name(1)), shown, [])
    assert await store.evidence_of(TaskId(name(1))) == [shown]


async def test_refusals_come_in_pages_and_the_first_of_a_task_stays(store: TermsStore) -> None:
    def refusal(task: int, reason: str) -> DataRefusal:
        return DataRefusal(
            id=0, at=UnixSeconds(START + task), dataset=DATASET, task_id=TaskId(name(task)), deal_id=DealId(name(1)), app=BOB,
            workerpool=BOB, requester=BOB, worker=ALICE, reason=reason,
        )  # fmt: skip

    for task in (1, 2, 3, 2):
        await store.refuse(refusal(task, f"reason {task}"))
    await store.refuse(refusal(1, "another reason"))
    found = await store.refusals_of(DATASET, since=UnixSeconds(0), before=None, limit=2)
    assert [(each.task_id, each.reason) for each in found] == [(name(3), "reason 3"), (name(2), "reason 2")]
    older = await store.refusals_of(DATASET, since=UnixSeconds(0), before=found[-1].id, limit=2)
    assert [(each.task_id, each.reason) for each in older] == [(name(1), "reason 1")]
    assert [each.task_id for each in await store.refusals_of(DATASET, since=UnixSeconds(START + 3), before=None, limit=9)] == [name(3)]
    assert await store.refusals_of(ALICE, since=UnixSeconds(0), before=None, limit=9) == []
