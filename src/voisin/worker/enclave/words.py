"""
What a worker and the process that plays its enclave say to each other: JSON with its length before it, over the process's standard
input and output.

The process begins with the public half of a fresh key; the worker gets a session for that key from the vault, and hands it in with
the order. What comes back is a result on disk, its digest, and the enclave's signature, or why there is none. No message to the
worker has a field for a secret.
"""

from __future__ import annotations

import struct
from typing import Final

import msgspec

from voisin.errors import InputError
from voisin.protocol.consent import VaultId
from voisin.protocol.ids import Address, Hash32
from voisin.protocol.results import GuestFailure
from voisin.protocol.sessions import SealedSession, SessionRequest
from voisin.protocol.wire_words import MachineFailure, Stream

LENGTH: Final = struct.Struct("<I")
MAX_MESSAGE_BYTES: Final = 4 << 20


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """What the enclave runs; see `voisin.sandbox.Job`. The secrets' variables are added inside."""

    module: str
    module_sha256: str
    args: tuple[str, ...]
    env: dict[str, str]
    input_dir: str
    output_dir: str
    time_s: float
    instructions: int
    memory_bytes: int
    output_bytes: int
    seed: bytes
    clock_unix_s: int


class Order(msgspec.Struct, frozen=True, kw_only=True):
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
        target: Where the result goes.
        has_callback: Whether the deal has a callback.
        cache_dir: Where compiled modules are kept.
        scratch_dir: Where running guests' outputs lie.
    """

    request: SessionRequest
    vault: VaultId
    sealed: SealedSession
    program: Program | None
    failure: GuestFailure | None
    dataset: str
    bulk: tuple[Address, ...]
    target: str
    has_callback: bool
    cache_dir: str
    scratch_dir: str


class Begun(msgspec.Struct, frozen=True, tag="begun"):
    """The process is there, with a fresh key."""

    session_key: Hash32


class Output(msgspec.Struct, frozen=True, tag="output"):
    """The app printed something; never said for a task whose result is sealed."""

    stream: Stream
    data: bytes


class Finished(msgspec.Struct, frozen=True, kw_only=True, tag="finished"):
    """
    The result lies on the disk.

    Attributes:
        digest: What the worker commits to: that of the clear result.
        callback_data: What the deal's callback gets.
        signature: The enclave's signature over this worker's result.
        cause: Why the app failed; empty when it did not.
        exit_code: What the app exited with; None when it did not end by itself.
        is_sealed: Whether the result is sealed for its beneficiary.
    """

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


FromEnclave = Begun | Output | Finished | Refused

_from_enclave: msgspec.json.Decoder[FromEnclave] = msgspec.json.Decoder(FromEnclave)


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
