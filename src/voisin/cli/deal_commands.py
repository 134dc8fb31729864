"""Deals and tasks: `deal show`, `task show`, `task logs`, `task callback`, `task result`, `task prove`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voisin.cli.reading import hash32
from voisin.cli.receipt_commands import check_receipt, receipt
from voisin.cli.session import Session, command

if TYPE_CHECKING:
    from rich.console import Console

    from voisin.cli.tasks import TaskDocument
    from voisin.client import AsyncCloud, Callback, Result
    from voisin.client.invoice import Invoice
    from voisin.protocol.api import PrintedText, TaskLogs

deals = typer.Typer(name="deal", help="Deals: bought tasks, and their invoices.")
tasks = typer.Typer(name="task", help="Tasks: where they stand and why, and their results.")
DealArgument = Annotated[str, typer.Argument(parser=hash32, metavar="DEAL", help="The deal's id.")]
TaskArgument = Annotated[str, typer.Argument(parser=hash32, metavar="TASK", help="The task's id.")]
DealOption = Annotated[
    str | None,
    typer.Option("--deal", parser=hash32, metavar="DEAL", help="The task's deal, where neither chain nor pool know it by the task."),
]


def show_deal(session: Session, deal: DealArgument) -> None:
    """Show a deal's invoice: its tasks with their workers, payments, fines, refunds and gas."""

    async def work(cloud: AsyncCloud) -> Invoice:
        return await cloud.invoice(deal)

    invoice = session.with_cloud(work)

    def show(out: Console) -> None:
        from voisin.cli.invoices import show_invoice

        show_invoice(out, invoice)

    session.answer(invoice, show)


def show_task(session: Session, task: TaskArgument, deal: DealOption = None) -> None:
    """Show where a task stands, and why, as chain and pool know it."""

    async def work(cloud: AsyncCloud) -> TaskDocument:
        from voisin.cli.tasks import describe_task

        return await describe_task(cloud, task, deal or "")

    found = session.with_cloud(work)

    def show(out: Console) -> None:
        from voisin.cli.tasks import show_task as shown

        shown(out, found)

    session.answer(found, show)


def task_result(
    session: Session,
    task: TaskArgument,
    out: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Where the files go; without it, the app's output is shown.")] = None,
    deal: DealOption = None,
) -> None:
    """Fetch a task's result, checked against the digest on the chain, or against that of its bag."""

    async def work(cloud: AsyncCloud) -> Result:
        from voisin.cli.tasks import fetch

        return await fetch(cloud, task, deal or "")

    result = session.with_cloud(work)
    saved = [str(path) for path in result.save(out)] if out is not None else []
    document = {
        "task_id": result.task_id,
        "deal_id": result.deal_id,
        "cid": result.cid,
        "digest": result.digest,
        "workers": result.workers,
        "files": saved or list(result.files),
        "stdout": result.stdout,
    }
    session.answer(document, lambda console: _show_result(console, result, saved))


def task_callback(
    session: Session,
    task: TaskArgument,
    retry: Annotated[bool, typer.Option("--retry", help="Send the result again, if the contract did not take it.")] = False,
    gas: Annotated[
        int | None, typer.Option(metavar="GAS", min=21_000, help="Gas limit of the retry; the node's estimate unless given.")
    ] = None,
) -> None:
    """Show whether a task's result went to the contract that its deal names; send it again if it did not."""

    async def work(cloud: AsyncCloud) -> Callback:
        return await (cloud.retry_callback(task, gas) if retry else cloud.callback(task))

    found = session.with_wallet(work) if retry else session.with_cloud(work)

    def show(out: Console) -> None:
        from voisin.cli.tasks import show_callback

        show_callback(out, found)

    session.answer(found, show)


def task_prove(session: Session, task: TaskArgument, deal: DealOption = None) -> None:
    """Put the result of a task on the chain whose bag is settled; a contract that the deal names gets it by that."""

    async def work(cloud: AsyncCloud) -> Callback:
        return await cloud.bags.prove(task, deal or "")

    found = session.with_wallet(work)

    def show(out: Console) -> None:
        from voisin.cli.tasks import show_callback

        out.print(f"proven: the result of task {task} is on the chain", soft_wrap=True)
        show_callback(out, found)

    session.answer(found, show)


def task_logs(
    session: Session,
    task: TaskArgument,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Show what is printed from now on too, until the task is over.")] = False,
) -> None:
    """Show what a task's app printed, as its requester; standard error goes to standard error."""

    async def work(cloud: AsyncCloud) -> TaskLogs:
        return await cloud.logs(task, _print_piece if follow and not session.as_json else None)

    found = session.with_wallet(work)
    if follow and not session.as_json:
        return
    session.answer(found, lambda out: _show_logs(out, found))


def _print_piece(piece: PrintedText) -> None:
    import sys

    target = sys.stdout if piece.stream == "stdout" else sys.stderr
    target.write(piece.text)
    target.flush()


def _show_logs(out: Console, found: TaskLogs) -> None:
    import sys

    if not found.logs:
        out.print("[dim]nothing was printed, or it is kept no more[/dim]")
    for log in found.logs:
        if len(found.logs) > 1:
            out.print(f"[dim]worker {log.worker}[/dim]")
        out.print(log.stdout, markup=False, highlight=False, end="", soft_wrap=True)
        sys.stderr.write(log.stderr)


def _show_result(out: Console, result: Result, saved: list[str]) -> None:
    from voisin.cli.show import short

    for path in saved:
        out.print(path, markup=False)
    if not saved:
        names = [name for name in result.files if name not in ("stdout.txt", "stderr.txt")]
        if result.stdout:
            out.print(result.stdout.rstrip("\n"), markup=False)
        if names:
            out.print(f"[dim]files: {', '.join(names)}; keep them with --out FOLDER[/dim]")
    out.print(f"[dim]verified: digest {short(result.digest)}, agreed by {', '.join(short(worker) for worker in result.workers)}[/dim]")


command(deals, "show", example="voisin deal show 0x…")(show_deal)
command(tasks, "show", example="voisin task show 0x…")(show_task)
command(tasks, "callback", example="voisin task callback 0x… --retry")(task_callback)
command(tasks, "logs", example="voisin task logs 0x… --follow")(task_logs)
command(tasks, "result", example="voisin task result 0x… --out result")(task_result)
command(tasks, "receipt", example="voisin task receipt 0x… --save receipt.json")(receipt)
command(tasks, "check-receipt", example="voisin task check-receipt receipt.json")(check_receipt)
command(tasks, "prove", example="voisin task prove 0x…")(task_prove)
