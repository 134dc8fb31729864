"""The invoice of a deal: sums, payments by role, gas by role and kind."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import msgspec
import pytest

from tests.unit.client import stories as s
from voisin.client.history import with_enclave
from voisin.client.invoice import UNKNOWN_ENCLAVE, GasLine, Invoice, MinedTransaction, build_invoice
from voisin.client.services import OrderBook
from voisin.client.settlement import Outcome, Role, Verdict
from voisin.errors import TrustError, UnavailableError
from voisin.protocol.events import Logged, TaskInitialized
from voisin.protocol.ids import DealId, Hash32, TaskId
from voisin.protocol.rules import KITTY_ADDRESS
from voisin.protocol.tags import as_tag
from voisin.units import NRLC, Wei

ELSEWHERE = TaskId(s.hash_of(0xE15E))


def mined(count: int = len(s.TRANSACTIONS)) -> dict[Hash32, MinedTransaction]:
    """Every transaction burns 1000 gas per event, at 7 wei."""
    return {
        s.hash_of(100 + number): MinedTransaction(
            tx_hash=s.hash_of(100 + number), sender=sender, gas_used=1000 * len(events), gas_price=Wei(7)
        )
        for number, (sender, events) in enumerate(s.TRANSACTIONS[:count])
    }


def invoice(count: int = len(s.TRANSACTIONS)) -> Invoice:
    return build_invoice(s.DEAL_ID, s.DEAL, s.logs(count), mined(count))


def test_the_total_is_spent_refunded_or_pending() -> None:
    done = invoice()
    assert (done.total, done.spent, done.refunded, done.pending) == (12_000_000_014, 6_000_000_007, 6_000_000_007, 0)
    half = invoice(len(s.TRANSACTIONS) - 1)
    assert (half.spent, half.refunded, half.pending) == (6_000_000_007, 0, 6_000_000_007)
    fresh = invoice(1)
    assert (fresh.spent, fresh.refunded, fresh.pending) == (0, 0, 12_000_000_014)


def test_payments_and_fines_by_role_and_owner() -> None:
    done = invoice()
    assert {(line.role, line.owner): line.amount for line in done.payments} == {
        (Role.APP, s.APP_OWNER): 3_000_000_000,
        (Role.DATASET, s.DATASET_OWNER): 2_000_000_000,
        (Role.SCHEDULER, s.SCHEDULER): 67_500_002,
        (Role.WORKER, s.WORKER_A): 641_250_004,
        (Role.WORKER, s.WORKER_B): 213_750_001,
        (Role.WORKER, s.WORKER_D): 427_500_002,
        (Role.KITTY, KITTY_ADDRESS): 300_000_002,
    }
    assert {(line.role, line.owner): line.amount for line in done.fines} == {
        (Role.SCHEDULER, s.SCHEDULER): 300_000_002,
        (Role.WORKER, s.WORKER_C): 350_000_002,
    }


def test_every_task_names_its_workers() -> None:
    first, second = invoice().tasks
    assert (first.index, first.outcome, second.index, second.outcome) == (0, Outcome.COMPLETED, 1, Outcome.FAILED)
    assert next((vote.worker, vote.verdict) for vote in first.votes) == (s.WORKER_C, Verdict.FAULTY)
    assert [(vote.worker, vote.verdict) for vote in second.votes] == [(s.WORKER_C, Verdict.RETURNED)]


def test_gas_by_role_and_kind() -> None:
    lines = {(line.role, line.kind): line for line in invoice().gas}
    assert {key: line.transactions for key, line in lines.items()} == {
        ("requester", "claim"): 1,
        ("requester", "match"): 1,
        ("scheduler", "initialize"): 1,
        ("scheduler", "finalize"): 1,
        ("worker", "contribute"): 5,
        ("worker", "reveal"): 3,
    }
    assert lines["worker", "reveal"] == GasLine(role="worker", kind="reveal", transactions=3, gas=3000, cost=Wei(21_000))


def test_a_transaction_for_two_deals_counts_by_half() -> None:
    other = Logged(TaskInitialized(ELSEWHERE, s.POOL), s.HUB, 101, 2, s.hash_of(101))
    another = Logged(TaskInitialized(TaskId(s.hash_of(0xE15F)), s.POOL), s.HUB, 101, 3, s.hash_of(101))
    done = build_invoice(s.DEAL_ID, s.DEAL, [*s.logs(), other, another], mined())
    assert next(line.gas for line in done.gas if line.kind == "initialize") == 1000


def test_a_deal_settled_by_strangers_is_not_billed_to_its_requester() -> None:
    stranger = s.address(0x77)
    found = mined()
    last = s.hash_of(100 + len(s.TRANSACTIONS) - 1)
    found[last] = msgspec.structs.replace(found[last], sender=stranger)
    done = build_invoice(s.DEAL_ID, s.DEAL, s.logs(), found)
    assert ("other", "claim") in {(line.role, line.kind) for line in done.gas}


def test_an_invoice_that_does_not_add_up_is_refused() -> None:
    done = invoice()
    with pytest.raises(TrustError, match="spent"):
        msgspec.structs.replace(done, refunded=NRLC(0)).check()
    with pytest.raises(TrustError, match="were taken"):
        msgspec.structs.replace(done, fines=()).check()


def test_events_of_other_deals_change_nothing() -> None:
    foreign = [Logged(TaskInitialized(ELSEWHERE, s.POOL), s.HUB, 90, 0, s.hash_of(90))]
    assert build_invoice(s.DEAL_ID, s.DEAL, [*foreign, *s.logs()], mined()) == invoice()
    assert invoice().deal_id == DealId(s.hash_of(0xDEA1))


def test_everybody_whose_balance_moved_is_a_party() -> None:
    assert invoice().parties() == {
        s.REQUESTER, s.SCHEDULER, s.APP_OWNER, s.DATASET_OWNER, KITTY_ADDRESS, s.WORKER_A, s.WORKER_B, s.WORKER_C, s.WORKER_D,
    }  # fmt: skip


@pytest.mark.anyio
@pytest.mark.parametrize(("tag", "kind"), [("tee,tdx", "hardware"), ("tee,tdx,simulated", "simulated"), ("", "unknown")])
async def test_what_enclaves_the_workerpool_promised(tag: str, kind: str) -> None:
    """The deal says that one was asked for; which kind, only the order says that the market has."""

    class Book:
        async def deal(self, _deal: DealId) -> SimpleNamespace:
            if not tag:
                raise UnavailableError("the market does not answer")
            return SimpleNamespace(workerpool_order=s.hash_of(1))

        async def find(self, _order: Hash32) -> SimpleNamespace:
            return SimpleNamespace(order=SimpleNamespace(tag=as_tag(tag)))

    asked = msgspec.structs.replace(invoice(), enclave=UNKNOWN_ENCLAVE)
    assert (await with_enclave(cast(OrderBook, Book()), asked)).enclave == kind
    assert await with_enclave(cast(OrderBook, Book()), invoice()) == invoice()
