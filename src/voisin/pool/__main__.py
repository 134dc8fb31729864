"""
One scheduler as a process: `python -m voisin.pool`, told everything by its environment.

`VOISIN_POOL_KEYSTORE` names the scheduler's keystore file and `VOISIN_POOL_PASSWORD_FILE` a file with its password; every setting of
`PoolSettings` can be given as `VOISIN_POOL_<NAME>`. Several may share a PostgreSQL database, each with its own `VOISIN_POOL_SCHEDULER`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import anyio
from pydantic import ValidationError

from voisin.chain.keystore import load_keystore
from voisin.errors import InputError, VoisinError
from voisin.pool.opening import serve_pool
from voisin.pool.settings import PoolSettings
from voisin.protocol.signatures import KeySigner


def main() -> int:
    """Serve until a signal comes; 2 when what it was told cannot be used, 1 when it cannot go on."""
    try:
        settings, wallet = PoolSettings(), _wallet()
    except (ValidationError, VoisinError) as error:
        sys.stderr.write(f"the settings are wrong: {error}\n")
        return 2
    try:
        anyio.run(serve_pool, settings, wallet)
    except VoisinError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _wallet() -> KeySigner:
    paths = []
    for name in ("VOISIN_POOL_KEYSTORE", "VOISIN_POOL_PASSWORD_FILE"):
        if not os.environ.get(name):
            raise InputError(f"the variable {name} is missing", hint="set it to the path of the file")
        paths.append(Path(os.environ[name]))
    try:
        password = paths[1].read_text().strip()
    except OSError as error:
        raise InputError(f"the password file {paths[1]} cannot be read: {error.strerror}", hint="check the path") from None
    return load_keystore(paths[0], password)


if __name__ == "__main__":
    sys.exit(main())
