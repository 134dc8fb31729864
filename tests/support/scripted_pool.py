"""A pool that does what a test tells it, over a real WebSocket: honest, silent, lying or gone."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TypeVar

import anyio
from msgspec.structs import replace
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from voisin.protocol.api import PoolView
from voisin.protocol.codec import encode
from voisin.protocol.ids import ZERO_ADDRESS, Address, DealId, Hash32, TaskId, task_id
from voisin.protocol.results import sign_authorization
from voisin.protocol.signatures import KeySigner, message_digest, recover_signer
from voisin.protocol.wire import (
    Assign,
    Challenge,
    FromPool,
    FromWorker,
    Heartbeat,
    Hello,
    Progress,
    Refused,
    Takes,
    Welcome,
    decode_from_worker,
    login_message,
)
from voisin.protocol.wire_words import ReplicaStage
from voisin.units import UnixSeconds

M = TypeVar("M", bound=FromWorker)
PATIENCE_S = 120.0


@dataclass
class ScriptedPool:
    """
    One pool and what its workers told it.

    Attributes:
        scheduler: Signs the authorisations.
        workerpool: Its entry.
        hub: The hub it says it works for.
        chain_id: The chain it says it is on.
        storage_url: Where it says storage is.
        heartbeat_s: How often it wants to hear from workers [s].
        refusal: Sent in place of the welcome.
        hellos: Every greeting.
        heard: Everything else but heartbeats and rules, in order.
        heartbeats: How many came.
        takes: What workers said that they take, in order.
    """

    scheduler: KeySigner
    workerpool: Address
    hub: Address
    chain_id: int
    storage_url: str = "http://127.0.0.1:1"
    heartbeat_s: float = 0.05
    refusal: Refused | None = None
    is_mute: bool = False
    port: int = 0
    hellos: list[Hello] = field(default_factory=list)
    heard: list[FromWorker] = field(default_factory=list)
    heartbeats: int = 0
    takes: list[Takes] = field(default_factory=list)
    connections: dict[Address, ServerConnection] = field(default_factory=dict)
    _changed: anyio.Event = field(default_factory=anyio.Event)
    _server: Server | None = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    @asynccontextmanager
    async def open(self) -> AsyncIterator[ScriptedPool]:
        """Listen for workers."""
        await self.start()
        try:
            yield self
        finally:
            await self.stop()

    async def start(self) -> None:
        """Listen, on the same port as the last time."""
        self._server = await serve(self._serve, "127.0.0.1", self.port, process_request=self._answer, compression=None)
        self.port = next(iter(self._server.sockets)).getsockname()[1]

    async def stop(self) -> None:
        """Close every connection and stop listening."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    async def drop(self) -> None:
        """Close every connection, and go on listening."""
        for connection in list(self.connections.values()):
            await connection.close()

    async def say(self, message: FromPool, worker: Address | None = None) -> None:
        """Tell a worker something; the only one unless named."""
        connection = self.connections[worker] if worker else next(iter(self.connections.values()))
        await connection.send(encode(message).decode())

    async def say_raw(self, data: str | bytes) -> None:
        """Tell the only worker anything at all."""
        await next(iter(self.connections.values())).send(data)

    def assignment(self, deal: DealId, index: int, worker: Address, **changes: object) -> Assign:
        """Make an assignment that a worker will accept."""
        name, enclave = task_id(deal, index), Address(str(changes.get("enclave_challenge", ZERO_ADDRESS)))
        assign = Assign(
            deal_id=deal,
            index=index,
            task_id=name,
            enclave_challenge=enclave,
            authorization=sign_authorization(self.scheduler, worker, name, enclave),
            contribution_deadline=UnixSeconds(0),
        )
        return replace(assign, **changes)

    async def assign(self, deal: DealId, index: int, worker: Address, **changes: object) -> TaskId:
        """Give a worker a task; answers its id."""
        assign = self.assignment(deal, index, worker, **changes)
        await self.say(assign, worker)
        return assign.task_id

    # --- waiting ---

    async def until(self, condition: Callable[[], bool], what: str = "what the test waits for") -> None:
        """Wait until something is so."""
        with anyio.move_on_after(PATIENCE_S):
            while not condition():
                await self._changed.wait()
            return
        raise AssertionError(f"{what} did not happen; heard {self.heard[-10:]}")

    async def joined(self, count: int = 1) -> None:
        """Wait until that many greetings were accepted."""
        await self.until(lambda: len(self.hellos) >= count and bool(self.connections), f"greeting {count}")

    async def hear(self, kind: type[M], task: TaskId, count: int = 1) -> M:
        """Wait for the count-th message of a kind about a task."""

        def found() -> list[M]:
            return [message for message in self.heard if isinstance(message, kind) and getattr(message, "task_id", None) == task]

        await self.until(lambda: len(found()) >= count, f"{kind.__name__} of {task}")
        return found()[count - 1]

    async def reaches(self, task: TaskId, stage: ReplicaStage, count: int = 1) -> None:
        """Wait until a worker reports a stage for the count-th time."""

        def found() -> int:
            return sum(isinstance(heard, Progress) and (heard.task_id, heard.stage) == (task, stage) for heard in self.heard)

        await self.until(lambda: found() >= count, f"{stage} of {task}")

    # --- the dialogue ---

    def _answer(self, connection: ServerConnection, request: Request) -> Response | None:
        if request.path != "/v1/pool":
            return None
        view = PoolView(
            workerpool=self.workerpool,
            scheduler=self.scheduler.address,
            hub=self.hub,
            chain_id=self.chain_id,
            storage_url=self.storage_url,
            version="test",
        )
        return connection.respond(HTTPStatus.OK, encode(view).decode())

    async def _serve(self, connection: ServerConnection) -> None:
        if self.is_mute:
            await connection.wait_closed()
            return
        challenge = Challenge(nonce=Hash32("0x" + secrets.token_hex(32)), workerpool=self.workerpool, chain_id=self.chain_id)
        worker = None
        try:
            await connection.send(encode(challenge).decode())
            hello = decode_from_worker(await connection.recv())
            assert isinstance(hello, Hello)
            assert recover_signer(message_digest(login_message(challenge, hello.worker)), hello.signature) == hello.worker
            welcome = Welcome(hub=self.hub, storage_url=self.storage_url, heartbeat_s=self.heartbeat_s)
            await connection.send(encode(self.refusal or welcome).decode())
            if self.refusal is not None:
                return
            worker = hello.worker
            self.connections[worker] = connection
            self.hellos.append(hello)
            self.wake()
            async for data in connection:
                self._note(decode_from_worker(data))
        except ConnectionClosed:
            pass
        finally:
            if worker is not None and self.connections.get(worker) is connection:
                del self.connections[worker]
            self.wake()

    def _note(self, message: FromWorker) -> None:
        if isinstance(message, Heartbeat):
            self.heartbeats += 1
        elif isinstance(message, Takes):
            self.takes.append(message)
        else:
            self.heard.append(message)
        self.wake()

    def wake(self) -> None:
        """Have every waiting test look again."""
        self._changed.set()
        self._changed = anyio.Event()
