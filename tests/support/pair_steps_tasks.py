"""Steps with tasks: every call that workers, schedulers and passers-by make, right, wrong, too early and too late."""

from __future__ import annotations

from eth_hash.auto import keccak
from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.support.accounts import Signer, signer
from tests.support.orders import ZERO, result_hash, result_seal
from tests.support.pair import Outcome
from tests.support.pair_machine import ACTIVE, COMPLETED, FAILED, REVEALING, PairMachine
from tests.support.pair_orders import NUMBERS, forge
from tests.support.pair_world import DIGESTS_OF, Party, Task

ANSWERS = st.sampled_from([0, 0, 0, 0, 1, 2])
WORKERS = st.integers(0, 4)
FLAWS = st.sampled_from([""] * 10 + ["seal", "hash", "stranger", "empty", "compact", "enclave", "unsealed", "other task", "zeros"])
RESULTS = (b"", b"x" * 84, b"y" * 32, b"z" * 33)
ARRAYS = ("initializeArray", "initializeAndClaimArray", "claimArray")
UNSET = 0
BEFORE_AND_AFTER = (-1, 0, 1)


class TaskSteps(PairMachine):
    """What workers, schedulers and passers-by do."""

    def __init__(self) -> None:
        super().__init__()
        self.broker: Signer | None = None
        self.enclaves: dict[bytes, int] = {}

    # --- one call
    @rule(which=NUMBERS, beside=st.sampled_from([0, 0, 0, 0, 1, 7, 2**256 - 1]), who=NUMBERS)
    def initialize_task(self, which: int, beside: int, who: int) -> None:
        """Open a task, or one that the deal has not, or no deal's."""
        task = self.task(which, UNSET)
        deal = task.deal.identity if which % 17 else bytes(32)
        self.do("initialize", deal, min(task.index + beside, 2**256 - 1), by=self.person(who).address)

    @rule(which=NUMBERS, who=WORKERS, what=ANSWERS, flaw=FLAWS, enclave=st.sampled_from([0, 0, 0, 1, 2]))
    def contribute(self, which: int, who: int, what: int, flaw: str, enclave: int) -> None:
        """A worker commits, with or without an enclave, rightly or not."""
        task = self._opened(which)
        self._contribute(task, self.world.workers[who], what, flaw, enclave)

    def _contribute(self, task: Task, worker: Signer, what: int, flaw: str = "", enclave: int = 0) -> Outcome:
        digest = keccak(DIGESTS_OF[what])
        hashed, seal = result_hash(task.identity, digest), result_seal(worker.address, task.identity, digest)
        if flaw == "seal":
            seal = keccak(seal)
        if flaw == "hash":
            hashed = bytes(32)
        challenge, sealed = self._enclave_word(enclave, hashed, seal, flaw)
        word = self._authorization(task, worker, challenge, flaw)
        outcome = self.do("contribute", task.identity, hashed, seal, challenge, sealed, word, by=worker.address)
        if self.did(outcome):
            task.votes[worker.address] = digest
        self.pair.ask("viewContribution", task.identity, worker.address)
        return outcome

    def _enclave_word(self, enclave: int, hashed: bytes, seal: bytes, flaw: str) -> tuple[str, bytes]:
        """Challenge and signature of no enclave, of a key, or of a wallet contract."""
        if not enclave:
            return ZERO, b"" if flaw != "enclave" else bytes(65)
        party = (Party(self.roles.enclave.address, self.roles.enclave), self.world.wallet)[enclave - 1]
        key = signer("stranger") if flaw == "enclave" else party.key
        return party.address, b"" if flaw == "unsealed" else key.sign_message(hashed, seal)

    def _authorization(self, task: Task, worker: Signer, challenge: str, flaw: str) -> bytes:
        """The scheduler's word, or the broker's, or somebody's."""
        key = self.broker if self.broker and challenge != ZERO else task.deal.scheduler.key
        identity = keccak(task.identity) if flaw == "other task" else task.identity
        packed = keccak(bytes.fromhex(worker.address[2:]) + identity + bytes.fromhex(challenge[2:]))
        digest = keccak(b"\x19Ethereum Signed Message:\n32" + packed)
        return forge(flaw if flaw in ("stranger", "empty", "compact", "zeros") else "right", digest, key)

    @rule(which=NUMBERS, who=WORKERS, what=st.sampled_from([None, None, None, 0, 1]))
    def reveal(self, which: int, who: int, what: int | None) -> None:
        """A worker shows its digest, or tries another."""
        task = self.task(which, REVEALING)
        self._reveal(task, self.world.workers[who], what)

    def _reveal(self, task: Task, worker: Signer, what: int | None = None) -> None:
        digest = keccak(DIGESTS_OF[what]) if what is not None else task.votes.get(worker.address, keccak(b"?"))
        self.do("reveal", task.identity, digest, by=worker.address)

    @rule(which=NUMBERS, is_scheduler=st.sampled_from([True, True, True, False]), is_patient=st.booleans())
    def reopen(self, which: int, is_scheduler: bool, is_patient: bool) -> None:
        """A silent task is given to others, in time or too early, by who may or not."""
        task = self.task(which, REVEALING)
        if is_patient:
            self._go_to(task.reveal_deadline)
        self.do("reopen", task.identity, by=task.deal.scheduler.address if is_scheduler else self.person(which).address)

    @rule(which=NUMBERS, size=st.sampled_from(RESULTS), value=st.sampled_from([None, None, None, 0, 1, 2]), is_scheduler=st.booleans())
    def finalize(self, which: int, size: bytes, value: int | None, is_scheduler: bool) -> None:
        """The scheduler settles, or somebody tries."""
        task = self.task(which, REVEALING)
        self._finalize(task, size, value, task.deal.scheduler if is_scheduler or which % 3 else self.person(which))

    def _finalize(self, task: Task, results: bytes, value: int | None, by: Party) -> None:
        callback = b"" if value is None else DIGESTS_OF[value]
        self.do("finalize", task.identity, results, callback, by=by.address)

    @rule(which=NUMBERS, who=WORKERS, what=ANSWERS, value=st.sampled_from([True, False]), flaw=FLAWS, enclave=st.sampled_from([0, 0, 1, 2]))
    def contribute_and_finalize(self, which: int, who: int, what: int, value: bool, flaw: str, enclave: int) -> None:
        """A worker does it all at once, where it may and where it may not."""
        task, worker, digest = self._opened(which), self.world.workers[who], keccak(DIGESTS_OF[what])
        hashed, seal = result_hash(task.identity, digest), result_seal(worker.address, task.identity, digest)
        challenge, sealed = self._enclave_word(enclave, hashed, seal, flaw)
        word = self._authorization(task, worker, challenge, flaw)
        results, callback = RESULTS[which % len(RESULTS)], DIGESTS_OF[what] if value else b""
        outcome = self.do("contributeAndFinalize", task.identity, digest, results, callback, challenge, sealed, word, by=worker.address)
        if self.did(outcome):
            task.votes[worker.address] = digest

    @rule(which=NUMBERS, who=NUMBERS, is_late=st.booleans())
    def claim(self, which: int, who: int, is_late: bool) -> None:
        """A task that was not settled ends, if its time is over."""
        task = self.task(which, ACTIVE, REVEALING)
        if is_late:
            self._go_to(task.deal.start + 10 * task.deal.time_ref)
        self.do("claim", task.identity, by=self.person(who).address)

    @rule(which=st.lists(NUMBERS, max_size=4), what=st.sampled_from(ARRAYS), odd=NUMBERS)
    def arrays(self, which: list[int], what: str, odd: int) -> None:
        """Several tasks in one call, all of them or none; now and then with lists of unequal length."""
        tasks = [self.task(number, *((ACTIVE, REVEALING) if what == "claimArray" else (UNSET,))) for number in which]
        by = self.person(odd).address
        if tasks and odd % 2 and what != "initializeArray":
            self._go_to(max(task.deal.start + 10 * task.deal.time_ref for task in tasks))
        if what == "claimArray":
            self.do(what, [task.identity for task in tasks], by=by)
        else:
            indices = [task.index for task in tasks] + [0] * (odd % 10 == 0)
            self.do(what, [task.deal.identity for task in tasks], indices, by=by)

    # --- many calls
    @rule(which=NUMBERS, count=st.integers(1, 5), wrong=st.integers(0, 31), missing=st.integers(0, 31), ending=st.integers(0, 5))
    def live(self, which: int, count: int, wrong: int, missing: int, ending: int) -> None:
        """A whole life: workers that are right, wrong or silent, and a scheduler that settles, reopens, or does nothing."""
        task = self._opened(which)
        workers = self.world.workers[:count]
        for place, worker in enumerate(workers):
            if task.status == ACTIVE:
                self._contribute(task, worker, wrong >> place & 1, enclave=which % 3)
        if task.status == REVEALING and ending == 3:
            self._go_to(task.reveal_deadline + BEFORE_AND_AFTER[which % 3])
        for place, worker in enumerate(workers):
            if task.status == REVEALING and not missing >> place & 1:
                self._reveal(task, worker)
        if ending in (0, 1, 2):
            self._go_to(task.reveal_deadline + BEFORE_AND_AFTER[ending] if missing else self.pair.time)
        if ending == 4:
            self._go_to(task.reveal_deadline)
            self.do("reopen", task.identity, by=task.deal.scheduler.address)
        agreed = next((place for place in (0, 1) if keccak(DIGESTS_OF[place]) in task.votes.values()), 0)
        value = (None, agreed)[which % 2]
        self._finalize(task, RESULTS[which % len(RESULTS)], value, task.deal.scheduler)
        if ending == 5:
            self._go_to(task.deal.start + 10 * task.deal.time_ref)
            self.do("claim", task.identity, by=self.person(which).address)

    def _opened(self, which: int) -> Task:
        """A task that may take contributions, mostly; opened now if none is."""
        task = self.task(which, ACTIVE, UNSET)
        if task.status == UNSET:
            self.do("initialize", task.deal.identity, task.index, by=self.roles.stranger.address)
        return task

    # --- time, and what changes the rules
    @rule(seconds=st.sampled_from([0, 1, 60, 599, 600, 2100, 3000]))
    def wait(self, seconds: int) -> None:
        """Time passes."""
        self._go_to(self.pair.time + seconds)

    @rule(which=NUMBERS, deadline=st.sampled_from(["contribution", "reveal", "final"]), beside=st.sampled_from(BEFORE_AND_AFTER))
    def wait_for_a_deadline(self, which: int, deadline: str, beside: int) -> None:
        """Time passes until just before, at, or after a deadline."""
        task = self.task(which, ACTIVE, REVEALING)
        ratio = {"contribution": 7, "final": 10}.get(deadline)
        self._go_to((task.deal.start + ratio * task.deal.time_ref if ratio else task.reveal_deadline) + beside)

    def _go_to(self, when: int) -> None:
        for evm in self.pair.evms:
            evm.warp(max(0, when - evm.time))

    @rule(which=NUMBERS, who=WORKERS)
    def look(self, which: int, who: int) -> None:
        """Read a task and a contribution, of this deal or of nobody."""
        task = self.task(which, COMPLETED, FAILED, REVEALING)
        for view in ("viewTask", "viewTaskABILegacy", "resultFor"):
            self.pair.ask(view, task.identity)
        self.pair.ask("viewContributionABILegacy", task.identity, self.world.workers[who].address)
