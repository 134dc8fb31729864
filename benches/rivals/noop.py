"""
How long Dask, Ray or Parsl take for many runs of a WebAssembly module, in a process of its own; see `benches/throughput.py`.

Prints a line of JSON, the time [s], as soon as it is known: ending their own processes may take them a while.

    python benches/rivals/noop.py dask|ray|parsl TASKS WORKERS MODULE
"""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
import time

WARM_UP = 200
STORE_BYTES = 100 << 20
"""What Ray may keep in shared memory [bytes]."""


def run_noop(path: str) -> int:
    """Run the module once; what can be kept from one run to the next is kept."""
    import wasmtime

    kept = wasmtime.__dict__.setdefault("_kept_by_bench", {})
    if path not in kept:
        engine = wasmtime.Engine()
        linker = wasmtime.Linker(engine)
        linker.define_wasi()
        kept[path] = engine, linker, wasmtime.Module.from_file(engine, path)
    engine, linker, module = kept[path]
    store = wasmtime.Store(engine)
    store.set_wasi(wasmtime.WasiConfig())
    try:
        linker.instantiate(store, module).exports(store)["_start"](store)
    except wasmtime.ExitTrap as exited:
        return int(exited.code)
    return 0


def _tell(began: float) -> None:
    print(json.dumps(time.perf_counter() - began), flush=True)


def dask(tasks: int, workers: int, module: str) -> None:
    """Time Dask."""
    from distributed import Client, LocalCluster

    with LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        client.gather(client.map(run_noop, [module] * WARM_UP, pure=False))
        began = time.perf_counter()
        client.gather(client.map(run_noop, [module] * tasks, pure=False))
        _tell(began)


def ray(tasks: int, workers: int, module: str) -> None:
    """Time Ray, with little shared memory and nothing beside."""
    import ray

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(
        num_cpus=workers,
        include_dashboard=False,
        logging_level=logging.ERROR,
        log_to_driver=False,
        object_store_memory=STORE_BYTES,
        _node_ip_address="127.0.0.1",
    )
    run = ray.remote(run_noop)
    ray.get([run.remote(module) for _ in range(WARM_UP)])
    began = time.perf_counter()
    ray.get([run.remote(module) for _ in range(tasks)])
    _tell(began)
    ray.shutdown()


def parsl(tasks: int, workers: int, module: str) -> None:
    """Time Parsl."""
    import parsl
    from parsl.config import Config
    from parsl.executors import HighThroughputExecutor
    from parsl.providers import LocalProvider

    with tempfile.TemporaryDirectory() as folder:
        executor = HighThroughputExecutor(
            address="127.0.0.1", max_workers_per_node=workers, provider=LocalProvider(init_blocks=1, max_blocks=1), encrypted=False
        )
        with parsl.load(Config(executors=[executor], run_dir=folder, initialize_logging=False)):
            run = parsl.python_app(run_noop)
            for done in [run(module) for _ in range(WARM_UP)]:
                done.result()
            began = time.perf_counter()
            for done in [run(module) for _ in range(tasks)]:
                done.result()
            _tell(began)


if __name__ == "__main__":
    name, tasks, workers, module = sys.argv[1:]
    {"dask": dask, "ray": ray, "parsl": parsl}[name](int(tasks), int(workers), module)
