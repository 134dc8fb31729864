"""
One worker as a process: `python -m voisin.worker`, told everything by its environment.

`VOISIN_WORKER_KEYSTORE` names the wallet's keystore file and `VOISIN_WORKER_PASSWORD_FILE` a file with its password; every setting
of `WorkerSettings` can be given as `VOISIN_WORKER_<NAME>`. It writes its log to standard error and ends on SIGTERM or SIGINT.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

import anyio

from voisin.chain.keystore import wallet_from_environment
from voisin.errors import InputError, VoisinError
from voisin.protocol.signatures import KeySigner
from voisin.service.background import stop_on_signal
from voisin.service.logs import configure_logs
from voisin.worker.run import run_worker
from voisin.worker.settings import PREFIX, WorkerSettings, settings_from_environment

OWN_SETTINGS = frozenset({"KEYSTORE", "PASSWORD_FILE"})


def load_wallet(environment: Mapping[str, str]) -> KeySigner:
    """
    Open the wallet that the environment names.

    Raises:
        InputError: A variable is missing, a file cannot be read, or the password is wrong.
    """
    return wallet_from_environment(environment, PREFIX)


def main() -> int:
    """Run until a signal comes; 2 when what it was told cannot be used, 1 when it cannot go on."""
    configure_logs()
    try:
        settings = settings_from_environment(os.environ, beside=OWN_SETTINGS)
        wallet = load_wallet(os.environ)
        anyio.run(_work, settings, wallet)
    except VoisinError as error:
        sys.stderr.write(f"worker: {error}\n")
        return 2 if isinstance(error, InputError) else 1
    return 0


async def _work(settings: WorkerSettings, wallet: KeySigner) -> None:
    failure: VoisinError | None = None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stop_on_signal, tasks.cancel_scope)
        try:
            await run_worker(settings, wallet)
        except VoisinError as error:
            failure = error
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure


if __name__ == "__main__":
    sys.exit(main())
