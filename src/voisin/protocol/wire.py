"""
What worker and pool say to each other over the WebSocket that the worker opens.

The dialogue: the pool sends `Challenge`; the worker answers `Hello`, signed by its wallet; the pool answers `Welcome`, or
`Refused` and closes. From then on the pool assigns, asks and aborts, the worker reports, and both are thin: each report
may be repeated, and the pool believes the chain, not the worker. What the worker must know of a deal it reads from the
chain itself.
"""

from __future__ import annotations

from typing import cast

import msgspec

from voisin.protocol.bag_wire import BagFromPool, BagFromWorker
from voisin.protocol.codec import decode
from voisin.protocol.evidence import Evidence
from voisin.protocol.ids import Address, DealId, Hash32, TaskId
from voisin.protocol.wire_words import EnclaveKind, MachineFailure, ReplicaStage, Stream
from voisin.units import NRLC, UnixSeconds

WIRE_VERSION = 2
OLDEST_VERSION = 1
"""Workers that speak it are let in; they are given no bags, which came with version 2 (`bag_wire`)."""


class Resources(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a worker offers.

    Attributes:
        slots: Replicas at a time, each with a core of its own.
        memory_bytes: Memory for all of them together.
        disk_bytes: Disk for all of them together.
        enclave: Its enclaves.
        tag: What else the machine has, as names of tags: `gpu`; empty for nothing.
        region: Where it is, from the large to the small, such as `eu-fr`; empty if it does not say.
        content: CIDs of some files that it holds, the last used first.
    """

    slots: int
    memory_bytes: int
    disk_bytes: int
    enclave: EnclaveKind = EnclaveKind.NONE
    tag: str = ""
    region: str = ""
    content: tuple[str, ...] = ()


class Held(msgspec.Struct, frozen=True):
    """A replica that a worker still has on disk after it reconnects."""

    task_id: TaskId
    stage: ReplicaStage


# --- from the pool ---------------------------------------------------------------------------------------------------


class Challenge(msgspec.Struct, frozen=True, kw_only=True, tag="challenge"):
    """Asks the worker to prove its address: sign `login_message` over this."""

    nonce: Hash32
    workerpool: Address
    chain_id: int


class Welcome(msgspec.Struct, frozen=True, kw_only=True, tag="welcome"):
    """
    The worker is in; where everything is (the vault only if the pool has one), and how often to send a heartbeat [s].

    `scheduler` is where the one that speaks answers, and `schedulers` where all of them do, if they say so: a worker keeps a link to
    each.
    """

    hub: Address
    storage_url: str
    heartbeat_s: float
    vault_url: str = ""
    scheduler: str = ""
    schedulers: tuple[str, ...] = ()


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """The worker is not let in; the connection closes after this."""

    code: str
    message: str
    hint: str = ""


class Assign(msgspec.Struct, frozen=True, kw_only=True, tag="assign"):
    """
    A replica of a task for this worker.

    Attributes:
        deal_id: The task's deal.
        index: The task's index in the deal.
        task_id: The task.
        enclave_challenge: Address whose key signs the contribution; zero for a task without enclave.
        authorization: The scheduler's signature that the hub checks.
        contribution_deadline: Until when the task takes contributions.
        is_direct: Whether the worker uploads first, and then contributes and finalises in one transaction: it is to be the only one.
    """

    deal_id: DealId
    index: int
    task_id: TaskId
    enclave_challenge: Address
    authorization: str
    contribution_deadline: UnixSeconds
    is_direct: bool = False


class AskReveal(msgspec.Struct, frozen=True, kw_only=True, tag="ask-reveal"):
    """The task's result is agreed; show the digest if yours is the one."""

    task_id: TaskId
    consensus: Hash32
    reveal_deadline: UnixSeconds


class AskUpload(msgspec.Struct, frozen=True, tag="ask-upload"):
    """Put the result into storage and report its CID."""

    task_id: TaskId


class Abort(msgspec.Struct, frozen=True, tag="abort"):
    """Stop working on a task; its result is not wanted any more."""

    task_id: TaskId
    reason: str


class Release(msgspec.Struct, frozen=True, tag="release"):
    """A task is over; forget it and free its disk."""

    task_id: TaskId


class Schedulers(msgspec.Struct, frozen=True, tag="schedulers"):
    """Where all schedulers of the pool answer now; see `Welcome`."""

    urls: tuple[str, ...]


class AskHolding(msgspec.Struct, frozen=True, tag="ask-holding"):
    """Say what you hold: this scheduler has taken deals over from another. Workers of version 1 are asked to greet again instead."""


FromPool = Challenge | Welcome | Refused | Assign | AskReveal | AskUpload | Abort | Release | Schedulers | AskHolding | BagFromPool


# --- from the worker -------------------------------------------------------------------------------------------------


class Hello(msgspec.Struct, frozen=True, kw_only=True, tag="hello"):
    """
    Who the worker is, what it offers, and what it still holds.

    A real enclave shows for itself `evidence` over the pool's challenge, see `voisin.protocol.introduction`.
    """

    worker: Address
    signature: str
    version: int
    name: str
    resources: Resources
    holding: tuple[Held, ...] = ()
    evidence: Evidence | None = None


class Heartbeat(msgspec.Struct, frozen=True, tag="heartbeat"):
    """The worker is alive; `elsewhere` are its slots that work for other schedulers of the pool."""

    elsewhere: int = 0


class Holding(msgspec.Struct, frozen=True, tag="holding"):
    """What the worker holds, as in its greeting."""

    holding: tuple[Held, ...]


class Progress(msgspec.Struct, frozen=True, kw_only=True, tag="progress"):
    """A replica reached a stage; `exit_code` is the app's, once it has ended by itself."""

    task_id: TaskId
    stage: ReplicaStage
    detail: str = ""
    exit_code: int | None = None


class Printed(msgspec.Struct, frozen=True, kw_only=True, tag="printed"):
    """The app printed something; `start` is where in the stream [characters], and 0 begins it anew."""

    task_id: TaskId
    stream: Stream
    start: int
    text: str


class Uploaded(msgspec.Struct, frozen=True, kw_only=True, tag="uploaded"):
    """The result lies in storage."""

    task_id: TaskId
    cid: str
    callback_data: str = "0x"


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag="failed"):
    """The worker gives a replica up."""

    task_id: TaskId
    failure: MachineFailure
    detail: str


class Takes(msgspec.Struct, frozen=True, kw_only=True, tag="takes"):
    """
    What a worker takes from now on, by its owner's rules; said after each greeting and when it changes. Came with version 2.

    Attributes:
        slots: Replicas at a time; 0 for none at all.
        memory_bytes: Memory for all of them together.
        disk_bytes: Disk for all of them together.
        why: Why it takes none for now; empty when it takes some.
        min_price: The least that the pool must be paid for a task [nRLC].
        min_price_per_hour: The least that the pool must be paid for an hour of the task's category [nRLC].
        allowed_apps: Addresses of apps and hashes of their code that alone are run; empty for any.
        denied_apps: Addresses of apps and hashes of their code that are not run.
        denied_requesters: Addresses whose deals are not worked for.
    """

    slots: int
    memory_bytes: int
    disk_bytes: int
    why: str = ""
    min_price: NRLC = NRLC(0)
    min_price_per_hour: NRLC = NRLC(0)
    allowed_apps: tuple[str, ...] = ()
    denied_apps: tuple[str, ...] = ()
    denied_requesters: tuple[str, ...] = ()


FromWorker = Hello | Heartbeat | Holding | Progress | Printed | Uploaded | Failed | Takes | BagFromWorker

_FROM_POOL = cast(type[FromPool], FromPool)
_FROM_WORKER = cast(type[FromWorker], FromWorker)


def login_message(challenge: Challenge, worker: Address) -> bytes:
    """Spell what a worker signs (as an Ethereum signed message) to prove its address to this pool, this once."""
    place = f"pool {challenge.workerpool}\nchain {challenge.chain_id}"
    return f"Voisin worker login\n{place}\nworker {worker}\nnonce {challenge.nonce}".encode()


def decode_from_pool(data: bytes | str) -> FromPool:
    """
    Read a message of the pool.

    Raises:
        InputError: It is malformed.
    """
    return decode(data, _FROM_POOL, "the pool's message")


def decode_from_worker(data: bytes | str) -> FromWorker:
    """
    Read a message of a worker.

    Raises:
        InputError: It is malformed.
    """
    return decode(data, _FROM_WORKER, "the worker's message")
