"""
What the machine of bags asks for. All is done after the changes that came with it are written down, and may be done twice.
"""

from __future__ import annotations

from dataclasses import dataclass

from voisin.pool.bags.facts import Archive
from voisin.protocol.bag_settlement import PostedBag
from voisin.protocol.bag_wire import AskDigests, BagOver, GiveTasks, TakeBack
from voisin.protocol.ids import Address, DealId, Hash32
from voisin.units import NRLC


@dataclass(frozen=True, slots=True)
class Say:
    """Send a worker a message."""

    worker: Address
    message: GiveTasks | AskDigests | TakeBack | BagOver


@dataclass(frozen=True, slots=True)
class GiveReceipts:
    """Sign for a worker that the pool has these contributions, and send that: task and result hash of each."""

    worker: Address
    deal_id: DealId
    said: tuple[tuple[int, Hash32], ...]


@dataclass(frozen=True, slots=True)
class GiveStatement:
    """Sign for a worker what it has earned in a deal so far [nRLC], and send that."""

    worker: Address
    deal_id: DealId
    amount: NRLC


@dataclass(frozen=True, slots=True)
class CheckArchives:
    """See whether results are in storage, and are what they are said to be."""

    deal_id: DealId
    archives: tuple[Archive, ...]


@dataclass(frozen=True, slots=True)
class PostBag:
    """Put the file of leaves into storage, and its root on the hub."""

    deal_id: DealId


@dataclass(frozen=True, slots=True)
class GiveBackBag:
    """Give the whole deal back."""

    deal_id: DealId


@dataclass(frozen=True, slots=True)
class AnswerDemand:
    """Show a leaf that somebody asked for."""

    bag: PostedBag
    index: int


@dataclass(frozen=True, slots=True)
class SettleBag:
    """Pay everybody."""

    bag: PostedBag


@dataclass(frozen=True, slots=True)
class ProveResults:
    """Put results on the chain for the deal's callback."""

    bag: PostedBag
    indexes: tuple[int, ...]


BagChainStep = PostBag | GiveBackBag | AnswerDemand | SettleBag | ProveResults
BagCommand = Say | GiveReceipts | GiveStatement | CheckArchives | BagChainStep


def deal_in(command: BagCommand) -> DealId:
    """Name the deal that a command is about."""
    match command:
        case Say():
            return command.message.deal_id
        case AnswerDemand() | SettleBag() | ProveResults():
            return command.bag.deal_id
        case _:
            return command.deal_id
