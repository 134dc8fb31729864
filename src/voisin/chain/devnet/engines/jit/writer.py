"""
The Python text of a trace while it grows: statements, the gas that is owed, and what is known of memory.

Static gas is added up while translating and taken off late: before anything that looks at gas, and where the trace ends. Nothing that
a failing message did in between can be seen, because all of it is undone; and memory never grows before its price, with all that is
owed, is known to be covered.
"""

from __future__ import annotations

from voisin.chain.devnet.engines.jit.symbols import Expression, SymbolicStack, Value, Variable, text

_SURELY_UNAFFORDABLE = 2**32
"""No gas limit pays for memory up to this offset, so that text about it need not be short."""


class TraceWriter:
    """
    Writes the body of one trace.

    Attributes:
        stack: The symbolic stack.
        lines: Statements so far.
        owed: Gas spent but not yet taken off [gas].
    """

    def __init__(self) -> None:
        self.stack = SymbolicStack()
        self.lines: list[str] = []
        self.owed = 0
        self._is_unchecked = False
        self._count = 0
        self._memory_size = 0
        self._words: dict[int, Value] = {}
        self._remembered: dict[str, Variable] = {}

    def line(self, statement: str) -> None:
        """Write a statement."""
        if statement:
            self.lines.append(statement)

    def assign(self, expression: Expression) -> Variable:
        """Write an expression down; gives the variable that holds it."""
        self._count += 1
        variable = Variable(f"v{self._count}", expression.bits, expression.is_bool)
        self.lines.append(f"{variable.name} = {expression.text}")
        return variable

    def recall(self, expression: Expression) -> Variable:
        """Like `assign`, for what stays the same as long as the trace runs."""
        found = self._remembered.get(expression.text)
        if found is None:
            found = self._remembered[expression.text] = self.assign(expression)
        return found

    # Gas.

    def charge_unchecked(self) -> None:
        """Note that a statement has taken gas without looking whether there was enough."""
        self._is_unchecked = True

    def settle_gas(self) -> None:
        """Take off what is owed."""
        for statement in self.settlement():
            self.line(statement)
        self.owed = 0
        self._is_unchecked = False

    def settlement(self) -> list[str]:
        """Statements that take off what is owed, for one way out of the trace."""
        if not self.owed and not self._is_unchecked:
            return []
        return [*([f"gas -= {self.owed}"] if self.owed else []), "if gas < 0: raise out_of_gas()"]

    def settle(self) -> None:
        """Make gas and stack of the frame what they should be."""
        self.settle_gas()
        self.line(self.stack.settle())
        self.line("F.gas = gas")

    # Memory.

    def reach(self, offset: Value, size: int) -> None:
        """Make memory long enough for a range of known length."""
        if isinstance(offset, int):
            end = offset + size
            if end > self._memory_size:
                self.line(f"if len(m) < {end}: gas = grow(m, {end}, gas, {self.owed})")
                if end < _SURELY_UNAFFORDABLE:
                    self._memory_size = (end + 31) // 32 * 32
        else:
            end_name = self.assign(Expression(f"{offset.name} + {size}")).name
            self.line(f"if {end_name} > len(m): gas = grow(m, {end_name}, gas, {self.owed})")

    def load_word(self, offset: Value) -> Value:
        """Read a word of memory."""
        if isinstance(offset, int) and offset in self._words:
            return self._words[offset]
        self.reach(offset, 32)
        value = self.assign(Expression(f"number(m[{self._range(offset, 32)}])"))
        if isinstance(offset, int):
            self._words[offset] = value
        return value

    def store_word(self, offset: Value, value: Value) -> None:
        """Write a word of memory."""
        self.reach(offset, 32)
        data = repr(value.to_bytes(32)) if isinstance(value, int) else f"{value.name}.to_bytes(32)"
        self.line(f"m[{self._range(offset, 32)}] = {data}")
        self._forget_words(offset, 32)
        if isinstance(offset, int):
            self._words[offset] = value

    def store_byte(self, offset: Value, value: Value) -> None:
        """Write a byte of memory."""
        self.reach(offset, 1)
        self.line(f"m[{text(offset)}] = {text(value)} & 255")
        self._forget_words(offset, 1)

    def hash_memory(self, offset: int, size: int) -> Value:
        """Hash a known range of memory; its gas is already owed."""
        if size:
            self.reach(offset, size)
        return self.assign(Expression(f"keccak(bytes(m[{offset}:{offset + size}]))"))

    def forget_words(self) -> None:
        """Note that memory may have changed anywhere."""
        self._words.clear()

    def _range(self, offset: Value, size: int) -> str:
        return f"{offset}:{offset + size}" if isinstance(offset, int) else f"{offset.name}:{offset.name} + {size}"

    def _forget_words(self, offset: Value, size: int) -> None:
        if isinstance(offset, int):
            for place in [place for place in self._words if place < offset + size and offset < place + 32]:
                del self._words[place]
        else:
            self._words.clear()
