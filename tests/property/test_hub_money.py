"""No sequence of steps makes or loses money, leaves it locked without reason, or a deal without an end (SPEC 14)."""

from __future__ import annotations

from functools import cache, partial

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.support.accounts import Signer
from tests.support.books import Status
from tests.support.boost_machine import BoostMachine
from tests.support.hub_machine import NUMBERS
from tests.support.market import RLC, WEI, deploy_market, furnish, open_market
from tests.support.nights import examples
from tests.support.orders import task_id
from tests.support.quick_evm import QuickEvm
from voisin.chain.artifacts import load_artifact

ACCOUNTS_SLOT = load_artifact("Hub").layout["accounts"].slot
HALF = 2**128 - 1


class OurHub(BoostMachine):
    """On our hub alone, whose schedulers may give tasks back."""

    open_market = staticmethod(cache(lambda: open_market(QuickEvm())))

    @precondition(lambda self: self.tasks)
    @rule(which=NUMBERS, others=st.lists(st.integers(0, 3), max_size=2), most=st.sampled_from([None, None, None, 0, 1, RLC]))
    def give_back(self, which: int, others: list[int], most: int | None) -> None:
        """The scheduler ends a task, and perhaps others of its deal or none at all, at any price or for little."""
        task = self._task(which, Status.UNSET, Status.ACTIVE)
        deal, index = next(place for place in self.tasks if task_id(*place) == task.identity)
        bound = 2**256 - 1 if most is None else most
        done = self.books.give_back(task.deal, [index, *others], bound, self.market.evm.time)
        self._do(done, "giveBack", deal, [index, *others], bound, by=task.deal.scheduler)

    def account(self, account: str) -> tuple[int, int]:
        """Read from where the hub keeps it, which is quicker than to ask, and compare with the answer now and then."""
        word = self.market.evm.mapping(self.market.hub.address, ACCOUNTS_SLOT, account)
        if self.count % 8 == 0:
            assert super().account(account) == (word & HALF, word >> 128)
        return word & HALF, word >> 128


class OurNativeHub(OurHub):
    """On our hub of native coin."""

    open_market = staticmethod(cache(lambda: furnish(deploy_market(QuickEvm(), is_native=True))))

    def bring(self, person: Signer, amount: int) -> None:
        """Pay coin in; less than 1 nRLC of it comes back."""
        evm, owner = self.market.evm, self.market.roles.owner.address
        evm.fund(owner, amount * WEI + 1)
        self._expect(True, partial(self.market.hub.send, "depositFor", person.address, by=owner, value=amount * WEI + 1))
        assert evm.balance(owner) == 1

    def held(self) -> int:
        """All coin of the hub [nRLC]."""
        held, rest = divmod(self.market.evm.balance(self.market.hub.address), WEI)
        assert rest == 0
        return held


TestOurHub = pytest.mark.timeout(240)(OurHub.TestCase)
TestOurHub.settings = settings(max_examples=examples(12), stateful_step_count=30, deadline=None)
TestOurNativeHub = pytest.mark.timeout(240)(OurNativeHub.TestCase)
TestOurNativeHub.settings = settings(max_examples=examples(4), stateful_step_count=30, deadline=None)
