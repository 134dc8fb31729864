"""
What a worker and the enclave that does its task say to each other, over two pipes or one socket.

    enclave                              worker
    Begun        session key        ->
                                    <-   Introduce    for which pool; no order follows
    Introduced   evidence, slots    ->   or:
                                    <-   Show       for which task, and which vault, evidence is wanted
    Shown        evidence           ->   asks the vault for a session; the two again for each keeper of shares
                                    <-   Order      then the module and every input, byte for byte
    Output       while the app runs ->              only for tasks with nothing to hide
    Finished     then the result    ->              or Refused

A message is JSON with its length before it; files follow the message that names their sizes. No message to the worker has a field for a
secret. Of what the worker says, the enclave believes what the vault's sealed word confirms.
"""

from __future__ import annotations

import struct
from typing import Final

import msgspec

from voisin.errors import InputError
from voisin.protocol.consent import VaultId
from voisin.protocol.evidence import Evidence
from voisin.protocol.ids import Address, Hash32, TaskId
from voisin.protocol.introduction import Introduction
from voisin.protocol.results import GuestFailure
from voisin.protocol.sessions import SealedSession, SessionRequest
from voisin.protocol.wire_words import MachineFailure, Stream

LENGTH: Final = struct.Struct("<I")
MAX_MESSAGE_BYTES: Final = 4 << 20
MAX_FILES: Final = 10_000
"""Most inputs that an order may bring."""


class Show(msgspec.Struct, frozen=True, kw_only=True, tag="show"):
    """
    The worker wants evidence for a session.

    Attributes:
        task_id: The task.
        worker: Who will ask for the session.
        challenge: The task's challenge.
        vault: Who will be asked.
    """

    task_id: TaskId
    worker: Address
    challenge: Address
    vault: VaultId


class Introduce(msgspec.Struct, frozen=True, kw_only=True, tag="introduce"):
    """
    The worker wants evidence for its pool.

    Attributes:
        nonce: The pool's random number.
        workerpool: The pool's workerpool.
        chain_id: The chain that the pool works on.
        worker: The worker.
    """

    nonce: Hash32
    workerpool: Address
    chain_id: int
    worker: Address


class KeeperShares(msgspec.Struct, frozen=True, kw_only=True):
    """
    Shares of keys that several vaults keep together, from one of them.

    Attributes:
        request: What that vault was asked.
        vault: Which vault that was.
        sealed: What it answered.
    """

    request: SessionRequest
    vault: VaultId
    sealed: SealedSession


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """What the enclave runs; see `voisin.sandbox.Job`. The secrets' variables are added inside."""

    module_sha256: str
    args: tuple[str, ...]
    env: dict[str, str]
    time_s: float
    instructions: int
    memory_bytes: int
    output_bytes: int
    seed: bytes
    clock_unix_s: int


class FileToCome(msgspec.Struct, frozen=True):
    """A file that follows an order: its name among the inputs, and its size [bytes]."""

    name: str
    size: int


class Order(msgspec.Struct, frozen=True, kw_only=True, tag="order"):
    """
    A task for the enclave.

    Attributes:
        request: What the vault was asked.
        vault: Which vault that was.
        sealed: What it answered.
        program: What is to be run; None when the request cannot be carried out.
        failure: Why it cannot.
        dataset: Name of the deal's dataset among the inputs, encrypted; empty without one.
        bulk: Names of the datasets that the task opens together, likewise; one that has no file or no key is left out.
        has_callback: Whether the deal has a callback.
        shares: What other keepers of the keys answered.
        module_size: Size of the app's module, which follows first [bytes].
        files: The inputs, which follow in this order.
    """

    request: SessionRequest
    vault: VaultId
    sealed: SealedSession
    program: Program | None
    failure: GuestFailure | None
    dataset: str
    bulk: tuple[Address, ...]
    has_callback: bool
    shares: tuple[KeeperShares, ...] = ()
    module_size: int = 0
    files: tuple[FileToCome, ...] = ()


class Begun(msgspec.Struct, frozen=True, tag="begun"):
    """The enclave is there, with a fresh key."""

    session_key: Hash32


class Shown(msgspec.Struct, frozen=True, tag="shown"):
    """What the enclave shows for itself."""

    evidence: Evidence


class Introduced(msgspec.Struct, frozen=True, tag="introduced"):
    """What the enclave shows to a pool, and how many tasks its machine does at a time."""

    introduction: Introduction


class Output(msgspec.Struct, frozen=True, tag="output"):
    """The app printed something; never said for a task whose result is sealed, or whose data has terms of use."""

    stream: Stream
    data: bytes


class Finished(msgspec.Struct, frozen=True, kw_only=True, tag="finished"):
    """
    The result follows.

    Attributes:
        size: Its size [bytes].
        digest: What the worker commits to: that of the clear result.
        callback_data: What the deal's callback gets.
        signature: The enclave's signature over this worker's result.
        cause: Why the app failed; empty when it did not.
        exit_code: What the app exited with; None when it did not end by itself, or when that is nobody's business.
        is_sealed: Whether the result is sealed for its beneficiary.
    """

    size: int
    digest: Hash32
    callback_data: bytes
    signature: str
    cause: str
    exit_code: int | None
    is_sealed: bool


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """The enclave gives the task up; nothing of it is signed."""

    failure: MachineFailure
    detail: str


FromEnclave = Begun | Shown | Introduced | Output | Finished | Refused
ToEnclave = Show | Introduce | Order

_from_enclave: msgspec.json.Decoder[FromEnclave] = msgspec.json.Decoder(FromEnclave)
_to_enclave: msgspec.json.Decoder[ToEnclave] = msgspec.json.Decoder(ToEnclave)


def decode_from_enclave(data: bytes) -> FromEnclave:
    """
    Read a message of an enclave.

    Raises:
        InputError: It is malformed.
    """
    try:
        return _from_enclave.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"the enclave's message is malformed: {error}") from None


def decode_to_enclave(data: bytes) -> ToEnclave:
    """
    Read a message of a worker.

    Raises:
        InputError: It is malformed.
    """
    try:
        return _to_enclave.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"the worker's message is malformed: {error}") from None
