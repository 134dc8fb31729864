"""One deployment from the price to the check: what `voisin chain deploy` does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import anyio
import msgspec
import typer

from voisin.chain import Deployment, DeploymentTerms, Rpc
from voisin.chain.deployment.check import CheckReport, check_deployment, require_chain, require_token
from voisin.chain.deployment.journal import Heading, Journal, open_journal
from voisin.chain.deployment.place import read_deployment, write_deployment
from voisin.chain.deployment.record import Record, record_alone, record_deployment
from voisin.chain.deployment.run import Bringup, Quote, StepDone, deployment_of
from voisin.cli.chain_deploy_show import Outcome, show_outcome, show_quote
from voisin.cli.session import Session
from voisin.cli.show import coins, counted
from voisin.client.wallets import find_wallet, wallet_address
from voisin.errors import InputError, StateError
from voisin.protocol.ids import as_address
from voisin.protocol.signatures import KeySigner


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """
    What `voisin chain deploy` was asked for.

    Attributes:
        rpc_url: The chain's node.
        chain_id: The chain that is meant.
        token: The chain's RLC; None for a new one.
        is_native: Whether money is the chain's own coin.
        file: The deployment file.
        record: Where the transactions are written down; None for nowhere.
        is_agreed: Whether the price is agreed to unseen.
    """

    rpc_url: str
    chain_id: int
    token: str | None
    is_native: bool
    file: Path
    record: Path | None
    is_agreed: bool

    @property
    def terms(self) -> DeploymentTerms:
        """What is particular about the market."""
        return DeploymentTerms(token=as_address(self.token) if self.token else None, is_native=self.is_native)

    @property
    def journal(self) -> Path:
        """What was sent so far."""
        return self.file.with_suffix(".journal")


def record_only(session: Session, path: Path, chain_id: int, *, is_native: bool) -> None:
    """
    Bring a market up on a chain in memory, and write down how.

    Raises:
        StateError: What was brought up is not as it should be.
    """
    session.start_logs()
    record, deployment, report = anyio.run(record_alone, chain_id, DeploymentTerms(is_native=is_native))
    _write_record(path, record)
    answer(session, Outcome(status="recorded", deployment=deployment, record=str(path), check=report))


def check(session: Session, order: Order) -> None:
    """
    Compare what a deployment file tells with what is on the chain.

    Raises:
        InputError: There is no such file, or the node serves another chain.
        StateError: Something is not as it should be.
    """
    session.start_logs()
    answer(session, anyio.run(_standing, order))


def deploy(session: Session, order: Order, *, is_dry: bool) -> None:
    """
    Put a market on a chain, or tell only what that costs; one that stands already is checked.

    Args:
        session: The command.
        order: What was asked for.
        is_dry: Whether to tell only the price.

    Raises:
        InputError: The node serves another chain, or the token is none.
        FundsError: The wallet cannot pay.
        StateError: It was not agreed to, or what stands is not as it should be.
        RevertError: A step failed.
    """
    if order.file.exists() and not order.journal.exists():
        return check(session, order)
    session.start_logs()
    wallet = find_wallet(session.home, session.known_network, session.settings.wallet)
    heading = Heading(order.chain_id, wallet_address(wallet), order.terms)
    with open_journal(order.journal, heading) as journal:
        try:
            quote = anyio.run(_quote, order, journal)
            if is_dry:
                outcome = Outcome(status="priced", steps=tuple(step.name for step in quote.steps), gas=quote.gas, cost_wei=quote.most)
                return session.answer(outcome, lambda out: show_quote(out, quote, heading))
            signer = agreed_signer(session, order, quote, heading=heading, wallet=wallet)
            outcome = anyio.run(_carry_out, order, journal, signer, Progress(session, len(quote.steps)))
        finally:
            if not journal.sent:  # nothing has happened that anybody would have to know
                journal.remove()
        journal.remove()
    return answer(session, outcome)


def agreed_signer(session: Session, order: Order, quote: Quote, *, heading: Heading, wallet: Path) -> KeySigner:
    """
    Show the price, ask whether to spend it, and open the wallet.

    Args:
        session: The command.
        order: What was asked for.
        quote: The price.
        heading: The market.
        wallet: The keystore file.

    Raises:
        FundsError: The wallet cannot pay.
        StateError: It was not agreed to.
        InputError: The password is wrong or missing.
    """
    if not session.as_json:
        show_quote(session.err, quote, heading)
    quote.require_funds(heading.owner)
    if not order.is_agreed:
        _agree(session, quote)
    return session.unlock(wallet)


class Progress:
    """Says on standard error what is done, one line a step."""

    def __init__(self, session: Session, total: int) -> None:
        """
        Args:
            session: The command.
            total: How many steps there are.
        """
        self._done: list[StepDone] = []
        self._err = session.err
        self._total = total

    def __call__(self, step: StepDone) -> None:
        """Say that a step is done."""
        self._done.append(step)
        words = f"create {step.name} {step.creates}" if step.creates else step.name
        self._err.print(f"{len(self._done):>3}/{self._total} {words} [dim]{step.gas_used:,} gas[/dim]")

    def outcome(self, order: Order, deployment: Deployment, report: CheckReport, *, status: Literal["deployed", "upgraded"]) -> Outcome:
        """Sum up."""
        return Outcome(
            status=status,
            deployment=deployment,
            file=str(order.file),
            steps=tuple(step.name for step in self._done),
            gas=sum(step.gas_used for step in self._done),
            cost_wei=sum(step.fee for step in self._done),
            check=report,
        )


@asynccontextmanager
async def node_of(order: Order) -> AsyncIterator[Rpc]:
    """Connect to the node, and make sure that it serves the chain that is meant."""
    async with Rpc(order.rpc_url) as rpc:
        await require_chain(rpc, order.chain_id)
        yield rpc


def deployment_in(order: Order) -> Deployment:
    """
    Read the deployment file.

    Raises:
        InputError: There is none, or it is about another chain.
        StateError: It is about a market with other money.
    """
    deployment = read_deployment(order.file)
    if deployment.chain_id != order.chain_id:
        raise InputError(f"{order.file} is about chain {deployment.chain_id}, not {order.chain_id}", hint="name another --file")
    if order.terms.token not in (None, deployment.token) or (order.is_native and not deployment.is_native):
        money = "native coin" if deployment.is_native else f"the token {deployment.token}"
        raise StateError(f"{order.file} is about a market with {money}", hint="name another --file")
    return deployment


def terms_of(order: Order, deployment: Deployment) -> DeploymentTerms:
    """Tell what is particular about a market that is there."""
    return msgspec.structs.replace(order.terms, is_native=deployment.is_native)


async def _quote(order: Order, journal: Journal) -> Quote:
    async with node_of(order) as rpc:
        if order.terms.token is not None:
            await require_token(rpc, order.terms.token)
        return await Bringup(rpc, journal).quote()


async def _carry_out(order: Order, journal: Journal, signer: KeySigner, progress: Progress) -> Outcome:
    async with node_of(order) as rpc:
        deployment = await deployment_of(rpc, await Bringup(rpc, journal).carry_out(signer, progress))
        write_deployment(order.file, deployment)
        report = await check_deployment(rpc, deployment, order.terms)
    outcome = progress.outcome(order, deployment, report, status="deployed")
    return msgspec.structs.replace(outcome, record=_record(order, deployment))


async def _standing(order: Order) -> Outcome:
    """Check what the deployment file tells."""
    deployment = deployment_in(order)
    async with node_of(order) as rpc:
        report = await check_deployment(rpc, deployment, terms_of(order, deployment))
    return Outcome(status="standing", deployment=deployment, file=str(order.file), record=_record(order, deployment), check=report)


def _record(order: Order, deployment: Deployment) -> str:
    """Write the transactions down if that was asked for; answers the file's name."""
    if order.record is None:
        return ""
    record, _ = record_deployment(deployment, terms_of(order, deployment))
    _write_record(order.record, record)
    return str(order.record)


def _write_record(path: Path, record: Record) -> None:
    path.write_bytes(msgspec.json.encode(record) + b"\n")


def _agree(session: Session, quote: Quote) -> None:
    """Ask whether to spend; where nobody can be asked, it must have been agreed beforehand."""
    price = f"up to {coins(quote.most)} of the chain's coin"
    if session.as_json or not session.is_interactive:
        raise typer.BadParameter(f"this may spend {price}; agree to it with --yes", param_hint="--yes")
    if not typer.confirm(f"Spend {price}?", err=True):
        raise StateError("nothing was spent", hint="agree to the price to deploy")


def answer(session: Session, outcome: Outcome) -> None:
    """Answer, and fail where what stands is not as it should be."""
    session.answer(outcome, lambda out: show_outcome(out, outcome))
    differences = outcome.check.differences if outcome.check is not None else ()
    if differences:
        raise StateError(
            f"{counted(len(differences), 'thing')} on the chain {'is' if len(differences) == 1 else 'are'} not as expected",
            hint="look at what differs; if the chain was set back, remove the deployment file and deploy again",
        )
