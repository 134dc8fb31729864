"""One message that is being executed: its stack, memory and gas, and where it stands in its code."""

from __future__ import annotations

from typing import Final

from voisin.chain.devnet.engines.jit.code import Code
from voisin.chain.devnet.engines.jit.halts import out_of_gas
from voisin.chain.devnet.engines.jit.world import Mark, World

# Signals: what a trace or the interpreter gives in place of the next place. A call or creation gives minus its opcode.
ENDED: Final = -1
REVERTED: Final = -2
FAILED: Final = -3

MAX_DEPTH: Final = 1_024
MAX_STACK: Final = 1_024


class Frame:
    """
    One message.

    Args:
        world: The state.
        code: What is executed.
        gas: Gas that it has.
        address: Whose storage and balance it uses.
        caller: Who calls.
        value: Native coin that came with it, or seems to [wei].
        data: Call data.
        depth: How many messages are around it.
        is_static: Whether it must not change anything.
        is_creation: Whether its output becomes the code of `address`.

    Attributes:
        pc: Where it stands, when something else runs in its place.
        stack: Numbers, the top last.
        memory: Bytes, always a multiple of 32.
        output: What it gave back.
        returned: What the last message that it sent gave back.
        window: Where its caller wants the output: offset and size.
        mark: State of the world before it began.
        error: Why it failed; None when it did not, or reverted.
    """

    __slots__ = (
        "address", "caller", "code", "data", "depth", "error", "gas", "is_creation", "is_static", "mark", "memory",
        "output", "pc", "returned", "stack", "value", "window", "world",
    )  # fmt: skip

    def __init__(  # noqa: PLR0913 (a message has so many properties)
        self, world: World, code: Code, *, gas: int, address: bytes, caller: bytes, value: int, data: bytes, depth: int,
        is_static: bool, is_creation: bool, mark: Mark, window: tuple[int, int] = (0, 0),
    ) -> None:  # fmt: skip
        self.world = world
        self.code = code
        self.gas = gas
        self.address = address
        self.caller = caller
        self.value = value
        self.data = data
        self.depth = depth
        self.is_static = is_static
        self.is_creation = is_creation
        self.mark = mark
        self.window = window
        self.pc = 0
        self.stack: list[int] = []
        self.memory = bytearray()
        self.output = b""
        self.returned = b""
        self.error: str | None = None

    def fail(self, words: str) -> None:
        """Lose all gas and output."""
        self.error = words
        self.gas = 0
        self.output = b""

    def spend(self, gas: int) -> None:
        """
        Take gas.

        Args:
            gas: How much.

        Raises:
            HaltError: There is not so much.
        """
        self.gas -= gas
        if self.gas < 0:
            raise out_of_gas()

    def reach(self, offset: int, size: int) -> None:
        """
        Make memory long enough for a range, for its price.

        Args:
            offset: Where the range begins.
            size: Its length [bytes]; nothing happens for 0.

        Raises:
            HaltError: The gas does not suffice.
        """
        if size and offset + size > len(self.memory):
            self.gas = grow(self.memory, offset + size, self.gas, 0)


def grow(memory: bytearray, end: int, gas: int, pending: int) -> int:
    """
    Make memory longer.

    Args:
        memory: The memory.
        end: How long it must be at least; more than it is [bytes].
        gas: Gas left.
        pending: Gas spent but not yet taken off.

    Returns:
        Gas left; what is pending is still to be taken off.

    Raises:
        HaltError: The gas does not suffice.

    Source: the Yellow Paper, equation for C_mem.
    """
    old, new = len(memory) >> 5, (end + 31) >> 5
    cost = 3 * (new - old) + (new * new >> 9) - (old * old >> 9)
    if cost > gas - pending:
        raise out_of_gas()
    memory.extend(bytes(32 * (new - old)))
    return gas - cost
