"""
Auctions in which shared stocks may run out: they get a price too, found by trying.

A stock that runs out is worth a rent: what the first bidder who came too late would have gained by a unit. With rents to pay, bidders
who hardly gain by a scarce app order, or can use another one, leave it to those who need it. After each try rents rise where bidders
came too late and fall where something was left; the best try counts. Whatever the rents leave unsold is sold without them at the end, and
nobody ever pays a rent: it only decides who is served first.

That is the method of Lagrange multipliers with a subgradient step (Fisher 1981), each try being a feasible answer. Measured by
`benches/matching.py`, with what else stands between an auction and the hub: 99.6 % of a bound that the optimum may not reach.
"""

from __future__ import annotations

from collections.abc import Callable

from voisin.policy.matching.auction import Auction

TRIES = 3
FEW = 500
"""With more bidders than these there is one try: the law of large numbers does what rents would do, and time is short."""


def run_with_rents(fresh: Callable[[], Auction], *, bidders: int) -> Auction:
    """
    Run an auction whose shared stocks may run out.

    Args:
        fresh: Makes the auction anew, before anybody has taken anything.
        bidders: How many bid in it.

    Returns:
        The auction after its best try.
    """
    rents: dict[int, int] = {}
    best: Auction | None = None
    for _ in range(TRIES if bidders <= FEW else 1):
        auction = fresh()
        late = auction.run_by_gain(rents)
        rents = {stock: rent for stock in sorted({*rents, *late}) if (rent := _next_rent(auction, rents.get(stock, 0), late, stock)) > 0}
        auction.run_by_gain({})
        if best is None or auction.surplus > best.surplus:
            best = auction
        if not rents:
            break
    assert best is not None, "there is at least one try"
    return best


def _next_rent(auction: Auction, rent: int, late: dict[int, int], stock: int) -> int:
    """Raise a rent by half of what a unit more would have brought, or lower it by a third when something was left."""
    if auction.stocks[stock] > 0:
        return rent * 2 // 3
    return rent + late.get(stock, 0) // 2
