"""
Bags under anything: facts in any order, repeated, lost; workers that lie, fall silent, come and go; a pool that starts again.

Whatever happens, what is posted passes the hub's checks (contracts/SPEC.md 18.3, 18.5, 18.7): every receipt that was given is in its
leaf, results have their trust, counts add up, nobody is paid less than told, and not more than the price is paid out.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.support.bag_stage import PRICE
from tests.support.nights import examples
from tests.unit.pool.bags.conftest import DEAL, LOCATION, NAMES, Scene, digest_of, said_of, wallet
from voisin.pool.bags.commands import BagCommand, CheckArchives, GiveBackBag, GiveReceipts, GiveStatement, PostBag, Say
from voisin.pool.bags.facts import ArchivesChecked
from voisin.protocol.bag_settlement import NO_RESULT, is_trusted, unpack_payouts
from voisin.protocol.bag_settlement import said_of as said_in_leaf
from voisin.protocol.bag_wire import AskDigests, GiveTasks
from voisin.protocol.ids import Address, Hash32
from voisin.protocol.wire_words import MachineFailure

VOLUME = 5
ANSWERS = ("right", "right", "right", "wrong", "odd")
WORKERS = st.sampled_from(NAMES)
TASKS = st.integers(0, VOLUME - 1)


class Bags(RuleBasedStateMachine):
    """A pool with one bag, and everything that can happen to it."""

    @initialize(trust=st.sampled_from((1, 2, 3, 4, 9)), shared=st.booleans())
    def begin(self, trust: int, shared: bool) -> None:
        self.trust = trust
        groups = ((wallet("alice"), wallet("bob")),) if shared else ()
        self.groups = groups
        self.scene = Scene(VOLUME, trust=trust, upload_lease_s=20, bag_patience_s=40, retry_pause_s=1, reconnect_s=5, same_owner=groups)
        self.receipts: dict[tuple[int, Address], Hash32] = {}
        self.told: dict[Address, int] = {}
        self.given: set[tuple[str, int]] = set()
        self.asked: set[tuple[str, int]] = set()
        self.checks: list[CheckArchives] = []
        self.is_posted = False

    def hear(self, commands: list[BagCommand], *, is_lost: bool = False) -> None:
        """Take the pool's commands; a message that is lost was promised all the same once it is on its way."""
        names = {wallet(name): name for name in NAMES}
        for command in commands:
            match command:
                case GiveReceipts():
                    for index, said in command.said:
                        assert self.scene.kept.votes[index, command.worker].said == said, "saved before it is sent"
                        assert self.receipts.setdefault((index, command.worker), said) == said, "one receipt, ever"
                case GiveStatement():
                    assert self.scene.kept.earned[command.worker] >= command.amount
                    self.told[command.worker] = max(self.told.get(command.worker, 0), command.amount)
                case Say(worker, GiveTasks() as message) if not is_lost:
                    self.given |= {(names[worker], index) for index in message.indexes}
                case Say(worker, AskDigests() as message) if not is_lost:
                    self.asked |= {(names[worker], index) for index in message.indexes}
                case CheckArchives():
                    self.checks.append(command)
                case PostBag() | GiveBackBag():
                    self.is_posted = True
                case _:
                    pass

    @rule(name=WORKERS, slots=st.integers(1, 3))
    def join(self, name: str, slots: int) -> None:
        self.hear(self.scene.join(name, slots=slots))

    @rule(name=WORKERS)
    def leave(self, name: str) -> None:
        self.hear(self.scene.leave(name))

    @precondition(lambda self: self.given)
    @rule(data=st.data(), answer=st.sampled_from(ANSWERS), times=st.integers(1, 2))
    def say(self, data: st.DataObject, answer: str, times: int) -> None:
        name, index = data.draw(st.sampled_from(sorted(self.given)))
        for _ in range(times):
            self.hear(self.scene.say(name, index, answer=answer))

    @rule(name=WORKERS, index=st.integers(0, VOLUME + 1), answer=st.sampled_from(ANSWERS))
    def say_unasked(self, name: str, index: int, answer: str) -> None:
        self.hear(self.scene.say(name, index, answer=answer))

    @precondition(lambda self: self.asked)
    @rule(data=st.data(), is_true=st.sampled_from((True, True, True, False)), answer=st.sampled_from(ANSWERS))
    def show(self, data: st.DataObject, is_true: bool, answer: str) -> None:
        name, index = data.draw(st.sampled_from(sorted(self.asked)))
        said = self.receipts.get((index, wallet(name)))
        true = next((each for each in ANSWERS if said == said_of(index, each)), answer)
        self.hear(self.scene.show(name, index, answer=true if is_true else answer))

    @precondition(lambda self: self.checks)
    @rule(problem=st.sampled_from(("", "", "", "it is not in storage")))
    def check(self, problem: str) -> None:
        self.check_one(problem)

    def check_one(self, problem: str) -> None:
        """Say what was found of an archive."""
        command = self.checks.pop()
        problems = tuple((archive, problem) for archive in command.archives)
        self.hear(self.scene.tell(ArchivesChecked(DEAL, problems)))

    @precondition(lambda self: self.given)
    @rule(data=st.data(), failure=st.sampled_from(list(MachineFailure)))
    def give_up(self, data: st.DataObject, failure: MachineFailure) -> None:
        name, index = data.draw(st.sampled_from(sorted(self.given)))
        self.hear(self.scene.give_up(name, index, failure=failure))

    @rule(name=WORKERS, waiting=st.sets(TASKS), said=st.sets(TASKS), answer=st.sampled_from(ANSWERS))
    def hold(self, name: str, waiting: set[int], said: set[int], answer: str) -> None:
        self.hear(self.scene.hold(name, *sorted(waiting), said=tuple(sorted(said)), answer=answer))

    @rule(liar=WORKERS)
    def everybody_works(self, liar: str) -> None:
        """Have everybody say, show and check what is due, one of them wrongly: without this, few tasks would come to an end."""
        for name, index in sorted(self.given):
            self.hear(self.scene.say(name, index, answer="wrong" if name == liar else "right"))
        for name, index in sorted(self.asked):
            self.hear(self.scene.show(name, index, answer="wrong" if name == liar else "right"))
        while self.checks:
            self.check_one("")

    @rule(seconds=st.sampled_from((0.1, 1.0, 3.0, 12.0, 30.0)))
    def wait(self, seconds: float) -> None:
        self.hear(self.scene.after(seconds))

    @rule()
    def restart(self) -> None:
        self.hear(self.scene.restart())
        self.checks.clear()

    @rule(name=WORKERS)
    def lose_a_message(self, name: str) -> None:
        self.hear(self.scene.join(name), is_lost=True)

    @invariant()
    def no_owner_votes_twice(self) -> None:
        for group in getattr(self, "groups", ()):
            for index in range(VOLUME):
                assert sum((index, worker) in self.scene.kept.votes for worker in group) <= 1

    def teardown(self) -> None:
        """Let the time for the work pass, so that the bag comes to its end; then check what is posted as the hub would."""
        if not hasattr(self, "scene"):
            return
        self.hear(self.scene.after(7 * 300))
        assert self.is_posted
        kept = self.scene.kept
        closing = kept.closing()
        done = 0
        for leaf in closing.leaves:
            done += leaf.digest != NO_RESULT
            assert leaf.done == done, "counts add up"
            assert is_trusted(leaf, self.trust), "results have their trust"
            if leaf.digest != NO_RESULT:
                assert leaf.location == LOCATION
                assert leaf.digest in {digest_of(answer) for answer in ANSWERS}
        for (index, worker), said in self.receipts.items():
            assert said_in_leaf(closing.leaves[index], DEAL, worker) == said, "no receipt contradicts its leaf"
        payouts = unpack_payouts(closing.payouts)
        assert all(payouts.get(worker, 0) >= amount for worker, amount in self.told.items()), "nobody is paid less than told"
        assert sum(payouts.values()) <= PRICE * done


TestBags = Bags.TestCase
TestBags.settings = settings(max_examples=examples(30), stateful_step_count=60, deadline=None, suppress_health_check=list(HealthCheck))
