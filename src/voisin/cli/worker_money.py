"""What a worker has earned, and how it gets into the wallet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import msgspec

from voisin.chain import Chain, Sender, calls, open_chain
from voisin.chain.earned import Payment, payments_of
from voisin.cli.session import Session
from voisin.cli.show import money, table
from voisin.cli.worker_where import joined_worker, worker_folder
from voisin.client.wallets import open_wallet, read_password, wallet_address
from voisin.errors import FundsError, StateError
from voisin.protocol.ids import Address
from voisin.protocol.signatures import KeySigner
from voisin.units import NRLC, format_amount
from voisin.worker.life.joining import Joined
from voisin.worker.life.owner import converse, is_running
from voisin.worker.life.words import Withdraw, Withdrawn

if TYPE_CHECKING:
    from rich.console import Console


def _day(payment: Payment) -> str:
    return datetime.fromtimestamp(payment.paid_at, UTC).strftime("%Y-%m-%d")


GROUPS: dict[str, Callable[[Payment], str]] = {
    "day": _day,
    "pool": lambda payment: payment.workerpool,
    "deal": lambda payment: payment.deal_id,
    "task": lambda payment: payment.task_id or f"bag of {payment.deal_id}",
}
"""What payments can be added up by."""


class Earned(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker earned, and was fined, in one day, pool, deal or task [nRLC]."""

    name: str
    payments: int
    earned: int
    fined: int


class Earnings(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a worker earned since it joined [nRLC].

    Attributes:
        worker: Its wallet.
        by: What the lines add up.
        lines: By day, pool, deal or task.
        earned: All payments.
        fined: All fines.
        stake: What is free in its account at the market.
        locked: What tasks under way lock.
        wallet: What is in its wallet.
    """

    worker: Address
    by: str
    lines: tuple[Earned, ...]
    earned: int
    fined: int
    stake: int
    locked: int
    wallet: int


def add_up(payments: Sequence[Payment], by: str) -> tuple[Earned, ...]:
    """Add payments up by day, pool, deal or task, in the order of their first."""
    groups: dict[str, list[int]] = {}
    for payment in payments:
        groups.setdefault(GROUPS[by](payment), []).append(payment.amount)
    return tuple(
        Earned(
            name=name,
            payments=len(amounts),
            earned=sum(each for each in amounts if each > 0),
            fined=-sum(each for each in amounts if each < 0),
        )
        for name, amounts in groups.items()
    )


def show_earnings(session: Session, folder: Path | None, by: str) -> None:
    """Show what a worker has earned since it joined."""
    _, joined = joined_worker(session, folder)
    worker = wallet_address(Path(joined.wallet))
    session.start_logs()
    found = anyio.run(_earnings, joined, worker, by)
    session.answer(found, lambda out: _show(out, found))


async def _earnings(joined: Joined, worker: Address, by: str) -> Earnings:
    async with open_chain(joined.rpc_url, joined.hub) as chain:
        payments = await payments_of(chain, worker, joined.first_block)
        account, wallet = await chain.hub.account(worker), await chain.token.balance(worker)
    lines = add_up(payments, by)
    return Earnings(
        worker=worker,
        by=by,
        lines=lines,
        earned=sum(line.earned for line in lines),
        fined=sum(line.fined for line in lines),
        stake=account.stake,
        locked=account.locked,
        wallet=wallet,
    )


def _show(out: Console, found: Earnings) -> None:
    out.print(found.worker)
    rows = [(line.name, str(line.payments), money(line.earned), money(line.fined)) for line in found.lines]
    rows.append(("in all", str(sum(line.payments for line in found.lines)), money(found.earned), money(found.fined)))
    out.print(table("Earnings", (found.by, "payments", "RLC", "fines"), rows, right=("payments", "RLC", "fines")))
    held = [("free in the account", money(found.stake)), ("locked by tasks", money(found.locked)), ("in the wallet", money(found.wallet))]
    out.print(table("Money", ("", "RLC"), held, right=("RLC",)))


def show_withdrawal(session: Session, folder: Path | None, amount: NRLC | None) -> None:
    """Move free money into the wallet, and say how much it was."""
    where = worker_folder(session, folder)
    taken = take_out(session, where, amount)
    document = {"withdrawn": taken}
    session.answer(document, lambda out: out.print(f"withdrawn: {format_amount(taken)} into the wallet"))


def take_out(session: Session, folder: Path, amount: NRLC | None, *, is_leaving: bool = False) -> NRLC:
    """
    Move free money into the wallet: by the worker itself while it runs, for two that send transactions of one wallet get in each
    other's way.

    Args:
        session: The command.
        folder: The worker's folder.
        amount: How much [nRLC]; None for all that is free.
        is_leaving: Whether the worker has just left, and may need a moment to end.

    Returns:
        How much it was [nRLC].

    Raises:
        FundsError: Less is free.
        StateError: The folder is not that of a joined worker.
    """
    if not is_leaving and is_running(folder):
        (answer,) = converse(folder, Withdraw(amount))
        if not isinstance(answer, Withdrawn):
            raise StateError("the worker answers something else than was asked", hint="it may be of another version: start it again")
        return answer.amount
    _, joined = joined_worker(session, folder)
    session.start_logs()
    return anyio.run(_withdraw, joined, _unlock(session, joined), amount)


def _unlock(session: Session, joined: Joined) -> KeySigner:
    wallet = Path(joined.wallet)
    if session.password_file is None and joined.password_file:
        return open_wallet(wallet, session.home, session.known_network, password=read_password(Path(joined.password_file)))
    return session.unlock(wallet)


async def _withdraw(joined: Joined, wallet: KeySigner, amount: NRLC | None) -> NRLC:
    async with open_chain(joined.rpc_url, joined.hub) as chain:
        return await _send(chain, wallet, amount)


async def _send(chain: Chain, wallet: KeySigner, amount: NRLC | None) -> NRLC:
    account = await chain.hub.account(wallet.address)
    chosen = account.stake if amount is None else amount
    if chosen > account.stake or chosen == 0:
        hint = f"{format_amount(account.locked)} more are locked by tasks" if account.locked else "nothing was earned yet"
        raise FundsError(f"{format_amount(account.stake)} can be withdrawn", hint=hint)
    await Sender(chain, wallet).send(calls.withdraw(chain.hub_address, chosen))
    return chosen
