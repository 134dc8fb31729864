"""A worker made for tests of the pool: speaks its wire, does as it is told or, where a test wants it, does not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from voisin.chain import Admission, Chain, Sender, calls
from voisin.errors import RevertError
from voisin.pool.chain.twin import TwinLedger
from voisin.pool.running.desk import ClosedError
from voisin.protocol.archive import open_archive, pack_files
from voisin.protocol.codec import encode
from voisin.protocol.ids import Hash32, TaskId
from voisin.protocol.results import result_hash, result_seal
from voisin.protocol.signatures import KeySigner, sign_message
from voisin.protocol.wire import (
    WIRE_VERSION,
    Abort,
    AskReveal,
    AskUpload,
    Assign,
    Challenge,
    Failed,
    FromPool,
    FromWorker,
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
from voisin.protocol.wire_words import MachineFailure, ReplicaStage

DEADLINE_S = 120.0


class Line(Protocol):
    """A worker's end of a connection; both methods raise `ClosedError` when it is gone."""

    async def send(self, text: str) -> None: ...

    async def receive(self) -> str: ...


class Hand(Protocol):
    """How a worker writes on the chain."""

    async def contribute(self, assign: Assign, digest: Hash32) -> None: ...

    async def reveal(self, task_id: TaskId, digest: Hash32) -> None: ...


@dataclass
class TwinHand:
    """Writes on the twin of a chain."""

    ledger: TwinLedger
    wallet: KeySigner

    async def contribute(self, assign: Assign, digest: Hash32) -> None:
        self.ledger.contribute(assign.task_id, self.wallet.address, digest)

    async def reveal(self, task_id: TaskId, digest: Hash32) -> None:
        self.ledger.reveal(task_id, self.wallet.address, digest)


@dataclass
class ChainHand:
    """Writes on a chain; with gas limits of its own, so that nothing is tried out before."""

    chain: Chain
    sender: Sender
    wallet: KeySigner

    async def contribute(self, assign: Assign, digest: Hash32) -> None:
        task_id, hub = assign.task_id, self.chain.hub_address
        seal = result_seal(self.wallet.address, task_id, digest)
        admission = Admission(assign.authorization)
        call = calls.contribute(hub, task_id, result_hash=result_hash(task_id, digest), result_seal=seal, admission=admission)
        await self._send(call, 700_000)

    async def reveal(self, task_id: TaskId, digest: Hash32) -> None:
        await self._send(calls.reveal(self.chain.hub_address, task_id, digest), 200_000)

    async def _send(self, call: calls.Call, gas: int) -> None:
        await (await self.sender.submit(calls.Call(call.to, call.data, call.label, call.value, gas))).receipt()


@dataclass
class TestWorker:
    """
    A worker.

    Attributes:
        wallet: Its wallet.
        hand: How it writes on the chain.
        put: Stores bytes, answers their CID.
        answer: What it says each task gives; others agree when they say the same.
        stops_at: The message at which it falls silent, for example `AskReveal`.
        uploads: What it uploads instead of its result, if anything.
        heard: Everything the pool told it.
        kept: Tasks that it holds, with their stage.
    """

    __test__ = False

    wallet: KeySigner
    hand: Hand
    put: Callable[[bytes], Awaitable[str]]
    answer: str = "right"
    slots: int = 1
    name: str = ""
    stops_at: type[FromPool] | None = None
    uploads: bytes | None = None
    heard: list[FromPool] = field(default_factory=list)
    kept: dict[TaskId, ReplicaStage] = field(default_factory=dict)
    _news: anyio.Event = field(default_factory=anyio.Event)

    def archive(self, task_id: TaskId) -> bytes:
        """The result of a task."""
        return pack_files({"answer.txt": f"{self.answer} {task_id}".encode()})

    def digest(self, task_id: TaskId) -> Hash32:
        """The digest of the result."""
        return open_archive(self.archive(task_id)).digest()

    async def run(self, line: Line) -> None:
        """Log in and work until the connection is gone."""
        try:
            challenge = decode_from_pool(await line.receive())
            assert isinstance(challenge, Challenge)
            await self.say(line, self.hello(challenge))
            async with anyio.create_task_group() as working:
                while True:
                    message = decode_from_pool(await line.receive())
                    self.heard.append(message)
                    self._news.set()
                    self._news = anyio.Event()
                    if isinstance(message, Refused):
                        break
                    working.start_soon(self._do, message, line)
                working.cancel_scope.cancel()
        except* ClosedError:
            pass

    async def heard_of(self, kind: type[FromPool], count: int = 1) -> list[FromPool]:
        """Wait until the pool has sent messages of a kind."""
        with anyio.fail_after(DEADLINE_S):
            while True:
                found = [message for message in self.heard if isinstance(message, kind)]
                if len(found) >= count:
                    return found
                await self._news.wait()

    def hello(self, challenge: Challenge) -> Hello:
        """What it greets with."""
        return Hello(
            worker=self.wallet.address,
            signature=sign_message(self.wallet, login_message(challenge, self.wallet.address)),
            version=WIRE_VERSION,
            name=self.name or self.wallet.address[:8],
            resources=Resources(slots=self.slots, memory_bytes=2**30, disk_bytes=2**30),
            holding=tuple(Held(task, stage) for task, stage in self.kept.items()),
        )

    async def say(self, line: Line, message: FromWorker) -> None:
        """Send a message."""
        await line.send(encode(message).decode())

    async def _do(self, message: FromPool, line: Line) -> None:
        if self.stops_at is not None and isinstance(message, self.stops_at):
            return
        match message:
            case Assign():
                await self._compute(message, line)
            case AskReveal():
                await self.hand.reveal(message.task_id, self.digest(message.task_id))
                self.kept[message.task_id] = ReplicaStage.REVEALED
            case AskUpload():
                cid = await self.put(self.uploads or self.archive(message.task_id))
                await self.say(line, Uploaded(task_id=message.task_id, cid=cid))
            case Abort() | Release():
                self.kept.pop(message.task_id, None)
            case Welcome() | Challenge() | Refused():
                return

    async def _compute(self, assign: Assign, line: Line) -> None:
        self.kept.setdefault(assign.task_id, ReplicaStage.ASSIGNED)
        if self.kept[assign.task_id] in (ReplicaStage.CONTRIBUTED, ReplicaStage.REVEALED):
            return
        await self.say(line, Progress(task_id=assign.task_id, stage=ReplicaStage.COMPUTED))
        try:
            await self.hand.contribute(assign, self.digest(assign.task_id))
        except RevertError as error:
            self.kept.pop(assign.task_id, None)
            await self.say(line, Failed(task_id=assign.task_id, failure=MachineFailure.CHAIN_REFUSED, detail=error.message))
            return
        self.kept[assign.task_id] = ReplicaStage.CONTRIBUTED


class TwinSocket:
    """The pool's end of a connection that stays in this process; `line` is the worker's."""

    def __init__(self) -> None:
        self._to_pool, self._from_worker = anyio.create_memory_object_stream[str | bytes](1000)
        self._to_worker, self._from_pool = anyio.create_memory_object_stream[str](1000)
        self.line = TwinLine(self._to_pool, self._from_pool)
        self.closed_with: tuple[int, str] | None = None

    def __enter__(self) -> TwinSocket:
        return self

    def __exit__(self, *_: object) -> None:
        for end in (self._to_pool, self._from_worker, self._to_worker, self._from_pool):
            end.close()

    async def receive(self) -> str | bytes:
        try:
            return await self._from_worker.receive()
        except (anyio.EndOfStream, anyio.ClosedResourceError):
            raise ClosedError from None

    async def send(self, message: str) -> None:
        try:
            await self._to_worker.send(message)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            raise ClosedError from None

    async def close(self, code: int, reason: str) -> None:
        self.closed_with = self.closed_with or (code, reason)
        self._to_worker.close()
        self._from_worker.close()


@dataclass
class TwinLine:
    """A worker's end of a `TwinSocket`."""

    _out: MemoryObjectSendStream[str | bytes]
    _in: MemoryObjectReceiveStream[str]

    async def send(self, text: str | bytes) -> None:
        try:
            await self._out.send(text)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            raise ClosedError from None

    async def receive(self) -> str:
        try:
            return await self._in.receive()
        except (anyio.EndOfStream, anyio.ClosedResourceError):
            raise ClosedError from None

    def hang_up(self) -> None:
        """Break the connection."""
        self._out.close()
        self._in.close()
