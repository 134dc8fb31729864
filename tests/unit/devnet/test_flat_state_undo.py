"""The state during an execution: what a failed call has done is undone, and only real differences come out."""

from __future__ import annotations

from eth_hash.auto import keccak
from eth_typing import Address

from tests.support.memory_state import MemoryState
from voisin.chain.devnet.engines.flat_state import FlatState
from voisin.chain.devnet.values import EMPTY_ACCOUNT

A, B = Address(b"\1" * 20), Address(b"\2" * 20)


def before() -> MemoryState:
    state = MemoryState({A: 100})
    state.slots[A, 1] = 11
    return state


def test_what_was_written_since_a_mark_is_undone() -> None:
    flat = FlatState(before())
    flat.set_balance(A, 90)
    flat.set_storage(A, 1, 12)
    mark = flat.record()
    flat.set_balance(A, 80)
    flat.set_balance(B, 10)
    flat.set_storage(A, 1, 13)
    flat.set_storage(A, 2, 14)
    flat.set_code(B, b"code")
    flat.mark_address_warm(B)
    flat.mark_storage_warm(A, 2)
    flat.discard(mark)
    assert (flat.get_balance(A), flat.get_balance(B)) == (90, 0)
    assert (flat.get_storage(A, 1), flat.get_storage(A, 2)) == (12, 0)
    assert not flat.account_exists(B)
    assert not flat.is_address_warm(B)
    assert not flat.is_storage_warm(A, 2)
    changes = flat.changes()
    assert dict(changes.accounts) == {A: EMPTY_ACCOUNT._replace(balance=90)}
    assert dict(changes.slots) == {(A, 1): 12}
    assert dict(changes.codes) == {}


def test_marks_nest() -> None:
    flat = FlatState(before())
    outer = flat.record()
    flat.set_nonce(A, 1)
    inner = flat.record()
    flat.set_nonce(A, 2)
    flat.commit(inner)
    innermost = flat.record()
    flat.increment_nonce(A)
    flat.discard(innermost)
    assert flat.get_nonce(A) == 2
    flat.discard(outer)
    assert flat.get_nonce(A) == 0
    assert dict(flat.changes().accounts) == {}


def test_value_before_the_execution_stays_readable() -> None:
    flat = FlatState(before())
    flat.set_storage(A, 1, 12)
    flat.set_storage(A, 1, 13)
    assert flat.get_storage(A, 1, from_journal=False) == 11
    assert flat.get_storage(A, 2, from_journal=False) == 0


def test_slot_written_back_is_no_change() -> None:
    flat = FlatState(before())
    flat.set_storage(A, 1, 12)
    flat.set_storage(A, 1, 11)
    flat.set_balance(A, 7)
    flat.set_balance(A, 100)
    assert dict(flat.changes().slots) == {}
    assert dict(flat.changes().accounts) == {}


def test_code_comes_out_with_the_account_that_has_it() -> None:
    flat = FlatState(before())
    flat.set_code(B, b"code")
    assert (flat.get_code(B), flat.get_code_hash(B)) == (b"code", keccak(b"code"))
    assert flat.account_has_code_or_nonce(B)
    assert dict(flat.changes().codes) == {keccak(b"code"): b"code"}
    flat.delete_code(B)
    assert dict(flat.changes().codes) == {}


def test_removed_account_leaves_nothing() -> None:
    flat = FlatState(before())
    flat.set_storage(B, 1, 5)
    flat.set_code(B, b"code")
    flat.set_nonce(B, 1)
    flat.delete_account(B)
    assert flat.account_is_empty(B)
    assert dict(flat.changes().accounts) == {}
    assert dict(flat.changes().slots) == {}
