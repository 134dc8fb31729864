"""Random lives of a market with both kinds of deals: those of `hub_machine`, and those without a record of their replication."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.support.books import KITTY, ONE_RLC, Books, Status
from tests.support.boost import push
from tests.support.hub_machine import CATEGORIES, NUMBERS, PRICES, SHAPES, HubMachine, Shape
from tests.support.market import TIME_REF, Terms
from tests.support.orders import deal_id


@dataclass
class BoostBook:
    """One deal and its tasks by place."""

    sponsor: str
    scheduler: str
    app_owner: str
    dataset_owner: str
    app_price: int
    dataset_price: int
    price: int
    ratio: int
    deadline: int
    tasks: list[Status]

    @property
    def cost(self) -> int:
        """What a task costs [nRLC]."""
        return self.app_price + self.dataset_price + self.price

    @property
    def pledge(self) -> int:
        """What the scheduler locks for a task [nRLC]."""
        return self.price * 30 // 100


class BoostBooks(Books):
    """The books with both kinds of deals."""

    def __init__(self, hub: str) -> None:
        super().__init__(hub)
        self.boosts: dict[bytes, BoostBook] = {}

    def locked(self, account: str) -> int:
        """What open tasks of all deals make an account lock, counted anew [nRLC]."""
        total = super().locked(account)
        for deal in self.boosts.values():
            total += deal.tasks.count(Status.UNSET) * (deal.cost * (account == deal.sponsor) + deal.pledge * (account == deal.scheduler))
        return total

    def kept(self) -> int:
        """What the hub keeps for everybody [nRLC]."""
        people = {KITTY}
        for deal in self.deals.values():
            people |= {deal.sponsor, deal.scheduler, *(worker for task in deal.tasks.values() for worker in task.votes)}
        for boost in self.boosts.values():
            people |= {boost.sponsor, boost.scheduler}
        return sum(self.locked(account) for account in people) + self.free[self.hub]

    def match_boost(self, identity: bytes, deal: BoostBook) -> bool:
        """A deal is made, if both can pay."""
        due = {deal.sponsor: deal.cost * len(deal.tasks)}
        due[deal.scheduler] = due.get(deal.scheduler, 0) + deal.pledge * len(deal.tasks)
        if any(self.free[account] < amount for account, amount in due.items()):
            return False
        for account, amount in due.items():
            self.free[account] -= amount
        self.boosts[identity] = deal
        return True

    def push(self, deal: BoostBook, index: int, worker: str, now: int) -> bool:
        """A worker answers."""
        if index >= len(deal.tasks) or deal.tasks[index] != Status.UNSET or now >= deal.deadline:
            return False
        deal.tasks[index] = Status.COMPLETED
        reward = deal.price * (100 - deal.ratio) // 100
        share = min(max(self.kitty // 10, ONE_RLC), self.kitty)
        self.kitty -= share
        self.free[worker] += reward
        self.free[deal.app_owner] += deal.app_price
        self.free[deal.dataset_owner] += deal.dataset_price
        self.free[deal.scheduler] += deal.pledge + deal.price - reward + share
        return True

    def claim_boost(self, deal: BoostBook, index: int, now: int) -> bool:
        """A task that nobody has answered ends."""
        if index >= len(deal.tasks) or deal.tasks[index] != Status.UNSET or now < deal.deadline:
            return False
        deal.tasks[index] = Status.FAILED
        self.free[deal.sponsor] += deal.cost
        self.kitty += deal.pledge
        return True


class BoostMachine(HubMachine):
    """Everything that `HubMachine` does, and matches, pushes and claims of the other kind in between."""

    new_books = BoostBooks

    @property
    def both(self) -> BoostBooks:
        """The books."""
        return cast(BoostBooks, self.books)

    @rule(prices=st.tuples(PRICES, PRICES, PRICES), volume=st.integers(1, 3), category=CATEGORIES, shape=SHAPES)
    def match_boost(self, prices: tuple[int, int, int], volume: int, category: int, shape: Shape) -> None:
        """A deal of any terms; without dataset its price is in the orders all the same."""
        with_dataset, is_sponsored, has_price = shape
        self.count += 1
        market, roles = self.market, self.market.roles
        terms = Terms(
            app_price=prices[0],
            dataset_price=prices[1] if with_dataset else 0,
            price=prices[2],
            volume=volume,
            category=category,
            with_dataset=with_dataset,
            salt=self.count.to_bytes(32, "big"),
        )
        orders = market.orders(terms)
        if not with_dataset and has_price:
            orders["DatasetOrder"]["datasetprice"] = orders["RequestOrder"]["datasetmaxprice"] = prices[1]
        orders = market.sign(orders)
        payer = roles.sponsor if is_sponsored else roles.requester
        book = BoostBook(
            sponsor=payer.address,
            scheduler=roles.scheduler.address,
            app_owner=roles.app_owner.address,
            dataset_owner=roles.dataset_owner.address,
            app_price=terms.app_price,
            dataset_price=terms.dataset_price,
            price=terms.price,
            ratio=self.books.policy[1],
            deadline=market.evm.time + 7 * TIME_REF[category],
            tasks=[Status.UNSET] * volume,
        )
        done = self.both.match_boost(deal_id(market.hash("RequestOrder", orders["RequestOrder"]), 0), book)
        function = "sponsorMatchOrdersBoost" if is_sponsored else "matchOrdersBoost"
        caller = payer if is_sponsored else roles.stranger
        self._expect(done, lambda: market.match_orders(orders, by=caller.address, function=function))

    @precondition(lambda self: self.both.boosts)
    @rule(which=NUMBERS, who=st.integers(0, 4), index=st.integers(0, 3))
    def push(self, which: int, who: int, index: int) -> None:
        """A worker answers, or tries to."""
        identity, deal = self._boost(which)
        worker = self.workers[who]
        done = self.both.push(deal, index, worker.address, self.market.evm.time)
        self._expect(done, lambda: push(self.market, identity, index, worker=worker))

    @precondition(lambda self: self.both.boosts)
    @rule(which=NUMBERS, index=st.integers(0, 3), is_patient=st.booleans())
    def claim_boost(self, which: int, index: int, is_patient: bool) -> None:
        """Anybody ends a task, when the time has come or before."""
        identity, deal = self._boost(which)
        if is_patient:
            self.market.evm.warp(max(0, deal.deadline - self.market.evm.time))
        self._claim_boost(identity, deal, index)

    def _boost(self, number: int) -> tuple[bytes, BoostBook]:
        return list(self.both.boosts.items())[number % len(self.both.boosts)]

    def _claim_boost(self, identity: bytes, deal: BoostBook, index: int) -> None:
        done = self.both.claim_boost(deal, index, self.market.evm.time)
        self._do(done, "claimBoost", identity, index, by=self.market.roles.stranger.address)

    def _end_everything(self) -> None:
        self.market.evm.warp(10 * max(TIME_REF[:3]))
        for identity, deal in self.both.boosts.items():
            for index, status in enumerate(deal.tasks):
                if status == Status.UNSET:
                    self._claim_boost(identity, deal, index)
        super()._end_everything()
