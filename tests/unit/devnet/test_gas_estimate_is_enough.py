"""An estimate is enough for what the call does with plenty of gas, and hardly more; on callees made by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from voisin.chain.devnet.engines.engine import Outcome
from voisin.chain.devnet.gas_estimate import Habit, estimate_gas
from voisin.chain.devnet.values import Changes, Log
from voisin.chain.devnet.wire.errors import RpcError
from voisin.errors import RevertError

CEILING = 30_000_000


def outcome(gas: int, spent: int, *, error: str | None = None, logs: int = 0, slots: int = 0, output: bytes = b"") -> Outcome:
    changes = Changes({}, {(b"\1" * 20, slot): 1 for slot in range(slots)}, {})
    noted = tuple(Log(b"\1" * 20, (), bytes([number])) for number in range(logs))
    is_revert = error == "execution reverted"
    return Outcome(error, is_revert, min(gas, spent), gas if error and not is_revert else spent, output, noted, None, changes)


class Counted:
    """A call as a function of its gas; counts its runs."""

    def __init__(self, behaviour: Callable[[int], Outcome]) -> None:
        self.behaviour = behaviour
        self.runs = 0

    def __call__(self, gas: int) -> Outcome:
        self.runs += 1
        return self.behaviour(gas)


def test_plain_call_needs_what_it_spends_and_takes_two_runs() -> None:
    run = Counted(lambda gas: outcome(gas, 50_000, logs=1) if gas >= 50_000 else outcome(gas, gas, error="out of gas"))
    assert estimate_gas(run, ceiling=CEILING, least=21_000) == 50_000
    assert run.runs == 2


def test_floor_of_calldata_counts() -> None:
    run = Counted(lambda gas: outcome(gas, 30_000))
    assert estimate_gas(run, ceiling=CEILING, least=60_000) == 60_000


@pytest.mark.parametrize("needed", [50_001, 50_900, 53_000, 80_000, 400_000, 29_999_999])
def test_callee_that_gets_63_of_64_parts(needed: int) -> None:
    run = Counted(lambda gas: outcome(gas, 50_000) if gas >= needed else outcome(gas, gas, error="out of gas"))
    found = estimate_gas(run, ceiling=CEILING, least=21_000)
    assert needed <= found <= needed * 61 // 60 + 1
    assert run.runs < 40


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_callees_in_callees_take_few_runs(depth: int) -> None:
    needed = 400_000
    for _ in range(depth):
        needed = needed * 64 // 63
    run = Counted(lambda gas: outcome(gas, 400_000) if gas >= needed else outcome(gas, gas, error="out of gas"))
    assert needed <= estimate_gas(run, ceiling=CEILING, least=21_000) <= needed * 61 // 60
    assert run.runs <= depth + 3


def test_function_that_was_estimated_before_takes_two_runs() -> None:
    def calls(spent: int, needed: int) -> Counted:
        return Counted(lambda gas: outcome(gas, spent) if gas >= needed else outcome(gas, gas, error="out of gas"))

    habit = Habit()
    first, second, third = calls(400_000, 413_000), calls(420_000, 433_600), calls(400_000, 425_000)
    assert estimate_gas(first, ceiling=CEILING, least=21_000, habit=habit) >= 413_000
    assert 433_600 <= estimate_gas(second, ceiling=CEILING, least=21_000, habit=habit) <= 433_600 * 61 // 60
    assert second.runs == 2 < first.runs
    assert 425_000 <= estimate_gas(third, ceiling=CEILING, least=21_000, habit=habit) <= 425_000 * 61 // 60  # it needs more this time


def test_what_one_call_needed_is_not_given_to_all() -> None:
    habit = Habit(spent=50_000, needed=400_000)
    run = Counted(lambda gas: outcome(gas, 50_000))
    assert estimate_gas(run, ceiling=CEILING, least=21_000, habit=habit) <= 50_000 * 17 // 16


def test_callee_whose_failure_is_survived_still_gets_its_gas() -> None:
    # succeeds from 50,000 on, but only from 90,000 on does the callee write its slot and its log
    run = Counted(lambda gas: outcome(gas, 50_000, logs=int(gas >= 90_000), slots=int(gas >= 90_000)))
    assert 90_000 <= estimate_gas(run, ceiling=CEILING, least=21_000) <= 91_500


def test_contract_that_records_its_gas_gets_what_it_spends() -> None:
    # its log differs with every limit, so no smaller limit has the same effect; any that succeeds will do
    def recording(gas: int) -> Outcome:
        if gas < 50_000:
            return outcome(gas, gas, error="out of gas")
        return Outcome(None, False, 50_000, 50_000, b"", (Log(b"\1" * 20, (), str(gas).encode()),), None, Changes({}, {}, {}))

    assert estimate_gas(recording, ceiling=CEILING, least=21_000) == 50_000


def test_what_needs_all_gas_gets_all_gas() -> None:
    run = Counted(lambda gas: outcome(gas, 50_000) if gas >= CEILING else outcome(gas, gas, error="out of gas"))
    assert estimate_gas(run, ceiling=CEILING, least=21_000) == CEILING


def test_refusal_is_passed_on_with_its_data() -> None:
    with pytest.raises(RevertError) as caught:
        estimate_gas(lambda gas: outcome(gas, 1, error="execution reverted", output=b"\xde\xad"), ceiling=CEILING, least=21_000)
    assert caught.value.data == b"\xde\xad"


@pytest.mark.parametrize(("error", "said"), [("out of gas", "gas required exceeds: 30000000"), ("invalid opcode", "invalid opcode")])
def test_failure_with_all_gas_is_told(error: str, said: str) -> None:
    with pytest.raises(RpcError, match=said):
        estimate_gas(lambda gas: outcome(gas, gas, error=error), ceiling=CEILING, least=21_000)


def test_allowance_below_the_least_gas_is_told() -> None:
    with pytest.raises(RpcError, match=r"gas required exceeds allowance \(20000\)"):
        estimate_gas(lambda gas: outcome(gas, 1), ceiling=20_000, least=21_000)
