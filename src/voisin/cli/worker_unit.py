"""The systemd service of a joined worker: one of the user's own, that needs no root and opens nothing."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from voisin.cli.session import Session
from voisin.cli.worker_where import joined_worker
from voisin.errors import InputError
from voisin.worker.life.joining import Joined

UNITS_FOLDER = "systemd/user"


def show_unit(session: Session, folder: Path | None, *, is_written: bool) -> None:
    """Show the service, or write it and say how it is started."""
    where, joined = joined_worker(session, folder)
    if not joined.password_file:
        hint = "join once with --password-file FILE, so that it is known where the password is"
        raise InputError("a service cannot be asked for the wallet's password", hint=hint)
    text, path = unit_text(session.home.absolute(), where, joined), unit_path(where.name)
    if not is_written:
        session.answer({"path": str(path), "text": text}, lambda out: out.print(text, markup=False, soft_wrap=True, end=""))
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    start = f"systemctl --user daemon-reload && systemctl --user enable --now {path.name}"
    linger = "loginctl enable-linger"
    document = {"path": str(path), "start": start, "at_boot": linger}
    lines = f"written: {path}\nstart it: {start}\nalso while you are not logged in: {linger}"
    session.answer(document, lambda out: out.print(lines, soft_wrap=True))


def unit_path(name: str) -> Path:
    """Say where systemd looks for a service of the user."""
    config = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(config) / UNITS_FOLDER / f"voisin-{name}.service"


def unit_text(home: Path, folder: Path, joined: Joined) -> str:
    """
    Write the service.

    A worker that leaves ends with 0 and stays away; all else is started again. It gets a minute to hand back what it has.
    """
    words = [sys.executable, "-m", "voisin", "worker", "join", "--home", str(home), "--folder", str(folder)]
    command = " ".join(_quoted(word) for word in words)
    return f"""[Unit]
Description=Voisin worker {_plain(joined.name)}
After=network-online.target

[Service]
ExecStart={command}
Restart=on-failure
RestartSec=10
TimeoutStopSec=60
Nice=10
NoNewPrivileges=yes
RestrictSUIDSGID=yes
UMask=0077

[Install]
WantedBy=default.target
"""


def _quoted(word: str) -> str:
    """Write a word of a command line as systemd reads it: its own quoting, and no expansion of % and $."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'


def _plain(text: str) -> str:
    return "".join(letter for letter in text if letter.isprintable()).replace("%", "%%")
