"""Bags on a screen."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console

from voisin.cli.show import counted, moment, money, pairs, short, table
from voisin.client.bags.desk import STAGES, BagReport
from voisin.client.bags.run import BagRun
from voisin.protocol.bag_api import BagStage


def show_bag(out: Console, report: BagReport) -> None:
    """Print how a bag stands, and what was done about it."""
    out.print(pairs(_rows(report)))
    if report.payouts:
        out.print()
        rows = [(worker, money(amount)) for worker, amount in sorted(report.payouts.items())]
        out.print(table("Payouts", ("worker", "RLC"), rows, right=("RLC",)))
    if report.demands:
        out.print()
        demands = [
            (str(demand.index), short(demand.asker), moment(demand.deadline), "shown" if demand.is_answered else "not shown")
            for demand in report.demands
        ]
        out.print(table("Leaves asked for", ("task", "by", "until", ""), demands, right=("task",)))


def bag_words(run: BagRun) -> Iterator[str]:
    """Say after a run what its bag is still to bring."""
    story = run.story
    if story.stage is BagStage.POSTED and story.posted is not None:
        looked = "agrees with the results" if run.audit is not None and run.audit.is_clean else "is not as it should be"
        yield f"The bag of deal {short(story.deal_id)} {looked}. It is paid after {moment(story.posted.deadline)}."
        yield f"[dim]guard it until then:[/dim] voisin deal guard {story.deal_id}"
    elif story.stage is BagStage.RUNNING:
        yield f"The bag of deal {short(story.deal_id)} is not posted yet."
        yield f"[dim]guard it:[/dim] voisin deal guard {story.deal_id}"
    elif story.stage is not BagStage.SETTLED:
        yield f"Deal {short(story.deal_id)}: {STAGES[story.stage]}."


def _rows(report: BagReport) -> Iterator[tuple[str, str]]:
    yield "Bag", str(report.deal_id)
    yield "stage", report.why
    yield "tasks", f"{counted(report.volume, 'task')}, {report.done} with a result"
    yield "window", f"{report.window_s} s"
    if report.deadline:
        yield "settled from", moment(report.deadline)
    elif report.stage is BagStage.RUNNING:
        yield "refundable from", moment(report.claimable)
    if report.is_checked and not report.wrong:
        yield "leaves", "looked at: in order, and as the pool had told"
    for words in report.wrong:
        yield "wrong", words
    for act in report.acts:
        yield "done", act
