"""
The pool: turns deals into tasks, tasks into replicas on workers, and agreed results into payments.

    from voisin.pool import PoolSettings, open_pool

    async with open_pool(PoolSettings(rpc_url=..., hub=..., workerpool=...), scheduler) as pool:
        ...  # serve pool.app
"""

from voisin.pool.opening import Pool, open_pool, run_pool, serve_pool
from voisin.pool.selling.announcing import announced
from voisin.pool.settings import PoolSettings

__all__ = ["Pool", "PoolSettings", "announced", "open_pool", "run_pool", "serve_pool"]
