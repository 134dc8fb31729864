"""The hours of a week in which a worker works, in local time."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from voisin.errors import InputError

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
GROUPS: Mapping[str, tuple[str, ...]] = {"every": DAYS, "weekdays": DAYS[:5], "weekend": DAYS[5:]}
"""Words for several days; a word for fewer days comes before one for more."""
DAY_MIN = 24 * 60
WEEK_MIN = 7 * DAY_MIN
_SPAN = re.compile(r"(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Week:
    """Spans of minutes after Monday 00:00, each begun before the week ends; one that ends later goes on on Monday."""

    spans: tuple[tuple[int, int], ...]

    def is_open(self, local: datetime) -> bool:
        """Tell whether a moment of local time lies in one of the spans; their ends do not count."""
        minute = local.weekday() * DAY_MIN + local.hour * 60 + local.minute
        return any(begin <= at < end for begin, end in self.spans for at in (minute, minute + WEEK_MIN))


def week_of(named: Mapping[str, Sequence[str]]) -> Week:
    """
    Lay out a week.

    Args:
        named: For days, and words for several days, spans such as `20:00-07:00`; one that ends before it begins goes on over midnight,
            and a day that is not named has none.

    Raises:
        InputError: A span is none.
    """
    spans = []
    for number, day in enumerate(DAYS):
        words = [day, *(group for group in ("weekend", "weekdays", "every") if day in GROUPS[group])]
        chosen = next((named[word] for word in words if word in named), ())
        spans += [(number * DAY_MIN + begin, number * DAY_MIN + end) for begin, end in map(_span, chosen)]
    return Week(tuple(spans))


def _span(text: str) -> tuple[int, int]:
    match = _SPAN.fullmatch(text.strip())
    numbers = [int(part) for part in match.groups()] if match else [99] * 4
    begin, end = numbers[0] * 60 + numbers[1], numbers[2] * 60 + numbers[3]
    if max(begin, end) > DAY_MIN or numbers[1] > 59 or numbers[3] > 59 or begin == end:
        raise InputError(f"{text!r} is not a span of hours", hint="write for example 20:00-07:00")
    return begin, end if end > begin else end + DAY_MIN
