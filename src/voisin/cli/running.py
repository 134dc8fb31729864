"""One run from the price to the invoice: what `voisin run` does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.to_thread
import msgspec
import typer
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from voisin.cli.animation import make_animation, require_pillow
from voisin.cli.bags import bag_words
from voisin.cli.invoices import show_conservation, show_invoice
from voisin.cli.session import Session
from voisin.cli.show import SIMULATED_WORDS, counted, pairs, short
from voisin.client import AppFailedError, AsyncCloud, AsyncJob, BalanceSheet, Ending, Invoice, Progress, Quote, RunTerms, TaskSpec
from voisin.errors import GuestError, InputError, StateError, TrustError
from voisin.protocol.ids import Address, TaskId
from voisin.units import NRLC, format_amount

_SHORT_WINDOW_S = 60
"""Up to which window a run waits for the settlement [s]."""
_POSTED_WITHIN_S = 30.0
_SETTLED_AFTER_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """
    What `voisin run` was asked for.

    Attributes:
        app: The app as given.
        tasks: The tasks.
        terms: The terms.
        out: Where results go; None for nowhere.
        animation: The animation to make; None for none.
        is_agreed: Whether the price is agreed to unseen.
    """

    app: str
    tasks: tuple[TaskSpec, ...]
    terms: RunTerms
    out: Path | None
    animation: Path | None
    is_agreed: bool


class TaskReport(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one task."""

    index: int
    task_id: TaskId | None = None
    cid: str = ""
    workers: tuple[Address, ...] = ()
    files: tuple[str, ...] = ()
    stdout: str = ""
    error: str = ""


class RunReport(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a run."""

    app: Address
    results: tuple[TaskReport, ...]
    invoices: tuple[Invoice, ...]
    balance_before: int | None
    balance_after: int | None
    animation: str = ""


def run_app(session: Session, request: RunRequest) -> None:
    """
    Run an app and answer with results and invoice.

    Raises:
        GuestError: The app failed in some tasks.
        StateError: Some tasks were not done in time, or the price was not agreed to.
        InputError: An animation was asked for, and there are no frames.
        TrustError: All balances together are not what they were before.
    """
    if request.animation is not None:
        require_pillow()
    quote = session.with_wallet(lambda cloud: cloud.quote(request.app, request.tasks, **request.terms))
    quote.require_funds()
    session.err.print(pairs(price_rows(quote)))
    if not request.is_agreed:
        agree(session, quote.total)
    report, failed = session.with_wallet(lambda cloud: _Run(session, cloud, request).carry_out(quote))
    session.answer(report, lambda _: None)
    if report.balance_before != report.balance_after:
        raise TrustError("all balances together are not what they were before", hint="look at the payments of the deals above")
    if failed:
        raise _summary(failed, len(report.results))
    if request.animation is not None and not report.animation:
        raise InputError("there are no PNG files among the results to make an animation of", hint="look at the results")


class _Run:
    """A run under way."""

    def __init__(self, session: Session, cloud: AsyncCloud, request: RunRequest) -> None:
        self._session = session
        self._cloud = cloud
        self._request = request
        self._reports: dict[int, TaskReport] = {}
        self._failed: list[Ending] = []
        self._frames: dict[int, list[bytes]] = {}

    async def carry_out(self, quote: Quote) -> tuple[RunReport, list[Ending]]:
        """Buy, wait, account."""
        before = await self._balances()
        job = await self._cloud.start(quote)
        await self._follow(job)
        await self._settle(job)
        invoices = await job.invoices()
        after = await self._balances()
        animation = self._animate()
        if not self._session.as_json:
            self._show(invoices, before, after)
        report = RunReport(
            app=quote.app.address,
            results=tuple(self._reports[index] for index in sorted(self._reports)),
            invoices=tuple(invoices),
            balance_before=before.total if before is not None else None,
            balance_after=after.total if after is not None else None,
            animation=animation,
        )
        return report, self._failed

    async def _balances(self) -> BalanceSheet | None:
        """Read all balances of the market, where its whole history is at hand."""
        return await self._cloud.balances() if self._cloud.links.network.first_block else None

    async def _follow(self, job: AsyncJob) -> None:
        """Wait for all tasks with a bar that moves, and keep each result as it comes."""
        with _bar(self._session, len(job)) as tell:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(job.report, tell)
                await job.collect(self._keep)
                tasks.cancel_scope.cancel()
        if self._request.out is None:
            self._print_outputs()

    async def _settle(self, job: AsyncJob) -> None:
        """Look at the leaves of the job's bags, and where it does not take long wait until they are settled; say what is left."""
        if not job.bags:
            return
        out = self._session.err
        with out.status("the results are here; looking at what the pool settles"):
            with anyio.move_on_after(_POSTED_WITHIN_S):
                await job.checked()
            with anyio.move_on_after(max(run.story.window_s for run in job.bags) + _SETTLED_AFTER_S):
                if all(run.story.window_s <= _SHORT_WINDOW_S for run in job.bags):
                    await job.settled()
        for run in job.bags:
            for line in bag_words(run):
                out.print(line, soft_wrap=True)

    async def _keep(self, ending: Ending) -> None:
        result = ending.result if ending.result is not None else getattr(ending.error, "result", None)
        if ending.error is not None:
            self._failed.append(ending)
        files: tuple[str, ...] = ()
        if result is not None and self._request.out is not None:
            folder = self._request.out if len(self._request.tasks) == 1 else self._request.out / f"{ending.index:04d}"
            files = tuple(str(path) for path in await anyio.to_thread.run_sync(result.save, folder))
        if result is not None and self._request.animation is not None:
            self._frames[ending.index] = [data for name, data in sorted(result.files.items()) if name.lower().endswith(".png")]
        self._reports[ending.index] = TaskReport(
            index=ending.index,
            task_id=result.task_id if result is not None else None,
            cid=result.cid if result is not None else "",
            workers=result.workers if result is not None else (),
            files=files,
            stdout=result.stdout if result is not None else "",
            error=ending.error.message if ending.error is not None else "",
        )

    def _print_outputs(self) -> None:
        """Show what the app printed, when there is one task and nowhere else to look."""
        if self._session.as_json or len(self._request.tasks) > 1:
            return
        for report in self._reports.values():
            if report.stdout:
                self._session.out.print(report.stdout.rstrip("\n"), markup=False)
            if report.task_id is not None:
                hint = f"its files: voisin task result {report.task_id} --out FOLDER"
                self._session.err.print(hint, style="dim", soft_wrap=True)

    def _animate(self) -> str:
        if self._request.animation is None:
            return ""
        frames = [frame for _, found in sorted(self._frames.items()) for frame in found]
        if not frames:
            return ""
        make_animation(frames, self._request.animation)
        return str(self._request.animation)

    def _show(self, invoices: Sequence[Invoice], before: BalanceSheet | None, after: BalanceSheet | None) -> None:
        out = self._session.out
        for invoice in invoices:
            out.print()
            show_invoice(out, invoice)
        if before is not None and after is not None:
            out.print()
            show_conservation(out, before, after)
        for path, what in ((self._request.out, "results"), (self._request.animation, "animation")):
            if path is not None and path.exists():
                out.print(f"[dim]{what}[/dim] {path}")


def price_rows(quote: Quote) -> Iterator[tuple[str, str]]:
    """Say what a run costs, in words."""
    state = "" if quote.app.is_registered else ", not registered yet"
    owner = "yours" if quote.is_own else f"of {short(quote.app.info.owner)}"
    yield "app", f"{quote.app.info.name} {short(quote.app.address)} ({owner}{state})"
    yield "tasks", f"{len(quote.tasks)}, in {counted(len(quote.lots), 'deal')}, category {quote.wish.category}"
    sure = "" if quote.terms.trust is not None else f": at least {counted(quote.terms.replicas, 'worker')} agree on each"
    yield "trust", f"{quote.wish.trust}{sure}"
    if len(quote.tasks) > 1:
        together = f"as one bag, that may be challenged for {quote.window_s} s"
        yield "settled", together if quote.window_s else "task by task"
    if quote.is_simulated:
        yield "enclave", SIMULATED_WORDS
    for lot in quote.lots:
        yield "offer", f"{counted(lot.volume, 'task')} at {format_amount(lot.price)} by workerpool {short(lot.workerpool.workerpool)}"
    yield "price", f"{format_amount(quote.total)} in all"
    moved = max(quote.total - quote.deposited, 0)
    if moved:
        yield "deposit", f"{format_amount(NRLC(moved))} of it comes out of the wallet"


def agree(session: Session, total: NRLC) -> None:
    """
    Ask whether to spend [nRLC]; where nobody can be asked, it must have been agreed beforehand.

    Raises:
        StateError: It was not agreed to.
    """
    if session.as_json or not session.is_interactive:
        raise typer.BadParameter(f"this would spend {format_amount(total)}; agree to it with --yes", param_hint="--yes")
    if not typer.confirm(f"Spend {format_amount(total)}?", err=True):
        raise StateError("nothing was spent", hint="agree to the price to run it")


@contextmanager
def _bar(session: Session, total: int) -> Iterator[Callable[[Progress], None]]:
    """Show a bar on standard error; answers what moves it."""
    columns = (TextColumn("[progress.description]{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bar(*columns, console=session.err, transient=session.as_json) as bar:
        line = bar.add_task("waiting for workers", total=total)

        def tell(progress: Progress) -> None:
            words = f"{progress.answered} computed, {progress.agreed} agreed"
            if progress.failed:
                words += f", {progress.failed} refunded"
            bar.update(line, completed=progress.completed + progress.failed, description=words)

        yield tell


def _summary(failed: Sequence[Ending], total: int) -> GuestError | StateError:
    first = failed[0].error
    assert first is not None
    kind = GuestError if isinstance(first, AppFailedError) else StateError
    if total == 1:
        return kind(first.message, hint=first.hint)
    return kind(f"{len(failed)} of {total} tasks have no result; the first: {first.message}", hint=first.hint)
