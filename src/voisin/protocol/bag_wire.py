"""
What worker and pool say to each other about a bag: a deal whose tasks are settled together.

    pool                          worker
    GiveTasks        ->
                     <-           Contributions    signed; the worker has computed these, and does not show them yet
    Receipts         ->                            signed; written down by the pool before they are sent
    AskDigests       ->                            enough workers have contributed
                     <-           Digests          results shown and in storage
    Statement        ->                            signed; what the worker has earned in this deal by now

Each message is about many tasks of one deal, and each may be repeated. A worker without a receipt shows nothing, and one that is
owed a statement takes no more tasks. What both sign and why is said in contracts/SPEC.md 18.4.
"""

from __future__ import annotations

import msgspec

from voisin.protocol.ids import DealId, Hash32
from voisin.protocol.wire_words import MachineFailure, Stream
from voisin.units import NRLC

# --- from the pool ---------------------------------------------------------------------------------------------------


class GiveTasks(msgspec.Struct, frozen=True, tag="give-tasks"):
    """Tasks for this worker, beside those that it was given before; in the order in which they are wanted."""

    deal_id: DealId
    indexes: tuple[int, ...]


class Receipt(msgspec.Struct, frozen=True, array_like=True):
    """The pool has a contribution: task, what was said, the scheduler's signature of `receipt_digest`."""

    index: int
    said: Hash32
    signature: str


class Receipts(msgspec.Struct, frozen=True, tag="receipts"):
    """Contributions that the pool has, and keeps."""

    deal_id: DealId
    receipts: tuple[Receipt, ...]


class AskDigests(msgspec.Struct, frozen=True, tag="ask-digests"):
    """Show these results, if you have a receipt."""

    deal_id: DealId
    indexes: tuple[int, ...]


class Statement(msgspec.Struct, frozen=True, kw_only=True, tag="statement"):
    """What the worker has earned in a deal so far [nRLC], with the scheduler's signature of `earned_digest`; replaces the one before."""

    deal_id: DealId
    amount: NRLC
    signature: str


class TakeBack(msgspec.Struct, frozen=True, tag="take-back"):
    """Do not compute these any more."""

    deal_id: DealId
    indexes: tuple[int, ...]
    reason: str


class BagOver(msgspec.Struct, frozen=True, tag="bag-over"):
    """The deal is settled or given back, as the chain will confirm."""

    deal_id: DealId


BagFromPool = GiveTasks | Receipts | AskDigests | Statement | TakeBack | BagOver

# --- from the worker -------------------------------------------------------------------------------------------------


class Contribution(msgspec.Struct, frozen=True, array_like=True):
    """A worker has a result: task, its result hash, the worker's signature of `contribution_digest`."""

    index: int
    said: Hash32
    signature: str


class Contributions(msgspec.Struct, frozen=True, tag="contributions"):
    """Results that a worker has."""

    deal_id: DealId
    contributions: tuple[Contribution, ...]


class ShownDigest(msgspec.Struct, frozen=True, array_like=True):
    """
    A result, shown.

    Attributes:
        index: The task.
        digest: The digest that was committed to.
        location: SHA-256 of the result's archive, which lies in storage.
        exit_code: What the app exited with; None for one that was stopped.
        callback_data: What goes to the deal's callback, as hex; empty for a deal without one.
    """

    index: int
    digest: Hash32
    location: Hash32
    exit_code: int | None = None
    callback_data: str = ""


class Digests(msgspec.Struct, frozen=True, tag="digests"):
    """Results that a worker shows."""

    deal_id: DealId
    digests: tuple[ShownDigest, ...]


class GaveUp(msgspec.Struct, frozen=True, kw_only=True, tag="gave-up"):
    """The worker does not do these tasks."""

    deal_id: DealId
    indexes: tuple[int, ...]
    failure: MachineFailure
    detail: str


class Print(msgspec.Struct, frozen=True, array_like=True):
    """The start of what the app of a short task has printed in all: task, stream, text."""

    index: int
    stream: Stream
    text: str


class Prints(msgspec.Struct, frozen=True, tag="prints"):
    """What the apps of several tasks have printed; some may be left out."""

    deal_id: DealId
    pieces: tuple[Print, ...]


class HoldsBag(msgspec.Struct, frozen=True, kw_only=True, tag="holds-bag"):
    """
    What a worker has of a deal, told after each greeting; in several messages if it is much, with the tasks that wait in the first.

    Attributes:
        deal_id: The deal.
        waiting: Tasks that it was given and has not contributed.
        contributed: Results that it has, with or without receipt.
        earned: The last statement that it has [nRLC]; 0 without one.
    """

    deal_id: DealId
    waiting: tuple[int, ...]
    contributed: tuple[Contribution, ...]
    earned: NRLC


BagFromWorker = Contributions | Digests | GaveUp | HoldsBag | Prints
