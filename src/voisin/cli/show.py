"""How things look on a screen: calm tables, exact amounts, short addresses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from rich.table import Table
from rich.text import Text

from voisin.units import NRLC_PER_RLC, RLC_DECIMALS

WEI_PER_COIN = 10**18
SIMULATED_WORDS = "SIMULATED: it hides nothing from whoever runs the worker"


def short(name: str) -> str:
    """Shorten an address or a hash so that it can still be told apart."""
    return f"{name[:8]}…{name[-4:]}" if len(name) > 16 else name


def money(amount: int) -> str:
    """Write an amount [nRLC] in RLC with all nine decimals, so that columns align and sums can be checked by eye."""
    whole, fraction = divmod(abs(amount), NRLC_PER_RLC)
    return f"{'-' if amount < 0 else ''}{whole:,}.{fraction:0{RLC_DECIMALS}d}"


def coins(wei: int) -> str:
    """Write an amount of native coin [wei] with the decimals that it has."""
    whole, fraction = divmod(wei, WEI_PER_COIN)
    decimals = f"{fraction:018d}".rstrip("0")
    return f"{whole}{'.' + decimals if decimals else ''}"


def moment(unix_s: int) -> str:
    """Write a time in UTC."""
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[str] = ()) -> Table:
    """
    Lay rows out in columns.

    Args:
        title: What the table shows.
        columns: Heads of the columns.
        rows: The cells.
        right: Heads of the columns that hold numbers.
    """
    laid = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in columns:
        laid.add_column(column, justify="right" if column in right else "left", overflow="fold", no_wrap=column in right)
    for row in rows:
        laid.add_row(*(Text(cell) for cell in row))
    return laid


def pairs(rows: Iterable[tuple[str, str]]) -> Table:
    """Lay names and values out in two columns."""
    laid = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    laid.add_column(style="dim", no_wrap=True)
    laid.add_column(overflow="fold")
    for name, value in rows:
        laid.add_row(name, Text(value))
    return laid


def counted(number: int, one: str, many: str = "") -> str:
    """Write a number with its noun, for example `1 task`, `24 tasks`."""
    return f"{number} {one if number == 1 else many or one + 's'}"
