"""
How long one verified task takes in the box, from its match to the checked result in the client's hand, and where the time goes.

    python benches/latency.py [--tasks 50]

The box is a process of its own with processes for its workers, the client is this one. Each task is a deal of its own, settled the
protocol's way: opened, contributed, agreed, revealed, finalised, each in a mined transaction; then the client downloads the result and
holds it against the digest on the chain. The clock starts when the client sets about sending the match, before its gas is estimated. A
few tasks before warm everything up.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import anyio
import anyio.to_thread

from voisin.box.service import open_box
from voisin.box.settings import BoxSettings
from voisin.chain import Call, Receipt
from voisin.client import AsyncCloud, connect_async
from voisin.client.job import AsyncJob
from voisin.client.requester import Requester
from voisin.client.watch import Stage
from voisin.service.logs import configure_logs

NOOP = Path(__file__).resolve().parent.parent / "apps" / "noop"
WORKERS, WARM_UP, GOAL_MS = 3, 5, 150.0
MINED, HELD, CHECKED = "the match is mined", "the client has the job", "the result is downloaded and checked"
STAGES = {
    Stage.STARTED: "the task is opened",
    Stage.AGREED: "contributed and agreed",
    Stage.SHOWN: "revealed",
    Stage.COMPLETED: "finalised",
}
"""Steps as the client hears of them from the chain."""


async def serve(home: str) -> None:
    """Run the box until standard input closes."""
    async with open_box(BoxSettings(home=Path(home), workers=WORKERS, port=0)):
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await anyio.to_thread.run_sync(sys.stdin.read)


class Stamps:
    """When each step of a task was done [s]."""

    def __init__(self, requester: Requester) -> None:
        """
        Args:
            requester: Whoever buys; its transactions are stamped.
        """
        self.began = 0.0
        self.at: dict[str, float] = {}
        self._send = requester.sender.send
        requester.sender.send = self._stamped  # type: ignore[method-assign]

    async def _stamped(self, call: Call) -> Receipt:
        self.began, self.at = time.perf_counter(), {}
        receipt = await self._send(call)
        self.note(MINED)
        return receipt

    def note(self, step: str) -> None:
        """Stamp a step, the first time that it is seen."""
        self.at.setdefault(step, time.perf_counter() - self.began)

    async def follow(self, job: AsyncJob) -> None:
        """Stamp what the chain says of a job's only task, until it is over."""
        (watched,) = job.watched.values()
        while True:
            for stage, step in STAGES.items():
                if watched.stage >= stage:
                    self.note(step)
            if watched.stage.is_final:
                return
            await job.watch.changed()


async def measure(cloud: AsyncCloud, tasks: int) -> list[dict[str, float]]:
    """Run tasks one after another; answers when each step of each was done [s]."""
    stamps, rows = Stamps(await cloud.requester()), []
    for number in range(WARM_UP + tasks):
        job = await cloud.start(await cloud.quote(NOOP, [[number]], trust=1, window_s=0))
        stamps.note(HELD)
        async with anyio.create_task_group() as following:
            following.start_soon(stamps.follow, job)
            await job.result(0)
            stamps.note(CHECKED)
        rows.append(stamps.at)
    return rows[WARM_UP:]


@contextmanager
def box() -> Iterator[str]:
    """Run the box in a process of its own; yields its home folder."""
    with tempfile.TemporaryDirectory() as home:
        command = [sys.executable, str(Path(__file__).resolve()), "--box", home]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdout.readline()
            yield home
        finally:
            process.stdin.close()
            process.wait()
            process.stdout.close()


def percentile(values: Sequence[float], percent: int) -> float:
    """The value that so many percent of the values do not pass."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def report(rows: Sequence[dict[str, float]]) -> bool:
    """Print the table; answers whether the goal is reached."""
    sys.stdout.write("### One verified task through the box\n\n| from the match's sending until | p50 | p90 |\n| --- | ---: | ---: |\n")
    for step in (MINED, HELD, *STAGES.values(), CHECKED):
        times = [1e3 * row[step] for row in rows]
        sys.stdout.write(f"| {step} | {percentile(times, 50):.0f} ms | {percentile(times, 90):.0f} ms |\n")
    median = percentile([1e3 * row[CHECKED] for row in rows], 50)
    is_reached = median < GOAL_MS
    sys.stdout.write(f"\n{'PASS' if is_reached else 'FAIL'}: p50 of {len(rows)} tasks {median:.0f} ms, wanted below {GOAL_MS:.0f} ms\n")
    return is_reached


async def run(tasks: int, home: str) -> bool:
    """Measure and print."""
    async with connect_async(home=home) as cloud:
        return report(await measure(cloud, tasks))


def main() -> int:
    """Measure; 1 when the goal is not reached."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--tasks", type=int, default=50)
    parser.add_argument("--box", default="", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    configure_logs(level=50)
    if asked.box:
        anyio.run(serve, asked.box, backend_options={"use_uvloop": True})
        return 0
    with box() as home:
        return 0 if anyio.run(run, asked.tasks, home) else 1


if __name__ == "__main__":
    sys.exit(main())
