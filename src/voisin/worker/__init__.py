"""
The worker: a machine that joins a pool, runs apps in a sandbox, and earns by agreeing with the others on what came out.

    from voisin.worker import WorkerSettings, run_worker

    await run_worker(WorkerSettings(pool_url="http://127.0.0.1:8547", rpc_url="http://127.0.0.1:8545", folder=Path("w1")), wallet)
"""

from voisin.worker.ports import Ledger, Parts, Runner, Storage
from voisin.worker.run import open_worker, run_worker
from voisin.worker.service import Worker
from voisin.worker.settings import WorkerSettings, settings_from_environment
from voisin.worker.vocabulary import Connected, Disconnected, Failed, Moved, News, Phase, Settled

__all__ = [
    "Connected",
    "Disconnected",
    "Failed",
    "Ledger",
    "Moved",
    "News",
    "Parts",
    "Phase",
    "Runner",
    "Settled",
    "Storage",
    "Worker",
    "WorkerSettings",
    "open_worker",
    "run_worker",
    "settings_from_environment",
]
