"""Why a message ends before its code says so."""

from __future__ import annotations


class HaltError(Exception):
    """
    The message fails: all its gas is gone, all it did is undone.

    Args:
        words: Why, in geth's words.
    """

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words


def out_of_gas() -> HaltError:
    """Make the halt of a message whose gas does not suffice."""
    return HaltError("out of gas")


def bad_jump() -> HaltError:
    """Make the halt of a jump to where no JUMPDEST is."""
    return HaltError("invalid jump destination")


def write_protection() -> HaltError:
    """Make the halt of a write inside a static call."""
    return HaltError("write protection")
