"""Methods that run contract code or send transactions. They run on the ledger's thread, one after another."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from voisin.chain.devnet.engines.engine import Call, IsExpired, Outcome
from voisin.chain.devnet.fees import GasNeeded, gas_needed
from voisin.chain.devnet.gas_estimate import Habit, estimate_gas, require_success
from voisin.chain.devnet.ledger import Ledger
from voisin.chain.devnet.pretended import Place
from voisin.chain.devnet.settings import DevnetSettings
from voisin.chain.devnet.wire.errors import RpcError
from voisin.chain.devnet.wire.override_params import pretend
from voisin.chain.devnet.wire.params import LATEST, BlockRef, CallParams, Json, Params, block_ref, call_params, data
from voisin.chain.devnet.wire.render import data_text

_MOST_HABITS = 1_000
"""So many functions are remembered for estimates of their gas."""
_MOMENT_S = 0.05
"""How long one client's batch may keep the others from the ledger before they get their turn."""

Handler = Callable[[Params], Json]


class ChainRuns:
    """
    Sends transactions and runs calls.

    Args:
        ledger: The chain.
        settings: Limits.
        is_closing: Tells whether the node is shutting down, which ends calls.
    """

    def __init__(self, ledger: Ledger, settings: DevnetSettings, *, is_closing: Callable[[], bool]) -> None:
        self._ledger = ledger
        self._is_closing = is_closing
        self._settings = settings
        self._habits: dict[tuple[bytes | None, bytes], Habit] = {}

    def table(self) -> dict[str, tuple[Handler, int]]:
        """
        List the methods.

        Returns:
            By name: what carries the method out, and the most parameters it takes.
        """
        return {
            "eth_sendRawTransaction": (self._send, 1),
            "eth_call": (self._call, 4),
            "eth_estimateGas": (self._estimate, 3),
        }

    def estimate(self, asked: CallParams, place: Place) -> int:
        """
        Find the gas limit that a transaction needs.

        Args:
            asked: The transaction.
            place: Where it runs.

        Returns:
            The gas limit.

        Raises:
            RevertError: The contract refuses.
            RpcError: It fails otherwise, or the sender cannot pay.
        """
        ceiling = min(asked.gas or self._settings.gas_limit, self._settings.gas_limit)
        if asked.price:
            spendable = self._ledger.state.account(asked.sender).balance - asked.value
            if spendable < 0:
                raise RpcError("insufficient funds for transfer")
            ceiling = min(ceiling, spendable // asked.price)
        is_expired = self.deadline()
        return estimate_gas(
            lambda gas: self._run(asked, gas, place=place, is_expired=is_expired),
            ceiling=ceiling,
            least=max(needed_by(asked)),
            habit=self._habit(asked),
        )

    def _habit(self, asked: CallParams) -> Habit:
        """What earlier estimates of the same function found; the oldest are forgotten."""
        function = asked.to, asked.data[:4]
        if function not in self._habits and len(self._habits) >= _MOST_HABITS:
            del self._habits[next(iter(self._habits))]
        return self._habits.setdefault(function, Habit())

    def deadline(self) -> IsExpired:
        """
        Start the time that a call may take.

        Returns:
            Tells whether it is up.
        """
        end = time.monotonic() + self._settings.call_timeout_s
        return lambda: time.monotonic() > end or self._is_closing()

    def _send(self, params: Params) -> Json:
        return data_text(self._ledger.send(params.read(0, data)))

    def send_together(self, asked: list[Params]) -> list[Json | RpcError]:
        """
        Send several transactions, or as many as can be sent in a moment.

        Args:
            asked: Parameters of `eth_sendRawTransaction` of each.

        Returns:
            For each that was begun, its hash or why it is refused.

        Raises:
            UnavailableError: The chain's file cannot be written.
        """
        raws: list[bytes] = []
        for params in asked:
            try:
                raws.append(params.read(0, data))
            except RpcError as refusal:
                if not raws:
                    return [refusal]
                break
        answers = self._ledger.send_together(raws, time_s=_MOMENT_S)
        return [answer if isinstance(answer, RpcError) else data_text(answer) for answer in answers]

    def _call(self, params: Params) -> Json:
        asked, place = params.read(0, call_params), self._place(params.read_or(1, block_ref, default=LATEST))
        gas = min(asked.gas or self._settings.gas_limit, self._settings.gas_limit)
        outcome = self._run(asked, gas, place=pretend(place, params, 2, 3), is_expired=self.deadline())
        require_success(outcome, gas)
        return data_text(outcome.output)

    def _estimate(self, params: Params) -> Json:
        asked, place = params.read(0, call_params), self._place(params.read_or(1, block_ref, default=LATEST))
        if place.block is None:
            place = replace(place, is_pending=True)  # it will run in the coming block
        return hex(self.estimate(asked, pretend(place, params, 2)))

    def _run(self, asked: CallParams, gas: int, *, place: Place, is_expired: IsExpired) -> Outcome:
        needed = needed_by(asked).intrinsic
        if gas < needed:
            raise RpcError(f"intrinsic gas too low: have {gas}, want {needed}")
        call = Call(asked.sender, asked.to, asked.data, asked.value, gas, asked.price, asked.access_list, asked.authorizations)
        return self._ledger.call(call, place=place, is_expired=is_expired)

    def _place(self, ref: BlockRef) -> Place:
        if ref.hash is not None:
            return Place(self._ledger.height_of(ref.hash))
        return Place(0 if ref.tag == "earliest" else ref.number, is_pending=ref.tag == "pending")


def needed_by(asked: CallParams) -> GasNeeded:
    """
    Compute the gas that an unsigned transaction needs before anything runs.

    Args:
        asked: The transaction.

    Returns:
        Intrinsic gas and the floor.
    """
    return gas_needed(asked.data, is_create=asked.to is None, access_list=asked.access_list, authorizations=len(asked.authorizations))
