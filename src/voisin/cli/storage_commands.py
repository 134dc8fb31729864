"""Files in storage: `storage add | get`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voisin.cli.session import Session, command

if TYPE_CHECKING:
    from voisin.protocol.ipld import Name

app = typer.Typer(name="storage", help="Storage: put files where workers and others find them by their content.")


def add(session: Session, path: Annotated[Path, typer.Argument(metavar="FILE", help="The file.")]) -> None:
    """Store a file; it gets the identifier (CID) that IPFS gives it, by which anybody may fetch and check it."""
    import anyio

    from voisin.storage import StorageClient

    async def work() -> Name:
        async with StorageClient(session.network.storage_url) as storage:
            return await storage.add_file(path)

    name = anyio.run(work)
    url = f"{session.network.storage_url}/ipfs/{name}"
    session.answer({"cid": str(name), "url": url}, lambda out: out.print(f"{name}\n{url}", soft_wrap=True))


def get(
    session: Session,
    what: Annotated[str, typer.Argument(metavar="CID", help="Its identifier; for a file in a folder, CID/path.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Where it goes; named after what is fetched unless given.")] = None,
    max_size: Annotated[int, typer.Option(help="Most that is taken [MiB].", min=1)] = 1024,
) -> None:
    """Fetch a file from storage, and check every byte of it against its identifier."""
    import anyio

    from voisin.errors import InputError
    from voisin.protocol.ipld import parse_name
    from voisin.storage import StorageClient
    from voisin.storage.fetching import fetch_file

    root, *parts = [part for part in what.removeprefix("/ipfs/").split("/") if part] or [""]
    name = parse_name(root)
    if output is None and (parts or [root])[-1] in (".", ".."):
        raise InputError(f"{what!r} gives the file no name", hint="choose one with --output")
    target = output or Path((parts or [root])[-1])
    if target.exists():
        raise InputError(f"{target} is there already", hint="choose another name with --output")

    async def work() -> int:
        async with StorageClient(session.network.storage_url) as storage:
            return await fetch_file(storage, name, parts, target, max_bytes=max_size << 20)

    size = anyio.run(work)
    session.answer({"cid": str(name), "path": str(target), "size": size}, lambda out: out.print(f"{target} ({size} bytes)", soft_wrap=True))


command(app, "add", example="voisin storage add scene.json")(add)
command(app, "get", example="voisin storage get bafkrei… --output scene.json")(get)
