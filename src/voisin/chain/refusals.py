"""
What nodes say when they refuse a transaction. They tell their refusals apart by words only, and each node has its own.

Sources: the messages of geth, erigon, nethermind, anvil, hardhat and the embedded chain.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Final

from voisin.chain.calls import Call
from voisin.chain.reverts import relabelled
from voisin.chain.rpc import NodeError
from voisin.chain.transactions import Transaction
from voisin.errors import FundsError, RevertError, VoisinError
from voisin.protocol.ids import Address
from voisin.units import Wei


def _spelled(*texts: str) -> re.Pattern[str]:
    return re.compile("|".join(texts), re.IGNORECASE)


_USED = ("nonce (is )?too low", r"\bold ?nonce", "nonce has already been used")

KNOWN: Final = _spelled("already known", r"\bknown transaction", "already imported", "alreadyknown", "already in the (mem)?pool")
"""The node has this very transaction."""
NONCE_TAKEN: Final = _spelled(*_USED)
"""A transaction with this nonce is mined."""
OTHER_NONCE: Final = _spelled(*_USED, "nonce (is )?too high", "nonce ?gap", "invalid nonce", "replacement .*underpriced")
"""Another nonce may be accepted."""
TOO_CHEAP: Final = _spelled(
    "underpriced", "less than (the )?block base ?fee", "fee ?too ?low", "below (the )?minimum", "lower than .*base ?fee"
)
"""A higher price may be accepted."""
_NO_FUNDS: Final = _spelled("insufficient (funds|balance)", "doesn't have enough funds")


def says(error: VoisinError | None, what: re.Pattern[str]) -> bool:
    """Tell whether a node's refusal is of a kind."""
    return isinstance(error, NodeError) and what.search(error.reason) is not None


async def in_words(
    error: VoisinError, call: Call, held: Callable[[], Awaitable[tuple[Address, Wei]]], transaction: Transaction | None = None
) -> VoisinError:
    """
    Say of a refusal what was tried, and of missing funds how much is missing.

    Args:
        error: The refusal.
        call: What was refused.
        held: Asks for the wallet's address and what it holds [wei].
        transaction: The transaction that was refused, where it had got so far.
    """
    if isinstance(error, RevertError):
        return relabelled(error, call.label, call.data[:4])
    if not isinstance(error, NodeError):
        return error
    if not says(error, _NO_FUNDS):
        return NodeError(f"the node refuses to {call.label}: {error.reason}", reason=error.reason, rpc_code=error.rpc_code)
    wallet, balance = await held()
    if transaction is None:
        message = f"the wallet {wallet} holds {balance} wei, too little to {call.label}"
        return FundsError(message, hint="send it some of the chain's native coin, which pays for gas")
    cost = transaction.gas * transaction.price.max_fee + transaction.value
    return FundsError(
        f"the wallet {wallet} holds {balance} wei, but may have to pay {cost} wei to {call.label}",
        hint=f"send it at least {cost - balance} wei of the chain's native coin, which pays for gas",
    )
