"""Data for renting: `data encrypt`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from voisin.cli.session import Session, command

app = typer.Typer(name="data", help="Data: encrypt what is to be rented out.")


def encrypt(
    session: Session,
    path: Annotated[Path, typer.Argument(metavar="FILE", help="The file.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where it goes; FILE.enc unless given.")] = None,
    key_file: Annotated[Path | None, typer.Option(metavar="FILE", help="Where its new key goes; FILE.key unless given.")] = None,
) -> None:
    """Encrypt a file with a new key, in the form that the protocol's clients and enclaves read."""
    from voisin.client.datasets import encrypt_file

    target = output or path.with_name(path.name + ".enc")
    key = key_file or path.with_name(path.name + ".key")
    checksum = encrypt_file(path, target, key)
    document = {"path": str(target), "key_file": str(key), "checksum": checksum}
    session.answer(
        document, lambda out: out.print(f"{target}\nchecksum {checksum}\nkey in {key}; keep it to yourself and the vault", soft_wrap=True)
    )


command(app, "encrypt", example="voisin data encrypt patients.csv")(encrypt)
