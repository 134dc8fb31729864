"""Which worker is meant: its folder, and what it was joined with."""

from __future__ import annotations

from pathlib import Path

from voisin.cli.session import Session
from voisin.errors import InputError, StateError
from voisin.worker.life.joining import JOIN_FILE, Joined, load_joined

WORKERS_FOLDER = "workers"


def worker_folder(session: Session, given: Path | None) -> Path:
    """
    Find a worker's folder.

    Args:
        session: The command; its wallet names the worker among several.
        given: The folder, if it was said.

    Raises:
        StateError: No worker was ever joined here.
        InputError: There are several.
    """
    if given is not None:
        return given.expanduser().absolute()
    workers = (session.home / WORKERS_FOLDER).absolute()
    wallet = session.settings.wallet
    if wallet is not None and (workers / Path(wallet).stem).is_dir():
        return workers / Path(wallet).stem
    found = sorted(path.parent for path in workers.glob(f"*/{JOIN_FILE}"))
    if not found:
        raise StateError(f"no worker was joined in {session.home}", hint="join one with `voisin worker join POOL`")
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise InputError(f"there are several workers here: {names}", hint="choose one with --wallet NAME or --folder FOLDER")
    return found[0]


def joined_worker(session: Session, given: Path | None) -> tuple[Path, Joined]:
    """
    Find a worker's folder, and what it was joined with.

    Raises:
        StateError: It was never joined.
        InputError: There are several.
    """
    folder = worker_folder(session, given)
    joined = load_joined(folder)
    if joined is None:
        raise StateError(f"no worker was joined in {folder}", hint="join one with `voisin worker join POOL`")
    return folder, joined
