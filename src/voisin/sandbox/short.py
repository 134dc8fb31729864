"""Series of short runs as they are asked for, and their ends as they are believed: nothing that can be checked is taken on trust."""

from __future__ import annotations

from voisin.errors import InputError
from voisin.sandbox.folders import MAX_TEXT_BYTES
from voisin.sandbox.job import Cause, Limits, Outcome, Series, ShortRun, Turn
from voisin.sandbox.wire import SHORT_BYTES, Ran, Run, RunSeries, Short, one_line

_CAUSES = frozenset(("", *Cause))


def ask_series(shared: Run, turns: tuple[Turn, ...]) -> RunSeries:
    """Write a series as its process is asked for it."""
    return RunSeries(vars(shared), tuple((turn.args, dict(turn.env), turn.seed.hex()) for turn in turns))


def check_turns(series: Series) -> None:
    """
    Refuse a series that cannot be run as it is.

    Args:
        series: The series; what its runs have in common is checked as for one alone.

    Raises:
        InputError: It has no run, or a run has too much text, or text that no guest can be given.
    """
    if not series.turns:
        raise InputError("the series has no run", hint="give at least one")
    for turn in series.turns:
        texts = [*turn.args, *turn.env, *turn.env.values()]
        if any("\0" in text for text in texts) or any("=" in name or not name for name in turn.env):
            raise InputError("an argument or variable holds a NUL character or a bad name", hint="remove it")
        if sum(len(text) for text in texts) * 4 + len(turn.seed) > MAX_TEXT_BYTES:
            raise InputError("arguments and variables of a short run are too large", hint="run the job alone")


def read_series(ran: Ran, series: Series) -> list[ShortRun] | None:
    """
    Read how the runs of a series ended.

    Args:
        ran: What the process says.
        series: What it was asked for.

    Returns:
        The runs that have ended; None when what it says makes no sense.
    """
    limits = series.job.limits
    if not 0 < len(ran.runs) <= len(series.turns) or not all(_makes_sense(short, limits) for short in ran.runs):
        return None
    if any(_is_wall(short) for short in ran.runs[:-1]):
        return None
    each_s = max(ran.took_s, 0.0) / len(ran.runs)
    return [_read(short, each_s) for short in ran.runs]


def hit_a_wall(runs: list[ShortRun]) -> bool:
    """Tell whether a run failed in a way after which its process is not lent to the next."""
    return runs[-1].outcome.cause not in (None, Cause.EXIT_CODE)


def _is_wall(short: Short) -> bool:
    return short.cause not in ("", Cause.EXIT_CODE)


def _makes_sense(short: Short, limits: Limits) -> bool:
    size = sum(map(len, short.files.values()))
    return (
        short.cause in _CAUSES
        and 0 <= short.instructions <= limits.instructions
        and max(len(short.stdout), len(short.stderr)) <= limits.log_bytes
        and size <= min(SHORT_BYTES, limits.output_bytes)
        and len(short.files) <= short.entries <= limits.output_files
        and not (short.files and (short.cause or not short.is_whole))
    )


def _read(short: Short, wall_s: float) -> ShortRun:
    outcome = Outcome(
        cause=Cause(short.cause) if short.cause else None,
        exit_code=short.exit_code,
        detail=one_line(short.detail),
        instructions=short.instructions,
        wall_s=wall_s,
        peak_memory_bytes=short.peak_memory_bytes if short.peak_memory_bytes >= 0 else None,
        stdout=short.stdout,
        stderr=short.stderr,
        output_bytes=sum(map(len, short.files.values())),
        output_files=short.entries,
    )
    return ShortRun(outcome=outcome, files=short.files, is_whole=short.is_whole)
