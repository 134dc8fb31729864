"""The order book: takes signed orders, lists them, follows the chain, and lists deals and tasks."""

from voisin.market.opening import Market, market_at, open_market, run_market, serve_market
from voisin.market.proof import PROOF_HEADER, Wish, sign_wish
from voisin.market.service import MarketHealth
from voisin.market.settings import MarketSettings

__all__ = [
    "PROOF_HEADER",
    "Market",
    "MarketHealth",
    "MarketSettings",
    "Wish",
    "market_at",
    "open_market",
    "run_market",
    "serve_market",
    "sign_wish",
]
