"""Steps of owners, of the hub and of entries, of those who would be, and of callers that speak nonsense."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.support.contracts import Contract
from tests.support.evm import Receipt
from tests.support.orders import ZERO
from tests.support.pair_differences import NONSENSE, incomparable_selectors
from tests.support.pair_machine import PairMachine
from tests.support.pair_orders import NUMBERS, TEXTS
from voisin.chain.artifacts import load_abi

VIEWS = ("totalSupply", "token", "appregistry", "workerpoolregistry", "teebroker", "callbackgas", "countCategory", "eip712domain_separator")
IS_OWNER = st.sampled_from([True, True, True, False])
STAKES = st.sampled_from([0, 30, 35, 250, 2**200])
TIMES = st.sampled_from([0, 1, 60, 300, 2**36, 2**36 + 1, 2**40, 2**255])
CALLABLE = sorted({entry.selector for entry in load_abi("Hub") if entry.type == "function"} - incomparable_selectors())


class OwnerSteps(PairMachine):
    """What owners decide, and what callers try that nobody allowed."""

    @rule(is_owner=IS_OWNER, gas=st.sampled_from([0, 1_000, 100_000, 200_000, 2_000_000]), who=NUMBERS)
    def set_callback_gas(self, is_owner: bool, gas: int, who: int) -> None:
        """Contracts get more or less gas to take their results."""
        self.do("setCallbackGas", gas, by=self._owner(is_owner, who))

    @rule(is_owner=IS_OWNER, who=NUMBERS, broker=st.sampled_from(["nobody", "enclave", "stranger"]))
    def set_tee_broker(self, is_owner: bool, who: int, broker: str) -> None:
        """Somebody vouches for enclaves, or nobody."""
        key = {"nobody": None, "enclave": self.roles.enclave, "stranger": self.roles.stranger}[broker]
        if self.did(self.do("setTeeBroker", key.address if key else ZERO, by=self._owner(is_owner, who))):
            self.broker = key

    @rule(is_owner=IS_OWNER, who=NUMBERS, order=st.permutations([0, 1, 2]))
    def change_registries(self, is_owner: bool, who: int, order: list[int]) -> None:
        """Registries are exchanged; with others nothing matches."""
        registries = [contract.address for contract in self.market.contracts[2:]]
        right = registries if who % 2 else [registries[place] for place in order]
        self.do("changeRegistries", *right, by=self._owner(is_owner, who))

    @rule(is_owner=IS_OWNER, who=NUMBERS, name=st.sampled_from(TEXTS[:5]), text=st.sampled_from(TEXTS), time=TIMES)
    def create_category(self, is_owner: bool, who: int, name: str, text: str, time: int) -> None:
        """Another size of tasks."""
        self.do("createCategory", name, text, time, by=self._owner(is_owner, who))
        count = self.pair.ask("countCategory")
        for catid in (count - 1, count):
            self.pair.ask("viewCategory", catid)
            self.pair.ask("viewCategoryABILegacy", catid)

    @rule(is_owner=IS_OWNER, who=NUMBERS, step=st.sampled_from(["configure", "updateDomainSeparator", "importScore"]))
    def once_only(self, is_owner: bool, who: int, step: str) -> None:
        """What was done at the beginning is not done again."""
        registries = [contract.address for contract in self.market.contracts[2:]]
        arguments: tuple[Any, ...] = {
            "configure": (self.market.token.address, "name", "symbol", 18, *registries, ZERO),
            "importScore": (self.person(who).address,),
        }.get(step, ())
        self.do(step, *arguments, by=self._owner(is_owner, who))

    @rule(
        which=st.integers(0, 1),
        is_owner=IS_OWNER,
        stake=st.sampled_from([0, 30, 35, 250, 2**200]),
        ratio=st.sampled_from([0, 1, 50, 100, 101]),
    )
    def change_policy(self, which: int, is_owner: bool, stake: int, ratio: int) -> None:
        """The next deals of a pool have other terms."""
        pool = self.world.pools[which]
        contract = Contract(self.market.evm, "workerpool", pool, "Workerpool")
        by = self.world.owner_of(pool).address if is_owner else self.roles.stranger.address
        self.pair.do("changePolicy", stake, ratio, by=by, contract=contract)
        self.pair.ask("viewWorkerpool", pool)

    @rule(which=st.integers(0, 5), to=NUMBERS)
    def hand_over(self, which: int, to: int) -> None:
        """An entry changes its owner; what the former one signed is worth nothing from now on."""
        world = self.world
        entry = (*world.apps, *world.datasets, *world.pools)[which]
        registry = self.market.contracts[2 + which // 2]
        owner, target = world.owner_of(entry), self.person(to)
        outcome = self.pair.do("transferFrom", owner.address, target.address, int(entry, 16), by=owner.address, contract=registry)
        if isinstance(outcome, Receipt):
            world.owners[entry] = target

    @rule(which=NUMBERS)
    def look_around(self, which: int) -> None:
        """What can be read without an id, or with one of another kind."""
        self.pair.ask(VIEWS[which % len(VIEWS)])
        odd = [*self.world.apps, *self.world.odd, *self.world.pools]
        address = odd[which % len(odd)]
        entry = ("viewApp", "viewDataset", "viewWorkerpool")[which % 3]
        for view in (entry, "viewScore", "frozenOf", "balanceOf", "viewAccount"):
            self.pair.ask(view, address)

    @rule(which=NUMBERS, data=st.binary(max_size=130), who=NUMBERS, value=st.sampled_from([0, 0, 1]))
    def speak_nonsense(self, which: int, data: bytes, who: int, value: int) -> None:
        """A known or unknown function with anything as its arguments, with coin or without."""
        selector = CALLABLE[which % len(CALLABLE)] if which % 5 else data[:4]
        call = selector + data
        if call[:4] in incomparable_selectors():
            return
        person = self.person(who).address
        for evm in self.pair.evms:
            evm.fund(person, 1)
        self.pair.send(person, self.market.hub.address, call, name=NONSENSE, value=value)

    @rule(which=NUMBERS, who=NUMBERS, dirt=st.sampled_from(["address", "longer"]))
    def speak_untidily(self, which: int, who: int, dirt: str) -> None:
        """Stray bits where an address should be are refused; more data than is needed is not looked at."""
        person, target = self.person(who).address, self.person(which).address
        data = self.market.hub.data("transfer", target, 1)
        data = data[:4] + b"\1" + data[5:] if dirt == "address" else data + bytes(which % 70)
        self.pair.send(person, self.market.hub.address, data, name="untidy")

    def _owner(self, is_owner: bool, who: int) -> str:
        return self.roles.owner.address if is_owner else self.person(who).address
