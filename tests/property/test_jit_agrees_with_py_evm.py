"""
Our engine on programs of any shape: cold, hot, and with gas that ends anywhere, it does exactly what py-evm does.

Programs are made of snippets that mostly leave the stack as they need it, in blocks that jump to each other, so that traces have
loops, ways out, known and unknown memory, and calls in them. What fails is compared as much as what succeeds.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.memory_state import MemoryState
from tests.support.nights import examples
from voisin.chain.devnet.engines.engine import BlockContext, Outcome
from voisin.chain.devnet.engines.hashing import keccak
from voisin.chain.devnet.engines.jit import CodeBook, JitEngine
from voisin.chain.devnet.engines.jit.code import Code
from voisin.chain.devnet.engines.pyevm import PyEvmEngine
from voisin.chain.devnet.values import Account, Transaction

SENDER = b"\xa1" * 20
CONTRACTS = [bytes([0xC0 + place]) * 20 for place in range(3)]
CALLABLE = [*CONTRACTS, b"\xbb" * 20, *(number.to_bytes(20, "big") for number in (1, 2, 3, 4, 5, 6, 9))]
GWEI, COIN = 10**9, 10**18
LIMIT = 200_000

EDGES = (0, 1, 2, 31, 32, 33, 255, 256, 2**32, 2**160 - 1, 2**255 - 1, 2**255, 2**256 - 32, 2**256 - 1)
NUMBERS = st.sampled_from(EDGES) | st.integers(0, 70) | st.integers(0, 2**256 - 1)
OFFSETS = st.sampled_from((0, 1, 31, 32, 33, 64, 100, 300))
SLOTS = st.integers(0, 2)


def push(number: int) -> bytes:
    """The shortest PUSH of a number."""
    data = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return bytes([0x5F + len(data)]) + data


@st.composite
def operation(draw: st.DrawFn, opcodes: bytes, operands: tuple[st.SearchStrategy[int], ...]) -> bytes:
    """An instruction with its operands pushed before it, or taken from wherever they are."""
    opcode = bytes([draw(st.sampled_from(opcodes))])
    if draw(st.integers(0, 3)) == 0:
        return opcode
    return b"".join(push(draw(operand)) for operand in reversed(operands)) + opcode


@st.composite
def message(draw: st.DrawFn) -> bytes:
    """A call of another contract, an account or a precompile."""
    opcode = draw(st.sampled_from((0xF1, 0xF2, 0xF4, 0xFA)))
    windows = b"".join(push(draw(OFFSETS)) for _ in range(4))
    value = push(draw(st.sampled_from((0, 0, 1, 10**30)))) if opcode in (0xF1, 0xF2) else b""
    gas = draw(st.sampled_from((b"\x5a", push(0), push(3_000), push(60_000))))
    return windows + value + push(int.from_bytes(draw(st.sampled_from(CALLABLE)), "big")) + gas + bytes([opcode])


Jump = tuple[int, int]
"""JUMP or JUMPI, and the block that it goes to."""
SNIPPETS: st.SearchStrategy[bytes | Jump] = st.one_of(
    NUMBERS.map(push),
    operation(bytes.fromhex("0102030405060708090a0b101112131415161718191a1b1c1d"), (NUMBERS, NUMBERS, NUMBERS)),
    st.sampled_from([bytes([opcode]) for opcode in (*range(0x80, 0x86), *range(0x90, 0x95), 0x50)]),
    operation(bytes.fromhex("5152535152"), (OFFSETS, NUMBERS)),
    operation(bytes.fromhex("20a0a1"), (OFFSETS, OFFSETS, NUMBERS)),
    operation(bytes.fromhex("54555c5d5555"), (SLOTS, st.integers(0, 2))),
    operation(bytes.fromhex("37393e5e5e"), (OFFSETS, OFFSETS, OFFSETS)),
    operation(bytes.fromhex("31353b3f4049"), (NUMBERS | st.sampled_from([int.from_bytes(one, "big") for one in CALLABLE]),)),
    st.sampled_from([bytes([opcode]) for opcode in bytes.fromhex("3032333436383a3d41424344454647484a58595a")]),
    message(),
    operation(bytes.fromhex("f0f5"), (st.sampled_from((0, 1)), OFFSETS, OFFSETS, SLOTS)),
    operation(bytes.fromhex("f3fd00fefff3"), (OFFSETS, OFFSETS)),
    st.tuples(st.sampled_from((0x56, 0x57, 0x57)), st.integers(0, 3)),
)
BLOCKS = st.lists(st.lists(SNIPPETS, max_size=14), min_size=1, max_size=4)


def link(blocks: list[list[bytes | Jump]]) -> bytes:
    """Code of blocks that each begin with JUMPDEST; behind them, one that stops."""
    places, place = [], 12 * 2
    for block in [*blocks, []]:
        places.append(place)
        place += 1 + sum(len(one) if isinstance(one, bytes) else 4 for one in block)
    code = b"\x60\x01" * 12
    for block in [*blocks, []]:
        code += b"\x5b"
        for one in block:
            code += one if isinstance(one, bytes) else b"\x61" + places[one[1] % len(places)].to_bytes(2, "big") + bytes([one[0]])
    return code


def state_with(codes: list[bytes]) -> MemoryState:
    """A state where the contracts have some storage and coin."""
    state = MemoryState({SENDER: 1000 * COIN})
    for address, code in zip(CONTRACTS, codes, strict=True):
        code_hash = keccak(code)
        state.codes[code_hash] = code
        state.accounts[address] = Account(1, 5, code_hash)
        state.slots[address, 1] = 7
    return state


def block(number: int) -> BlockContext:
    """A block; only its height varies."""
    ancestors = tuple(bytes([age]) * 32 for age in range(30))
    return BlockContext(number, 1_800_000_000, GWEI, 30_000_000, b"\xcb" * 20, b"\x5a" * 32, 31_337, ancestors)


def transaction(to: bytes | None, data: bytes, *, nonce: int, gas: int) -> Transaction:
    """A transaction as the codec would make it."""
    return Transaction(2, b"\1" * 32, b"", SENDER, 31_337, nonce, GWEI, 5 * GWEI, gas, to, 1, data, ((CONTRACTS[1], (0, 1)),), 0, 1, 1)


def assert_same(ours: Outcome, theirs: Outcome) -> None:
    assert (ours.error is None, ours.is_revert) == (theirs.error is None, theirs.is_revert), (ours.error, theirs.error)
    assert (ours.gas_used, ours.gas_spent, ours.created) == (theirs.gas_used, theirs.gas_spent, theirs.created)
    assert (ours.output, ours.logs) == (theirs.output, theirs.logs)
    assert (dict(ours.changes.accounts), dict(ours.changes.slots)) == (dict(theirs.changes.accounts), dict(theirs.changes.slots))
    assert dict(ours.changes.codes) == dict(theirs.changes.codes)
    assert all(type(value) is int for value in ours.changes.slots.values())


@given(st.lists(BLOCKS, min_size=3, max_size=3), st.booleans(), st.binary(max_size=70), st.lists(st.integers(0, 999), max_size=4))
@settings(max_examples=examples(60), deadline=None)
def test_any_program_with_any_gas(programs: list[list[list[bytes | Jump]]], is_creation: bool, data: bytes, parts: list[int]) -> None:
    codes = [link(program) for program in programs]
    engines = [JitEngine(CodeBook(entries_until_hot=1, budget=float("inf"))), JitEngine(CodeBook(entries_until_hot=2)), PyEvmEngine()]
    state = state_with(codes)
    target, data = (None, codes[0]) if is_creation else (CONTRACTS[0], data)
    full = LIMIT
    for nonce, part in enumerate([None, *parts]):
        least = 21_000 + 40 * len(data) + 10_000 + (60_000 if is_creation else 0)
        gas = full if part is None else least + (max(full, least) - least) * part // 1_000
        tx = transaction(target, data, nonce=nonce, gas=max(gas, least))
        *ours, theirs = (engine.execute(tx, block(40 + nonce), state=state) for engine in engines)
        for outcome in ours:
            assert_same(outcome, theirs)
        full = min(full, theirs.gas_spent + 100)  # from now on, gas ends inside of what was run
        state.apply(theirs.changes)


@given(st.binary(max_size=300) | st.lists(st.sampled_from([b"\x5b", b"\x60", b"\x7f", b"\x62\x5b", b"\x01"]), max_size=90).map(b"".join))
def test_jump_destinations_are_those_that_no_push_covers(code: bytes) -> None:
    expected, place = set(), 0
    while place < len(code):
        if code[place] == 0x5B:
            expected.add(place)
        place += 1 + (code[place] - 0x5F if 0x60 <= code[place] <= 0x7F else 0)
    assert Code(code).jump_destinations == expected


@pytest.mark.parametrize("count", [1, 24_576])
def test_code_of_nothing_but_jump_destinations(count: int) -> None:
    assert Code(b"\x5b" * count).jump_destinations == set(range(count))
