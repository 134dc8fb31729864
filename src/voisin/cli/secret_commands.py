"""Secrets that only enclaves get: `secret push | check | list | delete | uses | result-key`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voisin.cli.reading import address
from voisin.cli.session import Session, command

if TYPE_CHECKING:
    from rich.console import Console

    from voisin.client import AsyncCloud
    from voisin.protocol.secrets import Release, SecretEntry

app = typer.Typer(name="secret", help="Secrets that only enclaves get: keys of datasets, passwords for apps, keys for results.")
KindArgument = Annotated[str, typer.Argument(metavar="KIND", help="dataset, app, requester, or named.")]
HolderOption = Annotated[
    str | None, typer.Option(parser=address, metavar="ADDRESS", help="The dataset or app; for the other kinds the wallet itself.")
]
NameOption = Annotated[str, typer.Option(metavar="NAME", help="Its name, for the kinds requester and named.")]
MOST_BYTES = 4_097


def push(
    session: Session,
    kind: KindArgument,
    holder: HolderOption = None,
    name: NameOption = "",
    file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="File with the value, or - for standard input; asked for otherwise. A line break at its end is left out."
        ),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace the one that is there; named secrets only.")] = False,
) -> None:
    """Keep a secret in the market's vault: its value goes to enclaves of deals that name it, and to nobody else."""
    _require_kind(kind, holder)
    value = _value(session, file)

    async def work(cloud: AsyncCloud) -> SecretEntry:
        return await cloud.secrets.push(kind, value, holder=holder, name=name, replace=replace)

    entry = session.with_wallet(work)
    session.answer(entry, lambda out: _show_entry(out, entry, "kept"))


def check(session: Session, kind: KindArgument, holder: HolderOption = None, name: NameOption = "") -> None:
    """Tell whether the vault has a secret; exit code 1 when it has not."""
    _require_kind(kind, holder)

    async def work(cloud: AsyncCloud) -> SecretEntry | None:
        return await cloud.secrets.check(kind, holder=holder, name=name)

    entry = session.with_cloud(work) if holder is not None else session.with_wallet(work)
    if entry is None:
        session.answer({"exists": False}, lambda out: out.print("there is none"))
        raise typer.Exit(1)
    found = entry
    session.answer(found, lambda out: _show_entry(out, found, "there"))


def list_own(session: Session) -> None:
    """List the secrets that the wallet pushed: names, never values."""

    async def work(cloud: AsyncCloud) -> list[SecretEntry]:
        return await cloud.secrets.entries()

    entries = session.with_wallet(work)

    def show(out: Console) -> None:
        from voisin.cli.show import moment, table

        rows = [(entry.kind.value, entry.name, entry.holder, moment(entry.pushed_at)) for entry in entries]
        out.print(table("Secrets", ("kind", "name", "of", "pushed"), rows) if rows else "no secrets")

    session.answer(entries, show)


def delete(session: Session, kind: KindArgument, holder: HolderOption = None, name: NameOption = "") -> None:
    """Delete a secret from the vault: from then on no enclave gets it."""
    _require_kind(kind, holder)

    async def work(cloud: AsyncCloud) -> SecretEntry:
        return await cloud.secrets.delete(kind, holder=holder, name=name)

    entry = session.with_wallet(work)
    session.answer(entry, lambda out: _show_entry(out, entry, "deleted"))


def uses(session: Session) -> None:
    """List who used the wallet's secrets: when, in which task, by whose worker, on what evidence."""

    async def work(cloud: AsyncCloud) -> list[Release]:
        return await cloud.secrets.uses()

    found = session.with_wallet(work)

    def show(out: Console) -> None:
        from voisin.cli.show import moment, short, table
        from voisin.protocol.sessions import evidence_kind

        columns = ("when", "secret", "task", "requester", "worker", "evidence")
        rows = [
            (
                moment(use.at),
                f"{use.kind.value} {use.name}".rstrip(),
                short(use.task_id),
                short(use.requester),
                short(use.worker),
                evidence_kind(use.evidence),
            )
            for use in found
        ]
        out.print(table("Uses", columns, rows) if rows else "nobody has used them")

    session.answer(found, show)


def result_key(
    session: Session,
    form: Annotated[
        str, typer.Option("--format", help="voisin: sealed results are authenticated; ecosystem: as the protocol's own clients read them.")
    ] = "voisin",
) -> None:
    """Make a key pair for sealed results: the public half goes to the vault, the private one stays in the home folder."""

    async def work(cloud: AsyncCloud) -> SecretEntry:
        return await cloud.secrets.create_result_key(form=form)

    entry = session.with_wallet(work)
    session.answer(entry, lambda out: _show_entry(out, entry, "kept"))


def _require_kind(kind: str, holder: str | None) -> None:
    from voisin.protocol.secrets import SecretKind

    if kind not in set(SecretKind):
        raise typer.BadParameter(f"{kind!r} is not one of {', '.join(SecretKind)}", param_hint="KIND")
    if kind in (SecretKind.DATASET, SecretKind.APP) and holder is None:
        raise typer.BadParameter(f"say which {kind} it belongs to", param_hint="--holder")


def _value(session: Session, file: Path | None) -> str:
    """Read a secret, never from the command line: other users of the machine can see that."""
    from voisin.errors import InputError

    if file is None and session.is_interactive:
        return str(typer.prompt("Secret", hide_input=True, err=True))
    try:
        if file is None or str(file) == "-":
            data = sys.stdin.buffer.read(MOST_BYTES + 1)
        else:
            with file.open("rb") as opened:
                data = opened.read(MOST_BYTES + 1)
        return data.decode().removesuffix("\n").removesuffix("\r")
    except OSError as error:
        raise InputError(f"the secret cannot be read: {error.strerror} ({file})", hint="check the path and its permissions") from None
    except UnicodeDecodeError:
        raise InputError("the secret is not text", hint="encode bytes in base64") from None


def _show_entry(out: Console, entry: SecretEntry, what: str) -> None:
    from voisin.cli.show import moment

    name = f" {entry.name}" if entry.name else ""
    out.print(f"{what}: {entry.kind.value} secret{name} of {entry.holder}, pushed {moment(entry.pushed_at)}", soft_wrap=True)


command(app, "push", example="voisin secret push requester --name my-token --file token.txt")(push)
command(app, "check", example="voisin secret check requester --name my-token")(check)
command(app, "list", example="voisin secret list")(list_own)
command(app, "delete", example="voisin secret delete requester --name my-token")(delete)
command(app, "uses", example="voisin secret uses --json")(uses)
command(app, "result-key", example="voisin secret result-key")(result_key)
