"""What is remembered of the chain: it holds until a block changes it, and counts for nobody who knows of a later block."""

from __future__ import annotations

import pytest

from tests.support.order_book import somewhere
from voisin.chain import EventRange
from voisin.market import recall as recalling
from voisin.market.following import Questions
from voisin.market.recall import Known, Recall
from voisin.protocol.ids import Hash32
from voisin.protocol.orders import OrderKind
from voisin.units import NRLC

APP, POOL = (OrderKind.APP, somewhere(1)), (OrderKind.WORKERPOOL, somewhere(2))
ALICE, BOB = somewhere(0xA), somewhere(0xB)


def known() -> Known:
    """What was answered."""
    return Known(owners={APP: ALICE, POOL: BOB}, stakes={ALICE: NRLC(5), BOB: NRLC(7)}, codeless={ALICE, BOB}, categories=3)


def stretch(first: int, last: int) -> EventRange:
    """Some blocks."""
    return EventRange(first=first, last=last, last_hash=Hash32("0x" + "11" * 32), events=())


def changing(*, entries: tuple[str, ...] = (), accounts: tuple[str, ...] = ()) -> Questions:
    """What the events of some blocks change."""
    return Questions(frozenset(), frozenset(entries), frozenset(accounts), frozenset(), frozenset())  # type: ignore[arg-type]


@pytest.fixture
def recall() -> Recall:
    """A memory that has looked at all blocks up to 9, and knows something."""
    recall = Recall()
    recall.begin(10)
    recall.learn(recall.mark, known())
    return recall


def test_holds_up_to_the_last_block_that_was_seen(recall: Recall) -> None:
    assert recall.known(9) == known()
    assert recall.known(3) == known()
    assert recall.known(10) == Known(), "block 10 may have changed everything"


def test_a_block_drops_what_it_changes_and_what_no_event_tells(recall: Recall) -> None:
    recall.see(stretch(10, 12), changing(entries=(APP[1],), accounts=(BOB,)))
    assert recall.known(12) == Known(owners={POOL: BOB}, stakes={ALICE: NRLC(5)}, codeless=set(), categories=3)


def test_blocks_that_were_not_seen_drop_all(recall: Recall) -> None:
    recall.see(stretch(11, 12), changing())
    assert recall.known(12) == Known()


def test_an_answer_from_before_a_block_is_not_kept(recall: Recall) -> None:
    mark = recall.mark
    recall.see(stretch(10, 10), changing(accounts=(ALICE,)))
    recall.learn(mark, Known(stakes={ALICE: NRLC(5)}))
    assert ALICE not in recall.known(10).stakes


def test_who_does_not_follow_remembers_nothing(recall: Recall) -> None:
    recall.forget()
    recall.learn(recall.mark, known())
    assert recall.known(0) == Known()


def test_there_never_become_fewer_categories(recall: Recall) -> None:
    recall.learn(recall.mark, Known(categories=2))
    assert recall.known(9).categories == 3


def test_memory_is_bounded(recall: Recall, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recalling, "MOST_KEPT", 1)
    recall.learn(recall.mark, Known(stakes={somewhere(9): NRLC(1)}))
    assert recall.known(9).stakes == {somewhere(9): NRLC(1)}
