"""`python -m voisin.market`: serve a market, set up by VOISIN_MARKET_* variables, until it is interrupted."""

from __future__ import annotations

import sys
from functools import partial

from voisin.market.opening import serve_market
from voisin.market.settings import MarketSettings
from voisin.service.pace import quick_turns
from voisin.service.program import run_service


def main() -> int:
    """Serve; answers the exit code."""
    quick_turns()
    return run_service(lambda: partial(serve_market, MarketSettings()))


if __name__ == "__main__":
    sys.exit(main())
