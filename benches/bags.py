"""
Gas of a deal that is settled as a bag, per task, beside the classic path of the same hub.

Figures are exact and the same on every machine, but for a few units that hashes with zero bytes make. Workers are known: they have an
account already.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.support.accounts import signer
from tests.support.bags import PARAMS, Leaf, post, settle
from tests.support.market import DIGEST, RLC, Market, Terms, open_market

ORIGINAL_TASK_GAS = 1_030_000
"""What one task of one worker costs on the original contracts after the match [gas]. Source: gas.md."""
SHAPES = ((10, 4), (100, 16), (1_000, 16), (1_000, 64))
PRICE = RLC // 10


def main() -> int:
    """Measure, print, and fail where a promise is broken."""
    market = open_market()
    print("| tasks | workers | match | post | settle | per task | per task without match |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    per_task = {}
    for volume, workers in SHAPES:
        with market.evm.anchor():
            match, posting, settling = _bag(market, volume, workers)
        whole, bare = (match + posting + settling) / volume, (posting + settling) / volume
        per_task[volume, workers] = whole, bare
        print(f"| {volume:,} | {workers} | {match:,} | {posting:,} | {settling:,} | {whole:,.0f} | {bare:,.0f} |")
    print(f"\nClassic path, one worker, without the match: {_classic(market):,} gas a task; the original's: {ORIGINAL_TASK_GAS:,}.")
    kept = per_task[1_000, 16][0] <= 1_000 and per_task[1_000, 16][1] <= 320 and per_task[100, 16][0] <= 9_500
    return 0 if kept else 1


def _bag(market: Market, volume: int, workers: int) -> tuple[int, int, int]:
    roles = market.roles
    crowd = [signer(f"known {number}") for number in range(workers)]
    for account in (roles.requester, roles.scheduler, roles.app_owner, *crowd):
        market.fund(account, 1_000 * RLC)
    terms = Terms(volume=volume, price=PRICE, app_price=PRICE // 10, params=PARAMS)
    deal, match = market.match(terms)
    leaves = [Leaf(index, DIGEST, index + 1, (crowd[index % workers].address,)) for index in range(volume)]
    share = volume * PRICE * 9 // 10 // workers
    bag, posted = post(market, deal, leaves, {worker.address: share for worker in crowd})
    market.evm.warp(bag.window)
    return match.gas_used, posted.gas_used, settle(market, bag).gas_used


def _classic(market: Market) -> int:
    with market.evm.anchor():
        deal, _ = market.match(Terms(price=PRICE, app_price=PRICE // 10))
        worker = market.roles.workers[0]
        opened = market.hub.send("initialize", deal, 0, by=market.roles.stranger.address)
        steps = [market.contribute(opened.output, worker), market.reveal(opened.output, worker), market.finalize(opened.output, b"x" * 80)]
        return opened.gas_used + sum(step.gas_used for step in steps)


if __name__ == "__main__":
    sys.exit(main())
