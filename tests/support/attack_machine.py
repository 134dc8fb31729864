"""Deals, tasks and money among enemies, step by step; after each step the books must be right (SPEC 14)."""

from __future__ import annotations

from collections import defaultdict
from functools import cache

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.support.attack_world import (
    ACTIVE,
    CHANGING,
    COMPLETED,
    FAILED,
    MODES,
    REVEALING,
    UNSET,
    AttackedDeal,
    AttackWorld,
    attempt,
)
from tests.support.evm import Receipt
from tests.support.market import DIGEST, KITTY, RLC
from tests.support.orders import ZERO

VALUE = b"the right result"
NUMBERS = st.integers(0, 999)
PRICES = st.sampled_from([0, 3, 10 * RLC])
MATCHES = ("matchOrders", "sponsorMatchOrders", "matchOrdersBoost", "sponsorMatchOrdersBoost")
STEPS = ("contributeAndFinalize", "reopen", "claim", "giveBack", "retryCallback", "pushResultBoost", "claimBoost")
MOVES = ("deposit", "withdraw", "transfer", "approveAndCall")
FUNCTIONS = st.lists(st.sampled_from(sorted(CHANGING)), max_size=3)
WHO = st.fixed_dictionaries(
    {
        "app": st.integers(0, 1),
        "pool": st.integers(0, 1),
        "requester": st.integers(0, 1),
        "dataset": st.integers(0, 1),
        "callback": st.integers(0, 3),
        "group": st.sampled_from([0, 0, 1]),
    }
)


@cache
def the_attacked_world() -> AttackWorld:
    """One for all examples; each leaves it as it was."""
    return AttackWorld()


class AttackMachine(RuleBasedStateMachine):
    """Friends do their work; enemies re-enter, refuse, burn gas, flood and lie wherever the hub speaks to them."""

    def __init__(self) -> None:
        super().__init__()
        self.world = the_attacked_world()
        self.mark = self.world.evm.mark()
        self.before = self.world.count
        self.deals: list[AttackedDeal] = []
        self.kitty = 0

    # --- enemies
    @rule(which=st.integers(0, 2), mode=st.sampled_from(sorted(MODES)), functions=FUNCTIONS, number=NUMBERS)
    def arm(self, which: int, mode: str, functions: list[str], number: int) -> None:
        """An enemy decides how to answer, and what to call before it does."""
        attacker = self.world.attackers[which]
        self.world.send(attacker, "arm(uint256)", MODES[mode])
        self._order(attacker, attacker, functions, number)

    @rule(lie=st.integers(0, 3), functions=FUNCTIONS, number=NUMBERS)
    def arm_token(self, lie: int, functions: list[str], number: int) -> None:
        """The token decides what to say, and what to call before and after it has moved."""
        self.world.send(self.world.token, "arm(uint256)", lie)
        self._order(self.world.token, self.world.token, functions, number)

    def _order(self, enemy: str, inside: str, functions: list[str], number: int) -> None:
        task, deal = self._task(number)
        for name in functions:
            data = self.world.call_from_within(name, task, deal.identity if deal else bytes(32), inside)
            self.world.send(enemy, "order(address,bytes)", self.world.hub.address, data)

    # --- deals and tasks
    @initialize(who=WHO, price=PRICES)
    def first_match(self, who: dict[str, int], price: int) -> None:
        """Something to attack."""
        self.match(who=who, price=price, trust=1, volume=2, how="matchOrders")

    @rule(who=WHO, price=PRICES, trust=st.sampled_from([1, 1, 4]), volume=st.integers(1, 2), how=st.sampled_from(MATCHES))
    def match(self, who: dict[str, int], price: int, trust: int, volume: int, how: str) -> None:
        """Orders of friends and enemies meet."""
        self._do(how, *self.world.orders(who, price, trust, volume), by=self.world.roles.sponsor.address)

    @precondition(lambda self: self.deals)
    @rule(number=NUMBERS, count=st.integers(1, 3), is_revealed=st.booleans())
    def work(self, number: int, count: int, is_revealed: bool) -> None:
        """Workers do a task; one that has all reveals is settled, whatever the taker of its result does."""
        task, deal = self._task(number)
        assert deal is not None
        self._do("initialize", deal.identity, deal.tasks.index(task), by=deal.sponsor)
        workers = [*(worker.address for worker in self.world.roles.workers[:count]), self.world.attackers[2]]
        for worker in workers:
            self._do("contribute", *self.world.contribution(task, worker, deal.scheduler), by=worker)
        for worker in workers if is_revealed else ():
            self._do("reveal", task, DIGEST, by=worker)
        self._settle(task, deal)

    def _settle(self, task: bytes, deal: AttackedDeal) -> None:
        state = self.world.hub.read("viewTask", task)
        callback = self.world.hub.read("viewDeal", deal.identity)[8]
        is_due = state[0] == REVEALING and state[8] == state[9] and self.world.evm.time < state[6]
        value = b"" if int(callback, 16) == 0 else VALUE
        done = self._do("finalize", task, b"", value, by=deal.scheduler)
        assert done is not None or not is_due, "an enemy has kept a task from being settled"

    @precondition(lambda self: self.deals)
    @rule(number=NUMBERS, who=NUMBERS, step=st.sampled_from(STEPS))
    def other_step(self, number: int, who: int, step: str) -> None:
        """What else is done with tasks."""
        task, deal = self._task(number)
        assert deal is not None
        worker, index = self.world.roles.workers[who % 5].address, deal.tasks.index(task)
        doers = {"contributeAndFinalize": worker, "pushResultBoost": worker, "reopen": deal.scheduler, "giveBack": deal.scheduler}
        by = doers.get(step, self._person(who))
        word = self.world.contribution(task, by, deal.scheduler)
        value = VALUE if who % 2 else b""
        if step == "contributeAndFinalize":
            self._do(step, task, DIGEST, b"", value, *word[3:], by=by)
        elif step == "pushResultBoost":
            self._do(step, deal.identity, index, b"", value, word[5], ZERO, b"", by=by)
        elif step == "giveBack":
            self._do(step, deal.identity, [index], 2**256 - 1, by=by)
        elif step == "claimBoost":
            self._do(step, deal.identity, index, by=by)
        else:
            self._do(step, task, by=by)

    # --- money
    @rule(step=st.sampled_from(MOVES), who=NUMBERS, to=NUMBERS, amount=st.sampled_from([0, 1, 9 * RLC]))
    def move_money(self, step: str, who: int, to: int, amount: int) -> None:
        """Money moves, while the token or a spender attacks."""
        several = {"transfer": (self._person(to), amount), "approveAndCall": (self.world.attackers[to % 3], amount, b"")}
        self._do(step, *several.get(step, (amount,)), by=self._person(who))

    @rule(seconds=st.sampled_from([1, 600, 2100, 3000]))
    def wait(self, seconds: int) -> None:
        """Time passes."""
        self.world.evm.warp(seconds)

    # --- what is always true
    @invariant()
    def the_books_are_right(self) -> None:
        """No money is made or lost, and all that is locked has its reason."""
        world = self.world
        locked: defaultdict[str, int] = defaultdict(int)
        for deal in self.deals:
            for task in deal.tasks:
                state = world.hub.read("viewTask", task)
                if state[0] in (UNSET, ACTIVE, REVEALING):
                    locked[deal.sponsor] += deal.cost
                    locked[deal.scheduler] += deal.pledge
                    for worker in state[10]:
                        locked[worker] += deal.worker_stake
        accounts = [*world.people, KITTY, world.hub.address, world.token]
        found = {account: world.account(account) for account in accounts}
        assert {account: found[account][1] for account in accounts} == {
            account: locked[account] + (self.kitty if account == KITTY else 0) for account in accounts
        }
        supply = sum(stake for stake, _ in found.values())
        assert supply == world.hub.read("totalSupply")
        assert sum(amount for _, amount in found.values()) <= found[world.hub.address][0]
        assert world.held() == supply + world.drift()

    def teardown(self) -> None:
        """Time ends every deal, whatever the enemies do; then nothing but the kitty's is locked."""
        try:
            self._end_everything()
        finally:
            self.world.evm.rewind(self.mark)
            self.world.count = self.before

    def _end_everything(self) -> None:
        world, anybody = self.world, self.world.roles.stranger.address
        world.evm.warp(3_000)
        for deal in self.deals:
            for task in deal.tasks:
                status = world.hub.read("viewTask", task)[0]
                if deal.is_boost and status == UNSET:
                    assert self._do("claimBoost", deal.identity, deal.tasks.index(task), by=anybody), "an enemy has kept a task from ending"
                    continue
                if status == UNSET:
                    assert self._do("initialize", deal.identity, deal.tasks.index(task), by=anybody)
                if status not in (COMPLETED, FAILED):
                    assert self._do("claim", task, by=anybody), "an enemy has kept a task from ending"
        self.the_books_are_right()
        assert not [person for person in world.people if world.account(person)[1]]

    # --- steps
    def _do(self, function: str, *arguments: object, by: str) -> Receipt | None:
        receipt = attempt(self.world.hub, function, *arguments, by=by)
        if receipt is not None:
            self.deals += self.world.deals_of(receipt)
            self.kitty += self.world.kitty_change(receipt)
        return receipt

    def _person(self, number: int) -> str:
        return self.world.people[number % len(self.world.people)]

    def _task(self, number: int) -> tuple[bytes, AttackedDeal | None]:
        if not self.deals:
            return bytes(32), None
        deal = self.deals[number % len(self.deals)]
        return deal.tasks[number // 7 % len(deal.tasks)], deal
