"""One worker of a box, as a process: `python -m voisin.box.worker_process` with a `WorkerSpec` on standard input."""

from __future__ import annotations

import sys
from pathlib import Path

import anyio

from voisin.box.children import follow_box
from voisin.box.workers import WorkerSpec
from voisin.chain.keystore import load_keystore
from voisin.errors import VoisinError
from voisin.protocol.codec import decode
from voisin.protocol.signatures import KeySigner
from voisin.service.background import stop_on_signal
from voisin.service.logs import configure_logs
from voisin.service.pace import quick_turns
from voisin.worker import WorkerSettings, run_worker


def main() -> int:
    """Run until a signal comes or the box goes away; 1 when the worker cannot go on."""
    configure_logs()
    quick_turns()
    spec = decode(sys.stdin.readline(), WorkerSpec, "the worker's order")
    follow_box()
    refused: list[str] = []
    try:
        wallet = load_keystore(Path(spec.keystore), Path(spec.password_file).read_text().strip())
        anyio.run(_work, spec, wallet, backend_options={"use_uvloop": True})
    except* VoisinError as group:
        refused = [f"worker {spec.name}: {error}\n" for error in group.exceptions]
    sys.stderr.writelines(refused)
    return 1 if refused else 0


def worker_settings(spec: WorkerSpec) -> WorkerSettings:
    """Give the settings of a box's worker."""
    return WorkerSettings(
        name=spec.name,
        pool_url=spec.pool_url,
        rpc_url=spec.rpc_url,
        hub=spec.hub,
        folder=Path(spec.folder),
        slots=spec.slots,
        memory_bytes=spec.memory_bytes,
        disk_bytes=spec.disk_bytes,
        allow_simulated=True,
        allow_private_web=spec.allow_private_web,
    )


async def _work(spec: WorkerSpec, wallet: KeySigner) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stop_on_signal, tasks.cancel_scope)
        await run_worker(worker_settings(spec), wallet)
        tasks.cancel_scope.cancel()


if __name__ == "__main__":
    sys.exit(main())
