"""Amounts of money keep every nRLC, in both directions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voisin.errors import InputError
from voisin.units import NRLC, format_amount, parse_amount


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("1", 1_000_000_000),
        ("1 RLC", 1_000_000_000),
        ("0.000000001", 1),
        ("0.1rlc", 100_000_000),
        ("  12.50 RLC ", 12_500_000_000),
        ("7 nRLC", 7),
        ("1.0 nrlc", 1),
        ("87000000", 87_000_000_000_000_000),
        ("0", 0),
    ],
)
def test_reads_amounts_exactly(text: str, amount: int) -> None:
    assert parse_amount(text) == amount


@pytest.mark.parametrize("text", ["", "-1", "1,5", "1e9", "one", "1 ETH", ".5", "1.", "1.0000000001", "0.5 nRLC", "٣", "0x10", "1 RLC RLC"])
def test_refuses_what_is_no_amount(text: str) -> None:
    with pytest.raises(InputError):
        parse_amount(text)


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "0 RLC"), (1, "0.000000001 RLC"), (1_500_000_000, "1.5 RLC"), (-1_000_000_001, "-1.000000001 RLC"), (10**18, "1000000000 RLC")],
)
def test_writes_amounts_exactly(amount: int, text: str) -> None:
    assert format_amount(NRLC(amount)) == text


@given(st.integers(0, 2**256 - 1))
def test_writing_and_reading_loses_nothing(amount: int) -> None:
    assert parse_amount(format_amount(NRLC(amount))) == amount
