"""
Where workers report: one connection each, proved by a signature, with limits on everything a stranger can send.

A malformed or unwelcome message ends its own connection and nothing else.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

import anyio
import msgspec
import structlog
from anyio.streams.memory import MemoryObjectSendStream

from voisin.errors import InputError, StateError, TrustError, UnavailableError, VoisinError
from voisin.pool.bags.desk import read_words
from voisin.pool.bags.facts import BagWorkerFact
from voisin.pool.chain.ledger import Ledger
from voisin.pool.heart.commands import AssignReplica
from voisin.pool.heart.facts import (
    HoldingTold,
    ReplicaFailed,
    StageReached,
    TakesChanged,
    UploadReported,
    WorkerFact,
    WorkerHeard,
    WorkerJoined,
    WorkerLeft,
)
from voisin.pool.running.introductions import Introductions
from voisin.pool.settings import PoolSettings
from voisin.protocol.bag_wire import Contributions, Digests, GaveUp, HoldsBag, Prints
from voisin.protocol.codec import encode
from voisin.protocol.ids import Address, DealId, TaskId, as_address, as_hash32, as_uint, task_id, to_hex
from voisin.protocol.results import sign_authorization
from voisin.protocol.signatures import Signer, message_digest, recover_signer
from voisin.protocol.tags import as_tag
from voisin.protocol.wire import (
    OLDEST_VERSION,
    WIRE_VERSION,
    AskHolding,
    Assign,
    Challenge,
    Failed,
    FromPool,
    FromWorker,
    Heartbeat,
    Held,
    Hello,
    Holding,
    Printed,
    Progress,
    Refused,
    Resources,
    Schedulers,
    Takes,
    Uploaded,
    Welcome,
    decode_from_worker,
    login_message,
)
from voisin.protocol.wire_words import EnclaveKind
from voisin.units import format_amount

MAX_SLOTS = 4096
MAX_NAME = 100
MAX_RULES = 1_000
MAX_CONTENT = 512
MAX_WHY = 200
SHARED_VERSION = 2
"""From this version on a worker knows that a pool may have several schedulers."""
CLOSE_AWAY, CLOSE_REFUSED = 1001, 1008
FAREWELL_S = 2.0
"""How long the last message of a connection may take [s]."""

_log = structlog.get_logger()


class ClosedError(Exception):
    """The other side of a socket is gone."""


class Socket(Protocol):
    """A WebSocket, or its twin."""

    async def receive(self) -> str | bytes:
        """
        Wait for a message.

        Raises:
            ClosedError: The connection is gone.
        """
        ...

    async def send(self, message: str) -> None:
        """
        Send a message.

        Raises:
            ClosedError: The connection is gone.
        """
        ...

    async def close(self, code: int, reason: str) -> None:
        """Close the connection; closing one that is gone does nothing."""
        ...


@dataclass(slots=True)
class _Connection:
    """A worker's open connection; `why` is set by whoever ends it."""

    worker: Address
    outbox: MemoryObjectSendStream[FromPool]
    scope: anyio.CancelScope
    version: int = WIRE_VERSION
    why: str = "the connection closed"

    def end(self, why: str) -> None:
        self.why = why
        self.scope.cancel()


class _Allowance:
    """How many messages a connection may send: a burst, refilled over time."""

    def __init__(self, per_s: float, burst: int) -> None:
        self._per_s, self._burst = per_s, float(burst)
        self._left, self._at = float(burst), anyio.current_time()

    def take(self) -> bool:
        """Take one; False when there is none left."""
        now = anyio.current_time()
        self._left = min(self._burst, self._left + (now - self._at) * self._per_s)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class WorkerDesk:
    """
    The workers' connections.

    Attributes:
        notes: For each worker, what its account lacks; empty when nothing.
        url: Where this scheduler answers; empty while that is not known.
    """

    def __init__(
        self,
        settings: PoolSettings,
        ledger: Ledger,
        scheduler: Signer,
        *,
        tell: Callable[[WorkerFact | BagWorkerFact], None],
        print_out: Callable[[Address, Printed], None] = lambda _worker, _printed: None,
        introductions: Introductions | None = None,
    ) -> None:
        """
        Args:
            settings: Limits and periods.
            ledger: The chain, asked for each worker's score and money.
            scheduler: Signs authorisations.
            tell: Takes facts to the machine.
            print_out: Takes what apps print.
            introductions: Looks at what workers say of their enclaves; real ones do not count unless given.
        """
        self._settings = settings
        self._ledger = ledger
        self._scheduler = scheduler
        self._tell = tell
        self._print_out = print_out
        self._introductions = introductions or Introductions(None, time.time)
        self._connections: dict[Address, _Connection] = {}
        self._open = 0
        self._is_live = anyio.Event()
        self._schedulers: tuple[str, ...] = ()
        self.notes: dict[Address, str] = {}
        self.url = ""

    def go_live(self) -> None:
        """Let workers in; before, they wait at the door."""
        self._is_live.set()

    def say(self, worker: Address, message: FromPool) -> None:
        """Send a worker a message; one that is not connected hears what counts when it comes back."""
        connection = self._connections.get(worker)
        if connection is None:
            return
        if connection.version < SHARED_VERSION and isinstance(message, AskHolding | Schedulers):
            if isinstance(message, AskHolding):
                connection.end("deals were taken over: greet again, and say what you hold")
            return
        try:
            connection.outbox.send_nowait(message)
        except anyio.WouldBlock:
            connection.end("it does not read its messages")
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            connection.end("the connection closed")

    def assign(self, command: AssignReplica) -> None:
        """Authorise a worker and send it a task."""
        if command.worker not in self._connections:
            return
        assign = Assign(
            deal_id=command.deal_id,
            index=command.index,
            task_id=command.task_id,
            enclave_challenge=command.challenge,
            authorization=sign_authorization(self._scheduler, command.worker, command.task_id, command.challenge),
            contribution_deadline=command.contribution_deadline,
            is_direct=command.is_direct,
        )
        self.say(command.worker, assign)

    def meet(self, urls: tuple[str, ...]) -> None:
        """Tell all workers where the pool's schedulers are, now and when they join."""
        if urls != self._schedulers:
            self._schedulers = urls
            for worker in list(self._connections):
                self.say(worker, Schedulers(urls))

    def ask_holding(self) -> None:
        """Ask all workers what they hold."""
        for worker in list(self._connections):
            self.say(worker, AskHolding())

    def drop(self, worker: Address, why: str) -> None:
        """Close a worker's connection."""
        connection = self._connections.get(worker)
        if connection is not None:
            connection.end(why)

    async def serve(self, socket: Socket) -> None:
        """Serve one connection from its first message to its end."""
        if self._open >= self._settings.max_workers:
            await _refuse(socket, UnavailableError("the pool has no room for another connection", hint="try again later"))
            return
        self._open += 1
        try:
            hello, enclave = await self._greet(socket)
            await self._talk(socket, hello, enclave)
        except VoisinError as error:
            _log.info("worker_refused", code=error.code, reason=error.message)
            await _refuse(socket, error)
        except ClosedError:
            _log.debug("stranger_left")
        finally:
            self._open -= 1

    # --- the greeting ---

    async def _greet(self, socket: Socket) -> tuple[Hello, EnclaveKind]:
        """Have a worker prove its address, and what enclaves it has; answers its greeting in canonical form, and these."""
        domain = self._ledger.domain
        challenge = Challenge(
            nonce=as_hash32(to_hex(secrets.token_bytes(32))), workerpool=self._settings.workerpool, chain_id=domain.chain_id
        )
        await socket.send(_text(challenge))
        with anyio.move_on_after(self._settings.login_s):
            hello = self._decode(await socket.receive())
            if not isinstance(hello, Hello):
                raise InputError("the first message must be a hello", hint="answer the challenge")
            checked = _checked(hello, challenge)
            return checked, await self._introductions.kind_of(checked, challenge)
        raise UnavailableError("no greeting came in time", hint=f"answer the challenge within {self._settings.login_s:g} s")

    async def _joined(self, hello: Hello, enclave: EnclaveKind) -> WorkerJoined:
        """Look at a worker's account, and wait until the pool knows what to tell it."""
        with anyio.move_on_after(self._settings.login_s):
            await self._is_live.wait()
            score = await self._ledger.score(hello.worker)
            stake, coins = await self._ledger.stake(hello.worker), await self._ledger.native_balance(hello.worker)
            lacks = [] if coins else ["has no native coin to pay gas with"]
            if hello.resources.enclave.is_hardware and enclave is EnclaveKind.NONE:
                lacks.append(f"has enclaves of {hello.resources.enclave}, which do not count here: the pool has no policy for them")
            lacks += [] if stake else [f"has {format_amount(stake)} in the hub: deals that ask for a stake will be refused"]
            self.notes[hello.worker] = "; ".join(lacks)
            slots = min(hello.resources.slots, MAX_SLOTS)
            return WorkerJoined(
                worker=hello.worker,
                name=hello.name,
                slots=slots,
                score=score,
                holding=hello.holding,
                enclave=enclave,
                version=hello.version,
                resources=hello.resources,
                stake=stake,
            )
        raise UnavailableError("the pool is still starting", hint="try again in a moment")

    # --- the talk ---

    async def _talk(self, socket: Socket, hello: Hello, enclave: EnclaveKind) -> None:
        fact = await self._joined(hello, enclave)
        worker, outgoing = hello.worker, anyio.create_memory_object_stream[FromPool](self._settings.max_queued_messages)
        outbox, unsent = outgoing
        with outbox, unsent:
            async with anyio.create_task_group() as tasks:
                connection = _Connection(worker, outbox, tasks.cancel_scope, hello.version)
                self._take_over(connection)
                try:
                    domain, settings = self._ledger.domain, self._settings
                    welcome = Welcome(
                        hub=domain.hub,
                        storage_url=settings.storage_url,
                        heartbeat_s=settings.heartbeat_s,
                        vault_url=settings.vault_url,
                        scheduler=self.url,
                        schedulers=self._schedulers,
                    )
                    outbox.send_nowait(welcome)
                    self._tell(fact)
                    _log.info("worker_joined", worker=worker, name=hello.name, slots=fact.slots, note=self.notes[worker])

                    async def write() -> None:
                        with suppress(ClosedError):
                            async for message in unsent:
                                await socket.send(_text(message))

                    tasks.start_soon(write)
                    await self._listen(socket, connection)
                    tasks.cancel_scope.cancel()
                finally:
                    self._let_go(connection)
        with anyio.move_on_after(FAREWELL_S, shield=True):
            await socket.close(CLOSE_AWAY, connection.why[:100])

    def _take_over(self, connection: _Connection) -> None:
        before = self._connections.get(connection.worker)
        if before is not None:
            before.end("another connection of this worker took its place")
        self._connections[connection.worker] = connection

    def _let_go(self, connection: _Connection) -> None:
        if self._connections.get(connection.worker) is connection:
            del self._connections[connection.worker]
            self._tell(WorkerLeft(connection.worker, connection.why))
            _log.info("worker_left", worker=connection.worker, why=connection.why)

    async def _listen(self, socket: Socket, connection: _Connection) -> None:
        """Take messages in until the connection is gone, or sends what it must not."""
        allowance = _Allowance(self._settings.messages_per_s, self._settings.message_burst)
        while True:
            try:
                data = await socket.receive()
                if not allowance.take():
                    raise StateError("too many messages", hint=f"send at most {self._settings.messages_per_s:g} a second")
                self._tell(await self._fact(connection.worker, data))
            except ClosedError:
                return
            except VoisinError as error:
                connection.why = f"it was refused: {error.message}"
                await _refuse(socket, error)
                return

    async def _fact(self, worker: Address, data: str | bytes) -> WorkerFact | BagWorkerFact:
        message = self._decode(data)
        match message:
            case Heartbeat():
                return WorkerHeard(worker, message.elsewhere)
            case Holding():
                return HoldingTold(worker, tuple(Held(_task_id(held.task_id), held.stage) for held in message.holding))
            case Printed():
                self._print_out(worker, msgspec.structs.replace(message, task_id=_task_id(message.task_id)))
                return WorkerHeard(worker)
            case Progress():
                return StageReached(worker, _task_id(message.task_id), message.stage, message.detail, message.exit_code)
            case Uploaded():
                return UploadReported(worker, _task_id(message.task_id), message.cid, message.callback_data)
            case Failed():
                return ReplicaFailed(worker, _task_id(message.task_id), message.failure, message.detail)
            case Takes():
                return TakesChanged(worker, _checked_rules(message))
            case Hello():
                raise InputError("the worker greeted already", hint="open another connection")
            case Prints():
                deal_id = DealId(as_hash32(message.deal_id))
                for piece in message.pieces:
                    name = task_id(deal_id, as_uint(piece.index, "the task's index"))
                    self._print_out(worker, Printed(task_id=name, stream=piece.stream, start=0, text=piece.text))
                return WorkerHeard(worker)
            case Contributions() | Digests() | GaveUp() | HoldsBag():
                return await read_words(message, worker, self._ledger.domain)

    def _decode(self, data: str | bytes) -> FromWorker:
        size = len(data.encode()) if isinstance(data, str) else len(data)
        if size > self._settings.max_message_bytes:
            raise InputError(f"a message of {size} bytes is too long", hint=f"send at most {self._settings.max_message_bytes}")
        return decode_from_worker(data)


def _checked(hello: Hello, challenge: Challenge) -> Hello:
    """Check a greeting, and make its names canonical."""
    worker = as_address(hello.worker)
    if not OLDEST_VERSION <= hello.version <= WIRE_VERSION:
        raise InputError(
            f"this pool speaks versions {OLDEST_VERSION} to {WIRE_VERSION}, not {hello.version}", hint="update voisin on the older side"
        )
    signed = recover_signer(message_digest(login_message(challenge, worker)), hello.signature)
    if signed != worker:
        raise TrustError("the login is not signed by the worker's wallet", hint="sign the challenge with the wallet whose address you send")
    if hello.resources.slots < 1:
        raise InputError("a worker needs at least one slot", hint="offer one slot or more")
    name = "".join(character for character in hello.name if character.isprintable())[:MAX_NAME]
    holding = tuple(Held(_task_id(held.task_id), held.stage) for held in hello.holding)
    return Hello(
        worker=worker,
        signature=hello.signature,
        version=hello.version,
        name=name or worker,
        resources=_checked_resources(hello.resources),
        holding=holding,
        evidence=hello.evidence,
    )


def _checked_resources(resources: Resources) -> Resources:
    """Check what a worker says that it has, and keep what is of use."""
    as_tag(resources.tag)
    return msgspec.structs.replace(resources, region=resources.region[:MAX_NAME], content=resources.content[:MAX_CONTENT])


def _checked_rules(takes: Takes) -> Takes:
    """Check what a worker says that it takes, and make its words fit for a screen."""
    if takes.slots < 0 or sum(map(len, (takes.allowed_apps, takes.denied_apps, takes.denied_requesters))) > MAX_RULES:
        raise InputError("the worker's rules make no sense", hint=f"name at most {MAX_RULES} apps and requesters")
    why = "".join(character for character in takes.why if character.isprintable())[:MAX_WHY]
    return msgspec.structs.replace(takes, why=why)


def _task_id(text: str) -> TaskId:
    return TaskId(as_hash32(text))


def _text(message: FromPool) -> str:
    return encode(message).decode()


async def _refuse(socket: Socket, error: VoisinError) -> None:
    """Say why, and close; somebody who does not read is not waited for."""
    with anyio.move_on_after(FAREWELL_S):
        with suppress(ClosedError):
            await socket.send(_text(Refused(error.code, error.message[:500], error.hint[:500])))
        await socket.close(CLOSE_REFUSED, error.code)
