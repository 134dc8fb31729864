"""Methods that run contract code or change the chain. They run on the ledger's thread, one after another."""

from __future__ import annotations

import time
from collections.abc import Callable

from voisin.chain.devnet.engine import Call, IsExpired, Outcome
from voisin.chain.devnet.fees import GasNeeded, gas_needed
from voisin.chain.devnet.gas_estimate import estimate_gas, require_success
from voisin.chain.devnet.ledger import Ledger
from voisin.chain.devnet.params import LATEST, BlockRef, CallParams, Json, Params, address, block_ref, call_params, data, members, quantity
from voisin.chain.devnet.render import data_text
from voisin.chain.devnet.rpc_errors import BadParamsError, RpcError
from voisin.chain.devnet.settings import DevnetSettings

Handler = Callable[[Params], Json]


class ChainRuns:
    """
    Sends transactions, runs calls, and does what tests need.

    Args:
        ledger: The chain.
        settings: Limits, and which methods there are.
        is_closing: Tells whether the node is shutting down, which ends calls.
    """

    def __init__(self, ledger: Ledger, settings: DevnetSettings, *, is_closing: Callable[[], bool]) -> None:
        self._ledger = ledger
        self._is_closing = is_closing
        self._settings = settings

    def table(self) -> dict[str, tuple[Handler, int]]:
        """
        List the methods.

        Returns:
            By name: what carries the method out, and the most parameters it takes.
        """
        table: dict[str, tuple[Handler, int]] = {
            "eth_sendRawTransaction": (self._send, 1),
            "eth_call": (self._call, 4),
            "eth_estimateGas": (self._estimate, 3),
        }
        if self._settings.has_test_methods:
            table |= {
                "evm_increaseTime": (self._increase_time, 1),
                "evm_setNextBlockTimestamp": (self._set_next_timestamp, 1),
                "evm_mine": (self._mine, 1),
                "evm_snapshot": (self._snapshot, 0),
                "evm_revert": (self._revert, 1),
                "anvil_setBalance": (self._set_balance, 2),
            }
        return table

    def _send(self, params: Params) -> Json:
        return data_text(self._ledger.send(params.read(0, data)))

    def _call(self, params: Params) -> Json:
        asked, ref = params.read(0, call_params), params.read_or(1, block_ref, default=LATEST)
        _refuse_overrides(params, 2, 3)
        gas = min(asked.gas or self._settings.gas_limit, self._settings.gas_limit)
        is_pending, block = self._place(ref)
        outcome = self._run(asked, gas, is_pending=is_pending, block=block, is_expired=self._deadline())
        require_success(outcome, gas)
        return data_text(outcome.output)

    def _estimate(self, params: Params) -> Json:
        asked, ref = params.read(0, call_params), params.read_or(1, block_ref, default=LATEST)
        _refuse_overrides(params, 2)
        _, block = self._place(ref)
        ceiling = min(asked.gas or self._settings.gas_limit, self._settings.gas_limit)
        if asked.price:
            spendable = self._ledger.balance(asked.sender) - asked.value
            if spendable < 0:
                raise RpcError("insufficient funds for transfer")
            ceiling = min(ceiling, spendable // asked.price)
        is_expired = self._deadline()

        def run(gas: int) -> Outcome:
            return self._run(asked, gas, is_pending=block is None, block=block, is_expired=is_expired)

        return hex(estimate_gas(run, ceiling=ceiling, least=max(_needed(asked))))

    def _run(self, asked: CallParams, gas: int, *, is_pending: bool, block: int | None, is_expired: IsExpired) -> Outcome:
        needed = _needed(asked).intrinsic
        if gas < needed:
            raise RpcError(f"intrinsic gas too low: have {gas}, want {needed}")
        call = Call(asked.sender, asked.to, asked.data, asked.value, gas, asked.price, asked.access_list, asked.authorizations)
        return self._ledger.call(call, block=block, is_pending=is_pending, is_expired=is_expired)

    def _place(self, ref: BlockRef) -> tuple[bool, int | None]:
        """Whether the coming block is meant, and the height where one certain block is meant."""
        if ref.hash is not None:
            return False, self._ledger.height_of(ref.hash)
        return ref.tag == "pending", 0 if ref.tag == "earliest" else ref.number

    def _deadline(self) -> IsExpired:
        end = time.monotonic() + self._settings.call_timeout_s
        return lambda: time.monotonic() > end or self._is_closing()

    # What only tests do to a chain.

    def _increase_time(self, params: Params) -> Json:
        return self._ledger.increase_time(params.read(0, quantity))

    def _set_next_timestamp(self, params: Params) -> Json:
        self._ledger.set_next_timestamp(params.read(0, quantity))
        return None

    def _mine(self, params: Params) -> Json:
        timestamp: int | None = params.read_or(0, quantity, default=0) or None
        self._ledger.mine(timestamp)
        return "0x0"

    def _snapshot(self, _params: Params) -> Json:
        return hex(self._ledger.snapshot())

    def _revert(self, params: Params) -> Json:
        return self._ledger.revert(params.read(0, quantity))

    def _set_balance(self, params: Params) -> Json:
        self._ledger.set_balance(params.read(0, address), params.read(1, quantity))
        return None


def _needed(asked: CallParams) -> GasNeeded:
    return gas_needed(asked.data, is_create=asked.to is None, access_list=asked.access_list, authorizations=len(asked.authorizations))


def _refuse_overrides(params: Params, *indexes: int) -> None:
    for index in indexes:
        overrides: dict[str, Json] = params.read_or(index, members, default={})
        if overrides:
            raise BadParamsError(f"invalid argument {index}: overrides of state or block are not supported")
