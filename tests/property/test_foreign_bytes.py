"""Whatever strangers make of orders, parameters, archives and messages is read or refused, and breaks nothing (`make fuzz` goes on)."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.foreign import mutant, readers, try_one
from tests.support.nights import examples

SEEDS = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize("name", sorted(readers()))
def test_samples_are_taken(name: str) -> None:
    """Else nothing behind the first check would be reached."""
    assert try_one(readers()[name], readers()[name].samples[0])


@pytest.mark.parametrize("name", sorted(readers()))
def test_nothing_breaks_it(name: str) -> None:
    reader = readers()[name]

    @settings(max_examples=examples(20))
    @given(SEEDS)
    def read(seed: int) -> None:
        dice = Random(seed)
        for _ in range(3):
            try_one(reader, mutant(dice, reader.samples))

    read()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("bags", b'{"tasks":[{"args":["\xff"]}]}'),
        ("links", b'{"storage":"ipfs","location":"/ipfs/\xf7"}'),
        ("computed files", b'{"callback-data":"\xdb"}'),
        ("params", b"--name \xff"),
        ("params", b'{"iexec_args":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001),
        ("words of workers", b'{"type":' + b"[" * 2_000),
        ("orders", b'{"app":' + b"[" * 2_000),
    ],
)
def test_what_once_broke_it_is_refused(name: str, data: bytes) -> None:
    assert not try_one(readers()[name], data)
