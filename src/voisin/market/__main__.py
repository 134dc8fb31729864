"""`python -m voisin.market`: serve a market, set up by VOISIN_MARKET_* variables, until it is interrupted."""

from __future__ import annotations

import sys

import anyio
from pydantic import ValidationError

from voisin.errors import VoisinError
from voisin.market.opening import serve_market
from voisin.market.settings import MarketSettings

SWITCH_S = 0.001
"""How long the loop may keep the database's threads waiting [s]: readers wait for these."""


def main() -> int:
    """Serve; answers the exit code."""
    try:
        settings = MarketSettings()
    except (ValidationError, VoisinError) as error:
        sys.stderr.write(f"the settings are wrong: {error}\n")
        return 2
    sys.setswitchinterval(SWITCH_S)
    try:
        anyio.run(serve_market, settings, backend_options={"use_uvloop": True})
    except VoisinError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
