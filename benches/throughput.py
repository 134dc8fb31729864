"""
How many tasks that do nothing go through the box in a second, and how long one of them takes; beside Dask, Ray and Parsl on the same.

    python benches/throughput.py [--tasks 20000] [--singles 20] [--ours]

Ours is the whole way: a deal on the chain, signed words between pool and workers, results in storage, each fetched and checked by the
client, which has a process of its own; the app runs in sandbox processes. The others run the same module inside of their own workers,
without sandbox, pay or proof, and are left out where they are not installed (`make .venv/.bench`).
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import select
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import anyio
from anyio.streams.buffered import BufferedByteReceiveStream

from voisin.box.service import open_box
from voisin.box.settings import BoxSettings
from voisin.client import AsyncCloud, Progress, connect_async
from voisin.service.logs import configure_logs

NOOP = Path(__file__).resolve().parent.parent / "apps" / "noop"
RIVALS = Path(__file__).resolve().parent / "rivals" / "noop.py"
WORKERS, WARM_UP, WINDOW_S = 4, 200, 5
FLOOR, LATENCY_MS = 1_000, 150
"""What is claimed: at least so many tasks in a second, and one verified task in less than so many milliseconds."""
GROWTH = 1.1
"""How much more memory at the end than in the middle still counts as flat."""
RIVAL_TASKS, RIVAL_S, END_S = 5_000, 60, 3
"""Tasks of one of the others, most of its time until they are done, and for its ending [s]."""
OTHERS = {"dask": "distributed", "ray": "ray", "parsl": "parsl"}
WORKERS_ROLE, SANDBOX_ROLE = "workers", "sandbox processes"
PAGE_BYTES, TICKS_PER_S = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_CLK_TCK")
Family = dict[int, tuple[str, float, float, int]]
Rows = list[tuple[str, str]]


# --- what processes use ----------------------------------------------------------------------------------------------


def family(root: int = 0) -> Family:
    """This process, or another, and all below: in a word what each is, processor time, also of what ended below it [s], memory [bytes]."""
    found: dict[int, tuple[int, str, float, float, int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
                pages = int((folder / "statm").read_text().split()[1])
                what = _role(int(folder.name), (folder / "cmdline").read_text())
            except OSError:
                continue
            own, ended = ((int(fields[at]) + int(fields[at + 1])) / TICKS_PER_S for at in (11, 13))
            found[int(folder.name)] = (int(fields[1]), what, own, ended, pages * PAGE_BYTES)
    kin = {root or os.getpid()}
    while more := {pid for pid, (parent, *_) in found.items() if parent in kin} - kin:
        kin |= more
    return {pid: found[pid][1:] for pid in kin if pid in found}


def _role(pid: int, command: str) -> str:
    if pid == os.getpid():
        return "chain, market, pool and storage"
    roles = {"worker_process": WORKERS_ROLE, "voisin.sandbox": SANDBOX_ROLE, "--client": "client"}
    return next((role for mark, role in roles.items() if mark in command), "others")


def shares(before: Family, after: Family, tasks: int) -> dict[str, float]:
    """Processor time of a task by role [ms]; what has ended below the workers were sandbox processes."""
    spent: dict[str, float] = {}
    for pid, (role, used_s, ended_s, _) in after.items():
        _, own_before, ended_before, _ = before.get(pid, (role, 0.0, 0.0, 0))
        spent[role] = spent.get(role, 0.0) + 1e3 * (used_s - own_before) / tasks
        if role == WORKERS_ROLE:
            spent[SANDBOX_ROLE] = spent.get(SANDBOX_ROLE, 0.0) + 1e3 * (ended_s - ended_before) / tasks
    for pid, (role, used_s, _, _) in before.items():
        if pid not in after:  # what it had used before is among what has ended
            spent[role] = spent.get(role, 0.0) - 1e3 * used_s / tasks
    return spent


def memory(found: Family) -> dict[str, int]:
    """Memory by role [MiB]."""
    held: dict[str, int] = {}
    for role, *_, size in found.values():
        held[role] = held.get(role, 0) + size
    return {role: size >> 20 for role, size in held.items()}


# --- ours ------------------------------------------------------------------------------------------------------------


async def ours(tasks: int, singles: int) -> Rows:
    """Measure the box, with the client in a process of its own."""
    os.environ.setdefault("VOISIN_POOL_VOLUME", str(tasks + WARM_UP + singles + 10))
    with tempfile.TemporaryDirectory() as folder:
        async with open_box(BoxSettings(home=Path(folder), workers=WORKERS, slots=1, port=0)):
            command = [sys.executable, __file__, "--client", folder, "--tasks", str(tasks), "--singles", str(singles)]
            async with await anyio.open_process(command, stderr=None) as process:
                assert process.stdout is not None
                looks, said = await _listen(BufferedByteReceiveStream(process.stdout))
            if process.returncode:
                raise SystemExit(f"the client ended with {process.returncode}")
    return _rows(tasks, looks, said)


async def _listen(lines: BufferedByteReceiveStream) -> tuple[dict[str, Family], dict[str, float]]:
    """Look at all processes whenever the client says how far it is."""
    looks, said = {}, {}
    while True:
        try:
            word, value = (await lines.receive_until(b"\n", 1024)).decode().split()
        except (anyio.EndOfStream, anyio.IncompleteRead):
            return looks, said
        looks[word], said[word] = family(), float(value)
        print(f"{word} {value}", file=sys.stderr, flush=True)


def _rows(tasks: int, looks: dict[str, Family], said: dict[str, float]) -> Rows:
    pace = tasks / said["done"]
    rows = [(f"tasks a second, {tasks} tasks from the call to the last checked result", f"{pace:,.0f} {_verdict(pace >= FLOOR)}")]
    spent = shares(looks["began"], looks["done"], tasks)
    rows += [(f"processor time of a task: {role}", f"{ms:.2f} ms") for role, ms in sorted(spent.items())]
    rows.append(("processor time of a task: all", f"{sum(spent.values()):.2f} ms"))
    held = {word: memory(found) for word, found in looks.items()}
    for word in ("began", "quarter", "half", "done"):
        if word in held:
            parts = ", ".join(f"{role}: {size} MiB" for role, size in sorted(held[word].items()))
            rows.append((f"memory, {word}", f"{sum(held[word].values())} MiB ({parts})"))
    if "half" in held:
        growth = sum(held["done"].values()) / sum(held["half"].values())
        rows.append(("memory at the end beside that in the middle", f"{growth:.2f} {_verdict(growth <= GROWTH)}"))
    if "single" in said:
        single = f"{said['single']:.0f} ms {_verdict(said['single'] < LATENCY_MS)}"
        rows.append(("one verified task, from its match to the checked result, median", single))
    return rows


def _verdict(is_kept: bool) -> str:
    return "PASS" if is_kept else "FAIL"


# --- the client ------------------------------------------------------------------------------------------------------


async def client(folder: str, tasks: int, singles: int) -> None:
    """Run the tasks; print a word and a figure at the start, on the way, at the end [s], and how long a single one takes [ms]."""
    async with connect_async(home=folder) as cloud:
        await cloud.map(NOOP, [[number] for number in range(WARM_UP)], trust=1, window_s=WINDOW_S)
        print("began 0", flush=True)
        marks = [(tasks // 4, "quarter"), (tasks // 2, "half")]

        def look(progress: Progress) -> None:
            while marks and progress.completed >= marks[0][0]:
                print(marks.pop(0)[1], time.perf_counter() - began, flush=True)

        began = time.perf_counter()
        results = await cloud.map(NOOP, [[number] for number in range(tasks)], trust=1, window_s=WINDOW_S, progress=look)
        print("done", time.perf_counter() - began, flush=True)
        assert len(results) == tasks
        assert all(not result.stdout for result in results)
        if singles:
            print("single", await _latency_ms(cloud, singles), flush=True)


async def _latency_ms(cloud: AsyncCloud, singles: int) -> float:
    times = []
    for number in range(singles):
        quote = await cloud.quote(NOOP, [[number]], trust=1, window_s=WINDOW_S)
        job = await cloud.start(quote)
        began = time.perf_counter()
        await job.result(0)
        times.append(time.perf_counter() - began)
    return 1e3 * statistics.median(times)


# --- the others ------------------------------------------------------------------------------------------------------


def other(name: str, tasks: int) -> str:
    """Measure one of the others in processes of its own, for a while at most; answers tasks a second, or why there is no figure."""
    if importlib.util.find_spec(OTHERS[name]) is None:
        return "not installed: `make .venv/.bench`"
    command = [sys.executable, str(RIVALS), name, str(tasks), str(WORKERS), str(NOOP / "noop.wasm")]
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"  # where Parsl looks for its own
    with tempfile.TemporaryFile("w+") as complained:
        environment = {**os.environ, "PATH": programs}
        run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=complained, start_new_session=True, env=environment)
        try:
            assert run.stdout is not None
            if not select.select([run.stdout], [], [], RIVAL_S)[0]:
                return f"no figure: nothing in {RIVAL_S} s"
            if line := run.stdout.readline():
                return f"{tasks / json.loads(line):,.0f}"
            complained.seek(0)
            return f"no figure: {(complained.read().strip().splitlines() or ['it failed'])[-1][:100]}"
        finally:
            _end_all(run)


def _end_all(run: subprocess.Popen[bytes]) -> None:
    """End a program and whatever it has started, after a moment in which it may do so itself."""
    started = family(run.pid)  # some of them in groups of their own
    with contextlib.suppress(subprocess.TimeoutExpired):
        run.wait(END_S)
    for pid in started.keys() - {run.pid}:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    run.kill()
    run.wait()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--tasks", type=int, default=20_000)
    parser.add_argument("--singles", type=int, default=20)
    parser.add_argument("--ours", action="store_true", help="measure nothing but ours")
    parser.add_argument("--client", metavar="HOME", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    configure_logs(level=50)
    if asked.client:
        anyio.run(client, asked.client, asked.tasks, asked.singles)
        return
    rows = anyio.run(ours, asked.tasks, asked.singles)
    others = () if asked.ours else OTHERS
    tasks = min(asked.tasks, RIVAL_TASKS)
    rows += [(f"{name}: tasks a second, {tasks} tasks, no sandbox, no pay, no proof", other(name, tasks)) for name in others]
    print("### Throughput of a task that does nothing\n\n| what | figure |\n| --- | ---: |")
    for what, figure in rows:
        print(f"| {what} | {figure} |")


if __name__ == "__main__":
    main()
