"""What an owner hears while a dataset is protected: one word for each step, and whether it was done now or before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Step(StrEnum):
    """The steps of protecting and offering a dataset, in their order."""

    LOOKED_AT = "looked at"
    KEY_MADE = "key made"
    ENCRYPTED = "encrypted"
    STORED = "stored"
    REGISTERED = "registered"
    GATE_DEPLOYED = "gate deployed"
    ENTRUSTED = "key entrusted to the vault"
    OFFERED = "offered"


@dataclass(frozen=True, slots=True)
class Told:
    """
    A step that is done.

    Attributes:
        step: Which.
        detail: Of what: a path, an address, a hash.
        is_new: Whether it was done now; False when it was found done.
    """

    step: Step
    detail: str
    is_new: bool = True


Tell = Callable[[Told], None]
"""Is told of each step as it is done."""


def silent(_told: Told) -> None:
    """Hear nothing."""
