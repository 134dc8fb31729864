"""Whatever a stranger sends to the workers' door ends its own connection, with a reason, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
import msgspec
import pytest

from tests.support.pool_worker import DEADLINE_S, TwinSocket
from voisin.errors import UnavailableError
from voisin.pool.chain.twin import TWIN_DOMAIN, TwinLedger
from voisin.pool.heart.commands import AssignReplica
from voisin.pool.heart.facts import StageReached, WorkerFact, WorkerHeard, WorkerJoined, WorkerLeft
from voisin.pool.running.desk import WorkerDesk
from voisin.pool.settings import PoolSettings
from voisin.protocol.codec import encode
from voisin.protocol.ids import Address, DealId, Hash32, TaskId, as_address
from voisin.protocol.results import authorization_digest
from voisin.protocol.signatures import KeySigner, recover_signer, sign_message
from voisin.protocol.wire import (
    WIRE_VERSION,
    Assign,
    Challenge,
    FromPool,
    Heartbeat,
    Held,
    Hello,
    Progress,
    Refused,
    Release,
    Resources,
    Uploaded,
    Welcome,
    decode_from_pool,
    login_message,
)
from voisin.protocol.wire_words import ReplicaStage

pytestmark = pytest.mark.anyio

POOL = as_address("0x" + "a1" * 20)
SCHEDULER, ALICE, MALLORY = (KeySigner(bytes([number]) * 32) for number in (1, 2, 3))
TASK = TaskId(Hash32("0x" + "7a" * 32))
DEAL = DealId(Hash32("0x" + "de" * 32))
ASSIGNMENT = AssignReplica(ALICE.address, DEAL, 3, TASK, 1_700_002_100)


@dataclass
class Door:
    """A desk, what it tells the machine, and connections to it."""

    desk: WorkerDesk
    told: list[WorkerFact] = field(default_factory=list)
    news: anyio.Event = field(default_factory=anyio.Event)

    def hear(self, fact: WorkerFact) -> None:
        self.told.append(fact)
        self.news.set()
        self.news = anyio.Event()

    async def fact(self, kind: type[WorkerFact]) -> WorkerFact:
        """Wait for a fact of a kind."""
        with anyio.fail_after(DEADLINE_S):
            while True:
                for fact in self.told:
                    if isinstance(fact, kind):
                        return fact
                await self.news.wait()

    @asynccontextmanager
    async def visit(self) -> AsyncIterator[Visit]:
        """Knock at the door."""
        with TwinSocket() as socket:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self.desk.serve, socket)
                yield Visit(socket)
                tasks.cancel_scope.cancel()


@dataclass
class Visit:
    """One connection, from the stranger's side."""

    socket: TwinSocket

    async def hear(self) -> FromPool:
        with anyio.fail_after(DEADLINE_S):
            return decode_from_pool(await self.socket.line.receive())

    async def say(self, message: object) -> None:
        await self.socket.line.send(message if isinstance(message, str | bytes) else encode(message).decode())

    async def enter(self, signer: KeySigner = ALICE, **changes: object) -> FromPool:
        """Log in; answers what the pool says to it."""
        challenge = await self.hear()
        assert isinstance(challenge, Challenge)
        await self.say(hello(challenge, signer, **changes))
        return await self.hear()

    async def refused(self) -> Refused:
        """Wait to be refused."""
        message = await self.hear()
        while not isinstance(message, Refused):
            message = await self.hear()
        return message


def hello(challenge: Challenge, signer: KeySigner, **changes: object) -> Hello:
    """A good greeting, with changes."""
    fields: dict[str, object] = {
        "worker": signer.address,
        "signature": sign_message(signer, login_message(challenge, signer.address)),
        "version": WIRE_VERSION,
        "name": "a worker",
        "resources": Resources(slots=2, memory_bytes=1, disk_bytes=1),
    }
    return Hello(**(fields | changes))


def open_door(ledger: TwinLedger | None = None, *, is_live: bool = True, **settings: object) -> Door:
    known = PoolSettings(workerpool=POOL, storage_url="http://storage", **settings)
    door = Door(WorkerDesk(known, ledger or TwinLedger(lambda: 0.0), SCHEDULER, tell=lambda fact: door.hear(fact)))
    if is_live:
        door.desk.go_live()
    return door


async def test_a_good_worker_is_welcomed() -> None:
    ledger = TwinLedger(lambda: 0.0)
    ledger.scores[ALICE.address] = 17
    door = open_door(ledger)
    async with door.visit() as visit:
        holding = (Held(TASK, ReplicaStage.COMPUTED),)
        welcome = await visit.enter(holding=holding)
        assert welcome == Welcome(hub=TWIN_DOMAIN.hub, storage_url="http://storage", heartbeat_s=2.0)
        resources = Resources(slots=2, memory_bytes=1, disk_bytes=1)
        stake = await ledger.stake(ALICE.address)
        joined = WorkerJoined(worker=ALICE.address, name="a worker", slots=2, score=17, holding=holding, resources=resources, stake=stake)
        assert await door.fact(WorkerJoined) == joined
        await visit.say(Heartbeat())
        assert await door.fact(WorkerHeard) == WorkerHeard(ALICE.address, 0)
        await visit.say(Progress(task_id=TASK, stage=ReplicaStage.FETCHING, detail="12 %"))
        assert await door.fact(StageReached) == StageReached(ALICE.address, TASK, ReplicaStage.FETCHING, "12 %")


async def test_the_authorisation_is_the_one_that_the_hub_checks() -> None:
    door = open_door()
    async with door.visit() as visit:
        await visit.enter()
        door.desk.assign(ASSIGNMENT)
        assign = await visit.hear()
        assert isinstance(assign, Assign)
        assert (assign.task_id, assign.deal_id, assign.index, assign.contribution_deadline) == (TASK, DEAL, 3, 1_700_002_100)
        assert recover_signer(authorization_digest(ALICE.address, TASK), assign.authorization) == SCHEDULER.address


async def test_words_to_workers_that_are_away_are_not_kept() -> None:
    door = open_door()
    door.desk.say(ALICE.address, Release(TASK))
    door.desk.assign(ASSIGNMENT)
    async with door.visit() as visit:
        assert isinstance(await visit.enter(), Welcome)
        door.desk.say(ALICE.address, Release(DEAL))
        assert await visit.hear() == Release(DEAL)


BAD_GREETINGS: dict[str, tuple[Callable[[Challenge], object], str]] = {
    "not json": (lambda _: "hello?", "bad-input"),
    "binary nonsense": (lambda _: b"\xff\xfe\x00", "bad-input"),
    "another type": (lambda _: '{"type":"nonsense"}', "bad-input"),
    "nested": (lambda _: '{"type":"hello","holding":' + "[" * 30_000 + "]" * 30_000 + "}", "bad-input"),
    "too long": (lambda _: "x" * 70_000, "bad-input"),
    "no greeting": (lambda _: Heartbeat(), "bad-input"),
    "another version": (lambda challenge: hello(challenge, ALICE, version=WIRE_VERSION + 1), "bad-input"),
    "no slots": (lambda challenge: hello(challenge, ALICE, resources=Resources(slots=0, memory_bytes=1, disk_bytes=1)), "bad-input"),
    "no address": (lambda challenge: hello(challenge, ALICE, worker="alice"), "bad-input"),
    "no signature": (lambda challenge: hello(challenge, ALICE, signature="0x"), "not-proven"),
    "no hex": (lambda challenge: hello(challenge, ALICE, signature="signed"), "bad-input"),
    "somebody else": (lambda challenge: hello(challenge, MALLORY, worker=ALICE.address), "not-proven"),
    "a strange task": (lambda challenge: hello(challenge, ALICE, holding=(Held("../../etc", ReplicaStage.COMPUTED),)), "bad-input"),
}


@pytest.mark.parametrize("case", BAD_GREETINGS)
async def test_a_bad_greeting_is_refused(case: str) -> None:
    make, code = BAD_GREETINGS[case]
    door = open_door()
    async with door.visit() as visit:
        challenge = await visit.hear()
        assert isinstance(challenge, Challenge)
        await visit.say(make(challenge))
        assert (await visit.refused()).code == code
        with anyio.fail_after(DEADLINE_S):
            await _until(lambda: visit.socket.closed_with == (1008, code))
    assert door.told == []
    async with door.visit() as visit:
        assert isinstance(await visit.enter(), Welcome), "the door is open for others"


async def test_a_greeting_of_another_connection_cannot_be_played_again() -> None:
    door = open_door()
    async with door.visit() as first, door.visit() as second:
        challenge = await first.hear()
        assert isinstance(challenge, Challenge)
        await second.hear()
        await second.say(hello(challenge, ALICE))
        assert (await second.refused()).code == "not-proven"


async def test_a_greeting_for_another_pool_does_not_count_here() -> None:
    door = open_door()
    async with door.visit() as visit:
        challenge = await visit.hear()
        assert isinstance(challenge, Challenge)
        elsewhere = msgspec.structs.replace(challenge, workerpool=as_address("0x" + "b2" * 20))
        await visit.say(hello(elsewhere, ALICE))
        assert (await visit.refused()).code == "not-proven"


async def test_an_address_in_another_spelling_is_the_same_worker() -> None:
    door = open_door()
    async with door.visit() as visit:
        assert isinstance(await visit.enter(worker=Address(ALICE.address.lower())), Welcome)
        joined = await door.fact(WorkerJoined)
        assert joined.worker == ALICE.address


async def test_names_are_made_harmless() -> None:
    door = open_door()
    async with door.visit() as visit:
        await visit.enter(name="\x1b[31mred\n" + "x" * 1000)
        joined = await door.fact(WorkerJoined)
        assert isinstance(joined, WorkerJoined)
        assert joined.name == "[31mred" + "x" * 93


async def test_who_does_not_greet_is_not_waited_for() -> None:
    door = open_door(login_s=0.01)
    async with door.visit() as visit:
        assert (await visit.refused()).code == "unavailable"


BAD_MESSAGES: dict[str, object] = {
    "not json": "]",
    "binary nonsense": b"\x80",
    "empty": "",
    "too long": "x" * 70_000,
    "a second greeting": '{"type":"hello"}',
    "no id": Progress(task_id="7", stage=ReplicaStage.COMPUTED),
    "a path for an id": Uploaded(task_id="../" * 20, cid="x"),
    "an unknown stage": '{"type":"progress","task_id":"' + TASK + '","stage":"finished"}',
    "a number for text": '{"type":"uploaded","task_id":"' + TASK + '","cid":7}',
}


@pytest.mark.parametrize("case", BAD_MESSAGES)
async def test_a_malformed_message_ends_its_connection_and_no_other(case: str) -> None:
    door = open_door()
    async with door.visit() as good, door.visit() as bad:
        await good.enter(ALICE)
        await bad.enter(MALLORY)
        await bad.say(BAD_MESSAGES[case])
        assert (await bad.refused()).code == "bad-input"
        left = await door.fact(WorkerLeft)
        assert isinstance(left, WorkerLeft)
        assert left.worker == MALLORY.address
        assert left.why.startswith("it was refused")
        door.desk.say(ALICE.address, Release(TASK))
        assert await good.hear() == Release(TASK)


async def test_too_many_messages_end_the_connection() -> None:
    door = open_door(message_burst=10, messages_per_s=0.001)
    async with door.visit() as visit:
        await visit.enter()
        for _ in range(11):
            await visit.say(Heartbeat())
        refused = await visit.refused()
        assert (refused.code, refused.message) == ("wrong-state", "too many messages")
        assert sum(isinstance(fact, WorkerHeard) for fact in door.told) == 10


async def test_a_new_connection_of_a_worker_replaces_the_old() -> None:
    door = open_door()
    async with door.visit() as old, door.visit() as new:
        await old.enter()
        await new.enter()
        with anyio.fail_after(DEADLINE_S):
            await _until(lambda: old.socket.closed_with is not None)
        assert old.socket.closed_with == (1001, "another connection of this worker took its place")
        door.desk.say(ALICE.address, Release(TASK))
        assert await new.hear() == Release(TASK)
        assert [type(fact) for fact in door.told] == [WorkerJoined, WorkerJoined], "it never left"


async def test_a_worker_that_does_not_read_is_dropped() -> None:
    door = open_door(max_queued_messages=5)
    async with door.visit() as visit:
        await visit.enter()
        for _ in range(2000):
            door.desk.say(ALICE.address, Release(TASK))
        left = await door.fact(WorkerLeft)
        assert left == WorkerLeft(ALICE.address, "it does not read its messages")


async def test_the_machine_may_drop_a_worker() -> None:
    door = open_door()
    async with door.visit() as visit:
        await visit.enter()
        door.desk.drop(ALICE.address, "not heard for 6 s")
        assert await door.fact(WorkerLeft) == WorkerLeft(ALICE.address, "not heard for 6 s")
        door.desk.drop(ALICE.address, "again")
    assert [type(fact) for fact in door.told] == [WorkerJoined, WorkerLeft]


async def test_no_more_connections_than_there_is_room_for() -> None:
    door = open_door(max_workers=1)
    async with door.visit() as first:
        await first.enter()
        async with door.visit() as second:
            assert (await second.refused()).code == "unavailable"
    async with door.visit() as third:
        assert isinstance(await third.enter(MALLORY), Welcome), "the first left, so there is room"


async def test_before_the_pool_is_live_workers_wait_at_the_door() -> None:
    door = open_door(is_live=False)
    async with door.visit() as visit, anyio.create_task_group() as tasks:
        answers: list[FromPool] = []

        async def enter() -> None:
            answers.append(await visit.enter())

        tasks.start_soon(enter)
        await anyio.wait_all_tasks_blocked()
        assert (answers, door.told) == ([], [])
        door.desk.go_live()
        await door.fact(WorkerJoined)
    assert isinstance(answers[0], Welcome)
    hasty = open_door(is_live=False, login_s=0.01)
    async with hasty.visit() as visit:
        assert (await visit.enter()).code == "unavailable"


async def test_a_chain_that_is_away_is_said_so() -> None:
    class AwayLedger(TwinLedger):
        async def score(self, worker: Address) -> int:
            raise UnavailableError("the node does not answer")

    door = open_door(AwayLedger(lambda: 0.0))
    async with door.visit() as visit:
        refused = await visit.enter()
        assert isinstance(refused, Refused)
        assert (refused.code, refused.message) == ("unavailable", "the node does not answer")


async def test_what_an_account_lacks_is_noted() -> None:
    ledger = TwinLedger(lambda: 0.0)
    ledger.stakes[ALICE.address] = ledger.balances[ALICE.address] = 0
    door = open_door(ledger)
    async with door.visit() as visit:
        await visit.enter()
        note = door.desk.notes[ALICE.address]
        assert note == "has no native coin to pay gas with; has 0 RLC in the hub: deals that ask for a stake will be refused"


async def _until(is_so: Callable[[], bool]) -> None:
    while not is_so():
        await anyio.wait_all_tasks_blocked()
