"""What is kept about code, and how much of it is translated, has limits that no code can pass."""

from __future__ import annotations

from voisin.chain.devnet.engines.hashing import keccak
from voisin.chain.devnet.engines.jit import CodeBook
from voisin.chain.devnet.engines.jit.code import Code
from voisin.chain.devnet.engines.jit.frame import ENDED, Frame


def trace(frame: Frame) -> int:
    return ENDED


def find(book: CodeBook, raw: bytes) -> Code:
    return book.find(keccak(raw), lambda _: raw)


def test_place_is_hot_when_it_was_entered_often_enough() -> None:
    book = CodeBook(entries_until_hot=3)
    code = find(book, b"\x5b\x5b")
    assert [book.is_hot(code, 0) for _ in range(4)] == [False, False, True, True]
    assert not book.is_hot(code, 1)


def test_budget_that_is_spent_is_earned_back_by_cold_code() -> None:
    book = CodeBook(entries_until_hot=1, budget=10)
    code = find(book, b"\x5b")
    assert book.is_hot(code, 0)
    book.keep(code, 0, trace, length=50)
    answers = [book.is_hot(code, 1) for _ in range(200)]
    assert answers.index(True) == 160, "40 instructions too many, four entries earn one"


def test_without_a_budget_nothing_is_translated() -> None:
    book = CodeBook(entries_until_hot=1, budget=0)
    code = find(book, b"\x5b")
    assert not any(book.is_hot(code, 0) for _ in range(1_000))


def test_traces_of_the_oldest_code_make_room() -> None:
    book = CodeBook(budget=float("inf"))
    codes = [find(book, bytes([number])) for number in range(1, 17)]
    for code in codes:
        book.keep(code, 0, trace, length=10_000)
    assert [bool(code.traces) for code in codes] == [False] * 9 + [True] * 7


def test_codes_are_forgotten_when_they_are_many() -> None:
    book = CodeBook()
    first = find(book, b"\x01")
    assert find(book, b"\x01") is first
    for number in range(600):
        find(book, number.to_bytes(3, "big"))
    assert find(book, b"\x01") is not first


def test_entries_are_counted_for_so_many_places_at_a_time() -> None:
    book = CodeBook()
    code = find(book, b"\x5b" * 20_000)
    for place in range(20_000):
        book.is_hot(code, place)
    assert len(code.entries) <= 1_000
