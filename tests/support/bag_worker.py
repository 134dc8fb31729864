"""A worker of bags made for tests of the pool: computes nothing, signs everything, and lies or falls silent where a test wants it."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import anyio

from tests.support.pool_worker import DEADLINE_S, Line
from voisin.pool.running.desk import ClosedError
from voisin.protocol.archive import open_archive, pack_files
from voisin.protocol.bag_settlement import contribution_digest, earned_digest, receipt_digest
from voisin.protocol.bag_wire import (
    AskDigests,
    BagOver,
    Contribution,
    Contributions,
    Digests,
    GaveUp,
    GiveTasks,
    HoldsBag,
    Receipt,
    Receipts,
    ShownDigest,
    Statement,
    TakeBack,
)
from voisin.protocol.codec import encode
from voisin.protocol.eip712 import Domain
from voisin.protocol.ids import Address, DealId, Hash32, task_id, to_hex
from voisin.protocol.results import result_hash
from voisin.protocol.signatures import KeySigner, sign_message, signed_by
from voisin.protocol.wire import (
    WIRE_VERSION,
    AskHolding,
    Challenge,
    FromPool,
    FromWorker,
    Hello,
    Refused,
    Resources,
    decode_from_pool,
    login_message,
)
from voisin.protocol.wire_words import MachineFailure
from voisin.units import NRLC


@dataclass
class Part:
    """What a worker has of one deal; `given` counts how often it was given each task."""

    waiting: dict[int, None] = field(default_factory=dict)
    results: dict[int, Contribution] = field(default_factory=dict)
    receipts: dict[int, Receipt] = field(default_factory=dict)
    earned: NRLC = NRLC(0)
    is_over: bool = False
    statements: list[Statement] = field(default_factory=list)


@dataclass
class BagWorker:
    """
    A worker.

    Attributes:
        wallet: Its wallet.
        domain: The hub that it signs for.
        scheduler: Whose signatures it believes.
        put: Stores bytes.
        answer: What it says each task gives; others agree when they say the same.
        is_each: Whether each task gives something else.
        stops_at: Messages at which it falls silent.
        shows: What it shows in place of what it said, if anything.
        hides: Whether it says that results are in storage, and stores nothing.
        fails: Why it gives up every task that it is given, if it does.
        callback: Data for the deal's callback, for a task's index.
        parts: What it has of each deal.
        heard: Everything the pool told it, unless it keeps nothing.
    """

    wallet: KeySigner
    domain: Domain
    scheduler: Address
    put: Callable[[bytes], Awaitable[object]]
    answer: str = "right"
    is_each: bool = True
    slots: int = 1
    name: str = ""
    stops_at: tuple[type[FromPool], ...] = ()
    shows: str = ""
    hides: bool = False
    fails: MachineFailure | None = None
    callback: Callable[[int], bytes] | None = None
    parts: dict[DealId, Part] = field(default_factory=dict)
    heard: list[FromPool] = field(default_factory=list)
    keeps: bool = True
    line: Line | None = None
    _news: anyio.Event = field(default_factory=anyio.Event)
    _made: dict[tuple[str, int], tuple[Hash32, Hash32, bytes]] = field(default_factory=dict)

    def result(self, deal: DealId, index: int, answer: str = "") -> tuple[Hash32, Hash32, bytes]:
        """Digest, location and archive of a task's result."""
        key = (answer or self.answer, index if self.is_each or self.callback else -1)
        if key not in self._made:
            files = {"answer.txt": f"{key[0]} {key[1]}".encode()}
            if self.callback is not None:
                files = {"computed.json": encode({"callback-data": to_hex(self.callback(index))})}
            archive = pack_files(files)
            digest = open_archive(archive).digest(has_callback=self.callback is not None)
            self._made[key] = (digest, Hash32(to_hex(hashlib.sha256(archive).digest())), archive)
        return self._made[key]

    async def run(self, line: Line) -> None:
        """Log in and work until the connection is gone."""
        try:
            challenge = decode_from_pool(await line.receive())
            assert isinstance(challenge, Challenge)
            await line.send(encode(self.hello(challenge)).decode())
            self.line = line
            await self._tell_all()
            while True:
                message = decode_from_pool(await line.receive())
                if self.keeps:
                    self.heard.append(message)
                self._news.set()
                self._news = anyio.Event()
                if isinstance(message, Refused):
                    return
                if not isinstance(message, self.stops_at):
                    await self._do(message)
        except ClosedError:
            pass

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait until something is so, looking at each message."""
        with anyio.fail_after(DEADLINE_S):
            while not is_so():
                await self._news.wait()

    async def over(self, deal: DealId) -> None:
        """Wait until the pool has said that a deal is over."""
        await self.until(lambda: deal in self.parts and self.parts[deal].is_over)

    def hello(self, challenge: Challenge) -> Hello:
        """What it greets with."""
        return Hello(
            worker=self.wallet.address,
            signature=sign_message(self.wallet, login_message(challenge, self.wallet.address)),
            version=WIRE_VERSION,
            name=self.name or self.wallet.address[:8],
            resources=Resources(slots=self.slots, memory_bytes=2**30, disk_bytes=2**30),
        )

    def contribution(self, deal: DealId, index: int) -> Contribution:
        """What it says of a task."""
        said = result_hash(task_id(deal, index), self.result(deal, index)[0])
        return Contribution(index, said, self.wallet.sign_digest(contribution_digest(self.domain, deal, index, said)))

    async def say(self, message: FromWorker) -> None:
        """Send a message."""
        assert self.line is not None
        await self.line.send(encode(message).decode())

    async def _tell_all(self) -> None:
        for deal, part in self.parts.items():
            if not part.is_over:
                done = tuple(part.results.values())
                await self.say(HoldsBag(deal_id=deal, waiting=tuple(part.waiting), contributed=done, earned=part.earned))

    async def _do(self, message: FromPool) -> None:
        match message:
            case GiveTasks():
                await self._compute(message)
            case Receipts():
                self._keep(message)
            case AskDigests():
                await self._show(message)
            case Statement():
                part = self.parts[message.deal_id]
                digest = earned_digest(self.domain, message.deal_id, self.wallet.address, message.amount)
                assert signed_by(self.scheduler, digest, message.signature)
                part.earned = NRLC(max(part.earned, message.amount))
                part.statements.append(message)
            case TakeBack():
                for index in message.indexes:
                    self.parts[message.deal_id].waiting.pop(index, None)
            case AskHolding():
                await self._tell_all()
            case BagOver():
                self.parts.setdefault(message.deal_id, Part()).is_over = True
            case _:
                pass

    async def _compute(self, message: GiveTasks) -> None:
        part = self.parts.setdefault(message.deal_id, Part())
        part.waiting |= dict.fromkeys(message.indexes)
        if self.fails is not None:
            await self.say(GaveUp(deal_id=message.deal_id, indexes=message.indexes, failure=self.fails, detail="as the test wants"))
            return
        found = tuple(part.results.get(index) or self.contribution(message.deal_id, index) for index in message.indexes)
        for each in found:
            part.results[each.index] = each
            part.waiting.pop(each.index, None)
        await self.say(Contributions(message.deal_id, found))

    def _keep(self, message: Receipts) -> None:
        for receipt in message.receipts:
            digest = receipt_digest(self.domain, message.deal_id, receipt.index, worker=self.wallet.address, said=receipt.said)
            assert signed_by(self.scheduler, digest, receipt.signature)
            before = self.parts[message.deal_id].receipts.setdefault(receipt.index, receipt)
            assert before.said == receipt.said, "one receipt for a worker and a task, ever"

    async def _show(self, message: AskDigests) -> None:
        part, shown = self.parts[message.deal_id], []
        for index in message.indexes:
            assert index in part.receipts, "asked to show what has no receipt"
            digest, location, archive = self.result(message.deal_id, index, self.shows)
            if not self.hides:
                await self.put(archive)
            callback = to_hex(self.callback(index)) if self.callback is not None else ""
            shown.append(ShownDigest(index, digest, location, 0, callback))
        await self.say(Digests(message.deal_id, tuple(shown)))
