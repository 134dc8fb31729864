"""Workers, machines that run apps for money: `worker join | pause | resume | leave | status | earnings | withdraw | service`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voisin.cli.reading import amount
from voisin.cli.session import Session, command
from voisin.units import NRLC

if TYPE_CHECKING:
    from voisin.worker.life.words import Ask, WorkerStatus

app = typer.Typer(name="worker", help="Workers: machines that run apps for money.")
FolderOption = Annotated[
    Path | None, typer.Option(metavar="FOLDER", help="The worker's folder; the home's own worker, or that of --wallet, unless given.")
]
NowOption = Annotated[bool, typer.Option("--now", help="Hand back what runs, too, instead of finishing it.")]


def join(
    session: Session,
    pool: Annotated[
        str,
        typer.Argument(
            metavar="[POOL]", help="The pool's address, or its workerpool's; what was joined last, or the home's, unless given."
        ),
    ] = "",
    name: Annotated[str, typer.Option(help="How the pool lists this worker; the wallet's name unless given.")] = "",
    slots: Annotated[int, typer.Option(help="Tasks to run at a time; one per processor unless given.", min=0, max=1024)] = 0,
    memory: Annotated[int, typer.Option(metavar="MIB", help="MiB of memory for all tasks together; 2048 unless given.", min=0)] = 0,
    disk: Annotated[int, typer.Option(metavar="MIB", help="MiB of disk for tasks; 10240 unless given.", min=0)] = 0,
    folder: FolderOption = None,
    node: Annotated[str, typer.Option(metavar="URL", help="Node of the chain; the network's or the pool's unless given.")] = "",
    hub: Annotated[
        str, typer.Option(metavar="ADDRESS", help="The market's hub. Without it stakes are never deposited by themselves.")
    ] = "",
    index: Annotated[str, typer.Option(metavar="URL", help="Index that knows where workerpools answer; the network's unless given.")] = "",
    enclave: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="Where `voisin enclave run --listen` listens: unix:PATH, vsock:CID:PORT or tcp:HOST:PORT; tasks with secrets run there.",
        ),
    ] = "",
    allow_simulated: Annotated[
        bool,
        typer.Option("--allow-simulated", help="The enclave may be simulated (without --enclave: one of this machine): it hides nothing."),
    ] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Go on in the background once the pool has let the worker in.")] = False,
) -> None:
    """Let this machine work for a pool until Ctrl-C. The wallet, made if there is none, signs and is paid into its account."""
    from voisin.cli.worker_join import JoinRequest, join_pool

    if pool and not pool.startswith(("http://", "https://", "0x")):
        raise typer.BadParameter(f"{pool!r} is neither an http address nor a workerpool's", param_hint="POOL")
    request = JoinRequest(
        pool=pool,
        name=name,
        slots=slots,
        memory_bytes=memory << 20,
        disk_bytes=disk << 20,
        folder=folder,
        node=node,
        hub=hub,
        index=index,
        enclave=enclave,
        allow_simulated=allow_simulated,
        is_detached=detach,
    )
    join_pool(session, request)


def pause(session: Session, folder: FolderOption = None, now: NowOption = False) -> None:
    """Take nothing new, also after a restart; what runs is finished, what waits is handed back."""
    from voisin.worker.life.words import Pause

    _tell(session, folder, Pause(now))


def resume(session: Session, folder: FolderOption = None) -> None:
    """Go on after a pause."""
    from voisin.worker.life.words import Resume

    _tell(session, folder, Resume())


def status(session: Session, folder: FolderOption = None) -> None:
    """Show how the running worker is: pool, tasks, rules."""
    from voisin.worker.life.words import AskStatus

    _tell(session, folder, AskStatus())


def leave(
    session: Session,
    folder: FolderOption = None,
    now: NowOption = False,
    withdraw_all: Annotated[bool, typer.Option("--withdraw", help="Move stake and earnings into the wallet in the end.")] = False,
) -> None:
    """
    Stop without loss: take nothing new, bring what is at stake to its end, and stop.

    Ctrl-C here leaves the worker to it: it stops by itself.
    """
    from voisin.cli.worker_money import take_out
    from voisin.cli.worker_show import say_waiting, show_left
    from voisin.cli.worker_where import worker_folder
    from voisin.errors import UnavailableError
    from voisin.worker.life.owner import converse
    from voisin.worker.life.words import Leave, Stance, WorkerStatus

    where = worker_folder(session, folder)
    last: WorkerStatus | None = None
    for answer in converse(where, Leave(now)):
        if isinstance(answer, WorkerStatus):
            say_waiting(session, answer, last)
            last = answer
    if last is None or last.stance is not Stance.LEFT:
        raise UnavailableError("the worker ended before it had left", hint="start it again with `voisin worker join`, and leave again")
    taken = take_out(session, where, None, is_leaving=True) if withdraw_all else NRLC(0)
    show_left(session, last, taken)


def earnings(
    session: Session,
    folder: FolderOption = None,
    by: Annotated[str, typer.Option(help="What is added up: pool, deal, day, or task for every payment.")] = "day",
) -> None:
    """Show what the worker has earned, and lost, as the chain tells it; the worker need not run."""
    from voisin.cli.worker_money import GROUPS, show_earnings

    if by not in GROUPS:
        raise typer.BadParameter(f"{by!r} is not one of {', '.join(GROUPS)}", param_hint="--by")
    show_earnings(session, folder, by)


def withdraw(
    session: Session,
    amount: Annotated[
        NRLC | None, typer.Argument(parser=amount, metavar="[AMOUNT]", help='For example "1.5 RLC"; all that is free unless given.')
    ] = None,
    folder: FolderOption = None,
) -> None:
    """Move free money from the worker's account at the market into its wallet; the worker may go on meanwhile."""
    from voisin.cli.worker_money import show_withdrawal

    show_withdrawal(session, folder, amount)


def service(
    session: Session,
    folder: FolderOption = None,
    write: Annotated[bool, typer.Option("--write", help="Write it where systemd looks for a user's services.")] = False,
) -> None:
    """Show the systemd service (of the user, no root) that starts the joined worker with the machine."""
    from voisin.cli.worker_unit import show_unit

    show_unit(session, folder, is_written=write)


def _tell(session: Session, folder: Path | None, ask: Ask) -> None:
    from voisin.cli.worker_show import show_status
    from voisin.cli.worker_where import worker_folder
    from voisin.worker.life.owner import converse
    from voisin.worker.life.words import WorkerStatus

    found: list[WorkerStatus] = [each for each in converse(worker_folder(session, folder), ask) if isinstance(each, WorkerStatus)]
    session.answer(found[-1], lambda out: show_status(out, found[-1]))
    sys.stdout.flush()


command(app, "join", example="voisin worker join http://pool.example:13000 --detach")(join)
command(app, "pause", example="voisin worker pause")(pause)
command(app, "resume", example="voisin worker resume")(resume)
command(app, "leave", example="voisin worker leave --withdraw")(leave)
command(app, "status", example="voisin worker status")(status)
command(app, "earnings", example="voisin worker earnings --by deal")(earnings)
command(app, "withdraw", example="voisin worker withdraw 2.5")(withdraw)
command(app, "service", example="voisin worker service --write")(service)
