"""How much gas a transaction needs: run it with all there is, then find the least that has the same effect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from voisin.chain.devnet.engines.engine import Outcome
from voisin.chain.devnet.wire.errors import RpcError, revert_error

RunWith = Callable[[int], Outcome]
"""Runs the call with a gas limit."""

_CALL_STIPEND = 2_300
_TOLERANCE = 60
"""The answer is at most 1/60 above the least gas that works; geth's is at most 1.5 % above."""
_DEPTHS = 4
"""So deep are most calls nested at most."""
_MOST_EXTRA = 16
"""No call is given more than a 16th above what it spends, only because one before it needed that."""


@dataclass(slots=True)
class Habit:
    """
    What the last estimate of the same function found, so that the next one need not search.

    Attributes:
        spent: What the call spent with all gas.
        needed: The least limit that was enough.
    """

    spent: int = 1
    needed: int = 1

    def guess(self, spent: int) -> int:
        """The limit that this call needs if it is like the last."""
        extra = spent * (self.needed - self.spent) // self.spent
        return spent + min(extra, spent // _MOST_EXTRA)


def estimate_gas(run: RunWith, *, ceiling: int, least: int, habit: Habit | None = None) -> int:
    """
    Find a gas limit with which a call does what it does with plenty of gas.

    Most calls need exactly what they consume. The others hand 63/64 of their gas to a callee (EIP-150) or look at it themselves;
    for them the answer is found by bisection. A smaller limit counts only when it leaves the same logs and writes the same slots: a
    contract may survive the failure of a callee that ran out of gas, but nobody who asks for an estimate wants that. Where no
    limit below the ceiling does (the contract records its own gas), any limit that succeeds counts.

    Args:
        run: Runs the call with a gas limit.
        ceiling: Most gas the transaction may have.
        least: Gas it needs whatever it does.
        habit: What is known of the function, and then will be.

    Returns:
        The gas limit.

    Raises:
        RevertError: The contract refuses the call.
        RpcError: It fails otherwise even with all gas.
    """
    if ceiling < least:
        raise RpcError(f"gas required exceeds allowance ({ceiling})")
    full = run(ceiling)
    require_success(full, ceiling)

    def has_same_effect(gas: int) -> bool:
        outcome = run(gas)
        return outcome.error is None and outcome.logs == full.logs and outcome.changes.slots.keys() == full.changes.slots.keys()

    def succeeds(gas: int) -> bool:
        return run(gas).error is None

    exact = max(full.gas_spent, least)
    guess = exact if habit is None else habit.guess(exact)
    if exact < guess < ceiling and has_same_effect(guess):
        return guess
    found = _least(has_same_effect, exact=exact, ceiling=ceiling)
    if habit is not None:
        habit.spent, habit.needed = exact, found
    return found if found < ceiling else _least(succeeds, exact=exact, ceiling=ceiling)


def require_success(outcome: Outcome, gas: int) -> None:
    """
    Turn a failed run into the error that clients expect.

    Args:
        outcome: What a call did.
        gas: The gas it had.

    Raises:
        RevertError: The contract refused.
        RpcError: It failed otherwise.
    """
    if outcome.is_revert:
        raise revert_error(outcome.output)
    if outcome.error == "out of gas":
        raise RpcError(f"out of gas: gas required exceeds: {gas}")
    if outcome.error is not None:
        raise RpcError(outcome.error)


def _least(is_enough: Callable[[int], bool], *, exact: int, ceiling: int) -> int:
    """Least limit that is enough, from `exact` on, to within the tolerance; the ceiling is known to be enough."""
    if exact >= ceiling or is_enough(exact):
        return min(exact, ceiling)
    low, high, guess = exact, ceiling, exact
    for _ in range(_DEPTHS):  # each callee in a callee holds back another 64th
        guess = (guess + _CALL_STIPEND) * 64 // 63 + 1
        if guess >= high:
            break
        if is_enough(guess):
            high = guess
            break
        low = guess
    while high - low > max(1, high // _TOLERANCE):
        guess = min((low + high) // 2, low * 2)
        if is_enough(guess):
            high = guess
        else:
            low = guess
    return high
