"""
Reading contracts: one question is a value, so that several can be asked in one go.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

from voisin.chain.abi_codec import AbiArgument
from voisin.chain.functions import Function
from voisin.chain.rpc import Answer, Request, Rpc
from voisin.errors import RevertError
from voisin.protocol.ids import Address, from_hex, to_hex

T = TypeVar("T")
T1 = TypeVar("T1")
T2 = TypeVar("T2")


@dataclass(frozen=True, slots=True)
class Read(Generic[T]):
    """
    A question to a contract.

    Attributes:
        to: The contract.
        function: The function that answers it.
        arguments: Its arguments.
        make: Makes the answer from the function's results.
        refused: What a revert means here; None passes the revert on.
    """

    to: Address
    function: Function
    arguments: tuple[AbiArgument, ...]
    make: Callable[..., T]
    refused: Callable[[], T] | None = None

    def request(self) -> Request:
        """Spell the question for the node."""
        return "eth_call", ({"to": self.to, "data": to_hex(self.function.encode(*self.arguments))}, "latest")

    def answer(self, answer: Answer) -> T:
        """
        Read what the node answered.

        Raises:
            RevertError: The contract refused.
            InputError: There is no such contract at the address.
        """
        try:
            data = from_hex(answer.read(str))
        except RevertError:
            if self.refused is None:
                raise
            return self.refused()
        return self.make(*self.function.decode(data))


async def read(rpc: Rpc, question: Read[T]) -> T:
    """Ask one question."""
    (answer,) = await rpc.ask([question.request()])
    return question.answer(answer)


async def read_many(rpc: Rpc, questions: Sequence[Read[T]]) -> list[T]:
    """Ask several questions of one kind in one go."""
    answers = await rpc.ask([question.request() for question in questions])
    return [question.answer(answer) for question, answer in zip(questions, answers, strict=True)]


async def read_pair(rpc: Rpc, first: Read[T1], second: Read[T2]) -> tuple[T1, T2]:
    """Ask two questions of different kinds in one go."""
    answers = await rpc.ask([first.request(), second.request()])
    return first.answer(answers[0]), second.answer(answers[1])


def record(kind: type[T], *values: object) -> T:
    """
    Make one of the protocol's records from the members of an ABI struct.

    Args:
        kind: A `msgspec.Struct` whose fields stand in the order of the ABI's members.
        values: The members.
    """
    return msgspec.convert(dict(zip(_names(kind), values, strict=True)), kind)


def _names(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in msgspec.structs.fields(kind))
