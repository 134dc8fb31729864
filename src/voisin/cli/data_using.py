"""Data that is rented: `data show | process | subscribe`, and what its owner sees of it: `data uses | alerts | waiting | release`."""

from __future__ import annotations

import csv
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from voisin.cli.reading import address, amount, hash32
from voisin.cli.session import Session, command
from voisin.units import NRLC

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from voisin.client import AsyncCloud, RunTerms
    from voisin.client.quote import Quote
    from voisin.client.results import Result
    from voisin.errors import VoisinError
    from voisin.protocol.ids import Address
    from voisin.protocol.vault_terms import DataUse

T = TypeVar("T")
DatasetArgument = Annotated[str, typer.Argument(parser=address, metavar="DATASET", help="The dataset's address.")]
_PRECISE = "%Y-%m-%dT%H:%M:%SZ"


def show(session: Session, dataset: DatasetArgument) -> None:
    """Show what everybody may know of a dataset: what it holds, what it costs, and on which conditions."""
    from voisin.cli.data_shown import data_document, show_data

    found = session.with_cloud(lambda cloud: cloud.data.show(dataset))
    session.answer(data_document(found), lambda out: show_data(out, found))


def process(
    session: Session,
    datasets: Annotated[str, typer.Argument(metavar="DATASET,...", help="The dataset, or several with commas between: a run for each.")],
    app: Annotated[str, typer.Argument(metavar="APP", help="A .wasm file, a folder with an app.toml, or the address of an app.")],
    args: Annotated[
        list[str] | None, typer.Argument(metavar="ARGS", help="The app's arguments; after -- if they start with a dash.")
    ] = None,
    purpose: Annotated[str, typer.Option(metavar="TEXT", help="What it is used for; you sign it.")] = "",
    max_price: Annotated[NRLC | None, typer.Option(parser=amount, metavar="AMOUNT", help="The most that a run may cost in all.")] = None,
    sealed: Annotated[bool, typer.Option("--sealed", help="Seal the result for the wallet's result key.")] = False,
    workerpool: Annotated[str | None, typer.Option(parser=address, metavar="ADDRESS", help="The only workerpool that may run it.")] = None,
    out: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Where results go; several datasets get a folder each.")] = None,
    timeout: Annotated[float | None, typer.Option("--timeout", help="How long to wait for a result [s].", min=1)] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Spend without asking.")] = False,
    bulk: Annotated[bool, typer.Option("--bulk", help="All in one deal, many at once; their orders have to allow it.")] = False,
    per_task: Annotated[
        int | None, typer.Option(help="With --bulk: how many datasets a task opens together; 100 unless given.", min=1)
    ] = None,
) -> None:
    """Run an app on protected data, in an enclave: shows the price, spends it if you agree, and fetches the result."""
    if per_task is not None and not bulk:
        raise typer.BadParameter("--per-task goes with --bulk")
    from voisin.client.data.lists import cut_lists
    from voisin.protocol.sessions import MAX_BULK

    names = [_dataset(each) for each in datasets.split(",") if each.strip()]
    terms: RunTerms = {"sealed": sealed, "purpose": purpose}
    if max_price is not None:
        terms["max_price"] = max_price
    if workerpool is not None:
        terms["workerpool"] = workerpool
    if timeout is not None:
        terms["timeout_s"] = timeout

    if bulk:
        _process_bulk(session, cut_lists(names, per_task or MAX_BULK), (app, args or []), terms, out=out, is_agreed=yes)
        return
    if not yes:
        _agree(session, names, app, args or [], terms)
    _answer_results(session, session.with_wallet(lambda cloud: cloud.data.process_all(names, app, args or [], **terms)), out)


def subscribe(
    session: Session,
    dataset: DatasetArgument,
    periods: Annotated[int, typer.Option(help="How many periods.", min=1)] = 1,
) -> None:
    """Pay for some time in which a dataset may be used, at its gate."""
    found = session.with_wallet(lambda cloud: cloud.data.subscribe(dataset, periods))
    from voisin.cli.show import moment

    until = found.paid[1] if found.paid is not None else 0
    session.answer({"account": found.account, "paid_until": until}, lambda out: out.print(f"paid until {moment(until)}"))


def uses(
    session: Session,
    dataset: Annotated[
        str | None, typer.Argument(parser=address, metavar="[DATASET]", help="One dataset; all of the wallet unless given.")
    ] = None,
    since: Annotated[str | None, typer.Option(metavar="TIME", help="From when on: 2026-12-31 (UTC), or 30d ago.")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Write comma-separated values, for spreadsheets.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Go on, and tell of each new use until Ctrl-C.")] = False,
    count: Annotated[int | None, typer.Option(help="With --watch: stop after so many.", min=1)] = None,
) -> None:
    """List every use of the wallet's data: when, by which app, for whom, at what price, on what evidence."""
    from voisin.cli.data_shown import show_uses

    start = _start(since)
    if watch:
        _watch(session, dataset, count)
        return
    found = session.with_wallet(lambda cloud: cloud.data.uses(dataset, since=start))
    if as_csv:
        _write_csv(found)
        return
    session.answer(found, lambda out: show_uses(out, found))


def waiting(
    session: Session,
    dataset: Annotated[
        str | None, typer.Argument(parser=address, metavar="[DATASET]", help="One dataset; all of the wallet unless given.")
    ] = None,
    since: Annotated[str | None, typer.Option(metavar="TIME", help="From when on: 2026-12-31 (UTC), or 30d ago.")] = None,
) -> None:
    """List results that wait for your release: look at one with `voisin task result`, then `voisin data release`."""
    from voisin.cli.data_shown import show_waiting

    start = _start(since)
    found = session.with_wallet(lambda cloud: cloud.data.waiting(dataset, since=start))
    session.answer(found, lambda out: show_waiting(out, found))


def alerts(
    session: Session,
    dataset: Annotated[
        str | None, typer.Argument(parser=address, metavar="[DATASET]", help="One dataset; all of the wallet unless given.")
    ] = None,
    rules: Annotated[
        Path | None, typer.Option("--rules", metavar="FILE", help="What you are told of, TOML or JSON; everything unless given.")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Look once, tell what is new since the last look, and end.")] = False,
    count: Annotated[int | None, typer.Option(help="Stop after so many.", min=1)] = None,
) -> None:
    """Tell what happens to your data as it happens: uses, renters, refusals, what is spent or ends; --json writes a line for each."""
    from voisin.cli.data_shown import alert_line

    def complain(error: VoisinError) -> None:
        """Say that somebody does not answer."""
        session.err.print(f"{error} Asking again.", style="dim", soft_wrap=True)

    async def work(cloud: AsyncCloud) -> None:
        await _tell_each(session, cloud.data.watch_alerts(rules, dataset, once=once, complain=complain), alert_line, count)

    session.with_wallet(work)


def release(session: Session, task: Annotated[str, typer.Argument(parser=hash32, metavar="TASK", help="The task.")]) -> None:
    """Release a result that waits for it, as the owner of the data."""
    found = session.with_wallet(lambda cloud: cloud.data.release(task))
    session.answer(found, lambda out: out.print(f"the result of {found.task_id} may be read now", soft_wrap=True))


def _start(since: str | None) -> int:
    """Read from when on uses are wanted [Unix s]: a date, or a length of time before now."""
    from voisin.cli.reading import told
    from voisin.client.data.conditions import read_span, read_time
    from voisin.errors import InputError
    from voisin.units import UnixSeconds

    def read(text: str) -> int:
        """Read either."""
        try:
            return max(int(time.time()) - read_span(text), 0)
        except InputError:
            return read_time(text, UnixSeconds(0))

    return told(read)(since) if since else 0


def _agree(session: Session, datasets: list[str], app: str, args: list[str], terms: RunTerms) -> None:
    """Show what the runs would cost, and ask."""
    from voisin.cli.running import agree, price_rows
    from voisin.cli.show import pairs

    def priced(dataset: str) -> Quote:
        """Ask what a run on one dataset would cost."""
        asked: RunTerms = {**terms, "replicas": 1, "dataset": dataset}
        return session.with_wallet(lambda cloud: cloud.quote(app, [tuple(args)], **asked))

    quotes = {dataset: priced(dataset) for dataset in datasets}
    for dataset, quote in quotes.items():
        session.err.print(pairs([("dataset", dataset), *price_rows(quote)]))
    agree(session, NRLC(sum(quote.total for quote in quotes.values())))


def _process_bulk(
    session: Session, lists: list[tuple[Address, ...]], what: tuple[str, list[str]], terms: RunTerms, *, out: Path | None, is_agreed: bool
) -> None:
    """Run an app on lists of datasets, a task for each list."""
    from voisin.cli.running import agree, price_rows
    from voisin.cli.show import pairs

    app, args = what
    terms = {**terms, "replicas": 1, "bulk": lists}
    if not is_agreed:
        quote = session.with_wallet(lambda cloud: cloud.quote(app, [tuple(args)] * len(lists), **terms))
        session.err.print(pairs([("datasets", str(sum(map(len, lists)))), ("tasks", str(len(lists))), *price_rows(quote)]))
        agree(session, quote.total)
    results = session.with_wallet(lambda cloud: cloud.map(app, [tuple(args)] * len(lists), **terms))
    documents: list[dict[str, object]] = []
    for number, (datasets, result) in enumerate(zip(lists, results, strict=True)):
        folder = out if out is None or len(lists) == 1 else out / str(number)
        files = [str(path) for path in result.save(folder)] if folder is not None else []
        documents.append({"datasets": datasets, "task_id": result.task_id, "deal_id": result.deal_id, "price": result.price})
        documents[-1] |= {"files": files, "stdout": result.stdout, "dataset": f"{len(datasets)} datasets"}
    session.answer(documents, lambda _: _print_results(session, documents))


def _watch(session: Session, dataset: str | None, count: int | None) -> None:
    from voisin.cli.data_shown import use_line

    async def work(cloud: AsyncCloud) -> None:
        await _tell_each(session, cloud.data.watch_uses(dataset), use_line, count)

    session.with_wallet(work)


async def _tell_each(session: Session, news: AsyncGenerator[T, None], line: Callable[[T], str], count: int | None) -> None:
    """Write a line, or a JSON document in a line, for each of the news as it comes, and end after so many."""
    from contextlib import aclosing

    import msgspec

    left = count
    async with aclosing(news):
        async for each in news:
            text = msgspec.json.encode(each).decode() if session.as_json else line(each)
            sys.stdout.write(text + "\n")
            sys.stdout.flush()
            left = None if left is None else left - 1
            if left == 0:
                return


def _write_csv(found: list[DataUse]) -> None:
    from datetime import UTC, datetime

    import msgspec

    from voisin.protocol.vault_terms import DataUse

    names = [field.name for field in msgspec.structs.fields(DataUse)]
    rows = csv.writer(sys.stdout)
    rows.writerow(["time", *names])
    for use in found:
        rows.writerow([datetime.fromtimestamp(use.at, UTC).strftime(_PRECISE), *(getattr(use, name) for name in names)])


def _dataset(text: str) -> str:
    try:
        return address(text.strip())
    except typer.BadParameter as error:
        raise typer.BadParameter(str(error), param_hint="DATASET") from None


def _answer_results(session: Session, ended: dict[Address, Result | VoisinError], out: Path | None) -> None:
    from voisin.errors import VoisinError

    documents: list[dict[str, object]] = []
    failed: list[VoisinError] = []
    for dataset, each in ended.items():
        if isinstance(each, VoisinError):
            failed.append(each)
            documents.append({"dataset": dataset, "error": each.message, "code": each.code})
            continue
        folder = out if out is None or len(ended) == 1 else out / dataset
        files = [str(path) for path in each.save(folder)] if folder is not None else []
        documents.append({"dataset": dataset, "task_id": each.task_id, "deal_id": each.deal_id, "price": each.price, "files": files})
        documents[-1]["stdout"] = each.stdout
    session.answer(documents, lambda _: _print_results(session, documents))
    if failed:
        raise failed[0]


def _print_results(session: Session, documents: list[dict[str, object]]) -> None:
    for each in documents:
        if "error" in each:
            continue
        if each["stdout"]:
            session.out.print(str(each["stdout"]).rstrip("\n"), markup=False)
        session.err.print(f"task {each['task_id']} on {each['dataset']}", style="dim", soft_wrap=True)


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "show", example="voisin data show 0x…")(show)
    command(app, "process", example='voisin data process 0x… statistics.wasm mean age --purpose "research"')(process)
    command(app, "subscribe", example="voisin data subscribe 0x… --periods 2")(subscribe)
    command(app, "uses", example="voisin data uses --csv")(uses)
    command(app, "alerts", example="voisin data alerts --rules alerts.toml")(alerts)
    command(app, "waiting", example="voisin data waiting")(waiting)
    command(app, "release", example="voisin data release 0x…")(release)
