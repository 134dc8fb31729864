"""The words of the heart of bags: what a worker knows of a deal, what happens to it (events), what is to be done (commands)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import msgspec

from voisin.protocol.bag_wire import BagFromWorker, Contribution, Receipt, ShownDigest, Statement
from voisin.protocol.ids import Address, DealId, Hash32
from voisin.protocol.wire_words import MachineFailure
from voisin.units import NRLC, UnixSeconds


class BagTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    A deal that is worth working on, as far as its money is concerned; lies on disk.

    Attributes:
        deal_id: The deal.
        app: The app's entry.
        scheduler: Whose signature counts.
        first_index: Index of its first task.
        volume: Its number of tasks.
        least_share: What a result earns a worker at least [nRLC].
        window_s: How long it may be challenged once it is posted [s].
        final_deadline: From when nobody can post it any more [Unix s].
        since_block: A block before it can have been posted.
    """

    deal_id: DealId
    app: Address
    scheduler: Address
    first_index: int
    volume: int
    least_share: NRLC
    window_s: int
    final_deadline: UnixSeconds
    since_block: int


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """
    A result that this worker has computed; lies on disk until the deal is over.

    Attributes:
        index: The task.
        digest: The digest that it commits to.
        location: SHA-256 of the archive.
        said: The result hash.
        signature: The worker's, of the contribution.
        exit_code: What the app exited with; None for one that was stopped.
        callback_data: What goes to the deal's callback, as hex; empty for a deal without one.
        receipt: The scheduler's signature; empty as long as there is none.
    """

    index: int
    digest: Hash32
    location: Hash32
    said: Hash32
    signature: str
    exit_code: int | None = None
    callback_data: str = ""
    receipt: str = ""

    @property
    def contribution(self) -> Contribution:
        """As the pool is told of it."""
        return Contribution(self.index, self.said, self.signature)

    @property
    def shown(self) -> ShownDigest:
        """As the pool is shown it."""
        return ShownDigest(self.index, self.digest, self.location, self.exit_code, self.callback_data)


class BagRecord(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a worker has of a deal after a restart.

    Attributes:
        terms: The deal.
        said: The tasks that it has results for, and whether there is a receipt for each.
        earned: The last statement [nRLC]; 0 without one.
    """

    terms: BagTerms
    said: dict[int, bool]
    earned: NRLC = NRLC(0)


class Stage(StrEnum):
    """Where this worker stands with a deal."""

    RESTORED = "restored"
    """It has results of it from before a restart, and no tasks to do."""
    CHECKING = "checking"
    FETCHING = "fetching"
    OPEN = "open"
    CLOSED = "closed"
    """It takes no more tasks of it, and waits for its end."""


# --- events ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Restored:
    """The worker started again and found these on its disk."""

    records: tuple[BagRecord, ...]


@dataclass(frozen=True, slots=True)
class Joined:
    """The pool let the worker in."""


@dataclass(frozen=True, slots=True)
class Stopping:
    """The worker is about to end."""


@dataclass(frozen=True, slots=True)
class Limited:
    """The owner wants another number of runs at a time; `closed` says why there are to be none, `is_urgent` that those now are to end."""

    slots: int
    closed: str
    is_urgent: bool


@dataclass(frozen=True, slots=True)
class Given:
    """The pool gave tasks."""

    deal_id: DealId
    indexes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TakenBack:
    """The pool does not want these any more."""

    deal_id: DealId
    indexes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """The pool wants to see results."""

    deal_id: DealId
    indexes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ReceiptsCame:
    """The pool says that it has contributions."""

    deal_id: DealId
    receipts: tuple[Receipt, ...]


@dataclass(frozen=True, slots=True)
class StatementCame:
    """The pool says what was earned."""

    statement: Statement

    @property
    def deal_id(self) -> DealId:
        """The deal."""
        return self.statement.deal_id


@dataclass(frozen=True, slots=True)
class Approved:
    """The chain says that the deal is worth it; its terms are on disk."""

    terms: BagTerms

    @property
    def deal_id(self) -> DealId:
        """The deal."""
        return self.terms.deal_id


@dataclass(frozen=True, slots=True)
class Fetched:
    """App and inputs are on this disk."""

    deal_id: DealId


@dataclass(frozen=True, slots=True)
class Refused:
    """This machine cannot work on the deal."""

    deal_id: DealId
    failure: MachineFailure
    detail: str


@dataclass(frozen=True, slots=True)
class Ran:
    """
    A lane is free again.

    Attributes:
        deal_id: The deal.
        done: Tasks that have come to a result, which is being written down.
        left: Tasks that were not begun.
        each_s: How long each app took, without what is around it [s].
    """

    deal_id: DealId
    done: tuple[int, ...]
    left: tuple[int, ...]
    each_s: float


@dataclass(frozen=True, slots=True)
class TasksFailed:
    """This machine cannot do these tasks."""

    deal_id: DealId
    indexes: tuple[int, ...]
    failure: MachineFailure
    detail: str


@dataclass(frozen=True, slots=True)
class Written:
    """Results are on this disk."""

    deal_id: DealId
    contributions: tuple[Contribution, ...]


@dataclass(frozen=True, slots=True)
class ReceiptsKept:
    """These receipts are good, and on this disk."""

    deal_id: DealId
    indexes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class StatementKept:
    """A statement is good, and on this disk."""

    deal_id: DealId
    amount: NRLC


@dataclass(frozen=True, slots=True)
class Distrusted:
    """The pool signed something that is not right."""

    deal_id: DealId
    reason: str


@dataclass(frozen=True, slots=True)
class Stored:
    """The archives of these results are in storage, and the results can be shown; `now_s` is this machine's clock [s]."""

    deal_id: DealId
    digests: tuple[ShownDigest, ...]
    now_s: float


@dataclass(frozen=True, slots=True)
class NotStored:
    """Archives could not be put into storage; the pool will ask again."""

    deal_id: DealId
    indexes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Ticked:
    """Time has passed; `now_s` is this machine's clock [s]."""

    now_s: float


@dataclass(frozen=True, slots=True)
class Posted:
    """The chain has the bag, or the deal was given back: there is nothing more to do but to guard the money."""

    deal_id: DealId


@dataclass(frozen=True, slots=True)
class Over:
    """The chain says that the deal is at an end."""

    deal_id: DealId


BagEvent = (
    Given | TakenBack | Asked | ReceiptsCame | StatementCame | Approved | Fetched | Refused | Ran | TasksFailed | Written | ReceiptsKept
    | StatementKept | Distrusted | Stored | NotStored | Posted | Over
)  # fmt: skip
Event = Restored | Joined | Stopping | Limited | Ticked | BagEvent


# --- commands --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Check:
    """Ask the chain whether a deal is worth working on."""

    deal_id: DealId


@dataclass(frozen=True, slots=True)
class Fetch:
    """Get what all tasks of a deal need."""

    terms: BagTerms

    @property
    def deal_id(self) -> DealId:
        """The deal."""
        return self.terms.deal_id


@dataclass(frozen=True, slots=True)
class Compute:
    """Run some tasks, one after the other; together if they are known to be short."""

    deal_id: DealId
    indexes: tuple[int, ...]
    is_series: bool


@dataclass(frozen=True, slots=True)
class StopRuns:
    """Stop what runs; its tasks have been given up."""

    deal_id: DealId


@dataclass(frozen=True, slots=True)
class CheckReceipts:
    """See that receipts are good, and write them down."""

    terms: BagTerms
    receipts: tuple[Receipt, ...]


@dataclass(frozen=True, slots=True)
class CheckStatement:
    """See that a statement is good, and write it down if it is more than `earned` [nRLC]."""

    terms: BagTerms
    statement: Statement
    earned: NRLC


@dataclass(frozen=True, slots=True)
class Store:
    """Put the archives of results into storage."""

    deal_id: DealId
    indexes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SayAll:
    """Tell the pool everything that there is of a deal: `waiting` tasks, contributions, the statement [nRLC]."""

    deal_id: DealId
    waiting: tuple[int, ...]
    earned: NRLC


@dataclass(frozen=True, slots=True)
class Repeat:
    """Tell the pool these contributions again."""

    deal_id: DealId
    indexes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Say:
    """Tell the pool, if it is there."""

    message: BagFromWorker


@dataclass(frozen=True, slots=True)
class Release:
    """Give back what running tasks of a deal need; what it says about money stays."""

    deal_id: DealId


@dataclass(frozen=True, slots=True)
class Drop:
    """Forget a deal, and free its disk."""

    deal_id: DealId


Command = Check | Fetch | Compute | StopRuns | CheckReceipts | CheckStatement | Store | SayAll | Repeat | Say | Release | Drop
