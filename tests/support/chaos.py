"""
A market of real processes that are killed without warning, with bags and with tasks that are settled one by one.

    python -m tests.support.chaos --bag 500 --workers 6 --every 3 --seed 7

Everything random comes from one seed: who is killed, and when. What a run may not do is in `chaos_judge`.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import httpx

from tests.support.chaos_judge import Judge
from tests.support.chaos_market import APP_PRICE, POOL_PRICE, Market, open_market
from tests.support.chaos_plan import Plan, Sale
from tests.support.postgres import open_cluster
from voisin.chain import Sender, bags, calls, events_of
from voisin.chain.bags import BagStatus
from voisin.errors import VoisinError
from voisin.protocol.bag_settlement import spell_window, window_of
from voisin.protocol.eip712 import sign_order
from voisin.protocol.events import OrdersMatched
from voisin.protocol.ids import DealId, Hash32, TaskId, task_id
from voisin.protocol.orders import AppOrder, RequestOrder, WorkerpoolOrder
from voisin.protocol.params import DealParams, encode_params
from voisin.protocol.records import Deal, TaskStatus

TRUST = 3
LOOK_S, WATCH_S, SAY_S = 0.5, 1.0, 10.0
WITHIN_VARIABLE = "CHAOS_WITHIN_S"
"""Sets how long a run may take, for machines that do other things beside [s]."""


@dataclass
class Torment:
    """One run: deals are made while processes are killed, until everything has come to its end."""

    market: Market
    begun: float = 0.0
    deals: dict[DealId, Deal] = field(default_factory=dict)
    killed: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    waiting: list[TaskId] = field(default_factory=list)

    async def run(self) -> None:
        """Torment the market, and wait for its end."""
        self.begun = anyio.current_time()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._kill)
            tasks.start_soon(self._watch)
            await self._sell()
            await self._finished()
            tasks.cancel_scope.cancel()

    async def _sell(self) -> None:
        """Make the deals by the plan; each once, whatever happens to the chain meanwhile."""
        for number, sale in enumerate(self.market.plan.sales()):
            await anyio.sleep_until(self.begun + sale.at_s)
            while len(await self._look_for_deals()) <= number:
                try:
                    await self._match(number, sale)
                except VoisinError as error:
                    self._say(f"deal {number} is tried again: {error.message[:200]}")
                    await anyio.sleep(LOOK_S)
        for name in await self._look_for_deals():
            self.deals[name] = await self._deal(name)

    async def _look_for_deals(self) -> list[DealId]:
        """List the deals on the chain."""
        chain = self.market.chain
        while True:
            try:
                events = await events_of(chain, self.market.deployment.block, await chain.block_number())
                return [DealId(logged.event.deal_id) for logged in events if isinstance(logged.event, OrdersMatched)]
            except VoisinError:
                await anyio.sleep(LOOK_S)

    async def _deal(self, name: DealId) -> Deal:
        while True:
            try:
                return await self.market.chain.hub.deal(name)
            except VoisinError:
                await anyio.sleep(LOOK_S)

    async def _match(self, number: int, sale: Sale) -> None:
        market, salt = self.market, Hash32(f"0x{number + 1:064x}")
        chain, people = market.chain, market.people
        terms = {"volume": sale.volume, "category": 0, "trust": TRUST, "salt": salt}
        requester = people["requester"].address
        params = encode_params(DealParams(voisin_window=spell_window(market.plan.window_s))) if sale.is_bag else "{}"
        request = RequestOrder(
            app=market.app, appmaxprice=APP_PRICE, workerpool=market.workerpool, workerpoolmaxprice=POOL_PRICE, requester=requester,
            beneficiary=requester, params=params, **terms,
        )  # fmt: skip
        app = sign_order(AppOrder(app=market.app, appprice=APP_PRICE, volume=sale.volume, salt=salt), chain.domain, people["app-owner"])
        pool = WorkerpoolOrder(workerpool=market.workerpool, workerpoolprice=POOL_PRICE, **terms)
        orders = app, None, sign_order(pool, chain.domain, people["scheduler"]), sign_order(request, chain.domain, people["requester"])
        await Sender(chain, people["stranger"]).send(calls.match_orders(chain.hub_address, *orders))

    async def _kill(self) -> None:
        """Kill processes by the plan, and start them again."""
        for at, name in self.market.plan.kills():
            await anyio.sleep_until(self.begun + at)
            program = self.market.programs[name]
            await anyio.to_thread.run_sync(program.kill)
            self.killed[name] += 1
            program.start()

    async def _watch(self) -> None:
        """Start again whoever ended by itself, as whoever runs a service has it done."""
        while True:
            for program in self.market.programs.values():
                if program.has_ended:
                    self.ended[program.name] += 1
                    program.start()
            await anyio.sleep(WATCH_S)

    async def _finished(self) -> None:
        """Wait until all bags and all tasks are at an end on the chain."""
        told = 0.0
        while True:
            try:
                over, words = await self._count()
            except VoisinError:
                await anyio.sleep(LOOK_S)
                continue
            if over or time.monotonic() - told > SAY_S:
                told = time.monotonic()
                self._say(f"{words}; killed {sum(self.killed.values())}{'' if over else await self._why()}")
            if over:
                return
            await anyio.sleep(LOOK_S)

    async def _count(self) -> tuple[bool, str]:
        chain = self.market.chain
        whole = [name for name, deal in self.deals.items() if window_of(deal.params, deal.tag) is not None]
        states = await bags.view_bags(chain.rpc, chain.hub_address, whole)
        tasks: list[TaskId] = [
            task_id(name, index) for name, deal in self.deals.items() if name not in whole for index in range(deal.bot_size)
        ]
        found = await chain.hub.tasks(tasks)
        self.waiting = [
            name
            for name, task in zip(tasks, found, strict=True)
            if task is None or task.status not in (TaskStatus.COMPLETED, TaskStatus.FAILED)
        ]
        over = len(tasks) - len(self.waiting)
        done = all(state.status not in (BagStatus.NONE, BagStatus.POSTED) for state in states) and not self.waiting
        return done, f"bags {[state.status.name.lower() for state in states]}, {over} of {len(tasks)} other tasks are over"

    async def _why(self) -> str:
        """Ask the schedulers what the first open task, and the first bag, wait for."""
        whole = [name for name, deal in self.deals.items() if window_of(deal.params, deal.tag) is not None]
        paths = [f"/v1/bags/{name}" for name in whole[:1]] + [f"/v1/tasks/{name}" for name in self.waiting[:1]]
        found = []
        async with httpx.AsyncClient(timeout=1.0) as http:
            for url in self.market.scheduler_urls:
                for path in paths:
                    try:
                        answer = (await http.get(url + path)).json()
                    except (httpx.HTTPError, ValueError):
                        continue
                    found.append(f"\n          {url[-5:]}: {answer.get('done', '')} {answer.get('why', answer)}")
        return "".join(found)

    def _say(self, words: str) -> None:
        sys.stderr.write(f"{anyio.current_time() - self.begun:6.1f} s  {words}\n")


async def run(plan: Plan, folder: Path, pool_database: str, market_database: str) -> Counter[str]:
    """
    Run a market through its torment, and judge it; answers how often what was killed.

    Raises:
        AssertionError: Something is wrong in the end, or it did not end in time.
    """
    sys.stderr.write(f"chaos with seed {plan.seed}: {plan}\n")
    async with AsyncExitStack() as stack:
        market = await stack.enter_async_context(open_market(plan, folder, pool_database, market_database))
        torment = Torment(market)
        with anyio.move_on_after(plan.within_s) as limit:
            await torment.run()
            wrong = await Judge(market, torment.deals).judge()
        sys.stderr.write(f"killed {dict(sorted(torment.killed.items()))}; ended by themselves: {dict(sorted(torment.ended.items()))}\n")
        assert not limit.cancelled_caught, f"seed {plan.seed}: not everything was over within {plan.within_s:g} s; logs in {folder}"
        assert not wrong, f"seed {plan.seed}: {len(wrong)} things are wrong, logs in {folder}: " + "; ".join(wrong[:20])
        return torment.killed


def main() -> int:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bag", type=int, default=500, help="tasks of each bag")
    parser.add_argument("--bags", type=int, default=1)
    parser.add_argument("--tasks", type=int, default=30, help="tasks that are settled one by one, in all")
    parser.add_argument("--deals", type=int, default=6, help="deals that they are in")
    parser.add_argument("--workers", type=int, default=6)
    parser.add_argument("--run", type=float, default=1.5, help="how long a run of an app takes [s]")
    parser.add_argument("--window", type=int, default=20, help="how long bags may be challenged [s]")
    parser.add_argument("--every", type=float, default=3.0, help="mean time between two kills [s]")
    parser.add_argument("--kill", type=float, default=300.0, help="how long processes are killed [s]")
    parser.add_argument("--within", type=float, default=float(os.environ.get(WITHIN_VARIABLE, "600")), help="time for all of it [s]")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    given = parser.parse_args()
    plan = Plan(
        bag=given.bag, bags=given.bags, tasks=given.tasks, deals=given.deals, workers=given.workers, run_s=given.run,
        window_s=given.window, every_s=given.every, kill_s=given.kill, within_s=given.within, seed=given.seed,
    )  # fmt: skip
    folder = Path(tempfile.mkdtemp(prefix="voisin-chaos-"))
    begun = time.monotonic()
    with open_cluster() as cluster, cluster.database() as pool, cluster.database() as market:
        killed = anyio.run(run, plan, folder, pool, market)
    shutil.rmtree(folder)  # kept where something is wrong
    took, count = time.monotonic() - begun, plan.bag * plan.bags + plan.tasks
    sys.stdout.write(f"seed {plan.seed}: {count} tasks right in {took:.0f} s; {killed.total()} kills: {dict(sorted(killed.items()))}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
