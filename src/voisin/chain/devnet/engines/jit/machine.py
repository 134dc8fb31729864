"""Running a message with all messages that it sends, on a stack of frames of its own: Python itself never recurses."""

from __future__ import annotations

from typing import Final

from voisin.chain.devnet.engines.jit.calls import begin, finish, settle
from voisin.chain.devnet.engines.jit.frame import FAILED, Frame
from voisin.chain.devnet.engines.jit.halts import HaltError
from voisin.chain.devnet.engines.jit.interpreter import interpret
from voisin.chain.devnet.engines.jit.translator import translate

_PIECES_BETWEEN_CHECKS: Final = 256


def run(frame: Frame) -> int:
    """
    Run a message to its end.

    Args:
        frame: The message; holds output, gas and error afterwards.

    Returns:
        How it ended: `ENDED`, `REVERTED` or `FAILED`.

    Raises:
        RunOutOfTimeError: The world's time is up.
    """
    senders: list[Frame] = []
    while True:
        signal = _advance(frame)
        if signal < FAILED:
            child = _begin(frame, -signal)
            if child is not None:
                senders.append(frame)
                frame = child
                continue
            if frame.error is None:
                frame.pc += 1
                continue
            signal = FAILED
        signal = settle(frame, signal)
        if not senders:
            return signal
        child, frame = frame, senders.pop()
        finish(child, frame, signal)


def _begin(frame: Frame, opcode: int) -> Frame | None:
    try:
        return begin(frame, opcode)
    except HaltError as halt:
        frame.fail(halt.words)
        return None


def _advance(frame: Frame) -> int:
    """Run a message until it ends or sends one."""
    world, traces, place = frame.world, frame.code.traces, frame.pc
    try:
        while True:
            world.check_time()
            for _ in range(_PIECES_BETWEEN_CHECKS):
                trace = traces.get(place)
                place = _enter(frame, place) if trace is None else trace(frame)
                if place < 0:
                    return place
    except HaltError as halt:
        frame.fail(halt.words)
        return FAILED


def _enter(frame: Frame, place: int) -> int:
    """Go on where there is no trace: translate what became hot, interpret what is cold."""
    code, book = frame.code, frame.world.book
    if not book.is_hot(code, place):
        return interpret(frame, place)
    trace, length = translate(code, place)
    book.keep(code, place, trace, length=length)
    return trace(frame)
