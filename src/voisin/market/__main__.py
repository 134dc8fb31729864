"""`python -m voisin.market`: serve a market, set up by VOISIN_MARKET_* variables, until it is interrupted."""

from __future__ import annotations

import gc
import sys
from functools import partial

import anyio
from pydantic import ValidationError

from voisin.errors import VoisinError
from voisin.market.opening import serve_market
from voisin.market.settings import MarketSettings

SWITCH_S = 0.0005
"""How long the loop may keep the database's threads waiting [s]: readers wait for these."""

YOUNG, MIDDLE, OLD = 20_000, 20, 50
"""
How many new objects are looked through for cycles, and how many such looks make one through those that outlived them, and so on: most live
as long as a request, and are gone by then.
"""


def main() -> int:
    """Serve; answers the exit code."""
    try:
        settings = MarketSettings()
    except (ValidationError, VoisinError) as error:
        sys.stderr.write(f"the settings are wrong: {error}\n")
        return 2
    sys.setswitchinterval(SWITCH_S)
    try:
        anyio.run(partial(serve_market, settings, ready=settle_memory), backend_options={"use_uvloop": True})
    except VoisinError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def settle_memory(_url: str) -> None:
    """Look no more for cycles among what is there when the market opens: it is mostly code, and a look would take a tenth of a second."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, OLD)


if __name__ == "__main__":
    sys.exit(main())
