"""What a transaction has to pay for gas now."""

from __future__ import annotations

from collections.abc import Sequence

import anyio

from voisin.chain.node_values import RawBlock, quantity
from voisin.chain.rpc import Answer, NodeError, Request, Rpc
from voisin.chain.transactions import Price
from voisin.errors import InputError
from voisin.units import Wei

_DEFAULT_TIP = Wei(10**9)
_HEADROOM = 2
"""Base fees may double, which takes six full blocks, before a transaction priced now falls behind."""


QUESTIONS: tuple[Request, ...] = (("eth_getBlockByNumber", ("latest", False)), ("eth_maxPriorityFeePerGas", ()))
"""What a node is asked for a quote."""


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
        if self.is_stale:
            self.hear(await self._rpc.ask(QUESTIONS))
        assert self._quote is not None
        return self._quote

    @property
    def is_stale(self) -> bool:
        """Whether the node has to be asked for the next quote: with `QUESTIONS`, whose answers are for `hear`."""
        return self._quote is None or anyio.current_time() - self._quoted_at >= self._ttl_s

    def hear(self, answers: Sequence[Answer]) -> None:
        """
        Take the node's answers to `QUESTIONS`.

        Raises:
            InputError: The chain has no fee market.
            VoisinError: The node refused to answer.
        """
        block, tip = answers
        base_fee = block.read(RawBlock).base_fee_per_gas
        if base_fee is None:
            raise InputError("this chain has no fee market (EIP-1559)", hint="use a chain whose blocks have a base fee")
        try:
            given = Wei(quantity(tip.read(str)))
        except NodeError:
            given = _DEFAULT_TIP
        self._quote, self._quoted_at = Price(Wei(quantity(base_fee) * _HEADROOM + given), given), anyio.current_time()

    def forget(self) -> None:
        """Ask the node again next time."""
        self._quote = None
