"""Data for renting, as its owner: `data protect | grant | confirm | admit | revoke | granted | transfer | list | encrypt`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voisin.cli.data_conditions import with_conditions
from voisin.cli.reading import address, hash32
from voisin.cli.session import Session, command

if TYPE_CHECKING:
    from collections.abc import Callable

    from voisin.client import AsyncCloud
    from voisin.client.data.access import Granted
    from voisin.client.data.conditions import DataConditions
    from voisin.client.data.desk import ProtectedData
    from voisin.client.data.steps import Told

app = typer.Typer(name="data", help="Data: rent it out without showing it, and use what others rent out.")
DatasetArgument = Annotated[str, typer.Argument(parser=address, metavar="DATASET", help="The dataset's address.")]


@with_conditions
def protect(
    session: Session,
    path: Annotated[Path, typer.Argument(metavar="FILE", help="A file, a .csv or .tsv table, or a folder.")],
    name: Annotated[str, typer.Option(metavar="NAME", help="What everybody sees it called; the file's name unless given.")] = "",
    form: Annotated[
        str, typer.Option("--format", metavar="FORM", help="voisin, or ecosystem for the protocol's other clients.")
    ] = "voisin",
    no_schema: Annotated[bool, typer.Option("--no-schema", help="Show nobody what it holds: no sizes, paths, columns.")] = False,
    no_table: Annotated[bool, typer.Option("--no-table", help="Do not read a .csv or .tsv file as a table.")] = False,
    *,
    conditions: DataConditions,
) -> None:
    """Encrypt, store and register data, and offer it if there are conditions; repeat the command when it broke off."""
    found = session.with_wallet(
        lambda cloud: cloud.data.protect(
            path, name=name, form=form, has_schema=not no_schema, is_table=not no_table, tell=_teller(session), **conditions
        )
    )
    _answer_data(session, found)


@with_conditions
def grant(session: Session, dataset: DatasetArgument, *, conditions: DataConditions) -> None:
    """Offer a dataset on conditions of its own, beside the offers that there are."""
    found = session.with_wallet(lambda cloud: cloud.data.grant(dataset, tell=_teller(session), **conditions))
    _answer_granted(session, [found], is_one=True)


def confirm(
    session: Session,
    dataset: Annotated[
        str | None, typer.Argument(parser=address, metavar="[DATASET]", help="One dataset; all of the wallet unless given.")
    ] = None,
) -> None:
    """Stand by your offers after the vault came back from an old backup: what it has forgotten is pushed again."""
    done = session.with_wallet(lambda cloud: cloud.data.confirm(dataset))
    lines = [f"confirmed {each.order_hash}" if not each.refused else f"not confirmed {each.order_hash}: {each.refused}" for each in done]
    documents = [{"order": each.order_hash, "refused": each.refused} for each in done]
    session.answer(documents, lambda out: out.print("\n".join(lines) or "the vault has forgotten nothing", soft_wrap=True))


def admit(
    session: Session,
    dataset: DatasetArgument,
    renters: Annotated[list[str], typer.Argument(parser=address, metavar="ADDRESS...", help="Who.")],
    not_before: Annotated[str | None, typer.Option("--from", metavar="TIME", help="From when on; at once unless given.")] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Until when: 2026-12-31 (UTC), or 30d from now.")] = None,
) -> None:
    """Let renters through the gates of a dataset's open offers, for a time if you like."""

    async def work(cloud: AsyncCloud) -> list[str]:
        return list(await cloud.data.admit(dataset, renters, not_before=not_before, until=until))

    gates = session.with_wallet(work)
    session.answer(
        {"gates": gates, "renters": renters}, lambda out: out.print(f"{len(renters)} admitted at {', '.join(gates)}", soft_wrap=True)
    )


def revoke(
    session: Session,
    dataset: DatasetArgument,
    order: Annotated[str | None, typer.Option(parser=hash32, metavar="HASH", help="Only this order.")] = None,
    renter: Annotated[str | None, typer.Option("--from", parser=address, metavar="ADDRESS", help="Only this renter.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Everything that can be used now.")] = False,
) -> None:
    """Take access back, before the next key goes out: one order's, one renter's, or all."""
    if (order is not None) + (renter is not None) + every != 1:
        raise typer.BadParameter("say what: --order, --from or --all")

    async def work(cloud: AsyncCloud) -> list[str]:
        if order is not None:
            return [await cloud.data.revoke(dataset, order)]
        if renter is not None:
            return list(await cloud.data.shut_out(dataset, renter))
        return list(await cloud.data.revoke_all(dataset))

    done = session.with_wallet(work)
    session.answer(
        {"orders": done}, lambda out: out.print("\n".join(f"revoked {each}" for each in done) or "nothing to revoke", soft_wrap=True)
    )


def granted(
    session: Session,
    dataset: DatasetArgument,
    every: Annotated[bool, typer.Option("--all", help="Also what is used up, closed or revoked.")] = False,
) -> None:
    """List who may use a dataset on which conditions."""
    _answer_granted(session, session.with_wallet(lambda cloud: cloud.data.granted(dataset, is_open=not every)))


def transfer(
    session: Session,
    dataset: DatasetArgument,
    owner: Annotated[str, typer.Argument(parser=address, metavar="ADDRESS", help="Who gets it.")],
) -> None:
    """Give a dataset to another owner, with its gates; orders that were signed for it count no more."""

    async def work(cloud: AsyncCloud) -> None:
        await cloud.data.transfer(dataset, owner)

    session.with_wallet(work)
    session.answer({"dataset": dataset, "owner": owner}, lambda out: out.print(f"{dataset} is {owner}'s now", soft_wrap=True))


def listing(session: Session) -> None:
    """List the wallet's datasets."""
    found = session.with_wallet(lambda cloud: cloud.data.owned())
    from voisin.cli.data_shown import data_document
    from voisin.cli.show import table

    rows = [(each.info.name, each.dataset, str(len(each.granted))) for each in found]
    columns = ("name", "dataset", "offers")
    session.answer(
        [data_document(each) for each in found],
        lambda out: out.print(table("Datasets", columns, rows, right=("offers",)) if rows else "no datasets"),
    )


def encrypt(
    session: Session,
    path: Annotated[Path, typer.Argument(metavar="FILE", help="The file.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where it goes; FILE.enc unless given.")] = None,
    key_file: Annotated[Path | None, typer.Option(metavar="FILE", help="Where its new key goes; FILE.key unless given.")] = None,
) -> None:
    """Only encrypt a file with a new key, in the form that the protocol's clients and enclaves read; `protect` does all of it."""
    from voisin.client.datasets import encrypt_file

    target = output or path.with_name(path.name + ".enc")
    key = key_file or path.with_name(path.name + ".key")
    checksum = encrypt_file(path, target, key)
    document = {"path": str(target), "key_file": str(key), "checksum": checksum}
    session.answer(
        document, lambda out: out.print(f"{target}\nchecksum {checksum}\nkey in {key}; keep it to yourself and the vault", soft_wrap=True)
    )


def _teller(session: Session) -> Callable[[Told], None]:
    from voisin.cli.data_shown import told_line

    def tell(told: Told) -> None:
        session.err.print(told_line(told), style="dim", soft_wrap=True)

    return tell


def _answer_data(session: Session, found: ProtectedData) -> None:
    from voisin.cli.data_shown import data_document, show_data

    session.answer(data_document(found), lambda out: show_data(out, found))


def _answer_granted(session: Session, found: list[Granted], *, is_one: bool = False) -> None:
    from voisin.cli.data_shown import granted_document, show_granted

    documents = [granted_document(each) for each in found]
    session.answer(documents[0] if is_one else documents, lambda out: show_granted(out, found))


command(app, "protect", example='voisin data protect patients.csv --price "0.1 RLC" --uses 100 --until 30d --max-output 1MB')(protect)
command(app, "grant", example='voisin data grant 0x… --price "0.05 RLC" --uses 10 --for 0x…')(grant)
command(app, "confirm", example="voisin data confirm")(confirm)
command(app, "admit", example="voisin data admit 0x… 0x… --until 30d")(admit)
command(app, "revoke", example="voisin data revoke 0x… --all")(revoke)
command(app, "granted", example="voisin data granted 0x…")(granted)
command(app, "transfer", example="voisin data transfer 0x… 0x…")(transfer)
command(app, "list", example="voisin data list")(listing)
command(app, "encrypt", example="voisin data encrypt patients.csv")(encrypt)
