"""
The rules of a worker's owner: a small TOML file, read again when it changes. All of it may be left out.

    cores = 2                       # tasks at a time
    memory = "2 GiB"                # for all of them together; disk likewise
    min_price = "0.001 RLC"         # for a task; min_price_per_hour for an hour of its category
    max_load = 1.5                  # take nothing while others load the machine more than this
    idle = "10 min"                 # take nothing until nobody has typed for so long, where that can be known

    [hours]                         # local time; take nothing outside of these
    weekdays = "20:00-07:00"
    weekend = "00:00-24:00"

    [apps]                          # addresses, or hashes of the code
    allow = []
    deny = []

    [requesters]
    deny = []
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from voisin.errors import InputError
from voisin.protocol.ids import as_address, as_hash32
from voisin.units import NRLC, parse_amount
from voisin.worker.life.hours import DAYS, GROUPS, Week, week_of

T = TypeVar("T")
MAX_NAMES = 500
"""Apps and requesters that one list may name: all have to fit into a message to the pool."""
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(MiB|GiB|MB|GB)", re.ASCII)
_UNITS = {"MiB": 2**20, "GiB": 2**30, "MB": 10**6, "GB": 10**9}
_TIME = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|h)", re.ASCII)
_SECONDS = {"s": 1, "min": 60, "h": 3600}


class RulesError(InputError):
    """The owner's rules cannot be followed; the message names file and line, the hint says what to write."""

    code = "bad-rules"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """
    What a worker's owner wants.

    Attributes:
        cores: Tasks at a time; None for what the worker was started with.
        memory_bytes: Memory for all of them together; None likewise.
        disk_bytes: Disk for all of them together; None likewise.
        min_price: The least that the pool is paid for a task [nRLC].
        min_price_per_hour: The least that the pool is paid for an hour of the task's category [nRLC].
        max_load: Load by others above which nothing is taken; None for any.
        idle_s: How long nobody must have typed [s]; None for no matter.
        week: When the worker works; None for always.
        allowed_apps: Addresses and hashes of code that alone are run; empty for any.
        denied_apps: Addresses and hashes of code that are not run.
        denied_requesters: Whose deals are not worked for.
    """

    cores: int | None = None
    memory_bytes: int | None = None
    disk_bytes: int | None = None
    min_price: NRLC = NRLC(0)
    min_price_per_hour: NRLC = NRLC(0)
    max_load: float | None = None
    idle_s: float | None = None
    week: Week | None = None
    allowed_apps: tuple[str, ...] = ()
    denied_apps: tuple[str, ...] = ()
    denied_requesters: tuple[str, ...] = ()


def read_rules(text: str, name: str) -> Rules:
    """
    Read rules.

    Args:
        text: The file's text.
        name: How messages call the file.

    Raises:
        RulesError: It is no TOML, or a rule is unknown or makes no sense.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"line (\d+)", str(error))
        where = f"{name}, line {found[1]}" if found else f"{name}, last line"
        raise RulesError(f"{where}: this is no TOML: {str(error).split(' (at')[0].lower()}", hint=_QUOTES) from None
    return _Reader(text, name, document).rules()


_QUOTES = 'write each rule as name = value, and words in quotation marks, for example min_price = "0.001 RLC"'


class _Reader:
    """One file under way."""

    def __init__(self, text: str, name: str, document: Mapping[str, object]) -> None:
        self._lines = text.splitlines()
        self._name = name
        self._document = document

    def rules(self) -> Rules:
        plain = ("cores", "memory", "disk", "min_price", "min_price_per_hour", "max_load", "idle")
        self._only("", {*plain, "hours", "apps", "requesters"})
        self._only("apps", {"allow", "deny"})
        self._only("requesters", {"deny"})
        self._only("hours", {*DAYS, *GROUPS})
        return Rules(
            cores=self._take("", "cores", _cores),
            memory_bytes=self._take("", "memory", _size),
            disk_bytes=self._take("", "disk", _size),
            min_price=self._take("", "min_price", _amount) or NRLC(0),
            min_price_per_hour=self._take("", "min_price_per_hour", _amount) or NRLC(0),
            max_load=self._take("", "max_load", _load),
            idle_s=self._take("", "idle", _time),
            week=self._week(),
            allowed_apps=self._take("apps", "allow", _apps) or (),
            denied_apps=self._take("apps", "deny", _apps) or (),
            denied_requesters=self._take("requesters", "deny", _requesters) or (),
        )

    def _week(self) -> Week | None:
        if "hours" not in self._document:
            return None
        named = {word: self._take("hours", word, _spans) or () for word in self._table("hours")}
        return week_of(named)

    def _table(self, table: str) -> Mapping[str, object]:
        found = self._document.get(table, {}) if table else self._document
        if not isinstance(found, Mapping):
            raise self._error("", table, "it is a table", f"write [{table}] on a line of its own, and its rules below it")
        return found

    def _only(self, table: str, known: set[str]) -> None:
        for key in self._table(table):
            if key not in known:
                raise self._error(table, key, "there is no such rule", f"the rules here are {', '.join(sorted(known))}")

    def _take(self, table: str, key: str, read: Callable[[object], T]) -> T | None:
        found = self._table(table)
        if key not in found:
            return None
        try:
            return read(found[key])
        except InputError as error:
            raise self._error(table, key, error.message, error.hint) from None

    def _error(self, table: str, key: str, problem: str, hint: str) -> RulesError:
        named = f"{table}.{key}" if table else key
        return RulesError(f"{self._name}, line {self._line_of(table, key)}: {named}: {problem}", hint=hint)

    def _line_of(self, table: str, key: str) -> int:
        """Find the line in which a rule stands, or its table."""
        here = ""
        for number, line in enumerate(self._lines, 1):
            if head := re.match(r"\s*\[\s*([\w.\"'-]+)\s*\]", line):
                here = head[1].strip("\"'")
                if not table and here == key:
                    return number
            path = key if here == table else f"{table}.{key}" if table and not here else ""
            if path and re.match(rf"\s*[\"']?{re.escape(path)}[\"']?\s*[.=]", line):
                return number
        return 1


def _cores(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 1024:
        raise InputError(f"{value!r} is no number of tasks", hint="write a whole number from 1 to 1024, for example cores = 2")
    return value


def _size(value: object) -> int:
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    size = int(float(match[1]) * _UNITS[match[2]]) if match else 0
    if size <= 0:
        raise InputError(f"{value!r} is no size", hint='write for example "512 MiB" or "2 GiB"')
    return size


def _time(value: object) -> float:
    match = _TIME.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise InputError(f"{value!r} is no length of time", hint='write for example "90 s", "10 min" or "1 h"')
    return float(match[1]) * _SECONDS[match[2]]


def _amount(value: object) -> NRLC:
    if not isinstance(value, str):
        raise InputError(f"{value!r} is no amount", hint='write it in quotation marks, for example "0.001 RLC"')
    return parse_amount(value)


def _load(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < 1e6:
        raise InputError(f"{value!r} is no load", hint="write a number above 0, for example max_load = 1.5")
    return float(value)


def _texts(value: object, hint: str) -> tuple[str, ...]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(each, str) for each in texts):
        raise InputError(f"{value!r} is no list of words", hint=hint)
    if len(texts) > MAX_NAMES:
        raise InputError(f"{len(texts)} are too many", hint=f"name at most {MAX_NAMES}")
    return tuple(texts)


def _spans(value: object) -> tuple[str, ...]:
    hint = 'write for example "20:00-07:00", or a list of such'
    spans = _texts(value, hint)
    week_of({"every": spans})
    return spans


def _apps(value: object) -> tuple[str, ...]:
    hint = "name apps by their address (0x and 40 hex digits), or their code by its hash (0x and 64)"
    return tuple(str(as_hash32(text) if len(text) > 42 else as_address(text)) for text in _texts(value, hint))


def _requesters(value: object) -> tuple[str, ...]:
    return tuple(as_address(text) for text in _texts(value, "name requesters by their address, in quotation marks"))
