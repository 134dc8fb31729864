"""The heart of bags: what it does at each step, written down a second time."""

from __future__ import annotations

from typing import Any

from voisin.protocol.bag_wire import Contribution, Contributions, Digests, GaveUp, Receipt, ShownDigest
from voisin.protocol.ids import ZERO_ADDRESS, ZERO_HASH, DealId, Hash32
from voisin.protocol.wire_words import MachineFailure
from voisin.units import NRLC, UnixSeconds
from voisin.worker.bags.deal import MAX_SERIES
from voisin.worker.bags.machine import PER_MESSAGE, Heart
from voisin.worker.bags.words import (
    Approved,
    Asked,
    BagRecord,
    BagTerms,
    Check,
    CheckReceipts,
    Compute,
    Distrusted,
    Drop,
    Fetch,
    Fetched,
    Given,
    Joined,
    Limited,
    Over,
    Posted,
    Ran,
    ReceiptsCame,
    ReceiptsKept,
    Refused,
    Release,
    Repeat,
    Restored,
    Say,
    SayAll,
    StatementKept,
    Stopping,
    StopRuns,
    Store,
    Stored,
    TakenBack,
    TasksFailed,
    Ticked,
    Written,
)

DEAL = DealId(Hash32("0x" + "dd" * 32))
OTHER = DealId(Hash32("0x" + "ee" * 32))


def terms(deal: DealId = DEAL, **changes: Any) -> BagTerms:
    """A deal of 1,000 tasks in which a result earns 10 at least."""
    told: dict[str, Any] = {
        "deal_id": deal, "app": ZERO_ADDRESS, "scheduler": ZERO_ADDRESS, "first_index": 0, "volume": 1_000, "least_share": NRLC(10),
        "window_s": 600, "final_deadline": UnixSeconds(10_000), "since_block": 0,
    }  # fmt: skip
    return BagTerms(**{**told, **changes})


def heart(slots: int = 1, *, unpaid_max: int = 100, statement_s: float = 10) -> Heart:
    """A heart without any deal."""
    return Heart(slots, unpaid_max=unpaid_max, statement_s=statement_s)


def opened(*indexes: int, slots: int = 1, **limits: Any) -> tuple[Heart, list[Any]]:
    """A heart with an open deal, and what it does first."""
    made = heart(slots, **limits)
    assert made.step(Given(DEAL, indexes)) == [Check(DEAL)]
    assert made.step(Approved(terms())) == [Fetch(terms())]
    return made, made.step(Fetched(DEAL))


def said(*indexes: int) -> tuple[Contribution, ...]:
    """Contributions."""
    return tuple(Contribution(index, ZERO_HASH, "0x") for index in indexes)


def shown(*indexes: int) -> tuple[ShownDigest, ...]:
    """Results that are shown."""
    return tuple(ShownDigest(index, ZERO_HASH, ZERO_HASH) for index in indexes)


def given_up(commands: list[Any]) -> list[tuple[tuple[int, ...], MachineFailure]]:
    """What is given up."""
    messages = [each.message for each in commands if isinstance(each, Say) and isinstance(each.message, GaveUp)]
    return [(message.indexes, message.failure) for message in messages]


def test_a_task_from_its_gift_to_its_pay() -> None:
    made, first = opened(7)
    assert first == [Compute(DEAL, (7,), False)]
    assert made.step(Ran(DEAL, (7,), (), 0.5)) == []
    assert made.step(Written(DEAL, said(7))) == [Say(Contributions(DEAL, said(7)))]
    assert made.step(Asked(DEAL, (7,))) == []  # no receipt yet
    receipt = Receipt(7, ZERO_HASH, "0x")
    assert made.step(ReceiptsCame(DEAL, (receipt,))) == [CheckReceipts(terms(), (receipt,))]
    assert made.step(ReceiptsKept(DEAL, (7,))) == [Store(DEAL, (7,))]
    assert made.step(Asked(DEAL, (7,))) == []  # on its way already
    assert made.step(Stored(DEAL, shown(7), 0.0)) == [Say(Digests(DEAL, shown(7)))]
    assert made.step(StatementKept(DEAL, NRLC(10))) == []
    assert made.step(Posted(DEAL)) == [Release(DEAL)]
    assert made.step(Over(DEAL)) == [Drop(DEAL)]
    assert made.is_idle


def test_short_tasks_go_in_series() -> None:
    made, _ = opened(*range(300))
    assert made.step(Ran(DEAL, (0,), (), 0.0001)) == [Compute(DEAL, tuple(range(1, 1 + MAX_SERIES)), True)]
    done, left = tuple(range(1, 50)), tuple(range(50, 1 + MAX_SERIES))
    assert made.step(Ran(DEAL, done, left, 0.0001)) == [Compute(DEAL, tuple(range(50, 50 + MAX_SERIES)), True)]


def test_long_tasks_go_alone() -> None:
    made, _ = opened(0, 1, 2)
    assert made.step(Ran(DEAL, (0,), (), 3.0)) == [Compute(DEAL, (1,), False)]


def test_deals_take_turns() -> None:
    made, _ = opened(0, 1, 2)
    made.step(Given(OTHER, (0, 1)))
    made.step(Approved(terms(OTHER)))
    made.step(Fetched(OTHER))
    begun = [made.step(Ran(deal, (index,), (), 1.0)) for deal, index in ((DEAL, 0), (DEAL, 1), (OTHER, 0))]
    assert begun == [[Compute(DEAL, (1,), False)], [Compute(OTHER, (0,), False)], [Compute(DEAL, (2,), False)]]


def test_what_is_given_twice_is_done_once() -> None:
    made, _ = opened(0, 1)
    assert made.step(Given(DEAL, (0, 1))) == []
    made.step(Ran(DEAL, (0,), (), 1.0))
    assert made.step(Given(DEAL, (0,))) == []
    made.step(Written(DEAL, said(0)))
    assert made.step(Given(DEAL, (0,))) == [Repeat(DEAL, (0,))]


def test_a_refused_deal_is_given_up_and_forgotten() -> None:
    made = heart()
    made.step(Given(DEAL, (0, 1)))
    commands = made.step(Refused(DEAL, MachineFailure.CHAIN_REFUSED, "no"))
    assert given_up(commands) == [((0, 1), MachineFailure.CHAIN_REFUSED)]
    assert commands[-1] == Drop(DEAL)
    assert made.is_idle


def test_a_pool_that_owes_a_statement_gets_no_more_done() -> None:
    made, _ = opened(0, 1, 2, statement_s=10)
    made.step(Ran(DEAL, (0,), (), 1.0))
    made.step(Written(DEAL, said(0)))
    made.step(ReceiptsKept(DEAL, (0,)))
    made.step(Asked(DEAL, (0,)))
    made.step(Stored(DEAL, shown(0), 100.0))
    assert made.step(Ticked(109.0)) == []
    assert given_up(made.step(Ticked(110.0))) == [((2,), MachineFailure.UNPAID)]
    assert given_up(made.step(Given(DEAL, (3,)))) == [((3,), MachineFailure.UNPAID)]
    made.step(StatementKept(DEAL, NRLC(9)))
    assert given_up(made.step(Given(DEAL, (3,)))) == [((3,), MachineFailure.UNPAID)]
    made.step(StatementKept(DEAL, NRLC(10)))
    assert made.step(Given(DEAL, (3,))) == []
    assert made.step(Ran(DEAL, (1,), (), 1.0)) == [Compute(DEAL, (3,), False)]


def test_too_many_unpaid_results_make_a_pause() -> None:
    made, _ = opened(0, 1, 2, 3, unpaid_max=1)
    for index in (0, 1):
        made.step(Ran(DEAL, (index,), (), 1.0))
        made.step(Written(DEAL, said(index)))
        made.step(ReceiptsKept(DEAL, (index,)))
        made.step(Asked(DEAL, (index,)))
        made.step(Stored(DEAL, shown(index), 0.0))
    assert made.step(Ran(DEAL, (2,), (), 1.0)) == []
    assert made.step(StatementKept(DEAL, NRLC(10))) == [Compute(DEAL, (3,), False)]


def test_a_distrusted_pool_gets_its_tasks_back() -> None:
    made, _ = opened(0, 1)
    commands = made.step(Distrusted(DEAL, "a bad receipt"))
    assert given_up(commands) == [((1,), MachineFailure.UNPAID)]
    assert commands[-1] == Release(DEAL)
    assert given_up(made.step(Given(DEAL, (2,)))) == [((2,), MachineFailure.UNPAID)]


def test_taken_back_tasks_do_not_wait_any_more() -> None:
    made, _ = opened(0, 1, 2)
    made.step(TakenBack(DEAL, (0, 1)))
    assert made.step(Ran(DEAL, (0,), (), 1.0)) == [Compute(DEAL, (2,), False)]


def test_tasks_that_failed_are_given_up() -> None:
    made, _ = opened(0)
    made.step(Ran(DEAL, (), (), 0.0))
    assert given_up(made.step(TasksFailed(DEAL, (0,), MachineFailure.SANDBOX_BROKEN, "x"))) == [((0,), MachineFailure.SANDBOX_BROKEN)]
    assert made.step(Given(DEAL, (0,))) == [Compute(DEAL, (0,), False)]


def test_a_restarted_worker_says_what_it_has_and_goes_on() -> None:
    made = heart()
    made.step(Restored((BagRecord(terms=terms(), said={0: True, 1: False}, earned=NRLC(10)),)))
    assert made.step(Joined()) == [SayAll(DEAL, (), NRLC(10))]
    assert made.step(Asked(DEAL, (0, 1))) == [Store(DEAL, (0,))]
    assert made.step(Given(DEAL, (1, 2))) == [Repeat(DEAL, (1,)), Check(DEAL)]


def test_stopping_gives_back_what_is_not_done() -> None:
    made, _ = opened(0, 1)
    assert given_up(made.step(Stopping())) == [((1, 0), MachineFailure.SHUTTING_DOWN)]
    assert made.step(Ran(DEAL, (0,), (), 1.0)) == []


def test_a_closing_owner_is_obeyed() -> None:
    made, _ = opened(0, 1, 2)
    assert given_up(made.step(Limited(0, "paused", False))) == [((1, 2), MachineFailure.PAUSED)]
    assert given_up(made.step(Given(DEAL, (3,)))) == [((3,), MachineFailure.PAUSED)]
    commands = made.step(Limited(0, "paused", True))
    assert given_up(commands) == [((0,), MachineFailure.PAUSED)]
    assert commands[-1] == StopRuns(DEAL)
    assert made.step(Ran(DEAL, (), (0,), 0.0)) == []
    assert made.step(Limited(2, "", False)) == []
    assert made.step(Given(DEAL, (4, 5, 6))) == [Compute(DEAL, (4,), False), Compute(DEAL, (5,), False)]


def test_long_lists_go_in_several_messages() -> None:
    made, _ = opened(0)
    contributions = said(*range(2 * PER_MESSAGE + 1))
    commands = made.step(Written(DEAL, contributions))
    assert [len(each.message.contributions) for each in commands] == [PER_MESSAGE, PER_MESSAGE, 1]  # type: ignore[union-attr]


def test_foreign_tasks_are_refused() -> None:
    made = heart()
    made.step(Given(DEAL, (0, 1_000)))
    assert given_up(made.step(Approved(terms()))) == [((1_000,), MachineFailure.TASK_NOT_ACTIVE)]
