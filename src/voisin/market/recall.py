"""
What the chain said lately about owners, money and accounts, kept for as long as it is still so.

Every answer here holds as of the block `seen`: whoever follows the chain shows each stretch of blocks to `see`, which drops all that
the stretch changes, and all of which no event tells. An answer counts only for who knows the chain's latest block and finds it no newer
than `seen`; so it is never older than an answer to who would have asked when the latest block was. An answer asked for before a stretch
was seen is not kept after it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from voisin.chain import EventRange
from voisin.market.following import Questions
from voisin.protocol.ids import Address
from voisin.protocol.orders import OrderKind
from voisin.units import NRLC

MOST_KEPT = 50_000
"""Most entries, and most accounts, that are remembered."""
NOTHING_SEEN = -1


@dataclass(slots=True)
class Known:
    """
    Answers of the chain.

    Attributes:
        owners: Owners of registered entries.
        stakes: Free money of accounts [nRLC].
        codeless: Accounts that are no contracts; any block may change that.
        categories: How many categories there are at least; they never become fewer.
    """

    owners: dict[tuple[OrderKind, Address], Address] = field(default_factory=dict)
    stakes: dict[Address, NRLC] = field(default_factory=dict)
    codeless: set[Address] = field(default_factory=set)
    categories: int = 0


class Recall:
    """
    Remembers what the chain said.

    Attributes:
        seen: The last block whose events were looked at.
    """

    def __init__(self) -> None:
        self.seen = NOTHING_SEEN
        self._known = Known()
        self._stretches = 0

    @property
    def mark(self) -> int:
        """A mark to take before asking; what is learned counts only if no stretch is seen in between."""
        return self._stretches

    def begin(self, next_block: int) -> None:
        """Begin to look at the chain from a block on; all before it is recorded."""
        self.forget()
        self.seen = next_block - 1

    def known(self, head: int) -> Known:
        """Tell what holds as of a block that was the latest a moment ago; nothing, when that block was not looked at yet."""
        return self._known if head <= self.seen else Known()

    def see(self, stretch: EventRange, changed: Questions) -> None:
        """
        Forget what a stretch of the chain changes; all, when it does not follow on the one before.

        Args:
            stretch: The stretch.
            changed: What its events make it necessary to ask anew.
        """
        self._stretches += 1
        self._known.codeless.clear()
        if stretch.first != self.seen + 1:
            self._known = Known()
        for entry in changed.entries:
            for kind in OrderKind:
                self._known.owners.pop((kind, entry), None)
        for account in changed.accounts:
            self._known.stakes.pop(account, None)
        self.seen = stretch.last

    def forget(self) -> None:
        """Forget everything: the chain is not followed for the moment."""
        self._stretches += 1
        self.seen, self._known = NOTHING_SEEN, Known()

    def learn(self, mark: int, answers: Known) -> None:
        """Keep answers that were asked for after a mark was taken."""
        if mark != self._stretches or self.seen == NOTHING_SEEN:
            return
        known = self._known
        if max(len(known.owners), len(known.stakes), len(known.codeless)) > MOST_KEPT:
            self._known = known = Known()
        known.owners |= answers.owners
        known.stakes |= answers.stakes
        known.codeless |= answers.codeless
        known.categories = max(known.categories, answers.categories)
