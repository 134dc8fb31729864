"""Payments and fines of a task, against the specification's worked example (poco-protocol.md 12.4)."""

from __future__ import annotations

import msgspec
import pytest

from tests.unit.client import stories as s
from voisin.client.settlement import Outcome, Role, Transfer, Verdict, Vote, settle, task_price
from voisin.errors import TrustError
from voisin.protocol.events import Event, Rewarded, Seized, TaskContributed, TaskFinalized
from voisin.protocol.ids import ZERO_ADDRESS
from voisin.protocol.records import Resource
from voisin.protocol.rules import KITTY_ADDRESS
from voisin.units import NRLC


def of_task(task: object) -> list[Event]:
    return [logged.event for logged in s.logs() if getattr(logged.event, "task_id", None) == task]


def test_a_completed_task_pays_owners_workers_and_scheduler() -> None:
    settled = settle(s.DEAL, of_task(s.TASK_0))
    assert settled.outcome is Outcome.COMPLETED
    assert (settled.charged, settled.refunded) == (6_000_000_007, 0)
    assert settled.payments == (
        Transfer(Role.APP, s.APP_OWNER, NRLC(3_000_000_000)),
        Transfer(Role.DATASET, s.DATASET_OWNER, NRLC(2_000_000_000)),
        Transfer(Role.WORKER, s.WORKER_A, NRLC(641_250_004)),
        Transfer(Role.WORKER, s.WORKER_B, NRLC(213_750_001)),
        Transfer(Role.WORKER, s.WORKER_D, NRLC(427_500_002)),
        Transfer(Role.SCHEDULER, s.SCHEDULER, NRLC(67_500_002)),
    )
    assert settled.fines == (Transfer(Role.WORKER, s.WORKER_C, NRLC(350_000_002)),)


def test_the_liar_is_named_with_its_fine() -> None:
    votes = settle(s.DEAL, of_task(s.TASK_0)).votes
    assert votes[0] == Vote(s.WORKER_C, Verdict.FAULTY, NRLC(0), NRLC(350_000_002))
    assert [vote.verdict for vote in votes[1:]] == [Verdict.PROVED] * 3
    assert [vote.worker for vote in votes] == [s.WORKER_C, s.WORKER_A, s.WORKER_B, s.WORKER_D]


def test_a_claimed_task_refunds_the_payer_and_fines_the_scheduler() -> None:
    settled = settle(s.DEAL, of_task(s.TASK_1))
    assert settled.outcome is Outcome.FAILED
    assert (settled.charged, settled.refunded) == (0, 6_000_000_007)
    assert settled.payments == (Transfer(Role.KITTY, KITTY_ADDRESS, NRLC(300_000_002)),)
    assert settled.fines == (Transfer(Role.SCHEDULER, s.SCHEDULER, NRLC(300_000_002)),)
    assert settled.votes == (Vote(s.WORKER_C, Verdict.RETURNED, NRLC(0), NRLC(0)),)


def test_an_open_task_moved_no_money() -> None:
    settled = settle(s.DEAL, [TaskContributed(s.TASK_0, s.WORKER_A, s.GOOD)])
    assert settled.outcome is Outcome.OPEN
    assert (settled.charged, settled.refunded, settled.payments, settled.fines) == (0, 0, (), ())
    assert settled.votes == (Vote(s.WORKER_A, Verdict.OPEN, NRLC(0), NRLC(0)),)


def test_one_owner_in_every_role_is_still_paid_in_each() -> None:
    alone = s.WORKER_A
    deal = msgspec.structs.replace(
        s.DEAL,
        app=Resource(s.APP, alone, NRLC(30)),
        dataset=Resource(ZERO_ADDRESS, ZERO_ADDRESS, NRLC(0)),
        workerpool=Resource(s.POOL, alone, NRLC(100)),
    )
    events: list[Event] = [
        TaskContributed(s.TASK_0, alone, s.GOOD),
        Seized(alone, NRLC(130), s.TASK_0),
        Rewarded(alone, NRLC(30), s.TASK_0),
        Rewarded(alone, NRLC(95), s.TASK_0),
        Rewarded(alone, NRLC(5), s.TASK_0),
        TaskFinalized(s.TASK_0, b""),
    ]
    payments = settle(deal, events).payments
    assert [(payment.role, payment.amount) for payment in payments] == [(Role.APP, 30), (Role.WORKER, 95), (Role.SCHEDULER, 5)]


def test_what_the_kitty_gives_counts_as_taken_from_it() -> None:
    deal = msgspec.structs.replace(s.DEAL, app=Resource(s.APP, s.APP_OWNER, NRLC(0)), dataset=Resource(ZERO_ADDRESS, ZERO_ADDRESS, NRLC(0)))
    events: list[Event] = [
        TaskContributed(s.TASK_0, s.WORKER_A, s.GOOD),
        Seized(s.REQUESTER, NRLC(1_000_000_007), s.TASK_0),
        Seized(KITTY_ADDRESS, NRLC(300_000_002), s.TASK_0),
        Rewarded(s.SCHEDULER, NRLC(300_000_002), s.TASK_0),
        Rewarded(s.WORKER_A, NRLC(950_000_006), s.TASK_0),
        Rewarded(s.SCHEDULER, NRLC(50_000_001), s.TASK_0),
        TaskFinalized(s.TASK_0, b""),
    ]
    settled = settle(deal, events)
    assert settled.fines == (Transfer(Role.KITTY, KITTY_ADDRESS, NRLC(300_000_002)),)
    assert [payment.role for payment in settled.payments] == [Role.SCHEDULER, Role.WORKER, Role.SCHEDULER]


def test_a_payment_out_of_nothing_is_refused() -> None:
    events = of_task(s.TASK_0)
    true, false = (Rewarded(s.WORKER_A, NRLC(amount), s.TASK_0) for amount in (641_250_004, 641_250_005))
    forged = [false if event == true else event for event in events]
    with pytest.raises(TrustError, match="took 6350000009 nRLC for a task and paid 6350000010"):
        settle(s.DEAL, forged)


def test_a_task_costs_app_dataset_and_workerpool() -> None:
    assert task_price(s.DEAL) == 6_000_000_007
