"""
Translating hot code to Python.

A trace begins at one place and follows the code through jumps to known places and past jumps not taken, until it ends, comes back to
where it was, or sends a message. Jumps taken are ways out: each makes the frame what it must be and gives the next place. The text
of a trace is made of fixed patterns and of numbers from the code, nothing else.

    def trace(F):               # what the translation of PUSH1 1 ADD DUP1 PUSH1 10 LT PUSH2 8 JUMPI ... looks like
        S = F.stack
        if not 1 <= len(S) <= 1022: return interpret(F, 0)
        gas = F.gas
        e0 = S[-1]
        v1 = (e0 + 0x1) & M
        v2 = 0xa < v1
        if v2:
            gas -= 24
            if gas < 0: raise out_of_gas()
            S[-1] = v1
            F.gas = gas
            return 8
"""

from __future__ import annotations

import re
from typing import Final, cast

from voisin.chain.devnet.engines.hashing import keccak_int
from voisin.chain.devnet.engines.jit import arithmetic, effects
from voisin.chain.devnet.engines.jit.arithmetic import MASK, PURE
from voisin.chain.devnet.engines.jit.code import Code, Trace
from voisin.chain.devnet.engines.jit.frame import MAX_STACK, grow
from voisin.chain.devnet.engines.jit.halts import HaltError, bad_jump, out_of_gas
from voisin.chain.devnet.engines.jit.instructions import (
    DUP1,
    INSTRUCTIONS,
    INVALID,
    JUMP,
    JUMPDEST,
    JUMPI,
    PUSH0,
    PUSH32,
    SWAP1,
    SWAP16,
    copy_code,
    copy_data,
)
from voisin.chain.devnet.engines.jit.interpreter import interpret
from voisin.chain.devnet.engines.jit.patterns import PATTERNS
from voisin.chain.devnet.engines.jit.symbols import Expression, Value, Variable, compute, text
from voisin.chain.devnet.engines.jit.writer import TraceWriter

MAX_LENGTH: Final = 256
"""Most instructions in one trace."""
_NAMES: Final = {
    "M": MASK,
    "number": int.from_bytes,
    "grow": grow,
    "out_of_gas": out_of_gas,
    "bad_jump": bad_jump,
    "Halt": HaltError,
    "keccak": keccak_int,
    "interpret": interpret,
    "store": effects.store,
    "log": effects.log,
    "copy_memory": effects.copy_memory,
    "copy_returned": effects.copy_returned,
    "copy_data": copy_data,
    "copy_code": copy_code,
    "hash_memory": effects.hash_memory,
    "store_transient": effects.store_transient,
    **{name: getattr(arithmetic, name) for name in ("sdiv", "smod", "addmod", "mulmod", "signextend", "byte", "sar")},
    **{f"run_{opcode}": instruction.run for opcode, instruction in enumerate(INSTRUCTIONS)},
}
_PROLOGUE: Final = {"m": "m = F.memory", "D": "D = F.data", "A": "A = F.address", "W": "W = F.world.slots"}


def translate(code: Code, place: int) -> tuple[Trace, int]:
    """
    Translate code from one place on.

    Args:
        code: The code.
        place: Where the trace begins.

    Returns:
        The trace, and how many instructions it holds.
    """
    translation = _Translation(code, place)
    translation.follow()
    names: dict[str, object] = {**_NAMES, "J": code.jump_destinations}
    exec(compile(translation.source(), "<trace>", "exec"), names)  # noqa: S102 (text made here, of patterns and numbers)
    return cast(Trace, names["trace"]), translation.length


class _Translation:
    def __init__(self, code: Code, place: int) -> None:
        self._code = code
        self._start = place
        self._writer = TraceWriter()
        self._seen: set[int] = set()
        self.length = 0

    def source(self) -> str:
        """The whole function."""
        writer = self._writer
        body = writer.lines
        used = set(re.findall(r"\b[mDAW]\b", "\n".join(body)))
        stack = writer.stack
        head = [
            "S = F.stack",
            f"if not {len(stack.taken)} <= len(S) <= {MAX_STACK - stack.peak}: return interpret(F, {self._start})",
            "gas = F.gas",
            *(statement for name, statement in _PROLOGUE.items() if name in used),
            *(f"{variable.name} = S[-{depth}]" for depth, variable in enumerate(stack.taken, 1)),
        ]
        return "\n    ".join(["def trace(F):", *head, *body])

    def follow(self) -> None:
        """Write the trace."""
        place: int | None = self._start
        while place is not None:
            if place in self._seen or self.length >= MAX_LENGTH:
                self._go_to(place)
                return
            self._seen.add(place)
            self.length += 1
            place = self._instruction(place)

    def _instruction(self, place: int) -> int | None:
        """Translate one instruction; gives the next one on the trace, None at its end."""
        opcode = self._code.padded[place]
        stack, writer = self._writer.stack, self._writer
        instruction = INSTRUCTIONS[opcode]
        if PUSH0 <= opcode <= PUSH32:
            size = opcode - PUSH0
            writer.owed += instruction.gas
            stack.push(int.from_bytes(self._code.padded[place + 1 : place + 1 + size]))
            return place + 1 + size
        if opcode == JUMP:
            return self._jump()
        if opcode == JUMPI:
            return self._jump_if(place)
        writer.owed += instruction.gas
        if instruction is INVALID:
            writer.settle_gas()
            writer.line('raise Halt("invalid opcode")')
            return None
        if opcode in PURE:
            found = compute(opcode, [stack.pop() for _ in range(instruction.pops)])
            stack.push(writer.assign(found) if isinstance(found, Expression) else found)
        elif DUP1 <= opcode < SWAP1:
            depth = opcode - DUP1 + 1
            stack.reach(depth)
            stack.push(stack.wanted[-depth])
        elif SWAP1 <= opcode <= SWAP16:
            depth = opcode - SWAP1 + 2
            stack.reach(depth)
            stack.wanted[-1], stack.wanted[-depth] = stack.wanted[-depth], stack.wanted[-1]
        elif opcode in PATTERNS:
            return place + 1 if PATTERNS[opcode](writer, place) else None
        elif opcode != JUMPDEST:
            return self._hand_over(opcode, place)
        return place + 1

    # Jumps.

    def _jump(self) -> int | None:
        writer = self._writer
        writer.owed += INSTRUCTIONS[JUMP].gas
        target = writer.stack.pop()
        if isinstance(target, int) and target in self._code.jump_destinations:
            return target
        for statement in self._way_out(target):
            writer.line(statement)
        return None

    def _jump_if(self, place: int) -> int | None:
        writer = self._writer
        writer.owed += INSTRUCTIONS[JUMPI].gas
        target, condition = writer.stack.pop(), writer.stack.pop()
        if isinstance(condition, int):
            if not condition:
                return place + 1
            if isinstance(target, int) and target in self._code.jump_destinations:
                return target
            for statement in self._way_out(target):
                writer.line(statement)
            return None
        writer.line(f"if {text(condition)}:")
        for statement in self._way_out(target):
            writer.line(f"    {statement}")
        return place + 1

    def _way_out(self, target: Value) -> list[str]:
        """Statements that leave the trace for a place that code has named."""
        writer = self._writer
        check: list[str] = []
        if isinstance(target, Variable):
            check = [f"if {target.name} not in J: raise bad_jump()"]
        elif target not in self._code.jump_destinations:
            return [*writer.settlement(), "raise bad_jump()"]
        difference = writer.stack.difference()
        return [*writer.settlement(), *check, *([difference] if difference else []), "F.gas = gas", f"return {text(target)}"]

    def _go_to(self, place: int) -> None:
        self._writer.settle()
        self._writer.line(f"return {place}")

    # Instructions that the interpreter's functions carry out.

    def _hand_over(self, opcode: int, place: int) -> int | None:
        instruction = INSTRUCTIONS[opcode]
        writer = self._writer
        writer.stack.reach(instruction.pops)
        writer.settle()
        writer.line(f"F.pc = {place}")
        if opcode >= _FIRST_THAT_LEAVES and opcode not in _LOGS:
            writer.line(f"return run_{opcode}(F)")
            return None
        writer.line(f"run_{opcode}(F)")
        writer.line("gas = F.gas")
        results: list[Value] = [writer.assign(Expression("S[-1]"))] if instruction.pushes else []
        writer.stack.replace_top(instruction.pops, results)
        if opcode in _WRITES_MEMORY:
            writer.forget_words()
        return place + 1


_LOGS: Final = range(0xA0, 0xA5)
_FIRST_THAT_LEAVES: Final = 0xF0
_WRITES_MEMORY: Final = frozenset((0x37, 0x39, 0x3C, 0x3E, 0x5E))
