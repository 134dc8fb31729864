"""How a deployment looks on a screen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec
from rich.console import Console

from voisin.chain import Deployment
from voisin.chain.deployment.check import CheckReport
from voisin.chain.deployment.journal import Heading
from voisin.chain.deployment.run import Quote
from voisin.chain.deployment.upgrade import Change
from voisin.cli.show import coins, counted, pairs, table

_GWEI = 10**9


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """
    What came of a deployment.

    Attributes:
        status: Deployed or upgraded now; standing already; only its price was asked for; only recorded, on a chain in memory.
        deployment: Where everything stands; None when only the price was asked for.
        file: The deployment file.
        record: The file with the transactions.
        steps: What was done now, or is left to do.
        gas: Gas that this used, or may need.
        cost_wei: What it cost, or costs at most [wei].
        check: What a comparison of all that stands has shown.
        changes: What another facet will answer.
    """

    status: Literal["deployed", "upgraded", "standing", "priced", "recorded"]
    deployment: Deployment | None = None
    file: str = ""
    record: str = ""
    steps: tuple[str, ...] = ()
    gas: int = 0
    cost_wei: int = 0
    check: CheckReport | None = None
    changes: tuple[Change, ...] = ()


def show_quote(out: Console, quote: Quote, heading: Heading) -> None:
    """Show what is left to do, and what that may cost."""
    steps = quote.steps
    rows = [
        ("chain", str(heading.chain_id)),
        ("wallet", heading.owner),
        ("to do", f"{counted(len(steps), 'transaction')}: {', '.join(step.name for step in steps)}" if steps else "nothing more to send"),
        ("gas", f"{quote.gas:,} at most, at up to {quote.price.max_fee / _GWEI:,.9g} gwei"),
        ("price", f"{coins(quote.most)} of the chain's coin at most"),
        ("wallet holds", f"{coins(quote.balance)} of it"),
    ]
    out.print(pairs(rows))


def show_changes(out: Console, changes: Sequence[Change]) -> None:
    """Show which functions another facet will answer."""
    rows = [(change.function, change.before or "nobody", change.after or "nobody") for change in changes]
    if rows:
        out.print(table("What changes", ("function", "answered by", "then by"), rows))


def show_outcome(out: Console, outcome: Outcome) -> None:
    """Show where everything stands, and whether it is as it should be."""
    deployment, check = outcome.deployment, outcome.check
    if deployment is not None:
        title = "There already" if outcome.status == "standing" else outcome.status.capitalize()
        out.print(table(f"{title} on chain {deployment.chain_id}", ("contract", "address"), deployment.contracts.items()))
        out.print(pairs(_facts(outcome, deployment)))
    if check is not None and check.differences:
        rows = [(difference.what, difference.expected, difference.found) for difference in check.differences]
        out.print(table("Not as expected", ("what", "expected", "found"), rows))
    elif check is not None:
        out.print(f"checked: {counted(check.compared, 'thing')}, all as expected")


def _facts(outcome: Outcome, deployment: Deployment) -> Iterator[tuple[str, str]]:
    yield "owner", deployment.owner
    yield "first block", str(deployment.block)
    if outcome.gas:
        yield "cost", f"{coins(outcome.cost_wei)} of the chain's coin for {outcome.gas:,} gas"
    if outcome.file:
        yield "written to", outcome.file
    if outcome.record:
        yield "transactions in", outcome.record
