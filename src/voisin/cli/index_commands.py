"""The index: `index run | query | schema | pool | announce`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voisin.cli.reading import address
from voisin.cli.session import Session, command

if TYPE_CHECKING:
    from voisin.client import AsyncCloud
    from voisin.index import IndexSettings

app = typer.Typer(name="index", help="The index: what has happened on the chain, asked in GraphQL; and where pools answer.")

SubgraphOption = Annotated[str, typer.Option(metavar="NAME", help="Schema that is asked: the protocol's unless given, or dataprotector.")]
PoolArgument = Annotated[str, typer.Argument(parser=address, metavar="WORKERPOOL", help="The workerpool's entry.")]


def run(
    session: Session,
    database: Annotated[str, typer.Option(metavar="URL", help="Where records are kept; SQLite in the home folder unless given.")] = "",
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65_535)] = 8000,
) -> None:
    """Run an index of the market's chain until Ctrl-C."""
    from voisin.index import IndexSettings

    network = session.network
    settings = IndexSettings(
        database_url=database or f"sqlite:///{session.home / 'index.db'}",
        rpc_url=network.rpc_url,
        hub=network.hub,
        start_block=network.first_block,
        storage_url=network.storage_url,
        host=host,
        port=port,
    )
    _serve(session, settings)


def _serve(session: Session, settings: IndexSettings) -> None:
    import anyio

    from voisin.cli.until import until_signal
    from voisin.index import open_index
    from voisin.service.serving import serve_app

    session.start_logs()

    async def work() -> None:
        async with open_index(settings) as index, serve_app(index.app, host=settings.host, port=settings.port) as url:
            session.answer({"url": url, "hub": settings.hub}, lambda out: out.print(f"ready: {url}/graphql; Ctrl-C stops"))
            sys.stdout.flush()
            await until_signal()

    anyio.run(work)


def query(
    session: Session,
    text: Annotated[str, typer.Argument(metavar="QUERY", help="The query, or @ and the name of a file.")],
    variables: Annotated[str, typer.Option(metavar="JSON", help="The query's variables.")] = "{}",
    subgraph: SubgraphOption = "",
) -> None:
    """Ask the index in GraphQL; the answer is JSON."""
    import msgspec

    from voisin.protocol.codec import decode

    asked = Path(text[1:]).read_text() if text.startswith("@") else text
    given = decode(variables, dict[str, object], "the variables")

    async def work(cloud: AsyncCloud) -> dict[str, object]:
        return await cloud.ask_index(asked, given, subgraph)

    found = session.with_cloud(work)
    shown = msgspec.json.format(msgspec.json.encode(found), indent=2).decode()
    session.answer(found, lambda out: out.print(shown, markup=False, highlight=False, soft_wrap=True))


def schema(session: Session, subgraph: SubgraphOption = "") -> None:
    """Print the schema of the index: every entity, field and filter there is."""
    from voisin.index.dataprotector import DATAPROTECTOR
    from voisin.index.poco import POCO
    from voisin.index.sdl import write_sdl

    text = write_sdl(DATAPROTECTOR if subgraph == DATAPROTECTOR.name else POCO)
    session.answer({"schema": text}, lambda out: out.print(text, markup=False, highlight=False, soft_wrap=True))


def pool(session: Session, workerpool: PoolArgument) -> None:
    """Tell where a workerpool answers, as its owner said."""

    async def work(cloud: AsyncCloud) -> str:
        return await cloud.pool_url(workerpool)

    url = session.with_cloud(work)
    session.answer({"workerpool": workerpool, "url": url}, lambda out: out.print(url, markup=False, soft_wrap=True))


def announce(
    session: Session,
    workerpool: PoolArgument,
    url: Annotated[str, typer.Argument(metavar="URL", help="Where it answers.")],
    days: Annotated[float, typer.Option(help="For how long that counts.", min=0.001, max=30)] = 1,
) -> None:
    """Say, as its owner, where a workerpool answers; a running pool does that by itself."""

    async def work(cloud: AsyncCloud) -> None:
        await cloud.announce_pool(workerpool, url, days)

    session.with_wallet(work)
    words = f"{workerpool} answers on {url}"
    session.answer({"workerpool": workerpool, "url": url, "days": days}, lambda out: out.print(words, markup=False, soft_wrap=True))


command(app, "run", example="voisin index run --port 8000")(run)
command(app, "query", example='voisin index query "{ deals(first: 5) { id requester { id } } }"')(query)
command(app, "schema", example="voisin index schema")(schema)
command(app, "pool", example="voisin index pool 0x…")(pool)
command(app, "announce", example="voisin index announce 0x… https://pool.example:13000 --wallet scheduler")(announce)
