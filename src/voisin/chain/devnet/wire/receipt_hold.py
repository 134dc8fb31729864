"""
Holding receipts back for clients that remember answers.

ethers v6 keeps the answer to eth_getTransactionCount for 250 ms. On a chain that confirms at once, a client that waits for a receipt
and sends its next transaction within that time signs it with the old nonce. So its receipt is held until the nonce that it last
read is forgotten.
"""

from __future__ import annotations

from collections.abc import Callable

from voisin.chain.devnet.wire.params import Json

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
