"""The invoice on a screen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from rich.console import Console

from voisin.cli.show import SIMULATED_WORDS, coins, counted, moment, money, pairs, short, table
from voisin.client.invoice import Invoice, TaskLine
from voisin.client.ledger import BalanceSheet
from voisin.client.settlement import Outcome, Verdict
from voisin.units import format_amount

MOST_TASKS = 40

ENCLAVES = {"simulated": SIMULATED_WORDS, "hardware": "real, by the workerpool's word; `voisin task receipt` has what it showed"}


def show_invoice(out: Console, invoice: Invoice) -> None:
    """Print a deal's invoice: the deal, its tasks with their workers, payments, fines, gas."""
    out.print(pairs(_deal_rows(invoice)))
    out.print()
    out.print(table("Tasks", ("task", "id", "outcome", "workers"), _task_rows(invoice.tasks), right=("task",)))
    if len(invoice.tasks) > MOST_TASKS:
        out.print(f"[dim]… and {len(invoice.tasks) - len(list(_listed(invoice.tasks)))} more[/dim]")
    out.print()
    payments = [(line.role.value, short(line.owner), money(line.amount)) for line in invoice.payments]
    payments += [(f"{line.role.value}, fined", short(line.owner), money(-line.amount)) for line in invoice.fines]
    out.print(table("Payments", ("role", "who", "RLC"), payments, right=("RLC",)))
    out.print()
    gas = [(line.role, line.kind, str(line.transactions), f"{line.gas:,}", coins(line.cost)) for line in invoice.gas]
    gas.append(
        (
            "all",
            "",
            str(sum(g.transactions for g in invoice.gas)),
            f"{sum(g.gas for g in invoice.gas):,}",
            coins(sum(g.cost for g in invoice.gas)),
        )
    )
    columns = ("role", "transaction", "count", "gas", "cost in coin")
    out.print(table("Gas", columns, gas, right=columns[2:]))


def show_conservation(out: Console, before: BalanceSheet, after: BalanceSheet) -> None:
    """Print whether all balances together are what they were."""
    holders = counted(len(after.holdings), "holder")
    if before.total == after.total:
        out.print(f"All balances of {holders}: {money(before.total)} RLC before, {money(after.total)} RLC after: equal, to the nRLC")
    else:
        out.print(f"All balances of {holders}: {money(before.total)} RLC before, {money(after.total)} RLC after: NOT EQUAL")


def _deal_rows(invoice: Invoice) -> Iterator[tuple[str, str]]:
    yield "Deal", invoice.deal_id
    yield "app", invoice.app
    yield "workerpool", invoice.workerpool
    yield "payer", invoice.payer
    if invoice.enclave != "none":
        yield "enclave", ENCLAVES.get(invoice.enclave, "asked for; of which kind, the market does not say")
    if invoice.bag is not None:
        until = f", from {moment(invoice.bag.deadline)}" if invoice.bag.stage == "posted" else ""
        yield "settled", f"as one bag, {invoice.bag.done} with a result: {invoice.bag.stage}{until}"
    outcomes = Counter(task.outcome for task in invoice.tasks)
    done = ", ".join(f"{outcomes[outcome]} {outcome.value}" for outcome in Outcome if outcomes[outcome])
    yield "tasks", f"{invoice.volume} at {format_amount(invoice.price)}: {done}"
    sums = f"{format_amount(invoice.spent)} spent, {format_amount(invoice.refunded)} refunded"
    if invoice.pending:
        sums += f", {format_amount(invoice.pending)} pending"
    yield "money", f"{format_amount(invoice.total)} locked: {sums}"


def _listed(tasks: Sequence[TaskLine]) -> Iterator[TaskLine]:
    """Choose the tasks to show: all of a short list; of a long one the first and what is out of the ordinary."""
    if len(tasks) <= MOST_TASKS:
        yield from tasks
        return
    shown = 0
    for task in tasks:
        is_plain = task.outcome is Outcome.COMPLETED and all(vote.verdict is Verdict.PROVED for vote in task.votes)
        if shown < MOST_TASKS // 2 or not is_plain:
            shown += 1
            yield task


def _task_rows(tasks: Sequence[TaskLine]) -> Iterator[tuple[str, str, str, str]]:
    for task in _listed(tasks):
        votes = (short(vote.worker) + ("" if vote.verdict is Verdict.PROVED else f" {vote.verdict.value}") for vote in task.votes)
        yield str(task.index), short(task.task_id), task.outcome.value, ", ".join(votes)
