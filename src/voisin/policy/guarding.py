"""
When whoever looks after a posted bag asks for leaves that are withheld, and when it settles in the scheduler's place.

Workers and requesters go by the same rule: each of them wants the scheduler to have its time, and none wants to miss its own. Pure.

Source: contracts/SPEC.md 18.6 to 18.8.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from voisin.units import UnixSeconds

MAX_DEMANDS: Final = 3
"""Most leaves of one bag that one party asks for: each bond is lost to a scheduler that answers."""
LEAST_GRACE_S, MOST_GRACE_S = 3, 120


@dataclass(frozen=True, slots=True)
class Window:
    """The time in which a bag may be challenged: from when it was posted until it may be settled [Unix s]."""

    posted: UnixSeconds
    deadline: UnixSeconds

    @property
    def demand_from(self) -> UnixSeconds:
        """From when a file of leaves that cannot be had counts as withheld [Unix s]: half of the window is left to ask and be answered."""
        return UnixSeconds(self.posted + (self.deadline - self.posted) // 2)

    @property
    def settle_from(self) -> UnixSeconds:
        """From when others settle what the scheduler does not [Unix s]: a tenth of the window after its end, within bounds."""
        return UnixSeconds(self.deadline + min(max((self.deadline - self.posted) // 10, LEAST_GRACE_S), MOST_GRACE_S))

    def may_demand(self, now: UnixSeconds, asked: int) -> bool:
        """
        Tell whether a leaf is to be asked for because the file of leaves cannot be had.

        Args:
            now: The chain's time [Unix s].
            asked: How many leaves of this bag the same party has asked for.
        """
        return self.demand_from <= now < self.deadline and asked < MAX_DEMANDS
