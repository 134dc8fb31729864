"""A vault beside the market of `client_rig`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from anyio.from_thread import BlockingPortal

from tests.integration.client_rig import Rig
from voisin.service.serving import serve_app
from voisin.vault import VaultSettings, create_key_file, open_vault


@contextmanager
def vault_beside(rig: Rig, portal: BlockingPortal, folder: Path, **changes: Any) -> Iterator[str]:
    """Serve a vault for the rig's hub; one that was there before goes on."""
    (folder / "data").mkdir(exist_ok=True)
    if not (folder / "vault.key").exists():
        create_key_file(folder / "vault.key")
    settings = VaultSettings(
        database_url=f"sqlite:///{folder}/data/vault.sqlite",
        key_file=folder / "vault.key",
        rpc_url=rig.network.rpc_url,
        hub=rig.network.hub,
        **changes,
    )
    with (
        portal.wrap_async_context_manager(open_vault(settings)) as vault,
        portal.wrap_async_context_manager(serve_app(vault.app)) as url,
    ):
        yield url
