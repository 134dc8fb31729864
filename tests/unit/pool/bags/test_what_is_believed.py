"""A pool believes new workers only together, audits known ones, and bans who is caught: in bags, whatever trust the deal asks."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import anyio
import pytest

from tests.support.bag_stage import BagStage, bag_deal, join, until
from voisin.pool.bags.book import Bag, BagBook, OpenTask
from voisin.pool.bags.caution import Caution
from voisin.pool.bags.records import BagRecord
from voisin.pool.heart.book import Book, DealState
from voisin.pool.heart.course import params_of
from voisin.pool.heart.facts import Instant
from voisin.pool.heart.records import DealRecord
from voisin.pool.settings import PoolSettings
from voisin.protocol.bag_api import decode_leaves
from voisin.protocol.cid import cid_from_digest
from voisin.protocol.ids import Address, DealId, Hash32, as_address, from_hex
from voisin.units import NRLC, UnixSeconds

START = 1_700_000_000
DEAL = DealId(Hash32("0x" + "dd" * 32))
RIGHT, WRONG = Hash32("0x" + "aa" * 32), Hash32("0x" + "bb" * 32)
NEVER, ALWAYS = 1, 1_000_000


def wallet(number: int) -> Address:
    return as_address(f"0x{number:040x}")


@dataclass
class Scene:
    """One task of a bag, and workers that the pool knows or does not."""

    trust: int = 1
    floor_ppm: int = NEVER
    wall: float = float(START)
    workers: int = 4
    book: BagBook = field(init=False)

    def __post_init__(self) -> None:
        self.classic = Book(PoolSettings(probation=10, audit_floor_ppm=self.floor_ppm), wallet(99))
        self.book = BagBook(self.classic.owner_of)
        terms = DealRecord(deal_id=DEAL, deal=bag_deal(3, trust=self.trust, start=START), seq=0, block=1, time_ref_s=300)
        self.bag = Bag(BagRecord(terms=terms), DealState(terms, params_of(terms)), bytearray(3))
        self.book.bags[DEAL] = self.bag
        self.task = self.bag.open_task(0)
        self.caution = Caution(self.book, self.classic, b"a secret")
        for number in range(1, self.workers + 1):
            self.meet(number)

    def meet(self, number: int, confirmed: int = 10) -> None:
        worker = self.classic.worker(wallet(number))
        worker.is_online, worker.confirmed, worker.stake = True, confirmed, NRLC(10**15)
        worker.record = replace(worker.record, slots=1)
        self.classic.present[wallet(number)] = worker
        self.book.speakers.add(wallet(number))

    def say(self, number: int, said: Hash32 = RIGHT, task: OpenTask | None = None) -> None:
        (task or self.task).votes[wallet(number)] = said

    def look_again(self) -> list[set[Address]]:
        """Count the words of the banned for nothing wherever that is due; answers who is silent in each task."""
        for index in self.bag.dirty:
            self.caution.discount(self.bag, self.bag.open[index])
        return [task.silent for task in self.bag.open.values()]

    def believed(self) -> Hash32 | None:
        return self.caution.believed(self.bag, self.task, Instant(self.wall, UnixSeconds(int(self.wall))))


def test_a_known_worker_is_believed_alone() -> None:
    scene = Scene()
    scene.say(1)
    assert scene.believed() == RIGHT


def test_a_new_one_is_not_and_another_has_to_agree() -> None:
    scene = Scene()
    scene.meet(1, confirmed=9)
    scene.say(1)
    assert (scene.believed(), scene.bag.wants(scene.task)) == (None, 1)
    scene.say(2)
    assert scene.believed() == RIGHT


def test_an_audited_result_is_done_once_more_and_only_once() -> None:
    scene = Scene(floor_ppm=ALWAYS)
    assert scene.believed() is None
    scene.say(1)
    assert scene.believed() is None
    scene.say(2)
    assert scene.believed() == RIGHT


def test_where_nobody_else_is_there_the_deals_trust_has_to_do() -> None:
    scene = Scene(workers=1, floor_ppm=ALWAYS)
    scene.say(1)
    assert scene.believed() == RIGHT


def test_what_nobody_does_in_time_is_believed_without() -> None:
    scene = Scene(floor_ppm=ALWAYS)
    scene.say(1)
    assert scene.believed() is None
    scene.wall += 2 * 300 + 31
    assert scene.believed() == RIGHT


def test_different_words_are_no_result_until_one_side_has_more() -> None:
    scene = Scene()
    scene.say(1, WRONG)
    scene.say(2)
    assert scene.believed() is None, "the deal's trust would take the first"
    scene.say(3)
    assert scene.believed() == RIGHT


def test_who_is_outnumbered_is_banned_and_what_rests_on_its_word_done_again() -> None:
    scene = Scene()
    for number, said in ((1, WRONG), (2, RIGHT), (3, RIGHT)):
        scene.say(number, said)
    alone, shared = scene.bag.open_task(1), scene.bag.open_task(2)
    scene.say(1, WRONG, alone)
    scene.say(1, WRONG, shared)
    scene.say(2, WRONG, shared)
    alone.agreed = shared.agreed = WRONG
    scene.task.agreed = RIGHT
    scene.caution.catch(scene.bag, scene.task, (wallet(2), wallet(3)))
    assert "is not what 2 others have found" in scene.classic.worker(wallet(1)).record.ban
    assert not scene.classic.worker(wallet(2)).record.ban
    assert scene.look_again() == [{wallet(1)}, {wallet(1)}, set()]


def test_a_word_of_who_was_caught_does_not_make_the_trust_that_a_deal_asks() -> None:
    """At trust 3 two have to agree, and three where somebody says something else: 8 x 3 > (1 + 8 + 2) x 2."""
    scene = Scene(trust=3, workers=6)
    for number, said in ((1, WRONG), (2, RIGHT), (3, RIGHT)):
        scene.say(number, said)
    few, enough = scene.bag.open_task(1), scene.bag.open_task(2)
    for number in (1, 4, 5):
        scene.say(number, RIGHT, few)
    for number in (1, 4, 5, 6):
        scene.say(number, RIGHT, enough)
    few.agreed = enough.agreed = scene.task.agreed = RIGHT
    scene.caution.catch(scene.bag, scene.task, (wallet(2), wallet(3)))
    assert scene.look_again() == [{wallet(1)}, {wallet(1)}, set()]


@pytest.mark.parametrize("agreed", [(2,), (2, 3)])
def test_new_workers_do_not_get_a_known_one_banned_nor_one_alone_another(agreed: tuple[int, ...]) -> None:
    scene = Scene()
    for number in agreed:
        scene.meet(number, confirmed=0)
        scene.say(number)
    scene.say(1, WRONG)
    scene.task.agreed = RIGHT
    scene.caution.catch(scene.bag, scene.task, tuple(wallet(number) for number in agreed))
    assert not scene.classic.worker(wallet(1)).record.ban


def test_who_agrees_becomes_known() -> None:
    scene = Scene()
    scene.meet(1, confirmed=9)
    scene.caution.confirm((wallet(1),))
    assert scene.classic.worker(wallet(1)).confirmed == 9, "by itself it confirms nothing"
    scene.caution.confirm((wallet(1), wallet(2)))
    assert scene.classic.worker(wallet(1)).confirmed == 10


@pytest.mark.anyio
async def test_a_liar_gets_no_result_past_three_honest_workers() -> None:
    stage = BagStage()
    async with stage.pool() as pool, anyio.create_task_group() as tasks:
        honest, liar = [stage.worker(name) for name in ("alice", "bob", "carol")], stage.worker("mallory", answer="wrong")
        join(tasks, pool, *honest, liar)
        deal = stage.deal(60)
        await until(lambda: stage.hub.is_posted(deal))
        bag = stage.hub.posted(deal)
        leaves = decode_leaves(stage.results.blobs[cid_from_digest(from_hex(bag.leaves))], deal, bag.root)
        assert [leaf.digest for leaf in leaves] == [honest[0].result(deal, leaf.index)[0] for leaf in leaves]
        assert pool.service.machine.book.worker(liar.wallet.address).record.ban
        assert not any(pool.service.machine.book.worker(each.wallet.address).record.ban for each in honest)
        tasks.cancel_scope.cancel()
