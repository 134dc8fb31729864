"""
The vault of a box as a process of its own, so that the keys it holds are in no other process's memory.

`python -m voisin.box.vault_process` takes a `VaultSpec` on standard input, says its address on standard output, and ends with the box.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import anyio
import msgspec
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from voisin.enclave.memory import close_doors
from voisin.errors import UnavailableError, VoisinError
from voisin.protocol.codec import decode, encode
from voisin.protocol.ids import Address
from voisin.service.logs import configure_logs
from voisin.vault import VaultSettings
from voisin.vault.opening import serve_vault

START_S: Final = 60.0
STOP_S: Final = 5.0
_MAX_URL_BYTES: Final = 1_024


class VaultSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the process is told, as one line of JSON; paths of keys, never keys."""

    database_url: str
    key_file: str
    rpc_url: str
    hub: Address
    host: str
    port: int

    def settings(self) -> VaultSettings:
        """Give them as the vault's settings."""
        return VaultSettings(
            database_url=self.database_url,
            key_file=Path(self.key_file),
            rpc_url=self.rpc_url,
            hub=self.hub,
            host=self.host,
            port=self.port,
            allow_simulated=True,
        )


@asynccontextmanager
async def vault_beside(spec: VaultSpec, log_file: Path) -> AsyncIterator[str]:
    """
    Run a vault as a process of its own for as long as the context lasts.

    Args:
        spec: How it is set up.
        log_file: Where its log goes.

    Yields:
        Its address.

    Raises:
        UnavailableError: It does not start.
    """
    log_file.parent.mkdir(parents=True, exist_ok=True)
    with log_file.open("ab") as log:
        command = [sys.executable, "-m", "voisin.box.vault_process"]
        process = await anyio.open_process(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, start_new_session=True)
    try:
        yield await _address(process, spec, log_file)
    finally:
        with anyio.CancelScope(shield=True):
            await _stop(process)


async def _address(process: Process, spec: VaultSpec, log_file: Path) -> str:
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        with anyio.fail_after(START_S):
            await process.stdin.send(encode(spec) + b"\n")
            line = await BufferedByteReceiveStream(process.stdout).receive_until(b"\n", _MAX_URL_BYTES)
    except (TimeoutError, anyio.IncompleteRead, anyio.BrokenResourceError, anyio.DelimiterNotFound):
        raise UnavailableError("the vault does not start", hint=f"see {log_file}") from None
    return line.decode()


async def _stop(process: Process) -> None:
    if process.returncode is None:
        process.terminate()
        with anyio.move_on_after(STOP_S):
            await process.wait()
    if process.returncode is None:
        process.kill()
        await process.wait()
    await process.aclose()


def main() -> int:
    """Serve until the box is gone; 1 when the vault cannot go on."""
    configure_logs()
    close_doors()
    spec = decode(sys.stdin.readline(), VaultSpec, "the vault's order")
    threading.Thread(target=_follow_box, daemon=True).start()

    def ready(url: str) -> None:
        sys.stdout.write(f"{url}\n")
        sys.stdout.flush()

    async def serve() -> None:
        await serve_vault(spec.settings(), ready=ready)

    try:
        anyio.run(serve)
    except VoisinError as error:
        sys.stderr.write(f"vault: {error}\n")
        return 1
    return 0


def _follow_box() -> None:
    """Stop when the box's end of the pipe closes."""
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
