"""Running a pool from the command line, until the process is asked to stop."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TypedDict

import anyio
import anyio.to_thread

from voisin.chain import Sender, calls, open_chain
from voisin.cli.session import Session
from voisin.cli.until import until_signal
from voisin.client import Network
from voisin.pool import PoolSettings, announced, open_pool
from voisin.protocol.ids import Address
from voisin.protocol.signatures import KeySigner
from voisin.service.serving import serve_app
from voisin.units import NRLC


class PoolChoices(TypedDict):
    """What `voisin pool run` lets a person choose."""

    price: NRLC
    categories: tuple[int, ...]
    host: str
    port: int
    database: str
    scheduler: str
    vault: str
    enclave_policy: Path | None
    allow_simulated: bool


def run_own_pool(session: Session, description: str, choices: PoolChoices) -> None:
    """Run the wallet's workerpool until asked to stop."""
    scheduler = session.signer
    session.start_logs()

    async def work() -> None:
        entry = await pool_entry(session.network, scheduler, description)
        settings = PoolSettings(
            database_url=choices["database"] or f"sqlite:///{session.home / f'pool-{entry}.db'}",
            scheduler=choices["scheduler"],
            rpc_url=session.network.rpc_url,
            hub=session.network.hub,
            start_block=session.network.first_block,
            workerpool=entry,
            storage_url=session.network.storage_url,
            market_url=session.network.market_url,
            index_url=session.network.index_url,
            price=choices["price"],
            categories=choices["categories"],
            **_enclaves(choices, session.network),
        )
        async with (
            open_pool(settings, scheduler) as pool,
            serve_app(pool.app, host=choices["host"], port=choices["port"]) as url,
            announced(settings, pool.service.ledger.domain, scheduler, url, wall=time.time, duty=pool.service.lead),
        ):
            pool.service.answer_at(url)
            document = {"workerpool": entry, "scheduler": scheduler.address, "url": url}
            words = f"ready: workerpool {entry} on {url}; workers join with `voisin worker join {url}`; Ctrl-C stops"
            session.answer(document, lambda out: out.print(words))
            sys.stdout.flush()
            await until_signal()

    anyio.run(work)


class _Enclaves(TypedDict, total=False):
    """Settings about enclaves; what was not said is left to the environment."""

    vault_url: str
    enclave_policy_file: Path
    allow_simulated: bool


def _enclaves(choices: PoolChoices, network: Network) -> _Enclaves:
    found: _Enclaves = {}
    if vault := choices["vault"] or network.vault_url:
        found["vault_url"] = vault
    if choices["enclave_policy"] is not None:
        found["enclave_policy_file"] = choices["enclave_policy"]
    if choices["allow_simulated"]:
        found["allow_simulated"] = True
    return found


async def pool_entry(network: Network, scheduler: KeySigner, description: str) -> Address:
    """Find the wallet's workerpool of this description in the registry, and create it if it is not there."""
    async with open_chain(network.rpc_url, network.hub) as chain:
        entry = await chain.registries.predict_workerpool(scheduler.address, description)
        if not await chain.registries.is_workerpool(entry):
            await Sender(chain, scheduler).send(calls.create_workerpool(chain.workerpool_registry, scheduler.address, description))
        return entry
