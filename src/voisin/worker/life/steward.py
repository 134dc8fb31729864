"""
Keeps to what the owner wants: the rules in their file, the hours, the use of the machine by others, and pause or leave as told.

What comes of it is one `Takes`: what the worker takes from now on. The steward says it whenever it changes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path

import anyio
import structlog

from voisin.errors import StateError
from voisin.protocol.wire import Takes
from voisin.worker.life.machine_use import MachineUse
from voisin.worker.life.rules import Rules, RulesError, read_rules
from voisin.worker.life.words import Stance
from voisin.worker.settings import WorkerSettings

RULES_FILE, PAUSE_FILE = "rules.toml", "paused"
CALM = 0.75
"""A machine that was loaded too much is used again when the load is below this part of the limit."""
MAX_RULES_BYTES = 1 << 18

log = structlog.get_logger(__name__)


class Steward:
    """
    A worker's steward.

    Args:
        settings: What the worker can do.
        use: Whether somebody else uses the machine.
        local: Tells the local time.
    """

    def __init__(
        self, settings: WorkerSettings, use: MachineUse, *, local: Callable[[], datetime] = lambda: datetime.now().astimezone()
    ) -> None:
        self._settings = settings
        self._use = use
        self._local = local
        self._pause_file = settings.folder / PAUSE_FILE
        self._seen: tuple[int, int, int] | None = None
        self._rules = Rules()
        self._is_loaded = False
        self._running = 0
        self._changed = anyio.Event()
        self.rules_file = settings.rules or settings.folder / RULES_FILE
        self.rules_trouble = ""
        self.stance = Stance.PAUSED if self._pause_file.exists() else Stance.WORKING
        self.is_urgent = False
        self.takes = self._judge(0)

    def check(self) -> None:
        """
        Read the rules for the first time.

        Raises:
            RulesError: They cannot be followed.
        """
        self._read()
        if self.rules_trouble:
            message, _, hint = self.rules_trouble.partition("; ")
            raise RulesError(message, hint=hint)
        self.takes = self._judge(0)

    async def mind(self, running: Callable[[], int], tell: Callable[[Takes, bool], Awaitable[None]]) -> None:
        """
        Look again and again, and say what changes; the first time in any case.

        Args:
            running: Says how many of the worker's apps run now.
            tell: Told what the worker takes from now on, and whether what runs is to be handed back.
        """
        said: tuple[Takes, bool] | None = None
        while True:
            self._changed = anyio.Event()
            await anyio.to_thread.run_sync(self._read)
            self._running = running()
            self.takes = self._judge(self._running)
            if (self.takes, self.is_urgent) != said:
                said = self.takes, self.is_urgent
                log.info("worker_takes", slots=self.takes.slots, why=self.takes.why)
                await tell(*said)
            with anyio.move_on_after(self._settings.rules_s):
                await self._changed.wait()

    def pause(self, *, is_urgent: bool) -> None:
        """
        Take nothing new, also after a restart.

        Raises:
            StateError: The worker is leaving.
        """
        self._set(Stance.PAUSED, is_urgent=is_urgent)
        self._pause_file.touch(mode=0o600)

    def resume(self) -> None:
        """
        Go on.

        Raises:
            StateError: The worker is leaving.
        """
        self._set(Stance.WORKING, is_urgent=False)
        self._pause_file.unlink(missing_ok=True)

    def leave(self, *, is_urgent: bool) -> None:
        """Take nothing new until the worker stops; the next time it starts, it works."""
        self._pause_file.unlink(missing_ok=True)
        self._stand(Stance.LEAVING, is_urgent=is_urgent or self.is_urgent)

    def _set(self, stance: Stance, *, is_urgent: bool) -> None:
        if self.stance in (Stance.LEAVING, Stance.LEFT):
            raise StateError("the worker is leaving", hint="wait until it is gone, and join again")
        self._stand(stance, is_urgent=is_urgent)

    def _stand(self, stance: Stance, *, is_urgent: bool) -> None:
        self.stance, self.is_urgent = stance, is_urgent
        self.takes = self._judge(self._running)
        self._changed.set()

    # --- what follows from all of it ---

    def _judge(self, running: int) -> Takes:
        rules, settings = self._rules, self._settings
        why = self._why_closed(running)
        return Takes(
            slots=0 if why else min(settings.slots, rules.cores or settings.slots),
            memory_bytes=min(settings.memory_bytes, rules.memory_bytes or settings.memory_bytes),
            disk_bytes=min(settings.disk_bytes, rules.disk_bytes or settings.disk_bytes),
            why=why,
            min_price=max(settings.min_price, rules.min_price),
            min_price_per_hour=rules.min_price_per_hour,
            allowed_apps=rules.allowed_apps,
            denied_apps=rules.denied_apps,
            denied_requesters=rules.denied_requesters,
        )

    def _why_closed(self, running: int) -> str:
        if self.stance is Stance.PAUSED:
            return "its owner has paused it"
        if self.stance is not Stance.WORKING:
            return "it is leaving"
        if self._rules.week is not None and not self._rules.week.is_open(self._local()):
            return "outside of its hours"
        return self._why_in_use(running)

    def _why_in_use(self, running: int) -> str:
        limit = self._rules.max_load
        if limit is not None:
            others = max(0.0, self._use.load() - running)
            self._is_loaded = others > (limit * CALM if self._is_loaded else limit)
            if self._is_loaded:
                return f"others load its machine more than {limit:g}"
        idle_s = self._use.idle_s() if self._rules.idle_s is not None else None
        if idle_s is not None and self._rules.idle_s is not None and idle_s < self._rules.idle_s:
            return "somebody uses its machine"
        return ""

    def _read(self) -> None:
        """Read the rules if their file has changed; rules that cannot be followed leave those before in force."""
        try:
            found = self.rules_file.stat()
        except OSError:
            self._rules, self.rules_trouble, self._seen = Rules(), "", None
            return
        seen = found.st_mtime_ns, found.st_size, found.st_ino
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self._rules, self.rules_trouble = read_rules(_text(self.rules_file), self.rules_file.name), ""
            log.info("rules_read", file=str(self.rules_file))
        except RulesError as error:
            self.rules_trouble = f"{error.message}; {error.hint}"
            log.error("rules_not_followed", file=str(self.rules_file), error=error.message, hint=error.hint)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(MAX_RULES_BYTES).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise RulesError(f"{path.name}, line 1: the file cannot be read: {error}", hint="it is text in UTF-8 that you may read") from None
