"""
What a task costs in time, from a person's hands through market, pool, workers and chain and back, as a table.

    python benches/box.py

The box is real (processes, chain, sandbox) and the app does nothing, so what is measured is Voisin. Ratios are to one bare transaction
on the same chain in the same run: wall times alone say more about the machine than about us.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import anyio

from voisin.box.service import Box, open_box
from voisin.box.settings import BoxSettings
from voisin.chain import Sender, calls, open_chain
from voisin.client import AsyncCloud, connect_async
from voisin.service.logs import configure_logs
from voisin.units import NRLC

NOOP = Path(__file__).resolve().parent.parent / "apps" / "noop"
SINGLES, BAG, BARE = 8, 60, 40
TRUSTS = ((1, "1 worker"), (3, "2 workers"))


async def bare_transaction_s(box: Box) -> float:
    """Median time of one transaction, sent and waited for [s]."""
    async with open_chain(box.network.rpc_url, box.network.hub) as chain:
        sender = Sender(chain, box.wallets.signers["requester"])
        call = calls.transfer(chain.token_address, sender.address, NRLC(1))
        return statistics.median([await _timed(sender, call) for _ in range(BARE)])


async def _timed(sender: Sender, call: calls.Call) -> float:
    began = time.perf_counter()
    await sender.send(call)
    return time.perf_counter() - began


async def single_s(cloud: AsyncCloud, trust: int) -> float:
    """Median time of one task in a deal of its own, from the call to the checked result [s]."""
    times = []
    for number in range(SINGLES + 1):
        began = time.perf_counter()
        await cloud.run(NOOP, [number], trust=trust)
        times.append(time.perf_counter() - began)
    return statistics.median(times[1:])


async def bag_s(cloud: AsyncCloud, trust: int) -> float:
    """Time of one task of a bag, the whole bag's time shared out [s]."""
    began = time.perf_counter()
    await cloud.map(NOOP, [[number] for number in range(BAG)], trust=trust)
    return (time.perf_counter() - began) / BAG


async def main() -> None:
    """Measure and print."""
    configure_logs(level=50)
    with tempfile.TemporaryDirectory() as folder:
        async with open_box(BoxSettings(home=Path(folder), workers=2, slots=2, port=0)) as box:
            bare = await bare_transaction_s(box)
            rows = [("one bare transaction, sent and waited for", bare)]
            async with connect_async(home=folder) as cloud:
                for trust, words in TRUSTS:
                    rows.append((f"a no-op task alone, {words}: call to checked result", await single_s(cloud, trust)))
                    rows.append((f"a no-op task in a bag of {BAG}, {words}", await bag_s(cloud, trust)))
    sys.stdout.write("### A task through the box\n\n| | ms | per second | bare transactions |\n| --- | ---: | ---: | ---: |\n")
    for what, seconds in rows:
        sys.stdout.write(f"| {what} | {1000 * seconds:.0f} | {1 / seconds:.1f} | {seconds / bare:.1f} |\n")


if __name__ == "__main__":
    anyio.run(main)
