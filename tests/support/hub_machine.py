"""Random lives of a market, step by step against the books; whoever uses it says on which market."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

from eth_hash.auto import keccak
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.support.accounts import Signer
from tests.support.books import KITTY, Books, DealBook, Status, TaskBook
from tests.support.evm import RevertedError
from tests.support.market import RLC, TIME_REF, Market, Terms
from tests.support.orders import ZERO, deal_id, task_id

DIGESTS = (keccak(b"the right result"), keccak(b"a wrong result"), keccak(b"another wrong result"))
AMOUNTS = st.one_of(st.sampled_from([0, 1, RLC, 3 * RLC, 100 * RLC, 2000 * RLC]), st.integers(0, 1200 * RLC))
PRICES = st.one_of(st.sampled_from([0, 1, 3, 9, RLC, 10 * RLC, 300 * RLC]), st.integers(0, 20 * RLC))
NUMBERS = st.integers(0, 799)
TRUSTS = st.sampled_from([0, 1, 1, 1, 2, 3, 3, 4, 5, 9])
CATEGORIES = st.sampled_from([0, 1, 1, 2])
Shape = tuple[bool, bool, bool]
SHAPES = st.tuples(st.booleans(), st.booleans(), st.sampled_from([True, True, True, False]))


class Task(NamedTuple):
    """A task in the books, and its id."""

    deal: DealBook
    book: TaskBook
    identity: bytes


class HubMachine(RuleBasedStateMachine):
    """Deposits, matches, contributions, reveals, settlements, claims, withdrawals, in any order and at any time."""

    open_market: ClassVar[Any]
    """Gives the market on which all examples run; each starts from its first state."""
    new_books: ClassVar[type[Books]] = Books

    def __init__(self) -> None:
        super().__init__()
        self.market: Market = type(self).open_market()
        self.anchor = self.market.evm.anchor()
        self.anchor.__enter__()
        self.books = type(self).new_books(self.market.hub.address)
        roles = self.market.roles
        self.workers = roles.workers
        self.people = [roles.requester, roles.sponsor, roles.scheduler, *roles.workers, roles.app_owner, roles.dataset_owner]
        self.tasks: list[tuple[bytes, int]] = []
        self.count = 0
        self.read_what_is_there()

    # --- money
    def read_what_is_there(self) -> None:
        """The market begins with money in some accounts; the books take it over."""
        for person in self.people:
            self.books.deposit(person.address, self.market.hub.read("balanceOf", person.address))

    @rule(step=st.sampled_from(["deposit", "withdraw", "transfer"]), who=NUMBERS, to=NUMBERS, amount=AMOUNTS)
    def move_money(self, step: str, who: int, to: int, amount: int) -> None:
        """Money comes in, goes out, or changes hands; now and then somebody makes the hub a present."""
        person = self._person(who)
        if step == "deposit":
            self.books.deposit(person.address, amount)
            self.bring(person, amount)
        elif step == "withdraw":
            self._do(self.books.withdraw(person.address, amount), "withdraw", amount, by=person.address)
        else:
            target = self.market.hub.address if to == 50 else self._person(to).address
            self._do(self.books.transfer(person.address, target, amount), "transfer", target, amount, by=person.address)

    def bring(self, person: Signer, amount: int) -> None:
        """Pay money into an account of the hub, from outside."""
        owner = self.market.roles.owner.address
        self.market.token.send("approve", self.market.hub.address, amount, by=owner)
        self._do(True, "depositFor", amount, person.address, by=owner)

    def held(self) -> int:
        """All money that the hub has, as its money's own books tell it [nRLC]."""
        held: int = self.market.token.read("balanceOf", self.market.hub.address)
        return held

    # --- deals
    @rule(stake=st.sampled_from([0, 1, 30, 35, 250]), ratio=st.sampled_from([0, 1, 5, 50, 100]))
    def change_policy(self, stake: int, ratio: int) -> None:
        """The next deals have other terms."""
        self.market.workerpool_contract.send("changePolicy", stake, ratio, by=self.market.roles.scheduler.address)
        self.books.policy = (stake, ratio)

    @rule(prices=st.tuples(PRICES, PRICES, PRICES), volume=st.integers(1, 3), trust=TRUSTS, category=CATEGORIES, shape=SHAPES)
    def match(self, prices: tuple[int, int, int], volume: int, trust: int, category: int, shape: Shape) -> None:
        """A deal of any terms."""
        self._match(prices, volume, trust, category, shape)

    @initialize(prices=st.tuples(PRICES, PRICES, PRICES), trust=TRUSTS, shape=SHAPES)
    def first_match(self, prices: tuple[int, int, int], trust: int, shape: Shape) -> None:
        """Without deals there is little to do."""
        self._match(prices, 2, trust, 1, shape)

    def _match(self, prices: tuple[int, int, int], volume: int, trust: int, category: int, shape: Shape) -> None:
        """Paid by requester or sponsor, with or without dataset; often its tasks are opened at once."""
        with_dataset, is_sponsored, is_opened = shape
        self.count += 1
        terms = Terms(
            app_price=prices[0],
            dataset_price=prices[1] if with_dataset else 0,
            price=prices[2],
            volume=volume,
            trust=trust,
            category=category,
            with_dataset=with_dataset,
            salt=self.count.to_bytes(32, "big"),
        )
        roles, market = self.market.roles, self.market
        payer = roles.sponsor if is_sponsored else roles.requester
        orders = market.sign(market.orders(terms))
        found = deal_id(market.hash("RequestOrder", orders["RequestOrder"]), 0)
        done = self.books.match(found, self._deal_book(terms, payer.address))
        function = "sponsorMatchOrders" if is_sponsored else "matchOrders"
        caller = payer if is_sponsored else roles.stranger
        self._expect(done, lambda: market.match_orders(orders, by=caller.address, function=function))
        if done:
            self.tasks += [(found, index) for index in range(volume)]
            if is_opened:
                for index in range(volume):
                    self._initialize(found, index)

    def _deal_book(self, terms: Terms, payer: str) -> DealBook:
        roles = self.market.roles
        return DealBook(
            sponsor=payer,
            scheduler=roles.scheduler.address,
            app_owner=roles.app_owner.address,
            dataset_owner=roles.dataset_owner.address,
            app_price=terms.app_price,
            dataset_price=terms.dataset_price,
            price=terms.price,
            trust=max(terms.trust, 1),
            start=self.market.evm.time,
            time_ref=TIME_REF[terms.category],
            worker_stake=terms.price * self.books.policy[0] // 100,
            ratio=self.books.policy[1],
            tasks={index: TaskBook() for index in range(terms.volume)},
        )

    # --- tasks
    @precondition(lambda self: self.tasks)
    @rule(which=NUMBERS, beside=st.sampled_from([0, 0, 0, 7]))
    def initialize_task(self, which: int, beside: int) -> None:
        """Open a task, or one that the deal has not."""
        deal, index = self.tasks[which % len(self.tasks)]
        self._initialize(deal, index + beside)

    def _initialize(self, deal: bytes, index: int) -> None:
        done = self.books.initialize(self.books.deals[deal], index)
        self._do(done, "initialize", deal, index, by=self.market.roles.stranger.address)

    @precondition(lambda self: self.tasks)
    @rule(which=NUMBERS, who=st.integers(0, 4), what=st.sampled_from([0, 0, 0, 0, 1, 1, 2]))
    def contribute(self, which: int, who: int, what: int) -> None:
        """A worker says something, mostly the right thing."""
        self._contribute(self._task(which, Status.ACTIVE), who, DIGESTS[what])

    @precondition(lambda self: self.tasks)
    @rule(which=NUMBERS, count=st.integers(2, 4))
    def contribute_together(self, which: int, count: int) -> None:
        """Several honest workers at once: step by step they seldom meet on one task."""
        task = self._task(which, Status.ACTIVE)
        for who in range(5):
            if task.book.status == Status.ACTIVE and len(task.book.votes) < count:
                self._contribute(task, who, DIGESTS[0])

    def _contribute(self, task: Task, who: int, digest: bytes) -> None:
        worker = self.workers[who]
        done = self.books.contribute(task.deal, task.book, worker.address, digest, self.market.evm.time)
        self._expect(done, lambda: self.market.contribute(task.identity, worker, digest))

    @precondition(lambda self: self.tasks)
    @rule(which=NUMBERS, who=st.integers(0, 4), what=st.sampled_from([None, None, None, 0, 1]))
    def reveal(self, which: int, who: int, what: int | None) -> None:
        """A worker shows its digest, or tries another."""
        task = self._task(which, Status.REVEALING)
        self._reveal(task, who, DIGESTS[what] if what is not None else task.book.agreed or DIGESTS[0])

    @precondition(lambda self: self.tasks)
    @rule(which=NUMBERS, is_settled=st.booleans())
    def reveal_together(self, which: int, is_settled: bool) -> None:
        """All who spoke reveal, and the task is settled at once or not."""
        task = self._task(which, Status.REVEALING)
        for who, worker in enumerate(self.workers):
            if worker.address in task.book.votes:
                self._reveal(task, who, task.book.agreed or DIGESTS[0])
        if is_settled:
            self._finalize(task, b"r" * 5)

    def _reveal(self, task: Task, who: int, digest: bytes) -> None:
        worker = self.workers[who]
        done = self.books.reveal(task.book, worker.address, digest, self.market.evm.time)
        self._expect(done, lambda: self.market.reveal(task.identity, worker, digest))

    @precondition(lambda self: self.tasks)
    @rule(which=NUMBERS, is_patient=st.booleans())
    def reopen(self, which: int, is_patient: bool) -> None:
        """The scheduler gives a silent task to others, when the time has come or before."""
        task = self._task(which, Status.REVEALING)
        if is_patient:
            self.market.evm.warp(max(0, task.book.reveal_deadline - self.market.evm.time))
        done = self.books.reopen(task.deal, task.book, self.market.evm.time)
        self._do(done, "reopen", task.identity, by=task.deal.scheduler)

    @precondition(lambda self: self.tasks)
    @rule(which=NUMBERS, size=st.sampled_from([0, 5, 32, 84]))
    def finalize(self, which: int, size: int) -> None:
        """The scheduler settles."""
        self._finalize(self._task(which, Status.REVEALING), b"r" * size)

    def _finalize(self, task: Task, results: bytes) -> None:
        done = self.books.finalize(task.deal, task.book, self.market.evm.time)
        self._do(done, "finalize", task.identity, results, b"", by=task.deal.scheduler)

    @precondition(lambda self: self.tasks)
    @rule(which=NUMBERS, who=st.integers(0, 4))
    def contribute_and_finalize(self, which: int, who: int) -> None:
        """A worker does it all at once, if the deal allows it."""
        task, worker, digest = self._task(which, Status.ACTIVE), self.workers[who], DIGESTS[0]
        done = self.books.contribute_and_finalize(task.deal, task.book, worker.address, self.market.evm.time)
        word = self.market.authorize(worker, task.identity)
        self._do(done, "contributeAndFinalize", task.identity, digest, b"", b"", ZERO, b"", word, by=worker.address)

    @precondition(lambda self: self.tasks)
    @rule(which=NUMBERS)
    def claim(self, which: int) -> None:
        """Anybody ends a task that was not settled."""
        self._claim(self._task(which, Status.ACTIVE, Status.REVEALING))

    def _claim(self, task: Task) -> None:
        done = self.books.claim(task.deal, task.book, self.market.evm.time)
        self._do(done, "claim", task.identity, by=self.market.roles.stranger.address)

    @rule(seconds=st.sampled_from([1, 60, 300, 600, 2400]))
    def wait(self, seconds: int) -> None:
        """Time passes."""
        self.market.evm.warp(seconds)

    # --- what is always true
    @invariant()
    def every_account_is_as_in_the_books(self) -> None:
        """Nobody has more or less, and all that is locked is explained by open deals and tasks."""
        expected = {person.address: (self.books.free[person.address], self.books.locked(person.address)) for person in self.people}
        expected[KITTY] = (0, self.books.kitty)
        expected[self.market.hub.address] = (self.books.kept(), 0)
        found = {account: self.account(account) for account in expected}
        assert found == expected
        assert self.held() == self.market.hub.read("totalSupply") == sum(stake for stake, _ in found.values())

    def account(self, account: str) -> tuple[int, int]:
        """Stake and locked money of an account, as the hub has it."""
        answer: tuple[int, int] = self.market.hub.read("viewAccount", account)
        return answer

    def teardown(self) -> None:
        """Time alone ends every deal; then nothing is locked but the kitty's, and everybody can take everything."""
        try:
            self._end_everything()
            self._take_everything()
        finally:
            self.anchor.__exit__(None, None, None)

    def _end_everything(self) -> None:
        self.market.evm.warp(10 * max(TIME_REF[:3]))
        for deal, index in self.tasks:
            book = self.books.deals[deal]
            if book.tasks[index].status == Status.UNSET:
                assert self.books.initialize(book, index)
                assert self.books.claim(book, book.tasks[index], self.market.evm.time)
                self._do(True, "initializeAndClaimArray", [deal], [index], by=self.market.roles.stranger.address)
            elif book.tasks[index].is_open:
                self._claim(Task(book, book.tasks[index], task_id(deal, index)))
        self.every_account_is_as_in_the_books()
        assert all(self.account(person.address)[1] == 0 for person in self.people)

    def _take_everything(self) -> None:
        for person in self.people:
            self._do(True, "withdraw", self.account(person.address)[0], by=person.address)
        assert self.held() == self.books.kitty + self.books.free[self.market.hub.address]

    # --- steps
    def _person(self, number: int) -> Signer:
        return self.people[number % len(self.people)]

    def _task(self, number: int, *likely: Status) -> Task:
        """Choose a task: mostly one for which the step makes sense, now and then any."""
        found = [Task(self.books.deals[deal], self.books.deals[deal].tasks[index], task_id(deal, index)) for deal, index in self.tasks]
        fitting = [task for task in found if task.book.status in likely]
        choice = fitting if fitting and number % 8 else found
        return choice[number // 8 % len(choice)]

    def _do(self, is_allowed: bool, function: str, *arguments: Any, by: str) -> None:
        self._expect(is_allowed, lambda: self.market.hub.send(function, *arguments, by=by))

    def _expect(self, is_allowed: bool, step: Callable[[], object]) -> None:
        refusal: RevertedError | None = None
        try:
            step()
        except RevertedError as error:
            refusal = error
        assert is_allowed == (refusal is None), f"the books {'allow' if is_allowed else 'refuse'} it, the hub: {refusal or 'done'}"
