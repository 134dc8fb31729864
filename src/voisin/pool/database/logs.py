"""
What apps print: taken in as workers send it, kept for some days for the requester, told live to whoever follows a task.

Of each stream the end is kept. A worker that starts a task anew begins its streams anew. Nothing here says who may read.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final, Protocol

import anyio
from anyio.streams.memory import MemoryObjectSendStream

from voisin.protocol.ids import Address, Hash32, TaskId
from voisin.protocol.wire import Printed
from voisin.protocol.wire_words import Stream
from voisin.units import UnixSeconds

WAITING_LINES: Final = 1_000
"""Pieces that may wait for somebody who follows a task and does not read; then the line is cut."""
LOOK_S: Final = 1.0
"""How often somebody who follows a silent task is told whether it still runs [s]."""

_UNKNOWN = UnixSeconds(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class AppLog:
    """
    What an app printed on one worker.

    Attributes:
        task_id: The task.
        worker: The worker.
        stdout: The end of what it printed.
        stderr: The same for standard error.
        stdout_end: How much it printed in all [characters].
        stderr_end: The same for standard error.
        expires_at: From when it may be forgotten [Unix s].
    """

    task_id: TaskId
    worker: Address
    stdout: str = ""
    stderr: str = ""
    stdout_end: int = 0
    stderr_end: int = 0
    expires_at: UnixSeconds = _UNKNOWN


@dataclass(frozen=True, slots=True)
class Piece:
    """Something that an app printed just now; `start` is where in the stream [characters]."""

    worker: Address
    stream: Stream
    start: int
    text: str


class LogStore(Protocol):
    """Where logs are kept."""

    async def save_logs(self, logs: Iterable[AppLog]) -> None:
        """Keep logs, in place of those of the same task and worker."""
        ...

    async def logs(self, task_id: TaskId) -> list[AppLog]:
        """List what was printed for a task, by worker."""
        ...

    async def use_nonce(self, signer: Address, nonce: Hash32, until: UnixSeconds) -> bool:
        """Remember a signature's nonce; False when it was used before."""
        ...

    async def forget_logs(self, now: UnixSeconds) -> None:
        """Forget logs that have expired, and nonces of signatures that count no more."""
        ...


class LogBook:
    """The logs of a pool's tasks."""

    def __init__(self, store: LogStore, *, log_chars: int) -> None:
        """
        Args:
            store: Where they are kept.
            log_chars: What is kept of each stream [characters].
        """
        self._store = store
        self._log_chars = log_chars
        self._live: dict[tuple[TaskId, Address], AppLog] = {}
        self._unsaved: set[tuple[TaskId, Address]] = set()
        self._followers: dict[TaskId, set[MemoryObjectSendStream[Piece]]] = {}

    def take(self, worker: Address, printed: Printed, expires_at: UnixSeconds) -> None:
        """
        Take in what an app printed.

        Args:
            worker: Who says so.
            printed: What it says.
            expires_at: From when it may be forgotten [Unix s].
        """
        key = (printed.task_id, worker)
        log = replace(self._live.get(key) or AppLog(task_id=printed.task_id, worker=worker), expires_at=expires_at)
        before, end = (log.stdout, log.stdout_end) if printed.stream is Stream.STDOUT else (log.stderr, log.stderr_end)
        if printed.start == 0:
            before, end = "", 0
        text = printed.text[max(0, end - printed.start) :].replace("\0", "\N{SYMBOL FOR NULL}")  # PostgreSQL keeps no NUL
        if not text and printed.start:
            return
        after, end = (before + text)[max(0, len(before) + len(text) - self._log_chars) :], max(end, printed.start) + len(text)
        kept = {"stdout": after, "stdout_end": end} if printed.stream is Stream.STDOUT else {"stderr": after, "stderr_end": end}
        self._live[key] = replace(log, **kept)  # type: ignore[arg-type]
        self._unsaved.add(key)
        self._tell(printed.task_id, Piece(worker, printed.stream, end - len(text), text))

    async def read(self, task_id: TaskId) -> list[AppLog]:
        """List what was printed for a task, by worker."""
        kept = {log.worker: log for log in await self._store.logs(task_id)}
        kept |= {worker: log for (task, worker), log in self._live.items() if task == task_id}
        return [kept[worker] for worker in sorted(kept)]

    async def save(self, is_open: Callable[[TaskId], bool]) -> None:
        """
        Write what changed, and forget here what belongs to tasks that are over.

        Args:
            is_open: Tells whether a task is not at an end.
        """
        keys, self._unsaved = self._unsaved, set()
        if keys:
            await self._store.save_logs([self._live[key] for key in sorted(keys)])
        for key in [key for key in self._live if not is_open(key[0]) and key not in self._unsaved]:
            del self._live[key]

    async def follow(self, task_id: TaskId, is_open: Callable[[TaskId], bool]) -> AsyncIterator[Piece | None]:
        """
        Tell what is printed for a task, from its beginning as far as it is kept, until it is over; None when nothing was, for a while.

        Args:
            task_id: The task.
            is_open: Tells whether a task is not at an end.
        """
        send, receive = anyio.create_memory_object_stream[Piece](WAITING_LINES)
        self._followers.setdefault(task_id, set()).add(send)
        try:
            told: dict[tuple[Address, Stream], int] = {}
            for log in await self.read(task_id):
                for stream, text, end in ((Stream.STDOUT, log.stdout, log.stdout_end), (Stream.STDERR, log.stderr, log.stderr_end)):
                    told[log.worker, stream] = end
                    if text:
                        yield Piece(log.worker, stream, end - len(text), text)
            while True:
                piece = None
                with anyio.move_on_after(LOOK_S):
                    piece = await receive.receive()
                if piece is None and not is_open(task_id):
                    return
                if piece is None or (piece.start == 0 or piece.start >= told.get((piece.worker, piece.stream), 0)):
                    yield piece
        except anyio.EndOfStream:
            return
        finally:
            self._drop(task_id, send)
            receive.close()

    def _tell(self, task_id: TaskId, piece: Piece) -> None:
        for follower in list(self._followers.get(task_id, ())):
            try:
                follower.send_nowait(piece)
            except anyio.WouldBlock:
                self._drop(task_id, follower)

    def _drop(self, task_id: TaskId, follower: MemoryObjectSendStream[Piece]) -> None:
        follower.close()
        followers = self._followers.get(task_id, set())
        followers.discard(follower)
        if not followers:
            self._followers.pop(task_id, None)
