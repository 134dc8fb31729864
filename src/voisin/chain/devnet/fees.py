"""
What a transaction costs before it runs, and when it must be refused.

Sources: the Yellow Paper, section 6.2; EIP-1559, EIP-2028, EIP-2681, EIP-2930, EIP-3607, EIP-3860, EIP-7623, EIP-7702.
"""

from __future__ import annotations

from typing import NamedTuple

from voisin.chain.devnet.values import AccessList, Account, Transaction, delegate_of
from voisin.chain.devnet.wire.errors import RefusedTransactionError

GAS_TRANSACTION = 21_000
GAS_CREATE = 32_000
GAS_DATA_ZERO = 4
GAS_DATA_NONZERO = 16
GAS_ACCESS_ADDRESS = 2_400
GAS_ACCESS_SLOT = 1_900
GAS_INIT_CODE_WORD = 2
GAS_AUTHORIZATION = 25_000
REFUND_KNOWN_AUTHORITY = 12_500
GAS_FLOOR_PER_TOKEN = 10
TOKENS_PER_NONZERO = 4
MAX_INIT_CODE_SIZE = 49_152
MAX_NONCE = 2**64 - 1
MAX_REFUND_QUOTIENT = 5
GWEI = 10**9


class GasNeeded(NamedTuple):
    """
    Gas a transaction needs whatever it does.

    Attributes:
        intrinsic: Taken off the limit before the first instruction.
        floor: Least that is paid in the end (EIP-7623).
    """

    intrinsic: int
    floor: int


def gas_needed(data: bytes, *, is_create: bool, access_list: AccessList, authorizations: int = 0) -> GasNeeded:
    """
    Compute the gas a transaction needs before anything runs.

    Args:
        data: Call data or init code.
        is_create: Whether it creates a contract.
        access_list: Announced addresses and slots.
        authorizations: Number of accounts that are given code.

    Returns:
        Intrinsic gas and the floor.
    """
    zeros = data.count(0)
    nonzeros = len(data) - zeros
    intrinsic = GAS_TRANSACTION + GAS_AUTHORIZATION * authorizations + GAS_DATA_ZERO * zeros + GAS_DATA_NONZERO * nonzeros
    if is_create:
        intrinsic += GAS_CREATE + GAS_INIT_CODE_WORD * ((len(data) + 31) // 32)
    for _, slots in access_list:
        intrinsic += GAS_ACCESS_ADDRESS + GAS_ACCESS_SLOT * len(slots)
    return GasNeeded(intrinsic, GAS_TRANSACTION + GAS_FLOOR_PER_TOKEN * (zeros + TOKENS_PER_NONZERO * nonzeros))


def settle_gas(limit: int, *, left: int, refund: int, floor: int) -> int:
    """
    Compute the gas that is paid for after a run.

    Args:
        limit: The transaction's gas limit.
        left: Gas left when the run ended.
        refund: Refund counter of the run.
        floor: Least that is paid.

    Returns:
        Gas used, as the receipt says it.

    Source: EIP-3529, EIP-7623.
    """
    spent = limit - left
    return max(spent - min(refund, spent // MAX_REFUND_QUOTIENT), floor)


def require_sendable(tx: Transaction, *, base_fee: int, block_gas_limit: int) -> None:
    """
    Refuse what no state of the chain could make valid.

    Args:
        tx: The transaction.
        base_fee: Base fee of the coming block [wei per gas].
        block_gas_limit: Most gas a block may use.

    Raises:
        RefusedTransactionError: Says what to change, in the words that clients of geth look for.
    """
    if tx.gas > block_gas_limit:
        raise RefusedTransactionError(f"exceeds block gas limit: gas {tx.gas}, limit {block_gas_limit}")
    if tx.to is None and len(tx.data) > MAX_INIT_CODE_SIZE:
        raise RefusedTransactionError(f"max initcode size exceeded: code size {len(tx.data)}, limit {MAX_INIT_CODE_SIZE}")
    needed = gas_needed(tx.data, is_create=tx.to is None, access_list=tx.access_list, authorizations=len(tx.authorizations))
    if tx.gas < needed.intrinsic:
        raise RefusedTransactionError(f"intrinsic gas too low: gas {tx.gas}, minimum needed {needed.intrinsic}")
    if tx.gas < needed.floor:
        raise RefusedTransactionError(f"insufficient gas for floor data gas cost: gas {tx.gas}, minimum needed {needed.floor}")
    if tx.priority_fee > tx.max_fee:
        raise RefusedTransactionError(
            f"max priority fee per gas higher than max fee per gas: maxPriorityFeePerGas: {tx.priority_fee}, maxFeePerGas: {tx.max_fee}"
        )
    if tx.max_fee < base_fee:
        raise RefusedTransactionError(f"max fee per gas less than block base fee: maxFeePerGas: {tx.max_fee}, baseFee: {base_fee}")
    if tx.nonce >= MAX_NONCE:
        raise RefusedTransactionError(f"nonce has max value: {tx.nonce}")


def require_affordable(tx: Transaction, account: Account, *, code: bytes) -> None:
    """
    Refuse what the sender cannot pay, or may not send.

    Args:
        tx: The transaction.
        account: The sender's account as it is now.
        code: The sender's code; that of another account's delegate is allowed.

    Raises:
        RefusedTransactionError: The nonce has passed, the balance is too small, or the sender is a contract.
    """
    if tx.nonce < account.nonce:
        raise RefusedTransactionError(f"nonce too low: next nonce {account.nonce}, tx nonce {tx.nonce}")
    if code and delegate_of(code) is None:
        raise RefusedTransactionError("sender not an eoa: it has code")
    cost = tx.gas * tx.max_fee + tx.value
    if account.balance < cost:
        raise RefusedTransactionError(
            f"insufficient funds for gas * price + value: balance {account.balance}, tx cost {cost}, overshot {cost - account.balance}"
        )
