"""
The WebSocket that the worker opens to its pool, for ever: greeting, heartbeat, messages both ways, and again after it broke.

A pool can stay away, talk nonsense or talk too much; none of it stops the worker, which goes on with what it has.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import anyio
import structlog
from anyio.streams.memory import MemoryObjectSendStream
from msgspec.structs import replace
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from voisin.errors import InputError, TrustError, UnavailableError, VoisinError
from voisin.protocol.bag_wire import AskDigests, BagFromPool, GiveTasks, Receipts, Statement, TakeBack
from voisin.protocol.codec import encode
from voisin.protocol.evidence import Evidence
from voisin.protocol.ids import DealId, TaskId, as_address, as_hash32, as_uint, from_hex
from voisin.protocol.signatures import Signer, sign_message
from voisin.protocol.wire import (
    WIRE_VERSION,
    AskHolding,
    Assign,
    Challenge,
    FromPool,
    FromWorker,
    Heartbeat,
    Held,
    Hello,
    Refused,
    Resources,
    Schedulers,
    Welcome,
    decode_from_pool,
    login_message,
)
from voisin.protocol.wire_words import EnclaveKind
from voisin.worker.pauses import Pauses
from voisin.worker.settings import WorkerSettings

MAX_MESSAGE_BYTES: Final = 1 << 20
MAX_SIGNATURE_CHARACTERS: Final = 8_192
MAX_NONSENSE: Final = 16
"""Malformed messages after which a worker leaves, and comes back later."""
MAX_UNSENT: Final = 1_000
"""Messages that may wait for a pool that does not read."""
CLOSE_S: Final = 1.0
MAX_INDEX: Final = 2**63 - 1
"""Highest index of a task of a bag that this worker keeps records of."""
_HEARTBEAT_S = (0.05, 300.0)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Greeting:
    """
    How a worker presents itself.

    Attributes:
        signer: Its wallet.
        name: How the pool lists it.
        resources: What it offers.
        holding: Says which replicas it has, when asked.
        approve: Says whether this is the right pool, and remembers it; raises `TrustError` when it is not.
        evidence: Has the worker's enclave answer a pool's challenge, if it has a real one.
    """

    signer: Signer
    name: str
    resources: Resources
    holding: Callable[[], tuple[Held, ...]]
    approve: Callable[[Challenge, Welcome | None], Awaitable[None]]
    evidence: Callable[[Challenge], Awaitable[Evidence | None]]


@dataclass(frozen=True, kw_only=True)
class Listener:
    """
    Who is told what happens on the link.

    Attributes:
        joined: The pool let the worker in.
        heard: The pool said something; waiting in it makes the pool wait.
        lost: The link broke or could not be made, with the reason and the pause before the next attempt [s].
        asked: A scheduler wants to hear what the worker has of bags.
    """

    joined: Callable[[], Awaitable[None]]
    heard: Callable[[FromPool], Awaitable[None]]
    lost: Callable[[str, float], None]
    asked: Callable[[], None] = lambda: None


def resources_of(settings: WorkerSettings, enclave: EnclaveKind, content: tuple[str, ...]) -> Resources:
    """Say what a worker offers: what it was told, the enclaves that it has, and some CIDs of what it holds."""
    return Resources(
        slots=settings.slots,
        memory_bytes=settings.memory_bytes,
        disk_bytes=settings.disk_bytes,
        enclave=enclave,
        tag=settings.tag,
        region=settings.region,
        content=content,
    )


def socket_url(pool_url: str) -> str:
    """
    Turn a pool's address into that of its workers' WebSocket.

    Raises:
        InputError: It is not an `http://` or `https://` address.
    """
    parts = urlsplit(pool_url)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme)
    if scheme is None or not parts.hostname:
        raise InputError(f"{pool_url!r} is not the address of a pool", hint="write for example http://127.0.0.1:8547")
    return urlunsplit((scheme, parts.netloc, f"{parts.path.rstrip('/')}/v1/worker", "", ""))


def read_message(data: bytes | str) -> FromPool:
    """
    Read a message of the pool, with ids in their canonical form: they become names of folders.

    Raises:
        InputError: It is malformed.
    """
    message = decode_from_pool(data)
    if isinstance(message, Challenge | Welcome | Refused | Schedulers | AskHolding):
        return message
    if isinstance(message, BagFromPool):
        return _bag_message(message)
    named = replace(message, task_id=TaskId(as_hash32(message.task_id)))
    if not isinstance(named, Assign):
        return named
    if len(named.authorization) > MAX_SIGNATURE_CHARACTERS:
        raise InputError("the pool's authorisation is too long")
    from_hex(named.authorization)
    as_uint(named.index, "the task's index")
    return replace(named, deal_id=DealId(as_hash32(named.deal_id)), enclave_challenge=as_address(named.enclave_challenge))


def _bag_message(message: BagFromPool) -> BagFromPool:
    """Make the deal's id canonical, and refuse indexes and hashes that are none."""
    named = replace(message, deal_id=DealId(as_hash32(message.deal_id)))
    match named:
        case GiveTasks(indexes=indexes) | AskDigests(indexes=indexes) | TakeBack(indexes=indexes):
            _check_indexes(indexes)
        case Receipts(receipts=receipts):
            _check_indexes(receipt.index for receipt in receipts)
            if any(len(receipt.signature) > MAX_SIGNATURE_CHARACTERS for receipt in receipts):
                raise InputError("a receipt of the pool is too long")
        case Statement(signature=signature) if len(signature) > MAX_SIGNATURE_CHARACTERS:
            raise InputError("the pool's statement is too long")
        case _:
            pass
    return named


def _check_indexes(indexes: Iterable[int]) -> None:
    if not all(0 <= index <= MAX_INDEX for index in indexes):
        raise InputError("the index of a task is out of range")


def _plain(text: str) -> str:
    """Make foreign words fit for a log and a screen."""
    return "".join(letter if letter.isprintable() else " " for letter in text[:300])


class PoolLink:
    """
    A worker's side of the link.

    Args:
        pool_url: The pool's address.
        greeting: How the worker presents itself.
        listener: Who is told.
        pauses: How long to wait before each new attempt.
        handshake_s: How long each step of the greeting may take [s].
        beat: Makes a sign of life.

    Raises:
        InputError: The address is not one.
    """

    def __init__(
        self,
        pool_url: str,
        greeting: Greeting,
        listener: Listener,
        *,
        pauses: Pauses,
        handshake_s: float,
        beat: Callable[[], Heartbeat] = Heartbeat,
    ) -> None:
        self._url = socket_url(pool_url)
        self._greeting = greeting
        self._listener = listener
        self._pauses = pauses
        self._handshake_s = handshake_s
        self._beat = beat
        self._outbox: MemoryObjectSendStream[FromWorker | anyio.Event] | None = None
        self._session: anyio.CancelScope | None = None

    async def run(self) -> None:
        """Keep the link up until cancelled."""
        while True:
            reason = "the pool closed the connection"
            try:
                await self._connect_once()
            except (OSError, TimeoutError) as error:
                reason = f"the pool at {self._url} does not answer ({str(error) or 'it takes too long'})"
            except WebSocketException as error:
                reason = f"the connection to the pool broke ({error})"
            except VoisinError as error:
                reason = str(error)
            retry_s = self._pauses.next_s()
            self._listener.lost(_plain(reason), retry_s)
            await anyio.sleep(retry_s)

    @property
    def is_up(self) -> bool:
        """Whether the pool is there."""
        return self._outbox is not None

    def say(self, message: FromWorker) -> None:
        """Tell the pool something. Without a link it is dropped: the next greeting says what counts."""
        if self._outbox is None:
            return
        try:
            self._outbox.send_nowait(message)
        except (anyio.WouldBlock, anyio.BrokenResourceError, anyio.ClosedResourceError):
            if self._session is not None:
                self._session.cancel()

    async def flush(self) -> None:
        """Wait until everything said so far is on its way."""
        if self._outbox is not None:
            mark = anyio.Event()
            with contextlib.suppress(anyio.WouldBlock, anyio.BrokenResourceError, anyio.ClosedResourceError):
                self._outbox.send_nowait(mark)
                await mark.wait()

    async def _connect_once(self) -> None:
        is_local = urlsplit(self._url).hostname in ("127.0.0.1", "::1", "localhost")
        socket = await connect(
            self._url,
            open_timeout=self._handshake_s,
            close_timeout=CLOSE_S,
            max_size=MAX_MESSAGE_BYTES,
            compression=None,
            proxy=None if is_local else True,
        )
        try:
            welcome = await self._greet(socket)
            joined_s = anyio.current_time()
            await self._talk(socket, heartbeat_s=min(max(welcome.heartbeat_s, _HEARTBEAT_S[0]), _HEARTBEAT_S[1]))
            self._pauses.note_success(anyio.current_time() - joined_s)
        finally:
            with anyio.CancelScope(shield=True):
                await socket.close()

    async def _greet(self, socket: ClientConnection) -> Welcome:
        challenge = await self._hear(socket)
        if not isinstance(challenge, Challenge):
            raise InputError("the pool did not begin with a challenge", hint="check that pool_url is a pool of this version")
        await self._greeting.approve(challenge, None)
        signer = self._greeting.signer
        hello = Hello(
            worker=signer.address,
            signature=sign_message(signer, login_message(challenge, signer.address)),
            version=WIRE_VERSION,
            name=self._greeting.name,
            resources=self._greeting.resources,
            holding=self._greeting.holding(),
            evidence=await self._greeting.evidence(challenge),
        )
        await socket.send(encode(hello).decode())
        answer = await self._hear(socket)
        if isinstance(answer, Refused):
            raise TrustError(f"the pool refused this worker: {answer.message}", hint=answer.hint)
        if not isinstance(answer, Welcome):
            raise InputError("the pool did not answer the greeting", hint="check that pool_url is a pool of this version")
        await self._greeting.approve(challenge, answer)
        return answer

    async def _hear(self, socket: ClientConnection) -> FromPool:
        with anyio.move_on_after(self._handshake_s):
            return read_message(await socket.recv())
        raise UnavailableError(f"the pool did not greet within {self._handshake_s:g} s")

    async def _talk(self, socket: ClientConnection, *, heartbeat_s: float) -> None:
        """Exchange messages until one side goes."""
        outbox, unsent = anyio.create_memory_object_stream[FromWorker | anyio.Event](MAX_UNSENT)

        async def write() -> None:
            async for message in unsent:
                if isinstance(message, anyio.Event):
                    message.set()
                else:
                    await socket.send(encode(message).decode())

        async def beat() -> None:
            while True:
                self.say(self._beat())
                await anyio.sleep(heartbeat_s)

        with outbox, unsent:
            try:
                async with anyio.create_task_group() as tasks:
                    self._outbox, self._session = outbox, tasks.cancel_scope
                    tasks.start_soon(beat)
                    tasks.start_soon(write)
                    await self._listener.joined()
                    await self._listen(socket)
                    tasks.cancel_scope.cancel()
            except* WebSocketException as group:
                log.debug("link_broke", errors=[str(error) for error in group.exceptions])
            finally:
                self._outbox = self._session = None

    async def _listen(self, socket: ClientConnection) -> None:
        nonsense = 0
        async for data in socket:
            try:
                message = read_message(data)
            except InputError as error:
                nonsense += 1
                log.warning("pool_talks_nonsense", error=error.message[:300], count=nonsense)
                if nonsense >= MAX_NONSENSE:
                    return
                continue
            await self._listener.heard(message)
