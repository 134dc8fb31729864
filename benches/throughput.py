"""
How many tasks that do nothing go through the box in a second, and how long one of them takes; beside Dask, Ray and Parsl on the same.

    python benches/throughput.py [--tasks 20000] [--singles 20] [--ours]

Ours is the whole way: a deal on the chain, signed words between pool and workers, results in storage, each fetched and checked by the
client; the app runs in sandbox processes. The others run the same module inside of their own workers, without sandbox, pay or proof, and
are left out where they are not installed (`make .venv/.bench`).
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import anyio

from voisin.box.service import open_box
from voisin.box.settings import BoxSettings
from voisin.client import AsyncCloud, Progress, connect_async
from voisin.service.logs import configure_logs

NOOP = Path(__file__).resolve().parent.parent / "apps" / "noop"
RIVALS = Path(__file__).resolve().parent / "rivals" / "noop.py"
WORKERS, WARM_UP, WINDOW_S = 4, 200, 5
OTHERS = {"dask": "distributed", "ray": "ray", "parsl": "parsl"}
PAGE_BYTES, TICKS_PER_S = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_CLK_TCK")


# --- what processes use ----------------------------------------------------------------------------------------------


def family() -> dict[int, tuple[str, float, int]]:
    """This process and its children: in a word what each is, processor time [s], memory [bytes]."""
    found: dict[int, tuple[int, str, float, int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
                pages = int((folder / "statm").read_text().split()[1])
                what = _role(int(folder.name), (folder / "cmdline").read_text())
            except OSError:
                continue
            found[int(folder.name)] = (int(fields[1]), what, (int(fields[11]) + int(fields[12])) / TICKS_PER_S, pages * PAGE_BYTES)
    kin = {os.getpid()}
    while more := {pid for pid, (parent, *_) in found.items() if parent in kin} - kin:
        kin |= more
    return {pid: found[pid][1:] for pid in kin if pid in found}


def _role(pid: int, command: str) -> str:
    if pid == os.getpid():
        return "chain, market, pool, storage and client"
    return "workers" if "worker_process" in command else "sandbox processes" if "voisin.sandbox" in command else "others"


def shares(before: dict[int, tuple[str, float, int]], after: dict[int, tuple[str, float, int]], tasks: int) -> dict[str, float]:
    """Processor time of a task by role [ms]."""
    spent: dict[str, float] = {}
    for pid, (role, used_s, _) in after.items():
        spent[role] = spent.get(role, 0.0) + 1e3 * (used_s - (before[pid][1] if pid in before else 0.0)) / tasks
    return spent


def memory(found: dict[int, tuple[str, float, int]]) -> dict[str, int]:
    """Memory by role [MiB]."""
    held: dict[str, int] = {}
    for role, _, size in found.values():
        held[role] = held.get(role, 0) + size
    return {role: size >> 20 for role, size in held.items()}


# --- ours ------------------------------------------------------------------------------------------------------------


async def ours(tasks: int, singles: int) -> list[tuple[str, str]]:
    """Measure the box."""
    os.environ.setdefault("VOISIN_POOL_VOLUME", str(tasks + WARM_UP + singles + 10))
    with tempfile.TemporaryDirectory() as folder:
        async with open_box(BoxSettings(home=Path(folder), workers=WORKERS, slots=1, port=0)), connect_async(home=folder) as cloud:
            await cloud.map(NOOP, [[number] for number in range(WARM_UP)], trust=1, window_s=WINDOW_S)
            rows = await _throughput(cloud, tasks)
            return [*rows, await _latency(cloud, singles)]


async def _throughput(cloud: AsyncCloud, tasks: int) -> list[tuple[str, str]]:
    memories: dict[int, dict[str, int]] = {}

    def look(progress: Progress) -> None:
        quarter = 4 * progress.completed // tasks
        if quarter and quarter not in memories:
            memories[quarter] = memory(family())

    before, began = family(), time.perf_counter()
    results = await cloud.map(NOOP, [[number] for number in range(tasks)], trust=1, window_s=WINDOW_S, progress=look)
    took_s, after = time.perf_counter() - began, family()
    assert len(results) == tasks
    rows = [(f"tasks a second, {tasks} tasks from the call to the last checked result", f"{tasks / took_s:,.0f}")]
    rows += [(f"processor time of a task: {role}", f"{ms:.2f} ms") for role, ms in sorted(shares(before, after, tasks).items())]
    for quarter, held in sorted(memories.items()):
        rows.append((f"memory after {quarter} quarters", ", ".join(f"{role}: {size} MiB" for role, size in sorted(held.items()))))
    return rows


async def _latency(cloud: AsyncCloud, singles: int) -> tuple[str, str]:
    times = []
    for number in range(singles):
        quote = await cloud.quote(NOOP, [[number]], trust=1, window_s=WINDOW_S)
        job = await cloud.start(quote)
        began = time.perf_counter()
        await job.result(0)
        times.append(time.perf_counter() - began)
    return "one verified task, from its match to the checked result, median", f"{1e3 * statistics.median(times):.0f} ms"


# --- the others ------------------------------------------------------------------------------------------------------


def other(name: str, tasks: int) -> str:
    """Measure one of the others in a process of its own; answers tasks a second."""
    if importlib.util.find_spec(OTHERS[name]) is None:
        return "not installed"
    command = [sys.executable, str(RIVALS), name, str(tasks), str(WORKERS), str(NOOP / "noop.wasm")]
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"  # where Parsl looks for its own
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "PATH": programs})
    if done.returncode:
        return f"failed: {(done.stderr.strip().splitlines() or ['?'])[-1][:100]}"
    return f"{tasks / json.loads(done.stdout.splitlines()[-1]):,.0f}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--tasks", type=int, default=20_000)
    parser.add_argument("--singles", type=int, default=20)
    parser.add_argument("--ours", action="store_true", help="measure nothing but ours")
    asked = parser.parse_args()
    configure_logs(level=50)
    rows = anyio.run(ours, asked.tasks, asked.singles)
    rows += [] if asked.ours else [(f"{name}: tasks a second, no sandbox, no pay, no proof", other(name, asked.tasks)) for name in OTHERS]
    print("### Throughput of a task that does nothing\n\n| what | figure |\n| --- | ---: |")
    for what, figure in rows:
        print(f"| {what} | {figure} |")


if __name__ == "__main__":
    main()
