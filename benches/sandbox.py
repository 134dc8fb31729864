"""
What the sandbox costs, as a table.

    python benches/sandbox.py

Wall times are medians of many runs; processor times are the best of a few, because they are what a busy machine disturbs least.
"""

from __future__ import annotations

import hashlib
import os
import platform
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import anyio

from voisin.sandbox import Job, Limits, Outcome, Sandbox

APPS = Path(__file__).resolve().parent.parent / "apps"
LIMITS = Limits(time_s=120, instructions=10**12, memory_bytes=512 << 20)
WARM_RUNS, COLD_RUNS, BATCH, BEST_OF = 200, 8, 300, 4
PICTURE = ("--size", "640x480", "--samples", "16")


def cpu_s(pids: tuple[int, ...]) -> float:
    """Processor time that processes have used [s]."""
    fields = [Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split() for pid in pids]
    return sum(int(each[11]) + int(each[12]) for each in fields) / os.sysconf("SC_CLK_TCK")


class Bench:
    """A folder for everything that is measured."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._outputs = 0

    def job(self, app: str, *args: str) -> Job:
        """Make a job for a sample app."""
        self._outputs += 1
        module = APPS / app / f"{app}.wasm"
        sha256 = hashlib.sha256(module.read_bytes()).hexdigest()
        return Job(module=module, module_sha256=sha256, output_dir=self.folder / f"out{self._outputs}", limits=LIMITS, args=args)

    async def time_run(self, sandbox: Sandbox, app: str, *args: str) -> tuple[float, Outcome]:
        """Run an app; answers the wall time [s] and the outcome."""
        job = self.job(app, *args)
        began = time.perf_counter()
        outcome = await sandbox.run(job)
        took = time.perf_counter() - began
        assert outcome.is_success, outcome
        return took, outcome


async def measure_starts(bench: Bench) -> list[tuple[str, str]]:
    """How long it takes until a program that does nothing has run."""
    cold, first = [], []
    for number in range(COLD_RUNS):
        async with Sandbox(bench.folder / "cache") as sandbox:
            cold.append((await bench.time_run(sandbox, "noop"))[0])
        async with Sandbox(bench.folder / f"cache{number}") as sandbox:
            first.append((await bench.time_run(sandbox, "pathtracer", "--size", "16x16"))[0])
    async with Sandbox(bench.folder / "cache") as sandbox:
        await bench.time_run(sandbox, "noop")
        warm = [await bench.time_run(sandbox, "noop") for _ in range(WARM_RUNS)]
    return [
        ("no-op job in a warm process", _ms(wall for wall, _ in warm)),
        ("of which between the guest's first and last instruction", _ms(outcome.wall_s for _, outcome in warm)),
        ("no-op job in a new process", _ms(cold[1:])),
        ("first job of a module of 58 kB: compiled, then run in a new process", _ms(first)),
    ]


async def measure_throughput(bench: Bench, slots: int) -> tuple[str, str]:
    """How many programs that do nothing run in a second."""
    async with Sandbox(bench.folder / "cache", slots=slots) as sandbox:
        async with anyio.create_task_group() as warm_up:
            for _ in range(slots):
                warm_up.start_soon(bench.time_run, sandbox, "noop")
        began = time.perf_counter()
        async with anyio.create_task_group() as tasks:
            for _ in range(BATCH):
                tasks.start_soon(bench.time_run, sandbox, "noop")
        rate = BATCH / (time.perf_counter() - began)
    return f"no-op jobs with {slots} slot{'s' if slots > 1 else ''}", f"{rate:.0f} a second"


async def measure_computing(bench: Bench) -> list[tuple[str, str]]:
    """How much slower than native code a program computes."""
    took: dict[bool, float] = {}
    instructions = 0
    for canonical in (False, True):
        async with Sandbox(bench.folder / "cache", canonical_nan=canonical) as sandbox:
            await bench.time_run(sandbox, "pathtracer", "--size", "16x16")
            times = []
            for _ in range(BEST_OF):
                before = cpu_s(sandbox.process_ids)
                instructions = (await bench.time_run(sandbox, "pathtracer", *PICTURE))[1].instructions
                times.append(cpu_s(sandbox.process_ids) - before)
            took[canonical] = min(times)
    plain, slow, native = took[False], took[True], native_s(bench.folder)
    rows = [
        (f"path tracer {' '.join(PICTURE)}, processor time", f"{plain:.2f} s"),
        ("instructions in a second of processor time", f"{instructions / plain / 1e9:.1f}e9"),
        ("the same picture with canonical NaN", f"{slow:.2f} s, {slow / plain:.2f} times"),
    ]
    if native is not None:
        rows.append(("the same picture by native code (gcc -O2)", f"{native:.2f} s, so WebAssembly takes {plain / native:.2f} times"))
    return rows


def native_s(folder: Path) -> float | None:
    """Processor time of the path tracer as native code [s]; None without gcc. Its output path is changed to a folder of ours."""
    if shutil.which("gcc") is None:
        return None
    sources = folder / "native"
    shutil.copytree(APPS / "pathtracer", sources)
    main = sources / "pathtracer.c"
    main.write_text(main.read_text().replace('"/iexec_out/frame.png"', f'"{folder}/native.png"'))
    command = ["gcc", "-O2", "-ffp-contract=off", "-o", "pathtracer", *(path.name for path in sorted(sources.glob("*.c"))), "-lm"]
    subprocess.run(command, cwd=sources, check=True)
    times = []
    for _ in range(BEST_OF):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sources / "pathtracer", *PICTURE], check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(times)


def _ms(seconds: object) -> str:
    return f"{statistics.median(seconds) * 1e3:.1f} ms"  # type: ignore[call-overload]


async def main() -> None:
    """Measure everything and print the table."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        rows = await measure_starts(bench)
        rows += [await measure_throughput(bench, slots) for slots in (1, 2)]
        rows += await measure_computing(bench)
    print(f"wasmtime {version('wasmtime')}, Python {platform.python_version()}, {platform.machine()}\n")
    print("| what | figure |\n| --- | --- |")
    for what, figure in rows:
        print(f"| {what} | {figure} |")


if __name__ == "__main__":
    anyio.run(main)
