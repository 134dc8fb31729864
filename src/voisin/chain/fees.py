"""What a transaction has to pay for gas now."""

from __future__ import annotations

import anyio

from voisin.chain.node_values import RawBlock, quantity
from voisin.chain.rpc import NodeError, Rpc
from voisin.chain.transactions import Price
from voisin.errors import InputError
from voisin.units import Wei

_DEFAULT_TIP = Wei(10**9)
_HEADROOM = 2
"""Base fees may double, which takes six full blocks, before a transaction priced now falls behind."""


class FeeMeter:
    """
    Quotes prices, and remembers the last one for a short time.

    Args:
        rpc: The node.
        ttl_s: How long a quote is good [s].
    """

    def __init__(self, rpc: Rpc, *, ttl_s: float) -> None:
        self._rpc = rpc
        self._ttl_s = ttl_s
        self._quote: Price | None = None
        self._quoted_at = 0.0

    async def price(self) -> Price:
        """
        Quote the price of gas.

        Raises:
            InputError: The chain has no fee market.
            UnavailableError: The node does not answer.

        Source: EIP-1559.
        """
        now = anyio.current_time()
        if self._quote is None or now - self._quoted_at >= self._ttl_s:
            self._quote, self._quoted_at = await self._ask(), now
        return self._quote

    def forget(self) -> None:
        """Ask the node again next time."""
        self._quote = None

    async def _ask(self) -> Price:
        block, tip = await self._rpc.ask([("eth_getBlockByNumber", ("latest", False)), ("eth_maxPriorityFeePerGas", ())])
        base_fee = block.read(RawBlock).base_fee_per_gas
        if base_fee is None:
            raise InputError("this chain has no fee market (EIP-1559)", hint="use a chain whose blocks have a base fee")
        try:
            given = Wei(quantity(tip.read(str)))
        except NodeError:
            given = _DEFAULT_TIP
        return Price(Wei(quantity(base_fee) * _HEADROOM + given), given)
