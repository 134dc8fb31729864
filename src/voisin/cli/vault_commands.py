"""Running a vault: `vault key | run`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voisin.cli.session import Session, command

if TYPE_CHECKING:
    from voisin.vault import VaultSettings

app = typer.Typer(name="vault", help="Vaults: keep secrets for their owners, and hand them to enclaves.")


def key(session: Session, path: Annotated[Path, typer.Argument(metavar="FILE", help="Where the key goes; there must be none.")]) -> None:
    """Make a new key for a vault's records, in a file that only its owner may read; keep it away from the records."""
    from voisin.vault import create_key_file

    key_id = create_key_file(path)
    session.answer({"path": str(path), "key_id": key_id}, lambda out: out.print(f"{path} (key {key_id})", soft_wrap=True))


def run(
    session: Session,
    key_file: Annotated[Path, typer.Option(metavar="FILE", help="The key of the records, made by `voisin vault key`.")],
    database: Annotated[str, typer.Option(metavar="URL", help="Where records are kept; SQLite in the home folder unless given.")] = "",
    allow_simulated: Annotated[bool, typer.Option("--allow-simulated", help="Also serve simulated enclaves, which hide nothing.")] = False,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65_535)] = 13300,
) -> None:
    """Run a vault for the market until Ctrl-C; put a proxy that speaks TLS before it when others reach it over a network."""
    from voisin.vault import VaultSettings

    folder = session.home / "vault"
    if not database:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings = VaultSettings(
        database_url=database or f"sqlite:///{folder / 'vault.sqlite'}",
        key_file=key_file,
        rpc_url=session.network.rpc_url,
        hub=session.network.hub,
        host=host,
        port=port,
        allow_simulated=allow_simulated,
    )
    _serve(session, settings)


def _serve(session: Session, settings: VaultSettings) -> None:
    import anyio

    from voisin.cli.until import until_signal
    from voisin.service.serving import serve_app
    from voisin.vault import open_vault

    session.start_logs()

    async def work() -> None:
        async with open_vault(settings) as vault, serve_app(vault.app, host=settings.host, port=settings.port) as url:
            view = vault.service.view()
            words = f"ready: vault {view.vault} on {url}; Ctrl-C stops"
            session.answer({"url": url, "vault": view.vault, "allow_simulated": view.allow_simulated}, lambda out: out.print(words))
            sys.stdout.flush()
            await until_signal()

    anyio.run(work)


command(app, "key", example="voisin vault key ~/keys/vault.key")(key)
command(app, "run", example="voisin vault run --key-file ~/keys/vault.key")(run)
