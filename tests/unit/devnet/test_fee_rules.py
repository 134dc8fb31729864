"""What must be paid and what is refused: the tables of the EIPs, written a second time by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from voisin.chain.devnet.fees import gas_needed, require_affordable, require_sendable, settle_gas
from voisin.chain.devnet.values import EMPTY_CODE_HASH, AccessList, Account, Transaction
from voisin.chain.devnet.wire.errors import RefusedTransactionError

GWEI = 10**9
SLOTS = ((b"\1" * 20, (1, 2)), (b"\2" * 20, ()))
PLAIN = Transaction(
    kind=2, hash=b"h", raw=b"", sender=b"\7" * 20, chain_id=1, nonce=5, priority_fee=1, max_fee=2 * GWEI, gas=21_000, to=b"\1" * 20,
    value=0, data=b"", access_list=(), parity=0, r=1, s=1,
)  # fmt: skip


@pytest.mark.parametrize(
    ("data", "is_create", "access_list", "intrinsic", "floor"),
    [
        (b"", False, (), 21_000, 21_000),
        (b"\0", False, (), 21_004, 21_010),
        (b"\1", False, (), 21_016, 21_040),
        (b"\0\1" * 100, False, (), 21_000 + 400 + 1600, 21_000 + 1000 + 4000),
        (b"", False, SLOTS, 21_000 + 2 * 2400 + 2 * 1900, 21_000),
        (b"", True, (), 53_000, 21_000),
        (b"\1" * 32, True, (), 53_000 + 512 + 2, 21_000 + 1280),
        (b"\1" * 33, True, (), 53_000 + 528 + 4, 21_000 + 1320),
    ],
)
def test_gas_before_the_first_instruction(data: bytes, is_create: bool, access_list: AccessList, intrinsic: int, floor: int) -> None:
    assert tuple(gas_needed(data, is_create=is_create, access_list=access_list)) == (intrinsic, floor)


@pytest.mark.parametrize(
    ("limit", "left", "refund", "floor", "used"),
    [
        (100_000, 40_000, 0, 21_000, 60_000),
        (100_000, 40_000, 4_800, 21_000, 55_200),
        (100_000, 40_000, 50_000, 21_000, 48_000),  # no more than a fifth comes back (EIP-3529)
        (100_000, 40_000, 50_000, 59_000, 59_000),  # and never below the floor (EIP-7623)
        (100_000, 0, 0, 21_000, 100_000),
    ],
)
def test_gas_that_is_paid_for(limit: int, left: int, refund: int, floor: int, used: int) -> None:
    assert settle_gas(limit, left=left, refund=refund, floor=floor) == used


def test_price_of_gas() -> None:
    # EIP-1559: the base fee and the tip, but never more than the sender allows
    assert replace(PLAIN, priority_fee=GWEI, max_fee=3 * GWEI).price(GWEI) == 2 * GWEI
    assert replace(PLAIN, priority_fee=GWEI, max_fee=3 * GWEI // 2).price(GWEI) == 3 * GWEI // 2
    assert replace(PLAIN, priority_fee=GWEI, max_fee=GWEI).price(0) == GWEI


def test_plain_transfer_can_be_sent() -> None:
    require_sendable(PLAIN, base_fee=GWEI, block_gas_limit=30_000_000)
    require_affordable(PLAIN, Account(5, 21_000 * 2 * GWEI, EMPTY_CODE_HASH), code=b"")
    require_affordable(PLAIN, Account(4, 21_000 * 2 * GWEI, EMPTY_CODE_HASH), code=b"")


@pytest.mark.parametrize(
    ("tx", "said"),
    [
        (replace(PLAIN, gas=30_000_001), "exceeds block gas limit: gas 30000001, limit 30000000"),
        (replace(PLAIN, gas=20_999), "intrinsic gas too low: gas 20999, minimum needed 21000"),
        (replace(PLAIN, gas=25_000, data=b"\1" * 200), "insufficient gas for floor data gas cost: gas 25000, minimum needed 29000"),
        (replace(PLAIN, to=None, data=bytes(49_153), gas=10**7), "max initcode size exceeded: code size 49153, limit 49152"),
        (replace(PLAIN, priority_fee=3 * GWEI), "max priority fee per gas higher than max fee per gas"),
        (replace(PLAIN, max_fee=GWEI - 1), "max fee per gas less than block base fee: maxFeePerGas: 999999999, baseFee: 1000000000"),
        (replace(PLAIN, nonce=2**64 - 1), "nonce has max value"),
    ],
)
def test_what_no_state_makes_valid(tx: Transaction, said: str) -> None:
    with pytest.raises(RefusedTransactionError, match=said):
        require_sendable(tx, base_fee=GWEI, block_gas_limit=30_000_000)


@pytest.mark.parametrize(
    ("account", "code", "said"),
    [
        (Account(6, 10**18, EMPTY_CODE_HASH), b"", "nonce too low: next nonce 6, tx nonce 5"),
        (
            Account(5, 41_999_999_999_999, EMPTY_CODE_HASH),
            b"",
            "insufficient funds for gas .* 41999999999999, tx cost 42000000000000, overshot 1",
        ),
        (Account(5, 10**18, b"\1" * 32), b"\0", "sender not an eoa"),
        (Account(5, 10**18, b"\1" * 32), b"\xef\x01\x00" + bytes(19), "sender not an eoa"),
    ],
)
def test_what_the_sender_cannot_pay_or_send(account: Account, code: bytes, said: str) -> None:
    with pytest.raises(RefusedTransactionError, match=said):
        require_affordable(PLAIN, account, code=code)


def test_account_that_runs_the_code_of_another_may_send() -> None:
    # EIP-7702 takes the check of EIP-3607 back for accounts with a delegate
    require_affordable(PLAIN, Account(5, 10**18, b"\1" * 32), code=b"\xef\x01\x00" + bytes(20))


def test_each_authorization_costs_gas() -> None:
    # EIP-7702: PER_EMPTY_ACCOUNT_COST
    assert gas_needed(b"", is_create=False, access_list=(), authorizations=2).intrinsic == 21_000 + 2 * 25_000


def test_value_counts_towards_the_cost() -> None:
    with pytest.raises(RefusedTransactionError, match="overshot 1"):
        require_affordable(replace(PLAIN, value=1), Account(5, 21_000 * 2 * GWEI, EMPTY_CODE_HASH), code=b"")
