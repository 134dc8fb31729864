"""Being an enclave: `enclave run | check`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voisin.cli.session import Session, command

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(name="enclave", help="Enclaves: the program that runs inside a confidential machine.")
FolderOption = Annotated[Path, typer.Option("--report-folder", metavar="FOLDER", help="Where the kernel gives evidence (configfs-tsm).")]
REPORTS = Path("/sys/kernel/config/tsm/report")


def run(
    session: Session,
    simulated: Annotated[bool, typer.Option("--simulated", help="Only play an enclave, for development: it hides nothing.")] = False,
    listen: Annotated[
        str, typer.Option(metavar="ADDRESS", help="unix:PATH, vsock:PORT or tcp:HOST:PORT; standard input and output unless given.")
    ] = "",
    slots: Annotated[int, typer.Option(help="Enclaves at a time, with --listen.", min=1, max=1_024)] = 1,
    report_folder: FolderOption = REPORTS,
) -> None:
    """Be the enclave of a worker: one task over standard input and output, or one for each connection."""
    from voisin.enclave.program import EnclaveSettings, be_enclave

    settings = EnclaveSettings(is_simulated=simulated, report_folder=report_folder, slots=slots)
    if simulated:
        session.err.print("SIMULATED: this enclave hides nothing from whoever runs this machine")
    if not listen:
        be_enclave(settings, sys.stdin.buffer, sys.stdout.buffer)
        return
    _listen(session, settings.arguments(), listen, slots)


def _listen(session: Session, arguments: tuple[str, ...], address: str, slots: int) -> None:
    import signal
    from types import FrameType

    from voisin.enclave.listening import open_listener, serve, where_it_listens

    listener = open_listener(address)

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    place = where_it_listens(listener, address)
    try:
        session.answer({"address": place}, lambda out: out.print(f"ready: {place}; Ctrl-C stops", soft_wrap=True))
        sys.stdout.flush()
        serve(listener, (sys.executable, "-I", "-m", "voisin.enclave", *arguments), slots=slots)
    except KeyboardInterrupt:
        session.err.print("stopped")
    finally:
        listener.close()


def check(session: Session, report_folder: FolderOption = REPORTS) -> None:
    """Say what this machine has of a confidential one: whether it gives evidence, keeps files in memory, and never swaps."""
    from voisin.enclave.survey import survey

    found = survey(report_folder)
    document = {
        "can_be_real": found.can_be_real,
        "technology": found.technology,
        "findings": [{"what": each.what, "is_good": each.is_good, "words": each.words} for each in found.findings],
    }
    verdict = f"a real enclave can run here ({found.technology})" if found.can_be_real else "only simulated enclaves run here"
    rows = [(each.what, "good" if each.is_good else "missing", each.words) for each in found.findings]

    def show(out: Console) -> None:
        from voisin.cli.show import table

        out.print(table("This machine", ("what", "", "found"), rows))
        out.print(verdict)

    session.answer(document, show)


command(app, "run", example="voisin enclave run --listen vsock:7070")(run)
command(app, "check", example="voisin enclave check")(check)
