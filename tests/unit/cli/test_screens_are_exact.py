"""What a screen shows: exact amounts, short names that can be told apart, long invoices cut without hiding what went wrong."""

from __future__ import annotations

import io

import msgspec
import pytest
from rich.console import Console

from tests.unit.client import stories as s
from tests.unit.client.test_invoice_adds_up import invoice
from voisin.cli.invoices import show_conservation, show_invoice
from voisin.cli.running import price_rows
from voisin.cli.show import coins, counted, moment, money, short
from voisin.client.apps import TargetApp
from voisin.client.invoice import Invoice, TaskLine, VoteLine
from voisin.client.ledger import BalanceSheet, Holding
from voisin.client.offers import Lot, Wish
from voisin.client.quote import Quote
from voisin.client.settlement import Outcome, Verdict
from voisin.client.terms import TaskSpec, Terms
from voisin.protocol.ids import ZERO_HASH, TaskId, as_address
from voisin.protocol.orders import AppOrder, WorkerpoolOrder
from voisin.protocol.records import AppInfo
from voisin.protocol.tags import as_tag
from voisin.units import NRLC


def screen(found: Invoice) -> str:
    out = Console(file=io.StringIO(), width=150, highlight=False)
    show_invoice(out, found)
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "0.000000000"),
        (1, "0.000000001"),
        (1_500_000_000, "1.500000000"),
        (87_000_000 * 10**9, "87,000,000.000000000"),
        (-5, "-0.000000005"),
    ],
)
def test_money_has_all_its_decimals(amount: int, text: str) -> None:
    assert money(amount) == text


@pytest.mark.parametrize(("wei", "text"), [(0, "0"), (1, "0.000000000000000001"), (10**18, "1"), (1_230_000_000_000_000_000, "1.23")])
def test_coins_are_exact(wei: int, text: str) -> None:
    assert coins(wei) == text


def test_names_times_and_counts() -> None:
    assert short("0xeB196D71Bf359bfDB7Ee54429236A09DBF3966B3") == "0xeB196D…66B3"
    assert short("0x12") == "0x12"
    assert moment(1_700_000_000) == "2023-11-14 22:13:20 UTC"
    assert (counted(1, "task"), counted(2, "task")) == ("1 task", "2 tasks")


def test_an_invoice_shows_every_party_and_sum() -> None:
    text = screen(invoice())
    for words in (
        s.DEAL_ID,
        "2 at 6.000000007 RLC: 1 completed, 1 failed",
        "12.000000014 RLC locked: 6.000000007 RLC spent, 6.000000007 RLC refunded",
        "worker, fined",
        "-0.350000002",
        "scheduler, fined",
        "0.641250004",
        f"{short(s.WORKER_C)} faulty",
        f"{short(s.WORKER_C)} returned",
    ):
        assert words in text


def test_a_long_invoice_is_cut_but_never_where_something_went_wrong() -> None:
    fine = (VoteLine(worker=s.WORKER_A, verdict=Verdict.PROVED, reward=NRLC(1), fine=NRLC(0)),)
    wrong = (VoteLine(worker=s.WORKER_C, verdict=Verdict.FAULTY, reward=NRLC(0), fine=NRLC(1)),)
    tasks = tuple(
        TaskLine(task_id=TaskId(s.hash_of(n)), index=n, outcome=Outcome.COMPLETED, votes=wrong if n == 77 else fine) for n in range(100)
    )
    text = screen(msgspec.structs.replace(invoice(), tasks=tasks))
    rows = {int(line.split()[0]) for line in text.splitlines() if "completed  " in line and line.split()[0].isdecimal()}
    assert rows == {*range(20), 77}
    assert "… and 79 more" in text


def sheet(*amounts: int) -> BalanceSheet:
    held = (Holding(owner=s.address(n), wallet=NRLC(amount), stake=NRLC(0), locked=NRLC(0)) for n, amount in enumerate(amounts))
    return BalanceSheet(block=1, holdings=tuple(held))


def test_conservation_is_said_either_way() -> None:
    out = Console(file=io.StringIO(), width=150, highlight=False)
    show_conservation(out, sheet(5, 5), sheet(4, 6))
    show_conservation(out, sheet(5, 5), sheet(4, 5))
    assert isinstance(out.file, io.StringIO)
    first, second = out.file.getvalue().splitlines()
    assert first == "All balances of 2 holders: 0.000000010 RLC before, 0.000000010 RLC after: equal, to the nRLC"
    assert second.endswith("0.000000009 RLC after: NOT EQUAL")
    assert sheet(5, 5).changes(sheet(4, 6)) == {s.address(0): -1, s.address(1): 1}


@pytest.mark.parametrize(
    ("asked", "offered", "words"), [("tee,tdx", "tee,tdx,simulated", "hides nothing"), ("tee,tdx", "tee,tdx", ""), ("", "", "")]
)
def test_a_quote_says_that_an_enclave_is_simulated(asked: str, offered: str, words: str) -> None:
    app, pool, me = (as_address(f"0x{number:040x}") for number in (1, 2, 3))
    lot = Lot(
        AppOrder(app=app, appprice=NRLC(0), volume=1, salt=ZERO_HASH),
        WorkerpoolOrder(workerpool=pool, workerpoolprice=NRLC(5), volume=1, tag=as_tag(offered), category=0, trust=1, salt=ZERO_HASH),
        volume=1,
    )
    quote = Quote(
        requester=me,
        app=TargetApp(app, AppInfo(owner=me, name="a", type="WASM", multiaddr=b"", checksum=ZERO_HASH, mrenclave=b""), True, None),
        is_own=True,
        tasks=(TaskSpec(),),
        terms=Terms(tag=as_tag(asked)),
        wish=Wish(app=app, requester=me, volume=1, tag=as_tag(asked)),
        lots=(lot,),
        deposited=NRLC(5),
        in_wallet=NRLC(0),
    )
    rows = dict(price_rows(quote))
    assert words in rows.get("enclave", "")
    assert ("enclave" in rows) is bool(words)
