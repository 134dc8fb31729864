"""
An installed anvil in the place of our own chain: started as a child process with the same chain id, accounts and balances.

It differs in what cannot be set: its base fee falls and rises as on the main network, every block is at least a second after the
one before, and its state is written when it stops and every few seconds, so that a kill loses what came last.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.abc
import httpx

from voisin.chain.devnet.accounts import TEST_MNEMONIC
from voisin.chain.devnet.node import Devnet
from voisin.chain.devnet.settings import DevnetSettings
from voisin.chain.devnet.wire.errors import REVERT_CODE, foreign_error, revert_error
from voisin.chain.devnet.wire.params import Json
from voisin.errors import InputError, UnavailableError
from voisin.service.serving import bind

_START_S = 30.0
_STOP_S = 20.0
_POLL_S = 0.02
_DUMP_INTERVAL_S = 5
_SQLITE_MAGIC = b"SQLite format 3\0"


class AnvilDevnet(Devnet):
    """
    A running anvil.

    Args:
        rpc_url: Where it answers JSON-RPC over HTTP.
        chain_id: Its chain id.
        http: Client to call it with.
    """

    def __init__(self, rpc_url: str, *, chain_id: int, http: httpx.AsyncClient) -> None:
        super().__init__(rpc_url, chain_id=chain_id)
        self._http = http

    async def request(self, method: str, params: list[Json] | None = None) -> Json:
        """Call a method; see `Devnet`."""
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params or []}
        try:
            answer = (await self._http.post(self.rpc_url, json=body)).json()
        except (httpx.HTTPError, ValueError) as error:
            raise UnavailableError(f"anvil does not answer: {error}", hint="see whether its process still runs") from error
        failure = answer.get("error")
        if failure is None:
            return answer.get("result")  # type: ignore[no-any-return]  # any JSON
        if failure.get("code") == REVERT_CODE:
            raise revert_error(bytes.fromhex(str(failure.get("data") or "0x")[2:]))
        raise foreign_error(int(failure.get("code", 0)), str(failure.get("message", "")))


@asynccontextmanager
async def serve_anvil(settings: DevnetSettings) -> AsyncIterator[AnvilDevnet]:
    """
    Run an installed anvil for as long as the context is open.

    Args:
        settings: How it is set up.

    Yields:
        The running chain.

    Raises:
        InputError: The settings ask for what anvil cannot do, or the file is something else.
        UnavailableError: anvil is not installed, or does not start.
    """
    _require_possible(settings)
    binary = find_anvil()
    with bind(settings.host, settings.port) as listener:
        port = int(listener.getsockname()[1])
    is_new = settings.db is None or not settings.db.exists()
    command = [str(binary), *_arguments(settings, port)]
    async with httpx.AsyncClient(timeout=_START_S) as http:
        process = await anyio.open_process(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            host = f"[{settings.host}]" if ":" in settings.host else settings.host
            node = AnvilDevnet(f"http://{host}:{port}", chain_id=settings.chain_id, http=http)
            await _wait_until_up(node, process)
            for address, balance in settings.allocation.items() if is_new else ():
                await node.request("anvil_setBalance", [address, hex(balance)])
            yield node
        finally:
            with anyio.CancelScope(shield=True):
                await _stop(process)


def find_anvil(start: Path | None = None) -> Path:
    """
    Find an installed anvil: on PATH, or where npm puts it in this folder or one above.

    Args:
        start: Folder to begin with; None takes the current one.

    Returns:
        The program.

    Raises:
        UnavailableError: There is none; says how to get it.
    """
    found = shutil.which("anvil")
    if found:
        return Path(found)
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        for program in sorted(folder.glob("node_modules/@foundry-rs/anvil-*/bin/anvil")):
            if os.access(program, os.X_OK):
                return program
    raise UnavailableError("anvil is not installed", hint='run "npm install @foundry-rs/anvil", or use the engine jit, which needs nothing')


def _require_possible(settings: DevnetSettings) -> None:
    impossible = {
        "hold receipts back (nonce_settle_ms)": settings.nonce_settle_ms > 0,
        "survive a power cut (is_durable)": settings.is_durable,
        "do without development methods (has_dev_methods)": not settings.offers_dev_methods,
    }
    for what, is_asked in impossible.items():
        if is_asked:
            raise InputError(f"anvil cannot {what}", hint="use the engine jit")
    if settings.db is not None and settings.db.is_file():
        with settings.db.open("rb") as file:
            if file.read(len(_SQLITE_MAGIC)) == _SQLITE_MAGIC:
                raise InputError(f"{settings.db} holds a chain of the embedded engines", hint="use that engine, or choose another file")


def _arguments(settings: DevnetSettings, port: int) -> list[str]:
    arguments = {
        "--host": settings.host,
        "--port": port,
        "--chain-id": settings.chain_id,
        "--accounts": settings.accounts,
        "--balance": 10_000,
        "--mnemonic": TEST_MNEMONIC,
        "--base-fee": settings.base_fee,
        "--gas-limit": settings.gas_limit,
        "--hardfork": "prague",
    }
    found = ["--quiet", *(str(part) for pair in arguments.items() for part in pair)]
    if settings.db is not None:
        found += ["--state", str(settings.db), "--state-interval", str(_DUMP_INTERVAL_S), "--preserve-historical-states"]
    return [*found, *(["--allow-origin", settings.cors_origin] if settings.cors_origin else ["--no-cors"])]


async def _wait_until_up(node: AnvilDevnet, process: anyio.abc.Process) -> None:
    with anyio.move_on_after(_START_S):
        while process.returncode is None:
            try:
                await node.request("eth_chainId")
            except UnavailableError:
                await anyio.sleep(_POLL_S)
            else:
                return
    raise UnavailableError("anvil did not start", hint='run "anvil" by hand to see why; its state file may be of another version')


async def _stop(process: anyio.abc.Process) -> None:
    if process.returncode is None:
        process.terminate()
        with anyio.move_on_after(_STOP_S):
            await process.wait()
    if process.returncode is None:
        process.kill()
        await process.wait()
    await process.aclose()
