"""Our hub and the original in step: after every step both must have said, kept and paid the same."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.support.contracts import Contract
from tests.support.evm import GAS_LIMIT, NOBODY, Evm, Receipt, RevertedError
from tests.support.ledgers import Ledger
from tests.support.market import KITTY, Market
from tests.support.orders import ZERO
from tests.support.pair_differences import comparable_logs, is_read_as_zeros, is_refused_by_ours_alone, is_same_refusal

Outcome = Receipt | RevertedError


class Pair:
    """
    Both hubs behind one face.

    Args:
        market: A twin market (`tests.support.twin.twin_market`).
    """

    def __init__(self, market: Market) -> None:
        self.market = market
        self.evms: tuple[Evm, Evm] = market.evm.both  # type: ignore[attr-defined]
        self.ledgers = tuple(Ledger(evm, market, is_original=number == 1) for number, evm in enumerate(self.evms))
        self.accounts = [KITTY, ZERO, market.hub.address]
        self.outcomes: Counter[tuple[str, bool]] = Counter()
        """How often which function succeeded or failed, over all sequences: a comparison of refusals alone would prove little."""
        self.dearest: dict[str, float] = {}
        """For each function the largest quotient of our gas and theirs."""

    @property
    def time(self) -> int:
        """The clock of both."""
        return self.evms[0].time

    def do(self, function: str, *arguments: Any, by: str, contract: Contract | None = None) -> Outcome:
        """Send a call to both."""
        where = contract or self.market.hub
        return self.send(by, where.address, where.data(function, *arguments), name=function)

    def send(self, sender: str, to: str, data: bytes, *, name: str, value: int = 0) -> Outcome:
        """
        Send a transaction to both and compare all that can be seen of it.

        Returns:
            What ours did. Where the two differ on purpose, nothing has happened on either.
        """
        marks = [evm.mark() for evm in self.evms]
        ours, theirs = (_outcome(evm, sender, to, data, value) for evm in self.evms)
        if (isinstance(theirs, Receipt) and is_refused_by_ours_alone(name, ours)) or is_read_as_zeros(name, ours, theirs):
            for evm, mark in zip(self.evms, marks, strict=True):
                evm.rewind(mark)
            self.outcomes["different on purpose", isinstance(ours, Receipt)] += 1
            return ours
        _compare(name, ours, theirs)
        self.outcomes[name, isinstance(ours, Receipt)] += 1
        if isinstance(ours, Receipt) and isinstance(theirs, Receipt):
            self.dearest[name] = max(self.dearest.get(name, 0.0), ours.gas_used / theirs.gas_used)
        self.compare_money(name)
        return ours

    def ask(self, function: str, *arguments: Any, by: str = NOBODY, contract: Contract | None = None) -> Any:
        """Ask both; gives the answer, or the refusal."""
        where = contract or self.market.hub
        data = where.data(function, *arguments)
        marks = [evm.mark() for evm in self.evms]
        ours, theirs = (_outcome(evm, by, where.address, data, 0) for evm in self.evms)
        for evm, mark in zip(self.evms, marks, strict=True):
            evm.rewind(mark)
        _compare(function, ours, theirs, arguments)
        self.outcomes[function, isinstance(ours, Receipt)] += 1
        if isinstance(ours, RevertedError):
            return ours
        answer = where.answer(function, ours.output)
        return answer[0] if len(answer) == 1 else answer

    def compare_money(self, after: str) -> None:
        """Compare what everybody has."""
        ours, theirs = ({account: ledger.holding(account) for account in self.accounts} for ledger in self.ledgers)
        assert ours == theirs, f"after {after}: {[(who, ours[who], theirs[who]) for who in ours if ours[who] != theirs[who]]}"
        assert self.ledgers[0].supply() == self.ledgers[1].supply(), after

    def set_score(self, worker: str, score: int) -> None:
        """Give a worker a past, on both."""
        for evm, ledger in zip(self.evms, self.ledgers, strict=True):
            contract, slot = ledger.place_of_score(worker)
            evm.set_storage(contract, slot, score)


def _outcome(evm: Evm, sender: str, to: str, data: bytes, value: int) -> Outcome:
    try:
        return evm.send(sender, to, data, value=value, gas=GAS_LIMIT)
    except RevertedError as error:
        return error


def _compare(function: str, ours: Outcome, theirs: Outcome, arguments: tuple[Any, ...] = ()) -> None:
    name = f"{function}{arguments}"
    if isinstance(ours, RevertedError) and isinstance(theirs, RevertedError):
        assert is_same_refusal(function, ours, theirs), f"{name}: ours says {ours}, the original {theirs}"
        return
    assert isinstance(ours, Receipt), f"{name}: the original did it, ours said {ours}"
    assert isinstance(theirs, Receipt), f"{name}: ours did it, the original said {theirs}"
    assert comparable_logs(ours.logs) == theirs.logs, f"{name}: ours logs {ours.logs}, the original {theirs.logs}"
    assert ours.output == theirs.output, f"{name}: ours answers {ours.output.hex()}, the original {theirs.output.hex()}"
