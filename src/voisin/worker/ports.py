"""What the worker needs of the world: a chain to read and to act on, storage, and a sandbox. `testing.py` has twins in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from voisin.chain import Admission
from voisin.chain.bags import BagState, ShownLeaf, SignedReceipt
from voisin.enclave.words import Finished, Introduce, Refused
from voisin.protocol.bag_settlement import PostedBag
from voisin.protocol.cid import Cid
from voisin.protocol.eip712 import Domain
from voisin.protocol.ids import Address, DealId, Hash32, TaskId
from voisin.protocol.introduction import Introduction
from voisin.protocol.records import Account, AppInfo, Contribution, DatasetInfo, Deal, Task
from voisin.protocol.wire_words import EnclaveKind
from voisin.sandbox import Job, OnOutput, Outcome, Series, ShortRun
from voisin.service.vaults import Sessions
from voisin.units import NRLC, UnixSeconds
from voisin.worker.enclave.errand import Errand


@dataclass(frozen=True, slots=True)
class Glance:
    """
    What the chain says at one moment.

    Attributes:
        task: A task.
        own: The own contribution to it; its status is UNSET when there is none.
        now: The chain's time, or this machine's if that is later [Unix s].
    """

    task: Task
    own: Contribution
    now: UnixSeconds


class Ledger(Protocol):
    """
    The market's chain as one worker uses it; `own` means: of the worker's wallet.

    Reads raise `StateError` for what the chain does not know and `UnavailableError` when it does not answer. Acts return once they
    are on the chain, and raise `RevertError` when it refuses, `FundsError` when the wallet cannot pay the gas.
    """

    @property
    def chain_id(self) -> int:
        """The chain's number."""
        ...

    @property
    def hub(self) -> Address:
        """The market's hub."""
        ...

    async def now(self) -> UnixSeconds:
        """Tell the chain's time, or this machine's if that is later [Unix s]."""
        ...

    async def deal(self, deal_id: DealId) -> Deal:
        """Look a deal up."""
        ...

    async def task(self, task_id: TaskId) -> Task:
        """Look a task up."""
        ...

    async def app(self, entry: Address) -> AppInfo:
        """Look an app up."""
        ...

    async def dataset(self, entry: Address) -> DatasetInfo:
        """Look a dataset up."""
        ...

    async def is_signed_by(self, owner: Address, digest: bytes, signature: str) -> bool:
        """Tell whether an owner signed a digest."""
        ...

    async def own_contribution(self, task_id: TaskId) -> Contribution:
        """Look the own contribution to a task up; its status is UNSET when there is none."""
        ...

    async def glance(self, task_id: TaskId) -> Glance:
        """Look up in one go what a step depends on."""
        ...

    async def own_account(self) -> Account:
        """Tell the own money at the hub [nRLC]."""
        ...

    async def own_balance(self) -> NRLC:
        """Tell the own money outside the hub [nRLC]."""
        ...

    async def deposit(self, amount: NRLC) -> None:
        """Move money from the wallet into the hub [nRLC]."""
        ...

    async def withdraw(self, amount: NRLC) -> None:
        """Move free money out of the hub into the wallet [nRLC]."""
        ...

    async def contribute(self, task_id: TaskId, digest: Hash32, admission: Admission) -> bool:
        """Commit to a result; answers whether that made it the agreed one."""
        ...

    async def finish(self, task_id: TaskId, digest: Hash32, admission: Admission, *, results: bytes, callback: bytes) -> None:
        """Commit to a result as the only worker, and complete the task at once."""
        ...

    async def reveal(self, task_id: TaskId, digest: Hash32) -> None:
        """Show the digest of a result."""
        ...

    async def claim(self, task_id: TaskId) -> None:
        """End a task whose final deadline has passed."""
        ...


class BagLedger(Protocol):
    """
    The hub's functions for bags, as one worker uses them.

    Reads raise `UnavailableError` when the chain does not answer. Acts return once they are on the chain, and raise `RevertError` when it
    refuses, `FundsError` when the wallet cannot pay the gas.
    """

    @property
    def domain(self) -> Domain:
        """Which hub on which chain signed words are for."""
        ...

    async def block(self) -> int:
        """Tell the number of the newest block."""
        ...

    async def category_s(self, number: int) -> int:
        """Tell the reference time of a category [s]."""
        ...

    async def bag_state(self, deal_id: DealId) -> BagState:
        """Tell how far a deal's bag is."""
        ...

    async def posted_bag(self, deal_id: DealId, *, window_s: int, since_block: int) -> PostedBag | None:
        """
        Find the bag that was posted for a deal; None if there is none, or it was given back without one.

        Args:
            deal_id: The deal.
            window_s: How long it may be challenged [s].
            since_block: A block before it can have been posted.
        """
        ...

    async def prove_contradiction(self, bag: PostedBag, shown: ShownLeaf, receipt: SignedReceipt) -> None:
        """Prove that a leaf says something else of this worker than a receipt."""
        ...

    async def prove_underpayment(self, bag: PostedBag, amount: NRLC, signature: str) -> None:
        """Prove that a bag pays this worker less than it was told [nRLC]."""
        ...

    async def demand_leaf(self, bag: PostedBag, index: int, receipt: SignedReceipt) -> None:
        """Demand a task's leaf, with a receipt, under a bond of the task's price."""
        ...

    async def expire_demand(self, bag: PostedBag, index: int) -> None:
        """End a bag whose scheduler did not show a leaf in time."""
        ...

    async def release_demand(self, deal_id: DealId, index: int) -> None:
        """Get the bond back of a demand for a leaf of a bag that has ended."""
        ...

    async def settle_bag(self, bag: PostedBag) -> None:
        """Have everybody of a bag paid."""
        ...


class Storage(Protocol):
    """Content-addressed storage; whatever it hands out has been checked against its address."""

    async def get_bytes(self, cid: Cid, *, max_bytes: int) -> bytes:
        """Fetch a small blob into memory."""
        ...

    async def get_file(self, cid: Cid, path: Path, *, max_bytes: int) -> int:
        """Fetch a blob into a file; answers its size [bytes]."""
        ...

    async def put_result(self, path: Path) -> Cid:
        """Store a result, which may go when its time is over; answers its address."""
        ...

    async def put_results(self, blobs: Sequence[bytes]) -> None:
        """Store several small results at once."""
        ...


class Runner(Protocol):
    """Runs untrusted apps; `voisin.sandbox.Sandbox` is one."""

    async def run(self, job: Job, *, on_output: OnOutput | None = None) -> Outcome:
        """Run an app to its end; what it prints meanwhile is told to `on_output`."""
        ...

    async def run_series(self, series: Series) -> list[ShortRun]:
        """Run the first runs of a series; none if one of them took too long."""
        ...


class Web(Protocol):
    """The web, as far as a worker goes there."""

    async def fetch(self, url: str, path: Path, *, max_bytes: int) -> int:
        """
        Fetch a file; answers its size [bytes].

        Raises:
            InputError: The address is none that a worker goes to, or there are more bytes.
            UnavailableError: It is not there.
        """
        ...


OpenStorage = Callable[[str], AbstractAsyncContextManager[Storage]]
"""Opens the storage at an address."""


class Enclaves(Protocol):
    """Where a worker's tasks with secrets run."""

    @property
    def kind(self) -> EnclaveKind:
        """What they are; their own word."""
        ...

    async def introduce(self, wanted: Introduce) -> Introduction:
        """
        Have an enclave show to a pool what it is.

        Raises:
            StateError: It cannot, or is not what it was when the worker began.
            UnavailableError: It is not there.
        """
        ...

    async def run(self, errand: Errand, on_output: OnOutput) -> Finished | Refused:
        """
        Do a task in a fresh enclave; cancelling it ends the enclave.

        Args:
            errand: The task; its result lies at the target afterwards.
            on_output: Told what the app prints, unless that is nobody's business.

        Raises:
            UnavailableError: The enclave ended early.
            VoisinError: What the errand's own functions raise.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Parts:
    """
    The world of one worker. Whoever wants a worker that behaves differently (a test) replaces a part.

    Attributes:
        ledger: The chain.
        bag_ledger: Its part for deals that are settled as a bag.
        runner: What runs apps.
        open_storage: Opens the storage that the pool names.
        sessions: Opens the vault at an address.
        enclaves: Where tasks with secrets run; None on a machine without enclaves.
        web: Where inputs with a web address come from.
        random: A number between 0 and 1 for each call; spreads the pauses between attempts.
    """

    ledger: Ledger
    bag_ledger: BagLedger
    runner: Runner
    open_storage: OpenStorage
    sessions: Callable[[str], Sessions]
    enclaves: Enclaves | None
    web: Web
    random: Callable[[], float]

    @property
    def enclave_kind(self) -> EnclaveKind:
        """What enclaves there are."""
        return EnclaveKind.NONE if self.enclaves is None else self.enclaves.kind
