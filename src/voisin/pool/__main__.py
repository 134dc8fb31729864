"""
One scheduler as a process: `python -m voisin.pool`, told everything by its environment.

`VOISIN_POOL_KEYSTORE` names the scheduler's keystore file and `VOISIN_POOL_PASSWORD_FILE` a file with its password; every setting of
`PoolSettings` can be given as `VOISIN_POOL_<NAME>`. Several may share a PostgreSQL database, each with its own `VOISIN_POOL_SCHEDULER`.
"""

from __future__ import annotations

import os
import sys

import anyio
from pydantic import ValidationError

from voisin.chain.keystore import wallet_from_environment
from voisin.errors import VoisinError
from voisin.pool.opening import serve_pool
from voisin.pool.settings import PoolSettings


def main() -> int:
    """Serve until a signal comes; 2 when what it was told cannot be used, 1 when it cannot go on."""
    try:
        settings, wallet = PoolSettings(), wallet_from_environment(os.environ, "VOISIN_POOL_")
    except (ValidationError, VoisinError) as error:
        sys.stderr.write(f"the settings are wrong: {error}\n")
        return 2
    try:
        anyio.run(serve_pool, settings, wallet)
    except VoisinError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
