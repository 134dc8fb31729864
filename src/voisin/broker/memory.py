"""What a broker remembers of requests, for whoever asks: the deals made for them, and why there are no more."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace

from voisin.protocol.api import BrokeredDeal
from voisin.protocol.ids import OrderHash
from voisin.units import UnixSeconds

NEVER = UnixSeconds(0)


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a request: the deals made for it, why there are no more, what would help, when it was looked at."""

    deals: tuple[BrokeredDeal, ...] = ()
    why: str = ""
    hint: str = ""
    looked_at: UnixSeconds = NEVER


class Memory:
    """The requests that were looked at last."""

    def __init__(self, size: int) -> None:
        """
        Args:
            size: How many requests are remembered.
        """
        self._size = size
        self._known: OrderedDict[OrderHash, Known] = OrderedDict()

    def of(self, request: OrderHash) -> Known:
        """Tell what is known of a request; of one that is forgotten or new, nothing."""
        return self._known.get(request, Known())

    def add_deal(self, request: OrderHash, deal: BrokeredDeal, at: UnixSeconds) -> None:
        """Remember a deal."""
        self._keep(request, Known(deals=(*self.of(request).deals, deal), looked_at=at))

    def note(self, request: OrderHash, why: str, hint: str, at: UnixSeconds) -> None:
        """Remember why a request is not filled."""
        self._keep(request, replace(self.of(request), why=why, hint=hint, looked_at=at))

    def _keep(self, request: OrderHash, known: Known) -> None:
        self._known[request] = known
        self._known.move_to_end(request)
        while len(self._known) > self._size:
            self._known.popitem(last=False)
