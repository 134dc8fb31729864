"""`voisin pool run` and `voisin worker join` as processes: a pool registers itself, workers join it, and it sells and runs tasks."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx

import voisin
from tests.integration.client_rig import Rig, running_rig
from tests.support.listening_enclave import listening_enclave
from tests.support.patience import a_moment
from voisin.client.services import PoolDesk, Service
from voisin.protocol.wire_words import EnclaveKind

LOOK_S = 0.2
"""Pause between two looks at what another process does [s]."""
NOOP = Path(__file__).parents[2] / "apps" / "noop"


@contextmanager
def service(rig: Rig, wallet: str, *words: str) -> Iterator[Any]:
    """Run a serving command until the context ends; answers what it says when it is ready."""
    options = ["--home", str(rig.home), "--wallet", wallet, "--password-file", str(rig.home / "password"), "--json"]
    log = rig.home / f"{words[0]}-{wallet}.log"
    with log.open("wb") as stderr:
        process = subprocess.Popen([sys.executable, "-m", "voisin", *words, *options], stdout=subprocess.PIPE, stderr=stderr, text=True)
    with process:
        try:
            assert process.stdout is not None
            lines = iter(process.stdout.readline, "")
            text = ""
            for line in lines:
                text += line
                if line == "}\n":
                    break
            assert text, log.read_text()
            yield json.loads(text)
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=60) == 0, log.read_text()


async def online(url: str) -> int:
    async with Service("pool", url) as pool:
        return sum(worker.online for worker in (await PoolDesk(pool).pool()).workers)


def test_a_pool_of_ones_own_sells_and_runs_tasks(tmp_path: Path) -> None:
    with running_rig(tmp_path) as (rig, portal):
        with service(rig, "scheduler", "pool", "run", "--price", "0.05 RLC", "--port", "0", "--description", "mine") as pool:
            joined = ("--slots", "1", "--memory", "256")
            with (
                service(rig, "worker-1", "worker", "join", pool["url"], *joined) as first,
                service(rig, "worker-2", "worker", "join", pool["url"], *joined),
            ):
                assert (first["name"], first["pool"]) == ("worker-1", pool["url"])
                portal.call(_until_offered, rig, pool)
                with voisin.connect(rig.home) as cloud:
                    result = cloud.run(NOOP, workerpool=pool["workerpool"], trust=3, timeout_s=120)
                    invoice = cloud.invoice(result.deal_id)
        assert (invoice.workerpool, invoice.price) == (pool["workerpool"], 50_000_000)
        assert set(result.workers) == {rig.workers[0].address, rig.workers[1].address}


def test_a_worker_joins_with_an_enclave_beside_it(tmp_path: Path) -> None:
    """By the command line alone: the enclave says what it is, the worker takes it only when told, and the pool lists it as what it is."""
    sells = ("pool", "run", "--price", "0.05 RLC", "--port", "0", "--allow-simulated", "--vault", "http://127.0.0.1:9")
    with running_rig(tmp_path) as (rig, portal), listening_enclave(f"unix:{tmp_path}/enclave.sock") as enclave:
        with service(rig, "scheduler", *sells) as pool:
            joins = ("worker", "join", pool["url"], "--slots", "1", "--memory", "256", "--enclave", enclave.address)
            options = ("--home", str(rig.home), "--wallet", "worker-1", "--password-file", str(rig.home / "password"))
            refused = subprocess.run([sys.executable, "-m", "voisin", *joins, *options], capture_output=True, text=True, check=False)
            assert refused.returncode == 1
            assert "is SIMULATED" in refused.stderr
            with service(rig, "worker-1", *joins, "--allow-simulated"):
                assert portal.call(_enclaves, pool["url"]) == {"worker-1": EnclaveKind.SIMULATED}
        assert "enclaves may be SIMULATED" in (rig.home / "worker-worker-1.log").read_text()


async def _enclaves(url: str) -> dict[str, EnclaveKind]:
    async with Service("pool", url) as pool:
        return {worker.name: worker.enclave for worker in (await PoolDesk(pool).pool()).workers}


async def _until_offered(rig: Rig, pool: dict[str, str]) -> None:
    """Wait until both workers are online and the pool offers what two workers reach together."""
    query = {"kind": "workerpool", "workerpool": pool["workerpool"], "min_trust": "4"}
    with anyio.fail_after(120):
        async with httpx.AsyncClient(base_url=rig.network.market_url) as market:
            while await online(pool["url"]) < 2 or not (await market.get("/v1/orders", params=query)).json()["orders"]:
                await a_moment()
