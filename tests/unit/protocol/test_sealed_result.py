"""A result in our own sealed form opens with its reader's key, for its task, unchanged; and in no other way."""

from __future__ import annotations

import hashlib
import io
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voisin.errors import InputError, TrustError
from voisin.protocol.ids import Hash32, TaskId
from voisin.protocol.sealed_result import (
    canonical_reader_key,
    is_reader_key,
    is_sealed_result,
    new_reader_pair,
    open_sealed_result,
    padded_size,
    seal_result,
)
from voisin.protocol.sealing import reader_key

READER, OTHER = new_reader_pair(random.Random(1).randbytes), new_reader_pair(random.Random(2).randbytes)
TASK = TaskId(Hash32("0x" + "11" * 32))
ARCHIVE = b"PK what an app found out " * 40


def sealed(archive: bytes = ARCHIVE) -> bytes:
    target = io.BytesIO()
    seal_result(io.BytesIO(archive), target, READER.public, TASK, random.Random(3).randbytes)
    return target.getvalue()


@pytest.mark.parametrize("size", [0, 1, 7, 1_000, (1 << 20) - 8, 1 << 20, 2_500_000])
def test_what_was_sealed_is_what_is_opened(size: int) -> None:
    archive = random.Random(size).randbytes(size)
    found = sealed(archive)
    assert is_sealed_result(found)
    assert hashlib.sha256(open_sealed_result(found, READER.private, TASK)).digest() == hashlib.sha256(archive).digest()


def test_another_key_or_task_does_not_open_it() -> None:
    for key, task in ((OTHER.private, TASK), (READER.private, TaskId(Hash32("0x" + "12" * 32)))):
        with pytest.raises(TrustError):
            open_sealed_result(sealed(), key, task)


def test_no_byte_of_it_may_differ() -> None:
    whole = sealed(b"PK and little more")
    for at in range(len(whole)):
        changed = bytearray(whole)
        changed[at] ^= 1
        with pytest.raises((TrustError, InputError)):
            open_sealed_result(bytes(changed), READER.private, TASK)


@given(st.integers(0, 1 << 40))
def test_nothing_may_be_cut_off_or_put_behind(cut: int) -> None:
    whole = sealed()
    for changed in (whole[: cut % len(whole)], whole + b"\0" * (1 + cut % 100)):
        with pytest.raises((TrustError, InputError)):
            open_sealed_result(changed, READER.private, TASK)


def test_the_size_is_one_that_many_share() -> None:
    assert len(sealed(bytes(10_000))) == len(sealed(bytes(10_100)))


@given(st.integers(0, 1 << 50))
def test_filling_up_costs_an_eighth_at_most(size: int) -> None:
    filled = padded_size(size)
    assert size <= filled <= size + size // 8 + 1
    assert padded_size(filled) == filled


def test_sizes_of_the_papers_formula() -> None:
    """Worked out by hand: 9 = 1001b keeps 2 bits behind the first of 3, 1000 = 1111101000b keeps 4 of 9."""
    assert [padded_size(size) for size in (0, 1, 2, 9, 10, 1_000, 1_001, 1_024, 1_025)] == [0, 1, 2, 10, 10, 1_024, 1_024, 1_024, 1_088]


@pytest.mark.parametrize("text", ["", "voisin-reader-1:", "voisin-reader-1:AAAA", "voisin-reader-1:!", READER.private])
def test_what_is_no_public_key_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        reader_key(text)
    with pytest.raises(InputError):
        seal_result(io.BytesIO(b"x"), io.BytesIO(), text, TASK, random.Random(3).randbytes)


def test_a_private_key_shows_itself_only_when_asked() -> None:
    assert READER.private not in repr(READER)
    assert is_reader_key(READER.public)
    assert reader_key(f"{READER.public}\n") == canonical_reader_key(READER.public) == READER.public


def test_a_clear_result_and_a_wrong_private_key_are_input_errors() -> None:
    with pytest.raises(InputError, match="no sealed result"):
        open_sealed_result(ARCHIVE, READER.private, TASK)
    with pytest.raises(InputError, match="private key"):
        open_sealed_result(sealed(), READER.public, TASK)
