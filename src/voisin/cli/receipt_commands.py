"""Receipts of tasks that ran in enclaves: `task receipt | check-receipt`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voisin.cli.reading import hash32
from voisin.cli.session import Session

if TYPE_CHECKING:
    from rich.console import Console

    from voisin.attestation import ReceiptVerdict
    from voisin.client import AsyncCloud
    from voisin.protocol.task_receipt import TaskReceipt


def receipt(
    session: Session,
    task: Annotated[str, typer.Argument(parser=hash32, metavar="TASK", help="The task's id.")],
    save: Annotated[Path | None, typer.Option(metavar="FILE", help="Write it to a file that can be checked anywhere, at any time.")] = None,
    vault: Annotated[str, typer.Option(metavar="URL", help="The vault that served the task; the network's unless given.")] = "",
) -> None:
    """Fetch the receipt of a task that ran in an enclave: who computed what for whom, and what the enclave showed to the vault."""
    from voisin.protocol.task_receipt import write_receipt

    async def work(cloud: AsyncCloud) -> TaskReceipt:
        return await cloud.receipt(task, vault_url=vault)

    found = session.with_cloud(work)
    if save is not None:
        save.write_bytes(write_receipt(found))

    def show(out: Console) -> None:
        _show_receipt(out, found)
        if save is not None:
            out.print(f"saved: {save}; check it with voisin task check-receipt {save}", soft_wrap=True)

    session.answer(found, show)


def check_receipt(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The receipt, as `voisin task receipt --save` wrote it.")],
    policy: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What is asked of enclaves, as for `voisin vault run`; any program unless given.")
    ] = None,
    at: Annotated[
        int | None, typer.Option(metavar="SECONDS", help="Time of verification [Unix s]; when the vault judged each enclave unless given.")
    ] = None,
    allow_simulated: Annotated[bool, typer.Option("--allow-simulated", help="Do not mind that an enclave was simulated.")] = False,
) -> None:
    """Check a receipt from its file alone, without network and account; exit code 1 when something speaks against it."""
    from voisin.attestation import check_receipt as check
    from voisin.cli.vault_commands import read_bytes, read_policy
    from voisin.protocol.task_receipt import read_receipt
    from voisin.units import UnixSeconds

    asked = None if policy is None else read_policy(policy)
    verdict = check(read_receipt(read_bytes(file)), asked, at=None if at is None else UnixSeconds(at))
    session.answer(verdict, lambda out: _show_verdict(out, verdict))
    if not verdict.is_good(allow_simulated=allow_simulated):
        raise typer.Exit(1)


def _show_receipt(out: Console, found: TaskReceipt) -> None:
    from voisin.attestation.again import technologies_of
    from voisin.cli.show import SIMULATED_WORDS, moment, money, pairs

    kinds = [SIMULATED_WORDS if each == "simulated" else each for each in technologies_of(found.evidence)]
    rows = [("Task", str(found.task_id)), ("deal", f"{found.deal_id}, task {found.index}"), ("app", str(found.app))]
    rows += [("dataset", str(found.dataset)), ("requester", str(found.requester)), ("price", money(found.price))]
    rows += [("result", f"{found.result}, digest {found.digest}")]
    rows += [("signed", f"by the enclave's key {each.enclave}, for worker {each.worker}") for each in found.signatures]
    rows += [("enclave", ", ".join(kinds) or "none showed anything"), ("written", moment(found.made_at))]
    out.print(pairs(rows))


def _show_verdict(out: Console, verdict: ReceiptVerdict) -> None:
    from voisin.cli.vault_commands import show_verdicts

    _show_receipt(out, verdict.receipt)
    out.print()
    show_verdicts(out, verdict.sessions)
    for reason in verdict.reasons:
        out.print(f"AGAINST IT: {reason}", soft_wrap=True)
    if not verdict.reasons:
        out.print("the result is signed by the key of an enclave that showed this", soft_wrap=True)
