"""An owner of data at work."""

from __future__ import annotations

from dataclasses import dataclass

from voisin.client.data.drafts import Diary
from voisin.client.data.steps import Tell
from voisin.client.links import Links
from voisin.client.requester import Requester
from voisin.protocol.ids import Address
from voisin.protocol.signatures import KeySigner


@dataclass(frozen=True, slots=True)
class Owner:
    """
    An owner of data, with what his work needs.

    Attributes:
        links: The network.
        wallet: The owner's wallet, which can send transactions.
        diary: What is done already.
        tell: Is told of each step.
    """

    links: Links
    wallet: Requester
    diary: Diary
    tell: Tell

    @property
    def address(self) -> Address:
        """The wallet's address."""
        return self.wallet.address

    @property
    def signer(self) -> KeySigner:
        """What the owner signs with."""
        return self.wallet.signer
