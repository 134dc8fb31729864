"""Stepping through code that is not worth translating, or that must be stopped at the exact instruction."""

from __future__ import annotations

from typing import Final

from voisin.chain.devnet.engines.jit.frame import Frame
from voisin.chain.devnet.engines.jit.halts import HaltError, out_of_gas
from voisin.chain.devnet.engines.jit.instructions import INSTRUCTIONS, PUSH0, PUSH32, room_needed

_STEPS: Final = tuple(
    (instruction.run, instruction.gas, instruction.pops, room_needed(instruction), max(0, opcode - PUSH0) if opcode <= PUSH32 else 0)
    for opcode, instruction in enumerate(INSTRUCTIONS)
)


def interpret(frame: Frame, place: int) -> int:
    """
    Run instruction by instruction until execution leaves the straight line.

    Args:
        frame: The message.
        place: Where it goes on.

    Returns:
        The place that was jumped to, or a signal below zero; `frame.pc` is then the instruction that gave it.

    Raises:
        HaltError: The message fails.
    """
    code, stack = frame.code.padded, frame.stack
    while True:
        run, gas, pops, room, pushed = _STEPS[code[place]]
        height = len(stack)
        if height < pops:
            raise HaltError("stack underflow")
        if height > room:
            raise HaltError("stack limit reached 1024")
        frame.gas -= gas
        if frame.gas < 0:
            raise out_of_gas()
        if pushed:
            place += 1
            stack.append(int.from_bytes(code[place : place + pushed]))
            place += pushed
            continue
        frame.pc = place
        found = run(frame)
        if found is None:
            place += 1
        else:
            return found
