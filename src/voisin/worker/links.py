"""
A worker's links to all schedulers of its pool: the one that it was told of, and those that this one, or another, tells of.

What is said about a task goes to the scheduler that spoke of it last, or to all of them while that one is away: who does not work on
the task does not mind. Each is told how many slots work for the others.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final, Protocol

import anyio
import structlog
from anyio.abc import TaskGroup

from voisin.errors import InputError
from voisin.protocol.wire import Abort, AskHolding, Challenge, FromPool, FromWorker, Heartbeat, Holding, Release, Schedulers, Welcome
from voisin.worker.link import Greeting, Listener, PoolLink, socket_url

MAX_SCHEDULERS: Final = 16
MAX_ROUTES: Final = 20_000
"""Tasks and deals for which it is remembered who spoke of them."""

log = structlog.get_logger(__name__)


class MakeLink(Protocol):
    """Makes a link to one scheduler."""

    def __call__(self, url: str, greeting: Greeting, listener: Listener, beat: Callable[[], Heartbeat]) -> PoolLink:
        """Make it."""
        ...


@dataclass(eq=False)
class _Line:
    """One link, where its scheduler says that it is, and what ends it."""

    link: PoolLink
    scope: anyio.CancelScope
    told: int = 0
    scheduler: str = ""


class PoolLinks:
    """
    All links of a worker.

    Args:
        home: The address that the worker was told.
        greeting: How the worker presents itself.
        listener: Who is told what happens.
        make: Makes a link.
        busy: Lists the tasks that take the worker's slots.

    Raises:
        InputError: The address is not one.
    """

    def __init__(
        self, home: str, greeting: Greeting, listener: Listener, *, make: MakeLink, busy: Callable[[], Iterable[str]] = tuple
    ) -> None:
        self._greeting = greeting
        self._listener = listener
        self._make = make
        self._busy = busy
        self._tasks: TaskGroup | None = None
        self._home = self._line(home)
        self._others: dict[str, _Line] = {}
        self._known: tuple[str, ...] = ()
        self._routes: OrderedDict[str, _Line] = OrderedDict()

    @property
    def is_up(self) -> bool:
        """Whether any scheduler is there."""
        return any(line.link.is_up for line in self._lines)

    async def run(self) -> None:
        """Keep the links up until cancelled."""
        async with anyio.create_task_group() as self._tasks:
            self._tasks.start_soon(self._keep, self._home)

    def say(self, message: FromWorker) -> None:
        """Tell whom it concerns; what nobody hears is dropped: the next greeting says what counts."""
        route = self._routes.get(_subject(message))
        if route is not None and route.link.is_up:
            route.link.say(message)
            return
        for line in self._lines:
            line.link.say(message)

    def note_work(self) -> None:
        """Tell each scheduler how many slots work for the others, if that has changed."""
        if not self._others:
            return
        for line in self._lines:
            elsewhere = self._elsewhere(line)
            if elsewhere != line.told and line.link.is_up:
                line.told = elsewhere
                line.link.say(Heartbeat(elsewhere))

    async def flush(self) -> None:
        """Wait until everything said so far is on its way."""
        for line in self._lines:
            await line.link.flush()

    @property
    def _lines(self) -> list[_Line]:
        return [self._home, *self._others.values()]

    def _line(self, url: str) -> _Line:
        """Make a link whose news are first looked at here."""
        found: list[_Line] = []

        async def approve(challenge: Challenge, welcome: Welcome | None) -> None:
            """Note who speaks, and who else there is."""
            await self._greeting.approve(challenge, welcome)
            if welcome is not None:
                found[0].scheduler, found[0].told = welcome.scheduler, 0
                self._meet(welcome.schedulers[:MAX_SCHEDULERS])

        async def heard(message: FromPool) -> None:
            """Note who spoke of what."""
            await self._heard(found[0], message)

        greeting = replace(self._greeting, approve=approve)
        listener = replace(self._listener, heard=heard)
        link = self._make(url, greeting, listener, lambda: Heartbeat(self._elsewhere(found[0])))
        found.append(_Line(link, anyio.CancelScope()))
        return found[0]

    async def _keep(self, line: _Line) -> None:
        with line.scope:
            await line.link.run()

    async def _heard(self, line: _Line, message: FromPool) -> None:
        match message:
            case Schedulers(urls):
                self._meet(urls[:MAX_SCHEDULERS])
            case AskHolding():
                line.link.say(Holding(self._greeting.holding()))
                self._listener.asked()
            case _:
                self._route(line, message)
                await self._listener.heard(message)

    def _route(self, line: _Line, message: FromPool) -> None:
        subject = _subject(message)
        if isinstance(message, Abort | Release):
            self._routes.pop(subject, None)
        elif subject:
            self._routes[subject] = line
            self._routes.move_to_end(subject)
            if len(self._routes) > MAX_ROUTES:
                self._routes.popitem(last=False)

    def _elsewhere(self, line: _Line) -> int:
        return sum(1 for subject in self._busy() if (route := self._routes.get(subject)) is not None and route is not line)

    def _meet(self, urls: Iterable[str]) -> None:
        """Open links to schedulers that are new, and end those to schedulers that are gone, or that the first link reaches."""
        self._known = tuple(urls)
        wanted = {url for url in self._known if url != self._home.scheduler}
        for url in set(self._others) - wanted:
            line = self._others.pop(url)
            line.scope.cancel()
        for url in sorted(wanted - set(self._others)):
            self._open(url)

    def _open(self, url: str) -> None:
        try:
            socket_url(url)
        except InputError:
            log.warning("scheduler_has_no_address", url=url[:200])
            return
        if self._tasks is not None:
            line = self._others[url] = self._line(url)
            self._tasks.start_soon(self._keep, line)


def _subject(message: FromPool | FromWorker) -> str:
    """Name the task that a message is about, or else the deal; empty for neither."""
    return str(getattr(message, "task_id", "") or getattr(message, "deal_id", ""))
