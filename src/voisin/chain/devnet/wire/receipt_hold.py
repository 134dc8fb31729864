"""
Holding receipts back for clients that remember answers.

ethers v6 keeps the answer to eth_getTransactionCount for 250 ms. On a chain that confirms at once, a client that waits for a receipt
and sends its next transaction within that time signs it with the old nonce. So its receipt is held until the nonce that it last
read is forgotten. A client that remembers nothing says so with the header `cache-control: no-store` (RFC 9111, 5.2.1.5), as ours does:
it neither waits nor makes others wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping

from voisin.chain.devnet.wire.dispatcher import Method
from voisin.chain.devnet.wire.params import Json, Params

_MAX_REMEMBERED = 10_000


class ReceiptHold:
    """
    Knows when the nonce of each account was last read.

    Args:
        settle_s: How long clients remember a nonce [s].
        now: Tells a time that only rises [s].
    """

    def __init__(self, settle_s: float, *, now: Callable[[], float]) -> None:
        self._settle_s = settle_s
        self._now = now
        self._read_at: dict[str, float] = {}

    def nonce_was_read(self, address: str) -> None:
        """
        Note that a client has read a nonce.

        Args:
            address: The account, as hex.
        """
        if len(self._read_at) >= _MAX_REMEMBERED:
            self._read_at.clear()
        self._read_at[address.lower()] = self._now()

    def seconds_left(self, receipt: Json) -> float:
        """
        Tell how long a receipt is held.

        Args:
            receipt: The receipt as JSON; None where there is none.

        Returns:
            Time to wait before it is given out [s]; 0 for none.
        """
        sender = receipt.get("from") if isinstance(receipt, dict) else None
        read_at = self._read_at.get(sender) if isinstance(sender, str) else None
        return 0.0 if read_at is None else max(0.0, read_at + self._settle_s - self._now())


def with_hold(methods: Mapping[str, Method], hold: ReceiptHold) -> dict[str, Method]:
    """
    Make receipts wait for clients that remember nonces.

    Args:
        methods: The methods as they are for clients that do not.
        hold: Knows which nonces were read.
    """
    count, receipt = methods["eth_getTransactionCount"], methods["eth_getTransactionReceipt"]

    async def read_nonce(params: Params) -> Json:
        result = await count.run(params)
        hold.nonce_was_read(params.read(0, lambda value, _: str(value)))
        return result

    async def read_receipt(params: Params) -> Json:
        result = await receipt.run(params)
        await asyncio.sleep(hold.seconds_left(result))
        return result

    held = {"eth_getTransactionCount": Method(read_nonce, count.most), "eth_getTransactionReceipt": Method(read_receipt, receipt.most)}
    return {**methods, **held}


def remembers_nothing(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Tell from a request's headers whether its client keeps no answers."""
    return any(name.lower() == b"cache-control" and b"no-store" in value.lower() for name, value in headers)
