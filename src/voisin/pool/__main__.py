"""
One scheduler as a process: `python -m voisin.pool`, told everything by its environment.

`VOISIN_POOL_KEYSTORE` names the scheduler's keystore file and `VOISIN_POOL_PASSWORD_FILE` a file with its password; every setting of
`PoolSettings` can be given as `VOISIN_POOL_<NAME>`. Several may share a PostgreSQL database, each with its own `VOISIN_POOL_SCHEDULER`.
"""

from __future__ import annotations

import os
import sys
from functools import partial

from voisin.chain.keystore import wallet_from_environment
from voisin.pool.opening import serve_pool
from voisin.pool.settings import PoolSettings
from voisin.service.program import run_service


def main() -> int:
    """Serve until a signal comes; answers the exit code."""
    return run_service(lambda: partial(serve_pool, PoolSettings(), wallet_from_environment(os.environ, "VOISIN_POOL_")))


if __name__ == "__main__":
    sys.exit(main())
